// Package bench drives gateways from outside and says what it saw: IKE
// set-ups per second, their latency, and how many sessions can be held.
//
// The generator is a plain IKEv2 initiator and knows nothing of the gateway's
// maker, so that the same load can be put on any of them and compared.
package bench

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// IKE is one load: Total set-ups, at most Parallel of them at a time.
type IKE struct {
	Target   netip.AddrPort // the gateway's IKE port
	NATT     uint16         // its port for NAT traversal; 0 = 4500
	Local    netip.Addr     // source address; invalid = the kernel's choice
	Clients  []Client       // taken in turn, one a session
	Roots    *x509.CertPool // the gateway's certificate must lead here
	RemoteID *ikemsg.ID     // nil: whatever the certificate says
	IKE, ESP []suite.Proposal
	EAPTLS   uint16 // log in by EAP-TLS, and by this version of TLS at the most; 0 = by certificate in IKE
	Total    int
	Parallel int
	Hold     bool // keep every session until the context ends
	// Progress is called about once a second; may be nil.
	Progress func(done, failed int)
	// Held is called once when, with Hold, the last set-up has ended; may be nil.
	Held func()
}

// Report is the outcome of a load.
type Report struct {
	Done      int           `json:"done"`
	Failed    int           `json:"failed"`
	Repeated  int           `json:"repeated"` // requests sent again because no answer came in time
	Elapsed   time.Duration `json:"elapsed_ns"`
	PerSecond float64       `json:"per_second"`
	P50       time.Duration `json:"latency_p50_ns"`
	P99       time.Duration `json:"latency_p99_ns"`
	Suite     string        `json:"suite"`
	Child     string        `json:"child_suite"`
	LastError string        `json:"last_error,omitempty"`
}

// nattPort is where IKE floats to (RFC 7296, Section 2.23).
const nattPort = 4500

// maxDatagram is the largest UDP payload.
const maxDatagram = 65535

// readPause bounds how late a retransmission can be while no datagram comes.
const readPause = 20 * time.Millisecond

// scanPause is how late a timer may run: held sessions are many, and looking
// at each after every datagram would make the generator the bottleneck.
const scanPause = 100 * time.Millisecond

// generator is one running load. One goroutine owns it.
type generator struct {
	IKE
	cfg      *ike.Config
	conn     *net.UDPConn
	local    netip.AddrPort
	sessions map[ikemsg.SPI]*slot
	all      map[*slot]struct{}
	verified map[string]crypto.PublicKey // gateway certificates whose chain was checked
	started  int
	scanned  time.Time
	latency  []time.Duration
	report   Report
	out      ike.Out
	frame    []byte
}

type slot struct {
	session *ike.Session
	client  Client
	begun   time.Time
	spis    []ikemsg.SPI
	up      bool
}

// Run puts the load on the target and returns when Total set-ups have ended;
// with Hold it then keeps them alive until ctx ends.
func (l IKE) Run(ctx context.Context) (Report, error) {
	g, err := l.open()
	if err != nil {
		return Report{}, err
	}
	defer g.conn.Close()
	begun, shown := time.Now(), time.Now()
	buf := make([]byte, maxDatagram)
	for !g.finished() && ctx.Err() == nil {
		g.fill()
		g.read(buf)
		g.expire()
		if g.Progress != nil && time.Since(shown) > time.Second {
			shown = time.Now()
			g.Progress(g.report.Done, g.report.Failed)
		}
	}
	g.report.Elapsed = time.Since(begun)
	g.summarise()
	if l.Hold && l.Held != nil {
		l.Held()
	}
	for l.Hold && ctx.Err() == nil {
		g.read(buf)
		g.expire()
	}
	return g.report, nil
}

func (l IKE) open() (*generator, error) {
	if l.Parallel < 1 || l.Total < 1 || len(l.Clients) < 1 {
		return nil, errors.New("bench: sessions, sessions at a time and clients must be at least 1")
	}
	network := "udp4"
	if l.Target.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.Local, 0)))
	if err != nil {
		return nil, fmt.Errorf("bench: source socket: %w", err)
	}
	conn.SetReadBuffer(8 << 20) // thousands of answers may come at once
	local := l.Local
	if !local.IsValid() {
		if local, err = sourceFor(network, l.Target); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if l.NATT == 0 {
		l.NATT = nattPort
	}
	g := &generator{
		IKE: l, conn: conn,
		local:    netip.AddrPortFrom(local, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()),
		sessions: make(map[ikemsg.SPI]*slot),
		all:      make(map[*slot]struct{}),
		verified: make(map[string]crypto.PublicKey),
	}
	g.cfg = &ike.Config{
		Policy: &ike.Policy{
			IKE: l.IKE, NoMOBIKE: true, DPD: -1, ForceEncap: true,
			Lifetime: ike.Lifetime{Soft: 24 * time.Hour, Hard: 25 * time.Hour},
		},
		NewSPI:      randomSPI,
		NewChildSPI: randomChildSPI,
	}
	return g, nil
}

// sourceFor asks the kernel which address it would send from.
func sourceFor(network string, target netip.AddrPort) (netip.Addr, error) {
	c, err := net.DialUDP(network, nil, net.UDPAddrFromAddrPort(target))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("bench: no route to %v: %w", target, err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func (g *generator) finished() bool { return g.report.Done+g.report.Failed >= g.Total }

// inFlight counts set-ups that have neither succeeded nor failed.
func (g *generator) inFlight() int { return g.started - g.report.Done - g.report.Failed }

// fill starts set-ups until Parallel of them are under way.
func (g *generator) fill() {
	for g.started < g.Total && g.inFlight() < g.Parallel {
		s := &slot{begun: time.Now(), client: g.Clients[g.started%len(g.Clients)]}
		g.started++
		g.all[s] = struct{}{}
		cfg := *g.cfg
		if g.EAPTLS != 0 {
			cfg.NewEAP = g.eapTLS(s.client).New
		}
		s.session = ike.NewInitiator(&cfg, ike.Connect{
			Local: g.local, Remote: g.Target, EAP: g.EAPTLS != 0,
			NATTLocal: g.local.Port(), NATTRemote: g.NATT,
			Identity: s.client.Identity, RemoteID: g.RemoteID,
			Child:   &ike.ChildPolicy{Name: "bench", ESP: g.ESP, Local: anything, Remote: anything},
			Request: ike.Request{IPv4: true},
		}, time.Now(), &g.out)
		g.carryOut(s)
	}
}

// read takes the datagrams that are there, or waits a moment for one.
func (g *generator) read(buf []byte) {
	g.conn.SetReadDeadline(time.Now().Add(readPause))
	for range g.Parallel {
		n, from, err := g.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		g.receive(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:n])
		g.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	}
}

func (g *generator) receive(from netip.AddrPort, b []byte) {
	if from.Port() == g.NATT && len(b) >= 4 {
		b = b[4:] // the non-ESP marker (RFC 3948, Section 2.2)
	}
	h, err := ikemsg.ParseHeader(b)
	if err != nil {
		return
	}
	spi := h.SPIi
	if h.Flags&ikemsg.FlagInitiator != 0 {
		spi = h.SPIr // the gateway began this IKE SA by rekeying it
	}
	if s := g.sessions[spi]; s != nil {
		s.session.Receive(time.Now(), ike.Datagram{Local: g.local, Remote: from, Data: b}, &g.out)
		g.carryOut(s)
	}
}

// expire runs the timers of all sessions, in one scan now and then: the
// shortest timer is a retransmission after a second.
func (g *generator) expire() {
	now := time.Now()
	if now.Sub(g.scanned) < scanPause {
		return
	}
	g.scanned = now
	for s := range g.all {
		if d := s.session.Deadline(); !d.IsZero() && !d.After(now) {
			s.session.Timeout(now, &g.out)
			if len(g.out.Send) > 0 {
				g.report.Repeated++ // no timer but this one sends in a load
			}
			g.carryOut(s)
		}
	}
}

// carryOut does what the machine asked for until it asks for nothing more.
func (g *generator) carryOut(s *slot) {
	for len(g.out.Send)+len(g.out.Jobs)+len(g.out.Events) > 0 {
		send, jobs, events := slices.Clone(g.out.Send), slices.Clone(g.out.Jobs), slices.Clone(g.out.Events)
		g.out.Reset()
		for _, d := range send {
			g.send(d)
		}
		for _, e := range events {
			g.event(s, e)
		}
		for _, j := range jobs {
			v, err := g.do(s, j.Task)
			s.session.Done(time.Now(), ike.Result{ID: j.ID, Value: v, Err: err}, &g.out)
		}
	}
	if s.session.Dead() {
		delete(g.all, s)
	}
}

func (g *generator) send(d ike.Datagram) {
	b := d.Data
	if d.Remote.Port() == g.NATT && !d.Keepalive {
		g.frame = append(append(g.frame[:0], 0, 0, 0, 0), b...)
		b = g.frame
	}
	g.conn.WriteToUDPAddrPort(b, d.Remote) // a full buffer is loss; the machine repeats itself
}

func (g *generator) event(s *slot, e ike.Event) {
	switch e := e.(type) {
	case ike.SPIAdded:
		s.spis = append(s.spis, e.SPI)
		g.sessions[e.SPI] = s
	case ike.SPIRemoved:
		delete(g.sessions, e.SPI)
	case ike.Established:
		g.report.Suite = e.Suite.String()
	case ike.ChildUp:
		g.report.Child = e.Child.Suite.String()
		if !s.up {
			s.up = true
			g.report.Done++
			g.latency = append(g.latency, time.Since(s.begun))
			if !g.Hold {
				s.session.Do(time.Now(), ike.CloseSession{Reason: "measured"}, &g.out)
			}
		}
	case ike.Refused:
		g.report.LastError = e.Record.Reason
	case ike.Closed:
		if !s.up {
			s.up = true
			g.report.Failed++
			if g.report.LastError == "" {
				g.report.LastError = fmt.Sprintf("closed before a Child SA was up (reason %v): %v", e.Reason, e.Err)
			}
		}
	}
}

func (g *generator) do(s *slot, task ike.Task) (any, error) {
	switch t := task.(type) {
	case ike.GenerateKE:
		return t.Run()
	case ike.SharedSecret:
		return t.Run()
	case *ike.Sign:
		return s.client.sign(t)
	case *ike.Authenticate:
		return g.authenticate(t)
	case *ike.EAP:
		return step(t)
	}
	return nil, fmt.Errorf("bench: unexpected job %T", task)
}

func (g *generator) summarise() {
	if s := g.report.Elapsed.Seconds(); s > 0 {
		g.report.PerSecond = float64(g.report.Done) / s
	}
	if len(g.latency) > 0 {
		slices.Sort(g.latency)
		g.report.P50 = g.latency[len(g.latency)/2]
		g.report.P99 = g.latency[len(g.latency)*99/100]
	}
}
