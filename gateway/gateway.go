package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/config"
	"sallyport/dataplane"
	"sallyport/dataplane/userspace"
	"sallyport/engine"
	"sallyport/guard"
	"sallyport/pki"
	"sallyport/protocol/ike"
)

// Options are what a gateway is started with.
type Options struct {
	Config  string // path of the configuration file
	Version string // shown by status
	Logger  *slog.Logger
	Level   *slog.LevelVar // set from the configuration; may be nil

	// Audit judges a configuration whose form is right, before it is taken, at the
	// start and at each reload. An error refuses it, a warning is logged. May be
	// nil.
	Audit func(*config.Config) config.Diagnostics
}

// Gateway is a running server.
type Gateway struct {
	*State
	level   *slog.LevelVar
	version string
	since   time.Time
	audit   func(*config.Config) config.Diagnostics

	taken atomic.Pointer[taken] // the configuration in force

	realm    atomic.Pointer[realm]
	own      *pki.Verifier // of certificates of our own CA
	engine   *engine.Engine
	logins   *engine.EAPServer // EAP conversations under way
	plane    dataplane.Plane
	links    []*innerLink          // the TUN devices; none with the plane null
	isolated bool                  // the firewall of the L2TP zones is in force
	dns      map[string]*forwarder // by device; where a zone announces the gateway
	control  *controlServer
	drops    tally // first messages of IKE version 1 that were not let in, by reason
	table    table
	refusals refusals
	pauses   pauses
	uses     uses
	realms   map[string]*servers
	accounts accounts
	closing  atomic.Bool
	stop     context.CancelFunc // of keepAccounts and its like
	keeper   sync.WaitGroup     // which they are

	reloading sync.Mutex
}

// Start opens the state and serves. On an error nothing keeps running.
func Start(ctx context.Context, o Options) (*Gateway, error) {
	began := time.Now()
	state, err := openState(ctx, o.Config, o.Logger)
	if err != nil {
		return nil, err
	}
	g := &Gateway{State: state, level: o.Level, version: o.Version, since: began, audit: o.Audit}
	if err := g.start(ctx); err != nil {
		g.Close(context.Background())
		return nil, err
	}
	return g, nil
}

func (g *Gateway) start(ctx context.Context) error {
	cfg := g.Config()
	g.setLevel(cfg)
	found, err := g.judge(cfg)
	if err != nil {
		return err
	}
	g.taken.Store(&taken{found, g.since})
	if err := g.trustOwn(); err != nil {
		return err
	}
	r, err := buildRealm(ctx, cfg, g.ca, nil)
	if err != nil {
		return err
	}
	g.realm.Store(r)
	if err := g.restoreLeases(ctx, r); err != nil {
		return err
	}
	if err := g.openRealms(cfg); err != nil {
		return err
	}
	g.logins = &engine.EAPServer{Begin: g.beginEAP}
	g.engine = engine.New(engine.Options{Backend: g, Logger: g.log, Limits: engineLimits(cfg), Shape: g.shape, ShapeCall: g.shapeCall})
	if err := g.openPlane(cfg); err != nil {
		return err
	}
	if err := g.forwardDNS(cfg); err != nil {
		return err
	}
	if err := g.isolate(cfg); err != nil {
		return err
	}
	g.reserveFixed(r)
	g.watchRevocations()
	if err := g.listenDynamic(cfg); err != nil {
		return err
	}
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.stop = stop
	g.keeper.Go(func() { g.keepAccounts(keep) })
	g.keeper.Go(func() { g.keepUses(keep) })
	g.keeper.Go(func() { g.keepFirewall(keep) })
	door, err := g.openLegacy(r)
	if err != nil {
		return err
	}
	g.respond(r, door)
	if g.control, err = serveControl(cfg.Gateway.Control, handler(g), g.log); err != nil {
		return err
	}
	g.log.Info("serving", "name", cfg.Gateway.Name, "zones", len(r.order), "control", cfg.Gateway.Control.Socket)
	return nil
}

// trustOwn makes the verifier of our own CA. It is strict: should the CRL ever
// not be renewed, nobody comes in, and the log says why.
func (g *Gateway) trustOwn() (err error) {
	g.own, err = pki.NewVerifier(pki.Trust{Roots: certs(g.ca.Certificate()), CRLs: crls(g.ca.CRL()), Strict: true})
	return err
}

func engineLimits(cfg *config.Config) engine.Limits {
	l := cfg.Gateway.Limits
	return engine.Limits{Sessions: l.Sessions, HalfOpen: l.HalfOpen, PerSource: l.PerSource}
}

func (g *Gateway) setLevel(cfg *config.Config) {
	if g.level != nil {
		g.level.UnmarshalText([]byte(cfg.Logging.Level))
	}
}

// openPlane opens sockets and TUN device and starts the engine on them.
func (g *Gateway) openPlane(cfg *config.Config) error {
	listen, err := allListenAddrs(cfg)
	if err != nil {
		return err
	}
	if cfg.Gateway.Dataplane.Kind == "null" {
		p, err := openNull(listen, cfg.Gateway.Ports, g.engine.Upcalls())
		if err != nil {
			return err
		}
		g.plane = p
		g.engine.Start(p, p)
		return nil
	}
	d := cfg.Gateway.Dataplane
	p, err := userspace.Open(userspace.Config{
		Name: d.Device, MTU: d.MTU, Queues: d.Queues, Listen: listen,
		IKEPort: cfg.Gateway.Ports.IKE, NATTPort: cfg.Gateway.Ports.NATT,
		Devices:      legacyDevices(cfg),
		NoTUNOffload: !d.Offload, NoUDPSegment: !d.Offload, NoUDPCoalesce: !d.Offload,
		Upcalls: g.engine.Upcalls(), Logger: g.log,
	})
	if err != nil {
		return err
	}
	g.plane = p
	g.engine.Start(p, p)
	g.links = linksOf(cfg)
	for _, l := range g.links {
		zones := zonesOn(cfg, l.name)
		if err := l.configure(zones); err != nil {
			return err
		}
		for _, hint := range enableForwarding(l.name, zones) {
			g.log.Warn(hint)
		}
	}
	return nil
}

// forwardDNS starts, moves or stops the forwarders.
func (g *Gateway) forwardDNS(cfg *config.Config) error {
	var errs []error
	for _, l := range g.links {
		var addrs []netip.Addr
		for _, z := range zonesOn(cfg, l.name) {
			if announced(&z) {
				addrs = append(addrs, z.Pool.Gateway()...)
			}
		}
		old := g.dns[l.name]
		if old != nil && slices.Equal(old.addrs, addrs) {
			continue
		}
		if old != nil {
			old.close()
			delete(g.dns, l.name)
		}
		if len(addrs) == 0 {
			continue
		}
		f, err := forward(addrs, l.name, resolvConf, g.log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if g.dns == nil {
			g.dns = make(map[string]*forwarder)
		}
		g.dns[l.name] = f
	}
	return errors.Join(errs...)
}

// announced tells whether a zone's clients are told to ask the gateway.
func announced(z *config.Zone) bool {
	return slices.ContainsFunc(z.DNS.Servers, func(s config.Server) bool { return s.Gateway })
}

// watchRevocations cuts live sessions when a record changes, whoever changed
// it.
func (g *Gateway) watchRevocations() {
	cut := func(users, devices []string) {
		if g.registry.ownAddresses(users, devices) {
			g.reserveFixed(g.realm.Load())
		}
		touched := g.table.matching(func(l *live) bool { return g.touches(l, users, devices) })
		for _, l := range touched {
			if why := g.mayStay(l); why != "" {
				g.log.Info("cutting", "session", l.id, "device", l.admission.Device, "reason", why)
				l.session.Do(ike.CloseSession{Reason: why})
			}
		}
	}
	g.changed.Store(&cut)
}

// reserveFixed keeps inner addresses that belong to somebody from everybody
// else.
func (g *Gateway) reserveFixed(r *realm) {
	for _, z := range r.order {
		z.pool.reserve(slices.Collect(maps.Values(g.registry.fixed(z.config.Name, g.userZone))))
	}
}

// Run does what is due from time to time until ctx ends.
func (g *Gateway) Run(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := g.maintain(ctx); err != nil && ctx.Err() == nil {
				g.log.Error("maintenance failed; it is tried again in an hour", "err", err)
			}
		}
	}
}

// maintain renews the CRL and the server identities before they are due.
func (g *Gateway) maintain(ctx context.Context) error {
	now := time.Now()
	g.keepMigration(ctx, now)
	if g.ca.CRLDue(now) {
		crl, err := g.ca.RenewCRL(ctx, now)
		if err != nil {
			return err
		}
		if err := g.own.AddCRL(crl); err != nil {
			return err
		}
	}
	for _, z := range g.realm.Load().order {
		if z.config.Identity.Certificate == "" && identitiesDue(z.identities, now) {
			_, err := g.Reload(ctx)
			return err
		}
	}
	return nil
}

// Close ends every session, so that peers get a DELETE, and stops. It waits for
// the answers for a short while only.
func (g *Gateway) Close(ctx context.Context) error {
	var errs []error
	g.closing.Store(true)
	if g.stop != nil {
		g.stop()
	}
	g.keeper.Wait()
	if g.control != nil {
		g.control.close()
	}
	for _, f := range g.dns {
		f.close()
	}
	if g.engine != nil {
		ctx, cancel := context.WithTimeout(ctx, farewell)
		defer cancel()
		if err := g.engine.Close(ctx); err != nil {
			g.log.Info("some peers did not answer the DELETE", "err", err)
		}
	}
	g.closeRealms(ctx) // after the Stops of all sessions
	if g.plane != nil {
		errs = append(errs, g.plane.Close())
	}
	if g.isolated {
		errs = append(errs, guard.Remove()) // its devices are gone
	}
	return errors.Join(append(errs, g.State.Close())...)
}

// farewell is how long a shutdown waits for peers: two retransmissions.
const farewell = 3 * time.Second

// Client calls this gateway's control API in process.
func (g *Gateway) Client() *Client {
	c := &Client{end: func() error { return nil }}
	c.http.Transport = direct{handler(g)}
	return c
}

// Reload implements the control API: the file is read and checked, everything
// is built anew, and only then swapped.
func (g *Gateway) Reload(ctx context.Context) (Reloaded, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	began := time.Now()
	cfg, diags, err := LoadConfig(g.path)
	if err != nil {
		return Reloaded{}, err
	}
	found, err := g.judge(cfg)
	if err != nil {
		return Reloaded{}, err
	}
	old := g.Config()
	done := Reloaded{Changes: config.Diff(old, cfg), Diagnostics: slices.Concat(diags, found)}
	cfg = keepRestarts(cfg, old)
	before := g.realm.Load()
	next, err := buildRealm(ctx, cfg, g.ca, before)
	if err != nil {
		return Reloaded{}, err
	}
	if err := g.swap(ctx, cfg, next); err != nil {
		return done, err
	}
	g.warn(diags)
	g.taken.Store(&taken{found, began})
	done.Closed = g.closeStranded(before, next)
	g.log.Info("configuration reloaded", "changes", len(done.Changes), "closed", done.Closed)
	return done, nil
}

// keepRestarts leaves what needs a restart as it is, so that Config tells what
// is in force.
func keepRestarts(cfg, old *config.Config) *config.Config {
	kept := *cfg
	names := cfg.Gateway.Names
	limits := cfg.Gateway.Limits
	kept.Gateway = old.Gateway
	kept.Gateway.Names, kept.Gateway.Limits = names, limits
	kept.Logging.Format = old.Logging.Format
	kept.RADIUS = old.RADIUS
	kept.Zones = keepDevices(cfg.Zones, old.Zones)
	return &kept
}

// keepDevices leaves L2TP zones on the devices and addresses that the plane has
// opened for them, and a zone that is to have the other protocol as it is.
func keepDevices(zones, old config.Zones) config.Zones {
	zones = slices.Clone(zones)
	for i := range zones {
		z := &zones[i]
		at := slices.IndexFunc(old, func(o config.Zone) bool { return o.Name == z.Name })
		switch {
		case at < 0:
		case z.Protocol != old[at].Protocol:
			*z = old[at]
		case z.Protocol == config.L2TP:
			z.Device, z.Listen, z.MTU = old[at].Device, old[at].Listen, old[at].MTU
		}
	}
	return zones
}

func (g *Gateway) swap(ctx context.Context, cfg *config.Config, next *realm) error {
	door, err := g.openLegacy(next) // it can fail: before anything is changed
	if err != nil {
		return err
	}
	// Before anybody can log in: a login would be given an address that a device
	// which is away now holds by its lease.
	if err := g.restoreLeases(ctx, next); err != nil {
		return err
	}
	for _, l := range g.links {
		if err := l.configure(zonesOn(cfg, l.name)); err != nil {
			return err
		}
	}
	if err := g.isolate(cfg); err != nil {
		return err
	}
	g.realm.Store(next)
	g.config.Store(cfg)
	g.reserveFixed(next)
	g.setLevel(cfg)
	g.engine.SetLimits(engineLimits(cfg))
	g.respond(next, door)
	if err := g.forwardDNS(cfg); err != nil {
		g.log.Error("DNS forwarder", "err", err)
	}
	return nil
}

// closeStranded ends the sessions that the new configuration has no place for.
// With a trust anchor go all who came in by one of the zone: those whom another
// anchor lets in come back at once.
func (g *Gateway) closeStranded(before, r *realm) (closed int) {
	for _, l := range g.table.matching(func(*live) bool { return true }) {
		z, ok := r.zones[l.admission.Zone]
		reason := ""
		switch {
		case !ok:
			reason = g.mayStay(l)
		case slices.ContainsFunc(append(l.restsOn(), l.admission.Device), outsider) && z.lost(before.zones[l.admission.Zone]):
			reason = "a CA of its zone is not trusted any more"
		case outsider(l.admission.Device) && z.revokes(l.admission.Device):
			reason = "its certificate was revoked"
		default:
			d, _ := g.registry.Device(l.terms.proof.key)
			reason = cmp.Or(g.mayStay(l), z.barsPSK(d))
		}
		if reason != "" {
			closed++
			l.session.Do(ike.CloseSession{Reason: reason})
		}
	}
	return closed
}

// outsidePrefix marks devices that have no record here: they came with a
// certificate of a zone's own trust anchor. No device name has a colon.
const outsidePrefix = "certificate:"

// outsideDevice names the device of such a certificate. A serial number is
// unique for its issuer only (RFC 5280, Section 4.1.2.2), and without the issuer
// two devices of two CAs would take each other's addresses and sessions.
func outsideDevice(c *x509.Certificate) string {
	issuer := sha256.Sum256(slices.Concat(c.RawIssuer, c.AuthorityKeyId))
	return fmt.Sprintf("%s%x:%s", outsidePrefix, issuer[:6], pki.SerialText(c.SerialNumber))
}

func outsider(device string) bool { return strings.HasPrefix(device, outsidePrefix) }

// Status implements the control API.
func (g *Gateway) Status(ctx context.Context) (Status, error) {
	st, err := g.State.Status(ctx)
	if err != nil {
		return st, err
	}
	st.Running, st.Version, st.Since = true, g.version, g.since
	st.Sessions, _ = g.table.count()
	stats := g.engine.Stats()
	st.Engine = &stats
	st.Plane = planeCounts(g.plane)
	for _, name := range slices.Sorted(maps.Keys(g.realms)) {
		st.RADIUS = append(st.RADIUS, g.realms[name].status())
	}
	st.Refusals = last(g.refusals.list(), shownRefusals)
	r := g.realm.Load()
	for i := range st.Zones {
		if z, ok := r.zones[st.Zones[i].Name]; ok {
			st.Zones[i].Leases, st.Zones[i].Sessions = z.pool.used()
		}
	}
	g.addFirewall(&st)
	if taken := g.taken.Load(); taken != nil {
		st.Findings, st.Loaded = taken.findings, taken.read
	}
	g.addLifetimes(&st, time.Now())
	st.TurnedAway = g.drops.counts()
	return st, nil
}

// planeCounts are the totals of a plane that keeps them.
func planeCounts(p dataplane.Plane) map[string]uint64 {
	counting, ok := p.(interface{ Counters() []userspace.Counter })
	if !ok {
		return nil
	}
	counts := map[string]uint64{}
	for _, c := range counting.Counters() {
		if c.Value > 0 {
			counts[c.Name] = c.Value
		}
	}
	return counts
}

// shownRefusals is how many refusals a status shows: the recent trouble.
const shownRefusals = 10

func last[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// Refusals implements the control API.
func (g *Gateway) Refusals(context.Context) ([]Refusal, error) { return g.refusals.list(), nil }

// RevokeDevice implements the control API. When it returns, live sessions have
// been told to end.
func (g *Gateway) RevokeDevice(ctx context.Context, name string, r Revocation) (Revoked, error) {
	return g.revoke(ctx, func() (Revoked, error) { return g.State.RevokeDevice(ctx, name, r) })
}

// RevokeUser implements the control API.
func (g *Gateway) RevokeUser(ctx context.Context, name string, r Revocation) (Revoked, error) {
	live := g.table.matching(func(l *live) bool { return l.user() == name && !foreign(l.admission.Device) })
	done, err := g.revoke(ctx, func() (Revoked, error) { return g.State.RevokeUser(ctx, name, r) })
	if err == nil {
		done.Cut = len(live) // those by password too
	}
	return done, err
}

func (g *Gateway) revoke(_ context.Context, act func() (Revoked, error)) (Revoked, error) {
	sessions := g.table.byDevice()
	done, err := act()
	for _, d := range done.Devices {
		done.Cut += sessions[d]
	}
	if err == nil {
		err = g.own.AddCRL(g.ca.CRL())
	}
	return done, err
}

// Kick implements the control API.
func (g *Gateway) Kick(_ context.Context, k Kick) (Kicked, error) {
	var pick func(*live) bool
	what, name := "session", fmt.Sprint(k.Session)
	switch {
	case k.Session != 0 && k.Device == "" && k.User == "":
		pick = func(l *live) bool { return l.id == k.Session }
	case k.Session == 0 && k.Device != "" && k.User == "":
		what, name = "session of device", k.Device
		pick = func(l *live) bool { return l.admission.Device == k.Device }
	case k.Session == 0 && k.Device == "" && k.User != "":
		what, name = "session of user", k.User
		pick = func(l *live) bool { return l.user() == k.User }
	default:
		return Kicked{}, &InvalidError{Reason: "name a session, a device or a user, and only one of them"}
	}
	found := g.table.matching(pick)
	if len(found) == 0 {
		return Kicked{}, &NotFoundError{What: what, Name: name, Hint: "see them with: sallyport sessions list"}
	}
	for _, l := range found {
		l.session.Do(ike.CloseSession{Reason: "disconnected by the administrator"})
	}
	return Kicked{Cut: len(found)}, nil
}
