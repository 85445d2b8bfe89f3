package l2tpload

import (
	"net/netip"
	"time"

	"sallyport/protocol/eap"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/l2tp/l2tpmsg"
	"sallyport/protocol/ppp"
)

// state is where a client is on its way.
type state uint8

const (
	down state = iota
	rising
	up
	leaving
)

// member is one client.
type member struct {
	crowd  *Crowd
	number int
	person *Person
	source netip.Addr
	socket *socket
	from   []byte // control message with the source, on a shared socket

	state state
	begun time.Time
	why   string // what ended it

	ike   *ikev1.Session
	sas   []*sa // oldest first
	out   *sa   // that is sent on; nil: none
	l2tp  *l2tp.Endpoint
	call  uint16 // our session of the call that is up; 0: none
	link  *ppp.Link
	login *eap.Peer
	net   ppp.NetworkUp

	due   time.Time
	index int // in the heap of timers
}

// dial begins with main mode.
func (m *member) dial(now time.Time) {
	m.state, m.begun, m.why = rising, now, ""
	m.withIKE(now, func(o *ikev1.Out) { m.ike = ikev1.NewInitiator(m.ikeConfig(), m.connect(), now, o) })
	m.settle(now)
}

// timeout does what is due in each layer.
func (m *member) timeout(now time.Time) {
	c, sent := m.crowd, m.crowd.sent
	if m.ike != nil && due(m.ike.Deadline(), now) {
		m.withIKE(now, func(o *ikev1.Out) { m.ike.Timeout(now, o) })
	}
	if m.l2tp != nil && due(m.l2tp.Deadline(), now) {
		m.withL2TP(now, func(o *l2tp.Out) { m.l2tp.Timeout(now, o) })
	}
	if m.link != nil && due(m.link.Deadline(), now) {
		m.withPPP(now, func(o *ppp.Out) { m.link.Timeout(now, o) })
	}
	if m.state == rising && c.sent > sent {
		c.report.Repeated++ // no timer sends anything else before a client is up
	}
	m.settle(now)
}

func due(d, now time.Time) bool { return !d.IsZero() && !now.Before(d) }

// settle ends every call into a client: L2TP begins when there is an SA, the
// end of one layer ends those above it, and the timer is set.
func (m *member) settle(now time.Time) {
	switch {
	case m.ike == nil:
	case m.ike.Dead():
		m.forget(m.why)
	case m.out != nil && m.l2tp == nil && m.state == rising:
		m.l2tp = l2tp.NewEndpoint(m.l2tpConfig())
		m.withL2TP(now, func(o *l2tp.Out) { m.l2tp.Connect(now, o) })
	}
	m.crowd.timers.set(m, m.deadline())
}

func (m *member) deadline() time.Time {
	var next time.Time
	add := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if m.ike != nil {
		add(m.ike.Deadline())
	}
	if m.l2tp != nil {
		add(m.l2tp.Deadline())
	}
	if m.link != nil {
		add(m.link.Deadline())
	}
	return next
}

// arrived: the network is up.
func (m *member) arrived(now time.Time, n ppp.NetworkUp) {
	m.net = n
	if m.state != rising {
		return
	}
	m.state = up
	c := m.crowd
	c.rising--
	c.report.Done++
	c.latency = append(c.latency, now.Sub(m.begun))
	c.fill()
}

// leave ends PPP, and with it the rest: see hungUp.
func (m *member) leave(now time.Time) {
	switch {
	case m.state == up && m.link != nil:
		m.state = leaving
		m.withPPP(now, func(o *ppp.Out) { m.link.Do(now, ppp.Close{Text: "good bye"}, o) })
		m.settle(now)
	case m.state != leaving:
		m.forget("left")
	}
}

// hungUp: PPP or L2TP is over, and what is below them has no use any more. The
// tunnel and IPsec say their last words.
func (m *member) hungUp(now time.Time, why string) {
	if m.ike == nil || m.l2tp == nil {
		return
	}
	m.link, m.call, m.why = nil, 0, why
	var o l2tp.Out
	m.l2tp.Do(now, l2tp.CloseTunnel{Result: l2tpmsg.StopGeneral}, &o)
	m.l2tp = nil
	for _, msg := range o.Send {
		m.sendMessage(msg)
	}
	m.withIKE(now, func(o *ikev1.Out) { m.ike.Do(now, ikev1.Close{Reason: why}, o) })
	m.forget(why)
}

// forget lets go of everything, without a word.
func (m *member) forget(why string) {
	was := m.state
	if m.login != nil {
		m.login.Close()
	}
	m.state, m.why = down, why
	m.ike, m.sas, m.out, m.l2tp, m.call, m.link, m.login, m.net = nil, nil, nil, nil, 0, nil, nil, ppp.NetworkUp{}
	c := m.crowd
	c.timers.set(m, time.Time{})
	if was == rising {
		c.rising--
		c.report.Failed++
		c.report.LastError = why
		c.fill()
	}
}

func (m *member) rekey(now time.Time) {
	m.withIKE(now, func(o *ikev1.Out) { m.ike.Do(now, ikev1.RekeyPhase2{}, o) })
	m.settle(now)
}
