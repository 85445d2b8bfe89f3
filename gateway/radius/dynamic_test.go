package radius

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
	"sallyport/protocol/radius"
)

// table is sessions as a gateway has them.
type table struct {
	mu       sync.Mutex
	sessions []radius.SessionIdentity
	changes  []*radius.Change
}

func (s *table) handle(c *radius.Change) radius.ErrorCause {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []radius.SessionIdentity
	hits := 0
	for _, x := range s.sessions {
		if c.Match.Fits(&x) {
			hits++
			if c.Disconnect {
				continue
			}
		}
		left = append(left, x)
	}
	if hits == 0 {
		return radius.CauseSessionNotFound
	}
	s.sessions = left
	s.changes = append(s.changes, c)
	return 0
}

func (s *table) left() (sessions int, changes []*radius.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions), s.changes
}

func serveDynamic(t *testing.T, change func(*DynamicConfig)) (*Dynamic, *table) {
	t.Helper()
	s := &table{sessions: []radius.SessionIdentity{
		{UserName: "alice", SessionID: "s-1", IPv4: netip.MustParseAddr("10.0.0.1"), IPv6: []netip.Addr{netip.MustParseAddr("2001:db8::1")}},
		{UserName: "alice", SessionID: "s-2", IPv4: netip.MustParseAddr("10.0.0.2")},
		{UserName: "bob", SessionID: "s-3", IPv4: netip.MustParseAddr("10.0.0.3")},
	}}
	cfg := DynamicConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		Handle: s.handle,
		DynamicConfig: radius.DynamicConfig{
			Peers:      []radius.DynamicPeer{{From: netip.MustParsePrefix("127.0.0.0/8"), Secret: secret.Bytes(sharedSecret)}},
			Identifier: "gw.example.org", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		},
	}
	if change != nil {
		change(&cfg)
	}
	d, err := ListenDynamic(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, s
}

// radclient sends a request by FreeRADIUS' own tool.
func radclient(t *testing.T, d *Dynamic, command, sharedSecret string, attributes ...string) string {
	t.Helper()
	return runRadclient(t, d, "10", command, sharedSecret, attributes)
}

// unanswered is radclient with less patience.
func unanswered(t *testing.T, d *Dynamic, command, sharedSecret string, attributes ...string) string {
	t.Helper()
	return runRadclient(t, d, "0.3", command, sharedSecret, attributes)
}

func runRadclient(t *testing.T, d *Dynamic, patience, command, sharedSecret string, attributes []string) string {
	t.Helper()
	labtest.Need(t, "radclient")
	cmd := exec.CommandContext(t.Context(), "radclient", "-x", "-r", "1", "-t", patience, d.Addr().String(), command, sharedSecret)
	cmd.Stdin = strings.NewReader(strings.Join(attributes, ",") + "\n")
	out, _ := cmd.CombinedOutput() // its status is that of the answer
	return string(out)
}

func stamp(age time.Duration) string {
	return fmt.Sprintf("Event-Timestamp = %d", time.Now().Add(-age).Unix())
}

func TestRadclientDisconnects(t *testing.T) {
	d, s := serveDynamic(t, nil)
	out := radclient(t, d, "disconnect", sharedSecret, `User-Name = "alice"`, `Acct-Session-Id = "s-1"`, `NAS-Identifier = "gw.example.org"`, "NAS-IP-Address = 192.0.2.1", stamp(0))
	if n, changes := s.left(); !strings.Contains(out, "Received Disconnect-ACK") || n != 2 || len(changes) != 1 {
		t.Errorf("%d sessions are left\n%s", n, out)
	}
	out = radclient(t, d, "disconnect", sharedSecret, `User-Name = "alice"`, `Acct-Session-Id = "s-1"`, stamp(0))
	if !strings.Contains(out, "Received Disconnect-NAK") || !strings.Contains(out, "Error-Cause = Session-Context-Not-Found") {
		t.Errorf("the second time:\n%s", out)
	}
	// By name it ends all of alice's sessions, by address one of bob's.
	out = radclient(t, d, "disconnect", sharedSecret, "Framed-IP-Address = 10.0.0.3", stamp(0))
	if n, _ := s.left(); !strings.Contains(out, "Received Disconnect-ACK") || n != 1 {
		t.Errorf("by address: %d sessions are left\n%s", n, out)
	}
}

func TestRadclientChanges(t *testing.T) {
	d, s := serveDynamic(t, nil)
	out := radclient(t, d, "coa", sharedSecret, `User-Name = "alice"`, "Session-Timeout = 600", "Idle-Timeout = 60", "Acct-Interim-Interval = 300", `Filter-Id = "guests"`, "Class = 0x07", "Message-Authenticator = 0x00", stamp(0))
	n, changes := s.left()
	if !strings.Contains(out, "Received CoA-ACK") || n != 3 || len(changes) != 1 {
		t.Fatalf("%d changes\n%s", len(changes), out)
	}
	u := changes[0].Update
	if *u.SessionTimeout != 10*time.Minute || *u.IdleTimeout != time.Minute || *u.Interim != 5*time.Minute || len(u.FilterIDs) != 1 || u.FilterIDs[0] != "guests" || !bytes.Equal(u.Class[0], []byte{7}) {
		t.Errorf("%+v", u)
	}
}

func TestRefusalsNameTheirCause(t *testing.T) {
	d, s := serveDynamic(t, nil)
	for _, c := range []struct {
		command    string
		attributes []string
		want       string
	}{
		{"disconnect", []string{`NAS-Identifier = "gw.example.org"`}, "Missing-Attribute"},
		{"disconnect", []string{`User-Name = "alice"`, `NAS-Identifier = "other"`}, "NAS-Identification-Mismatch"},
		{"disconnect", []string{`User-Name = "alice"`, "NAS-IP-Address = 192.0.2.2"}, "NAS-Identification-Mismatch"},
		{"disconnect", []string{`User-Name = "alice"`, "Session-Timeout = 1"}, "Unsupported-Attribute"},
		{"disconnect", []string{`User-Name = "carol"`}, "Session-Context-Not-Found"},
		{"coa", []string{`User-Name = "alice"`}, "Missing-Attribute"},
		{"coa", []string{`User-Name = "alice"`, "Service-Type = Authorize-Only", "State = 0x01"}, "Unsupported-Service"},
		{"coa", []string{`User-Name = "alice"`, "Framed-MTU = 1200"}, "Unsupported-Attribute"},
		{"coa", []string{`User-Name = "alice"`, "Session-Timeout = 5", "Cisco-AVPair = \"x\""}, "Unsupported-Attribute"},
		{"coa", []string{`User-Name = "alice"`, "Session-Timeout = 5", "Session-Timeout = 6"}, "Invalid-Request"},
	} {
		out := radclient(t, d, c.command, sharedSecret, append(c.attributes, stamp(0))...)
		if !strings.Contains(out, "-NAK") || !strings.Contains(out, "Error-Cause = "+c.want) {
			t.Errorf("%s %q, want %s:\n%s", c.command, c.attributes, c.want, out)
		}
	}
	if n, changes := s.left(); n != 3 || len(changes) != 0 {
		t.Errorf("%d sessions are left, %d changes were made", n, len(changes))
	}
}

func TestDynamicRequestsOfStrangersAreDropped(t *testing.T) {
	d, s := serveDynamic(t, nil)
	for _, c := range []struct {
		name string
		out  string
		want radius.Drop
	}{
		{"another secret", unanswered(t, d, "disconnect", "another secret, equally long", `User-Name = "alice"`, stamp(0)), radius.DropAuthenticator},
		{"an old request", unanswered(t, d, "disconnect", sharedSecret, `User-Name = "alice"`, stamp(10*time.Minute)), radius.DropStale},
		{"one of the future", unanswered(t, d, "disconnect", sharedSecret, `User-Name = "alice"`, stamp(-10*time.Minute)), radius.DropStale},
		{"one of no time", unanswered(t, d, "disconnect", sharedSecret, `User-Name = "alice"`), radius.DropStale},
	} {
		if !strings.Contains(c.out, "No reply") || d.Drops()[c.want] == 0 {
			t.Errorf("%s: %v\n%s", c.name, d.Drops(), c.out)
		}
	}
	if n, _ := s.left(); n != 3 {
		t.Errorf("%d sessions are left", n)
	}
	elsewhere, _ := serveDynamic(t, func(c *DynamicConfig) { c.Peers[0].From = netip.MustParsePrefix("192.0.2.0/24") })
	if out := unanswered(t, elsewhere, "disconnect", sharedSecret, `User-Name = "alice"`, stamp(0)); !strings.Contains(out, "No reply") || elsewhere.Drops()[radius.DropSource] == 0 {
		t.Errorf("from elsewhere: %v\n%s", elsewhere.Drops(), out)
	}
	lax, s := serveDynamic(t, func(c *DynamicConfig) { c.WithoutTimestamp = true })
	if out := radclient(t, lax, "disconnect", sharedSecret, `User-Name = "alice"`); !strings.Contains(out, "Disconnect-ACK") {
		t.Errorf("without timestamps, when allowed:\n%s", out)
	} else if n, _ := s.left(); n != 1 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestAHandlerThatPanicsRefuses(t *testing.T) {
	var log labtest.Transcript
	d, _ := serveDynamic(t, func(c *DynamicConfig) {
		c.Logger = logTo(&log)
		c.Handle = func(*radius.Change) radius.ErrorCause { panic("at the disco") }
	})
	for range 2 {
		out := radclient(t, d, "disconnect", sharedSecret, `User-Name = "alice"`, stamp(0))
		if !strings.Contains(out, "Error-Cause = Resources-Unavailable") || !strings.Contains(log.String(), "at the disco") {
			t.Errorf("%s\n%s", out, log.String())
		}
	}
}

func TestRubbishToTheDynamicPort(t *testing.T) {
	d, s := serveDynamic(t, nil)
	conn, err := net.Dial("udp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, b := range [][]byte{{}, {40}, bytes.Repeat([]byte{40}, 20), bytes.Repeat([]byte{0xff}, 4097), make([]byte, 60)} {
		conn.Write(b)
	}
	out := radclient(t, d, "disconnect", sharedSecret, `User-Name = "bob"`, stamp(0))
	if n, _ := s.left(); !strings.Contains(out, "Disconnect-ACK") || n != 2 || d.Drops()[radius.DropMalformed] < 3 {
		t.Errorf("%v\n%s", d.Drops(), out)
	}
}

func TestListenersNeedSecretsAndPeers(t *testing.T) {
	handle := func(*radius.Change) radius.ErrorCause { return 0 }
	listen := netip.MustParseAddrPort("127.0.0.1:0")
	anyone := netip.MustParsePrefix("0.0.0.0/0")
	for name, c := range map[string]DynamicConfig{
		"nobody":       {Listen: listen, Handle: handle},
		"short secret": {Listen: listen, Handle: handle, DynamicConfig: radius.DynamicConfig{Peers: []radius.DynamicPeer{{From: anyone, Secret: secret.Bytes("short")}}}},
		"no handler":   {Listen: listen, DynamicConfig: radius.DynamicConfig{Peers: []radius.DynamicPeer{{From: anyone, Secret: secret.Bytes(sharedSecret)}}}},
		"no address":   {Listen: netip.MustParseAddrPort("192.0.2.77:0"), Handle: handle, DynamicConfig: radius.DynamicConfig{Peers: []radius.DynamicPeer{{From: anyone, Secret: secret.Bytes(sharedSecret)}}}},
	} {
		if d, err := ListenDynamic(c); err == nil {
			d.Close()
			t.Errorf("%s: it listens", name)
		}
	}
}
