package engine

import (
	"errors"
	"sync"
	"testing"
	"time"

	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
)

// slowMachine waits inside of Receive until it is let go.
type slowMachine struct {
	inside, leave chan struct{}
	closed        int
}

func (m *slowMachine) Receive(_ time.Time, _ []byte, out *eap.Out) {
	close(m.inside)
	<-m.leave
	out.Send = append(out.Send, []byte{1, 2, 0, 4})
}
func (*slowMachine) Done(time.Time, eap.Result, *eap.Out) {}
func (*slowMachine) Timeout(time.Time, *eap.Out)          {}
func (*slowMachine) Deadline() time.Time                  { return time.Time{} }
func (m *slowMachine) Close()                             { m.closed++ }

func TestAConversationIsReleasedOnce(t *testing.T) {
	m := &slowMachine{inside: make(chan struct{}), leave: make(chan struct{})}
	over := 0
	c := &conversation{
		begin: func(*ike.EAP) (eapMachine, *ike.Identity, error) { return m, nil, nil },
		over:  func() { over++ },
	}
	var step sync.WaitGroup
	step.Go(func() {
		if s, err := c.Step(&ike.EAP{Packet: []byte{2, 1, 0, 4}}); err != nil || len(s.Packet) == 0 {
			t.Errorf("the step under way gave %+v, %v", s, err)
		}
	})
	<-m.inside
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Fatal("Close waits for the step")
	}
	close(m.leave)
	step.Wait()
	c.Close()
	if m.closed != 1 || over != 1 {
		t.Errorf("the machine was closed %d times, the place given back %d times", m.closed, over)
	}
	if _, err := c.Step(&ike.EAP{}); err == nil {
		t.Error("a step after Close")
	}
}

func TestLoginsUnderWayAreBounded(t *testing.T) {
	s := &EAPServer{Limit: 1, Begin: func(*ike.EAP) (*eap.ServerConfig, *ike.Identity, error) { return nil, nil, errors.New("begun") }}
	first, second := s.New(), s.New()
	if _, err := first.Step(&ike.EAP{}); err == nil || err.Error() != "begun" {
		t.Errorf("the first: %v", err)
	}
	var refusal *ike.Refusal
	if _, err := second.Step(&ike.EAP{}); !errors.As(err, &refusal) || refusal.Hint == "" {
		t.Errorf("one too many: %v", err)
	}
	first.Close()
	second.Close()
	if n := s.Open(); n != 0 {
		t.Errorf("%d are left over", n)
	}
}
