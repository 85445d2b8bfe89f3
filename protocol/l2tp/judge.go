package l2tp

import (
	"fmt"

	"sallyport/protocol/l2tp/l2tpmsg"
)

// body is a control message that has been judged: known AVPs that belong to it,
// in the clear and of the right size.
type body struct {
	kind l2tpmsg.MessageType
	avps []l2tpmsg.AVP
}

// find is the first AVP of a type: a second one has no meaning.
func (b body) find(t l2tpmsg.AVPType) (l2tpmsg.AVP, bool) {
	for _, a := range b.avps {
		if a.Type == t {
			return a, true
		}
	}
	return l2tpmsg.AVP{}, false
}

// u16 is the value of an AVP, 0 where it is not there.
func (b body) u16(t l2tpmsg.AVPType) uint16 {
	a, _ := b.find(t)
	return a.U16()
}

// text is the beginning of an AVP's value.
func (b body) text(t l2tpmsg.AVPType) string {
	a, _ := b.find(t)
	return string(a.Value[:min(len(a.Value), maxName)])
}

// result is what a StopCCN or a CDN says. A bad one is as good as none: the
// message means the end in any case.
func (b body) result() l2tpmsg.Result {
	a, _ := b.find(l2tpmsg.ResultCode)
	r, err := l2tpmsg.ParseResult(a.Value)
	if err != nil {
		return l2tpmsg.Result{}
	}
	return r
}

// fault is what is wrong with a message.
type fault struct {
	code l2tpmsg.ErrorCode
	text string // for both ends; it holds no text of the peer's
	hint string
}

// judge applies the rules for AVPs (RFC 2661, Sections 4.1 to 4.3, 6 and 7.1).
// It gives back what is good of the message also where there is a fault, since
// the answer to the fault needs the ids. kind is 0 for an unknown message that
// may be ignored.
func (c *Config) judge(raw []l2tpmsg.AVP) (b body, f *fault) {
	kind, mandatory, err := l2tpmsg.Message{AVPs: raw}.Type()
	if err != nil {
		return b, &fault{code: l2tpmsg.ErrorValue, text: "the first AVP is not the Message Type"}
	}
	content := kind.Content()
	if content == nil {
		if mandatory {
			f = &fault{code: l2tpmsg.ErrorValue, text: "unknown mandatory " + kind.String()}
		}
		return b, f
	}
	b.kind = kind
	var vector *l2tpmsg.AVP
	for i, a := range raw[1:] {
		wrong := c.judgeAVP(&a, content, vector)
		switch {
		case wrong == nil && a.Type == l2tpmsg.RandomVector:
			vector = &raw[1+i]
		case wrong == nil && content.Has(a.Type):
			b.avps = append(b.avps, a)
		case wrong != nil && a.Mandatory && f == nil:
			f = wrong
		}
	}
	for _, t := range content.Required {
		if _, ok := b.find(t); !ok && f == nil {
			f = &fault{code: l2tpmsg.ErrorValue, text: fmt.Sprintf("the %v has no valid %v AVP", kind, t)}
		}
	}
	return b, f
}

// judgeAVP says what is wrong with an AVP, which matters if its M bit is set.
// It uncovers a hidden one.
func (c *Config) judgeAVP(a *l2tpmsg.AVP, content *l2tpmsg.Content, vector *l2tpmsg.AVP) *fault {
	if !a.Known() {
		return &fault{code: l2tpmsg.ErrorMandatoryAVP, text: "unknown mandatory " + a.String()}
	}
	if !content.Has(a.Type) {
		// Known, and useless here: clients send a Result Code in ICRQ.
		return nil
	}
	form, _ := a.Type.Form()
	if a.Hidden {
		if wrong := c.uncover(a, form, vector); wrong != nil {
			return wrong
		}
	}
	if n := len(a.Value); n < form.Min || n > form.Max {
		return &fault{code: l2tpmsg.ErrorLength, text: fmt.Sprintf("%v of %d octets", *a, n)}
	}
	return nil
}

// uncover is RFC 2661, Section 4.3.
func (c *Config) uncover(a *l2tpmsg.AVP, form l2tpmsg.Form, vector *l2tpmsg.AVP) *fault {
	switch {
	case len(c.Secret) == 0:
		return &fault{
			code: l2tpmsg.ErrorMandatoryAVP, text: fmt.Sprintf("hidden %v, and no tunnel secret here", *a),
			hint: hintSecret,
		}
	case !form.Hideable:
		return &fault{code: l2tpmsg.ErrorValue, text: fmt.Sprintf("hidden %v, which must not be", *a)}
	case vector == nil:
		return &fault{code: l2tpmsg.ErrorValue, text: fmt.Sprintf("hidden %v without a Random Vector before it", *a)}
	}
	plain, err := l2tpmsg.Reveal(*a, vector.Value, c.Secret)
	if err != nil {
		return &fault{
			code: l2tpmsg.ErrorValue, text: fmt.Sprintf("hidden %v cannot be uncovered", *a),
			hint: "both ends need the same tunnel secret",
		}
	}
	*a = plain
	return nil
}

// hintSecret is for administrators of peers that want tunnel authentication.
const hintSecret = "tunnel secrets add nothing inside IPsec: turn off L2TP tunnel authentication and AVP hiding at the peer"
