package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
)

// EAPServer makes the server's ends of EAP conversations for IKEv2. It joins
// machines that do not know each other.
type EAPServer struct {
	// Begin tells how a conversation is held, and as whom we answer. A
	// *ike.Refusal refuses it.
	Begin func(*ike.EAP) (*EAPLogin, error)
	// Limit is the number of conversations at one time; 0 = maxConversations.
	Limit int

	open atomic.Int64
}

// EAPLogin is how one conversation is held: by a machine of ours, or by Relay.
type EAPLogin struct {
	Local  *ike.Identity // as whom we answer
	Server *eap.ServerConfig
	// Answer does the machine's tasks about passwords, on a worker; Value and Err
	// as the task names them. Nil: no method of Server has any.
	Answer func(eap.Task) (any, error)
	// Admit turns a success of the machine into an admission. By then the method
	// has succeeded, and the peer has been told nothing of it yet.
	Admit func(eap.Success) (*ike.Admission, error)
	// Relay holds the conversation in place of a machine, such as by passing it
	// on to a RADIUS server. Its first step has no packet, and asks for the
	// identity.
	Relay ike.Conversation
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
		begin: func(t *ike.EAP) (opening, error) {
			if full {
				return opening{}, &ike.Refusal{Reason: fmt.Sprintf("%d EAP logins are under way already", limit), Hint: "let the client try again in a moment"}
			}
			login, err := s.Begin(t)
			if err != nil {
				return opening{}, err
			}
			o := opening{local: login.Local, relay: login.Relay, answer: login.Answer, admit: login.Admit}
			if o.relay == nil {
				o.machine, err = eap.NewServer(login.Server)
			}
			return o, err
		},
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
		begin: func(*ike.EAP) (opening, error) {
			m, err := eap.NewPeer(p.Config)
			return opening{machine: m, admit: p.Admit}, err
		},
		mutual: p.Mutual,
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

// opening is what the first packet decides about a conversation.
type opening struct {
	machine eapMachine
	relay   ike.Conversation // in place of machine
	local   *ike.Identity
	answer  func(eap.Task) (any, error)
	admit   func(eap.Success) (*ike.Admission, error)
}

// conversation implements [ike.Conversation]. Step runs on workers, one at a
// time; Close comes from the session's event loop and must not wait for it.
type conversation struct {
	begin  func(*ike.EAP) (opening, error)
	over   func()
	mutual bool

	closed atomic.Bool
	mu     sync.Mutex
	gone   bool // it was released
	begun  bool
	opening
	failure *ike.Refusal
	byPeer  bool
}

// Step implements [ike.Conversation].
func (c *conversation) Step(t *ike.EAP, done func(ike.EAPStep, error)) {
	step, err := c.step(t)
	if err != nil || c.relay == nil {
		done(step, err)
		return
	}
	c.relay.Step(t, func(step ike.EAPStep, err error) {
		step.Local = c.local
		done(step, err)
	})
}

// step is all of a step but what a relay does.
func (c *conversation) step(t *ike.EAP) (ike.EAPStep, error) {
	c.mu.Lock()
	defer c.sweep()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return ike.EAPStep{}, errClosed
	}
	var out eap.Out
	now := time.Now()
	if err := c.start(now, t, &out); err != nil || c.relay != nil {
		return ike.EAPStep{}, err
	}
	if d := c.machine.Deadline(); !d.IsZero() && !now.Before(d) {
		c.machine.Timeout(now, &out)
	} else if t.Packet != nil {
		c.machine.Receive(now, t.Packet, &out)
	}
	c.work(&out)
	step := c.outcome(t, &out)
	step.Local = c.local
	return step, nil
}

// start decides with the first packet; a server also speaks first.
func (c *conversation) start(now time.Time, t *ike.EAP, out *eap.Out) error {
	if c.begun {
		return nil
	}
	o, err := c.begin(t)
	if err != nil {
		return err
	}
	c.opening, c.begun = o, true
	switch m := c.machine.(type) {
	case *eap.Server:
		m.Start(now, out) // RFC 7296, Section 3.16 would do without Identity; Windows' IDi names nobody
	case *eap.Peer:
		m.Start(now)
	}
	return nil
}

// work does the machine's jobs here: this is a worker.
func (c *conversation) work(out *eap.Out) {
	for len(out.Jobs) > 0 {
		j := out.Jobs[0]
		out.Jobs = out.Jobs[1:]
		r := eap.Result{ID: j.ID}
		h, handshake := j.Task.(*eap.Handshake)
		switch {
		case handshake:
			r.Value, r.Err = h.Run()
		case c.answer != nil:
			r.Value, r.Err = c.answer(j.Task)
		default:
			r.Err = &eap.Refusal{Reason: eap.ReasonBackend, Text: "passwords are not accepted here"}
		}
		c.machine.Done(time.Now(), r, out)
	}
}

// outcome reads what the machine said.
func (c *conversation) outcome(t *ike.EAP, out *eap.Out) (step ike.EAPStep) {
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
	if c.failure == nil && step.Packet == nil && step.Success == nil && !t.Lossy {
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
		c.failure = refusedBy(err)
		return ike.EAPStep{} // not the Success that the machine would have sent
	}
	step.Success = &ike.EAPSuccess{MSK: ev.MSK, Admission: admission, Mutual: c.mutual}
	return step
}

// refusedBy is err as the record of a refusal.
func refusedBy(err error) *ike.Refusal {
	if r, ok := errors.AsType[*ike.Refusal](err); ok {
		return r
	}
	return &ike.Refusal{Reason: err.Error()}
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
	if c.relay != nil {
		c.relay.Close()
	}
	c.over()
}
