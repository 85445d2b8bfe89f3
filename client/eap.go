package client

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"sallyport/engine"
	"sallyport/pki"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

// eapTLS is our end of EAP-TLS: the same certificate as in IKE, shown to a
// server whose TLS certificate is of the gateway that the profile names. So
// the method proves the gateway by itself, whether it signs in IKE or not.
func (b *backend) eapTLS() *engine.EAPPeer {
	own := tls.Certificate{Certificate: b.profile.identity.Chain, PrivateKey: b.profile.identity.Key}
	return &engine.EAPPeer{
		Config: &eap.PeerConfig{
			Identity: cmp.Or(b.profile.EAPIdentity, b.profile.Identity),
			Offers:   []eap.Offer{{Method: eap.TypeTLS}},
			TLS:      &eap.TLS{Certificates: []tls.Certificate{own}, Verify: b.verifyEAP, AllowUnbound: b.profile.AcceptNoEMS},
		},
		Mutual: true,
		Admit: func(s eap.Success) (*ike.Admission, error) {
			return &ike.Admission{Identity: s.Identity, Local: b.identity, Policy: b.child}, nil
		},
	}
}

// verifyEAP judges the server's certificate inside EAP.
func (b *backend) verifyEAP(chain [][]byte) (eap.Verified, error) {
	if _, err := b.verifyGateway(chain, &b.remoteID); err != nil {
		refusal := &eap.Refusal{Reason: eap.ReasonCertificate, Text: err.Error()}
		if r, ok := errors.AsType[*ike.Refusal](err); ok {
			refusal.Text, refusal.Hint = r.Reason, r.Hint
		}
		return eap.Verified{}, refusal
	}
	return eap.Verified{Identity: b.remoteID.String()}, nil
}

// verifyGateway holds a certificate chain against the profile.
func (b *backend) verifyGateway(chain [][]byte, id *ikemsg.ID) (*x509.Certificate, error) {
	refuse := func(hint, format string, args ...any) error {
		return &ike.Refusal{Notify: ikemsg.NotifyAuthenticationFailed, Reason: fmt.Sprintf(format, args...), Hint: hint}
	}
	cert, err := b.verifier.Verify(time.Now(), chain, pki.Server)
	if err != nil {
		return nil, refuse("get a new profile from the gateway's administrator", "%v", err)
	}
	if id.Kind != b.remoteID.Kind || string(id.Data) != string(b.remoteID.Data) {
		return nil, refuse("", "the gateway says it is %v, the profile wants %v", id.String(), b.remoteID.String())
	}
	if err := pki.MatchID(cert, id); err != nil {
		return nil, refuse("", "%v", err)
	}
	return cert, nil
}
