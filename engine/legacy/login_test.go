package legacy

import (
	"bytes"

	"sallyport/internal/secret"
	"sallyport/protocol/ike"
	"sallyport/protocol/ppp"
	"sallyport/protocol/ppp/pppmsg"
)

// logins stand for the machines of package eap: a conversation asks for the
// name, and then says so many requests.
type logins struct {
	w       *world
	rounds  int
	open    int
	begun   int
	verdict func(user string) error // nil: everybody may
	broken  error                   // every step fails with it
	alert   bool                    // a failure has last words
}

const (
	typeIdentity = 1
	typeNak      = 3
	typeTLS      = 13
)

type login struct {
	of     *logins
	closed bool
	id     byte
	said   int
	user   string
	fails  *ike.Refusal
}

func (l *logins) begin() ike.Conversation {
	l.open++
	l.begun++
	return &login{of: l, id: byte(l.begun * 50)}
}

func (l *login) Close() {
	if !l.closed {
		l.closed = true
		l.of.open--
	}
}

func (l *login) Step(t *ike.EAP, done func(ike.EAPStep, error)) {
	if l.closed {
		done(ike.EAPStep{}, errClosed)
		return
	}
	if t.Before != t.PeerID.String() {
		l.of.w.t.Errorf("EAP after the proof of %v, for %v", t.Before, t.PeerID)
	}
	done(l.step(t))
}

var errClosed = &ike.Refusal{Reason: "the conversation is closed"}

func (l *login) step(t *ike.EAP) (ike.EAPStep, error) {
	if l.of.broken != nil {
		return ike.EAPStep{}, l.of.broken
	}
	if t.Packet == nil {
		return l.request(typeIdentity), nil
	}
	p, err := pppmsg.ParseEAP(t.Packet)
	switch {
	case err != nil || len(p.Data) == 0 || p.Identifier != l.id:
		return ike.EAPStep{}, nil
	case l.fails != nil:
		return l.end(pppmsg.EAPFailure, ike.EAPStep{Failure: l.fails}), nil
	case p.Data[0] == typeNak:
		return l.fail(&ike.Refusal{Reason: "no common method", Hint: "set the client to EAP-TLS"}), nil
	case l.said == 1:
		l.user = string(p.Data[1:])
		if l.of.verdict != nil {
			if err := l.of.verdict(l.user); err != nil {
				return l.fail(refusalFor(err)), nil
			}
		}
	}
	if l.said < l.of.rounds {
		return l.request(typeTLS), nil
	}
	return l.end(pppmsg.EAPSuccess, ike.EAPStep{Success: &ike.EAPSuccess{
		MSK: make(secret.Bytes, 64), Admission: &ike.Admission{Identity: l.user, Device: l.user, Zone: "printers", Policy: &ike.ChildPolicy{}},
	}}), nil
}

func refusalFor(err error) *ike.Refusal {
	if r, ok := err.(*ike.Refusal); ok {
		return r
	}
	return &ike.Refusal{Reason: err.Error()}
}

func (l *login) fail(r *ike.Refusal) ike.EAPStep {
	if l.of.alert {
		l.fails = r
		step := l.request(typeTLS)
		step.Failure = r
		return step
	}
	return l.end(pppmsg.EAPFailure, ike.EAPStep{Failure: r})
}

func (l *login) request(kind byte) ike.EAPStep {
	l.id++
	l.said++
	data := []byte{kind}
	if kind == typeTLS {
		data = append(data, make([]byte, 900)...)
	}
	return ike.EAPStep{Packet: pppmsg.EAPPacket{Code: pppmsg.EAPRequest, Identifier: l.id, Data: data}.Append(nil)}
}

func (l *login) end(code pppmsg.EAPCode, step ike.EAPStep) ike.EAPStep {
	step.Packet = pppmsg.EAPPacket{Code: code, Identifier: l.id}.Append(nil)
	return step
}

// answer is the client's end: what it says to a request.
func (c *client) answer(t ppp.EAP) (ppp.EAPStep, error) {
	p, err := pppmsg.ParseEAP(t.Packet)
	if err != nil {
		return ppp.EAPStep{}, err
	}
	switch p.Code {
	case pppmsg.EAPSuccess:
		return ppp.EAPStep{Success: c.proven}, nil
	case pppmsg.EAPFailure:
		return ppp.EAPStep{Failure: &ppp.Refusal{Reason: "the server said EAP-Failure"}}, nil
	}
	if c.stops == stopEAP {
		return ppp.EAPStep{}, nil
	}
	data := bytes.Clone(p.Data)
	switch {
	case data[0] == typeIdentity:
		data = append(data[:1], c.user...)
		c.proven = c.g().logins.rounds == 1
	case c.naks:
		data = []byte{typeNak, 99}
	default:
		c.proven = true
	}
	return ppp.EAPStep{Packet: pppmsg.EAPPacket{Code: pppmsg.EAPResponse, Identifier: p.Identifier, Data: data}.Append(nil)}, nil
}
