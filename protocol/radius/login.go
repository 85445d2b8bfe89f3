package radius

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// maxRounds bounds a conversation as package eap bounds its own.
const maxRounds = 100

// maxIdentity is the longest User-Name (RFC 7542, Section 2.3).
const maxIdentity = MaxValue

// LoginConfig is what a Login adds to its requests.
type LoginConfig struct {
	// Attributes describe the port and the peer: NAS-Port-Type,
	// Calling-Station-Id and the like. Framed-MTU tells the server how large its
	// EAP packets may be.
	Attributes []Attribute
	// WithoutKeys takes an Access-Accept that brings no MSK. IKEv2 must not: a
	// method without keys leaves its user open to whoever sits between
	// (RFC 7296, Section 2.16).
	WithoutKeys bool
}

// Login is one EAP conversation that a server judges while we pass it through
// (RFC 3579, Section 2). The order is: Request with the peer's packet, Send at
// a Client, Reply with the answer, and its EAP packet to the peer.
type Login struct {
	cfg    LoginConfig
	user   string
	state  []byte
	pin    int // the server, plus one
	rounds int
	over   bool
}

// NewLogin begins a conversation.
func NewLogin(cfg LoginConfig) *Login { return &Login{cfg: cfg} }

// Outcome is where a conversation stands.
type Outcome uint8

// Outcomes.
const (
	Continue Outcome = iota + 1 // Access-Challenge: send EAP, bring the answer
	Accepted
	Rejected
)

// Step is what an answer means.
type Step struct {
	Outcome Outcome
	EAP     []byte // for the peer as it is; a rejection may have none (RFC 3579, Section 2.6.3)
	Grant   *Grant // with Accepted
	// Timeout is how long the server waits for the peer's answer, 0 for unsaid
	// (Session-Timeout in a challenge, RFC 3579, Section 2.4).
	Timeout  time.Duration
	Messages []string // Reply-Message of a rejection or a challenge; quote it
}

// User is the EAP identity, as the peer claims it.
func (l *Login) User() string { return l.user }

var (
	errOver       = errors.New("radius: the conversation is over")
	errNoIdentity = errors.New("radius: an EAP conversation begins with the peer's Identity")
	errUserName   = errors.New("radius: the peer's Identity is empty or longer than 253 octets")
	errRounds     = errors.New("radius: the EAP conversation does not come to an end")
	errNoMSK      = errors.New("radius: the server accepted without keys (MS-MPPE): its EAP method makes none, or it does not send them")
)

// Request is the Access-Request for a packet of the peer. The first one is an
// EAP-Response/Identity, from which User-Name is taken (RFC 3579, Section 2.1).
func (l *Login) Request(packet []byte) (Request, error) {
	if err := l.admit(packet); err != nil {
		l.over = true
		return Request{}, err
	}
	r := Request{Code: AccessRequest, Pin: l.pin}
	r.Attributes = append(r.Attributes, TextAttr(UserName, l.user))
	r.Attributes = append(r.Attributes, l.cfg.Attributes...)
	r.Attributes = append(r.Attributes, SplitEAP(bytes.Clone(packet))...)
	if l.state != nil {
		r.Attributes = append(r.Attributes, OctetsAttr(State, l.state))
	}
	return r, nil
}

func (l *Login) admit(packet []byte) error {
	if l.over {
		return errOver
	}
	if l.rounds++; l.rounds > maxRounds {
		return errRounds
	}
	if err := checkResponse(packet); err != nil {
		return err
	}
	if l.rounds > 1 {
		return nil
	}
	user, ok := identity(packet)
	switch {
	case !ok:
		return errNoIdentity
	case user == "" || len(user) > maxIdentity:
		return errUserName
	}
	l.user = user
	return nil
}

// Reply reads the answer to the last Request. Any error is the end, and no
// access.
func (l *Login) Reply(r Reply) (Step, error) {
	if l.over {
		return Step{}, errOver
	}
	s, err := l.judge(r)
	if err != nil {
		l.over = true
		return Step{}, err
	}
	l.over = s.Outcome != Continue
	return s, nil
}

// judge decides by the packet's code alone (RFC 3579, Section 2.6.3). Where the
// EAP packet inside says something else the ends would disagree, so there is no
// access.
func (l *Login) judge(r Reply) (Step, error) {
	packet, err := r.JoinEAP()
	if err != nil {
		return Step{}, err
	}
	switch r.Code {
	case AccessChallenge:
		return l.challenged(r, packet)
	case AccessAccept:
		return l.accepted(r, packet)
	case AccessReject:
		if len(packet) > 0 && packet[0] != eapFailure {
			packet = nil
		}
		return Step{Outcome: Rejected, EAP: packet, Messages: messages(r.Packet)}, nil
	}
	return Step{}, fmt.Errorf("radius: %s does not answer an Access-Request", r.Code)
}

func (l *Login) challenged(r Reply, packet []byte) (Step, error) {
	if len(packet) == 0 || packet[0] != eapRequest {
		return Step{}, errors.New("radius: a challenge came without an EAP request in it")
	}
	l.pin = r.Server + 1
	l.state = nil
	if a, ok := r.Find(State); ok {
		l.state = a.Value
	}
	s := Step{Outcome: Continue, EAP: packet, Messages: messages(r.Packet)}
	if a, ok := r.Find(SessionTimeout); ok {
		s.Timeout = seconds(a)
	}
	return s, nil
}

func (l *Login) accepted(r Reply, packet []byte) (Step, error) {
	if len(packet) == 0 || packet[0] != eapSuccess {
		return Step{}, errors.New("radius: an Access-Accept came without EAP-Success in it")
	}
	g, err := r.Grant()
	switch {
	case err != nil:
		return Step{}, err
	case len(g.MSK) == 0 && !l.cfg.WithoutKeys:
		return Step{}, errNoMSK
	}
	return Step{Outcome: Accepted, EAP: packet, Grant: g}, nil
}

// messages are the texts for the user, of bounded number.
func messages(p *Packet) []string {
	var all []string
	for m := range p.All(ReplyMessage) {
		if len(all) == maxListed {
			break
		}
		all = append(all, string(m))
	}
	return all
}
