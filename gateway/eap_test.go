package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/engine"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

const eapZone = "zones: {staff: {auth: [certificate, eap-tls]}}\n"

// byEAPTLS makes a dialer log in by EAP-TLS, with its IKE identity replaced by
// the one that Windows sends: the address of its network card.
func byEAPTLS(d *dialer, claim string) *dialer {
	own := tls.Certificate{Certificate: d.identity.Chain, PrivateKey: d.key}
	verifier := d.verifier
	id := *d.identity
	id.ID = ikemsg.ID{Kind: ikemsg.IDIPv4Addr, Data: []byte{192, 168, 1, 10}}
	d.identity = &id
	d.eap = &engine.EAPPeer{
		Config: &eap.PeerConfig{Identity: claim, Offers: []eap.Offer{{Method: eap.TypeTLS}}, TLS: &eap.TLS{
			Certificates: []tls.Certificate{own},
			Verify: func(chain [][]byte) (eap.Verified, error) {
				cert, err := verifier.Verify(time.Now(), chain, pki.Server)
				if err != nil {
					return eap.Verified{}, err
				}
				want := identityOf("vpn.example.org")
				return eap.Verified{Identity: "gateway"}, pki.MatchID(cert, &want)
			},
		}},
		Mutual: true,
		Admit: func(eap.Success) (*ike.Admission, error) {
			return &ike.Admission{Local: d.identity, Policy: d.child}, nil
		},
	}
	return d
}

func TestEAPTLSAdmitsTheDeviceOfTheCertificate(t *testing.T) {
	for _, only := range []bool{false, true} {
		t.Run(fmt.Sprintf("EAP-only %v", only), func(t *testing.T) {
			g := newGateway(t, eapZone)
			d := byEAPTLS(dial(t, enrol(t, g, "laptop", "")), "somebody@else")
			d.eapOnly = only
			d.connect(t, g)
			eventually(t, time.Second, "one session is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
			// Neither IDi (an address) nor the EAP identity (somebody else) counts.
			if s := sessionsOf(t, g)[0]; s.Device != "laptop" || s.Identity != "laptop@alice" || s.User != "alice" {
				t.Errorf("listed as %+v", s)
			}
			if n := d.signed.Load(); (n == 0) != only {
				t.Errorf("the gateway signed %d times, EAP-only %v", n, only)
			}
			if n := g.logins.Open(); n != 0 {
				t.Errorf("%d EAP conversations are left over", n)
			}
		})
	}
}

// TestTwoWindowsPCsWithOneAddress: trap 14. Both say the same IDi.
func TestTwoWindowsPCsWithOneAddress(t *testing.T) {
	g := newGateway(t, eapZone)
	a := byEAPTLS(dial(t, enrol(t, g, "pc1", "")), "alice").connect(t, g)
	b := byEAPTLS(dial(t, enrol(t, g, "pc2", "")), "alice").connect(t, g)
	if a.IPv4 == b.IPv4 {
		t.Errorf("both have %s", addressOf(a))
	}
	if n := len(sessionsOf(t, g)); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
}

func TestEAPIsRefusedWithAReason(t *testing.T) {
	never := func(*testing.T, *Gateway, *dialer) {}
	for what, c := range map[string]struct {
		zones, want string
		spoil       func(*testing.T, *Gateway, *dialer)
	}{
		"no zone takes EAP": {"", "EAP", never},
		"device revoked": {eapZone, "revoked", func(t *testing.T, g *Gateway, _ *dialer) {
			call[Revoked](t, g.Client(), http.MethodPost, "/v1/devices/laptop/revoke", Revocation{})
		}},
		"a password in place of a certificate": {eapZone, "EAP-MSCHAPv2", func(_ *testing.T, _ *Gateway, d *dialer) {
			d.eap.Config = &eap.PeerConfig{Identity: "alice", Password: secret.Bytes("clientPass"), BareMSCHAPv2: true, Offers: []eap.Offer{{Method: eap.TypeMSCHAPv2}}}
		}},
		"a certificate of another gateway": {eapZone, "belongs to no device", func(t *testing.T, _ *Gateway, d *dialer) {
			other := enrol(t, newGateway(t, eapZone), "laptop", "")
			d.eap.Config.TLS.Certificates = []tls.Certificate{{Certificate: other.identity.Chain, PrivateKey: other.key}}
		}},
		"a zone without certificates outside of EAP": {"zones: {staff: {auth: [eap-tls]}}\n", "does not take certificates", func(_ *testing.T, g *Gateway, d *dialer) {
			d.eap = nil
			id := identityOf("laptop@alice")
			id.Responder = false
			d.identity.ID = id
		}},
	} {
		t.Run(what, func(t *testing.T) {
			g := newGateway(t, c.zones)
			d := byEAPTLS(dial(t, enrol(t, g, "laptop", "")), "laptop@alice")
			c.spoil(t, g, d)
			d.start(t, g)
			if r := await[ike.Refused](t, d).Record; r.Reason == "" {
				t.Errorf("the client's record %+v", r)
			}
			eventually(t, 5*time.Second, "the gateway has a record", func() bool {
				st, _ := g.Status(context.Background())
				return len(st.Refusals) > 0
			})
			st, _ := g.Status(t.Context())
			if r := st.Refusals[0]; !strings.Contains(r.Reason, c.want) {
				t.Errorf("the gateway's reason is %q, want %q in it", r.Reason, c.want)
			}
			if n := len(sessionsOf(t, g)); n != 0 {
				t.Errorf("%d sessions", n)
			}
			d.close()
			eventually(t, 15*time.Second, "the conversation is released", func() bool { return g.logins.Open() == 0 })
		})
	}
}
