package bench

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"sallyport/engine"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Client is one identity to connect as.
type Client struct {
	Identity *ike.Identity
	Signer   crypto.Signer
}

func (c Client) sign(t *ike.Sign) (any, error) {
	sig, err := suite.ChooseSignature(t.Identity.Public, t.Hashes, t.Allow, false)
	if err != nil {
		return nil, err
	}
	data, err := sig.Sign(c.Signer, t.Octets)
	return ike.Signed{Method: sig.Method, Data: data}, err
}

// authenticate checks the gateway as any client would.
func (g *generator) authenticate(t *ike.Authenticate) (any, error) {
	pub, err := g.verify(t.Chain)
	if err != nil {
		return nil, err
	}
	if _, err := t.Verify(pub); err != nil {
		return nil, err
	}
	return g.admission(t.PeerID.String()), nil
}

func (g *generator) admission(identity string) *ike.Admission {
	return &ike.Admission{Identity: identity, Policy: &ike.ChildPolicy{Name: "bench", ESP: g.ESP, Local: anything, Remote: anything}}
}

// step takes a packet of EAP; our own end of it never waits.
func step(t *ike.EAP) (any, error) {
	var out ike.EAPStep
	var err error
	t.Conversation.Step(t, func(s ike.EAPStep, e error) { out, err = s, e })
	return out, err
}

// eapTLS is a client's end of EAP-TLS, with the certificate it has for IKE.
func (g *generator) eapTLS(c Client) *engine.EAPPeer {
	claim := string(c.Identity.ID.Data) // charon holds it against the certificate
	if c.Identity.ID.Kind == ikemsg.IDDERASN1DN {
		claim = c.Identity.ID.String()
	}
	return &engine.EAPPeer{
		Config: &eap.PeerConfig{
			Identity: claim,
			Offers:   []eap.Offer{{Method: eap.TypeTLS}},
			TLS: &eap.TLS{
				MaxVersion:   g.EAPTLS,
				AllowUnbound: true, // gateways that are measured may have nothing better, and no user is at risk
				Certificates: []tls.Certificate{{Certificate: c.Identity.Chain, PrivateKey: c.Signer}},
				Verify: func(chain [][]byte) (eap.Verified, error) {
					_, err := g.verify(chain)
					return eap.Verified{Identity: "gateway"}, err
				},
			},
		},
		Admit: func(s eap.Success) (*ike.Admission, error) { return g.admission(s.Identity), nil },
	}
}

// verify checks a chain of the gateway, once: a leaf already seen is known. TLS
// calls it from a goroutine of its own, while the generator waits for it.
func (g *generator) verify(chain [][]byte) (crypto.PublicKey, error) {
	if len(chain) == 0 {
		return nil, errors.New("bench: the gateway sent no certificate")
	}
	if pub, ok := g.verified[string(chain[0])]; ok {
		return pub, nil
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, err
	}
	between := x509.NewCertPool()
	for _, der := range chain[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: g.Roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil, err
	}
	g.verified[string(chain[0])] = leaf.PublicKey
	return leaf.PublicKey, nil
}
