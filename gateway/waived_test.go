package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/suite"
)

// suites is a session's machine as far as it shows what was negotiated.
type suites struct {
	engine.Machine
	ike      suite.IKE
	children []ike.ChildStatus
}

func (s suites) Suite() suite.IKE                                { return s.ike }
func (s suites) Children(to []ike.ChildStatus) []ike.ChildStatus { return append(to, s.children...) }

func transform(t *testing.T, keyword string) suite.Transform {
	t.Helper()
	a, ok := suite.ByKeyword(keyword)
	if !ok {
		t.Fatal(keyword)
	}
	return a.Transform
}

func TestASessionShowsTheWaiversThatItUses(t *testing.T) {
	g := newGateway(t, l2tpZones+`    waivers:
      - {rule: PPP-017, until: `+nextMonth()+`, owner: alice, reason: "old clients"}
      - {rule: PSK-001, until: `+nextMonth()+`, owner: alice, reason: "old routers"}
  office: {policy: compatible, pool: {ipv4: 10.63.0.0/24, ipv6: none}}
`)
	enrol(t, g, "pc", "printers")
	call[Enrolled](t, g.Client(), http.MethodPost, "/v1/devices", NewDevice{
		Name: "router", User: "alice", Zone: "printers", PSK: true, SharedKey: "sallyport-vpn-secret-202", Address: netip.MustParsePrefix("192.0.2.7/32"),
	})
	call[UserAdded](t, g.Client(), http.MethodPost, "/v1/users", NewUser{Name: "bob", Zone: "printers", Password: goodPassword})
	admitted := func(by, device string, s eap.Success) *ike.Admission {
		t.Helper()
		machine := peer{}
		if device != "" {
			machine = ownerOfDevice(t, g, device)
		}
		if s.Method == eap.TypeTLS {
			s.Value = machine
		}
		a, err := overL2TP(g, by, machine, s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	modern := suites{
		ike:      suite.IKE{Encr: transform(t, "aes256"), PRF: transform(t, "prfsha256"), KE: transform(t, "ecp256")},
		children: []ike.ChildStatus{{Suite: suite.ESP{Encr: transform(t, "aes256gcm16"), KE: transform(t, "ecp256")}}},
	}
	noPFS, sha1Phase1, sha1ESP, replaced := modern, modern, modern, modern
	noPFS.children = []ike.ChildStatus{{Suite: suite.ESP{Encr: transform(t, "aes256gcm16")}}}
	sha1Phase1.ike.PRF = transform(t, "prfsha1")
	sha1ESP.children = []ike.ChildStatus{{Suite: suite.ESP{Encr: transform(t, "aes256"), Integ: transform(t, "sha1"), KE: transform(t, "ecp256")}}}
	replaced.children = append(slices.Clone(modern.children), ike.ChildStatus{Suite: sha1ESP.children[0].Suite, Replaced: true})

	byCert := admitted(config.Certificate, "pc", eap.Success{Method: eap.TypeTLS})
	byKey := admitted(config.PSK, "router", eap.Success{Method: eap.TypeTLS})
	ofGroup := admitted(groupPSK, "", eap.Success{Method: eap.TypePEAP, Identity: "bob"})
	unbound := admitted(config.Certificate, "pc", eap.Success{Method: eap.TypeTLS, Unbound: true})
	office := g.realm.Load().zones["office"]
	ikev2 := &ike.Admission{Value: &terms{zone: office}}
	staff := &ike.Admission{Value: &terms{zone: g.realm.Load().zones["staff"]}}
	judged := &ike.Admission{Value: &terms{zone: office, proof: (&relay{method: eap.TypePEAP, l: &login{}}).proof()}}

	for what, c := range map[string]struct {
		a    *ike.Admission
		m    suites
		want string
	}{
		"a certificate and sound suites":      {byCert, modern, "[] []"},
		"SHA-1 in phase 1":                    {byCert, sha1Phase1, "[CRY-005] []"},
		"SHA-1 in ESP":                        {byCert, sha1ESP, "[CRY-005] []"},
		"SHA-1 in a Child SA that is left":    {byCert, replaced, "[] []"},
		"no forward secrecy":                  {byCert, noPFS, "[CRY-010] []"},
		"no forward secrecy, and SHA-1":       {byCert, suites{ike: sha1Phase1.ike, children: noPFS.children}, "[CRY-005 CRY-010] []"},
		"a weak key of the device":            {byKey, modern, "[PSK-001] []"},
		"the key of the group":                {ofGroup, modern, "[PSK-003] []"},
		"TLS that is not bound":               {unbound, modern, "[PPP-017] []"},
		"the first Child SA of IKEv2":         {ikev2, noPFS, "[] [CRY-010]"},
		"likewise, where policy asks for PFS": {staff, noPFS, "[] []"},
		"a login that RADIUS servers judged":  {judged, modern, "[] [PPP-017]"},
	} {
		l := &live{admission: c.a, terms: c.a.Value.(*terms)}
		if got := fmt.Sprint(g.waivers(l, c.m)); got != c.want {
			t.Errorf("%s: waivers %s, want %s", what, got, c.want)
		}
	}
}

func TestASignatureBySHA1IsAWaiverInUse(t *testing.T) {
	g := newGateway(t, `zones: {old: {waivers: [{rule: CRY-019, until: `+nextMonth()+`, owner: alice, reason: "old routers"}]}}
`)
	call[User](t, g.Client(), http.MethodPost, "/v1/users", NewUser{Name: "bob"})
	e := call[Enrolled](t, g.Client(), http.MethodPost, "/v1/devices", NewDevice{Name: "router", User: "bob", Key: "rsa-2048"})
	a, err := g.Authenticate(signedWithSHA1(t, e))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Value.(*terms).proof.broken; !slices.Equal(got, []string{config.RuleSHA1}) {
		t.Errorf("breaks %v", got)
	}
}

func TestSessionsListNamesTheProtocol(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	dial(t, enrol(t, g, "laptop", "staff")).connect(t, g)
	establish(t, g, byDevice(t, g, "pc"), ike.Windows)
	for _, s := range sessionsOf(t, g) {
		want := map[string]string{"laptop": config.IKEv2, "pc": config.L2TP}[s.Device]
		if s.Protocol != want {
			t.Errorf("%s came by %q, want %q", s.Device, s.Protocol, want)
		}
	}
}
