//go:build !nolegacy

package gateway

import (
	"cmp"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/engine/legacy"
	"sallyport/pki"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/ppp"
	"sallyport/protocol/ppp/hostconf"
	"sallyport/protocol/suite"
)

// door lets clients of IKE version 1 into the L2TP zones of one configuration.
// It implements [engine.Legacy].
type door struct {
	g     *Gateway
	rooms []*room
}

// room is an L2TP zone, ready to serve.
type room struct {
	*zone
	listen   []netip.Addr // empty: every address of the gateway
	session  *legacy.Config
	noSHA1   *legacy.Config // when the waiver that SHA-1 needs is over
	halfOpen *atomic.Int64  // set-ups under way
	arrivals
}

// openLegacy makes the door of a realm; nil when there is no zone behind it.
func (g *Gateway) openLegacy(r *realm) (engine.Legacy, error) {
	d := &door{g: g}
	for _, z := range r.of(config.L2TP) {
		if len(g.links) > 0 && !slices.ContainsFunc(g.links, func(l *innerLink) bool { return l.name == z.config.Device }) {
			g.log.Warn("an L2TP zone that a reload brings is served after a restart", "zone", z.config.Name)
			continue
		}
		room, err := g.room(r, z)
		if err != nil {
			return nil, fmt.Errorf("gateway: zone %q: %w", z.config.Name, err)
		}
		for _, o := range d.rooms {
			if share(o.listen, room.listen) {
				return nil, fmt.Errorf("gateway: the zones %q and %q are served on the same address, where nothing tells their clients apart", o.config.Name, z.config.Name)
			}
		}
		d.rooms = append(d.rooms, room)
	}
	if len(d.rooms) == 0 {
		return nil, nil
	}
	return d, nil
}

// share tells whether two lists of addresses have one in common; an empty one is
// what the gateway listens on, which only one zone may be left with.
func share(a, b []netip.Addr) bool {
	return len(a) == 0 && len(b) == 0 || slices.ContainsFunc(a, func(x netip.Addr) bool { return slices.Contains(b, x) })
}

func (g *Gateway) room(r *realm, z *zone) (*room, error) {
	c := &z.config
	listen, err := listenAddrs(c.Listen)
	if err != nil {
		return nil, err
	}
	name := c.Name
	host := hostconf.Config{Search: c.DNS.Search, Routes: c.Routes, MTU: c.MTU}
	gateway := c.Pool.Gateway()
	if len(gateway) > 0 && gateway[0].Is4() {
		host.Server = gateway[0]
	}
	if c.Pool.IPv6.IsValid() {
		host.RouterLifetime = routerLifetime
	}
	halfOpen := new(atomic.Int64)
	session := &legacy.Config{
		HalfOpen: halfOpen,
		IKE: &ikev1.Policy{
			Phase1: z.ike, Phase2: z.child.ESP, Methods: methods(c),
			Lifetime1: c.Rekey.IKE, Lifetime2: c.Rekey.Child, DPD: c.DPD, ForceEncap: c.Encap != "auto",
		},
		Authorities: z.subjects(g.ca.Certificate()),
		L2TP:        &l2tp.Config{Role: l2tp.LNS, HostName: g.Config().Gateway.Name, VendorName: "Sallyport"},
		PPP: &ppp.Config{
			Role: ppp.Server, MRU: c.MTU, Local: host.Server, NoIPv4: !c.Pool.IPv4.IsValid(), NoIPv6: !c.Pool.IPv6.IsValid(),
		},
		Ask:    func(task any) (any, error) { return g.askLegacy(name, task) },
		Before: func(a *ikev1.Admission) any { return a.Value },
		Proven: func(a *ikev1.Admission) bool { return a.Value.(*footing).machine.device != "" },
		NewEAP: g.logins.New,
		Device: c.Device,
		Limits: z.child.Limits,
		Host:   host,
	}
	return &room{zone: z, listen: listen, halfOpen: halfOpen, session: session, noSHA1: withoutSHA1(session)}, nil
}

// withoutSHA1 is a configuration that takes no HMAC-SHA1.
func withoutSHA1(c *legacy.Config) *legacy.Config {
	out, policy := *c, *c.IKE
	policy.Phase1, policy.Phase2 = soundOf(policy.Phase1), soundOf(policy.Phase2)
	out.IKE = &policy
	return &out
}

func soundOf(proposals []suite.Proposal) (out []suite.Proposal) {
	for _, p := range proposals {
		sound := suite.Proposal{Protocol: p.Protocol, Transforms: slices.DeleteFunc(slices.Clone(p.Transforms), isSHA1)}
		if len(p.Of(suite.Integ)) == 0 || len(sound.Of(suite.Integ)) > 0 {
			out = append(out, sound)
		}
	}
	return out
}

// now is what new sessions are made from: a gateway that runs past the end of a
// waiver ends it, too.
func (r *room) now(at time.Time) *legacy.Config {
	if r.config.WaivedForAnyone(config.RuleSHA1HMAC, at) {
		return r.session
	}
	return r.noSHA1
}

// routerLifetime is how long a host keeps us as its router of IPv6 without a
// further word (RFC 4861, Section 6.2.1: three times the interval).
const routerLifetime = 3 * hostconf.AdvertiseEvery

// methods are the ways of main mode that a zone takes.
func methods(c *config.Zone) (out []suite.AuthMethod1) {
	if slices.Contains(c.Machine, config.Certificate) {
		out = append(out, suite.AuthRSA1, suite.AuthECDSA256, suite.AuthECDSA384, suite.AuthECDSA521)
	}
	if slices.Contains(c.Machine, config.PSK) {
		out = append(out, suite.AuthPSK1)
	}
	return out
}

// subjects are the names of the CAs that a zone trusts, as CERTREQ has them
// (RFC 2408, Section 3.10).
func (z *zone) subjects(own *x509.Certificate) [][]byte {
	names := [][]byte{own.RawSubject}
	for _, a := range z.anchors {
		names = append(names, a.RawSubject)
	}
	return names
}

// roomAt is the zone that is served on an address.
func (d *door) roomAt(local netip.Addr) *room {
	var anywhere *room
	for _, r := range d.rooms {
		if slices.Contains(r.listen, local.Unmap()) {
			return r
		}
		if len(r.listen) == 0 {
			anywhere = r
		}
	}
	return anywhere
}

// First implements [engine.Legacy]. IKEv1 has no cookies, and what it costs does
// not make IKEv2 ask for them: strangers could shut out one by the other. Its
// bounds are the zone's own.
func (d *door) First(now time.Time, first ike.Datagram) (cost int, ok bool) {
	r := d.roomAt(first.Local.Addr())
	if r == nil {
		return 0, false
	}
	if int(r.halfOpen.Load()) >= r.config.Limits.HalfOpen {
		d.g.drops.note("too many set-ups under way")
		return 0, false
	}
	if !r.arrivals.admit(now, first.Remote, binary.BigEndian.Uint64(first.Data), r.config.Limits.Setups) {
		d.g.drops.note("too many set-ups of one source")
		return 0, false
	}
	// Last, because it reads all of the message.
	v := ikev1.Front(ikev1.Datagram{Local: first.Local, Remote: first.Remote, Data: first.Data})
	if !v.Accept {
		d.g.drops.note(v.Reason.String())
		return 0, false
	}
	return 0, true
}

// New implements [engine.Legacy].
func (d *door) New(ids engine.IDs, now time.Time, first ike.Datagram, out *ike.Out) engine.Machine {
	return legacy.New(d.roomAt(first.Local.Addr()).now(now), ids, now, first, out)
}

// askLegacy answers what IKEv1 asks about keys and peers. It runs on a worker.
func (g *Gateway) askLegacy(name string, task any) (any, error) {
	r := g.realm.Load()
	z, ok := r.zones[name]
	if !ok || !z.speaks(config.L2TP) {
		return nil, &ikev1.Refusal{Reason: fmt.Sprintf("the zone %q is gone", name)}
	}
	if z.config.Cutoff.Over(time.Now()) {
		return nil, &ikev1.Refusal{
			Reason: fmt.Sprintf("zone %q took L2TP until %s", name, z.config.Cutoff.Format(time.DateOnly)),
			Hint:   "move the client to IKEv2: sallyport device profile NAME --for ...",
		}
	}
	switch t := task.(type) {
	case ikev1.SharedKey:
		return g.machineKey(z, t)
	case *ikev1.Authenticate:
		return g.authenticateMachine(r, z, t)
	case *ikev1.Sign:
		key, ok := r.keys[t.Identity.Key]
		if !ok {
			key, ok = r.earlier[t.Identity.Key]
		}
		if !ok {
			return nil, fmt.Errorf("gateway: there is no key %q any more", t.Identity.Key)
		}
		return t.With(key)
	}
	return nil, errors.New("gateway: IKEv1 asks for something unknown")
}

// machineKey finds the pre-shared key for a client of which nothing is known but
// its address: that of the one device which may come from there, else the
// group's.
func (g *Gateway) machineKey(z *zone, t ikev1.SharedKey) (any, error) {
	if d, ok := g.registry.comingFrom(z.config.Name, t.Remote.Addr().Unmap()); ok {
		if why := cmp.Or(g.registry.allowed(d.Name), z.barsPSK(d)); why != "" {
			return nil, &ikev1.Refusal{Reason: fmt.Sprintf("device %q: %s", d.Name, why), Hint: "revoke it and add it anew"}
		}
		key, err := g.psk(d.Name)
		if err != nil {
			return nil, err
		}
		u, _ := g.registry.User(d.User)
		who := peer{identity: d.Identity, device: d.Name, user: d.User, zone: d.Zone, groups: u.Groups, fixed: d.Inner}
		return ikev1.Key{Secret: key, Value: &footing{zone: z, by: config.PSK, machine: who}}, nil
	}
	if z.group == nil || !z.config.WaivedForAnyone(config.RulePSKAny, time.Now()) {
		return nil, &ikev1.Refusal{
			Reason: fmt.Sprintf("no device of zone %q with a pre-shared key may come from %v", z.config.Name, t.Remote.Addr()),
			Hint:   "add the device with --psk --address, give it a certificate, or move it to IKEv2",
		}
	}
	if z.groupWeak && !z.config.WaivedForAnyone(config.RulePSKWeak, time.Now()) {
		return nil, &ikev1.Refusal{
			Reason: fmt.Sprintf("the waiver of %s that the group's pre-shared key of zone %q needs is over", config.RulePSKWeak, z.config.Name),
			Hint:   "make a stronger one with: openssl rand -base64 24; or move the clients to IKEv2",
		}
	}
	return ikev1.Key{Secret: z.group, Value: &footing{zone: z, by: groupPSK, weak: z.groupWeak}}, nil
}

// authenticateMachine tells whether the machine at the other end of IKEv1 may
// come in, so far: its user is still to be proved.
func (g *Gateway) authenticateMachine(r *realm, z *zone, t *ikev1.Authenticate) (any, error) {
	if t.Method == suite.AuthPSK1 {
		f, ok := t.Value.(*footing)
		if !ok {
			return nil, errors.New("gateway: a pre-shared key of nobody")
		}
		return &ikev1.Admission{Value: f, Name: f.machine.device}, nil
	}
	id := idOf(t.PeerID)
	cert, who, err := g.identify([]*zone{z}, r, t.Chain, func(*x509.Certificate) string { return id.String() })
	if err != nil {
		return nil, refusalV1(err)
	}
	if err := pki.MatchID(cert, &id); err != nil {
		return nil, &ikev1.Refusal{Reason: err.Error(), Hint: "use the identity that is in the certificate"}
	}
	if err := t.Verify(cert.PublicKey); err != nil {
		return nil, &ikev1.Refusal{Reason: err.Error(), Hint: "the certificate and the private key on the client do not belong together"}
	}
	if who.zone != z.config.Name {
		return nil, &ikev1.Refusal{
			Reason: fmt.Sprintf("%q belongs to zone %q, which is not reached by L2TP on this address", who.identity, who.zone),
			Hint:   "use IKEv2, or enrol the device in zone " + z.config.Name,
		}
	}
	local := z.machineIdentity(t.Method)
	if local == nil {
		return nil, &ikev1.Refusal{Reason: fmt.Sprintf("the gateway has no key for %v", t.Method), Hint: "let the client propose RSA signatures"}
	}
	return &ikev1.Admission{Local: local, Value: &footing{zone: z, by: config.Certificate, machine: who}, Name: who.device}, nil
}

// machineIdentity is how the zone answers a method of main mode: both ends use
// the same (RFC 2409, Section 5).
func (z *zone) machineIdentity(m suite.AuthMethod1) *ikev1.Identity {
	for _, id := range z.identities {
		if m.Fits(id.Public) == nil {
			return &ikev1.Identity{ID: idV1(id.ID), Chain: id.Chain, Key: id.Key, Public: id.Public}
		}
	}
	return nil
}

// idOf and idV1 change between the two versions, whose types of identities have
// the same numbers (RFC 2407, Section 4.6.2.1; RFC 7296, Section 3.5).
func idOf(id isakmp.ID) ikemsg.ID { return ikemsg.ID{Kind: ikemsg.IDType(id.Type), Data: id.Data} }
func idV1(id ikemsg.ID) isakmp.ID { return isakmp.ID{Type: isakmp.IDType(id.Kind), Data: id.Data} }

func refusalV1(err error) error {
	if r, ok := errors.AsType[*ike.Refusal](err); ok {
		return &ikev1.Refusal{Reason: r.Reason, Hint: r.Hint}
	}
	return &ikev1.Refusal{Reason: err.Error(), Hint: hintOf(err)}
}
