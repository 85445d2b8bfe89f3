package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/internal/secret"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
	"sallyport/store"
)

const (
	pskZone   = "zones: {staff: {auth: [certificate, psk]}}\n"
	strongKey = "vK3zq8Rm1XwYt6LbNc9DgHf2" // 24 random characters
)

// enrolPSK adds a device with a pre-shared key and returns what it got.
func enrolPSK(t *testing.T, g *Gateway, n NewDevice) credential {
	t.Helper()
	c := g.Client()
	if _, ok := g.registry.User("alice"); !ok {
		call[User](t, c, "POST", "/v1/users", NewUser{Name: "alice"})
	}
	n.User, n.PSK = "alice", true
	e := call[Enrolled](t, c, "POST", "/v1/devices", n)
	if e.Device.Key != "psk" || e.Device.Serial != "" || e.PKCS12 != nil || e.Key != "" || e.Certificate != "" || len(e.PSK) < enoughOctets {
		t.Fatalf("enrolled as %+v", e)
	}
	me := identityOf(e.Device.Identity)
	me.Responder = false
	return credential{identity: &ike.Identity{ID: me, Key: "k"}, psk: secret.Bytes(e.PSK)}
}

func TestAGeneratedKeyHas160Bits(t *testing.T) {
	g := newGateway(t, pskZone)
	seen := map[string]bool{}
	for _, name := range []string{"one", "two", "three"} {
		key := string(enrolPSK(t, g, NewDevice{Name: name}).psk)
		if len(key) != 32 || strings.Trim(key, "abcdefghijkmnpqrstuvwxyz23456789") != "" || seen[key] {
			t.Errorf("the key %q", key)
		}
		seen[key] = true
	}
}

func TestADeviceComesInByItsPreSharedKey(t *testing.T) {
	for what, id := range map[string]ikemsg.ID{
		"its identity as an e-mail address": {Kind: ikemsg.IDRFC822Addr, Data: []byte("router@alice")},
		"its identity as an FQDN":           {Kind: ikemsg.IDFQDN, Data: []byte("router@alice")},
		"its identity as a KEY_ID":          {Kind: ikemsg.IDKeyID, Data: []byte("router@alice")},
		"its plain name as a KEY_ID":        {Kind: ikemsg.IDKeyID, Data: []byte("router")},
		"its plain name as an FQDN":         {Kind: ikemsg.IDFQDN, Data: []byte("Router")},
	} {
		t.Run(what, func(t *testing.T) {
			g := newGateway(t, pskZone)
			d := dial(t, enrolPSK(t, g, NewDevice{Name: "router", Address: netip.MustParsePrefix("127.0.0.0/8")}))
			d.identity.ID = id
			d.connect(t, g)
			eventually(t, time.Second, "one session is listed", func() bool { return len(sessionsOf(t, g)) == 1 })
			if s := sessionsOf(t, g)[0]; s.Device != "router" || s.Identity != "router@alice" || s.User != "alice" {
				t.Errorf("listed as %+v", s)
			}
			done := call[Revoked](t, g.Client(), http.MethodPost, "/v1/devices/router/revoke", Revocation{Reason: "sold"})
			if done.Cut != 1 {
				t.Errorf("%d sessions cut", done.Cut)
			}
			if c := await[ike.Closed](t, d); c.Reason != ike.ClosedByPeer {
				t.Errorf("closed by %v", c)
			}
			if page, err := g.store.Get(t.Context(), store.Prefix("/psk/")); err != nil || len(page.KVs) != 0 {
				t.Errorf("%d keys are left in the store, %v", len(page.KVs), err)
			}
		})
	}
}

func TestAPreSharedKeyIsRefusedWithAReason(t *testing.T) {
	for what, c := range map[string]struct {
		want  string
		spoil func(*testing.T, *Gateway, *dialer)
	}{
		"a wrong key":                {"not made with the pre-shared key", func(_ *testing.T, _ *Gateway, d *dialer) { d.psk = secret.Bytes(strongKey) }},
		"the key of another device":  {"not made with the pre-shared key", func(t *testing.T, g *Gateway, d *dialer) { d.psk = enrolPSK(t, g, NewDevice{Name: "other"}).psk }},
		"an unknown identity":        {`calls itself "stranger"`, func(_ *testing.T, _ *Gateway, d *dialer) { d.identity.ID.Data = []byte("stranger") }},
		"the device of another user": {"no device is called that", func(_ *testing.T, _ *Gateway, d *dialer) { d.identity.ID.Data = []byte("router@bob") }},
		"an address for a name": {"no device is called that", func(_ *testing.T, _ *Gateway, d *dialer) {
			d.identity.ID = ikemsg.ID{Kind: ikemsg.IDIPv4Addr, Data: []byte{192, 168, 1, 10}}
		}},
		"a device with a certificate": {"has a certificate", func(t *testing.T, g *Gateway, d *dialer) {
			enrol(t, g, "laptop", "")
			d.identity.ID.Data = []byte("laptop@alice")
		}},
		"a revoked device": {"was revoked", func(t *testing.T, g *Gateway, _ *dialer) {
			call[Revoked](t, g.Client(), http.MethodPost, "/v1/devices/router/revoke", Revocation{})
		}},
		"a revoked user": {"was revoked", func(t *testing.T, g *Gateway, _ *dialer) {
			call[Revoked](t, g.Client(), http.MethodPost, "/v1/users/alice/revoke", Revocation{})
		}},
		"another gateway's name": {"asked for the gateway", func(_ *testing.T, _ *Gateway, d *dialer) { d.want = "other.example.org" }},
		"a zone that takes keys no more": {"does not take psk", func(t *testing.T, g *Gateway, _ *dialer) {
			rewrite(t, g.path, ", psk]", "]")
			call[Reloaded](t, g.Client(), http.MethodPost, "/v1/reload", nil)
		}},
		"another address than its own": {"may come from 192.0.2.0/24 only", func(t *testing.T, g *Gateway, d *dialer) {
			bound := enrolPSK(t, g, NewDevice{Name: "bound", Address: netip.MustParsePrefix("192.0.2.1/24")})
			d.identity, d.psk = bound.identity, bound.psk
		}},
	} {
		t.Run(what, func(t *testing.T) {
			g := newGateway(t, pskZone)
			d := dial(t, enrolPSK(t, g, NewDevice{Name: "router"}))
			c.spoil(t, g, d)
			d.start(t, g)
			if r := await[ike.Refused](t, d).Record; r.Notify != ikemsg.NotifyAuthenticationFailed || !r.ByPeer {
				t.Errorf("the client's record %+v", r)
			}
			eventually(t, 5*time.Second, "the gateway has a record", func() bool { st, _ := g.Status(context.Background()); return len(st.Refusals) > 0 })
			st, _ := g.Status(t.Context())
			if r := st.Refusals[0]; !strings.Contains(r.Reason, c.want) || r.Fix == "" {
				t.Errorf("the gateway's reason is %q and its fix %q, want %q", r.Reason, r.Fix, c.want)
			}
			if n := len(sessionsOf(t, g)); n != 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

func TestASignatureIsRefusedWhereOnlyKeysAreTaken(t *testing.T) {
	g := newGateway(t, "zones: {staff: {auth: [psk]}}\n")
	d := dial(t, enrol(t, g, "laptop", ""))
	d.start(t, g)
	await[ike.Refused](t, d)
	eventually(t, 5*time.Second, "the gateway says why", func() bool {
		st, _ := g.Status(context.Background())
		return len(st.Refusals) > 0 && strings.Contains(st.Refusals[0].Reason, "does not take certificate")
	})
}

// task is an Authenticate job with the key of nobody.
func task(name string) *ike.Authenticate {
	return &ike.Authenticate{
		PeerID: ikemsg.ID{Kind: ikemsg.IDKeyID, Data: []byte(name)}, Method: 2, AuthData: make([]byte, 32), Octets: make([]byte, 600),
		Suite: suite.IKE{PRF: suite.Transform{Type: suite.PRF, ID: 5}}, Remote: netip.MustParseAddrPort("192.0.2.1:500"),
	}
}

// TestTheTimeOfARefusalTellsNobodyWhoExists takes the least of many tries,
// which a busy machine does not change.
func TestTheTimeOfARefusalTellsNobodyWhoExists(t *testing.T) {
	g := newGateway(t, pskZone)
	for _, name := range []string{"router", "lost"} {
		enrolPSK(t, g, NewDevice{Name: name})
	}
	call[Revoked](t, g.Client(), http.MethodPost, "/v1/devices/lost/revoke", Revocation{})
	least := map[string]time.Duration{"router": time.Hour, "lost": time.Hour, "stranger": time.Hour}
	for range 3000 {
		for name := range least {
			start := time.Now()
			if _, err := g.Authenticate(task(name)); err == nil {
				t.Fatal("let in")
			}
			least[name] = min(least[name], time.Since(start))
		}
	}
	t.Log(least)
	for name, took := range least {
		if took > least["router"]*3/2 || took < least["router"]*2/3 {
			t.Errorf("refusing %q takes %v, and a wrong key %v", name, took, least["router"])
		}
	}
}

func TestAKeyIsShownOnce(t *testing.T) {
	path := testConfig(t, pskZone)
	initState(t, path)
	var log bytes.Buffer
	g, err := Start(t.Context(), Options{Config: path, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	cred := enrolPSK(t, g, NewDevice{Name: "router", SharedKey: strongKey})
	d := dial(t, cred)
	d.connect(t, g)
	for _, path := range []string{"/v1/status", "/v1/users", "/v1/devices", "/v1/sessions", "/v1/refusals"} {
		if answer := call[json.RawMessage](t, g.Client(), http.MethodGet, path, nil); bytes.Contains(answer, []byte(strongKey)) {
			t.Errorf("%s shows it", path)
		}
	}
	state := g.Config().Gateway.State
	if err := g.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), strongKey) {
		t.Error("the log has it")
	}
	err = filepath.WalkDir(state, func(path string, f os.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(strongKey)) {
			t.Errorf("it stands in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAKeyThatOthersChoseIsJudged(t *testing.T) {
	g := newGateway(t, "zones: {staff: {auth: [psk]}, old: {pool: {ipv4: 10.62.0.0/24}}}\n")
	enrolPSK(t, g, NewDevice{Name: "first", Zone: "staff", SharedKey: strongKey})
	for what, c := range map[string]struct {
		n    NewDevice
		want string
	}{
		"weak":                     {NewDevice{SharedKey: "sallyport-vpn-secret-2026"}, "PSK-001"},
		"strong and short":         {NewDevice{SharedKey: "vK3zq8Rm1XwYt6LbNc9"}, "PSK-001"},
		"too short for any waiver": {NewDevice{SharedKey: "vK3zq8R"}, "shorter"},
		"of another device":        {NewDevice{SharedKey: strongKey}, `device \"first\" has the same`},
		"too long":                 {NewDevice{SharedKey: strings.Repeat(strongKey, 6)}, "longer"},
		"with a line end":          {NewDevice{SharedKey: strongKey + "\r"}, "printable"},
		"in quotation marks":       {NewDevice{SharedKey: `"` + strongKey + `"`}, "quotation"},
		"hexadecimal to some":      {NewDevice{SharedKey: "0x" + strongKey}, "0x"},
		"with a kind":              {NewDevice{Key: "rsa-2048"}, "--key"},
		"in a zone without":        {NewDevice{Zone: "old"}, "zones.old.auth"},
	} {
		t.Run(what, func(t *testing.T) {
			n := c.n
			n.Name, n.User, n.PSK = "second", "alice", true
			if n.Zone == "" {
				n.Zone = "staff"
			}
			refusedAs(t, g.Client(), http.StatusBadRequest, strings.ReplaceAll(c.want, `\"`, `"`), "POST", "/v1/devices", n)
			if _, ok := g.registry.Device("second"); ok {
				t.Error("it was added all the same")
			}
		})
	}
	refusedAs(t, g.Client(), http.StatusBadRequest, "--psk", "POST", "/v1/devices", NewDevice{Name: "third", User: "alice", Zone: "old", SharedKey: strongKey})
}

// TestAWaivedKeyComesInWhileTheWaiverLasts: and not a day longer.
func TestAWaivedKeyComesInWhileTheWaiverLasts(t *testing.T) {
	const weak = "sallyport-vpn-secret-2026"
	g := newGateway(t, pskZone)
	waive(g, time.Now().Add(time.Hour), "PSK-001", "PSK-004")
	enrolPSK(t, g, NewDevice{Name: "first", SharedKey: weak})
	c := enrolPSK(t, g, NewDevice{Name: "second", SharedKey: weak})
	if d, _ := g.registry.Device("second"); !slices.Equal(d.Waived, []string{"PSK-001", "PSK-004"}) {
		t.Errorf("recorded as breaking %q", d.Waived)
	}
	live := dial(t, c)
	live.connect(t, g)
	waive(g, time.Now().AddDate(0, 0, -2), "PSK-001", "PSK-004")
	if n := g.closeStranded(g.realm.Load(), g.realm.Load()); n != 1 {
		t.Errorf("%d live sessions end with the waiver", n)
	}
	await[ike.Closed](t, live)
	d := dial(t, c)
	d.start(t, g)
	await[ike.Refused](t, d)
	eventually(t, 5*time.Second, "the gateway says why", func() bool {
		st, _ := g.Status(context.Background())
		return len(st.Refusals) > 0 && strings.Contains(st.Refusals[0].Reason, "the waiver of PSK-001")
	})
}

// waive puts waivers for all peers into the configuration in force.
func waive(g *Gateway, until time.Time, rules ...string) {
	c := *g.Config()
	c.Zones = slices.Clone(c.Zones)
	c.Zones[0].Waivers = nil
	for _, rule := range rules {
		c.Zones[0].Waivers = append(c.Zones[0].Waivers, config.Waiver{Rule: rule, Until: until, Owner: "alice", Reason: "old router"})
	}
	g.config.Store(&c)
	r := *g.realm.Load()
	z := *r.order[0]
	z.config = c.Zones[0]
	r.zones, r.order = map[string]*zone{z.config.Name: &z}, []*zone{&z}
	g.realm.Store(&r)
}

func TestAZoneThatTakesKeysNoMoreEndsTheirSessions(t *testing.T) {
	g := newGateway(t, pskZone)
	byKey, byCertificate := dial(t, enrolPSK(t, g, NewDevice{Name: "router"})), dial(t, enrol(t, g, "laptop", ""))
	byKey.connect(t, g)
	byCertificate.connect(t, g)
	rewrite(t, g.path, ", psk]", "]")
	if done := call[Reloaded](t, g.Client(), http.MethodPost, "/v1/reload", nil); done.Closed != 1 {
		t.Errorf("%d sessions closed, want the one by key", done.Closed)
	}
	await[ike.Closed](t, byKey)
}

func TestABoundDeviceThatMovesAwayIsCut(t *testing.T) {
	g := newGateway(t, pskZone)
	d := dial(t, enrolPSK(t, g, NewDevice{Name: "router", Address: netip.MustParsePrefix("127.0.0.1/32")}))
	d.connect(t, g)
	eventually(t, time.Second, "it is in", func() bool { return len(sessionsOf(t, g)) == 1 })
	l := g.table.matching(func(*live) bool { return true })[0]
	if why := g.mayStay(l); why != "" {
		t.Errorf("at home it must go: %s", why)
	}
	g.moved(l.session, ike.Moved{Remote: netip.MustParseAddrPort("192.0.2.1:4500")})
	if c := await[ike.Closed](t, d); c.Reason != ike.ClosedByPeer {
		t.Errorf("closed by %v", c)
	}
}
