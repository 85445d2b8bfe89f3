package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"sallyport/config"
	"sallyport/profile"
)

// testConfig writes a configuration of a gateway that needs no root: no TUN
// device, unprivileged ports, everything in a temporary directory.
func testConfig(t *testing.T, zones string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "sallyport.yaml")
	text := fmt.Sprintf(`gateway:
  name: vpn.example.org
  listen: [127.0.0.1]
  ports: {ike: IKE-PORT, natt: NATT-PORT}
  state: %[1]s/state
  control: {socket: %[1]s/control.sock}
  dataplane: {kind: "null"}
%[2]s`, dir, zones)
	ike, natt := freePorts(t)
	text = strings.NewReplacer("NATT-PORT", fmt.Sprint(natt), "IKE-PORT", fmt.Sprint(ike)).Replace(text)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// testState makes a fresh state and opens it.
func testState(t *testing.T, zones string) *State {
	t.Helper()
	path := testConfig(t, zones)
	initState(t, path)
	s, err := OpenState(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// madeOnce is a state that was made by InitState; copies of it serve the tests,
// because making an RSA key takes a second.
var madeOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sallyport-state")
	if err != nil {
		return "", err
	}
	cfg, diags := config.Parse("test", []byte("gateway: {name: vpn.example.org, state: "+dir+"/state}"), time.Now())
	if diags.Err() != nil {
		return "", diags.Err()
	}
	return dir, InitState(context.Background(), cfg)
})

func TestMain(m *testing.M) {
	if path := os.Getenv(serveEnv); path != "" {
		serveUntilKilled(path)
	}
	code := m.Run()
	if dir, err := madeOnce(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func initState(t *testing.T, path string) {
	t.Helper()
	made, err := madeOnce()
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(cfg.Gateway.State, os.DirFS(filepath.Join(made, "state"))); err != nil {
		t.Fatal(err)
	}
	makePrivate(t, cfg.Gateway.State)
}

// makePrivate gives copies the modes that CopyFS does not keep.
func makePrivate(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func call[Out any](t *testing.T, c *Client, method, path string, in any) Out {
	t.Helper()
	var out Out
	if err := c.Call(t.Context(), method, path, in, &out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return out
}

// refusedAs calls and wants an error of a status with a word in it.
func refusedAs(t *testing.T, c *Client, status int, word, method, path string, in any) {
	t.Helper()
	err := c.Call(t.Context(), method, path, in, nil)
	p, ok := err.(*ProblemError)
	if !ok || p.Status != status || !strings.Contains(p.Error()+p.Hint, word) {
		t.Errorf("%s %s %v: got %v, want status %d with %q", method, path, in, err, status, word)
	}
}

func TestUsersAndDevicesThroughTheControlAPI(t *testing.T) {
	s := testState(t, "")
	server, err := serveControl(s.Config().Gateway.Control, handler(s), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.close()
	socket, ok := Dial(s.Config().Gateway.Control.Socket)
	if !ok {
		t.Fatal("nobody serves the control socket")
	}
	defer socket.Close()
	for name, c := range map[string]*Client{"socket": socket, "in-process": s.Client()} {
		t.Run(name, func(t *testing.T) {
			user, device := "alice-"+name, "laptop-"+name
			call[User](t, c, "POST", "/v1/users", NewUser{Name: user})
			e := call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: device, User: user})
			wantKeyOf(t, e)
			if slices.ContainsFunc(call[[]Device](t, c, "GET", "/v1/devices", nil), func(d Device) bool { return d.Name == device && d.Revoked.IsZero() }) == false {
				t.Error("the device is not in the list")
			}
			p := call[Profile](t, c, "GET", "/v1/devices/"+device+"/profile?for=swanctl", nil)
			for _, f := range p.Files {
				if strings.Contains(f.Content, "PRIVATE KEY") {
					t.Errorf("%s holds a private key", f.Name)
				}
			}
			r := call[Revoked](t, c, "POST", Path("/v1/devices/", device, "/revoke"), Revocation{Reason: "lost"})
			if !slices.Equal(r.Devices, []string{device}) {
				t.Errorf("revoked %v", r.Devices)
			}
			if why := s.registry.allowed(device); !strings.Contains(why, "revoked") {
				t.Errorf("a revoked device is %q", why)
			}
			refusedAs(t, c, http.StatusBadRequest, "revoked", "GET", "/v1/devices/"+device+"/profile?for=swanctl", nil)
		})
	}
}

// wantKeyOf checks that the key, the certificate and the CA belong together.
func wantKeyOf(t *testing.T, e Enrolled) {
	t.Helper()
	key, _ := pem.Decode([]byte(e.Key))
	if _, err := x509.ParsePKCS8PrivateKey(key.Bytes); err != nil {
		t.Error(err)
	}
	leaf, _ := pem.Decode([]byte(e.Certificate))
	cert, err := x509.ParseCertificate(leaf.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(e.CA))
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if len(e.PKCS12) == 0 || len(e.Password) < 20 {
		t.Errorf("PKCS#12 of %d octets with a password of %d", len(e.PKCS12), len(e.Password))
	}
}

func TestControlAPIRefusesWhatItDoesNotUnderstand(t *testing.T) {
	s := testState(t, "")
	c := s.Client()
	refusedAs(t, c, http.StatusNotFound, "sallyport user add bob", "POST", "/v1/devices", NewDevice{Name: "pc", User: "bob"})
	refusedAs(t, c, http.StatusBadRequest, "unknown field", "POST", "/v1/users", map[string]string{"name": "bob", "nmae": "x"})
	refusedAs(t, c, http.StatusBadRequest, "", "POST", "/v1/users", NewUser{Name: "../etc"})
	refusedAs(t, c, http.StatusBadRequest, "", "POST", "/v1/users", NewUser{Name: strings.Repeat("a", 100)})
	refusedAs(t, c, http.StatusBadRequest, "too large", "POST", "/v1/users", NewUser{Name: strings.Repeat("a", maxBody)})
	refusedAs(t, c, http.StatusNotFound, "device list", "POST", "/v1/devices/ghost/revoke", Revocation{})
	refusedAs(t, c, http.StatusNotFound, "", "GET", "/v1/nothing", nil)
	refusedAs(t, c, http.StatusConflict, "sallyport serve", "GET", "/v1/sessions", nil)
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "bob"})
	refusedAs(t, c, http.StatusConflict, "exists", "POST", "/v1/users", NewUser{Name: "bob"})
	refusedAs(t, c, http.StatusBadRequest, "kind", "POST", "/v1/devices", NewDevice{Name: "pc", User: "bob", Key: "dsa"})
	refusedAs(t, c, http.StatusNotFound, "zone", "POST", "/v1/devices", NewDevice{Name: "pc", User: "bob", Zone: "nowhere"})
	call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: "pc", User: "bob"})
	refusedAs(t, c, http.StatusConflict, "exists", "POST", "/v1/devices", NewDevice{Name: "pc", User: "bob"})
	refusedAs(t, c, http.StatusBadRequest, "swanctl", "GET", "/v1/devices/pc/profile?for=teapot", nil)
	refusedAs(t, c, http.StatusBadRequest, "address", "GET", "/v1/devices/pc/profile?for=swanctl&address=a%0Ab", nil)

	trailing := bytes.NewReader([]byte(`{"name":"eve"} {"name":"mallory"}`))
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/v1/users", trailing)
	res, err := c.http.Do(req)
	if err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("two objects in one body: %v %v", res.Status, err)
	}
}

func TestRevokingAUserRevokesEveryDevice(t *testing.T) {
	s := testState(t, "")
	c := s.Client()
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "carol"})
	for _, d := range []string{"pc", "phone"} {
		call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: d, User: "carol"})
	}
	r := call[Revoked](t, c, "POST", "/v1/users/carol/revoke", Revocation{})
	if !slices.Equal(r.Devices, []string{"pc", "phone"}) {
		t.Errorf("revoked %v, want both devices", r.Devices)
	}
	if n := s.ca.CRL().Len(); n != 2 {
		t.Errorf("the CRL has %d entries, want 2", n)
	}
	refusedAs(t, c, http.StatusBadRequest, "revoked", "POST", "/v1/devices", NewDevice{Name: "tablet", User: "carol"})
}

func TestEverythingIsThereAfterReopening(t *testing.T) {
	path := testConfig(t, "")
	initState(t, path)
	s, err := OpenState(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	c := s.Client()
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "dave"})
	call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: "kept", User: "dave"})
	call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: "lost", User: "dave"})
	call[Revoked](t, c, "POST", "/v1/devices/lost/revoke", Revocation{})
	s.Close()
	if s, err = OpenState(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if why := s.registry.allowed("kept"); why != "" {
		t.Errorf("kept: %s", why)
	}
	if s.registry.allowed("lost") == "" || s.ca.CRL().Len() != 1 {
		t.Errorf("the revocation of lost was forgotten: CRL of %d", s.ca.CRL().Len())
	}
}

func TestStateThatWasNeverMadeSaysWhatToDo(t *testing.T) {
	_, err := OpenState(t.Context(), testConfig(t, ""))
	e, ok := err.(*NotFoundError)
	if !ok || !strings.Contains(e.Hint, "sallyport init") {
		t.Errorf("got %v, want a hint at init", err)
	}
}

func TestInitNeverOverwrites(t *testing.T) {
	path := testConfig(t, "")
	initState(t, path)
	cfg, _, _ := LoadConfig(path)
	before, err := os.ReadFile(filepath.Join(cfg.Gateway.State, "pki", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := InitState(t.Context(), cfg); err == nil {
		t.Error("a second init made a second CA")
	}
	after, _ := os.ReadFile(filepath.Join(cfg.Gateway.State, "pki", "ca.crt"))
	if !bytes.Equal(before, after) {
		t.Error("the CA changed")
	}
}

func TestProfilesComeFromTheZonesPolicy(t *testing.T) {
	s := testState(t, `zones:
  staff: {policy: cnsa2, pool: {ipv4: 10.61.0.0/24, ipv6: none}, routes: [10.0.0.0/8]}
  lab: {policy: strong, pool: {ipv4: 10.62.0.0/24}}
`)
	c := s.Client()
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "erin"})
	refusedAs(t, c, http.StatusBadRequest, "--zone", "POST", "/v1/devices", NewDevice{Name: "pc", User: "erin"})
	call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: "pc", User: "erin", Zone: "staff"})
	zone, _ := s.Config().Zone("staff")
	for _, kind := range []string{"swanctl", "networkmanager", "sallyport"} {
		p := call[Profile](t, c, "GET", "/v1/devices/pc/profile?dir=/etc/vpn&address=192.0.2.1&for="+kind, nil)
		text := p.Files[0].Content
		for _, want := range append(slices.Concat(zone.Policy.IKE, zone.Policy.ESP), "192.0.2.1", "pc@erin", "vpn.example.org", "10.0.0.0/8") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", kind, want, text)
			}
		}
		if len(p.Steps) == 0 {
			t.Errorf("%s: no steps", kind)
		}
		if natt := fmt.Sprint(s.Config().Gateway.Ports.NATT); !strings.Contains(text, natt) {
			t.Errorf("%s does not say that the gateway is at port %s:\n%s", kind, natt, text)
		}
	}
}

func TestProfilesForClientsThatWantTheKeyInsideAreSigned(t *testing.T) {
	s := testState(t, "")
	c := s.Client()
	cfg := *s.Config()
	cfg.Gateway.Ports = config.Ports{IKE: 500, NATT: 4500} // the only ones that the built-in clients know
	s.config.Store(&cfg)
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "erin"})
	call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: "phone", User: "erin"})
	refusedAs(t, c, http.StatusBadRequest, "key", "GET", "/v1/devices/phone/profile?for=ios", nil)
	p := call[Profile](t, c, "POST", "/v1/devices/phone/profile", ProfileRequest{For: "ios", PKCS12: []byte("encrypted")})
	message, err := pkcs7.Parse(p.Files[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.ca.Certificate())
	if err := message.VerifyWithChain(roots); err != nil {
		t.Errorf("the profile is not signed by the gateway: %v", err)
	}
	if !bytes.Contains(message.Content, []byte("<string>phone@erin</string>")) {
		t.Errorf("what is signed is\n%s", message.Content)
	}
	refusedAs(t, c, http.StatusBadRequest, "option", "POST", "/v1/devices/phone/profile", ProfileRequest{For: "windows", Options: profile.Options{KillSwitch: true}})
	refusedAs(t, c, http.StatusBadRequest, "certificate", "GET", "/v1/devices/phone/profile?for=windows&address=192.0.2.99", nil)
}

func TestControlSocketIsForItsOwnerAlone(t *testing.T) {
	s := testState(t, "")
	path := s.Config().Gateway.Control.Socket
	server, err := serveControl(config.Control{Socket: path}, handler(s), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.close()
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if _, err := serveControl(config.Control{Socket: path}, handler(s), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a second gateway took the socket of the first")
	}
}

func TestWaitingForARevisionEndsWithTheContext(t *testing.T) {
	s := testState(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.registry.reached(ctx, 1<<60); err == nil {
		t.Error("a revision that never comes was reached")
	}
}

func TestRefusalsAreBoundedAndCounted(t *testing.T) {
	var r refusals
	for i := range 3 * maxRefusals {
		r.add(testRecord(i))
		r.add(testRecord(i))
	}
	list := r.list()
	if len(list) != maxRefusals {
		t.Fatalf("%d records, want %d", len(list), maxRefusals)
	}
	if list[0].Reason != "reason 1024" || list[len(list)-1].Reason != "reason 1535" || list[0].Times != 2 {
		t.Errorf("first %q (%d times), last %q", list[0].Reason, list[0].Times, list[len(list)-1].Reason)
	}
	if b, err := json.Marshal(list[0]); err != nil || !bytes.Contains(b, []byte(`"times":2`)) {
		t.Errorf("%s %v", b, err)
	}
}
