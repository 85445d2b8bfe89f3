package gateway

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// zone is one zone of a configuration, ready to serve: everything in it is
// shared by its sessions and never changes.
type zone struct {
	config     config.Zone
	child      *ike.ChildPolicy
	terms      *terms // of a peer without group
	ike        []suite.Proposal
	identities []*ike.Identity // in order of preference: ECDSA, then RSA
	outside    *pki.Verifier   // for certificates of the zone's own trust anchors; nil = none
	anchors    []*x509.Certificate
	crls       []*pki.CRL   // of those
	pool       *addressPool // carried over from one configuration to the next
	resolvers  []netip.Addr
	ipv6Bits   int
	group      secret.Bytes // the pre-shared key of all clients of an L2TP zone; nil: none
	groupWeak  bool         // it could be guessed, which is waived
}

// speaks tells whether a zone is reached by a protocol.
func (z *zone) speaks(protocol string) bool { return z.config.Protocol == protocol }

// realm is all zones of one configuration with what they share; it is swapped
// as a whole.
type realm struct {
	config  *config.Config
	zones   map[string]*zone
	order   []*zone                  // as in the file
	groups  map[string]*terms        // by name
	keys    map[string]crypto.Signer // by Identity.Key, of this realm
	earlier map[string]crypto.Signer // and of the one before, for set-ups under way
	profile *engine.Profile
	// authorities are all CAs whose certificates we take, as TLS names them.
	authorities *x509.CertPool
}

// buildRealm makes a realm of a configuration; pools come from before where a
// zone keeps its networks, so that no address is given out twice.
func buildRealm(ctx context.Context, cfg *config.Config, ca *pki.CA, before *realm) (*realm, error) {
	r := &realm{config: cfg, zones: make(map[string]*zone), groups: make(map[string]*terms), keys: make(map[string]crypto.Signer)}
	if before != nil {
		r.earlier = before.keys
	}
	own, err := ca.ServerIdentities(ctx, time.Now(), gatewayNames(cfg))
	if err != nil {
		return nil, err
	}
	authorities := [][]byte{}
	r.authorities = x509.NewCertPool()
	r.authorities.AddCert(ca.Certificate())
	hash := pki.SPKIHash(ca.Certificate())
	authorities = append(authorities, hash[:])
	for i := range cfg.Zones {
		z, anchors, err := r.buildZone(ctx, ca, &cfg.Zones[i], own)
		if err != nil {
			return nil, fmt.Errorf("gateway: zone %q: %w", cfg.Zones[i].Name, err)
		}
		for _, a := range anchors {
			r.authorities.AddCert(a)
			if z.speaks(config.IKEv2) {
				hash := pki.SPKIHash(a)
				authorities = append(authorities, hash[:])
			}
		}
		if err := z.takePool(before); err != nil {
			return nil, fmt.Errorf("gateway: zone %q: %w", z.config.Name, err)
		}
		r.zones[z.config.Name] = z
		r.order = append(r.order, z)
	}
	for i := range cfg.Groups {
		if z, ok := r.zones[cfg.Groups[i].Zone]; ok {
			r.groups[cfg.Groups[i].Name] = z.groupTerms(&cfg.Groups[i])
		}
	}
	if len(r.of(config.IKEv2)) > 0 {
		r.profile = &engine.Profile{Policy: r.policy(), Authorities: slices.Concat(authorities...)}
	}
	return r, nil
}

// of are the zones that a protocol reaches.
func (r *realm) of(protocol string) []*zone {
	return slices.DeleteFunc(slices.Clone(r.order), func(z *zone) bool { return !z.speaks(protocol) })
}

func (r *realm) buildZone(ctx context.Context, ca *pki.CA, c *config.Zone, own []*pki.Issued) (*zone, []*x509.Certificate, error) {
	z := &zone{config: *c, resolvers: c.Resolvers(), ipv6Bits: c.Pool.IPv6.Bits()}
	var err error
	if c.Protocol == config.L2TP { // its keys are nobody else's
		z.ipv6Bits = unit6(c)
		if own, err = ca.ZoneIdentities(ctx, time.Now(), c.Name, gatewayNames(r.config)); err != nil {
			return nil, nil, err
		}
		if z.group, z.groupWeak, err = groupKey(c, gatewayNames(r.config)); err != nil {
			return nil, nil, err
		}
	}
	if z.ike, err = parseProposals(suite.ProtocolIKE, c, c.Policy.IKE); err != nil {
		return nil, nil, err
	}
	if z.child, err = childPolicy(c); err != nil {
		return nil, nil, err
	}
	if z.identities, err = r.zoneIdentities(c, own); err != nil {
		return nil, nil, err
	}
	anchors, crls, err := loadTrust(c.Trust)
	if err != nil {
		return nil, nil, err
	}
	if len(anchors) > 0 {
		if z.outside, err = pki.NewVerifier(pki.Trust{Roots: anchors, CRLs: crls, Strict: c.Trust.Strict}); err != nil {
			return nil, nil, err
		}
		z.anchors, z.crls = anchors, crls
	}
	z.terms = z.zoneTerms()
	return z, anchors, nil
}

func parseProposals(p suite.Protocol, c *config.Zone, texts []string) (out []suite.Proposal, err error) {
	parse := suite.ParseProposal
	if c.Protocol == config.L2TP {
		sha1 := c.WaivedForAnyone(config.RuleSHA1HMAC, time.Now())
		parse = func(p suite.Protocol, text string) (suite.Proposal, error) {
			return suite.ParseL2TPProposal(p, text, sha1)
		}
	}
	for _, t := range texts {
		proposal, err := parse(p, t)
		if err != nil {
			return nil, err
		}
		out = append(out, proposal)
	}
	return out, nil
}

// childPolicy is what a zone allows in its Child SAs. The peer's side is not
// named: it is the leased addresses and nothing else.
func childPolicy(c *config.Zone) (*ike.ChildPolicy, error) {
	esp, err := parseProposals(suite.ProtocolESP, c, c.Policy.ESP)
	if err != nil {
		return nil, err
	}
	return &ike.ChildPolicy{
		Name: c.Name, ESP: esp,
		Lifetime: lifetime(c.Rekey.Child, c.Rekey.Margin),
		Limits: ike.Limits{
			SoftBytes: uint64(c.Rekey.Bytes) / 10 * 9, HardBytes: uint64(c.Rekey.Bytes),
			SoftPackets: c.Rekey.Packets / 10 * 9, HardPackets: c.Rekey.Packets,
		},
		Local: selectors(within(c)),
	}, nil
}

// within is where packets of a zone's clients may go. Of an L2TP zone it is what
// the firewall lets through, too: two locks on the door.
func within(c *config.Zone) []netip.Prefix {
	if c.Protocol != config.L2TP {
		return c.Routes
	}
	networks := slices.Clone(c.Reach)
	for _, a := range c.Resolvers() {
		networks = append(networks, netip.PrefixFrom(a, a.BitLen()))
	}
	return networks
}

// lifetime replaces keys a margin before their end; up to half of the margin
// is taken off at random.
func lifetime(hard, margin time.Duration) ike.Lifetime {
	return ike.Lifetime{Soft: hard - margin, Hard: hard, Jitter: margin / 2}
}

// selectors turns networks into traffic selectors for all protocols and ports.
func selectors(networks []netip.Prefix) (out []ikemsg.TrafficSelector) {
	for _, p := range networks {
		out = append(out, ikemsg.TrafficSelector{EndPort: 65535, Start: p.Masked().Addr(), End: lastOf(p.Masked())})
	}
	return out
}

// zoneIdentities are how a zone answers: from its own files, or with the
// gateway's two identities under each of its names, the main one first.
func (r *realm) zoneIdentities(c *config.Zone, own []*pki.Issued) ([]*ike.Identity, error) {
	names := gatewayNames(r.config)
	if c.Identity.Certificate != "" {
		issued, err := loadIdentity(c.Identity)
		if err != nil {
			return nil, err
		}
		own = []*pki.Issued{issued}
	}
	if c.Identity.Certificate != "" || c.Identity.ID != "" {
		names = []string{zoneIdentity(r.config, c)}
	}
	var out []*ike.Identity
	for _, name := range names {
		for _, issued := range own {
			id := identityOf(name)
			if err := pki.MatchID(issued.Cert, &id); err != nil {
				return nil, fmt.Errorf("the gateway's certificate does not carry %q: %w", name, err)
			}
			key := pki.SerialText(issued.Cert.SerialNumber)
			r.keys[key] = issued.Key
			out = append(out, &ike.Identity{ID: id, Chain: issued.Chain, Key: key, Public: issued.Cert.PublicKey})
		}
	}
	return out, nil
}

// loadIdentity reads a zone's certificate and key, which may be one file.
func loadIdentity(id config.Identity) (*pki.Issued, error) {
	var text []byte
	for _, path := range slices.Compact([]string{id.Key, id.Certificate}) {
		if path == "" {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		text = append(append(text, b...), '\n')
	}
	issued, err := pki.ParseIdentity(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id.Certificate, err)
	}
	return issued, nil
}

// identityOf makes the IKE identity of a name as a person writes it
// (RFC 7296, Section 3.5).
func identityOf(name string) ikemsg.ID {
	if a, err := netip.ParseAddr(name); err == nil {
		kind := ikemsg.IDIPv6Addr
		if a.Is4() {
			kind = ikemsg.IDIPv4Addr
		}
		return ikemsg.ID{Responder: true, Kind: kind, Data: a.AsSlice()}
	}
	if strings.Contains(name, "@") {
		return ikemsg.ID{Responder: true, Kind: ikemsg.IDRFC822Addr, Data: []byte(name)}
	}
	return ikemsg.ID{Responder: true, Kind: ikemsg.IDFQDN, Data: []byte(name)}
}

func loadTrust(t config.Trust) (anchors []*x509.Certificate, crls []*pki.CRL, err error) {
	for _, path := range t.CAs {
		certs, err := pki.LoadCertificates(path)
		if err != nil {
			return nil, nil, err
		}
		anchors = append(anchors, certs...)
	}
	for _, path := range t.CRLs {
		lists, err := pki.LoadCRLs(path)
		if err != nil {
			return nil, nil, err
		}
		crls = append(crls, lists...)
	}
	return anchors, crls, nil
}

// takePool keeps the pool of the same zone when its networks did not change.
func (z *zone) takePool(before *realm) (err error) {
	if before != nil {
		if old, ok := before.zones[z.config.Name]; ok && old.config.Pool == z.config.Pool {
			z.pool = old.pool
			return nil
		}
	}
	z.pool, err = newAddressPool(z.config.Pool.IPv4, z.config.Pool.IPv6, unit6(&z.config))
	return err
}

// signer finds a private key.
func (r *realm) signer(id *ike.Identity) (crypto.Signer, bool) {
	if k, ok := r.keys[id.Key]; ok {
		return k, true
	}
	k, ok := r.earlier[id.Key]
	return k, ok
}

// policy is what a peer meets before we know its zone: the proposals of every
// zone, and of each other value the one that serves all. Whether the suite that
// was negotiated is its zone's is checked when the peer is known.
func (r *realm) policy() *ike.Policy {
	zones := r.of(config.IKEv2)
	first := zones[0].config
	p := &ike.Policy{
		FragmentSize:    max(first.Fragment-fragmentOverhead, 0),
		DPD:             first.DPD,
		Lifetime:        lifetime(first.Rekey.IKE, first.Rekey.Margin),
		NoMOBIKE:        true,
		CookieThreshold: r.config.Gateway.Limits.CookieAfter * frontCost,
	}
	now := time.Now()
	for _, z := range zones {
		for _, proposal := range z.ike {
			if !slices.ContainsFunc(p.IKE, func(o suite.Proposal) bool { return o.String() == proposal.String() }) {
				p.IKE = append(p.IKE, proposal)
			}
		}
		p.FragmentSize = min(p.FragmentSize, max(z.config.Fragment-fragmentOverhead, 0))
		p.DPD = min(p.DPD, z.config.DPD)
		p.Lifetime.Soft = min(p.Lifetime.Soft, z.config.Rekey.IKE-z.config.Rekey.Margin)
		p.Lifetime.Hard = min(p.Lifetime.Hard, z.config.Rekey.IKE)
		p.NoMOBIKE = p.NoMOBIKE && !z.config.MOBIKE
		p.NoFragmentation = p.NoFragmentation || z.config.Fragment == 0
		p.ForceEncap = p.ForceEncap || z.config.Encap != "auto"
		p.AllowSHA1 = p.AllowSHA1 || z.config.WaivedForAnyone(ruleSHA1, now)
	}
	return p
}

const (
	fragmentOverhead = 48 // IPv6 and UDP headers: the policy counts IKE octets, the configuration IP packets
	frontCost        = 10 // what the front counts for an exchange with ECP-256
	ruleSHA1         = config.RuleSHA1
)

// allowsSuite tells whether a negotiated suite is one of the zone's.
func (z *zone) allowsSuite(s suite.IKE) bool {
	return slices.ContainsFunc(z.ike, func(p suite.Proposal) bool {
		has := func(t suite.Transform) bool { return t == suite.Transform{} || slices.Contains(p.Transforms, t) }
		return has(s.Encr) && has(s.PRF) && has(s.KE) && (s.Integ == suite.Transform{} || has(s.Integ))
	})
}

// identityFor chooses how to answer a peer: as the one it asked for, or by the
// main name, and with a key it can verify. Android takes RSA from a server and
// nothing else; all others take ECDSA, which is shorter and ten times cheaper
// to sign.
func (z *zone) identityFor(t *ike.Authenticate, allow suite.Allow) *ike.Identity {
	want := &z.identities[0].ID
	if t.WantID != nil {
		want = t.WantID
	}
	ids := slices.DeleteFunc(slices.Clone(z.identities), func(id *ike.Identity) bool { return !sameID(id.ID, *want) })
	if t.PeerKind == ike.Android {
		slices.Reverse(ids)
	}
	for _, id := range ids {
		if _, err := suite.ChooseSignature(id.Public, t.Hashes, allow, true); err == nil {
			return id
		}
	}
	return nil
}

// answersTo tells whether the zone's gateway is who the peer asked for.
func (z *zone) answersTo(want *ikemsg.ID) bool {
	return want == nil || slices.ContainsFunc(z.identities, func(id *ike.Identity) bool { return sameID(id.ID, *want) })
}

func sameID(a, b ikemsg.ID) bool {
	if a.Kind != b.Kind {
		return false
	}
	if a.Kind == ikemsg.IDFQDN || a.Kind == ikemsg.IDRFC822Addr {
		return strings.EqualFold(string(a.Data), string(b.Data))
	}
	return string(a.Data) == string(b.Data)
}

// revokes tells whether a CRL of the zone names the certificate of an outside
// device. Two CAs of one zone that use the same serial number revoke for each
// other, which errs on the safe side.
func (z *zone) revokes(device string) bool {
	serial, ok := new(big.Int).SetString(device[strings.LastIndexByte(device, ':')+1:], 16)
	return ok && slices.ContainsFunc(z.crls, func(l *pki.CRL) bool { _, revoked := l.Lookup(serial); return revoked })
}

// lost tells whether a trust anchor of before is none any more.
func (z *zone) lost(before *zone) bool {
	return before != nil && slices.ContainsFunc(before.anchors, func(a *x509.Certificate) bool { return !slices.ContainsFunc(z.anchors, a.Equal) })
}

// identitiesDue tells whether one of our own certificates should be renewed.
func identitiesDue(ids []*ike.Identity, now time.Time) bool {
	return slices.ContainsFunc(ids, func(id *ike.Identity) bool {
		c, err := x509.ParseCertificate(id.Chain[0])
		return err != nil || pki.RenewalDue(c, now)
	})
}

func certs(c ...*x509.Certificate) []*x509.Certificate { return c }
func crls(l ...*pki.CRL) []*pki.CRL                    { return l }
