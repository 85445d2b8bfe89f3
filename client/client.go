package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"sallyport/dataplane/userspace"
	"sallyport/engine"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

// Options are how a profile is run.
type Options struct {
	Profile *Profile
	Device  string       // of the TUN device; default sallyport
	Logger  *slog.Logger // nil: nothing is logged
	Report  func(Report) // called from one goroutine; may be nil
	Once    bool         // return after the first attempt that fails
	Rekey   <-chan Keys  // replace these keys now; may be nil
}

// Keys says which keys.
type Keys uint8

// The keys that can be replaced.
const (
	TrafficKeys Keys = iota + 1
	IKEKeys
)

// Report is one thing that the user wants to know.
type Report struct {
	Time    time.Time `json:"time"`
	State   State     `json:"state"`
	Message string    `json:"message"`
	Hint    string    `json:"hint,omitempty"`

	// Connected only.
	IKE       string         `json:"ike,omitempty"`
	ESP       string         `json:"esp,omitempty"`
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	DNS       []netip.Addr   `json:"dns,omitempty"`
	Routes    []netip.Prefix `json:"routes,omitempty"`
	Remote    string         `json:"remote,omitempty"`

	// Connected and Rekeyed: what is new.
	SPI   string `json:"spi,omitempty"`    // our SPI of the IKE SA
	SPIIn string `json:"spi_in,omitempty"` // our SPI of the Child SA
}

// State is where the tunnel stands.
type State string

// The states.
const (
	Connecting   State = "connecting"
	Connected    State = "connected"
	Moved        State = "moved"
	Rekeyed      State = "rekeyed"
	Disconnected State = "disconnected"
	Refused      State = "refused"
)

// How often to try again: at once for a short break, and without hammering a
// gateway that is down. Every wait is shortened at random by up to a half, so
// that a thousand clients do not come back in the same second.
const (
	firstWait  = time.Second
	longestTry = time.Minute
	farewell   = 2 * time.Second        // for the answer to our DELETE
	settle     = 100 * time.Millisecond // a change of network comes as several events
)

// A gateway that was restarted knows our session no more and cannot say so in
// a way that may be believed: within a minute we must find out ourselves.
const (
	silence = 20 * time.Second
	tries   = 5 // 31 s from the first to the last
)

// mtu of the TUN device: with ESP, UDP and IPv6 outside it fits into 1500.
const mtu = 1400

// tunnel is a running client.
type tunnel struct {
	Options
	backend *backend
	engine  *engine.Engine
	plane   *userspace.Plane
	network *network
	profile *engine.Profile

	session *engine.Session // the one in use or being set up
	next    *engine.Session // make-before-break: takes over when it is up (RFC 4478)
	remote  netip.Addr
	local   netip.Addr
	told    Report        // of the next Connected
	child   uint32        // our SPI of the Child SA in use
	refused *RefusedError // what this attempt ran into
	up      bool
	ever    bool // it was up at least once
	since   time.Time
}

// Run keeps the tunnel up until ctx ends, then tells the gateway and gives the
// host back as it was.
func Run(ctx context.Context, o Options) error {
	t, err := open(o)
	if err != nil {
		return err
	}
	defer t.close()
	done := make(chan struct{})
	defer close(done)
	moves, err := changes(done)
	if err != nil {
		return err
	}
	for wait := firstWait; ; {
		err := t.attempt(ctx, moves)
		if ctx.Err() != nil {
			return nil
		}
		if o.Once || t.hopeless(err) {
			return err
		}
		if !t.since.IsZero() && time.Since(t.since) > longestTry {
			wait = firstWait
		}
		pause := wait/2 + rand.N(wait/2)
		t.report(Report{State: Disconnected, Message: fmt.Sprintf("%v; trying again in %v", err, pause.Round(100*time.Millisecond))})
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		wait = min(2*wait, longestTry)
	}
}

// RefusedError says that the gateway, or we, refused to go on; trying again
// changes nothing until somebody does.
type RefusedError struct{ Reason, Fix string }

// Error gives the reason.
func (e *RefusedError) Error() string { return "client: refused: " + e.Reason }

// Hint says what to change.
func (e *RefusedError) Hint() string { return e.Fix }

// hopeless tells a refusal of a client that was never let in, which is a wrong
// profile or a revoked device, from one in the middle of work, which may be a
// gateway in trouble.
func (t *tunnel) hopeless(err error) bool {
	_, refused := errors.AsType[*RefusedError](err)
	return refused && !t.ever
}

// open makes the TUN device, the sockets and the engine.
func open(o Options) (*tunnel, error) {
	if o.Device == "" {
		o.Device = "sallyport"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t := &tunnel{Options: o}
	var err error
	if t.backend, err = newBackend(o.Profile); err != nil {
		return nil, err
	}
	t.profile = &engine.Profile{Policy: &ike.Policy{
		IKE: o.Profile.ike, NoMOBIKE: !o.Profile.MOBIKE, ForceEncap: o.Profile.ForceEncap,
		DPD: cmp.Or(o.Profile.DPD, silence), Retransmit: ike.Retransmit{Tries: tries},
	}}
	if o.Profile.Auth == authEAPTLS {
		t.profile.NewEAP = t.backend.eapTLS().New
	}
	t.engine = engine.New(engine.Options{Backend: t.backend, Logger: o.Logger, Shards: 1, Workers: 1})
	if t.plane, err = userspace.Open(userspace.Config{Name: o.Device, MTU: mtu, Upcalls: t.engine.Upcalls(), Logger: o.Logger}); err != nil {
		return nil, err
	}
	t.engine.Start(t.plane, t.plane)
	if t.network, err = openNetwork(o.Device, mtu); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tunnel) close() {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	t.engine.Close(ctx)
	if t.network != nil {
		t.network.close()
	}
	t.plane.Close()
}

// attempt sets up a session and lives with it; the error is why it ended.
func (t *tunnel) attempt(ctx context.Context, moves <-chan struct{}) (err error) {
	t.session, t.next, t.refused, t.up, t.since = nil, nil, nil, false, time.Time{}
	if t.session, err = t.connect(ctx); err != nil {
		return err
	}
	var moved <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err() // close says goodbye
		case <-moves:
			moved = time.After(settle)
		case <-moved:
			moved = nil
			t.follow()
		case keys := <-t.Rekey:
			t.rekey(keys)
		case h := <-t.backend.events:
			if err, ended := t.handle(ctx, h); ended {
				return err
			}
		}
	}
}

// connect starts a session from the address that leads to the gateway now.
func (t *tunnel) connect(ctx context.Context) (*engine.Session, error) {
	if err := t.resolve(ctx); err != nil {
		return nil, err
	}
	t.report(Report{State: Connecting, Message: fmt.Sprintf("connecting to %s (%v)", t.Profile.Remote, t.remote)})
	p := t.Profile
	return t.engine.Connect(t.profile, ike.Connect{
		Local: netip.AddrPortFrom(t.local, 500), Remote: netip.AddrPortFrom(t.remote, p.Ports[0]),
		NATTRemote: p.Ports[1],
		Identity:   t.backend.identity, RemoteID: &t.backend.remoteID, Child: t.backend.child,
		Request:        ike.Request{IPv4: p.IPv4, IPv6: p.IPv6, DNS: true, Domains: true},
		InitialContact: !t.up,
		EAP:            p.Auth == authEAPTLS, EAPOnly: p.Auth == authEAPTLS,
	})
}

// resolve finds an address of the gateway that the host has a route to. The
// last one serves when names cannot be resolved, as while the tunnel is down.
func (t *tunnel) resolve(ctx context.Context) error {
	addrs, err := lookup(ctx, t.Profile.Remote)
	if err != nil && t.remote.IsValid() {
		addrs, err = []netip.Addr{t.remote}, nil
	}
	for _, a := range addrs {
		var local netip.Addr
		if local, err = t.network.sourceFor(a); err == nil {
			t.remote, t.local = a, local
			return nil
		}
	}
	return err
}

func lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

// follow tells the gateway when the host's way to it has changed (RFC 4555,
// Section 3.5).
func (t *tunnel) follow() {
	local, err := t.network.sourceFor(t.remote)
	if err != nil || local == t.local {
		return // no network at all: the session waits for one
	}
	t.report(Report{State: Moved, Message: fmt.Sprintf("the address of this host changed from %v to %v", t.local, local)})
	t.local = local
	t.session.Do(ike.LocalAddressChanged{Local: netip.AddrPortFrom(local, 4500)})
}

// handle acts on one event; ended tells that the session is over.
func (t *tunnel) handle(ctx context.Context, h happening) (err error, ended bool) {
	switch ev := h.event.(type) {
	case ike.Refused:
		t.refused = &RefusedError{Reason: ev.Record.Reason, Fix: ev.Record.Fix}
		t.report(Report{State: Refused, Message: ev.Record.Reason, Hint: ev.Record.Fix})
	case ike.SPIAdded:
		t.newIKE(h.session, ev.SPI)
	case ike.Established:
		t.established(h.session, ev)
	case ike.Addresses:
		t.told.DNS = ev.Leased.DNS
		t.told.Addresses = addresses(ev.Leased)
		if err := t.network.assign(t.told.Addresses); err != nil {
			return err, true
		}
	case ike.ChildUp:
		if err := t.childUp(ev.Child); err != nil {
			return err, true
		}
	case ike.ReauthDue:
		t.next, err = t.connect(ctx)
		if err != nil {
			t.Logger.Warn("a new session could not be started yet", "err", err)
		}
	case ike.Closed:
		return t.closed(h.session, ev)
	}
	return nil, false
}

func (t *tunnel) rekey(k Keys) {
	switch {
	case k == IKEKeys:
		t.session.Do(ike.RekeyIKE{})
	case t.child != 0:
		t.session.Do(ike.RekeyChild{SPIIn: t.child})
	}
}

// newIKE notes our SPI; a second one of the session in use is a rekeying.
func (t *tunnel) newIKE(s *engine.Session, spi ikemsg.SPI) {
	t.told.SPI = fmt.Sprintf("%016x", uint64(spi))
	if s == t.session && t.up {
		t.report(Report{State: Rekeyed, Message: "the IKE SA has new keys", SPI: t.told.SPI})
	}
}

func (t *tunnel) established(s *engine.Session, ev ike.Established) {
	t.since = time.Now()
	t.told.IKE, t.told.Remote = ev.Suite.String(), ev.Remote.String()
	if s == t.next {
		t.session.Do(ike.CloseSession{Reason: "replaced by a new authentication"})
		t.session, t.next = s, nil
	}
}

// childUp routes what was negotiated. A rekeyed Child SA brings the same
// selectors and changes nothing.
func (t *tunnel) childUp(c ike.Child) error {
	t.child = c.SPIIn
	t.told.SPIIn = fmt.Sprintf("%08x", c.SPIIn)
	if c.Replaces != 0 && t.up {
		t.report(Report{State: Rekeyed, Message: "the traffic has new keys", ESP: c.Suite.String(), SPIIn: t.told.SPIIn})
		return nil
	}
	t.told.Routes, t.told.ESP = prefixesOf(c.TSRemote), c.Suite.String()
	if err := t.network.route(t.remote, t.told.Routes); err != nil {
		return err
	}
	t.up, t.ever = true, true
	told := t.told
	told.State = Connected
	told.Message = fmt.Sprintf("connected to %s: IKE %s, ESP %s", t.Profile.RemoteID, told.IKE, told.ESP)
	t.report(told)
	return nil
}

func (t *tunnel) closed(s *engine.Session, ev ike.Closed) (error, bool) {
	switch s {
	case t.next:
		t.next = nil
		return nil, false
	case t.session:
		err := ev.Err
		if ev.Reason == ike.ClosedRefused && t.refused != nil {
			return t.refused, true
		}
		if err == nil {
			err = fmt.Errorf("the session ended: %s", engine.CloseText(ev.Reason))
		}
		return err, true
	}
	return nil, false // one that was replaced
}

func (t *tunnel) report(r Report) {
	r.Time = time.Now()
	if t.Report != nil {
		t.Report(r)
	}
}

func addresses(l ike.Leased) (out []netip.Prefix) {
	if l.IPv4.IsValid() {
		out = append(out, netip.PrefixFrom(l.IPv4, 32))
	}
	if l.IPv6.IsValid() {
		out = append(out, netip.PrefixFrom(l.IPv6.Addr(), 128))
	}
	return out
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// selectors turns networks into traffic selectors for all protocols and ports.
func selectors(networks []netip.Prefix) (out []ikemsg.TrafficSelector) {
	for _, p := range networks {
		out = append(out, ikemsg.TrafficSelector{EndPort: 65535, Start: p.Masked().Addr(), End: lastOf(p)})
	}
	return out
}
