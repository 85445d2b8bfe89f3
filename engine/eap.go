package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
)

// EAPServer makes the server's ends of EAP conversations for IKEv2. It joins
// two machines that do not know each other.
type EAPServer struct {
	// Begin tells how a conversation is held, and as whom we answer. A
	// *ike.Refusal refuses it.
	Begin func(*ike.EAP) (*eap.ServerConfig, *ike.Identity, error)
	// Admit turns a success into an admission. By then the method has
	// succeeded, and the peer has been told nothing of it yet.
	Admit func(eap.Success) (*ike.Admission, error)
	// Limit is the number of conversations at one time; 0 = maxConversations.
	Limit int

	open atomic.Int64
}

// maxConversations keeps the memory of logins under way, 100 KB each at their
// peak, within some hundred megabytes. They last a second or so.
const maxConversations = 4096

// Open is the number of conversations that are not released.
func (s *EAPServer) Open() int { return int(s.open.Load()) }

// New is for [Profile.NewEAP].
func (s *EAPServer) New() ike.Conversation {
	limit := s.Limit
	if limit == 0 {
		limit = maxConversations
	}
	full := int(s.open.Add(1)) > limit
	return &conversation{
		over: func() { s.open.Add(-1) },
		begin: func(t *ike.EAP) (eapMachine, *ike.Identity, error) {
			if full {
				return nil, nil, &ike.Refusal{Reason: fmt.Sprintf("%d EAP logins are under way already", limit), Hint: "let the client try again in a moment"}
			}
			config, local, err := s.Begin(t)
			if err != nil {
				return nil, nil, err
			}
			m, err := eap.NewServer(config)
			return m, local, err
		},
		admit: s.Admit,
	}
}

// EAPPeer makes the client's ends of EAP conversations for IKEv2.
type EAPPeer struct {
	Config *eap.PeerConfig
	// Admit says what the server's proof is worth.
	Admit func(eap.Success) (*ike.Admission, error)
	// Mutual tells that every method of Config proves the server by itself, and
	// that TLS.Verify holds it against the identity that we want (RFC 5998,
	// Section 4).
	Mutual bool
}

// New is for [Profile.NewEAP].
func (p *EAPPeer) New() ike.Conversation {
	return &conversation{
		over: func() {},
		begin: func(*ike.EAP) (eapMachine, *ike.Identity, error) {
			m, err := eap.NewPeer(p.Config)
			return m, nil, err
		},
		admit: p.Admit, mutual: p.Mutual,
	}
}

// eapMachine is an eap.Server or an eap.Peer.
type eapMachine interface {
	Receive(now time.Time, packet []byte, out *eap.Out)
	Done(now time.Time, r eap.Result, out *eap.Out)
	Timeout(now time.Time, out *eap.Out)
	Deadline() time.Time
	Close()
}

// conversation implements [ike.Conversation]. Step runs on workers, one at a
// time; Close comes from the session's event loop and must not wait for it.
type conversation struct {
	begin  func(*ike.EAP) (eapMachine, *ike.Identity, error)
	admit  func(eap.Success) (*ike.Admission, error)
	over   func()
	mutual bool

	closed  atomic.Bool
	mu      sync.Mutex
	gone    bool // it was released
	machine eapMachine
	failure *ike.Refusal
	byPeer  bool
}

// Step implements [ike.Conversation].
func (c *conversation) Step(t *ike.EAP) (ike.EAPStep, error) {
	c.mu.Lock()
	defer c.sweep()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return ike.EAPStep{}, errClosed
	}
	var out eap.Out
	now := time.Now()
	local, err := c.start(now, t, &out)
	if err != nil {
		return ike.EAPStep{}, err
	}
	if d := c.machine.Deadline(); !d.IsZero() && !now.Before(d) {
		c.machine.Timeout(now, &out)
	} else if t.Packet != nil {
		c.machine.Receive(now, t.Packet, &out)
	}
	c.work(&out)
	step := c.outcome(&out)
	step.Local = local
	return step, nil
}

// start makes the machine with the first packet; a server also speaks first.
func (c *conversation) start(now time.Time, t *ike.EAP, out *eap.Out) (local *ike.Identity, err error) {
	if c.machine != nil {
		return nil, nil
	}
	if c.machine, local, err = c.begin(t); err != nil {
		c.machine = nil
		return nil, err
	}
	switch m := c.machine.(type) {
	case *eap.Server:
		m.Start(now, out) // RFC 7296, Section 3.16 would do without Identity; Windows' IDi names nobody
	case *eap.Peer:
		m.Start(now)
	}
	return local, nil
}

// work does the machine's jobs here: this is a worker.
func (c *conversation) work(out *eap.Out) {
	for len(out.Jobs) > 0 {
		j := out.Jobs[0]
		out.Jobs = out.Jobs[1:]
		r := eap.Result{ID: j.ID}
		if h, ok := j.Task.(*eap.Handshake); ok {
			r.Value, r.Err = h.Run()
		} else {
			r.Err = &eap.Refusal{Reason: eap.ReasonBackend, Text: "passwords are not accepted here"}
		}
		c.machine.Done(time.Now(), r, out)
	}
}

// outcome reads what the machine said.
func (c *conversation) outcome(out *eap.Out) (step ike.EAPStep) {
	if n := len(out.Send); n > 0 {
		step.Packet = out.Send[n-1]
	}
	for _, ev := range out.Events {
		switch ev := ev.(type) {
		case eap.Success:
			step = c.succeeded(ev, step)
		case eap.Failure:
			c.failure, c.byPeer = refusalOf(ev), ev.ByPeer
		}
	}
	if c.failure == nil && step.Packet == nil && step.Success == nil {
		c.failure = &ike.Refusal{Reason: "EAP: a packet came that does not belong to the conversation"}
	}
	step.Failure, step.ByPeer = c.failure, c.byPeer
	return step
}

func (c *conversation) succeeded(ev eap.Success, step ike.EAPStep) ike.EAPStep {
	ev.EMSK.Clear()
	admission, err := c.admit(ev)
	if err != nil {
		ev.MSK.Clear()
		c.failure = &ike.Refusal{Reason: err.Error()}
		return ike.EAPStep{} // not the Success that the machine would have sent
	}
	step.Success = &ike.EAPSuccess{MSK: ev.MSK, Admission: admission, Mutual: c.mutual}
	return step
}

// refusalOf puts a failed conversation into the words of a record.
func refusalOf(f eap.Failure) *ike.Refusal {
	what := "EAP"
	if f.Method != 0 {
		what = f.Method.String()
	}
	if f.Claim != "" {
		what += fmt.Sprintf(" as %q", f.Claim)
	}
	return &ike.Refusal{Reason: what + ": " + f.Text, Hint: f.Hint}
}

// Close implements [ike.Conversation].
func (c *conversation) Close() {
	c.closed.Store(true)
	c.sweep()
}

// sweep releases a closed conversation, unless a Step runs, which does it
// afterwards.
func (c *conversation) sweep() {
	if !c.closed.Load() || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	if c.machine != nil {
		c.machine.Close()
	}
	c.over()
}
