package gateway

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/lab/labtest"
	"sallyport/pki"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
)

const radiusUsers = `
bob	Cleartext-Password := "correct horse battery"
	Framed-IP-Address = 10.60.0.77,
	Filter-Id = "crew",
	Class = 0x0102ff,
	Session-Timeout = 7200,
	Acct-Interim-Interval = 60,
	MS-Primary-DNS-Server = 10.0.0.53,
	Reply-Message = "welcome"

eve	Cleartext-Password := "correct horse battery"
	Filter-Id = "nobody"

far	Cleartext-Password := "correct horse battery"
	Framed-IP-Address = 10.99.0.1

brief	Cleartext-Password := "correct horse battery"
	Session-Timeout = 2

plain	Cleartext-Password := "correct horse battery"

DEFAULT	EAP-Type == EAP-TLS
`

// organisation is a RADIUS server and a CA of its own.
type organisation struct {
	*labtest.FreeRADIUS
	ca *labtest.Authority
}

func newOrganisation(t *testing.T, first string) *organisation {
	t.Helper()
	ca := labtest.NewAuthority(t, "Organisation")
	server := ca.Issue(t, labtest.Leaf{Name: "radius.example.org", ID: "radius.example.org", Key: labtest.P256})
	return &organisation{labtest.StartFreeRADIUS(t, labtest.FreeRADIUSConfig{CA: labtest.CertPEM(ca.Cert), Server: server.PEM(), Users: radiusUsers, First: first}), ca}
}

// radiusZone is a configuration whose logins some servers judge.
func radiusZone(t *testing.T, auth, acct []string, more string) string {
	t.Helper()
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(labtest.RADIUSSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := func(addresses []string) string {
		var items []string
		for _, a := range addresses {
			items = append(items, fmt.Sprintf("{address: %q, secret: %s, status: true}", a, secretFile))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprintf(`zones:
  staff:
    auth: [certificate, eap-tls, eap-ttls]
    radius: corp
    pool: {ipv4: 10.60.0.0/24, ipv6: "fd00:60::/64"}
    waivers: [{rule: PPP-017, until: %s, owner: alice, reason: FreeRADIUS}]
groups: {crew: {zone: staff, routes: [10.9.0.0/16]}}
radius:
  corp:
    servers: %s
    accounting: %s
    identifier: gw.example.org
%s`, time.Now().AddDate(0, 0, 2).Format(time.DateOnly), list(auth), list(acct), strings.ReplaceAll(more, "SECRET", secretFile))
}

// byRADIUS is a user of the organisation, who believes its server.
func (o *organisation) byRADIUS(t *testing.T, g *Gateway, user, password string, inner eap.Inner) *dialer {
	t.Helper()
	d := byPassword(t, g, user, password, eap.TypeTTLS, inner)
	d.eap.Config.TLS.Verify = o.verify
	return d
}

func (o *organisation) verify(chain [][]byte) (eap.Verified, error) {
	v, err := pki.NewVerifier(pki.Trust{Roots: certs(o.ca.Cert)})
	if err == nil {
		_, err = v.Verify(time.Now(), chain, pki.Server)
	}
	return eap.Verified{Identity: "radius.example.org"}, err
}

func TestFreeRADIUSJudgesLogins(t *testing.T) {
	o := newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, []string{o.Auth}, []string{o.Acct}, ""))
	for _, inner := range []eap.Inner{eap.InnerPAP, eap.InnerMSCHAPv2, eap.InnerEAPMSCHAPv2} {
		t.Run(inner.String(), func(t *testing.T) {
			d := o.byRADIUS(t, g, "bob", goodPassword, inner)
			d.start(t, g)
			leased := await[ike.Addresses](t, d).Leased
			child := await[ike.ChildUp](t, d).Child
			if leased.IPv4 != netip.MustParseAddr("10.60.0.77") || fmt.Sprint(leased.DNS) != "[10.0.0.53]" {
				t.Errorf("leased %+v, want what the server says", leased)
			}
			if ts := fmt.Sprint(child.TSRemote); !strings.Contains(ts, "10.9.0.0") {
				t.Errorf("may reach %s, want the group that Filter-Id names", ts)
			}
			eventually(t, time.Second, "one session is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
			if s := sessionsOf(t, g)[0]; s.Identity != "bob" || s.User != "corp:bob" || s.Device != "radius:corp:bob" {
				t.Errorf("listed as %+v", s)
			}
			d.close()
			eventually(t, 5*time.Second, "the session is gone", func() bool { return len(sessionsOf(t, g)) == 0 })
		})
	}
	// The account of a session, in the server's own file.
	detail := o.Detail("Acct-Status-Type = Stop")
	for _, want := range []string{
		"Acct-Status-Type = Accounting-On", "Acct-Status-Type = Start", `User-Name = "bob"`, "Framed-IP-Address = 10.60.0.77",
		"Class = 0x0102ff", "Acct-Authentic = RADIUS", `Calling-Station-Id = "127.0.0.1"`, `NAS-Identifier = "gw.example.org"`,
		"Acct-Terminate-Cause = User-Request", "Acct-Input-Octets = 0", "Acct-Session-Time",
	} {
		if !strings.Contains(detail, want) {
			t.Errorf("the account lacks %q:\n%s", want, detail)
		}
	}
	if n := g.logins.Open(); n != 0 {
		t.Errorf("%d EAP conversations are left over", n)
	}
}

func TestFreeRADIUSJudgesEAPTLS(t *testing.T) {
	o := newOrganisation(t, "tls")
	g := newGateway(t, radiusZone(t, []string{o.Auth}, nil, ""))
	own := o.ca.Issue(t, labtest.Leaf{Name: "carol", ID: "carol@example.org", Key: labtest.P256})
	d := o.byRADIUS(t, g, "carol", "", eap.InnerPAP)
	d.eap.Config.Offers = []eap.Offer{{Method: eap.TypeTLS}}
	d.eap.Config.TLS.Certificates = []tls.Certificate{{Certificate: [][]byte{own.Chain[0].Raw}, PrivateKey: own.Key}}
	d.connect(t, g)
	eventually(t, time.Second, "one session is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
}

func TestWhatARADIUSServerMayNotGrant(t *testing.T) {
	o := newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, []string{o.Auth}, nil, ""))
	for user, words := range map[string][]string{
		"eve":    {`Filter-Id "nobody" names no group`, "add a group"},
		"far":    {"10.99.0.1", "pool"},
		"nobody": {`rejected "nobody"`},
	} {
		t.Run(user, func(t *testing.T) { wantRefusal(t, g, o.byRADIUS(t, g, user, goodPassword, eap.InnerPAP), words...) })
	}
	t.Run("wrong password", func(t *testing.T) {
		wantRefusal(t, g, o.byRADIUS(t, g, "bob", "wrong password", eap.InnerPAP), `rejected "bob"`)
	})
	t.Run("a method that the zone does not take", func(t *testing.T) {
		// The server begins with PEAP, which the gateway declines, and goes on with
		// EAP-TLS, which the client declines.
		p := newOrganisation(t, "peap")
		g := newGateway(t, strings.Replace(radiusZone(t, []string{p.Auth}, nil, ""), "eap-tls, eap-ttls]", "eap-tls]", 1))
		wantRefusal(t, g, p.byRADIUS(t, g, "bob", goodPassword, eap.InnerPAP), "want EAP-TTLS", "does not take")
	})
}

func TestARADIUSSessionEndsWhenItsTimeIsUp(t *testing.T) {
	o := newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, []string{o.Auth}, []string{o.Acct}, ""))
	d := o.byRADIUS(t, g, "brief", goodPassword, eap.InnerPAP)
	d.connect(t, g)
	await[ike.Closed](t, d)
	if detail := o.Detail("Acct-Status-Type = Stop"); !strings.Contains(detail, "Acct-Terminate-Cause = Session-Timeout") {
		t.Errorf("the account says\n%s", detail)
	}
}

// radclient sends a request of RFC 5176 by FreeRADIUS' own tool.
func radclient(t *testing.T, to, command string, attributes ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "radclient", "-x", "-r", "1", "-t", "3", to, command, labtest.RADIUSSecret)
	attributes = append(attributes, fmt.Sprintf("Event-Timestamp = %d", time.Now().Unix()))
	cmd.Stdin = strings.NewReader(strings.Join(attributes, "\n"))
	out, _ := cmd.CombinedOutput() // a NAK is a failure to radclient
	return string(out)
}

func TestARADIUSServerDisconnectsAndChangesLiveSessions(t *testing.T) {
	o := newOrganisation(t, "ttls")
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := c.LocalAddr().String()
	c.Close()
	g := newGateway(t, radiusZone(t, []string{o.Auth}, []string{o.Acct}, fmt.Sprintf("    dynamic: {listen: %q, from: [{address: 127.0.0.1, secret: SECRET}]}\n", listen)))
	plain := o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP)
	plain.connect(t, g)
	bob := o.byRADIUS(t, g, "bob", goodPassword, eap.InnerPAP)
	bob.connect(t, g)
	eventually(t, time.Second, "both are listed", func() bool { return len(sessionsOf(t, g)) == 2 })

	if out := radclient(t, listen, "disconnect", `User-Name = "nobody"`); !strings.Contains(out, "Session-Context-Not-Found") {
		t.Errorf("of nobody: %s", out)
	}
	if out := radclient(t, listen, "coa", `User-Name = "plain"`, `Filter-Id = "crew"`); !strings.Contains(out, "CoA-NAK") {
		t.Errorf("another group for a live session: %s", out)
	}
	if out := radclient(t, listen, "disconnect", "Framed-IP-Address = 10.60.0.77"); !strings.Contains(out, "Disconnect-ACK") {
		t.Errorf("by address: %s", out)
	}
	await[ike.Closed](t, bob)
	if detail := o.Detail("Acct-Terminate-Cause = Admin-Reset"); !strings.Contains(detail, "Acct-Status-Type = Stop") {
		t.Errorf("the account says\n%s", detail)
	}
	if out := radclient(t, listen, "coa", `User-Name = "plain"`, "Session-Timeout = 1"); !strings.Contains(out, "CoA-ACK") {
		t.Errorf("a shorter time: %s", out)
	}
	await[ike.Closed](t, plain)
}

// relayed passes datagrams between the gateway and a server, as a test wants.
func relayed(t *testing.T, to string, pass func(answer []byte, n int32) [][]byte) string {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close(); back.Close() })
	var client atomic.Value
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := front.ReadFrom(b)
			if err != nil {
				return
			}
			client.Store(from)
			back.Write(b[:n])
		}
	}()
	go func() {
		b := make([]byte, 4096)
		for i := int32(0); ; i++ {
			n, err := back.Read(b)
			if err != nil {
				return
			}
			for _, answer := range pass(bytes.Clone(b[:n]), i) {
				front.WriteTo(answer, client.Load().(net.Addr))
			}
		}
	}()
	return front.LocalAddr().String()
}

func TestNobodyComesInByForgedAnswers(t *testing.T) {
	o := newOrganisation(t, "ttls")
	var first []byte
	for what, pass := range map[string]func([]byte, int32) [][]byte{
		"a wrong authenticator":    func(b []byte, _ int32) [][]byte { b[4] ^= 1; return [][]byte{b} },
		"an answer made to accept": func(b []byte, _ int32) [][]byte { b[0] = 2; return [][]byte{b} },
		"no Message-Authenticator": func(b []byte, _ int32) [][]byte { return [][]byte{withoutAttribute(b, 80)} },
		"the first answer repeated": func(b []byte, n int32) [][]byte {
			if n == 0 {
				first = b
			}
			return [][]byte{first}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel() // each waits out the whole plan
			g := newGateway(t, radiusZone(t, []string{relayed(t, o.Auth, pass)}, nil, ""))
			d := o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP)
			d.start(t, g)
			eventually(t, 40*time.Second, "there is a record", func() bool { return len(refusalsOf(t, g)) > 0 })
			if r := refusalsOf(t, g)[0]; !strings.Contains(r.Reason, "no server answers") {
				t.Errorf("the record %+v", r)
			}
			if n := len(sessionsOf(t, g)); n != 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// withoutAttribute takes an attribute out of a packet.
func withoutAttribute(b []byte, kind byte) []byte {
	out := bytes.Clone(b[:20])
	for i := 20; i < len(b); i += int(b[i+1]) {
		if b[i] != kind {
			out = append(out, b[i:i+int(b[i+1])]...)
		}
	}
	out[2], out[3] = byte(len(out)>>8), byte(len(out))
	return out
}

func TestLoginsGoToTheServerThatAnswers(t *testing.T) {
	o := newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, []string{silent(t), o.Auth}, nil, ""))
	o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP).connect(t, g)
	begun := time.Now()
	o.byRADIUS(t, g, "bob", goodPassword, eap.InnerPAP).connect(t, g)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the second login took %v: the dead server was asked first again", took)
	}
	st := call[Status](t, g.Client(), "GET", "/v1/status", nil)
	if len(st.RADIUS) != 1 || len(st.RADIUS[0].Servers) != 2 || !st.RADIUS[0].Servers[0].Dead || st.RADIUS[0].Servers[1].Dead {
		t.Errorf("status %+v", st.RADIUS)
	}
}

// silent is the address of a server that never answers.
func silent(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

func TestServersThatHangHoldUpNobodyElse(t *testing.T) {
	o := newOrganisation(t, "ttls")
	o.Stop()
	g := newGateway(t, radiusZone(t, []string{silent(t)}, nil, ""))
	for range 20 {
		o.byRADIUS(t, g, "bob", goodPassword, eap.InnerPAP).start(t, g)
	}
	eventually(t, 10*time.Second, "20 logins wait", func() bool { return g.logins.Open() == 20 })
	begun := time.Now()
	dial(t, enrol(t, g, "laptop", "")).connect(t, g)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("a login by certificate took %v beside them", took)
	}
}

func TestAccountingWaitsForItsServer(t *testing.T) {
	o := newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, nil, []string{o.Acct}, ""))
	o.Stop()
	dial(t, enrol(t, g, "laptop", "")).connect(t, g) // of our own users too
	o.Start()
	if detail := o.Detail("Acct-Status-Type = Start"); !strings.Contains(detail, "Acct-Authentic = Local") || !strings.Contains(detail, `User-Name = "alice"`) {
		t.Errorf("the account says\n%s", detail)
	}
}

func TestASlowServerIsWaitedFor(t *testing.T) {
	o := newOrganisation(t, "ttls")
	slow := relayed(t, o.Auth, func(b []byte, n int32) [][]byte {
		if n == 0 {
			time.Sleep(3 * time.Second) // longer than the first wait of the plan: the request comes twice
		}
		return [][]byte{b}
	})
	g := newGateway(t, radiusZone(t, []string{slow}, nil, ""))
	o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP).connect(t, g)
}

func TestServersThatAReloadBringsNeedARestart(t *testing.T) {
	g := newGateway(t, "zones: {staff: {auth: [eap-ttls]}}\n")
	addUser(t, g, NewUser{Name: "bob", Password: goodPassword})
	zones := radiusZone(t, []string{"127.0.0.1:1"}, nil, "")
	rewrite(t, g.path, "zones: {staff: {auth: [eap-ttls]}}\n", zones)
	call[Reloaded](t, g.Client(), "POST", "/v1/reload", nil)
	// Not by our own passwords either: the zone says who judges.
	wantRefusal(t, g, byPassword(t, g, "bob", goodPassword, eap.TypeTTLS, eap.InnerPAP), "restart the gateway")
}

func TestUpdatesAreToldInTime(t *testing.T) {
	o := newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, []string{o.Auth}, []string{o.Acct}, ""))
	o.byRADIUS(t, g, "bob", goodPassword, eap.InnerPAP).connect(t, g) // the server says every minute
	var all []*live
	eventually(t, time.Second, "the session has an account", func() bool { all = g.accounts.list(); return len(all) == 1 })
	g.keepAccount(all[0], all[0].since.Add(50*time.Second)) // up to six seconds early, and not earlier
	g.keepAccount(all[0], all[0].since.Add(61*time.Second))
	detail := o.Detail("Acct-Status-Type = Interim-Update")
	if n := strings.Count(detail, "Interim-Update"); n != 1 || !strings.Contains(detail, "Acct-Session-Time = 61") {
		t.Errorf("%d updates:\n%s", n, detail)
	}
}

func TestSessionsEndWithTheServersThatLetThemIn(t *testing.T) {
	o := newOrganisation(t, "ttls")
	g := newGateway(t, radiusZone(t, []string{o.Auth}, nil, ""))
	d := o.byRADIUS(t, g, "plain", goodPassword, eap.InnerPAP)
	d.connect(t, g)
	rewrite(t, g.path, "    radius: corp\n", "")
	if done := call[Reloaded](t, g.Client(), "POST", "/v1/reload", nil); done.Closed != 1 {
		t.Errorf("reloaded with %+v", done)
	}
	await[ike.Closed](t, d)
}
