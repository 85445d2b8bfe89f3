package l2tpmsg

import (
	"errors"
	"fmt"

	"sallyport/protocol/wire"
)

// maxAVPs is how many AVPs one message may have. RFC 2661's longest, an ICCN
// with proxy LCP and authentication, has 14; vendors add a few.
const maxAVPs = 64

// Message is a control message (RFC 2661, Section 3.1 and 4). Without AVPs it
// is a ZLB.
type Message struct {
	Header ControlHeader
	AVPs   []AVP
}

// Parse reads a control message. The AVPs stand as they came, unknown and
// repeated ones included.
func Parse(b []byte) (Message, error) {
	h, body, err := ParseControlHeader(b)
	if err != nil {
		return Message{}, fmt.Errorf("l2tpmsg: %w", err)
	}
	avps, err := ParseAVPs(body)
	return Message{h, avps}, err
}

// ParseAVPs reads the body of a control message. The offsets in its errors
// count from the beginning of the body.
func ParseAVPs(body []byte) ([]AVP, error) {
	r := wire.NewReader("control message", body)
	var avps []AVP
	for r.Len() > 0 {
		if len(avps) == maxAVPs {
			r.Fail("more than %d AVPs", maxAVPs)
			break
		}
		avps = append(avps, parseAVP(r, len(avps)+1))
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("l2tpmsg: %w", err)
	}
	return avps, nil
}

// Append encodes the message.
func (m Message) Append(b []byte) ([]byte, error) {
	from := len(b)
	b = m.Header.append(b, 0)
	for _, a := range m.AVPs {
		var err error
		if b, err = a.append(b); err != nil {
			return b, err
		}
	}
	if err := wire.SetLen16(b, from+2, from); err != nil {
		return b, fmt.Errorf("l2tpmsg: %w", err)
	}
	return b, nil
}

// ErrNoType is the answer of Type to a message that does not begin with its
// type.
var ErrNoType = errors.New("l2tpmsg: the first AVP is not a Message Type of two octets in the clear")

// Type is the message's type, by the Message Type AVP, which must be the first
// (RFC 2661, Section 4.4.1). mandatory is its M bit: whether an unknown type
// ends the tunnel.
func (m Message) Type() (t MessageType, mandatory bool, err error) {
	if len(m.AVPs) == 0 {
		return 0, false, ErrNoType
	}
	a := m.AVPs[0]
	if !a.Known() || a.Type != MessageTypeAVP || a.Hidden || len(a.Value) != 2 {
		return 0, false, ErrNoType
	}
	return MessageType(a.U16()), a.Mandatory, nil
}

// New makes a message of a type with further AVPs.
func New(h ControlHeader, t MessageType, avps ...AVP) Message {
	return Message{h, append([]AVP{U16(MessageTypeAVP, uint16(t))}, avps...)}
}
