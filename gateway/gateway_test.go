package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
	"sallyport/store"
)

func sessionsOf(t *testing.T, g *Gateway) []SessionInfo {
	t.Helper()
	list, err := g.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDeviceConnectsAndIsListed(t *testing.T) {
	g := newGateway(t, "")
	leased := dial(t, enrol(t, g, "laptop", "")).connect(t, g)
	eventually(t, time.Second, "one session is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
	s := sessionsOf(t, g)[0]
	if s.Device != "laptop" || s.User != "alice" || s.Identity != "laptop@alice" || s.Zone != "staff" || s.IPv4 != leased.IPv4 || len(s.Children) != 1 {
		t.Errorf("listed as %+v, leased %s", s, addressOf(leased))
	}
	if s.IKE != "aes256gcm16-prfsha256-ecp256" {
		t.Errorf("suite %q", s.IKE)
	}
	st, _ := g.Status(t.Context())
	if !st.Running || st.Sessions != 1 || st.Zones[0].Leases != 1 || st.Zones[0].Sessions != 1 {
		t.Errorf("status %+v", st)
	}
}

func TestAddressesAndUsersSurviveARestart(t *testing.T) {
	path := testConfig(t, "")
	initState(t, path)
	g := startGateway(t, path)
	first, second := enrol(t, g, "first", ""), enrol(t, g, "second", "")
	enrol(t, g, "lost", "")
	a1 := addressOf(dial(t, first).connect(t, g))
	a2 := addressOf(dial(t, second).connect(t, g))
	call[Revoked](t, g.Client(), "POST", "/v1/devices/lost/revoke", Revocation{})
	g.Close(context.Background())

	g = startGateway(t, path)
	if got := addressOf(dial(t, second).connect(t, g)); got != a2 {
		t.Errorf("second got %s after the restart, had %s", got, a2)
	}
	if got := addressOf(dial(t, first).connect(t, g)); got != a1 {
		t.Errorf("first got %s after the restart, had %s", got, a1)
	}
	if why := g.registry.allowed("lost"); why == "" {
		t.Error("the revocation was forgotten")
	}
}

// TestComingBackReplacesTheOldSession: trap 15 (same address) and trap 23 (the
// old session is not left to time out).
func TestComingBackReplacesTheOldSession(t *testing.T) {
	g := newGateway(t, "")
	c := enrol(t, g, "phone", "")
	old := dial(t, c)
	before := old.connect(t, g)
	after := dial(t, c).connect(t, g)
	if addressOf(before) != addressOf(after) {
		t.Errorf("came back with %s, had %s", addressOf(after), addressOf(before))
	}
	if ev := await[ike.Closed](t, old); ev.Reason != ike.ClosedByPeer {
		t.Errorf("the old session ended by %v, want a DELETE", ev.Reason)
	}
	eventually(t, time.Second, "one session is left", func() bool { return len(sessionsOf(t, g)) == 1 })
}

// TestMakeBeforeBreak: trap 24. Without INITIAL_CONTACT the old session lives
// through the handover, with the same address.
func TestMakeBeforeBreak(t *testing.T) {
	g := newGateway(t, "")
	g.table.handover = 300 * time.Millisecond
	c := enrol(t, g, "phone", "")
	old, next := dial(t, c), dial(t, c)
	old.quiet, next.quiet = true, true
	before := old.connect(t, g)
	after := next.connect(t, g)
	if addressOf(before) != addressOf(after) {
		t.Errorf("the new session got %s, the old one has %s", addressOf(after), addressOf(before))
	}
	if n := len(sessionsOf(t, g)); n != 2 {
		t.Errorf("%d sessions during the handover, want 2", n)
	}
	await[ike.Closed](t, old)
	eventually(t, time.Second, "one session is left", func() bool { return len(sessionsOf(t, g)) == 1 })
}

// TestDevicesOfOneUserDoNotDisturbEachOther: trap 14.
func TestDevicesOfOneUserDoNotDisturbEachOther(t *testing.T) {
	g := newGateway(t, "")
	a := dial(t, enrol(t, g, "pc1", "")).connect(t, g)
	b := dial(t, enrol(t, g, "pc2", "")).connect(t, g)
	if a.IPv4 == b.IPv4 || a.IPv6 == b.IPv6 {
		t.Errorf("both have %s", addressOf(a))
	}
	if n := len(sessionsOf(t, g)); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
}

func TestRevocationCutsTheLiveTunnelWithinASecond(t *testing.T) {
	g := newGateway(t, "")
	c := enrol(t, g, "laptop", "")
	bystander := dial(t, enrol(t, g, "other", ""))
	bystander.connect(t, g)
	d := dial(t, c)
	d.connect(t, g)
	start := time.Now()
	r := call[Revoked](t, g.Client(), "POST", "/v1/devices/laptop/revoke", Revocation{Reason: "stolen"})
	if ev := await[ike.Closed](t, d); ev.Reason != ike.ClosedByPeer {
		t.Errorf("ended by %v, want a DELETE", ev.Reason)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the tunnel was cut after %v", took)
	}
	if r.Cut != 1 {
		t.Errorf("%d sessions cut, want 1", r.Cut)
	}
	again := dial(t, c)
	again.start(t, g)
	if rec := await[ike.Refused](t, again).Record; rec.Notify != ikemsg.NotifyAuthenticationFailed {
		t.Errorf("refused with %v", rec.Notify)
	}
	eventually(t, time.Second, "the refusal is on record", func() bool {
		list, _ := g.Refusals(t.Context())
		return len(list) == 1 && strings.Contains(list[0].Reason, "revoked") && list[0].Fix != ""
	})
	if list := sessionsOf(t, g); len(list) != 1 || list[0].Device != "other" {
		t.Errorf("sessions %+v, want the bystander's", list)
	}
}

// TestRevocationByAnotherGatewayCuts: what another process writes to a shared
// store does the same.
func TestRevocationByAnotherGatewayCuts(t *testing.T) {
	g := newGateway(t, "")
	d := dial(t, enrol(t, g, "laptop", ""))
	d.connect(t, g)
	key := store.Key(usersKey + "alice")
	page, err := g.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	kv, _ := page.First()
	revoked := bytes.Replace(kv.Value, []byte("{"), []byte(`{"revoked":"2026-01-01T00:00:00Z",`), 1)
	if _, err := g.store.Txn(t.Context(), store.Txn{Then: []store.Op{store.Put{Key: kv.Key, Value: revoked}}}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	await[ike.Closed](t, d)
	if took := time.Since(start); took > time.Second {
		t.Errorf("the tunnel was cut after %v", took)
	}
}

func TestKickLetsTheDeviceComeBack(t *testing.T) {
	g := newGateway(t, "")
	c := enrol(t, g, "laptop", "")
	d := dial(t, c)
	d.connect(t, g)
	client := g.Client()
	refusedAs(t, client, http.StatusBadRequest, "only one", "POST", "/v1/sessions/kick", Kick{Device: "laptop", User: "alice"})
	refusedAs(t, client, http.StatusNotFound, "sessions list", "POST", "/v1/sessions/kick", Kick{Session: 999})
	for _, k := range []Kick{{Device: "laptop"}, {User: "alice"}, {Session: 0}} {
		if k == (Kick{}) {
			k.Session = sessionsOf(t, g)[0].ID
		}
		if r := call[Kicked](t, client, "POST", "/v1/sessions/kick", k); r.Cut != 1 {
			t.Errorf("%+v: %d sessions cut, want 1", k, r.Cut)
		}
		await[ike.Closed](t, d)
		d = dial(t, c)
		d.connect(t, g)
	}
}

func TestShutdownTellsThePeers(t *testing.T) {
	g := newGateway(t, "")
	d := dial(t, enrol(t, g, "laptop", ""))
	d.connect(t, g)
	start := time.Now()
	if err := g.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if ev := await[ike.Closed](t, d); ev.Reason != ike.ClosedByPeer {
		t.Errorf("ended by %v, want a DELETE", ev.Reason)
	}
	if took := time.Since(start); took > farewell {
		t.Errorf("the shutdown took %v although the peer answered", took)
	}
}

const twoZones = `zones:
  staff: {pool: {ipv4: 10.61.0.0/24, ipv6: "fd00:61::/64"}, policy: strong}
  guests: {pool: {ipv4: 10.62.0.0/24, ipv6: none}, policy: cnsa2}
`

func TestZonesHaveTheirOwnPoolsAndSuites(t *testing.T) {
	g := newGateway(t, twoZones)
	staff := dial(t, enrol(t, g, "worker", "staff")).connect(t, g)
	if p := netip.MustParsePrefix("10.61.0.0/24"); !p.Contains(staff.IPv4) {
		t.Errorf("staff got %v", staff.IPv4)
	}
	c := enrol(t, g, "visitor", "guests")
	weak := dial(t, c)
	weak.start(t, g)
	if r := await[ike.Refused](t, weak).Record; r.Notify != ikemsg.NotifyNoProposalChosen {
		t.Errorf("a suite of another zone: %v, want NO_PROPOSAL_CHOSEN", r.Notify)
	}
	good := dial(t, c)
	good.policy = &ike.Policy{IKE: mustProposals(t, suite.ProtocolIKE, "aes256gcm16-prfsha384-ecp384")}
	good.child.ESP = mustProposals(t, suite.ProtocolESP, "aes256gcm16-ecp384")
	guest := good.connect(t, g)
	if p := netip.MustParsePrefix("10.62.0.0/24"); !p.Contains(guest.IPv4) || guest.IPv6.IsValid() {
		t.Errorf("a guest got %s", addressOf(guest))
	}
}

// TestWhatAllZonesShareServesEachOfThem: a peer is met before its zone is known.
func TestWhatAllZonesShareServesEachOfThem(t *testing.T) {
	g := newGateway(t, `zones:
  office: {pool: {ipv4: 10.61.0.0/24}, fragment: 1400, dpd: 2m}
  mobile: {pool: {ipv4: 10.62.0.0/24}, fragment: 576, dpd: 20s}
`)
	p := g.realm.Load().policy()
	if p.FragmentSize != 576-fragmentOverhead {
		t.Errorf("fragments of %d octets do not pass the path of the second zone", p.FragmentSize)
	}
	if p.DPD != 20*time.Second {
		t.Errorf("DPD after %v, want the shortest of the zones", p.DPD)
	}
}

// TestUnknownIDrIsRefused: trap 29.
func TestUnknownIDrIsRefused(t *testing.T) {
	g := newGateway(t, "")
	d := dial(t, enrol(t, g, "laptop", ""))
	d.want = "vpn.example.net"
	d.start(t, g)
	if r := await[ike.Refused](t, d).Record; r.Notify != ikemsg.NotifyAuthenticationFailed {
		t.Errorf("refused with %v", r.Notify)
	}
	eventually(t, time.Second, "the record names both identities", func() bool {
		list, _ := g.Refusals(t.Context())
		return len(list) == 1 && strings.Contains(list[0].Reason, "vpn.example.net") && strings.Contains(list[0].Fix, "vpn.example.org")
	})
}

// TestEveryNameOfTheGatewayIsAnswered: a client that asked for one name must
// get that one back (Android compares them octet by octet).
func TestEveryNameOfTheGatewayIsAnswered(t *testing.T) {
	path := testConfig(t, "")
	rewrite(t, path, "  name: vpn.example.org", "  name: vpn.example.org\n  names: [vpn2.example.org, 192.0.2.1]")
	initState(t, path)
	g := startGateway(t, path)
	c := enrol(t, g, "laptop", "")
	for _, name := range []string{"vpn2.example.org", "192.0.2.1", "vpn.example.org"} {
		d := dial(t, c)
		d.want = name
		d.start(t, g)
		if got, want := await[ike.Established](t, d).PeerID, identityOf(name); !sameID(got, want) {
			t.Errorf("asked for %s, got %s", name, got.String())
		}
	}
}

// TestAndroidIsAnsweredWithRSA: it verifies nothing else from a server; all
// others get the shorter ECDSA.
func TestAndroidIsAnsweredWithRSA(t *testing.T) {
	z := newGateway(t, "").realm.Load().order[0]
	for _, kind := range []ike.PeerKind{ike.Android, ike.UnknownPeer, ike.Apple, ike.Windows} {
		// Apple and Windows send no hash algorithms, and get the classic ECDSA methods.
		id := z.identityFor(&ike.Authenticate{PeerKind: kind, Hashes: map[bool][]uint16{true: {2}}[kind == ike.Android]}, suite.Allow{})
		if id == nil {
			t.Errorf("%v: nobody to answer as", kind)
		} else if _, rsaKey := id.Public.(*rsa.PublicKey); rsaKey != (kind == ike.Android) {
			t.Errorf("%v is answered with %T", kind, id.Public)
		}
	}
}

func rewrite(t *testing.T, path string, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), old, new, 1)
	if changed == string(text) {
		t.Fatalf("%q is not in the configuration", old)
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	g := newGateway(t, twoZones)
	client := g.Client()
	worker := dial(t, enrol(t, g, "worker", "staff"))
	worker.connect(t, g)
	visitor := dial(t, enrol(t, g, "visitor", "guests"))
	visitor.policy = &ike.Policy{IKE: mustProposals(t, suite.ProtocolIKE, "aes256gcm16-prfsha384-ecp384")}
	visitor.child.ESP = mustProposals(t, suite.ProtocolESP, "aes256gcm16-ecp384")
	visitor.connect(t, g)

	rewrite(t, g.path, "policy: cnsa2", "policy: nonsense")
	refusedAs(t, client, http.StatusUnprocessableEntity, "nonsense", "POST", "/v1/reload", nil)
	if n := len(sessionsOf(t, g)); n != 2 {
		t.Fatalf("%d sessions after a reload that failed, want 2", n)
	}
	rewrite(t, g.path, "policy: nonsense", "policy: cnsa2")

	rewrite(t, g.path, "policy: strong}", "policy: strong, dns: {servers: [10.0.0.53]}}")
	r := call[Reloaded](t, client, "POST", "/v1/reload", nil)
	if len(r.Changes) != 1 || r.Closed != 0 {
		t.Errorf("reload: %+v, want one change and no session closed", r)
	}
	if l := dial(t, enrol(t, g, "late", "staff")).connect(t, g); len(l.DNS) != 1 || l.DNS[0] != netip.MustParseAddr("10.0.0.53") {
		t.Errorf("DNS after the reload: %v", l.DNS)
	}

	rewrite(t, g.path, "  guests:", "  visitors:")
	if r := call[Reloaded](t, client, "POST", "/v1/reload", nil); r.Closed != 1 {
		t.Errorf("reload without a zone: %d sessions closed, want 1", r.Closed)
	}
	await[ike.Closed](t, visitor)
	eventually(t, time.Second, "the zone that stayed has its sessions", func() bool { return len(sessionsOf(t, g)) == 2 })

	rewrite(t, g.path, "10.61.0.0/24", "10.63.0.0/24")
	call[Reloaded](t, client, "POST", "/v1/reload", nil)
	await[ike.Closed](t, worker)
}

// TestOutsideAuthority lets in certificates of a zone's own trust anchor, each
// as a device of its own, and cuts them when the CRL says so.
func TestOutsideAuthority(t *testing.T) {
	dir := t.TempDir()
	ca := newOutsideCA(t)
	os.WriteFile(filepath.Join(dir, "ca.pem"), []byte(pemText("CERTIFICATE", ca.cert.Raw)), 0o600)
	os.WriteFile(filepath.Join(dir, "crl.pem"), ca.crl(t), 0o600)
	g := newGateway(t, fmt.Sprintf("zones:\n  staff: {trust: {cas: [%[1]s/ca.pem], crls: [%[1]s/crl.pem]}}\n", dir))
	keyAndCert := ca.issue(t, 77, "router.corp.example")
	own := pemText("CERTIFICATE", g.ca.Certificate().Raw)
	d := dial(t, newCredential(t, keyAndCert, own, "router.corp.example"))
	d.connect(t, g)
	if s := sessionsOf(t, g)[0]; !strings.HasPrefix(s.Device, outsidePrefix) || !strings.HasSuffix(s.Device, ":4d") {
		t.Errorf("device is %q", s.Device)
	}
	os.WriteFile(filepath.Join(dir, "crl.pem"), ca.crl(t, 77), 0o600)
	if r := call[Reloaded](t, g.Client(), "POST", "/v1/reload", nil); r.Closed != 1 {
		t.Errorf("%d sessions closed, want 1", r.Closed)
	}
	await[ike.Closed](t, d)

	stranger := newOutsideCA(t)
	x := dial(t, newCredential(t, stranger.issue(t, 5, "evil.example"), own, "evil.example"))
	x.start(t, g)
	await[ike.Refused](t, x)
	eventually(t, time.Second, "the record says that another CA of the name signed", func() bool {
		list, _ := g.Refusals(t.Context())
		return len(list) > 0 && strings.Contains(list[len(list)-1].Reason, "bad signature")
	})
}

// TestSerialNumbersOfTwoAuthoritiesDoNotMeet: CAs that count from 1 give the
// same numbers, and their devices still have nothing to do with each other. A
// CA that loses its trust takes its devices along.
func TestSerialNumbersOfTwoAuthoritiesDoNotMeet(t *testing.T) {
	dir := t.TempDir()
	var devices []*dialer
	credentials := map[string]string{}
	for _, name := range []string{"one", "two"} {
		ca := newOutsideCA(t)
		os.WriteFile(filepath.Join(dir, name+".pem"), []byte(pemText("CERTIFICATE", ca.cert.Raw)), 0o600)
		credentials[name] = ca.issue(t, 2, name+".corp.example")
	}
	g := newGateway(t, fmt.Sprintf("zones:\n  staff: {trust: {cas: [%[1]s/one.pem, %[1]s/two.pem], strict: false}}\n", dir))
	own := pemText("CERTIFICATE", g.ca.Certificate().Raw)
	for _, name := range []string{"one", "two"} {
		d := dial(t, newCredential(t, credentials[name], own, name+".corp.example"))
		d.connect(t, g)
		devices = append(devices, d)
	}
	if live := sessionsOf(t, g); len(live) != 2 || live[0].Device == live[1].Device || live[0].IPv4 == live[1].IPv4 {
		t.Fatalf("two devices of two CAs are %+v", live)
	}
	rewrite(t, g.path, dir+"/one.pem, ", "")
	if r := call[Reloaded](t, g.Client(), "POST", "/v1/reload", nil); r.Closed == 0 {
		t.Error("nobody was closed when a CA lost its trust")
	}
	await[ike.Closed](t, devices[0])
}

type outsideCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	crls int64
}

func newOutsideCA(t *testing.T) *outsideCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &outsideCA{key: key}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Corporate CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(rand.Text()),
	}
	ca.cert = ca.sign(t, template, template, key)
	return ca
}

func (ca *outsideCA) sign(t *testing.T, template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (ca *outsideCA) issue(t *testing.T, serial int64, name string) (keyAndCert string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := ca.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.cert, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemText("PRIVATE KEY", der) + pemText("CERTIFICATE", cert.Raw)
}

func (ca *outsideCA) crl(t *testing.T, revoked ...int64) []byte {
	t.Helper()
	ca.crls++
	list := &x509.RevocationList{Number: big.NewInt(ca.crls), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(pemText("X509 CRL", der))
}
