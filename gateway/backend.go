package gateway

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/config"
	"sallyport/dataplane"
	"sallyport/engine"
	"sallyport/pki"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/radius"
	"sallyport/protocol/suite"
)

// Authenticate implements [engine.Backend]: who is it, and may it come in. It
// runs on a worker.
func (g *Gateway) Authenticate(t *ike.Authenticate) (*ike.Admission, error) {
	r := g.realm.Load()
	if t.BySharedKey() {
		return g.authenticatePSK(r, t)
	}
	cert, who, err := g.identify(r.of(config.IKEv2), r, t.Chain, func(*x509.Certificate) string { return t.PeerID.String() })
	if err != nil {
		return nil, err
	}
	if err := pki.MatchID(cert, &t.PeerID); err != nil {
		return nil, refusal("use the identity that is in the certificate", "%v", err)
	}
	signature, err := t.Verify(cert.PublicKey)
	if err != nil {
		return nil, refusal("the certificate and the private key on the client do not belong together, or the client signs with an algorithm that is not allowed", "%v", err)
	}
	z, err := r.zoneOf(who, t)
	if err != nil {
		return nil, err
	}
	if err := z.mayEnter(authCertificate); err != nil {
		return nil, err
	}
	allow := suite.Allow{SHA1: z.config.Waived(ruleSHA1, who.identity, time.Now())}
	if signature.Hash == crypto.SHA1 && !allow.SHA1 { // the waiver that let it be verified is another zone's
		return nil, refusal("let the client sign with SHA-2, or waive "+ruleSHA1+" in its zone", "the client signs with SHA-1, which zone %q does not allow", z.config.Name)
	}
	local := z.identityFor(t, allow)
	if local == nil {
		return nil, refusal("the client knows only SHA-1 signatures: give it an ECDSA identity of the gateway, or waive "+ruleSHA1,
			"no identity of the gateway can sign in a way the client understands")
	}
	a, err := g.admission(r, who, z, local)
	return proving(a, err, proof{}.breaks(ruleSHA1, signature.Hash == crypto.SHA1))
}

// mayEnter tells whether a zone takes peers that come that way.
func (z *zone) mayEnter(auth string) error {
	switch {
	case !z.takes(auth) && auth == authCertificate && z.takes(authEAPTLS):
		return refusal("configure the client for EAP-TLS, or add certificate to the zone's auth", "zone %q does not take certificates but inside EAP-TLS", z.config.Name)
	case !z.takes(auth):
		return refusal(fmt.Sprintf("add %s to the zone's auth, or configure the client for %s", auth, strings.Join(z.config.Auth, " or ")), "zone %q does not take %s", z.config.Name, auth)
	}
	return nil
}

// admission lets a peer into its zone, on its terms, unless it has too many
// sessions. By now the device is the seat, where there is none.
func (g *Gateway) admission(r *realm, who peer, z *zone, local *ike.Identity) (*ike.Admission, error) {
	if g.table.crowded(who.device, z.config.Sessions) {
		return nil, refusal("wait a few seconds; if it stays like this, look for a second client with the same certificate, key or name",
			"device %q makes new sessions faster than its old ones end", who.device)
	}
	if most := z.config.Limits.Sessions; g.table.zoneFull(z.config.Name, who.device, most) {
		return nil, refusal("raise limits.sessions of the zone, or move its clients to IKEv2", "zone %q has %d sessions, which is its limit", z.config.Name, most)
	}
	t := r.termsOf(z, who.user, who.groups)
	t.fixed = who.fixed
	if why := g.full(t, who.device); why != "" {
		return nil, refusal("disconnect one of them, or raise user.sessions of the zone or group", "%s", why)
	}
	return &ike.Admission{
		Identity: who.identity, Device: who.device, Zone: z.config.Name,
		Local: local, Policy: t.child, AuthLifetime: z.config.AuthLifetime, Lease: true, Value: t,
	}, nil
}

// peer is who a certificate says it is.
type peer struct {
	identity, device, user string
	zone                   string // of the device's record; empty: by the trust anchor
	groups                 []string
	fixed                  InnerAddrs
}

// identify verifies the chain: first against our own CA, which leads to a
// device record, then against the trust anchors of each zone; outsider names
// the owner of a certificate of theirs. Two zones may trust the same CA: then the
// first one counts of those that the client can mean.
func (g *Gateway) identify(meant []*zone, r *realm, chain [][]byte, outsider func(*x509.Certificate) string) (*x509.Certificate, peer, error) {
	cert, err := g.own.Verify(time.Now(), chain, pki.Client)
	if err == nil {
		who, err := g.enrolled(cert)
		return cert, who, err
	}
	for _, z := range slices.Concat(meant, r.order) { // the others for a better reason than that nobody knows the CA
		if z.outside == nil {
			continue
		}
		cert, outsideErr := z.outside.Verify(time.Now(), chain, pki.Client)
		if outsideErr == nil {
			return cert, peer{identity: outsider(cert), device: outsideDevice(cert), zone: z.config.Name}, nil
		}
		if e, ok := errors.AsType[*pki.Error](outsideErr); ok && e.Reason != pki.UnknownAuthority {
			err = outsideErr // more telling than "not ours"
		}
	}
	return nil, peer{}, refusal(hintOf(err), "%v", err)
}

// enrolled finds the device of a certificate of our own CA.
func (g *Gateway) enrolled(cert *x509.Certificate) (peer, error) {
	serial := pki.SerialText(cert.SerialNumber)
	d, u, ok := g.registry.BySerial(serial)
	if !ok {
		return peer{}, refusal("enrol the device again with: sallyport device add", "the certificate with serial number %s belongs to no device", serial)
	}
	if why := g.registry.allowed(d.Name); why != "" {
		return peer{}, refusal("if that is a mistake, enrol the device again with: sallyport device add "+d.Name+" --user "+d.User, "device %q: %s", d.Name, why)
	}
	return peer{identity: d.Identity, device: d.Name, user: u.Name, zone: d.Zone, groups: u.Groups, fixed: d.Inner}, nil
}

// zoneOf finds the zone of a peer and holds what it negotiated and asked for
// against it.
func (r *realm) zoneOf(who peer, t *ike.Authenticate) (*zone, error) {
	z, ok := r.zones[who.zone]
	if !ok {
		return nil, refusal("move the device to a zone that exists", "the zone %q of device %q is not in the configuration", who.zone, who.device)
	}
	if !z.speaks(config.IKEv2) {
		return nil, refusal("move the device or its user to a zone of IKEv2, where such a client belongs", "the zone %q of device %q is reached by L2TP alone", who.zone, who.device)
	}
	if !z.answersTo(t.WantID) {
		return nil, refusal(fmt.Sprintf("set the remote identity on the client to %v", z.identities[0].ID.String()),
			"the client asked for the gateway %v, which is not the one of zone %q", t.WantID.String(), z.config.Name)
	}
	if !z.allowsSuite(t.Suite) {
		r := refusal("give the client a profile of its zone: sallyport device profile "+who.device,
			"the suite %v is not allowed in zone %q", t.Suite, z.config.Name)
		r.Notify = ikemsg.NotifyNoProposalChosen
		return nil, r
	}
	return z, nil
}

func refusal(hint, format string, args ...any) *ike.Refusal {
	return &ike.Refusal{Notify: ikemsg.NotifyAuthenticationFailed, Reason: fmt.Sprintf(format, args...), Hint: hint}
}

// Sign implements [engine.Backend].
func (g *Gateway) Sign(t *ike.Sign) (ike.Signed, error) {
	if device, ok := strings.CutPrefix(t.Identity.Key, pskSigner); ok {
		return g.signPSK(t, device)
	}
	key, ok := g.realm.Load().signer(t.Identity)
	if !ok {
		return ike.Signed{}, fmt.Errorf("gateway: there is no key %q any more", t.Identity.Key)
	}
	sig, err := suite.ChooseSignature(t.Identity.Public, t.Hashes, t.Allow, true)
	if err != nil {
		return ike.Signed{}, err
	}
	data, err := sig.Sign(key, t.Octets)
	return ike.Signed{Method: sig.Method, Data: data}, err
}

// Lease implements [engine.Backend].
func (g *Gateway) Lease(t *ike.Lease) (ike.Leased, error) {
	// The zone of now: a reload may have come since the peer was admitted.
	z, ok := g.realm.Load().zones[t.Zone]
	own, admitted := t.Value.(*terms)
	if !ok || !admitted {
		return ike.Leased{}, fmt.Errorf("gateway: the zone %q is gone", t.Zone)
	}
	want4, want6 := wanted(t.Request)
	l, err := g.lease(z, t.Device, addressing{own.within, own.not, own.fixed}, want4, want6)
	if err != nil {
		return ike.Leased{}, err
	}
	leased := ike.Leased{DNS: own.resolvers, Domains: own.split}
	if want4 {
		leased.IPv4 = l.IPv4
	}
	if want6 && l.IPv6.IsValid() {
		leased.IPv6 = netip.PrefixFrom(l.IPv6, z.ipv6Bits)
	}
	own.leased = leased
	return leased, nil
}

func wanted(request ikemsg.CP) (v4, v6 bool) {
	for _, a := range request.Attributes {
		v4 = v4 || a.Type == ikemsg.InternalIP4Address
		v6 = v6 || a.Type == ikemsg.InternalIP6Address
	}
	return v4, v6
}

// Event implements [engine.Backend]. It runs on the session's event loop.
func (g *Gateway) Event(s *engine.Session, ev ike.Event) {
	switch ev := ev.(type) {
	case ike.Refused:
		g.refused(ev.Record)
	case ike.Established:
		g.established(s, ev)
	case ike.ChildUp:
		g.withLive(s, func(l *live) { l.children = append(l.children, ev.Child.SPIIn) })
	case ike.Extra:
		g.carries(s, ev.Value)
	case ike.ChildDown:
		if l, ok := s.Data.(*live); ok {
			g.childGone(l, ev.SPIIn)
		}
	case ike.Moved:
		g.moved(s, ev)
	case ike.Closed:
		g.closed(s, ev)
	}
}

// refused files a record and logs it, the first of its kind and not too many:
// anyone can cause one.
func (g *Gateway) refused(r ike.Record) {
	if !g.refusals.add(r) {
		return
	}
	switch n := g.refusals.toLog(r.Time); {
	case n > maxRefusalLines:
		return
	case n == maxRefusalLines:
		g.log.Warn("many refusals; the rest of this minute is counted only, see: sallyport status")
		return
	}
	g.log.Warn("refused", "remote", r.Remote, "peer", r.PeerID, "client", fmt.Sprint(r.PeerKind), "stage", fmt.Sprint(r.Stage),
		"reason", r.Reason, "difference", r.Difference, "fix", r.Fix, "notify", r.Notify.String())
}

// established files the session, and looks once more whether it may be: it may
// have been revoked while it was being set up.
func (g *Gateway) established(s *engine.Session, ev ike.Established) {
	l := &live{session: s, admission: ev.Admission, since: time.Now(), remote: ev.Remote, kind: ev.PeerKind}
	l.claim = ev.PeerID.String()
	if l.terms, _ = ev.Admission.Value.(*terms); l.terms == nil {
		s.Do(ike.CloseSession{Reason: "it was admitted on no terms"})
		return
	}
	l.rate = rateOf(l.terms.limits)
	s.Data = l
	z, ok := g.realm.Load().zones[l.admission.Zone]
	if !ok {
		s.Do(ike.CloseSession{Reason: "its zone is gone"})
		return
	}
	l.zone, l.pool = z, z.pool
	l.pool.begin(l.admission.Device)
	older := g.table.add(l)
	if why := g.mayStay(l); why != "" {
		s.Do(ike.CloseSession{Reason: why})
		return
	}
	if most := z.config.Limits.Sessions; g.table.zoneFull(z.config.Name, l.admission.Device, most) { // many logged in at once
		s.Do(ike.CloseSession{Reason: fmt.Sprintf("its zone has %d other sessions, which is its limit", most)})
		return
	}
	allowed := z.config.Sessions
	if isSeat(l.admission.Device) {
		allowed = 1 // the older one may be another machine's, with the same address
	}
	g.table.replace(older, allowed, ev.InitialContact, g.alive)
	g.thin(l)
	g.openAccount(l, z, ev)
	g.noteUse(l, l.since)
	level := slog.LevelInfo
	if z.speaks(config.L2TP) { // louder: who can, moves on
		level = slog.LevelWarn
	}
	g.log.Log(context.Background(), level, "connected", "protocol", z.config.Protocol, "session", l.id, "device", l.admission.Device, "identity", l.admission.Identity, "zone", l.admission.Zone,
		"remote", ev.Remote, "client", fmt.Sprint(ev.PeerKind), "suite", ev.Suite.String(), "waived", l.terms.proof.broken)
}

// mayStay tells why a live session must end; empty: it may stay.
func (g *Gateway) mayStay(l *live) string {
	switch z, ok := g.realm.Load().zones[l.admission.Zone]; {
	case !ok:
		return "its zone was removed from the configuration"
	case l.pool != z.pool:
		return "the pool of its zone was changed"
	}
	if why := cmp.Or(g.cutOff(l, time.Now()), g.lostFooting(l)); why != "" {
		return why
	}
	switch {
	case outsider(l.admission.Device):
		return ""
	case foreign(l.admission.Device):
		return g.realm.Load().withdrawn(l)
	}
	if user, ok := seatOwner(l.admission.Device); ok {
		return cmp.Or(g.registry.userAllowed(user), g.changedTerms(l, user))
	}
	d, ok := g.registry.Device(l.admission.Device)
	if at := g.remoteOf(l).Addr(); ok && !d.mayComeFrom(at) {
		return fmt.Sprintf("the device may come from %v only, and is at %v", d.Address, at)
	}
	return cmp.Or(g.registry.allowed(l.admission.Device), g.changedTerms(l, d.User))
}

// withdrawn tells whether a RADIUS server's word holds no more.
func (r *realm) withdrawn(l *live) string {
	z, ok := r.zones[l.admission.Zone]
	switch t := r.groups[l.terms.group]; {
	case !ok: // who calls looks at that
	case judgedElsewhere(l.admission.Device, z):
		return "its zone has other RADIUS servers now"
	case l.terms.group != "" && (t == nil || t.zone != z):
		return "its group was removed from the zone"
	}
	return ""
}

// changedTerms tells whether a session's user has been moved to other terms
// since: it ends, and comes back on those.
func (g *Gateway) changedTerms(l *live, user string) string {
	u, _ := g.registry.User(user)
	r, zone := g.realm.Load(), l.admission.Zone
	if _, seated := seatOwner(l.admission.Device); seated {
		if now, err := g.userZone(u); err != nil || now != zone {
			return "its user was moved to another zone"
		}
	}
	if z, ok := r.zones[zone]; ok && r.termsOf(z, user, u.Groups).group != l.terms.group {
		return "its user was moved to another group"
	}
	return ""
}

// alive tells whether a packet came in a moment ago.
func (g *Gateway) alive(l *live) bool {
	var children []uint32
	g.table.update(func() { children = append(children, l.children...) })
	for _, spi := range children {
		if st, ok := g.plane.Stats(spi); ok && time.Since(st.LastInbound) < aliveWithin {
			return true
		}
	}
	return false
}

// carries notes the Child SAs of a session of an L2TP zone, which are older than
// the session.
func (g *Gateway) carries(s *engine.Session, value any) {
	var spi uint32
	older := false
	switch v := value.(type) {
	case dataplane.SetCall:
		if v.Call != nil {
			spi, older = v.SPIIn, true
		}
	case dataplane.Add:
		spi = v.SA.SPIIn
	}
	if spi == 0 {
		return
	}
	g.withLive(s, func(l *live) { l.carriedBy(spi, older, g.plane) })
}

// carriedBy notes a Child SA. In one that is older than the session went its
// login, and maybe an earlier session: both are not of its account.
func (l *live) carriedBy(spi uint32, older bool, plane dataplane.Plane) {
	if slices.Contains(l.children, spi) {
		return
	}
	l.children = append(l.children, spi)
	if st, ok := plane.Stats(spi); ok && older {
		if l.before == nil {
			l.before = make(map[uint32]radius.Usage)
		}
		l.before[spi] = radius.Usage{InOctets: st.BytesIn, OutOctets: st.BytesOut, InPackets: st.PacketsIn, OutPackets: st.PacketsOut}
	}
}

func (g *Gateway) withLive(s *engine.Session, f func(*live)) {
	if l, ok := s.Data.(*live); ok {
		g.table.update(func() { f(l) })
	}
}

func (g *Gateway) moved(s *engine.Session, ev ike.Moved) {
	l, ok := s.Data.(*live)
	if !ok || l.remote == ev.Remote {
		return
	}
	g.log.Info("moved", "session", l.id, "device", l.admission.Device, "from", l.remote, "to", ev.Remote)
	g.table.update(func() { l.remote = ev.Remote })
	if why := g.mayStay(l); why != "" {
		s.Do(ike.CloseSession{Reason: why})
	}
}

func (g *Gateway) closed(s *engine.Session, ev ike.Closed) {
	l, ok := s.Data.(*live)
	if !ok {
		return
	}
	s.Data = nil
	g.closeAccount(l, ev)
	g.table.remove(l)
	if l.pool != nil {
		l.pool.end(l.admission.Device, time.Now())
	}
	g.log.Info("disconnected", "session", l.id, "device", l.admission.Device, "reason", engine.CloseText(ev.Reason), "err", ev.Err,
		"after", time.Since(l.since).Round(time.Second))
}

func without(list []uint32, spi uint32) []uint32 {
	out := list[:0]
	for _, s := range list {
		if s != spi {
			out = append(out, s)
		}
	}
	return out
}

// hintOf is the hint that many of our errors carry.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
