package legacy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/simnet"
	"sallyport/protocol/ike"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/l2tp/l2tpmsg"
	"sallyport/protocol/ppp"
	"sallyport/protocol/ppp/pppmsg"
)

// stop is how far a client goes before it says nothing more.
type stop int

const (
	stopNever stop = iota
	stopMain       // main mode is done, no quick mode
	stopQuick      // an SA is there, no L2TP
	stopSCCRQ      // sent, and no answer taken
	stopCall       // the call is up, no PPP
	stopLCP        // LCP is open, and nothing of EAP is heard
	stopEAP        // EAP has begun
	stopIPCP       // logged in, and nothing of the network is heard
)

// client is a machine of IKEv1, with L2TP inside and PPP inside of that. It
// dials again when it is cut off, if it should.
type client struct {
	w    *world
	name string
	user string
	id   *isakmp.ID // as IKE knows it; nil: its name
	addr netip.Addr
	port uint16 // after floating
	host *simnet.Host
	plane

	policy  *ikev1.Policy
	l2tp    *l2tp.Config
	ppp     *ppp.Config
	stops   stop
	naks    bool // every EAP method
	noHello bool // as Android up to 10, answers no HELLO
	again   bool // dial again
	life    int  // crashes so far: jobs of an earlier life are lost

	ike     *ikev1.Session
	out     uint32 // inbound SPI of the SA in use; 0: none
	lac     *l2tp.Endpoint
	call    l2tp.CallUp
	link    *ppp.Link
	network *ppp.NetworkUp
	proven  bool // the method of EAP has come to its end
	log     []string

	carried, received int // packets that came through, each way
	told              int // router advertisements
	ups               int // how often the network came up
}

func (w *world) client(name, addr string, nat *simnet.NAT) *client {
	c := &client{w: w, name: name, user: name, addr: netip.MustParseAddr(addr), port: 4500, policy: testPolicy()}
	c.l2tp = &l2tp.Config{Role: l2tp.LAC, HostName: name}
	c.ppp = &ppp.Config{Role: ppp.Client, DNS: true, Short: true}
	c.plane = plane{w: w, name: name, sas: map[uint32]*sa{}, send: func(d simnet.Datagram) { c.host.Send(d) }}
	c.host = w.net.Host(c.addr, nat, simnet.Machine{Receive: c.receive, Timeout: c.timeout, Deadline: c.deadline})
	w.clients = append(w.clients, c)
	return c
}

func (c *client) g() *gate { return c.w.g }

func (c *client) identity() isakmp.ID {
	if c.id != nil {
		return *c.id
	}
	return isakmp.ID{Type: isakmp.IDFQDN, Data: []byte(c.name)}
}

func (c *client) note(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf("%6.2f ", c.w.now().Sub(begin).Seconds())+fmt.Sprintf(format, args...))
}

func (c *client) up() bool { return c.network != nil }

// dial begins main mode.
func (c *client) dial() {
	c.note("dials")
	id := &ikev1.Identity{ID: c.identity()}
	cfg := &ikev1.Config{
		Policy: c.policy, NewCookie: func() uint64 { return c.w.net.Rand.Uint64() | 1 },
		NewSPI: func() uint32 { return c.w.net.Rand.Uint32() | 1<<20 }, Heard: c.heard,
	}
	c.withIKE(func(o *ikev1.Out) {
		c.ike = ikev1.NewInitiator(cfg, ikev1.Connect{
			Local: netip.AddrPortFrom(c.addr, 500), Remote: netip.AddrPortFrom(gateway, 500), NATTLocal: c.port,
			Identity: id, InitialContact: true,
		}, c.w.now(), o)
	})
}

// crash forgets everything, and tells nobody.
func (c *client) crash() {
	c.note("crashes")
	c.life++
	c.ike, c.out, c.lac, c.link, c.network = nil, 0, nil, nil, nil
	clear(c.sas)
}

// leave ends everything in order.
func (c *client) leave() {
	c.note("leaves")
	c.again = false
	if c.link != nil {
		c.withPPP(func(o *ppp.Out) { c.link.Do(c.w.now(), ppp.Close{Text: "bye"}, o) })
	}
	life := c.life
	c.w.net.At(c.w.now().Add(3*time.Second), func() {
		if c.life == life {
			c.hangUp()
		}
	})
}

// hangUp closes the tunnel, and IPsec a little later.
func (c *client) hangUp() {
	if c.lac != nil {
		c.withL2TP(func(o *l2tp.Out) { c.lac.Do(c.w.now(), l2tp.CloseTunnel{}, o) })
	}
	life := c.life
	c.w.net.At(c.w.now().Add(3*time.Second), func() {
		if c.life == life {
			c.closeIKE()
		}
	})
}

func (c *client) closeIKE() {
	if c.ike != nil {
		c.withIKE(func(o *ikev1.Out) { c.ike.Do(c.w.now(), ikev1.Close{}, o) })
	}
}

// over is the end of IKE, and of everything with it.
func (c *client) over(why string) {
	c.note("is over: %s", why)
	c.crash()
	if c.again {
		c.w.net.At(c.w.now().Add(5*time.Second), func() {
			if c.ike == nil && c.again {
				c.dial()
			}
		})
	}
}

func (c *client) receive(now time.Time, d simnet.Datagram) {
	if p, ok := c.w.parsePacket(d.Data); ok {
		c.receiveESP(now, p, d)
		return
	}
	if c.ike != nil {
		c.withIKE(func(o *ikev1.Out) {
			c.ike.Receive(now, ikev1.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data}, o)
		})
	}
}

func (c *client) receiveESP(now time.Time, p packet, d simnet.Datagram) {
	a, events := c.open(now, p, d)
	if a == nil || c.ike == nil {
		return
	}
	for _, ev := range events {
		if e := ev.(ike.PlaneEvent); e.Kind == ike.FirstInbound {
			c.withIKE(func(o *ikev1.Out) {
				c.ike.Do(now, ikev1.PlaneEvent{Kind: ikev1.FirstInbound, SPIIn: e.SPIIn}, o)
			})
		}
	}
	if c.lac == nil || c.stops == stopSCCRQ || c.noHello && isHello(p.msg) {
		return
	}
	if text, ok := cargo(p.msg, c.call.Tunnel, c.call.Session); ok && c.link != nil {
		if text != c.user && text[0]>>4 != 4 {
			c.w.t.Fatalf("%s got a packet of %q", c.name, text)
		}
		c.received++
		c.link.Heard(now)
		return
	}
	c.withL2TP(func(o *l2tp.Out) { c.lac.Receive(now, p.msg, o) })
}

func isHello(msg []byte) bool {
	m, err := l2tpmsg.Parse(msg)
	if err != nil || len(m.AVPs) == 0 {
		return false
	}
	kind, _, _ := m.Type()
	return kind == l2tpmsg.HELLO
}

func (c *client) deadline() time.Time {
	var next time.Time
	add := func(d time.Time) {
		if !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	if c.ike != nil && !(c.stops == stopMain && c.out == 0 && !c.ike.Established().IsZero()) {
		add(c.ike.Deadline())
	}
	if c.lac != nil && c.stops != stopSCCRQ {
		add(c.lac.Deadline())
	}
	if c.link != nil {
		add(c.link.Deadline())
	}
	return next
}

func (c *client) timeout(now time.Time) {
	if c.ike != nil && due(c.ike.Deadline(), now) {
		c.withIKE(func(o *ikev1.Out) { c.ike.Timeout(now, o) })
	}
	if c.lac != nil && c.stops != stopSCCRQ && due(c.lac.Deadline(), now) {
		c.withL2TP(func(o *l2tp.Out) { c.lac.Timeout(now, o) })
	}
	if c.link != nil && due(c.link.Deadline(), now) {
		c.withPPP(func(o *ppp.Out) { c.link.Timeout(now, o) })
	}
}

// ---- IKE

func (c *client) withIKE(call func(*ikev1.Out)) {
	var o ikev1.Out
	call(&o)
	life, of := c.life, c.ike
	for _, d := range o.Send {
		quick := len(d.Data) > 18 && d.Data[18] == byte(isakmp.ExchangeQuick)
		if quick && c.stops == stopMain {
			continue
		}
		c.host.Send(simnet.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data})
	}
	for _, j := range o.Jobs {
		c.w.later(func() {
			if c.life == life {
				value, err := c.work(j.Task)
				c.withIKE(func(o *ikev1.Out) { of.Done(c.w.now(), ikev1.Result{ID: j.ID, Value: value, Err: err}, o) })
			}
		})
	}
	for _, ev := range o.Events {
		if c.life == life {
			c.ikeEvent(ev)
		}
	}
}

func (c *client) work(t ikev1.Task) (any, error) {
	switch t := t.(type) {
	case ikev1.GenerateKE:
		return t.Run()
	case ikev1.SharedSecret:
		return t.Run()
	case ikev1.SharedKey:
		return ikev1.Key{Secret: secret.Bytes(groupKey), Identity: &ikev1.Identity{ID: c.identity()}}, nil
	case *ikev1.Authenticate:
		return &ikev1.Admission{Name: t.PeerID.String()}, nil
	}
	return nil, fmt.Errorf("unknown task %T", t)
}

func (c *client) ikeEvent(ev ikev1.Event) {
	switch ev := ev.(type) {
	case ikev1.SAUp:
		c.add(&sa{spiIn: ev.SA.SPIIn, spiOut: ev.SA.SPIOut, local: ev.SA.Local, remote: ev.SA.Remote, keyIn: ev.SA.KeyIn, keyOut: ev.SA.KeyOut}, ev.SA.Outbound)
		if ev.SA.Outbound || c.out == 0 {
			c.out = ev.SA.SPIIn
		}
		if c.lac == nil && c.stops != stopQuick {
			c.lac = l2tp.NewEndpoint(c.l2tp)
			c.withL2TP(func(o *l2tp.Out) { c.lac.Connect(c.w.now(), o) })
		}
	case ikev1.SAOutbound:
		c.out = ev.SPIIn
	case ikev1.SADown:
		delete(c.sas, ev.SPIIn)
		if c.out == ev.SPIIn {
			c.out = 0
		}
	case ikev1.Moved:
		for _, spi := range ev.SPIs {
			c.move(spi, ev.Local, ev.Remote)
		}
	case ikev1.Refused:
		c.note("IKE: %s", ev.Record.Reason)
	case ikev1.Closed:
		c.over(fmt.Sprintf("IKE %d, %v", ev.Reason, ev.Err))
	}
}

func (c *client) rekey1() {
	c.withIKE(func(o *ikev1.Out) { c.ike.Do(c.w.now(), ikev1.RekeyPhase1{}, o) })
}

func (c *client) rekey2() {
	c.withIKE(func(o *ikev1.Out) { c.ike.Do(c.w.now(), ikev1.RekeyPhase2{}, o) })
}

// ---- L2TP

func (c *client) withL2TP(call func(*l2tp.Out)) {
	var o l2tp.Out
	call(&o)
	life := c.life
	for _, ev := range o.Events {
		if c.life == life {
			c.l2tpEvent(ev)
		}
	}
	for _, msg := range o.Send {
		c.say(msg)
	}
}

// port of Apple's L2TP is any but 1701.
const clientPort = 51701

func (c *client) say(msg []byte) {
	if c.sas[c.out] != nil {
		c.seal(c.out, clientPort, msg, c)
	}
}

func (c *client) l2tpEvent(ev l2tp.Event) {
	switch ev := ev.(type) {
	case l2tp.CallUp:
		c.call = ev
		if c.stops != stopCall {
			c.withPPP(func(o *ppp.Out) { c.link = ppp.New(c.ppp, c.w.now(), o) })
		}
	case l2tp.Frame:
		if f, err := pppmsg.ParseFrame(ev.PPP); err == nil && f.Protocol == pppmsg.IPv6 {
			c.told++ // the gateway's plane sends none in these tests
		}
		if c.link != nil && ev.Session == c.call.Session && !c.deaf(ev.PPP) {
			c.withPPP(func(o *ppp.Out) { c.link.Receive(c.w.now(), ev.PPP, o) })
		}
	case l2tp.CallDown:
		c.note("call down: %s", ev.Reason)
		c.cutOff()
	case l2tp.TunnelDown:
		c.note("tunnel down: %s", ev.Reason)
	case l2tp.Refused:
		c.note("L2TP refused: %s", ev.Reason)
		c.cutOff()
	}
}

// deaf tells whether a frame is not heard by a client that has stopped.
func (c *client) deaf(frame []byte) bool {
	f, err := pppmsg.ParseFrame(frame)
	return err == nil && (c.stops == stopLCP && f.Protocol == pppmsg.EAP || c.stops == stopIPCP && f.Protocol >= 0x8000 && f.Protocol < 0xc000)
}

// cutOff is the end of the call: this client then closes IPsec too.
func (c *client) cutOff() {
	c.link, c.network = nil, nil
	if c.stops == stopNever {
		c.hangUp()
	}
}

// ---- PPP

func (c *client) withPPP(call func(*ppp.Out)) {
	var o ppp.Out
	before := c.link
	call(&o)
	life, of := c.life, c.link
	if before != nil && of != before {
		return
	}
	for _, f := range o.Send {
		if msg, ok := c.lac.AppendFrame(nil, c.call.Session, f); ok {
			c.say(msg)
		}
	}
	for _, j := range o.Jobs {
		c.w.later(func() {
			if c.life != life || c.link != of {
				return
			}
			step, err := c.answer(j.Task.(ppp.EAP))
			c.withPPP(func(o *ppp.Out) { of.Done(c.w.now(), ppp.Result{ID: j.ID, Value: step, Err: err}, o) })
		})
	}
	for _, ev := range o.Events {
		if c.life == life {
			c.pppEvent(ev)
		}
	}
}

func (c *client) pppEvent(ev ppp.Event) {
	switch ev := ev.(type) {
	case ppp.Opened:
		c.proven = false
	case ppp.NetworkUp:
		if c.network == nil {
			c.ups++
			c.note("network up: %v", ev.IPv4)
		}
		c.network = &ev
	case ppp.NetworkDown:
		c.note("network down")
		c.network = nil
	case ppp.Refused:
		c.note("PPP refused: %s", ev.Reason)
	case ppp.Down:
		c.note("link down: %s", ev.Reason)
		c.link, c.network = nil, nil
		c.hangUp()
	}
}

// ---- Packets

// traffic sends a packet each way.
func (c *client) traffic() {
	if c.up() {
		c.say(load(c.call.PeerTunnel, c.call.PeerSession, c.user))
	}
	for _, p := range c.g().live() {
		if p.up && p.admits.Identity == c.user {
			c.g().toClient(p, c.user)
		}
	}
}

// toClient is the plane's outbound half: a packet for the session's addresses.
func (g *gate) toClient(p *peer, text string) {
	a := g.inUse(p)
	if a == nil || a.call == nil {
		return
	}
	g.seal(a.spiIn, a.call.RemotePort, load(a.call.PeerTunnel, a.call.PeerSession, text), nil)
}

// works checks that packets come through, both ways.
func (c *client) works() {
	c.w.t.Helper()
	before := [2]int{c.carried, c.received}
	for range 20 {
		c.traffic()
		c.w.run(time.Second)
		if c.carried > before[0] && c.received > before[1] {
			return
		}
	}
	c.w.t.Fatalf("%s: no packet comes through: up %d of 20, down %d of 20\n%s", c.name, c.carried-before[0], c.received-before[1], c.g().story())
}

// wantUp waits for the client's network, and lets packets flow.
func (c *client) wantUp() {
	c.w.t.Helper()
	c.w.until(c.name+" is up", c.up)
	c.works()
}

// wantLog checks that the client has seen these, in this order.
func (c *client) wantLog(lines ...string) {
	c.w.t.Helper()
	rest := strings.Join(c.log, "; ")
	for _, line := range lines {
		_, after, ok := strings.Cut(rest, line)
		if !ok {
			c.w.t.Errorf("%s has not seen %q, or not in that order: %s", c.name, line, strings.Join(c.log, "; "))
			return
		}
		rest = after
	}
}
