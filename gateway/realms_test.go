package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/dataplane"
	"sallyport/engine"
	aaa "sallyport/gateway/radius"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/radius"
)

// dynamicOf is the part of a realm that takes Disconnect and CoA requests.
func dynamicOf(listen string) string {
	return fmt.Sprintf("    dynamic: {listen: %q, from: [{address: 127.0.0.1, secret: SECRET}]}\n", listen)
}

func TestAGatewayDoesNotStartWithoutItsSecrets(t *testing.T) {
	for what, c := range map[string]struct {
		mode   fs.FileMode
		secret string
		want   string
	}{
		"no file":             {0, "", "no such file"},
		"a file for everyone": {0o644, labtest.RADIUSSecret, "read by others"},
		"a guessable secret":  {0o600, "testing123", "can be guessed"},
	} {
		t.Run(what, func(t *testing.T) {
			zones := radiusZone(t, []string{"127.0.0.1:1812"}, []string{"127.0.0.1:1813"}, "")
			_, rest, _ := strings.Cut(zones, "secret: ")
			file, _, _ := strings.Cut(rest, ",")
			os.Remove(file)
			path := testConfig(t, zones)
			initState(t, path)
			if c.mode != 0 {
				if err := os.WriteFile(file, []byte(c.secret), c.mode); err != nil {
					t.Fatal(err)
				}
			}
			g, err := Start(t.Context(), Options{Config: path, Logger: slog.New(slog.DiscardHandler)})
			if err == nil {
				g.Close(t.Context())
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %q, want %q in it", err, c.want)
			}
		})
	}
}

// counting is a plane whose counts a test sets.
type counting struct {
	dataplane.Plane
	stats map[uint32]dataplane.Stats
}

func (p counting) Stats(spi uint32) (dataplane.Stats, bool) { s, ok := p.stats[spi]; return s, ok }

func TestASessionIsNotIdleBecauseItsKeysAreNew(t *testing.T) {
	now := time.Now()
	p := counting{stats: map[uint32]dataplane.Stats{
		1: {LastInbound: now.Add(-5 * time.Second), BytesIn: 7, BytesOut: 70, PacketsIn: 1, PacketsOut: 2},
		2: {BytesIn: 1, BytesOut: 10, PacketsIn: 3, PacketsOut: 4},
	}}
	g := &Gateway{State: &State{}, plane: p}
	l := &live{since: now.Add(-time.Hour), children: []uint32{1, 2}, account: &account{}}
	g.childGone(l, 1) // rekeyed: the old one goes, the new one is silent yet
	delete(p.stats, 1)
	if s := g.silence(l, now); s != 5*time.Second {
		t.Errorf("silent for %v, want 5s", s)
	}
	if u := g.used(l); u != (radius.Usage{InOctets: 8, OutOctets: 80, InPackets: 4, OutPackets: 6}) {
		t.Errorf("used %+v, want both Child SAs", u)
	}
}

// TestASecondLoginInTheSameIPsecPaysForItself: a client of an L2TP zone that logs
// in anew keeps its Child SA, and what it carried before is on another account.
func TestASecondLoginInTheSameIPsecPaysForItself(t *testing.T) {
	p := counting{stats: map[uint32]dataplane.Stats{1: {BytesIn: 700, BytesOut: 7000, PacketsIn: 10, PacketsOut: 20}}}
	g := &Gateway{State: &State{}, plane: p}
	l := &live{account: &account{}}
	l.carriedBy(1, true, p)
	p.stats[1] = dataplane.Stats{BytesIn: 705, BytesOut: 7050, PacketsIn: 11, PacketsOut: 22}
	p.stats[2] = dataplane.Stats{BytesIn: 1, BytesOut: 10, PacketsIn: 3, PacketsOut: 4}
	l.carriedBy(2, false, p) // a rekey
	want := radius.Usage{InOctets: 6, OutOctets: 60, InPackets: 4, OutPackets: 6}
	if u := g.used(l); u != want {
		t.Errorf("used %+v, want %+v", u, want)
	}
	g.childGone(l, 1)
	delete(p.stats, 1)
	if u := g.used(l); u != want {
		t.Errorf("used %+v after the rekey, want %+v", u, want)
	}
}

func TestDisconnectNeedsNoAccounting(t *testing.T) {
	o := newOrganisation(t, "ttls")
	listen := fmt.Sprintf("127.0.0.1:%d", labtest.FreePort(t, "udp"))
	g := newGateway(t, radiusZone(t, []string{o.Auth}, nil, dynamicOf(listen)))
	d := o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP)
	d.connect(t, g)
	eventually(t, time.Second, "it is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
	if out := radclient(t, listen, "disconnect", `User-Name = "plain"`, `Calling-Station-Id = "127.0.0.1"`, `Called-Station-Id = "127.0.0.1"`); !strings.Contains(out, "Disconnect-ACK") {
		t.Errorf("answered\n%s", out)
	}
	await[ike.Closed](t, d)
}

// A server knows a session by what its records say, wherever it has moved.
func TestAMovedSessionIsFoundByItsRecords(t *testing.T) {
	g := &Gateway{State: &State{log: slog.New(slog.DiscardHandler)}, realms: map[string]*servers{}}
	z := &zone{config: config.Zone{Name: "staff"}}
	z.config.RADIUS = "corp"
	g.realms["corp"] = &servers{}
	l := &live{
		zone: z, since: time.Now(), remote: netip.MustParseAddrPort("198.51.100.7:4500"), admission: &ike.Admission{Device: "radius:corp:bob"},
		terms: &terms{user: "corp:bob", granted: &granted{session: "s1", user: "bob"}, leased: ike.Leased{IPv4: netip.MustParseAddr("10.60.0.77")}},
	}
	g.table.add(l)
	g.openAccount(l, z, ike.Established{Remote: l.remote, Local: netip.MustParseAddrPort("192.0.2.1:4500")})
	l.remote = netip.MustParseAddrPort("203.0.113.9:4500")
	for what, m := range map[string]radius.Match{
		"its first address": {CallingStationID: "198.51.100.7"}, "ours": {CalledStationID: "192.0.2.1"}, "its session": {SessionID: "s1", UserName: "bob"},
		"its inner address": {IPv4: netip.MustParseAddr("10.60.0.77")},
	} {
		if !m.Fits(l.identityForRADIUS()) {
			t.Errorf("it is not found by %s", what)
		}
	}
}

func TestTimesThatAServerChanges(t *testing.T) {
	seconds := func(n int) *time.Duration { d := time.Duration(n) * time.Second; return &d }
	for what, c := range map[string]struct {
		told    time.Duration // AUTH_LIFETIME
		timeout *time.Duration
		want    radius.ErrorCause
		ends    time.Duration
	}{
		"an end":                            {0, seconds(600), 0, 10 * time.Minute},
		"no end any more":                   {0, seconds(0), 0, 0},
		"an end before the lifetime":        {time.Hour, seconds(600), 0, 10 * time.Minute},
		"an end after the lifetime is over": {time.Hour, seconds(7200), radius.CauseInvalidValue, 0},
		"no end, in spite of the lifetime":  {time.Hour, seconds(0), radius.CauseInvalidValue, 0},
	} {
		t.Run(what, func(t *testing.T) {
			g := &Gateway{State: &State{}}
			z := &zone{config: config.Zone{Name: "staff"}}
			z.config.RADIUS = "corp"
			l := &live{zone: z, since: time.Now(), admission: &ike.Admission{AuthLifetime: c.told}, terms: &terms{}, account: &account{}}
			g.table.add(l)
			if got := g.change("corp", &radius.Change{Update: radius.Update{SessionTimeout: c.timeout, IdleTimeout: seconds(60)}}); got != c.want {
				t.Errorf("answered %v, want %v", got, c.want)
			}
			if c.want != 0 && l.account.idle != 0 {
				t.Error("a request that was refused has changed something")
			}
			if ends := l.account.ends; c.ends == 0 != ends.IsZero() || !ends.IsZero() && ends.Sub(l.since) != c.ends {
				t.Errorf("it ends at %v of the session, want %v", ends.Sub(l.since), c.ends)
			}
		})
	}
}

func TestIPv6ThatAServerChooses(t *testing.T) {
	pool, err := newAddressPool(netip.Prefix{}, netip.MustParsePrefix("fd00:60::/64"), 0)
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{config: config.Zone{Name: "staff"}, pool: pool}
	address := func(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
	prefix := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	id := []byte{0, 0, 0, 0, 0, 0, 0, 0x77}
	for what, c := range map[string]struct {
		grant radius.Grant
		want  string // empty: refused
	}{
		"an address":                        {radius.Grant{IPv6: address("fd00:60::77")}, "fd00:60::77"},
		"a prefix of one address":           {radius.Grant{IPv6Prefix: prefix("fd00:60::77/128")}, "fd00:60::77"},
		"a prefix and an interface":         {radius.Grant{IPv6Prefix: prefix("fd00:60::/64"), InterfaceID: id}, "fd00:60::77"},
		"an address and its link's prefix":  {radius.Grant{IPv6: address("fd00:60::77"), IPv6Prefix: prefix("fd00:60::/64")}, "fd00:60::77"},
		"the same address twice":            {radius.Grant{IPv6: address("fd00:60::77"), IPv6Prefix: prefix("fd00:60::77/128")}, "fd00:60::77"},
		"a prefix for many addresses":       {radius.Grant{IPv6Prefix: prefix("fd00:60::/64")}, ""},
		"a prefix of another length":        {radius.Grant{IPv6Prefix: prefix("fd00:60::/56"), InterfaceID: id}, ""},
		"two addresses":                     {radius.Grant{IPv6: address("fd00:60::77"), IPv6Prefix: prefix("fd00:60::78/128")}, ""},
		"an address out of the pool":        {radius.Grant{IPv6Prefix: prefix("fd00:61::1/128")}, ""},
		"an interface without a prefix":     {radius.Grant{InterfaceID: id}, ""},
		"an address beside another network": {radius.Grant{IPv6: address("fd00:60::77"), IPv6Prefix: prefix("fd00:61::/64")}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			f, err := z.framed(&c.grant, z.zoneTerms())
			if c.want == "" {
				if err == nil {
					t.Errorf("given %v, want a refusal", f)
				}
				return
			}
			if err != nil || f.IPv6.String() != c.want {
				t.Errorf("given %v, %v, want %s", f, err, c.want)
			}
		})
	}
}

func TestWhyASessionEndsInAccounts(t *testing.T) {
	for what, c := range map[string]struct {
		reason ike.CloseReason
		live   live
		down   bool
		want   radius.TerminateCause
	}{
		"by its user":                   {ike.ClosedByPeer, live{}, false, radius.CauseUserRequest},
		"unheard of":                    {ike.ClosedTimeout, live{}, false, radius.CauseLostCarrier},
		"out of time":                   {ike.ClosedExpired, live{}, false, radius.CauseSessionTimeout},
		"by an administrator":           {ike.ClosedByUs, live{}, false, radius.CauseAdminReset},
		"for a newer one":               {ike.ClosedByUs, live{replaced: true}, false, radius.CauseNASRequest},
		"with the gateway":              {ike.ClosedByUs, live{}, true, radius.CauseNASReboot},
		"with the gateway, unanswered":  {ike.ClosedInternal, live{}, true, radius.CauseNASReboot},
		"by its user, in the last hour": {ike.ClosedByPeer, live{}, true, radius.CauseUserRequest},
		"in a panic":                    {ike.ClosedInternal, live{}, false, radius.CauseNASError},
	} {
		g := &Gateway{}
		g.closing.Store(c.down)
		if got := g.causeOf(&c.live, ike.Closed{Reason: c.reason}); got != c.want {
			t.Errorf("%s: cause %d, want %d", what, got, c.want)
		}
	}
}

// step gives a relay a packet of the peer, and waits for what follows.
func stepOf(c *relay, packet []byte) (step ike.EAPStep, err error) {
	done := make(chan struct{})
	c.Step(&ike.EAP{Packet: packet}, func(s ike.EAPStep, e error) { step, err = s, e; close(done) })
	<-done
	return step, err
}

// relayTo is a relay to a server, before its first packet.
func relayTo(t *testing.T, address string) (*Gateway, *relay) {
	t.Helper()
	g := newGateway(t, radiusZone(t, []string{address}, nil, ""))
	r := g.realm.Load()
	l := &login{g: g, r: r, local: r.order[0].identities[0], t: &ike.EAP{Remote: netip.MustParseAddrPort("198.51.100.7:500"), Local: netip.MustParseAddrPort("192.0.2.1:500")}}
	c := newRelay(l, r.order[0], g.realms["corp"])
	if s, err := stepOf(c, nil); err != nil || !slices.Equal(s.Packet, []byte{1, firstID, 0, 5, 1}) {
		t.Fatalf("it begins with %x, %v", s.Packet, err)
	}
	return g, c
}

// TestTheIPv6NetworkOfAPPPLinkIsTheServersToChoose: what it says of an address in
// there is the client's to decide.
func TestTheIPv6NetworkOfAPPPLinkIsTheServersToChoose(t *testing.T) {
	g := newGateway(t, strings.Replace(l2tpZones, "{ipv4: 10.62.0.0/24}", `{ipv4: 10.62.0.0/24, ipv6: "fd00:62::/56"}`, 1))
	z := g.realm.Load().zones["printers"]
	network, address := netip.MustParsePrefix("fd00:62:0:7::/64"), netip.MustParseAddr("fd00:62:0:7::1234")
	for what, c := range map[string]struct {
		grant radius.Grant
		want  string // empty: refused
	}{
		"a network":                 {radius.Grant{IPv6Prefix: []netip.Prefix{network}}, "fd00:62:0:7::"},
		"a network and interface":   {radius.Grant{IPv6Prefix: []netip.Prefix{network}, InterfaceID: []byte{0, 0, 0, 0, 0, 0, 0x12, 0x34}}, "fd00:62:0:7::"},
		"an address":                {radius.Grant{IPv6: []netip.Addr{address}}, "fd00:62:0:7::"},
		"two networks":              {radius.Grant{IPv6Prefix: []netip.Prefix{network, netip.MustParsePrefix("fd00:62:0:8::/64")}}, ""},
		"a network of another size": {radius.Grant{IPv6Prefix: []netip.Prefix{netip.MustParsePrefix("fd00:62:0:8::/63")}}, ""},
		"a network elsewhere":       {radius.Grant{IPv6Prefix: []netip.Prefix{netip.MustParsePrefix("fd00:63::/64")}}, ""},
	} {
		f, err := z.framed(&c.grant, z.zoneTerms())
		if (err == nil) != (c.want != "") || err == nil && f.IPv6.String() != c.want {
			t.Errorf("%s: %v, %v, want %q", what, f, err, c.want)
		}
	}
}

// TestATimeToProveItselfAnewEndsASessionOverPPP: nothing could ask the client for
// it in a session that lasts.
func TestATimeToProveItselfAnewEndsASessionOverPPP(t *testing.T) {
	g := newGateway(t, l2tpZones)
	for zone, want := range map[string][2]time.Duration{"staff": {time.Hour, 0}, "printers": {0, time.Hour}} {
		a := &ike.Admission{Value: &terms{}}
		c := &relay{l: &login{g: g}, login: new(aaa.Client).NewLogin(radius.LoginConfig{}), zone: g.realm.Load().zones[zone]}
		c.grant(a, &radius.Grant{UserName: "bob", SessionTimeout: time.Hour, Reauthenticate: true})
		if got := [2]time.Duration{a.AuthLifetime, a.Value.(*terms).granted.timeout}; got != want {
			t.Errorf("zone %s: AUTH_LIFETIME and the end of the session are %v, want %v", zone, got, want)
		}
	}
}

func TestAPacketOfAnotherConversationEndsIt(t *testing.T) {
	_, c := relayTo(t, silent(t))
	s, err := stepOf(c, []byte{2, firstID + 1, 0, 6, 1, 'x'})
	if err != nil || s.Failure == nil || !strings.Contains(s.Failure.Reason, "does not belong") || s.Packet[0] != 4 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAStepUnderWayOutlivesItsConversation(t *testing.T) {
	t.Parallel() // it waits out the whole plan
	_, c := relayTo(t, silent(t))
	done := make(chan ike.EAPStep, 1)
	c.Step(&ike.EAP{Packet: []byte{2, firstID, 0, 6, 1, 'x'}}, func(s ike.EAPStep, _ error) { done <- s })
	c.Close()
	if _, err := stepOf(c, []byte{2, firstID, 0, 6, 1, 'x'}); err == nil {
		t.Error("a step after Close")
	}
	select {
	case s := <-done:
		if s.Success != nil || s.Failure == nil {
			t.Errorf("%+v", s)
		}
	case <-time.After(30 * time.Second):
		t.Error("the step is never done")
	}
}

func TestAPanicInALoginIsThatLoginAlone(t *testing.T) {
	g, c := relayTo(t, silent(t))
	c.login = nil // what a fault of ours might look like
	s := c.answered(radius.Step{Outcome: radius.Rejected}, nil)
	if s.Failure == nil || !strings.Contains(s.Failure.Reason, "fault") || s.Success != nil {
		t.Errorf("%+v", s)
	}
	if st, err := g.Status(t.Context()); err != nil || !st.Running {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestTheRecordNamesTheServers: all of them were asked, each has its own
// trouble, and the client has not given up yet.
func TestTheRecordNamesTheServers(t *testing.T) {
	t.Parallel() // it waits out the whole plan
	o := newOrganisation(t, "ttls")
	forged := relayed(t, o.Auth, func(b []byte, _ int32) [][]byte { // the tool of CVE-2024-3596
		b = append(b, 33, 6, 1, 2, 3, 4)
		b[2], b[3] = byte(len(b)>>8), byte(len(b))
		return [][]byte{b}
	})
	quiet := silent(t)
	g := newGateway(t, radiusZone(t, []string{quiet, forged}, nil, ""))
	begun := time.Now()
	o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP).start(t, g)
	eventually(t, 30*time.Second, "there is a record", func() bool { return len(refusalsOf(t, g)) > 0 })
	if took := time.Since(begun); took > 28*time.Second {
		t.Errorf("it took %v", took)
	}
	reason := refusalsOf(t, g)[0].Reason
	for _, want := range []string{`"plain"`, quiet + ": check that it runs", forged + ": its answers are made with another secret, or by somebody else"} {
		if !strings.Contains(reason, want) {
			t.Errorf("the record is %q, want %q in it", reason, want)
		}
	}
	for i, s := range call[Status](t, g.Client(), "GET", "/v1/status", nil).RADIUS[0].Servers {
		if !s.Dead || s.Since.Before(begun) || s.Trouble == "" {
			t.Errorf("status of server %d: %+v", i, s)
		}
	}
}

// TestPEAPThroughFreeRADIUS has a certificate inside: FreeRADIUS does not bind a
// password to the tunnel, and our own peer insists on that.
func TestPEAPThroughFreeRADIUS(t *testing.T) {
	o := newOrganisation(t, "peap")
	g := newGateway(t, strings.Replace(radiusZone(t, []string{o.Auth}, nil, ""), "eap-ttls]", "peap]", 1))
	own := o.ca.Issue(t, labtest.Leaf{Name: "bob", ID: "bob", Key: labtest.P256})
	d := byPassword(t, g, "bob", goodPassword, eap.TypePEAP, eap.InnerEAPTLS)
	d.eap.Config.TLS.Verify = o.verify
	d.eap.Config.TLS.Certificates = []tls.Certificate{{Certificate: [][]byte{own.Chain[0].Raw}, PrivateKey: own.Key}}
	d.connect(t, g)
	eventually(t, time.Second, "one session is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
	if out := o.Output(); !strings.Contains(out, "EAP-Message") || !strings.Contains(out, "PEAP") {
		t.Error("the server has not spoken PEAP")
	}
}

// TestTheFirstServerIsUsedAgain: fail-over, and back. Its client looks for dead
// servers more often than the gateway's own would.
func TestTheFirstServerIsUsedAgain(t *testing.T) {
	first, second := newOrganisation(t, "ttls"), newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, []string{first.Auth, second.Auth}, nil, ""))
	s := g.realms["corp"]
	s.login.Close()
	list := []aaa.Server{{Address: first.Auth, Secret: secret.Bytes(labtest.RADIUSSecret), Status: true}, {Address: second.Auth, Secret: secret.Bytes(labtest.RADIUSSecret), Status: true}}
	var err error
	if s.login, err = aaa.Open(aaa.Config{Servers: list, Plan: loginPlan, Common: s.common(g.Config()), Watch: time.Second, Proofs: 1}); err != nil {
		t.Fatal(err)
	}
	g.realm.Store(g.realm.Load()) // so that workers see the new client
	first.Stop()
	second.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP).connect(t, g)
	dead := func() bool { return s.login.Status()[0].Dead }
	if !dead() {
		t.Error("the first is not found dead")
	}
	first.Start()
	eventually(t, 20*time.Second, "Status-Server has brought the first back", func() bool { return !dead() })
	before := len(second.Output())
	first.byRADIUS(t, g, "bob", goodPassword, eap.InnerPAP).connect(t, g)
	if strings.Contains(second.Output()[before:], "Received Access-Request") || !strings.Contains(first.Output(), "Received Access-Request") {
		t.Error("the second was asked though the first lives")
	}
}

// TestAccountsOverAKill: what was not told before kill -9 is told by the
// Accounting-On of the next start, under other session IDs.
func TestAccountsOverAKill(t *testing.T) {
	o := newOrganisation(t, "ttls")
	path := testConfig(t, radiusZone(t, nil, []string{o.Acct}, ""))
	initState(t, path)
	kill, c := spawn(t, path)
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "alice"})
	e := call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: "laptop", User: "alice"})
	cfg, _, _ := LoadConfig(path)
	target := &Gateway{State: &State{}}
	target.config.Store(cfg)
	laptop := newCredential(t, e.Key+e.Certificate, e.CA, e.Device.Identity)
	dial(t, laptop).connect(t, target)
	o.Detail("Acct-Status-Type = Start")
	kill()
	g := startGateway(t, path)
	dial(t, laptop).connect(t, g)
	var detail string
	eventually(t, 10*time.Second, "both sessions are told of", func() bool {
		detail = o.Detail("Acct-Status-Type = Start")
		return strings.Count(detail, "Acct-Status-Type = Start") == 2
	})
	if n := strings.Count(detail, "Acct-Status-Type = Accounting-On"); n != 2 {
		t.Errorf("%d times Accounting-On, want 2:\n%s", n, detail)
	}
	var ids []string
	for line := range strings.Lines(detail) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "Acct-Session-Id = "); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) < 2 {
		t.Errorf("the sessions have the IDs %q, want two", ids)
	}
	g.Close(context.Background())
	o.Detail("Acct-Terminate-Cause = NAS-Reboot")
	o.Detail("Acct-Status-Type = Accounting-Off")
}

func TestAccountsLeaveNothingBehind(t *testing.T) {
	o := newOrganisation(t, "ttls")
	path := testConfig(t, radiusZone(t, []string{o.Auth}, []string{o.Acct}, ""))
	initState(t, path)
	g := startGateway(t, path)
	d := o.byRADIUS(t, g, "bob", goodPassword, eap.InnerPAP)
	d.connect(t, g)
	d.close()
	eventually(t, 5*time.Second, "the session is gone", func() bool { return len(g.accounts.list()) == 0 })
	if err := g.Close(context.Background()); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(g.Config().Gateway.State, "accounting-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%v waits though the server has taken everything (%v)", left, err)
	}
}

// BenchmarkLookingAtAccounts is a second of keepAccounts with 100,000 sessions.
func BenchmarkLookingAtAccounts(b *testing.B) {
	g := &Gateway{State: &State{log: slog.New(slog.DiscardHandler)}, plane: &dataplane.Null{}}
	now := time.Now()
	for n := range 100_000 {
		l := &live{session: new(engine.Session), since: now, children: []uint32{uint32(n)}, account: &account{interim: time.Hour, idle: time.Hour, next: now.Add(time.Hour)}}
		g.accounts.add(l)
	}
	b.ResetTimer()
	for b.Loop() {
		for _, l := range g.accounts.list() {
			g.keepAccount(l, now)
		}
	}
}

// TestNoUpdateFollowsAStop: the loop may be at a session that ends meanwhile,
// and an update after the Stop opens it again in the server's books.
func TestNoUpdateFollowsAStop(t *testing.T) {
	o := newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, []string{o.Auth}, []string{o.Acct}, ""))
	d := o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP)
	s := d.start(t, g)
	await[ike.ChildUp](t, d)
	eventually(t, time.Second, "the session has an account", func() bool { return len(g.accounts.list()) == 1 })
	l := g.accounts.list()[0]
	g.table.update(func() { l.account.next = time.Now() })
	s.Do(ike.CloseSession{})
	o.Detail("Acct-Status-Type = Stop")
	g.keepAccount(l, time.Now())
	next := o.byRADIUS(t, g, "brief", goodPassword, eap.InnerPAP)
	next.start(t, g)
	if text := o.Detail(`User-Name = "brief"`); strings.LastIndex(text, "Interim-Update") > strings.LastIndex(text, "= Stop") {
		t.Errorf("an update came after the Stop:\n%s", text)
	}
}

// TestTheZonesMethodIsAskedFor: servers begin with a method of their own choice.
func TestTheZonesMethodIsAskedFor(t *testing.T) {
	o := newOrganisation(t, "tls")
	zones := strings.Replace(radiusZone(t, []string{o.Auth}, nil, ""), "[certificate, eap-tls, eap-ttls]", "[eap-ttls]", 1)
	g := newGateway(t, zones)
	o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP).connect(t, g)
}

// TestAServerGivesNobodysOwnAddress: a firewall knows its clients by them.
func TestAServerGivesNobodysOwnAddress(t *testing.T) {
	pool, err := newAddressPool(netip.MustParsePrefix("10.60.0.0/24"), netip.Prefix{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	pool.reserve([]InnerAddrs{{IPv4: netip.MustParseAddr("10.60.0.5")}})
	z := &zone{config: config.Zone{Name: "staff"}, pool: pool}
	admins := &terms{not: []config.Pool{{IPv4: netip.MustParsePrefix("10.60.0.16/28")}}}
	for address, ok := range map[string]bool{"10.60.0.4": true, "10.60.0.5": false, "10.60.0.17": false, "10.60.0.32": true} {
		g := &radius.Grant{Addressing: radius.AddressFixed, IPv4: netip.MustParseAddr(address)}
		if f, err := z.framed(g, admins); (err == nil) != ok {
			t.Errorf("%s: %v, %v", address, f, err)
		}
	}
}

// TestAServerFindsUsByTheAddressWeSaid in its accounts, though it asks another.
func TestAServerFindsUsByTheAddressWeSaid(t *testing.T) {
	o := newOrganisation(t, "ttls")
	listen := fmt.Sprintf("127.0.0.2:%d", labtest.FreePort(t, "udp"))
	path := testConfig(t, radiusZone(t, []string{o.Auth}, nil, dynamicOf(listen)))
	rewrite(t, path, "name: vpn.example.org", "name: 127.0.0.1")
	initState(t, path)
	startGateway(t, path)
	for address, want := range map[string]string{"127.0.0.1": "Session-Context-Not-Found", "127.0.0.2": "Session-Context-Not-Found", "192.0.2.1": "NAS-Identification-Mismatch"} {
		if out := radclient(t, listen, "disconnect", `User-Name = "nobody"`, "NAS-IP-Address = "+address); !strings.Contains(out, want) {
			t.Errorf("%s: answered\n%s", address, out)
		}
	}
}

// TestAReloadEndsWhatAServersWordHoldsNoMore: a login that is under way when its
// servers go, and a session whose group goes.
func TestAReloadEndsWhatAServersWordHoldsNoMore(t *testing.T) {
	o := newOrganisation(t, "ttls")
	t.Run("servers while a login is under way", func(t *testing.T) {
		slow := relayed(t, o.Auth, func(b []byte, n int32) [][]byte {
			if n == 0 {
				time.Sleep(time.Second)
			}
			return [][]byte{b}
		})
		g := newGateway(t, radiusZone(t, []string{slow}, nil, ""))
		d := o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP)
		d.start(t, g)
		eventually(t, time.Second, "under way", func() bool { return g.logins.Open() == 1 })
		rewrite(t, g.path, "    radius: corp\n", "")
		call[Reloaded](t, g.Client(), "POST", "/v1/reload", nil)
		await[ike.Closed](t, d)
		eventually(t, time.Second, "no session stays", func() bool { return len(sessionsOf(t, g)) == 0 })
	})
	t.Run("a group", func(t *testing.T) {
		g := newGateway(t, radiusZone(t, []string{o.Auth}, nil, ""))
		o.byRADIUS(t, g, "bob", goodPassword, eap.InnerPAP).connect(t, g)
		rewrite(t, g.path, "groups: {crew: {zone: staff, routes: [10.9.0.0/16]}}\n", "")
		if done := call[Reloaded](t, g.Client(), "POST", "/v1/reload", nil); done.Closed != 1 {
			t.Errorf("%d sessions were closed", done.Closed)
		}
	})
}
