package l2tp

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/simnet"
	"sallyport/protocol/l2tp/l2tpmsg"
)

// The world of the tests: a client (LAC) and a gateway (LNS) with a path
// between them that loses, repeats and reorders. ESP is not simulated: what one
// end sends, the other gets as authentic.

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const pathDelay = 10 * time.Millisecond

type world struct {
	t        testing.TB
	net      *simnet.Network
	lac, lns *end

	onTheWay func(*end) // after every call
	redial   bool       // the client dials again a second after it is cut off
}

// end is one side.
type end struct {
	w      *world
	name   string
	addr   netip.AddrPort
	cfg    *Config
	e      *Endpoint
	host   *simnet.Host
	out    Out
	events []Event
	sent   []l2tpmsg.Message // control messages
	octets int
	zlbs   int
}

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{t: t, net: simnet.New(seed, start)}
	w.net.Link.Delay = pathDelay
	w.lac = w.end("client", "192.0.2.1:1701", Config{Role: LAC, HostName: "PC-17", VendorName: "Sallyport"})
	w.lns = w.end("gateway", "198.51.100.1:1701", Config{Role: LNS, HostName: "vpn.example.org", VendorName: "Sallyport", Firmware: 0x0100})
	return w
}

func (w *world) end(name, addr string, cfg Config) *end {
	p := &end{w: w, name: name, addr: netip.MustParseAddrPort(addr), cfg: &cfg}
	cfg.rand = func(b []byte) {
		for i := range b {
			b[i] = byte(w.net.Rand.Uint32())
		}
	}
	p.e = NewEndpoint(&cfg)
	p.host = w.net.Host(p.addr.Addr(), nil, simnet.Machine{
		Receive:  func(now time.Time, d simnet.Datagram) { p.e.Receive(now, d.Data, &p.out); p.drain() },
		Timeout:  func(now time.Time) { p.e.Timeout(now, &p.out); p.drain() },
		Deadline: func() time.Time { return p.e.Deadline() },
	})
	return p
}

func (p *end) other() *end {
	if p == p.w.lac {
		return p.w.lns
	}
	return p.w.lac
}

// drain sends and keeps what a machine wants done.
func (p *end) drain() {
	for _, b := range p.out.Send {
		p.octets += len(b)
		if l2tpmsg.IsControl(b) {
			m, err := l2tpmsg.Parse(b)
			if err != nil {
				p.w.t.Fatalf("the %s sent what does not parse: %v", p.name, err)
			}
			if len(m.AVPs) == 0 {
				p.zlbs++
			} else {
				p.sent = append(p.sent, m)
			}
		}
		p.host.Send(simnet.Datagram{Local: p.addr, Remote: p.other().addr, Data: b})
	}
	for _, e := range p.out.Events {
		if f, ok := e.(Frame); ok {
			e = Frame{f.Session, bytes.Clone(f.PPP)}
		}
		p.events = append(p.events, e)
		p.cutOff(e)
	}
	p.out.Reset()
	if p.w.onTheWay != nil {
		p.w.onTheWay(p)
	}
}

// cutOff lets the client dial again.
func (p *end) cutOff(e Event) {
	if !p.w.redial || p.cfg.Role != LAC {
		return
	}
	switch e.(type) {
	case CallDown, Refused, TunnelDown:
		p.w.net.At(p.w.now(), func() {
			if t := p.e.live; t != nil && len(t.calls) == 0 {
				p.do(CloseTunnel{})
			}
		})
		p.w.net.At(p.w.now().Add(time.Second), p.connect)
	}
}

func (w *world) now() time.Time { return w.net.Now() }

func (w *world) run(d time.Duration) { w.net.Run(w.now().Add(d)) }

func (p *end) connect() { p.e.Connect(p.w.now(), &p.out); p.drain() }

// crash makes an end forget everything, as a restart does.
func (p *end) crash() { p.e, p.events = NewEndpoint(p.cfg), nil }

func (p *end) do(c Command) { p.e.Do(p.w.now(), c, &p.out); p.drain() }

// ppp sends a PPP frame from an end's only call.
func (p *end) ppp(frame string) {
	p.w.t.Helper()
	up, ok := last[CallUp](p)
	if !ok {
		p.w.t.Fatalf("the %s has no call", p.name)
	}
	b, ok := p.e.AppendFrame(nil, up.Session, []byte(frame))
	if !ok {
		p.w.t.Fatalf("the %s has no session %d", p.name, up.Session)
	}
	p.host.Send(simnet.Datagram{Local: p.addr, Remote: p.other().addr, Data: b})
}

// of is all events of a kind at an end.
func of[E Event](p *end) (found []E) {
	for _, e := range p.events {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

func last[E Event](p *end) (e E, ok bool) {
	all := of[E](p)
	if len(all) == 0 {
		return e, false
	}
	return all[len(all)-1], true
}

// up brings a tunnel and a call up.
func (w *world) up() {
	w.t.Helper()
	w.lac.connect()
	w.run(10 * pathDelay)
	for _, p := range []*end{w.lac, w.lns} {
		if len(of[TunnelUp](p)) != 1 || len(of[CallUp](p)) != 1 {
			w.t.Fatalf("the %s has %s", p.name, w.show(p))
		}
	}
}

func (w *world) show(p *end) string {
	var b strings.Builder
	for _, e := range p.events {
		fmt.Fprintf(&b, "\n\t%T%+v", e, e)
	}
	return b.String()
}

// types are the messages that an end sent.
func (p *end) types() []l2tpmsg.MessageType {
	var all []l2tpmsg.MessageType
	for _, m := range p.sent {
		kind, _, _ := m.Type()
		all = append(all, kind)
	}
	return all
}

func (p *end) count(kind l2tpmsg.MessageType) int {
	n := 0
	for _, t := range p.types() {
		if t == kind {
			n++
		}
	}
	return n
}

func avp(t testing.TB, m l2tpmsg.Message, kind l2tpmsg.AVPType) l2tpmsg.AVP {
	t.Helper()
	for _, a := range m.AVPs {
		if a.Type == kind && a.Vendor == 0 {
			return a
		}
	}
	t.Fatalf("no %v in %v", kind, m)
	return l2tpmsg.AVP{}
}

// encode makes a control message.
func encode(t testing.TB, h l2tpmsg.ControlHeader, kind l2tpmsg.MessageType, avps ...l2tpmsg.AVP) []byte {
	t.Helper()
	b, err := l2tpmsg.New(h, kind, avps...).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
