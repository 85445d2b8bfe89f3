package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/config"
	"sallyport/internal/lab/labtest"
)

// stateTaking is a state whose only zone takes some ways to prove oneself.
func stateTaking(t *testing.T, auth ...string) *State {
	t.Helper()
	s := testState(t, "")
	cfg := *s.Config()
	cfg.Gateway.Ports = config.Ports{IKE: 500, NATT: 4500}
	cfg.Zones = slices.Clone(cfg.Zones)
	cfg.Zones[0].Auth = auth
	s.config.Store(&cfg)
	return s
}

func TestAUserGetsAProfileWhereTheZoneTakesPasswords(t *testing.T) {
	s := stateTaking(t, "certificate", "peap", "eap-ttls")
	c := s.Client()
	zone := s.Config().Zones[0].Name
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "erin"})
	for _, r := range []ProfileRequest{{For: "windows"}, {For: "swanctl", Auth: "eap-ttls", Zone: zone}} {
		p := call[Profile](t, c, "POST", "/v1/users/erin/profile", r)
		want := r.Auth
		if want == "" {
			want = "peap" // the first that is no certificate
		}
		if p.Auth != want || !strings.HasPrefix(p.Files[0].Name, "sallyport-erin.") || len(p.Files) != 2 {
			t.Errorf("%s: by %q, in %d files, the first is %s", r.For, p.Auth, len(p.Files), p.Files[0].Name)
		}
	}
	refused := func(status int, word, user string, r ProfileRequest) {
		t.Helper()
		refusedAs(t, c, status, word, "POST", "/v1/users/"+user+"/profile", r)
	}
	refused(http.StatusNotFound, "ghost", "ghost", ProfileRequest{For: "windows"})
	refused(http.StatusNotFound, "zone", "erin", ProfileRequest{For: "windows", Zone: "elsewhere"})
	refused(http.StatusBadRequest, "peap is nothing that this client can", "erin", ProfileRequest{For: "ios"})
	refused(http.StatusBadRequest, "certificate needs a certificate", "erin", ProfileRequest{For: "swanctl", Auth: "certificate"})
	refused(http.StatusBadRequest, "keys belong to devices", "erin", ProfileRequest{For: "swanctl", PSK: []byte("x")})
	call[Revoked](t, c, "POST", "/v1/users/erin/revoke", Revocation{})
	refused(http.StatusBadRequest, "revoked", "erin", ProfileRequest{For: "windows"})

	c = stateTaking(t, "certificate", "psk").Client()
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "erin"})
	refusedAs(t, c, http.StatusBadRequest, "takes no passwords", "POST", "/v1/users/erin/profile", ProfileRequest{For: "windows"})
}

func TestADeviceGetsTheProfileOfTheWayThatIsAskedFor(t *testing.T) {
	s := stateTaking(t, "certificate", "eap-tls", "psk")
	c := s.Client()
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "erin"})
	call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: "pc", User: "erin"})
	ask := func(r ProfileRequest) Profile {
		return call[Profile](t, c, "POST", "/v1/devices/pc/profile", r)
	}
	const key = "kq7n2m4xwz8r5t3v6b9c2d4f7h"
	if p := ask(ProfileRequest{For: "ios", Auth: "psk", PSK: []byte(key)}); p.Auth != "psk" || !strings.Contains(string(p.Files[0].Data), key) {
		t.Errorf("by %q", p.Auth)
	}
	if p := ask(ProfileRequest{For: "windows", Auth: "eap-tls"}); p.Auth != "eap-tls" || strings.Contains(p.Files[0].Content, key) {
		t.Errorf("by %q", p.Auth)
	}
	if p := ask(ProfileRequest{For: "windows", PSK: []byte(key)}); p.Auth != "certificate" || strings.Contains(p.Files[0].Content, key) {
		t.Errorf("by %q", p.Auth)
	}
	refusedAs(t, c, http.StatusBadRequest, "psk needs a pre-shared key", "POST", "/v1/devices/pc/profile", ProfileRequest{For: "ios", Auth: "psk"})
	call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: "router", User: "erin", PSK: true})
	refusedAs(t, c, http.StatusBadRequest, "router.psk is not here", "POST", "/v1/devices/router/profile", ProfileRequest{For: "swanctl"})
	refusedAs(t, c, http.StatusBadRequest, "belongs to zone", "POST", "/v1/devices/pc/profile", ProfileRequest{For: "swanctl", Zone: "elsewhere"})
}

// TestAProfileDoesNotPinTheWrongCA: what the client could not log in with, and
// would not be told why.
func TestAProfileDoesNotPinTheWrongCA(t *testing.T) {
	s := stateTaking(t, "certificate", "peap", "psk")
	c := s.Client()
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "erin"})
	r := ProfileRequest{For: "swanctl", Auth: "peap"}
	if p := call[Profile](t, c, "POST", "/v1/users/erin/profile", r); strings.Contains(strings.Join(p.Notes, "\n"), "RADIUS") {
		t.Errorf("a note of servers that are not there: %q", p.Notes)
	}

	cfg := *s.Config()
	cfg.Zones = slices.Clone(cfg.Zones)
	cfg.Zones[0].RADIUS = "corp"
	s.config.Store(&cfg)
	if p := call[Profile](t, c, "POST", "/v1/users/erin/profile", r); !strings.Contains(strings.Join(p.Notes, "\n"), `the RADIUS servers "corp"`) {
		t.Errorf("the notes do not tell whose certificate it will be: %q", p.Notes)
	}

	file := filepath.Join(t.TempDir(), "own.pem")
	own := labtest.NewAuthority(t, "Public CA").Issue(t, labtest.Leaf{Name: "vpn.example.org", ID: "vpn.example.org", Key: labtest.P256})
	if err := os.WriteFile(file, own.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Zones[0].Identity = config.Identity{Certificate: file, Key: file}
	s.config.Store(&cfg)
	refusedAs(t, c, http.StatusBadRequest, "a certificate of another CA", "POST", "/v1/users/erin/profile", r)
}
