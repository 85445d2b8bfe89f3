package matrix

import (
	"context"
	"crypto"
	"crypto/x509"
	"net/netip"

	"sallyport/internal/lab/labtest"
)

// gatewayEnd is an implementation in the role of the gateway. Its methods are
// called from one goroutine.
type gatewayEnd interface {
	end
	// serve makes the gateway ready for a case; tunnels of cases before are gone.
	serve(ctx context.Context, s setup) error
}

// clientEnd is an implementation in the role of the client.
type clientEnd interface {
	end
	// connect sets up the tunnel and returns when it is up or has been refused.
	connect(ctx context.Context, s setup) error
	disconnect(ctx context.Context) error
}

// end is what both roles can do.
type end interface {
	// tunnel is the one tunnel of the case as this end sees it; its state has
	// up == false when there is none.
	tunnel(ctx context.Context) (tunnel, error)
	rekeyChild(ctx context.Context) error
	rekeyIKE(ctx context.Context) error
	// account is what the end says of the last case, for people.
	account() string
	close()
}

// tunnel is one end's view of an established tunnel.
type tunnel struct {
	up       bool
	ike      string         // names the IKE SA; another one after a rekey
	child    string         // names the Child SA; another one after a rekey
	ikeSuite string         // in keywords, as in cases.txt
	espSuite string         // in keywords without the group: the first child has none
	remote   netip.AddrPort // the peer's outer address, as this end sees it
}

// setup is what a case asks of both ends.
type setup struct {
	ike, esp string // what the client proposes

	gatewayIKE      string     // what the gateway must accept at least; the same,
	gatewayESP      string     // but where the client's proposal is to be refused
	gatewayAddr     netip.Addr // outer
	client, gateway credentials
	clientTrusts    *labtest.Authority // the client believes gateways of this authority
	gatewayTrusts   *labtest.Authority
	gatewayName     string // whom the client wants
	crl             []byte // both ends have it
	waiveSHA1       bool   // the gateway takes and makes SHA-1 signatures, by a waiver
	clientDPD       bool   // the client notices a vanished gateway as soon as it can be told to
	gatewayDPD      bool   // and the other way round
	auth            auth
	eapIdentity     string // what the client answers to EAP-Identity; empty: its IKE identity
	ikeIdentity     string // IDi in place of the certificate's; empty: that

	psk     string // that the client has; the gateway has keyOfAlice for alice, and so on
	revoked bool   // the gateway has revoked the client's key, or the user

	password      string // that the client has; the gateway has keyOfAlice for alice, and so on
	refusesMethod bool   // the gateway takes other methods of EAP than the client has
	gatewaySigns  bool   // strongSwan as a gateway answers a key by a signature
	wantsSigned   bool   // strongSwan as a client has a key and takes a signature only
}

// credentials are an end's identity.
type credentials struct {
	id    string
	chain []*x509.Certificate // leaf first, without the root
	key   crypto.Signer
	pss   bool
}
