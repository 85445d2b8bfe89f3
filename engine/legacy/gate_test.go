package legacy

import (
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"sallyport/dataplane"
	"sallyport/engine"
	"sallyport/internal/secret"
	"sallyport/internal/simnet"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/ppp"
	"sallyport/protocol/ppp/hostconf"
)

const groupKey = "a key that every client has"

// gate is the gateway: the part of a shard that a session meets, in simulated
// time, with a backend and a plane.
type gate struct {
	w    *world
	cfg  *Config
	host *simnet.Host
	rng  *mathrand.Rand
	plane

	all    []*peer
	bySPI  map[ikemsg.SPI]*peer
	first  map[firstKey]*peer
	joined map[string]*peer
	owed   []func()

	chosen *engine.IDs // nil: its own
	logins logins
	lease  func(*ike.Lease) (ike.Leased, error) // nil: everybody gets addresses
	admit  func(*ikev1.Authenticate) error      // nil: everybody
	held   func(ike.Task) bool                  // jobs that never come back; nil: none
	leased int                                  // in all
	shared bool                                 // IKEv1 proves nothing
}

type firstKey struct {
	cookie isakmp.Cookie
	remote netip.AddrPort
}

// peer is one session of the gateway, and what it has said.
type peer struct {
	g    *gate
	m    *Session
	gone bool

	up      bool // Established, and not Closed since
	events  []ike.Event
	est     []ike.Established
	closed  []ike.Closed
	records []ike.Record
	admits  *ike.Admission
	spis    map[ikemsg.SPI]bool
	key     string
	jobs    int // outstanding
	maxJobs int
	leases  int // not returned
	inner   int // messages that it sent
}

func newGate(w *world) *gate {
	g := &gate{
		w: w, bySPI: map[ikemsg.SPI]*peer{}, first: map[firstKey]*peer{}, joined: map[string]*peer{},
		rng: mathrand.New(mathrand.NewPCG(w.net.Rand.Uint64(), 1)),
	}
	g.plane = plane{w: w, name: "gateway", sas: map[uint32]*sa{}, send: func(d simnet.Datagram) { g.host.Send(d) }}
	g.logins = logins{w: w, rounds: 3}
	policy := testPolicy()
	policy.ForceEncap = true
	g.cfg = &Config{
		IKE:    policy,
		L2TP:   &l2tp.Config{Role: l2tp.LNS, HostName: "vpn.example.org", NewID: func() uint16 { return uint16(g.rng.Uint32()) }},
		PPP:    &ppp.Config{Role: ppp.Server, Local: netip.MustParseAddr("10.70.0.1")},
		Ask:    g.ask,
		Before: func(a *ikev1.Admission) any { return a.Value },
		Proven: func(*ikev1.Admission) bool { return !g.shared },
		NewEAP: g.logins.begin,
		Device: "legacy0",
		Host:   hostconf.Config{Server: netip.MustParseAddr("10.70.0.1"), RouterLifetime: time.Hour},
	}
	g.host = w.net.Host(gateway, nil, simnet.Machine{
		Receive: g.receive, Timeout: g.timeout, Deadline: g.deadline,
	})
	return g
}

// receive routes a datagram as the engine's front and shard do.
func (g *gate) receive(now time.Time, d simnet.Datagram) {
	if p, ok := g.w.parsePacket(d.Data); ok {
		g.receiveESP(now, p, d)
		return
	}
	in := ike.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data}
	h, err := isakmp.ParseHeader(d.Data)
	if err != nil {
		return // a NAT keepalive, which the plane swallows
	}
	p := g.bySPI[ikemsg.SPI(h.CookieR)]
	if h.CookieR == 0 {
		if !ikev1.Front(ikev1.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data}).Accept {
			return
		}
		key := firstKey{h.CookieI, d.Remote}
		if p = g.first[key]; p == nil {
			p = &peer{g: g, spis: map[ikemsg.SPI]bool{}}
			g.first[key] = p
			g.all = append(g.all, p)
			g.step(p, func(out *ike.Out) { p.m = New(g.cfg, g.ids(), now, in, out) })
			return
		}
	}
	if p != nil {
		g.step(p, func(out *ike.Out) { p.m.Receive(now, in, out) })
	}
}

func (g *gate) ids() engine.IDs {
	if g.chosen != nil {
		return *g.chosen
	}
	return g.ownIDs()
}

func (g *gate) ownIDs() engine.IDs {
	return engine.IDs{
		Cookie:   func() ikemsg.SPI { return ikemsg.SPI(g.rng.Uint64() | 1) },
		ChildSPI: func() uint32 { return g.rng.Uint32() | 1<<20 },
		Heard:    g.plane.heard,
	}
}

// receiveESP is the inbound half of the plane.
func (g *gate) receiveESP(now time.Time, p packet, d simnet.Datagram) {
	a, events := g.open(now, p, d)
	if a == nil {
		return
	}
	for _, ev := range events {
		g.do(a.owner, ev)
	}
	if a.owner.gone { // an event has ended it
		return
	}
	if who := string(a.owner.m.claim.Data); who != string(p.from.identity().Data) {
		g.w.t.Fatalf("a message of %s came into an SA of %s", p.from.name, who)
	}
	if a.call != nil && g.carries(a, p) {
		return
	}
	g.do(a.owner, ike.Extra{Value: engine.InnerMessage{SPIIn: p.spi, Port: p.port, Data: p.msg}})
}

// carries takes IP packets of the call, as the plane does on its own.
func (g *gate) carries(a *sa, p packet) bool {
	text, ours := cargo(p.msg, a.call.Tunnel, a.call.Session)
	if !ours {
		return false
	}
	if user := a.owner.admits.Identity; user != p.from.user || text != p.from.user {
		g.w.t.Fatalf("%s's packet %q came into the call of %s", p.from.name, text, user)
	}
	p.from.carried++
	return true
}

func (g *gate) do(p *peer, c ike.Command) {
	if !p.gone {
		g.step(p, func(out *ike.Out) { p.m.Do(g.w.now(), c, out) })
	}
}

func (g *gate) deadline() time.Time {
	var next time.Time
	for _, p := range g.all {
		if p.gone {
			continue
		}
		if d := p.m.Deadline(); !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	return next
}

// atOnce is how often a machine may ask for a timeout at one instant: it does
// one thing after the other.
const atOnce = 4

func (g *gate) timeout(now time.Time) {
	for _, p := range slices.Clone(g.all) {
		for n := 0; !p.gone && due(p.m.Deadline(), now); n++ {
			if n == atOnce {
				g.w.t.Fatalf("Timeout at %v leaves the deadline %v", now, p.m.Deadline())
			}
			g.step(p, func(out *ike.Out) { p.m.Timeout(now, out) })
		}
	}
}

// step is the shard's: a call of the machine, and all that it leads to.
func (g *gate) step(p *peer, call func(*ike.Out)) {
	if p.gone {
		g.w.t.Fatal("a machine that is over was called")
	}
	var out ike.Out
	call(&out)
	for _, ev := range out.Events {
		g.event(p, ev)
	}
	for _, d := range out.Send {
		g.host.Send(simnet.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data})
	}
	for _, j := range out.Jobs {
		g.job(p, j)
	}
	if !p.gone && p.m.Dead() {
		g.drop(p)
	}
	for len(g.owed) > 0 {
		next := g.owed[0]
		g.owed = g.owed[1:]
		next()
	}
}

// job answers a job in its time.
func (g *gate) job(p *peer, j ike.Job) {
	p.jobs++
	p.maxJobs = max(p.maxJobs, p.jobs)
	if g.held != nil && g.held(j.Task) {
		return
	}
	answer := func(value any, err error) {
		p.jobs--
		if !p.gone {
			g.step(p, func(out *ike.Out) { p.m.Done(g.w.now(), ike.Result{ID: j.ID, Value: value, Err: err}, out) })
		}
	}
	switch t := j.Task.(type) {
	case *ike.EAP:
		g.w.later(func() { t.Conversation.Step(t, func(step ike.EAPStep, err error) { answer(step, err) }) })
	default:
		g.w.later(func() { answer(g.work(p, t)) })
	}
}

func (g *gate) work(p *peer, t ike.Task) (any, error) {
	switch t := t.(type) {
	case ike.GenerateKE:
		return t.Run()
	case ike.SharedSecret:
		return t.Run()
	case ike.Work:
		return t.Run()
	case *ike.Lease:
		leased, err := g.leaseOf(t)
		if err == nil && !p.gone {
			p.leases++
			g.leased++
		}
		return leased, err
	}
	return nil, fmt.Errorf("unknown task %T", t)
}

func (g *gate) leaseOf(t *ike.Lease) (ike.Leased, error) {
	if g.lease != nil {
		return g.lease(t)
	}
	n := byte(len(t.Identity) + int(t.Identity[len(t.Identity)-1]))
	return ike.Leased{IPv4: netip.AddrFrom4([4]byte{10, 70, 0, n}), IPv6: netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 7: n}), 64)}, nil
}

// ask is what legacy.Config asks on a worker.
func (g *gate) ask(task any) (any, error) {
	switch t := task.(type) {
	case ikev1.SharedKey:
		return ikev1.Key{Secret: secret.Bytes(groupKey), Identity: &ikev1.Identity{ID: isakmp.ID{Type: isakmp.IDFQDN, Data: []byte("gateway")}}}, nil
	case *ikev1.Authenticate:
		if g.admit != nil {
			if err := g.admit(t); err != nil {
				return nil, err
			}
		}
		return &ikev1.Admission{Name: t.PeerID.String(), Value: t.PeerID.String()}, nil
	}
	return nil, fmt.Errorf("unknown task %T", task)
}

func (g *gate) drop(p *peer) {
	p.gone = true
	for key, q := range g.first {
		if q == p {
			delete(g.first, key)
		}
	}
	if g.joined[p.key] == p {
		delete(g.joined, p.key)
	}
	p.m.Release()
	if len(p.closed) == 0 {
		g.w.t.Errorf("a session ended without Closed")
	}
}

// join is the shard's: two sessions of one peer become one.
func (g *gate) join(p *peer, key string) {
	older := g.joined[key]
	if older == nil || older == p || older.gone || p.key != "" {
		g.file(p, key)
		return
	}
	g.owed = append(g.owed, func() { g.absorb(older, p) })
}

func (g *gate) file(p *peer, key string) {
	if g.joined[p.key] == p {
		delete(g.joined, p.key)
	}
	g.joined[key], p.key = p, key
}

func (g *gate) absorb(older, p *peer) {
	if older.gone || p.gone {
		return
	}
	ok := false
	for spi := range p.spis {
		g.bySPI[spi] = older
		older.spis[spi] = true
	}
	g.step(older, func(out *ike.Out) { ok = older.m.Absorb(g.w.now(), p.m, out) })
	if !ok {
		g.w.t.Logf("%v: not absorbed", g.w.now())
		for spi := range p.spis {
			g.bySPI[spi] = p
			delete(older.spis, spi)
		}
		g.joined[key(p)], p.key = p, key(p)
		return
	}
	for _, a := range g.sas {
		if a.owner == p {
			a.owner = older
		}
	}
	for k, q := range g.first {
		if q == p {
			delete(g.first, k)
		}
	}
	p.gone = true
}

func key(p *peer) string {
	for _, ev := range p.events {
		if x, ok := ev.(ike.Extra); ok {
			if j, ok := x.Value.(engine.Join); ok {
				return j.Key
			}
		}
	}
	return ""
}

// event is the runtime's side of an event: what must hold of every sequence of
// them is checked here.
func (g *gate) event(p *peer, ev ike.Event) {
	t := g.w.t
	p.events = append(p.events, ev)
	if p.gone {
		t.Errorf("%T of a session that is over", ev)
	}
	switch ev := ev.(type) {
	case ike.SPIAdded:
		if g.bySPI[ev.SPI] != nil {
			t.Errorf("SPI %x added twice", ev.SPI)
		}
		g.bySPI[ev.SPI], p.spis[ev.SPI] = p, true
	case ike.SPIRemoved:
		if g.bySPI[ev.SPI] != p {
			t.Errorf("SPI %x removed that is not there", ev.SPI)
		}
		delete(g.bySPI, ev.SPI)
		delete(p.spis, ev.SPI)
	case ike.Established:
		g.established(p, ev)
	case ike.Closed:
		g.closed(p, ev)
	case ike.Refused:
		p.records = append(p.records, ev.Record)
		if ev.Record.Reason == "" || ev.Record.Stage == 0 {
			t.Errorf("a record without reason or stage: %+v", ev.Record)
		}
	case ike.ChildOutbound:
		g.use(ev.SPIIn, p)
	case ike.ChildDown:
		g.remove(ev.SPIIn, p)
	case ike.Moved:
		for _, spi := range ev.Children {
			g.move(spi, ev.Local, ev.Remote)
		}
	case ike.Extra:
		g.extra(p, ev.Value)
	default:
		t.Errorf("an event %T", ev)
	}
}

func (g *gate) extra(p *peer, value any) {
	t := g.w.t
	switch v := value.(type) {
	case engine.Join:
		g.join(p, v.Key)
	case dataplane.Add:
		if v.SA.Call != nil && !p.up || !v.SA.Transport || v.SA.Device != "legacy0" {
			t.Errorf("an SA that is not as it should be: %+v", v.SA)
		}
		g.add(&sa{
			spiIn: v.SA.SPIIn, spiOut: v.SA.SPIOut, local: v.SA.Local, remote: v.SA.Remote, owner: p, call: v.SA.Call,
			keyIn: v.SA.KeyIn, keyOut: v.SA.KeyOut,
		}, v.SA.Outbound)
	case dataplane.SetCall:
		if v.Call != nil && !p.up {
			t.Error("SetCall with a call before Established")
		}
		g.setCall(v.SPIIn, p, v.Call)
	case engine.InnerMessage:
		p.inner++
		g.seal(v.SPIIn, v.Port, v.Data, nil)
	default:
		t.Errorf("an Extra with %T", v)
	}
}

func (g *gate) established(p *peer, ev ike.Established) {
	switch {
	case p.up:
		g.w.t.Error("Established twice")
	case ev.Admission == nil || ev.Admission.Policy == nil:
		g.w.t.Error("Established without an admission")
	}
	for key, q := range g.first {
		if q == p {
			delete(g.first, key)
		}
	}
	p.up, p.admits = true, ev.Admission
	p.est = append(p.est, ev)
}

func (g *gate) closed(p *peer, ev ike.Closed) {
	switch {
	case !p.up && len(p.est) > 0:
		g.w.t.Errorf("Closed once more: %+v after %+v", ev, p.closed)
	case !p.up && len(p.closed) > 0:
		g.w.t.Error("Closed twice of a session that never was established")
	case ev.Reason == 0:
		g.w.t.Error("Closed without a reason")
	}
	for _, a := range g.sas {
		if a.owner == p && a.call != nil {
			g.w.t.Errorf("Closed, and SA %08x still has its call", a.spiIn)
		}
	}
	p.up, p.leases = false, 0
	p.closed = append(p.closed, ev)
}
