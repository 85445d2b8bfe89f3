package ppp

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// Negotiation of options (RFC 1661, Sections 5.1 to 5.4), the same for every
// layer; a layer's rows say what is particular.

// verdict is our answer to one option of the peer.
type verdict uint8

const (
	ack verdict = iota
	nak         // the answer carries what suggest gives
	reject
)

// option is one row of a layer: an option that we know, in both directions.
type option struct {
	kind pppmsg.OptionType
	size int // octets of Data; negative = any

	// Of the peer's Configure-Request.
	judge   func(l *Link, data []byte) verdict // nil = reject
	suggest func(l *Link) []byte               // for Nak; nil = reject instead
	keep    func(l *Link, data []byte)         // it is acknowledged; may be nil
	must    bool                               // Nak a request without it
	firm    bool                               // give up, rather than reject, after Max-Failure Naks

	// Of ours.
	ask      func(l *Link) []byte                // nil, or a nil result = do not ask
	nakked   func(l *Link, data []byte) *failure // the peer wants another value; nil = keep ours
	rejected func(l *Link) *failure              // nil = do without
}

// failure is why a layer or the link gives up.
type failure struct {
	reason, hint string
	wanted       string
	text         string // for the peer; empty = the reason
	refused      bool   // make a record of it
}

func (c *control) row(kind pppmsg.OptionType) int {
	return slices.IndexFunc(c.options, func(o option) bool { return o.kind == kind })
}

// request is the Data of our Configure-Request.
func (l *Link) request(c *control) []byte {
	var b []byte
	for i := range c.options {
		if data := l.asked(c, i); data != nil {
			b = pppmsg.Option{Type: c.options[i].kind, Data: data}.Append(b)
		}
	}
	return b
}

func (l *Link) asked(c *control, row int) []byte {
	if c.options[row].ask == nil || c.dropped&(1<<row) != 0 {
		return nil
	}
	return c.options[row].ask(l)
}

// configureRequest judges the peer's wishes and answers them.
func (l *Link) configureRequest(now time.Time, c *control, p pppmsg.Packet, out *Out) {
	options, err := pppmsg.ParseOptions(p.Data)
	if err != nil {
		return
	}
	if !c.negotiable() {
		l.fire(now, c, rcrPlus, occasion{packet: p}, out) // no option matters any more
		return
	}
	if c == &l.lcp && p.Identifier == c.id && l.ownMagic() != 0 && bytes.Equal(p.Data, l.request(c)) {
		l.giveUp(now, c, looped(), out) // nobody else has our Magic-Number (RFC 1661, Section 6.4)
		return
	}
	reply, failed := l.judge(c, options)
	switch {
	case failed != nil:
		l.giveUp(now, c, failed, out)
		return
	case reply == nil:
		c.naks = 0
		l.keep(c, options)
		l.fire(now, c, rcrPlus, occasion{p, pppmsg.Packet{Code: pppmsg.ConfigureAck, Identifier: p.Identifier, Data: p.Data}}, out)
		return
	case !l.turn(now, c, out):
		return
	case reply.Code == pppmsg.ConfigureNak:
		c.naks++
	}
	reply.Identifier = p.Identifier
	l.fire(now, c, rcrMinus, occasion{p, *reply}, out)
}

// negotiable tells whether an option may still be agreed on.
func (c *control) negotiable() bool { return c.state == stopped || c.state >= reqSent }

// judge makes a Configure-Reject if anything must be rejected, else a
// Configure-Nak if anything has to change, else nil. Windows hangs up when both
// kinds come in the other order (RFC 1661, Section 5.4 has Reject first, too).
func (l *Link) judge(c *control, options []pppmsg.Option) (*pppmsg.Packet, *failure) {
	var rejects, naks []pppmsg.Option
	var seen uint16
	for _, o := range options {
		i := c.row(o.Type)
		if i < 0 || seen&(1<<i) != 0 || l.verdict(&c.options[i], o.Data) == reject {
			rejects = append(rejects, o)
			continue
		}
		seen |= 1 << i
		switch row := &c.options[i]; {
		case l.verdict(row, o.Data) == ack:
		case !l.spent(c):
			naks = append(naks, pppmsg.Option{Type: o.Type, Data: row.suggest(l)})
		case row.firm:
			return nil, insists(c, o)
		default:
			rejects = append(rejects, o)
		}
	}
	for i := range c.options {
		if row := &c.options[i]; row.must && seen&(1<<i) == 0 && len(rejects) == 0 {
			if l.spent(c) {
				return nil, leavesOut(c, row.kind)
			}
			naks = append(naks, pppmsg.Option{Type: row.kind, Data: row.suggest(l)})
		}
	}
	switch {
	case len(rejects) > 0:
		return &pppmsg.Packet{Code: pppmsg.ConfigureReject, Data: pppmsg.AppendOptions(nil, rejects)}, nil
	case len(naks) > 0:
		return &pppmsg.Packet{Code: pppmsg.ConfigureNak, Data: pppmsg.AppendOptions(nil, naks)}, nil
	}
	return nil, nil
}

// verdict of one option. A known option of a wrong length gets a Nak with a
// right one (RFC 1661, Section 6).
func (l *Link) verdict(o *option, data []byte) verdict {
	v := nak
	switch {
	case o.judge == nil:
		return reject
	case o.size < 0 || len(data) == o.size:
		v = o.judge(l, data)
	}
	if v == nak && (o.suggest == nil || o.suggest(l) == nil) {
		return reject
	}
	return v
}

// spent: Max-Failure Naks have not helped (RFC 1661, Section 4.6).
func (l *Link) spent(c *control) bool { return int(c.naks) >= cmp.Or(l.cfg.MaxFailure, 5) }

// keep takes over what is about to be acknowledged, and nothing of before.
func (l *Link) keep(c *control, options []pppmsg.Option) {
	c.reset(l)
	for _, o := range options {
		if row := c.options[c.row(o.Type)]; row.keep != nil {
			row.keep(l, o.Data)
		}
	}
}

// configureNak takes a Configure-Nak or -Reject of our last request.
func (l *Link) configureNak(now time.Time, c *control, p pppmsg.Packet, out *Out) {
	options, err := pppmsg.ParseOptions(p.Data)
	if err != nil || p.Identifier != c.id || c.answered || c.state < reqSent {
		return
	}
	if p.Code == pppmsg.ConfigureReject && !l.ours(c, options) {
		return
	}
	if !l.turn(now, c, out) {
		return
	}
	c.answered = true
	for i, o := range options {
		if slices.ContainsFunc(options[:i], func(x pppmsg.Option) bool { return x.Type == o.Type }) {
			continue // a list of wishes, of which the first is the dearest (RFC 1661, Section 5.3)
		}
		if f := l.concede(c, p.Code, o); f != nil {
			l.giveUp(now, c, f, out)
			return
		}
	}
	l.fire(now, c, rcn, occasion{packet: p}, out)
}

// ours tells whether a Configure-Reject holds options of our last request as we
// sent them, and at least one (RFC 1661, Section 5.4).
func (l *Link) ours(c *control, options []pppmsg.Option) bool {
	for _, o := range options {
		i := c.row(o.Type)
		if i < 0 {
			return false
		}
		if asked := l.asked(c, i); asked == nil || !bytes.Equal(asked, o.Data) {
			return false
		}
	}
	return len(options) > 0
}

// concede changes what we ask for. A Nak of what we did not ask for is a wish
// of the peer that we do not grant (RFC 1661, Section 5.3).
func (l *Link) concede(c *control, code pppmsg.Code, o pppmsg.Option) *failure {
	i := c.row(o.Type)
	if i < 0 || l.asked(c, i) == nil {
		return nil
	}
	row := &c.options[i]
	if code == pppmsg.ConfigureReject {
		if row.rejected != nil {
			return row.rejected(l)
		}
		c.dropped |= 1 << i
		return nil
	}
	if row.nakked == nil || row.size >= 0 && len(o.Data) != row.size {
		return nil
	}
	return row.nakked(l, o.Data)
}
