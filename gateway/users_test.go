package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/dataplane"
	"sallyport/engine"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/store"
)

const goodPassword = "correct horse battery"

// passwordZone takes every method for passwords.
func passwordZone(more string) string {
	return fmt.Sprintf(`zones:
  staff:
    auth: [certificate, eap-tls, peap, eap-ttls, eap-mschapv2]
    pool: {ipv4: 10.60.0.0/24, ipv6: "fd00:60::/64"}
    waivers: [{rule: PPP-005, until: %s, owner: alice, reason: phones}]
%s`, time.Now().AddDate(0, 0, 2).Format(time.DateOnly), more)
}

func addUser(t *testing.T, g *Gateway, n NewUser) UserAdded {
	t.Helper()
	return call[UserAdded](t, g.Client(), "POST", "/v1/users", n)
}

// byPassword is a dialer of a user without device, on a machine whose IDi is
// the address of its network card, as Windows' is.
func byPassword(t *testing.T, g *Gateway, user, password string, method eap.Type, inner ...eap.Inner) *dialer {
	t.Helper()
	ca, err := pki.ParseCertificates([]byte(pemText("CERTIFICATE", g.ca.Certificate().Raw)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := pki.NewVerifier(pki.Trust{Roots: ca})
	if err != nil {
		t.Fatal(err)
	}
	me := &ike.Identity{ID: ikemsg.ID{Kind: ikemsg.IDIPv4Addr, Data: []byte{192, 168, 1, 10}}}
	d := dial(t, credential{identity: me, verifier: v})
	offer := eap.Offer{Method: method, Inner: inner}
	d.eap = &engine.EAPPeer{
		Config: &eap.PeerConfig{Identity: user, User: user, Password: secret.Bytes(password), Offers: []eap.Offer{offer}, BareMSCHAPv2: method == eap.TypeMSCHAPv2,
			TLS: &eap.TLS{Verify: func(chain [][]byte) (eap.Verified, error) {
				_, err := v.Verify(time.Now(), chain, pki.Server)
				return eap.Verified{Identity: "gateway"}, err
			}}},
		Admit: func(eap.Success) (*ike.Admission, error) { return &ike.Admission{Local: me, Policy: d.child}, nil },
	}
	return d
}

// byPEAP is the way of most of these tests.
func byPEAP(t *testing.T, g *Gateway, user string) *dialer {
	return byPassword(t, g, user, goodPassword, eap.TypePEAP, eap.InnerEAPMSCHAPv2)
}

// wantRefusal lets a dialer try, and wants a record with these words.
func wantRefusal(t *testing.T, g *Gateway, d *dialer, words ...string) {
	t.Helper()
	before := len(refusalsOf(t, g))
	d.start(t, g)
	await[ike.Refused](t, d)
	eventually(t, 5*time.Second, "the gateway has a record", func() bool { return len(refusalsOf(t, g)) > before })
	list := refusalsOf(t, g)
	r := list[len(list)-1]
	for _, w := range words {
		if !strings.Contains(r.Reason+" "+r.Fix, w) {
			t.Errorf("the record says %q, fix %q; want %q in it", r.Reason, r.Fix, w)
		}
	}
	d.close()
}

func refusalsOf(t *testing.T, g *Gateway) []Refusal {
	t.Helper()
	return call[[]Refusal](t, g.Client(), "GET", "/v1/refusals", nil)
}

func TestAUserComesInByEveryMethodForPasswords(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	for _, c := range []struct {
		method eap.Type
		inner  []eap.Inner
	}{
		{eap.TypePEAP, []eap.Inner{eap.InnerEAPMSCHAPv2}},
		{eap.TypeTTLS, []eap.Inner{eap.InnerPAP}},
		{eap.TypeTTLS, []eap.Inner{eap.InnerMSCHAPv2}},
		{eap.TypeTTLS, []eap.Inner{eap.InnerEAPMSCHAPv2}},
		{eap.TypeMSCHAPv2, nil},
	} {
		t.Run(fmt.Sprint(c.method, c.inner), func(t *testing.T) {
			d := byPassword(t, g, `CORP\Bob@example.org`, goodPassword, c.method, c.inner...)
			d.connect(t, g)
			eventually(t, time.Second, "one session is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
			if s := sessionsOf(t, g)[0]; s.User != "bob" || s.Device != "user:bob" || s.Identity != "bob" {
				t.Errorf("listed as %+v", s)
			}
			d.close()
			eventually(t, 5*time.Second, "the session is gone", func() bool { return len(sessionsOf(t, g)) == 0 })
			if n := g.logins.Open(); n != 0 {
				t.Errorf("%d EAP conversations are left over", n)
			}
		})
	}
}

func TestWrongPasswordsAndUnknownUsersAreToldApartByUsAlone(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	addUser(t, g, NewUser{Name: "nopass"})
	addUser(t, g, NewUser{Name: "gone", Password: goodPassword})
	call[Revoked](t, g.Client(), "POST", "/v1/users/gone/revoke", Revocation{Reason: "left"})
	for _, m := range []struct {
		method eap.Type
		inner  eap.Inner
	}{{eap.TypePEAP, eap.InnerEAPMSCHAPv2}, {eap.TypeTTLS, eap.InnerPAP}} {
		for user, c := range map[string]struct{ password, want string }{
			"bob":    {"wrong password", "wrong"},
			"nobody": {goodPassword, `no user "nobody"`},
			"nopass": {goodPassword, "has no password"},
			"gone":   {goodPassword, "revoked"},
		} {
			t.Run(fmt.Sprint(m.method, m.inner, user), func(t *testing.T) {
				d := byPassword(t, g, user, c.password, m.method, m.inner)
				wantRefusal(t, g, d, c.want)
			})
		}
	}
	if n := len(sessionsOf(t, g)); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestGuessingIsSlowedWhereItComesFrom(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	for range freeTries {
		d := byPassword(t, g, "bob", "wrong password", eap.TypeTTLS, eap.InnerPAP)
		d.start(t, g)
		await[ike.Refused](t, d)
		d.close()
	}
	wantRefusal(t, g, byPassword(t, g, "bob", goodPassword, eap.TypeTTLS, eap.InnerPAP), "wrong passwords", "waits until", "127.0.0.1")
	time.Sleep(firstPause)
	byPassword(t, g, "bob", goodPassword, eap.TypeTTLS, eap.InnerPAP).connect(t, g)
}

func TestPausesAreOfOneUserAndSourceAndBounded(t *testing.T) {
	var p pauses
	now := time.Now()
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for range freeTries {
		if err := p.mayTry("bob", here, now); err != nil {
			t.Fatal(err)
		}
	}
	if p.mayTry("bob", here, now) == nil {
		t.Error("more tries at one time than are free")
	}
	p.succeeded("bob", here)
	if err := p.mayTry("bob", here, now); err != nil {
		t.Errorf("one of them was right: %v", err)
	}
	tries := func(user string, from netip.Addr, n int) {
		for range n {
			p.count(pauseKey{user, sourceOf(from)}, now)
		}
	}
	tries("bob", here, 20)
	if p.mayTry("bob", here, now.Add(longestPause-time.Second)) == nil || p.mayTry("bob", here, now.Add(longestPause+time.Second)) != nil {
		t.Error("the pause is not the longest one")
	}
	if p.mayTry("bob", there, now) != nil || p.mayTry("eve", here, now) != nil {
		t.Error("others wait too")
	}
	tries("bob", there, freeTries)
	if p.mayTry("bob", netip.MustParseAddr("2001:db8::ffff"), now) == nil {
		t.Error("a neighbour in the same /64 may try")
	}
	for i := range maxPauses + 100 {
		tries(fmt.Sprint("user", i), here, 1)
	}
	if n := len(p.all); n > maxPauses {
		t.Errorf("%d pauses are kept", n)
	}
}

// TestTwoMachinesOfOneUserWithOneAddress: trap 14, for a user without devices.
func TestTwoMachinesOfOneUserWithOneAddress(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	a := byPEAP(t, g, "bob")
	first := a.connect(t, g)
	// On loopback both come from one address, so another claim is what tells the
	// second machine from the first.
	b := byPEAP(t, g, "bob")
	b.identity.ID.Data = []byte{192, 168, 1, 11}
	second := b.connect(t, g)
	if first.IPv4 == second.IPv4 {
		t.Errorf("both have %v", first.IPv4)
	}
	eventually(t, time.Second, "both are listed", func() bool { return len(sessionsOf(t, g)) == 2 })
	// The first one comes back, and has its address again.
	again := byPEAP(t, g, "bob").connect(t, g)
	if again.IPv4 != first.IPv4 {
		t.Errorf("came back with %v, had %v", again.IPv4, first.IPv4)
	}
}

// noisyPlane hears something from every peer all the time.
type noisyPlane struct{ dataplane.Plane }

func (noisyPlane) Stats(uint32) (dataplane.Stats, bool) {
	return dataplane.Stats{LastInbound: time.Now()}, true
}

// TestTwoMachinesBehindOneNATThatClaimTheSame: strongSwan's app sends the user's
// name as IDi. The second machine must not take the first one's seat, which
// would take it back, and so on.
func TestTwoMachinesBehindOneNATThatClaimTheSame(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	g.plane = noisyPlane{g.plane}
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	first := byPEAP(t, g, "bob").connect(t, g)
	if second := byPEAP(t, g, "bob").connect(t, g); second.IPv4 == first.IPv4 {
		t.Errorf("both have %v", first.IPv4)
	}
}

// machine is one of bob's.
func machine(t *testing.T, g *Gateway, n byte) *dialer {
	d := byPEAP(t, g, "bob")
	d.identity.ID.Data = []byte{192, 168, 1, n}
	return d
}

func TestASeatIsOfOneMachineWhateverTheZoneAllowsADevice(t *testing.T) {
	g := newGateway(t, passwordZone("    sessions: 2\n    user: {sessions: 1}\n"))
	g.table.handover = 100 * time.Millisecond
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	first, second := machine(t, g, 1), machine(t, g, 2)
	first.quiet, second.quiet = true, true
	first.connect(t, g)
	second.connect(t, g)
	await[ike.Closed](t, first)
}

func TestRevokingAUserTellsOfSessionsByPasswordAndKeepsNoHash(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	d := machine(t, g, 1)
	d.connect(t, g)
	if r := call[Revoked](t, g.Client(), "POST", "/v1/users/bob/revoke", Revocation{}); r.Cut != 1 {
		t.Errorf("tells of %d sessions that were cut", r.Cut)
	}
	await[ike.Closed](t, d)
	page, err := g.store.Get(t.Context(), store.Prefix(passwordsKey))
	if err != nil || len(page.KVs) > 0 {
		t.Errorf("%d passwords are kept, %v", len(page.KVs), err)
	}
}

func TestAUserHasNoMoreSessionsThanAllowed(t *testing.T) {
	t.Run("reject", func(t *testing.T) {
		g := newGateway(t, passwordZone("    user: {sessions: 2, when_full: reject}\n"))
		addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
		machine(t, g, 1).connect(t, g)
		machine(t, g, 2).connect(t, g)
		wantRefusal(t, g, machine(t, g, 3), "2 sessions already", "user.sessions")
		machine(t, g, 2).connect(t, g) // make-before-break
	})
	t.Run("replace", func(t *testing.T) {
		g := newGateway(t, passwordZone("    user: {sessions: 2}\n"))
		addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
		oldest := machine(t, g, 1)
		oldest.connect(t, g)
		machine(t, g, 2).connect(t, g)
		machine(t, g, 3).connect(t, g)
		await[ike.Closed](t, oldest)
	})
	t.Run("devices count too", func(t *testing.T) {
		g := newGateway(t, passwordZone("    user: {sessions: 1, when_full: reject}\n"))
		dial(t, enrol(t, g, "laptop", "")).connect(t, g)
		wantRefusal(t, g, dial(t, enrol(t, g, "phone", "")), "on other devices already")
	})
	t.Run("the oldest device gives way", func(t *testing.T) {
		g := newGateway(t, passwordZone("    user: {sessions: 1}\n"))
		d := dial(t, enrol(t, g, "laptop", ""))
		d.connect(t, g)
		dial(t, enrol(t, g, "phone", "")).connect(t, g)
		await[ike.Closed](t, d)
	})
}

const crew = `groups:
  crew:
    zone: staff
    pool: {ipv4: 10.60.0.128/25}
    dns: {servers: [10.9.9.9], split: [crew.example]}
    routes: [10.9.0.0/16]
    user: {download: 8Mbit}
`

func TestAGroupHasItsOwnRules(t *testing.T) {
	g := newGateway(t, passwordZone(crew))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword, Groups: []string{"crew"}})
	addUser(t, g, NewUser{Name: "eve", Password: goodPassword})
	d := byPEAP(t, g, "bob")
	d.start(t, g)
	leased := await[ike.Addresses](t, d).Leased
	child := await[ike.ChildUp](t, d).Child
	if !netip.MustParsePrefix("10.60.0.128/25").Contains(leased.IPv4) {
		t.Errorf("the address %v is not of the group's part", leased.IPv4)
	}
	if !slices.Equal(leased.DNS, []netip.Addr{netip.MustParseAddr("10.9.9.9")}) {
		t.Errorf("resolvers %v", leased.DNS)
	}
	if ts := fmt.Sprint(child.TSRemote); !strings.Contains(ts, "10.9.0.0") || strings.Contains(ts, "0.0.0.0-255") {
		t.Errorf("may reach %s", ts)
	}
	other := byPEAP(t, g, "eve").connect(t, g)
	for range 5 {
		if got := byPEAP(t, g, "eve"); got.connect(t, g).IPv4 != other.IPv4 {
			t.Error("eve has another address each time")
		}
	}
	pool := g.realm.Load().zones["staff"].pool
	for i := range 123 { // with eve's and the gateway's, all that is not the group's
		l, _, _, err := pool.acquire(fmt.Sprint("d", i), addressing{not: groupParts(g.Config(), "staff", "")}, true, false, time.Now())
		if err != nil || netip.MustParsePrefix("10.60.0.128/25").Contains(l.IPv4) {
			t.Fatalf("number %d without group has %v, %v", i, l.IPv4, err)
		}
	}
	rates := map[string]bool{}
	for _, l := range g.table.matching(func(*live) bool { return true }) {
		rates[l.user()] = l.rate != nil
	}
	if !rates["bob"] || rates["eve"] {
		t.Errorf("limited in rate: %v", rates)
	}
	// Moved to no group, bob's session ends, and comes back on other terms.
	call[User](t, g.Client(), http.MethodPatch, "/v1/users/bob", SetUser{Groups: &[]string{}})
	await[ike.Closed](t, d)
}

func TestInnerAddressesOfOnesOwnAreNobodyElses(t *testing.T) {
	g := newGateway(t, "zones: {staff: {auth: [certificate, peap], pool: {ipv4: 10.60.0.0/29, ipv6: none}, routes: [10.0.0.0/8]}}\n")
	own := netip.MustParseAddr("10.60.0.3")
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword, Inner: []netip.Addr{own}})
	for what, n := range map[string]NewUser{
		`that of "bob"`:  {Name: "eve", Password: goodPassword, Inner: []netip.Addr{own}},
		"not an address": {Name: "eve", Password: goodPassword, Inner: []netip.Addr{netip.MustParseAddr("10.61.0.3")}},
		"one inner":      {Name: "eve", Password: goodPassword, Inner: []netip.Addr{own, netip.MustParseAddr("10.60.0.4")}},
	} {
		refusedAs(t, g.Client(), http.StatusBadRequest, what, "POST", "/v1/users", n)
	}
	for i := range 4 { // the others: 2, 4, 5, 6
		if got := dial(t, enrol(t, g, fmt.Sprint("d", i), "")).connect(t, g); got.IPv4 == own {
			t.Error("somebody else got it")
		}
	}
	if got := byPEAP(t, g, "bob").connect(t, g); got.IPv4 != own {
		t.Errorf("bob has %v", got.IPv4)
	}
}

func TestOneMachineHasTheUsersAddressAndTheOthersAny(t *testing.T) {
	g := newGateway(t, "zones: {staff: {auth: [peap], pool: {ipv4: 10.60.0.0/24, ipv6: none}, routes: [10.0.0.0/8]}}\n")
	own := netip.MustParseAddr("10.60.0.77")
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword, Inner: []netip.Addr{own}})
	if got := machine(t, g, 1).connect(t, g); got.IPv4 != own {
		t.Errorf("the first has %v", got.IPv4)
	}
	if got := machine(t, g, 2).connect(t, g); got.IPv4 == own || !got.IPv4.IsValid() {
		t.Errorf("the second has %v", got.IPv4)
	}
}

func TestAnInnerAddressIsOfThePartOfTheGroup(t *testing.T) {
	g := newGateway(t, passwordZone(crew))
	inside, outside := []netip.Addr{netip.MustParseAddr("10.60.0.200")}, []netip.Addr{netip.MustParseAddr("10.60.0.9")}
	for _, n := range []NewUser{{Name: "bob", Groups: []string{"crew"}, Inner: outside}, {Name: "bob", Inner: inside}} {
		refusedAs(t, g.Client(), http.StatusBadRequest, "part of the pool", "POST", "/v1/users", n)
	}
	addUser(t, g, NewUser{Name: "bob", Groups: []string{"crew"}, Inner: inside})
	addUser(t, g, NewUser{Name: "eve", Inner: outside})
}

func TestOfManyAtOnceOneGetsTheInnerAddress(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	in := Import{}
	for i := range 20 {
		in.Users = append(in.Users, NewUser{Name: fmt.Sprint("u", i), Inner: []netip.Addr{netip.MustParseAddr("10.60.0.50")}})
	}
	var requests sync.WaitGroup
	for part := range slices.Chunk(in.Users, 5) {
		requests.Go(func() { call[Imported](t, g.Client(), "POST", "/v1/users/import", Import{Users: part}) })
	}
	requests.Wait()
	if n := len(call[[]User](t, g.Client(), "GET", "/v1/users", nil)); n != 1 {
		t.Errorf("%d users have one address", n)
	}
}

func TestPasswordsNeverLeave(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	made := addUser(t, g, NewUser{Name: "bob", Generate: true})
	if len(made.Made) < 20 || !made.Password || !made.MSCHAPv2 {
		t.Fatalf("made %+v", made)
	}
	byPassword(t, g, "bob", made.Made, eap.TypePEAP, eap.InnerEAPMSCHAPv2).connect(t, g)
	list := fmt.Sprint(call[[]map[string]any](t, g.Client(), "GET", "/v1/users", nil))
	for _, word := range []string{made.Made, "argon2", "$nt$"} {
		if strings.Contains(list, word) {
			t.Errorf("the list tells %q: %s", word, list)
		}
	}
	set := call[UserAdded](t, g.Client(), "POST", "/v1/users/bob/password", SetPassword{Password: goodPassword})
	if set.Made != "" {
		t.Error("a password that was given comes back")
	}
	if n := len(sessionsOf(t, g)); n != 1 {
		t.Errorf("%d sessions: a new password must not end them", n)
	}
	wantRefusal(t, g, byPassword(t, g, "bob", made.Made, eap.TypePEAP, eap.InnerEAPMSCHAPv2), "wrong")
	call[UserAdded](t, g.Client(), "POST", "/v1/users/bob/password", SetPassword{Remove: true})
	wantRefusal(t, g, byPEAP(t, g, "bob"), "has no password")
}

func TestPasswordsThatWouldBeGuessedAreRefused(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	for password, want := range map[string]string{
		"short": "shorter than", "aaaaaaaaaaaa": "one character", "Password123": "first that anybody tries", "hello-bobby-1": "name is in it",
		strings.Repeat("x1", 300): "longer than",
	} {
		user := "bobby"
		refusedAs(t, g.Client(), http.StatusBadRequest, want, "POST", "/v1/users", NewUser{Name: user, Password: password})
	}
	refusedAs(t, g.Client(), http.StatusBadRequest, "two ways", "POST", "/v1/users", NewUser{Name: "eve", Password: goodPassword, Generate: true})
	refusedAs(t, g.Client(), http.StatusBadRequest, "hash cannot be used", "POST", "/v1/users", NewUser{Name: "eve", PasswordHash: "$1$abc$def"})
	refusedAs(t, g.Client(), http.StatusNotFound, "no group", "POST", "/v1/users", NewUser{Name: "eve", Groups: []string{"crew"}})
	refusedAs(t, g.Client(), http.StatusNotFound, "no zone", "POST", "/v1/users", NewUser{Name: "eve", Zone: "moon"})
}

func TestAUserMayDoWithoutNTHash(t *testing.T) {
	g := newGateway(t, "zones: {staff: {auth: [eap-ttls]}}\n")
	if u := addUser(t, g, NewUser{Name: "bob", Password: goodPassword, NoMSCHAPv2: true}); u.MSCHAPv2 {
		t.Error("an NT hash is kept")
	}
	byPassword(t, g, "bob", goodPassword, eap.TypeTTLS, eap.InnerPAP).connect(t, g)
	wantRefusal(t, g, byPassword(t, g, "bob", goodPassword, eap.TypeTTLS, eap.InnerMSCHAPv2), "no NT hash", "PAP")
}

func TestBareMSCHAPv2NeedsAWaiverAndOurSignature(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	d := byPassword(t, g, "bob", goodPassword, eap.TypeMSCHAPv2)
	d.eapOnly = true
	wantRefusal(t, g, d, "EAP-MSCHAPv2")
	without := newGateway(t, "zones: {staff: {auth: [peap]}}\n")
	addUser(t, without, NewUser{Name: "bob", Password: goodPassword})
	wantRefusal(t, without, byPassword(t, without, "bob", goodPassword, eap.TypeMSCHAPv2), "EAP-MSCHAPv2")
}

func TestAUserIsHeldAgainstTheZoneOfTheUser(t *testing.T) {
	g := newGateway(t, `zones:
  staff: {auth: [peap], pool: {ipv4: 10.60.0.0/24}}
  guests: {auth: [eap-ttls], pool: {ipv4: 10.61.0.0/24}}
`)
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword, Zone: "guests"})
	addUser(t, g, NewUser{Name: "eve", Password: goodPassword})
	wantRefusal(t, g, byPEAP(t, g, "bob"), `zone "guests" does not take peap`)
	wantRefusal(t, g, byPEAP(t, g, "eve"), "several zones", "user set eve")
	if got := byPassword(t, g, "bob", goodPassword, eap.TypeTTLS, eap.InnerPAP).connect(t, g); !netip.MustParsePrefix("10.61.0.0/24").Contains(got.IPv4) {
		t.Errorf("bob has %v", got.IPv4)
	}
	if z, _ := g.Config().Zone("guests"); slices.Contains(z.Auth, config.PEAP) {
		t.Error("the zone takes peap")
	}
}

func TestUserNamesAreReadAsClientsWriteThem(t *testing.T) {
	for claimed, want := range map[string]string{
		"bob": "bob", "Bob": "bob", `CORP\bob`: "bob", "bob@corp.example": "bob", `CORP\Bob@x`: "bob", `a\b\c`: `b\c`, "": "", "@x": "",
	} {
		if got := userName(claimed); got != want {
			t.Errorf("%q is %q, want %q", claimed, got, want)
		}
	}
}

// TestTheTimeOfARefusalTellsNobodyWhichUsersExist: the least of many tries in
// turns, because a busy machine only ever adds time; it is given more turns
// until the least are alike, which they never are where a user is told apart.
func TestTheTimeOfARefusalTellsNobodyWhichUsersExist(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	addUser(t, g, NewUser{Name: "nopass"})
	for what, c := range map[string]struct {
		rounds int
		try    func(user string)
	}{
		"PAP":      {12, func(user string) { g.checkPassword(user, secret.Bytes("wrong password")) }},
		"MSCHAPv2": {300, func(user string) { g.account(user) }},
	} {
		least := map[string]time.Duration{}
		alike := false
		for turn := 0; turn < 15 && !alike; turn++ {
			for range c.rounds {
				for _, user := range []string{"bob", "nopass", "nobody"} {
					begun := time.Now()
					c.try(user)
					if took := time.Since(begun); least[user] == 0 || took < least[user] {
						least[user] = took
					}
				}
			}
			bob := least["bob"]
			alike = max(least["nopass"], least["nobody"]) <= bob*2 && min(least["nopass"], least["nobody"]) >= bob/2
		}
		if !alike {
			t.Errorf("%s: the time tells which user exists (bob has a password): %v", what, least)
		}
		t.Logf("%s: %v", what, least)
	}
}

// TestTheSecondMachineOfAUserIsBoundedToo: each seat may have so many sessions
// on their way out, and no more.
func TestTheSecondMachineOfAUserIsBoundedToo(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	for n, device := range []string{"user:bob", "user:bob#2"} {
		machine(t, g, byte(n)).connect(t, g)
		l := g.table.matching(func(l *live) bool { return l.admission.Device == device })[0]
		for range maxLeaving {
			leaving := *l
			g.table.add(&leaving)
		}
	}
	for n := range byte(2) {
		wantRefusal(t, g, machine(t, g, n), "faster than its old ones end")
	}
}

// TestAnUpdateLeavesWhatTheListDoesNotSay: a list of passwords alone must not
// take users out of their groups, whose rules may be the stricter ones.
func TestAnUpdateLeavesWhatTheListDoesNotSay(t *testing.T) {
	g := newGateway(t, passwordZone(crew))
	own := []netip.Addr{netip.MustParseAddr("10.60.0.200")}
	before := addUser(t, g, NewUser{Name: "bob", Password: goodPassword, Zone: "staff", Groups: []string{"crew"}, Inner: own})
	call[Imported](t, g.Client(), "POST", "/v1/users/import", Import{Update: true, Users: []NewUser{{Name: "bob", Password: "another good one"}}})
	after, _ := g.registry.User("bob")
	if after.Zone != "staff" || len(after.Groups) != 1 || after.Inner != before.Inner {
		t.Errorf("bob is %+v after an update of the password, and was %+v", after, before.User)
	}
}

// TestAHintForAPasswordWorksForWhoIsNotThere: nobody can set the password of a user
// who does not exist.
func TestAHintForAPasswordWorksForWhoIsNotThere(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "carol", Password: goodPassword})
	for user, want := range map[string]string{"alice": "user add alice --generate", "carol": "user password carol --generate"} {
		err, _ := errors.AsType[*InvalidError](g.State.judgePassword(user, []byte("short"), false))
		if err == nil || !strings.Contains(err.Hint, want) {
			t.Errorf("%s: %v", user, err)
		}
	}
	in := Import{DryRun: true, Users: []NewUser{{Name: "alice", Password: "short"}}}
	if r := call[Imported](t, g.Client(), "POST", "/v1/users/import", in).Results[0]; !strings.Contains(r.Hint, "leave it out of the list, and afterwards") {
		t.Errorf("judged as %+v", r)
	}
}

// TestADryRunFindsRevokedUsers: what judging misses breaks all-or-nothing.
func TestADryRunFindsRevokedUsers(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	addUser(t, g, NewUser{Name: "gone", Password: goodPassword})
	call[Revoked](t, g.Client(), "POST", "/v1/users/gone/revoke", Revocation{})
	in := Import{Update: true, DryRun: true, Users: []NewUser{{Name: "gone", Password: "another good one"}}}
	if r := call[Imported](t, g.Client(), "POST", "/v1/users/import", in).Results[0]; r.Outcome != ImportRefused || !strings.Contains(r.Reason, "revoked") {
		t.Errorf("judged as %+v", r)
	}
}

// TestADeviceComesInByItsCertificateInsideATunnel: the session is the device's,
// as by EAP-TLS alone.
func TestADeviceComesInByItsCertificateInsideATunnel(t *testing.T) {
	g := newGateway(t, passwordZone(""))
	c := enrol(t, g, "laptop", "")
	for _, method := range []eap.Type{eap.TypePEAP, eap.TypeTTLS} {
		d := byEAPTLS(dial(t, c), "somebody@else")
		d.eap.Config.Offers = []eap.Offer{{Method: method, Inner: []eap.Inner{eap.InnerEAPTLS}}}
		d.connect(t, g)
		eventually(t, time.Second, "one session is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
		if s := sessionsOf(t, g)[0]; s.Device != "laptop" || s.Identity != "laptop@alice" {
			t.Errorf("%v: listed as %+v", method, s)
		}
		d.close()
		eventually(t, 5*time.Second, "the session is gone", func() bool { return len(sessionsOf(t, g)) == 0 })
	}
	// The zone must take the tunnel, whatever runs in it.
	only := newGateway(t, "zones: {staff: {auth: [eap-tls, peap]}}\n")
	d := byEAPTLS(dial(t, enrol(t, only, "laptop", "")), "laptop@alice")
	d.eap.Config.Offers = []eap.Offer{{Method: eap.TypeTTLS, Inner: []eap.Inner{eap.InnerEAPTLS}}}
	wantRefusal(t, only, d, "EAP-TTLS")
}

func TestAUsersOwnAddressIsKeptThroughARestart(t *testing.T) {
	path := testConfig(t, "zones: {staff: {auth: [certificate, peap], pool: {ipv4: 10.60.0.0/29, ipv6: none}, routes: [10.0.0.0/8]}}\n")
	initState(t, path)
	g := startGateway(t, path)
	own := netip.MustParseAddr("10.60.0.3")
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword, Inner: []netip.Addr{own}})
	g.Close(t.Context())

	g = startGateway(t, path)
	for i := range 4 { // the others: 2, 4, 5, 6
		if got := dial(t, enrol(t, g, fmt.Sprint("d", i), "")).connect(t, g); got.IPv4 == own {
			t.Error("somebody else got it")
		}
	}
	if got := byPEAP(t, g, "bob").connect(t, g); got.IPv4 != own {
		t.Errorf("bob has %v", got.IPv4)
	}
}

func TestAReloadMovesUsersToTheRulesOfNow(t *testing.T) {
	g := newGateway(t, passwordZone(crew))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword, Groups: []string{"crew"}})
	addUser(t, g, NewUser{Name: "eve", Password: goodPassword})
	bob, eve := byPEAP(t, g, "bob"), byPEAP(t, g, "eve")
	before := bob.connect(t, g)
	eve.connect(t, g)
	rewrite(t, g.path, "  crew:\n", "  staffers:\n")
	call[Reloaded](t, g.Client(), http.MethodPost, "/v1/reload", nil)
	await[ike.Closed](t, bob)
	eventually(t, 5*time.Second, "eve alone is left", func() bool { return len(sessionsOf(t, g)) == 1 })
	if got := byPEAP(t, g, "bob").connect(t, g); got.IPv4 == before.IPv4 {
		t.Errorf("bob still has %v of the group that is gone", got.IPv4)
	}
}

// TestAGroupWithoutAPartHasNothingOfAnothers: a firewall tells the others by it.
func TestAGroupWithoutAPartHasNothingOfAnothers(t *testing.T) {
	g := newGateway(t, passwordZone("groups:\n  admins: {zone: staff, pool: {ipv4: 10.60.0.0/28}}\n  crew: {zone: staff}\n"))
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword, Groups: []string{"crew"}})
	if got := byPEAP(t, g, "bob").connect(t, g); got.IPv4 != netip.MustParseAddr("10.60.0.16") {
		t.Errorf("bob has %v", got.IPv4)
	}
	refusedAs(t, g.Client(), http.StatusBadRequest, "part of the pool", "POST", "/v1/users", NewUser{Name: "eve", Groups: []string{"crew"}, Inner: []netip.Addr{netip.MustParseAddr("10.60.0.3")}})
}

// TestNobodyUndoesARevocation: a password takes its time to be hashed, and the
// registry hears late of what the store has.
func TestNobodyUndoesARevocation(t *testing.T) {
	s := testState(t, passwordZone(""))
	ctx := t.Context()
	for _, name := range []string{"bob", "eve"} {
		if _, err := s.AddUser(ctx, NewUser{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	u, was, err := s.activeUser(ctx, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeUser(ctx, "bob", Revocation{}); err != nil {
		t.Fatal(err)
	}
	if err := s.rewrite(ctx, u, was); err == nil || !strings.Contains(err.Error(), "by somebody else") {
		t.Errorf("the old record over the revoked one: %v", err)
	}
	var late registry // has not heard of anything
	late.users = map[string]User{"eve": {Name: "eve"}}
	heard := s.registry
	if _, err := s.RevokeUser(ctx, "eve", Revocation{}); err != nil {
		t.Fatal(err)
	}
	late.store, s.registry = heard.store, &late
	_, err = s.SetPassword(ctx, "eve", SetPassword{Password: goodPassword})
	s.registry = heard
	if err == nil || !strings.Contains(err.Error(), "is revoked") {
		t.Errorf("a password for a revoked user: %v", err)
	}
}

func TestAPasswordDoesNotUndoAGroup(t *testing.T) {
	s := testState(t, passwordZone("groups:\n  crew: {zone: staff}\n"))
	ctx := t.Context()
	for i := range 20 {
		name := fmt.Sprint("u", i)
		if _, err := s.AddUser(ctx, NewUser{Name: name}); err != nil {
			t.Fatal(err)
		}
		var setPassword, setGroup error
		var both sync.WaitGroup
		both.Go(func() { _, setPassword = s.SetPassword(ctx, name, SetPassword{Password: goodPassword}) })
		both.Go(func() {
			time.Sleep(time.Duration(i) * time.Millisecond)
			_, setGroup = s.SetUser(ctx, name, SetUser{Groups: &[]string{"crew"}})
		})
		both.Wait()
		u, _, err := s.activeUser(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if (setPassword == nil) != u.Password || (setGroup == nil) != (len(u.Groups) == 1) {
			t.Errorf("%+v, though they were told %v and %v", u, setPassword, setGroup)
		}
	}
}

func TestOneOfTwoGetsTheNameOfADevice(t *testing.T) {
	s := testState(t, passwordZone(""))
	ctx := t.Context()
	for _, name := range []string{"alice", "bob"} {
		if _, err := s.AddUser(ctx, NewUser{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		var errs [2]error
		var both sync.WaitGroup
		for j, user := range []string{"alice", "bob"} {
			both.Go(func() { _, errs[j] = s.AddDevice(ctx, NewDevice{Name: fmt.Sprint("laptop", i), User: user}) })
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("they were told %v and %v", errs[0], errs[1])
		}
	}
}

// TestADryRunRefusesWhatTheImportWould also where weak passwords are taken.
func TestADryRunRefusesWhatTheImportWould(t *testing.T) {
	s := testState(t, passwordZone(""))
	in := Import{Users: []NewUser{
		{Name: "short", Password: "x", AllowWeak: true},
		{Name: "long", Password: strings.Repeat("z", 300), AllowWeak: true},
	}}
	for _, in.DryRun = range []bool{true, false} {
		got, err := s.ImportUsers(t.Context(), in)
		if err != nil || len(got.Results) != 2 || got.Results[0].Reason != "" || !strings.Contains(got.Results[1].Reason, "longer than 256 characters") {
			t.Errorf("dry run %v: %+v, %v", in.DryRun, got, err)
		}
	}
}

func TestALongReasonRevokesNobody(t *testing.T) {
	s := testState(t, passwordZone(""))
	if _, err := s.AddUser(t.Context(), NewUser{Name: "bob"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeUser(t.Context(), "bob", Revocation{Reason: strings.Repeat("r", 300)}); err == nil {
		t.Error("it is taken")
	}
	if _, _, err := s.activeUser(t.Context(), "bob"); err != nil {
		t.Error(err)
	}
}
