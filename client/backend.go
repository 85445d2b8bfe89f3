package client

import (
	"errors"

	"sallyport/engine"
	"sallyport/pki"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// backend is the initiator's [engine.Backend]: one trust anchor and one key, or
// one pre-shared key, and everything that happens goes to the loop in Run.
type backend struct {
	profile  *Profile
	verifier *pki.Verifier
	identity *ike.Identity
	remoteID ikemsg.ID
	child    *ike.ChildPolicy
	events   chan happening
}

// happening is an event with its session.
type happening struct {
	session *engine.Session
	event   ike.Event
}

// maxHappenings is more than one session causes between two turns of the loop.
const maxHappenings = 256

func newBackend(p *Profile) (*backend, error) {
	b := &backend{profile: p, events: make(chan happening, maxHappenings)}
	b.remoteID = identityOf(p.RemoteID, true)
	b.identity = &ike.Identity{ID: identityOf(p.Identity, false), Key: "client"}
	if p.Auth != authPSK {
		v, err := pki.NewVerifier(pki.Trust{Roots: p.roots, CRLs: p.crls})
		if err != nil {
			return nil, err
		}
		b.verifier, b.identity.Chain, b.identity.Public = v, p.identity.Chain, p.identity.Cert.PublicKey
	}
	b.child = &ike.ChildPolicy{Name: p.Device, ESP: p.esp, Local: everything(p), Remote: selectors(p.Routes)}
	return b, nil
}

// everything is TSi before an address is known: all of each family that is
// asked for; the gateway narrows it to what it assigns (RFC 7296, Section 2.9).
func everything(p *Profile) []ikemsg.TrafficSelector {
	var all []ikemsg.TrafficSelector
	if p.IPv4 {
		all = append(all, selectors(prefixes("0.0.0.0/0"))...)
	}
	if p.IPv6 {
		all = append(all, selectors(prefixes("::/0"))...)
	}
	return all
}

// Authenticate implements [engine.Backend]: the gateway must be the one that
// the profile names, by a certificate of the profile's CA, or by the pre-shared
// key and nothing else.
func (b *backend) Authenticate(t *ike.Authenticate) (*ike.Admission, error) {
	if b.profile.Auth == authPSK {
		return b.verifyPSK(t)
	}
	cert, err := b.verifyGateway(t.Chain, &t.PeerID)
	if err != nil {
		return nil, err
	}
	if _, err := t.Verify(cert.PublicKey); err != nil {
		return nil, &ike.Refusal{Notify: ikemsg.NotifyAuthenticationFailed, Reason: err.Error()}
	}
	return &ike.Admission{Identity: t.PeerID.String(), Local: b.identity, Policy: b.child}, nil
}

// verifyPSK judges a gateway by the key that we share with it. Which gateway
// that is, the machine has held against the remote identity.
func (b *backend) verifyPSK(t *ike.Authenticate) (*ike.Admission, error) {
	if err := t.VerifySharedKey(b.profile.psk); err != nil {
		return nil, &ike.Refusal{Notify: ikemsg.NotifyAuthenticationFailed, Reason: "the gateway did not prove that it has the pre-shared key: " + err.Error(),
			Hint: "compare the key with the gateway's, or find out who answers in its place"}
	}
	return &ike.Admission{Identity: t.PeerID.String(), Local: b.identity, Policy: b.child}, nil
}

// Sign implements [engine.Backend].
func (b *backend) Sign(t *ike.Sign) (ike.Signed, error) {
	if b.profile.Auth == authPSK {
		return t.SignSharedKey(b.profile.psk)
	}
	sig, err := suite.ChooseSignature(b.identity.Public, t.Hashes, t.Allow, true)
	if err != nil {
		return ike.Signed{}, err
	}
	data, err := sig.Sign(b.profile.identity.Key, t.Octets)
	return ike.Signed{Method: sig.Method, Data: data}, err
}

// Lease implements [engine.Backend]; an initiator never leases.
func (b *backend) Lease(*ike.Lease) (ike.Leased, error) {
	return ike.Leased{}, errors.New("client: a client has no addresses to give")
}

// Event implements [engine.Backend].
func (b *backend) Event(s *engine.Session, ev ike.Event) {
	select {
	case b.events <- happening{s, ev}:
	default: // the loop is stuck; a Closed that is lost here ends with the process
	}
}
