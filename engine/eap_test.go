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

// stepOf waits for a step.
func stepOf(c ike.Conversation, t *ike.EAP) (step ike.EAPStep, err error) {
	over := make(chan struct{})
	c.Step(t, func(s ike.EAPStep, e error) { step, err = s, e; close(over) })
	<-over
	return step, err
}

func TestAConversationIsReleasedOnce(t *testing.T) {
	m := &slowMachine{inside: make(chan struct{}), leave: make(chan struct{})}
	over := 0
	c := &conversation{
		begin: func(*ike.EAP) (opening, error) { return opening{machine: m}, nil },
		over:  func() { over++ },
	}
	var step sync.WaitGroup
	step.Go(func() {
		if s, err := stepOf(c, &ike.EAP{Packet: []byte{2, 1, 0, 4}}); err != nil || len(s.Packet) == 0 {
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
	if _, err := stepOf(c, &ike.EAP{}); err == nil {
		t.Error("a step after Close")
	}
}

func TestLoginsUnderWayAreBounded(t *testing.T) {
	s := &EAPServer{Limit: 1, Begin: func(*ike.EAP) (*EAPLogin, error) { return nil, errors.New("begun") }}
	first, second := s.New(), s.New()
	if _, err := stepOf(first, &ike.EAP{}); err == nil || err.Error() != "begun" {
		t.Errorf("the first: %v", err)
	}
	var refusal *ike.Refusal
	if _, err := stepOf(second, &ike.EAP{}); !errors.As(err, &refusal) || refusal.Hint == "" {
		t.Errorf("one too many: %v", err)
	}
	first.Close()
	second.Close()
	if n := s.Open(); n != 0 {
		t.Errorf("%d are left over", n)
	}
}

// relayed answers a step when it is told to.
type relayed struct {
	pending chan func(ike.EAPStep, error)
	closed  int
}

func (r *relayed) Step(_ *ike.EAP, done func(ike.EAPStep, error)) { r.pending <- done }
func (r *relayed) Close()                                         { r.closed++ }

func TestARelayHoldsNoWorkerWhileItWaits(t *testing.T) {
	r := &relayed{pending: make(chan func(ike.EAPStep, error), 1)}
	local := &ike.Identity{Key: "ours"}
	s := &EAPServer{Begin: func(*ike.EAP) (*EAPLogin, error) { return &EAPLogin{Local: local, Relay: r}, nil }}
	c := s.New()
	var got []ike.EAPStep
	c.Step(&ike.EAP{}, func(step ike.EAPStep, _ error) { got = append(got, step) }) // returns: this is a worker
	if len(got) != 0 {
		t.Fatal("done before the other server answered")
	}
	c.Close() // while the step is under way
	if r.closed != 1 || s.Open() != 0 {
		t.Errorf("closed %d times, %d open", r.closed, s.Open())
	}
	(<-r.pending)(ike.EAPStep{Packet: []byte{1, 1, 0, 5, 1}}, nil)
	if len(got) != 1 || got[0].Local != local {
		t.Errorf("steps %+v", got)
	}
	if _, err := stepOf(c, &ike.EAP{}); err == nil {
		t.Error("a step after Close")
	}
}

// deafMachine has nothing to say to a packet.
type deafMachine struct{ slowMachine }

func (*deafMachine) Receive(time.Time, []byte, *eap.Out) {}

// TestAPacketThatDoesNotBelong ends a conversation over IKE, which neither loses
// nor repeats, and is passed over where the carrier does both.
func TestAPacketThatDoesNotBelong(t *testing.T) {
	for _, lossy := range []bool{false, true} {
		c := &conversation{over: func() {}, begin: func(*ike.EAP) (opening, error) { return opening{machine: &deafMachine{}}, nil }}
		step, err := stepOf(c, &ike.EAP{Packet: []byte{2, 1, 0, 4}, Lossy: lossy})
		if err != nil || (step.Failure == nil) != lossy || step.Packet != nil || step.Success != nil {
			t.Errorf("lossy %v: %+v, %v", lossy, step, err)
		}
		c.Close()
	}
}
