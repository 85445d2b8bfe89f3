package ppp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/simnet"
	"sallyport/protocol/ppp/pppmsg"
)

var (
	begin      = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	serverIPv4 = netip.MustParseAddr("10.70.0.1")
	clientIPv4 = netip.MustParseAddr("10.70.0.9")
	clientIPv6 = netip.MustParsePrefix("fd00:70:0:9::/64")
	resolvers  = []netip.Addr{netip.MustParseAddr("10.70.0.1"), netip.MustParseAddr("fd00:70::1"), netip.MustParseAddr("10.70.0.2")}
)

// assignedTo is what every client of the tests gets.
func assignedTo() Assigned {
	return Assigned{IPv4: clientIPv4, IPv6: clientIPv6, DNS: resolvers, InterfaceID: InterfaceID{0, 0, 0, 0, 0, 0, 0, 1}, PeerInterfaceID: InterfaceID{0, 0, 0, 0, 0, 0, 0, 9}}
}

// talk is one end's conversation behind the EAP job: rounds requests of some
// length, then Success. It stands for the machines of package eap.
type talk struct {
	server  bool
	rounds  int
	size    int
	begun   int
	current int // request that is out
}

func (e *talk) step(t EAP) (EAPStep, error) {
	if t.Packet == nil {
		e.begun++
		e.current = 0
		return EAPStep{Packet: e.request()}, nil
	}
	p, err := pppmsg.ParseEAP(t.Packet)
	if err != nil {
		return EAPStep{}, err
	}
	if !e.server {
		return e.respond(p)
	}
	if !bytes.HasPrefix(p.Data, []byte{13}) {
		return EAPStep{}, nil // not a response of this method: dropped
	}
	if e.current++; e.current < e.rounds {
		return EAPStep{Packet: e.request()}, nil
	}
	return EAPStep{Packet: pppmsg.EAPPacket{Code: pppmsg.EAPSuccess, Identifier: p.Identifier}.Append(nil), Success: true, Value: "alice"}, nil
}

func (e *talk) request() []byte {
	data := append([]byte{13, byte(e.current)}, make([]byte, e.size)...)
	return pppmsg.EAPPacket{Code: pppmsg.EAPRequest, Identifier: byte(e.begun*40 + e.current), Data: data}.Append(nil)
}

func (e *talk) respond(p pppmsg.EAPPacket) (EAPStep, error) {
	switch p.Code {
	case pppmsg.EAPRequest:
		if len(p.Data) < 2 || p.Data[0] != 13 {
			return EAPStep{}, nil
		}
		e.current = int(p.Data[1]) + 1
		return EAPStep{Packet: pppmsg.EAPPacket{Code: pppmsg.EAPResponse, Identifier: p.Identifier, Data: p.Data}.Append(nil)}, nil
	case pppmsg.EAPSuccess:
		if e.current < e.rounds {
			return EAPStep{Failure: &Refusal{Reason: "EAP-Success before the method was done"}}, nil
		}
		return EAPStep{Success: true}, nil
	}
	return EAPStep{Failure: &Refusal{Reason: "the server said EAP-Failure"}}, nil
}

// end is one end of a link with everything around it.
type end struct {
	t        testing.TB
	now      func() time.Time
	link     *Link
	cfg      *Config
	out      Out
	eap      func(EAP) (EAPStep, error)
	assign   func(Assign) (Assigned, error)
	transmit func([]byte)
	later    func(func()) // when jobs are answered; nil = at once

	sent    [][]byte
	events  []Event
	jobs    int
	pending int
	up      *NetworkUp
	upAt    time.Time
	down    *Down
	refused []Refused
	logins  int
}

// drain acts as the caller does: events, frames, jobs.
func (e *end) drain() {
	events, send, tasks := slices.Clone(e.out.Events), slices.Clone(e.out.Send), slices.Clone(e.out.Jobs)
	e.out.Reset()
	for _, ev := range events {
		e.event(ev)
	}
	for _, f := range send {
		e.sent = append(e.sent, f)
		if e.transmit != nil {
			e.transmit(f)
		}
	}
	for _, j := range tasks {
		if e.pending++; e.pending > 1 {
			e.t.Fatal("two jobs are outstanding")
		}
		if link := e.link; e.later != nil {
			e.later(func() {
				if e.link == link {
					e.finish(j)
				}
			})
		} else {
			e.finish(j)
		}
	}
}

func (e *end) finish(j Job) {
	e.pending--
	e.jobs++
	r := Result{ID: j.ID}
	switch t := j.Task.(type) {
	case EAP:
		r.Value, r.Err = e.eap(t)
	case Assign:
		r.Value, r.Err = e.assign(t)
	}
	e.link.Done(e.now(), r, &e.out)
	e.drain()
}

// event checks what must hold of every sequence of events.
func (e *end) event(ev Event) {
	e.events = append(e.events, ev)
	if e.down != nil {
		e.t.Errorf("%#v after Down", ev)
	}
	switch ev := ev.(type) {
	case Opened:
		e.logins = 0
	case Authenticated:
		e.logins++
	case NetworkUp:
		if e.logins != 1 {
			e.t.Errorf("the network is up after %d logins", e.logins)
		}
		e.up, e.upAt = &ev, e.now()
	case NetworkDown:
		if e.up == nil {
			e.t.Error("NetworkDown, but it was not up")
		}
		e.up = nil
	case Refused:
		e.refused = append(e.refused, ev)
	case Down:
		if e.up != nil {
			e.t.Error("Down without NetworkDown")
		}
		e.down = &ev
	}
}

func (e *end) receive(frame []byte) {
	e.link.Receive(e.now(), frame, &e.out)
	e.drain()
}

func (e *end) do(c Command) {
	e.link.Do(e.now(), c, &e.out)
	e.drain()
}

// world is a server and a client on a network.
type world struct {
	t              testing.TB
	net            *simnet.Network
	server, client *end
	mangle         func(from *end, frame []byte) [][]byte
}

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{t: t, net: simnet.New(seed, begin)}
	w.net.Link.Delay = 10 * time.Millisecond
	w.server = newEnd(t, &Config{Role: Server, Local: serverIPv4}, w.net.Rand)
	w.client = newEnd(t, &Config{Role: Client, DNS: true, Short: true}, w.net.Rand)
	w.attach(w.server, netip.MustParseAddrPort("192.0.2.1:1701"), netip.MustParseAddrPort("192.0.2.2:1701"))
	w.attach(w.client, netip.MustParseAddrPort("192.0.2.2:1701"), netip.MustParseAddrPort("192.0.2.1:1701"))
	return w
}

func newEnd(t testing.TB, cfg *Config, dice *rand.Rand) *end {
	conversation := &talk{server: cfg.Role == Server, rounds: 4, size: 1000}
	e := &end{t: t, cfg: cfg, now: func() time.Time { return begin }, eap: conversation.step,
		assign: func(Assign) (Assigned, error) { return assignedTo(), nil }}
	cfg.rand = func(b []byte) {
		for i := range b {
			b[i] = byte(dice.Uint32())
		}
	}
	return e
}

func (w *world) attach(e *end, local, remote netip.AddrPort) {
	e.now = w.net.Now
	h := w.net.Host(local.Addr(), nil, simnet.Machine{
		Receive: func(_ time.Time, d simnet.Datagram) {
			if e.link != nil {
				e.receive(d.Data)
			}
		},
		Timeout: func(now time.Time) {
			e.link.Timeout(now, &e.out)
			e.drain()
			if d := e.link.Deadline(); !d.IsZero() && !d.After(now) {
				w.t.Fatalf("Timeout at %v leaves the deadline %v", now, d)
			}
		},
		Deadline: func() time.Time {
			if e.link == nil {
				return time.Time{}
			}
			return e.link.Deadline()
		},
	})
	e.transmit = func(frame []byte) {
		all := [][]byte{frame}
		if w.mangle != nil {
			all = w.mangle(e, frame)
		}
		for _, f := range all {
			h.Send(simnet.Datagram{Local: local, Remote: remote, Data: f})
		}
	}
}

func (e *end) start() {
	e.link = New(e.cfg, e.now(), &e.out)
	e.drain()
}

func (w *world) run(d time.Duration) { w.net.Run(w.net.Now().Add(d)) }

// connect starts both ends and lets them talk.
func (w *world) connect(d time.Duration) {
	w.server.start()
	w.client.start()
	w.run(d)
}

// wantUp checks that both ends agree on an open network.
func (w *world) wantUp(ipv4, ipv6 bool) {
	w.t.Helper()
	s, c := w.server, w.client
	if s.up == nil || c.up == nil {
		w.t.Fatalf("the network is not up: server %v %+v, client %v %+v", s.down, s.refused, c.down, c.refused)
	}
	if s.up.IPv4.IsValid() != ipv4 || c.up.IPv4.IsValid() != ipv4 || s.up.IPv6Open != ipv6 || c.up.IPv6Open != ipv6 {
		w.t.Fatalf("IPv4 %t and IPv6 %t are wanted: server %+v, client %+v", ipv4, ipv6, *s.up, *c.up)
	}
	if ipv4 && (s.up.IPv4 != clientIPv4 || c.up.IPv4 != clientIPv4 || c.up.LocalIPv4 != s.up.LocalIPv4) {
		w.t.Errorf("addresses: server %+v, client %+v", *s.up, *c.up)
	}
	if ipv6 && (s.up.IPv6 != clientIPv6 || s.up.InterfaceID != c.up.PeerInterfaceID || c.up.InterfaceID != s.up.PeerInterfaceID || s.up.InterfaceID == c.up.InterfaceID) {
		w.t.Errorf("interface identifiers: server %+v, client %+v", *s.up, *c.up)
	}
}

// script is a server link whose peer is the test: it says octets and reads
// octets.
type script struct {
	*end
	clock time.Time
	read  int // frames of end.sent that were looked at
}

func newScript(t testing.TB, change ...func(*Config)) *script {
	s := &script{clock: begin}
	cfg := &Config{Role: Server, Local: serverIPv4}
	for _, c := range change {
		c(cfg)
	}
	s.end = newEnd(t, cfg, rand.New(rand.NewPCG(1, 2)))
	s.now = func() time.Time { return s.clock }
	s.start()
	return s
}

func octets(text string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(text))
	if err != nil {
		panic(err)
	}
	return b
}

// say gives the link a frame, as hex octets.
func (s *script) say(text string) {
	s.t.Helper()
	s.receive(octets(text))
}

// packet says a control packet.
func (s *script) packet(p pppmsg.Protocol, code pppmsg.Code, id uint8, data string) {
	s.t.Helper()
	s.receive(pppmsg.Frame{Protocol: p, Data: pppmsg.Packet{Code: code, Identifier: id, Data: octets(data)}.Append(nil)}.Append(nil))
}

// frames are those sent since the last look, in words: "LCP Configure-Reject
// 0d03061104...".
func (s *script) frames() []string {
	var all []string
	for _, b := range s.sent[s.read:] {
		all = append(all, words(b))
	}
	s.read = len(s.sent)
	return all
}

func words(frame []byte) string {
	f, err := pppmsg.ParseFrame(frame)
	if err != nil {
		return err.Error()
	}
	if f.Protocol == pppmsg.EAP {
		p, _ := pppmsg.ParseEAP(f.Data)
		return p.Code.String()
	}
	p, err := pppmsg.ParsePacket(f.Data)
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("%v %v", f.Protocol, p.Code)
	if len(p.Data) > 0 {
		text += fmt.Sprintf(" %x", p.Data)
	}
	return text
}

// want checks what the link has sent since the last look; "..." at the end of a
// line leaves the rest open.
func (s *script) want(what string, frames ...string) {
	s.t.Helper()
	got := s.frames()
	ok := len(got) == len(frames)
	for i := 0; ok && i < len(frames); i++ {
		stem, open := strings.CutSuffix(frames[i], "...")
		ok = got[i] == frames[i] || open && strings.HasPrefix(got[i], stem)
	}
	if !ok {
		s.t.Errorf("%s: the link sent\n\t%s\nand should have sent\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(frames, "\n\t"))
	}
}

// wait lets time pass, with timeouts as they are due.
func (s *script) wait(d time.Duration) {
	until := s.clock.Add(d)
	for next := s.link.Deadline(); !next.IsZero() && !next.After(until); next = s.link.Deadline() {
		s.clock = next
		s.link.Timeout(next, &s.out)
		s.drain()
		if after := s.link.Deadline(); !after.IsZero() && !after.After(next) {
			s.t.Fatalf("Timeout at %v leaves the deadline %v", next, after)
		}
	}
	s.clock = until
}

// lastRequest is the Identifier and the Data of our last Configure-Request of p.
func (s *script) lastRequest(p pppmsg.Protocol) pppmsg.Packet {
	s.t.Helper()
	for i := len(s.sent) - 1; i >= 0; i-- {
		f, err := pppmsg.ParseFrame(s.sent[i])
		if err != nil || f.Protocol != p {
			continue
		}
		if q, err := pppmsg.ParsePacket(f.Data); err == nil && q.Code == pppmsg.ConfigureRequest {
			return q
		}
	}
	s.t.Fatalf("no Configure-Request of %v was sent", p)
	return pppmsg.Packet{}
}

// acknowledge says a Configure-Ack of our last request.
func (s *script) acknowledge(p pppmsg.Protocol) {
	s.t.Helper()
	q := s.lastRequest(p)
	q.Code = pppmsg.ConfigureAck
	s.receive(pppmsg.Frame{Protocol: p, Data: q.Append(nil)}.Append(nil))
}

// open brings LCP up with the options given as hex.
func (s *script) openLCP(options string) {
	s.t.Helper()
	s.acknowledge(pppmsg.LCP)
	s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, options)
	if s.link.lcp.state != opened {
		s.t.Fatalf("LCP is in %v", s.link.lcp.state)
	}
}

// login answers EAP requests until the link is authenticated.
func (s *script) login() {
	s.t.Helper()
	for range 10 {
		if s.link.phase != authenticate {
			break
		}
		s.answerEAP()
	}
	if s.logins != 1 {
		s.t.Fatalf("%d logins: %v", s.logins, s.refused)
	}
}

// answerEAP answers the last request, as the conversation wants it.
func (s *script) answerEAP() {
	s.t.Helper()
	var p pppmsg.EAPPacket
	for _, frame := range s.sent {
		if f, _ := pppmsg.ParseFrame(frame); f.Protocol == pppmsg.EAP {
			p, _ = pppmsg.ParseEAP(f.Data)
		}
	}
	p.Code = pppmsg.EAPResponse
	s.receive(pppmsg.Frame{Protocol: pppmsg.EAP, Data: p.Append(nil)}.Append(nil))
}

// ready is a script that has come to the network phase, and has looked at
// everything.
func ready(t testing.TB, change ...func(*Config)) *script {
	t.Helper()
	s := newScript(t, change...)
	s.openLCP("0506 11223344")
	s.login()
	s.frames()
	return s
}

// assigning is a script whose addresses are still asked for, and what answers.
func assigning(t testing.TB) (s *script, finish func()) {
	t.Helper()
	s = newScript(t)
	s.openLCP("0506 11223344")
	var assign func()
	s.later = func(f func()) {
		if s.logins == 0 {
			f()
			return
		}
		assign = f
	}
	s.login()
	return s, func() { assign() }
}

// openIPCP agrees on IPv4.
func (s *script) openIPCP() {
	s.t.Helper()
	s.acknowledge(pppmsg.IPCP)
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 0a460009")
	if s.up == nil || s.up.IPv4 != clientIPv4 {
		s.t.Fatalf("IPv4 is not open: %+v", s.events)
	}
	s.frames()
}

var (
	mustPrefix = netip.MustParsePrefix
	mustAddr   = netip.MustParseAddr
)
