package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/suite"
)

// The ways to prove who one is, as a zone's auth names them.
const (
	authCertificate = config.Certificate
	authEAPTLS      = config.EAPTLS
	authPSK         = config.PSK
)

// offers are the methods of EAP in a zone's words, with all that may run inside
// them. What a password proves inside TLS is settled by what is kept of it: PAP
// needs argon2id, the others the NT hash.
var offers = map[string]eap.Offer{
	config.EAPTLS:      {Method: eap.TypeTLS},
	config.PEAP:        {Method: eap.TypePEAP, Inner: []eap.Inner{eap.InnerEAPMSCHAPv2, eap.InnerEAPTLS}},
	config.EAPTTLS:     {Method: eap.TypeTTLS, Inner: []eap.Inner{eap.InnerPAP, eap.InnerEAPMSCHAPv2, eap.InnerMSCHAPv2, eap.InnerEAPTLS}},
	config.EAPMSCHAPv2: {Method: eap.TypeMSCHAPv2},
}

// authOf is a method in a zone's words; empty: none has it.
func authOf(method eap.Type) string {
	for word, o := range offers {
		if o.Method == method {
			return word
		}
	}
	return ""
}

// takes tells whether clients of a zone may prove themselves that way.
func (z *zone) takes(auth string) bool { return slices.Contains(z.config.Auth, auth) }

// takesEAP tells whether they may by any method of EAP.
func (z *zone) takesEAP() bool {
	return slices.ContainsFunc(z.config.Auth, func(auth string) bool { return slices.Contains(config.EAPMethods, auth) })
}

// respond lets new sessions in by the rules of r, of which the door is.
func (g *Gateway) respond(r *realm, door engine.Legacy) {
	if slices.ContainsFunc(r.of(config.IKEv2), (*zone).takesEAP) {
		r.profile.NewEAP = g.logins.New
	}
	g.engine.Respond(r.profile)
	g.engine.RespondLegacy(door)
}

// login is one EAP conversation with a client of which nothing is known but
// whom it wants to talk to.
type login struct {
	g     *Gateway
	r     *realm
	t     *ike.EAP // its first packet
	zones []*zone  // that answer to the name, and take EAP
	local *ike.Identity
	base  *footing // nil: IKEv2, where EAP stands alone
}

// footing is what a PPP login stands on: the zone that it can only be about, and
// what IKEv1 has proved of the machine that it comes from.
type footing struct {
	zone    *zone
	by      string // config.Certificate, config.PSK or groupPSK
	weak    bool   // the group's key could be guessed
	machine peer   // device empty: the machine proved nothing of its own, as with a group's key
}

// beginEAP implements [engine.EAPServer]'s Begin: as whom we answer, and by
// which methods.
func (g *Gateway) beginEAP(t *ike.EAP) (*engine.EAPLogin, error) {
	l := &login{g: g, r: g.realm.Load(), t: t}
	if l.base, _ = t.Before.(*footing); l.base != nil {
		z, err := g.standing(l.r, l.base)
		if err != nil {
			return nil, err
		}
		l.zones = []*zone{z}
	}
	for _, z := range l.r.order {
		if l.base == nil && z.speaks(config.IKEv2) && z.takesEAP() && z.answersTo(t.WantID) {
			l.zones = append(l.zones, z)
		}
	}
	if len(l.zones) == 0 {
		return nil, noEAP(t)
	}
	z := l.zones[0]
	allow := suite.Allow{SHA1: z.config.Waived(ruleSHA1, "", time.Now())}
	l.local = z.identityFor(&ike.Authenticate{WantID: t.WantID, Hashes: t.Hashes, PeerKind: t.PeerKind}, allow)
	if l.local == nil {
		return nil, refusal("the client knows only SHA-1 signatures: give it an ECDSA identity of the gateway, or waive "+ruleSHA1,
			"no identity of the gateway can sign in a way the client understands")
	}
	s, err := g.judges(z)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return &engine.EAPLogin{Local: l.local, Relay: newRelay(l, z, s)}, nil
	}
	c, err := l.server(z)
	if err != nil {
		return nil, err
	}
	return &engine.EAPLogin{Local: l.local, Server: c, Answer: l.answer, Admit: l.admit}, nil
}

func noEAP(t *ike.EAP) error {
	if t.WantID == nil {
		return refusal("add eap-tls to the zone's auth, or configure the client for certificate authentication", "no zone takes EAP")
	}
	return refusal("add eap-tls to the zone's auth, or correct the remote identity on the client",
		"no zone that answers to %v takes EAP", t.WantID.String())
}

// server is how the conversation is held: by the methods of all zones that it
// may be about.
func (l *login) server(z *zone) (*eap.ServerConfig, error) {
	c := &eap.ServerConfig{
		Name: l.r.config.Gateway.Name,
		TLS: &eap.TLS{
			Certificates: l.r.tlsCertificates(z, l.local), Authorities: l.r.authorities, AllowUnbound: l.waives(config.RuleNoEMS),
			Verify: l.verify,
		},
	}
	for _, z := range l.zones {
		for _, auth := range z.config.Auth {
			o, ok := offers[auth]
			if !ok || slices.ContainsFunc(c.Offers, func(have eap.Offer) bool { return have.Method == o.Method }) {
				continue
			}
			// Who holds a bare MSCHAPv2 with a client can find its password: only
			// after our signature, and by waiver.
			if auth == config.EAPMSCHAPv2 && (l.t.Unsigned || !l.waives(config.RuleMSCHAPv2)) {
				continue
			}
			c.BareMSCHAPv2 = c.BareMSCHAPv2 || auth == config.EAPMSCHAPv2
			c.Offers = append(c.Offers, o)
		}
	}
	if len(c.Offers) == 0 {
		return nil, refusal("let the client check the gateway's certificate, or add eap-tls, peap or eap-ttls to the zone's auth",
			"the client wants the gateway to prove itself inside EAP (RFC 5998), and the zone takes eap-mschapv2 alone, which does not")
	}
	return c, nil
}

// waives tells whether some client of the zones may break a rule. Whether this
// one may is said when it is known.
func (l *login) waives(rule string) bool {
	return slices.ContainsFunc(l.zones, func(z *zone) bool { return z.config.WaivedForAnyone(rule, time.Now()) })
}

// tlsCertificates are the gateway's identities of one name: TLS shows the
// client that trusts IKE's IDr the same one.
func (r *realm) tlsCertificates(z *zone, local *ike.Identity) (out []tls.Certificate) {
	for _, id := range z.identities {
		if key, ok := r.signer(id); ok && sameID(id.ID, local.ID) {
			out = append(out, tls.Certificate{Certificate: id.Chain, PrivateKey: key})
		}
	}
	return out
}

// verify judges the client's certificate and whether its owner may come in,
// while TLS can still refuse it: the identity is the certificate's alone, not
// IDi and not what EAP-Identity claimed.
func (l *login) verify(chain [][]byte) (eap.Verified, error) {
	_, who, err := l.g.identify(l.zones, l.r, chain, func(c *x509.Certificate) string { return strconv.Quote(nameOf(c)) })
	if err != nil {
		return eap.Verified{}, eapRefusal(err)
	}
	z, err := l.zoneOf(who)
	if err == nil && !z.takesEAP() {
		err = refusal("add eap-tls to the zone's auth, or configure the client for certificate authentication", "zone %q does not take EAP", z.config.Name)
	}
	if err != nil {
		return eap.Verified{}, eapRefusal(err)
	}
	return eap.Verified{Identity: who.identity, Value: who}, nil
}

// zoneOf finds the zone of a client by EAP: over PPP it must be the one whose
// IKEv1 it came through.
func (l *login) zoneOf(who peer) (*zone, error) {
	if l.base == nil {
		return l.r.zoneOf(who, &ike.Authenticate{WantID: &l.local.ID, Suite: l.t.Suite})
	}
	z := l.zones[0]
	if who.zone != z.config.Name {
		return nil, refusal("use IKEv2, or move the user or device to zone "+z.config.Name, "%q belongs to zone %q, which is not reached by L2TP", who.identity, who.zone)
	}
	return z, nil
}

// bind joins the two proofs of a PPP login (RFC 3193, Section 5): a machine with
// a record of ours lets its own user in and nobody else, and the session is the
// machine's. Whom others vouch for is not compared.
func (b *footing) bind(who peer) (peer, error) {
	m := b.machine
	switch {
	case m.device == "" || foreign(m.device) || foreign(who.device):
		return who, nil
	case who.user != m.user:
		return peer{}, refusal("log in as its own user, or enrol the machine for the other one",
			"%q logs in from device %q, which is another user's", who.identity, m.device)
	}
	who.device, who.fixed = m.device, m.fixed
	return who, nil
}

// nameOf is what a certificate of another CA calls its owner.
func nameOf(c *x509.Certificate) string {
	for _, names := range [][]string{c.EmailAddresses, c.DNSNames} {
		if len(names) > 0 {
			return names[0]
		}
	}
	return c.Subject.String()
}

// admit implements [engine.EAPLogin]'s Admit: the method has proved who it is,
// and this tells whether that lets it in.
func (l *login) admit(s eap.Success) (*ike.Admission, error) {
	who, certified := s.Value.(peer)
	var err error
	if !certified {
		l.g.pauses.succeeded(s.Identity, l.t.Remote.Addr())
		if who, err = l.g.passwordPeer(l.r, s.Identity); err != nil {
			return nil, err
		}
	}
	z, err := l.zoneOf(who)
	if err != nil {
		return nil, err
	}
	credential := who.device
	if l.base != nil {
		if who, err = l.base.bind(who); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	if err := l.mayUseL2TP(who.user, now); err != nil {
		return nil, err
	}
	switch auth := authOf(s.Method); {
	case auth == config.EAPMSCHAPv2 && !z.config.Waived(config.RuleMSCHAPv2, "", now):
		return nil, refusal("configure the client for peap or eap-ttls, or waive "+config.RuleMSCHAPv2+" in the zone",
			"zone %q does not waive %s, and the password came by EAP-MSCHAPv2 without TLS", z.config.Name, config.RuleMSCHAPv2)
	case s.Unbound && !z.config.Waived(config.RuleNoEMS, who.identity, now):
		return nil, refusal("update the client's TLS, or waive "+config.RuleNoEMS+" in the zone",
			"TLS 1.2 without extended master secret, and no waiver of %s in zone %q covers %q", config.RuleNoEMS, z.config.Name, who.identity)
	default:
		err = z.mayEnter(auth)
	}
	if err != nil {
		return nil, err
	}
	if isSeat(who.device) {
		owner := who.device
		if who.device, err = l.g.seat(owner, l.r.termsOf(z, who.user, who.groups), l.t.PeerID, l.t.Remote); err != nil {
			return nil, err
		}
		if who.device != owner {
			who.fixed = InnerAddrs{} // one machine has the user's own address; the others get any
		}
	}
	a, err := l.g.admission(l.r, who, z, l.local)
	return proving(a, err, l.proof(s, credential))
}

// passwordPeer is a user who has proved a password.
func (g *Gateway) passwordPeer(r *realm, name string) (peer, error) {
	u, ok := g.registry.User(name)
	if why := g.registry.userAllowed(name); why != "" || !ok {
		return peer{}, refusal("if that is a mistake, add the user under another name", "%s", why)
	}
	zone, err := g.userZone(u)
	if err != nil {
		return peer{}, refusal("say which: sallyport user set "+u.Name+" --zone ZONE", "user %q: %v", u.Name, err)
	}
	return peer{identity: u.Name, device: userPrefix + u.Name, user: u.Name, zone: zone, groups: u.Groups, fixed: u.Inner}, nil
}

// answer does the machine's tasks about passwords. Whoever asks too often, in
// vain and from one place, is refused whether the user exists or not.
func (l *login) answer(task eap.Task) (any, error) {
	switch t := task.(type) {
	case eap.LookupPassword:
		name := userName(t.User)
		if err := l.g.pauses.mayTry(name, l.t.Remote.Addr(), time.Now()); err != nil {
			return nil, err
		}
		return l.g.account(name)
	case eap.CheckPassword:
		name := userName(t.User)
		if err := l.g.pauses.mayTry(name, l.t.Remote.Addr(), time.Now()); err != nil {
			return nil, err
		}
		return l.g.checkPassword(name, t.Password)
	}
	return nil, errors.New("gateway: EAP asks for something that is not about passwords")
}

// userName is the name of a user as clients write it: Windows puts a domain and
// a backslash before it, others a realm after it, and people type capitals. All
// of that is dropped: our names are in lower case.
func userName(claimed string) string {
	if _, name, ok := strings.Cut(claimed, `\`); ok {
		claimed = name
	}
	name, _, _ := strings.Cut(claimed, "@")
	return strings.ToLower(name)
}

func eapRefusal(err error) error {
	out := &eap.Refusal{Reason: eap.ReasonCertificate, Text: err.Error()}
	if r, ok := errors.AsType[*ike.Refusal](err); ok {
		out.Text, out.Hint = r.Reason, r.Hint
	}
	return out
}
