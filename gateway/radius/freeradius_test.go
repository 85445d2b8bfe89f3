package radius

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/tls"
	"crypto/x509"

	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/store/bolt"
)

const sharedSecret = "a secret of the tests, long enough"

// freeradiusConfig has one client, every port on the loopback, EAP, a detail
// file for accounting, and RadSec.
const freeradiusConfig = `
name = radiusd
prefix = /usr
libdir = /usr/lib/freeradius
logdir = %[1]s
run_dir = %[1]s
db_dir = %[1]s
max_requests = 1024
cleanup_delay = 2
security {
	reject_delay = 0
	status_server = yes
	allow_vulnerable_openssl = yes
}
thread pool {
	start_servers = 1
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 3
}
client test {
	ipaddr = 127.0.0.1
	secret = "%[2]s"
	require_message_authenticator = yes
}
clients radsec {
	client test-tls {
		ipaddr = 127.0.0.1
		proto = tls
		secret = radsec
		limit {
			max_connections = 16
			lifetime = 0
			idle_timeout = %[7]d
		}
	}
}
modules {
	always ok {
		rcode = ok
	}
	files {
		usersfile = %[1]s/users
	}
	mschap {
	}
	detail {
		filename = %[1]s/detail
		permissions = 0600
	}
	eap {
		default_eap_type = tls
		tls-config tls-common {
			private_key_file = %[1]s/server.pem
			certificate_file = %[1]s/server.pem
			ca_file = %[1]s/ca.pem
			tls_min_version = "1.2"
			tls_max_version = "1.2"
			cipher_list = "DEFAULT"
			ecdh_curve = ""
			fragment_size = 600
		}
		tls {
			tls = tls-common
		}
		md5 {
		}
	}
}
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = %[3]d
	}
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = %[4]d
	}
	listen {
		type = auth+acct
		ipaddr = 127.0.0.1
		port = %[5]d
		proto = tcp
		virtual_server = default
		clients = radsec
		tls {
			private_key_file = %[1]s/server.pem
			certificate_file = %[1]s/server.pem
			ca_file = %[1]s/ca.pem
			tls_min_version = "1.2"
			tls_max_version = "%[6]s"
			cipher_list = "DEFAULT"
			ecdh_curve = ""
			fragment_size = 8192
			require_client_cert = yes
		}
	}
	authorize {
		files
		eap
	}
	authenticate {
		eap
	}
	accounting {
		detail
		ok
	}
}
`

// users: what is granted, and a password for EAP-MD5.
const freeradiusUsers = `
alice	Cleartext-Password := "wonderland"
	Framed-IP-Address = 10.9.8.7,
	Framed-IPv6-Address = 2001:db8::7,
	Framed-IPv6-Prefix = 2001:db8:7::/64,
	Framed-IPv6-Pool = "six",
	Filter-Id = "staff",
	Class = 0x0102ff,
	Session-Timeout = 7200,
	Idle-Timeout = 900,
	Acct-Interim-Interval = 120,
	MS-Primary-DNS-Server = 10.0.0.53,
	Tunnel-Password:1 = "tunnel pass"

DEFAULT
	Session-Timeout = 60
`

// authority is the CA of the tests.
type authority struct {
	ca             *pki.CA
	server, client *pki.Issued
	verifier       *pki.Verifier
}

var theAuthority = sync.OnceValues(func() (*authority, error) { return newAuthority(theDirectory) })

// theDirectory holds the CA while tests run.
var theDirectory string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "radius-test-ca-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	theDirectory = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newAuthority(dir string) (*authority, error) {
	state, err := bolt.Open(filepath.Join(dir, "state.db"), bolt.Options{Create: true})
	if err != nil {
		return nil, err
	}
	ctx, now := context.Background(), time.Now().Add(-time.Hour)
	ca, err := pki.Create(ctx, pki.Config{Dir: filepath.Join(dir, "pki"), Name: "Test", Index: state}, now)
	if err != nil {
		return nil, err
	}
	a := &authority{ca: ca}
	if a.server, err = ca.IssueServer(ctx, now, []string{"radius.example.org"}, pki.ECDSAP256); err != nil {
		return nil, err
	}
	if a.client, err = ca.IssueDevice(ctx, now, pki.DeviceRequest{User: "alice", Device: "laptop"}); err != nil {
		return nil, err
	}
	a.verifier, err = pki.NewVerifier(pki.Trust{Roots: []*x509.Certificate{ca.Certificate()}, CRLs: []*pki.CRL{ca.CRL()}})
	return a, err
}

func authorityOf(t *testing.T) *authority {
	t.Helper()
	a, err := theAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) clientTLS() tls.Certificate {
	return tls.Certificate{Certificate: a.client.Chain, PrivateKey: a.client.Key}
}

// transcript is what a program says, safe to read while it runs.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func tail(s string) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// freePort is a port of the loopback that nobody uses now.
func freePort(t *testing.T, network string) int {
	t.Helper()
	if network == "tcp" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// needs skips where a program of others is missing.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not there: install the Debian package %s", program, pkg)
	}
}

// freeradius is a running FreeRADIUS.
type freeradius struct {
	t               *testing.T
	dir             string
	auth, acct, tls string // addresses
	out             *transcript
	process         *exec.Cmd
	ended           chan struct{}
}

type freeradiusOptions struct {
	tlsVersion  string // "1.2" or "1.3"
	idleTimeout int    // of RadSec connections, seconds
}

// serveFreeRADIUS runs one until the test ends.
func serveFreeRADIUS(t *testing.T, o freeradiusOptions) *freeradius {
	t.Helper()
	needs(t, "freeradius", "freeradius")
	if o.tlsVersion == "" {
		o.tlsVersion = "1.2"
	}
	if o.idleTimeout == 0 {
		o.idleTimeout = 60
	}
	a := authorityOf(t)
	f := &freeradius{t: t, dir: t.TempDir()}
	auth, acct, stream := freePort(t, "udp"), freePort(t, "udp"), freePort(t, "tcp")
	f.auth, f.acct, f.tls = fmt.Sprintf("127.0.0.1:%d", auth), fmt.Sprintf("127.0.0.1:%d", acct), fmt.Sprintf("127.0.0.1:%d", stream)
	serverPEM, err := a.server.PEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"radiusd.conf": fmt.Appendf(nil, freeradiusConfig, f.dir, sharedSecret, auth, acct, stream, o.tlsVersion, o.idleTimeout),
		"dictionary":   []byte("$INCLUDE /usr/share/freeradius/dictionary\n"),
		"users":        []byte(freeradiusUsers),
		"server.pem":   serverPEM,
		"ca.pem":       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.ca.Certificate().Raw}),
	} {
		if err := os.WriteFile(filepath.Join(f.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *freeradius) start() {
	f.t.Helper()
	f.out, f.ended = new(transcript), make(chan struct{})
	f.process = exec.Command("freeradius", "-fxx", "-l", "stdout", "-d", f.dir)
	f.process.Stdout, f.process.Stderr = f.out, f.out
	if err := f.process.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() { f.process.Wait(); close(f.ended) }()
	f.says("Ready to process requests")
}

func (f *freeradius) stop() {
	f.process.Process.Kill()
	<-f.ended
}

// says waits until the server has said something.
func (f *freeradius) says(text string) {
	f.t.Helper()
	for begun := time.Now(); !strings.Contains(f.out.String(), text); time.Sleep(20 * time.Millisecond) {
		select {
		case <-f.ended:
			f.t.Fatalf("freeradius ended:\n%s", tail(f.out.String()))
		default:
		}
		if time.Since(begun) > 20*time.Second {
			f.t.Fatalf("freeradius does not say %q:\n%s", text, tail(f.out.String()))
		}
	}
}

// detail waits until the accounting file has a text, and gives the file.
func (f *freeradius) detail(text string) string {
	f.t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		b, _ := os.ReadFile(filepath.Join(f.dir, "detail"))
		if strings.Contains(string(b), text) {
			return string(b)
		}
		if time.Since(begun) > 20*time.Second {
			f.t.Fatalf("the detail file has no %q:\n%s\n%s", text, b, tail(f.out.String()))
		}
	}
}

func udpServer(address string) Server {
	return Server{Name: address, Address: address, Secret: secret.Bytes(sharedSecret), Status: true}
}
