package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strconv"
	"time"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// The ways to prove who one is, as a zone's auth names them.
const (
	authCertificate = config.Certificate
	authEAPTLS      = config.EAPTLS
	authPSK         = config.PSK
)

// takes tells whether clients of a zone may prove themselves that way.
func (z *zone) takes(auth string) bool { return slices.Contains(z.config.Auth, auth) }

// respond lets new sessions in by the rules of r.
func (g *Gateway) respond(r *realm) {
	if slices.ContainsFunc(r.order, func(z *zone) bool { return z.takes(authEAPTLS) }) {
		r.profile.NewEAP = g.logins.New
	}
	g.engine.Respond(r.profile)
}

// eapZone finds the zone that answers a client of which nothing is known but
// whom it wants to talk to. Which zone it belongs to, its certificate tells.
func (r *realm) eapZone(t *ike.EAP) *zone {
	for _, z := range r.order {
		if z.takes(authEAPTLS) && z.answersTo(t.WantID) {
			return z
		}
	}
	return nil
}

// beginEAP implements [engine.EAPServer]'s Begin: as whom we answer, and by
// which methods. That is EAP-TLS alone; the others prove passwords.
func (g *Gateway) beginEAP(t *ike.EAP) (*engine.EAPLogin, error) {
	r := g.realm.Load()
	z := r.eapZone(t)
	if z == nil {
		if t.WantID == nil {
			return nil, refusal("add eap-tls to the zone's auth, or configure the client for certificate authentication", "no zone takes EAP")
		}
		return nil, refusal("add eap-tls to the zone's auth, or correct the remote identity on the client",
			"no zone that answers to %v takes EAP", t.WantID.String())
	}
	allow := suite.Allow{SHA1: z.config.Waived(ruleSHA1, "", time.Now())}
	local := z.identityFor(&ike.Authenticate{WantID: t.WantID, Hashes: t.Hashes, PeerKind: t.PeerKind}, allow)
	if local == nil {
		return nil, refusal("the client knows only SHA-1 signatures: give it an ECDSA identity of the gateway, or waive "+ruleSHA1,
			"no identity of the gateway can sign in a way the client understands")
	}
	return &engine.EAPLogin{Local: local, Admit: admitEAP, Server: &eap.ServerConfig{
		Offers: []eap.Offer{{Method: eap.TypeTLS}},
		TLS: &eap.TLS{
			Certificates: r.tlsCertificates(z, local), Authorities: r.authorities, AllowUnbound: r.allowsUnbound(t.WantID),
			Verify: func(chain [][]byte) (eap.Verified, error) { return g.verifyEAP(r, t, local, chain) },
		},
	}}, nil
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

// verifyEAP judges the client's certificate and whether its owner may come in,
// while TLS can still refuse it: the identity is the certificate's alone, not
// IDi and not what EAP-Identity claimed.
func (g *Gateway) verifyEAP(r *realm, t *ike.EAP, local *ike.Identity, chain [][]byte) (eap.Verified, error) {
	_, who, err := g.identify(r, chain, func(c *x509.Certificate) string { return strconv.Quote(nameOf(c)) })
	if err != nil {
		return eap.Verified{}, eapRefusal(err)
	}
	z, err := r.zoneOf(who, &ike.Authenticate{WantID: &local.ID, Suite: t.Suite})
	if err != nil {
		return eap.Verified{}, eapRefusal(err)
	}
	if err := g.mayEnter(who, z, authEAPTLS); err != nil {
		return eap.Verified{}, eapRefusal(err)
	}
	return eap.Verified{Identity: who.identity, Value: r.admission(who, z, local)}, nil
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

// admitEAP implements [engine.EAPLogin]'s Admit.
func admitEAP(s eap.Success) (*ike.Admission, error) {
	a, ok := s.Value.(*ike.Admission)
	if !ok {
		return nil, errors.New("gateway: EAP succeeded for nobody")
	}
	if s.Unbound && !a.Value.(*terms).zone.config.Waived(config.RuleNoEMS, s.Identity, time.Now()) {
		return nil, errors.New("TLS 1.2 without extended master secret, which the waiver of " + config.RuleNoEMS + " in zone " + a.Zone + " does not cover")
	}
	return a, nil
}

// allowsUnbound tells whether some peer of a zone that answers may come with
// TLS 1.2 without extended master secret. Whether this one may, admitEAP says.
func (r *realm) allowsUnbound(want *ikemsg.ID) bool {
	return slices.ContainsFunc(r.order, func(z *zone) bool {
		return z.answersTo(want) && z.config.WaivedForAnyone(config.RuleNoEMS, time.Now())
	})
}

func eapRefusal(err error) error {
	out := &eap.Refusal{Reason: eap.ReasonCertificate, Text: err.Error()}
	if r, ok := errors.AsType[*ike.Refusal](err); ok {
		out.Text, out.Hint = r.Reason, r.Hint
	}
	return out
}
