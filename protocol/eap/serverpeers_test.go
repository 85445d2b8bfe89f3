package eap

import (
	"bytes"
	"crypto/tls"
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
)

// freePort is a UDP port of the loopback that nobody uses now.
func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
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

// background runs a program until the test ends, and waits until it says that
// it is ready.
func background(t *testing.T, ready string, name string, args ...string) *transcript {
	t.Helper()
	out := new(transcript)
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	for begun := time.Now(); !strings.Contains(out.String(), ready); time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", name, tail(out.String()))
		default:
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("%s is not ready:\n%s", name, tail(out.String()))
		}
	}
	return out
}

// writeCA puts the test authority's certificate into a file.
func writeCA(dir string) string {
	ca := filepath.Join(dir, "ca.pem")
	must(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: thePKI().ca.cert.Raw}), 0o644))
	return ca
}

const freeradiusConfig = `
name = radiusd
prefix = /usr
libdir = /usr/lib/freeradius
logdir = %[1]s
run_dir = %[1]s
db_dir = %[1]s
max_requests = 1024
security {
	reject_delay = 0
	status_server = no
	allow_vulnerable_openssl = yes
}
client test {
	ipaddr = 127.0.0.1
	secret = "%[2]s"
	require_message_authenticator = yes
}
thread pool {
	start_servers = 1
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 3
}
modules {
	always ok {
		rcode = ok
	}
	pap {
	}
	mschap {
	}
	files {
		usersfile = %[1]s/users
	}
	eap {
		default_eap_type = %[6]s
		tls-config tls-common {
			private_key_file = %[4]s
			certificate_file = %[3]s
			ca_file = %[5]s
			tls_min_version = "1.2"
			tls_max_version = "%[7]s"
			cipher_list = "DEFAULT"
			ecdh_curve = ""
			fragment_size = 600
		}
		tls {
			tls = tls-common
		}
		ttls {
			tls = tls-common
			default_eap_type = %[8]s
			virtual_server = "inner"
		}
		peap {
			tls = tls-common
			default_eap_type = %[8]s
			virtual_server = "inner"
		}
	}
	eap inner-eap {
		default_eap_type = %[8]s
		tls-config tls-common {
			private_key_file = %[4]s
			certificate_file = %[3]s
			ca_file = %[5]s
			tls_min_version = "1.2"
			tls_max_version = "%[7]s"
			cipher_list = "DEFAULT"
			ecdh_curve = ""
			fragment_size = 500
		}
		tls {
			tls = tls-common
		}
		mschapv2 {
		}
	}
}
server outer {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = %[9]d
	}
	authorize {
		eap
	}
	authenticate {
		eap
	}
}
server inner {
	authorize {
		inner-eap {
			ok = return
		}
		mschap
		files
		pap
	}
	authenticate {
		Auth-Type PAP {
			pap
		}
		Auth-Type MS-CHAP {
			mschap
		}
		mschap
		inner-eap
	}
}
`

// freeRADIUS runs a server that serves a combination, and gives its address.
func freeRADIUS(t *testing.T, c combination, server tls.Certificate) (address string, out *transcript) {
	t.Helper()
	needs(t, "freeradius", "freeradius")
	dir := t.TempDir()
	cert, key := write(t, dir, "server", server)
	outer := map[Type]string{TypeTLS: "tls", TypePEAP: "peap", TypeTTLS: "ttls"}[c.method]
	inner := "mschapv2"
	if c.inner == InnerEAPTLS {
		inner = "tls"
	}
	version := "1.2"
	if c.version == tls.VersionTLS13 {
		version = "1.3"
	}
	port := freePort(t)
	config := fmt.Sprintf(freeradiusConfig, dir, radiusSecret, cert, key, writeCA(dir), outer, version, inner, port)
	must(os.WriteFile(filepath.Join(dir, "radiusd.conf"), []byte(config), 0o600))
	must(os.WriteFile(filepath.Join(dir, "dictionary"), []byte("$INCLUDE /usr/share/freeradius/dictionary\n"), 0o600))
	must(os.WriteFile(filepath.Join(dir, "users"), fmt.Appendf(nil, "%s Cleartext-Password := \"%s\"\n", testUser, testPassword), 0o600))
	out = background(t, "Ready to process requests", "freeradius", "-X", "-d", dir)
	return fmt.Sprintf("127.0.0.1:%d", port), out
}

func TestPeerLogsInAtFreeRADIUS(t *testing.T) {
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			address, out := freeRADIUS(t, c, thePKI().server)
			_, pc := c.configs()
			events, keys := login(t, address, pc)
			if c.method == TypePEAP && mustBind(c.inner) {
				// FreeRADIUS 3 has no crypto-binding, and we insist.
				f, ok := outcome[Failure](events)
				if !ok || f.Reason != ReasonCryptoBinding {
					t.Fatalf("want a refusal for want of crypto-binding, got %+v\n%s", events, tail(out.String()))
				}
				return
			}
			s, ok := outcome[Success](events)
			if !ok {
				t.Fatalf("no success: %+v\n%s", events, tail(out.String()))
			}
			if s.Identity != serverName || s.TLS != c.version || s.Inner != c.inner {
				t.Errorf("the peer reports %+v", s)
			}
			if !s.MSK.Equal(keys) {
				t.Error("the server's keys are not ours")
			}
		})
	}
}

// hostapdServer runs hostapd as nothing but a RADIUS server with crypto-binding
// in PEAP, and gives its address.
func hostapdServer(t *testing.T, c combination, server tls.Certificate) (address string, out *transcript) {
	t.Helper()
	needs(t, "hostapd", "hostapd")
	dir := t.TempDir()
	cert, key := write(t, dir, "server", server)
	port := freePort(t)
	outer := map[Type]string{TypeTLS: "TLS", TypePEAP: "PEAP", TypeTTLS: "TTLS"}[c.method]
	inner := map[Inner]string{InnerEAPTLS: "TLS", InnerEAPMSCHAPv2: "MSCHAPV2", InnerMSCHAPv2: "TTLS-MSCHAPV2", InnerPAP: "TTLS-PAP"}[c.inner]
	flags := "[DISABLE-TLSv1.3]"
	if c.version == tls.VersionTLS13 {
		flags = "[ENABLE-TLSv1.3][DISABLE-TLSv1.2]"
	}
	users := fmt.Sprintf("* %s\n\"%s\" %s \"%s\" [2]\n", outer, testUser, inner, testPassword)
	if c.method == TypeTLS {
		users = "* TLS\n"
	}
	must(os.WriteFile(filepath.Join(dir, "users"), []byte(users), 0o600))
	must(os.WriteFile(filepath.Join(dir, "clients"), []byte("127.0.0.1/32 "+radiusSecret+"\n"), 0o600))
	must(os.WriteFile(filepath.Join(dir, "hostapd.conf"), fmt.Appendf(nil, `driver=none
radius_server_clients=%[1]s/clients
radius_server_auth_port=%[2]d
eap_server=1
eap_user_file=%[1]s/users
ca_cert=%[3]s
server_cert=%[4]s
private_key=%[5]s
tls_flags=%[6]s
`, dir, port, writeCA(dir), cert, key, flags), 0o600))
	out = background(t, "ENABLED", "hostapd", "-dd", filepath.Join(dir, "hostapd.conf"))
	return fmt.Sprintf("127.0.0.1:%d", port), out
}

// hostapdCannot tells what hostapd 2.10 does not do by the RFCs under TLS 1.3:
// PEAP's keys are older than RFC 9427, and an inner EAP-TLS ends without the
// success indication of RFC 9190.
func hostapdCannot(c combination) bool {
	return c.version == tls.VersionTLS13 && (c.method == TypePEAP || c.inner == InnerEAPTLS)
}

func TestPeerLogsInAtHostapd(t *testing.T) {
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 || hostapdCannot(c) {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			address, out := hostapdServer(t, c, thePKI().server)
			_, pc := c.configs()
			events, keys := login(t, address, pc)
			s, ok := outcome[Success](events)
			if !ok {
				t.Fatalf("no success: %+v\n%s", events, tail(out.String()))
			}
			if s.Identity != serverName || s.TLS != c.version || s.Inner != c.inner {
				t.Errorf("the peer reports %+v", s)
			}
			if !s.MSK.Equal(keys) {
				t.Error("the server's keys are not ours")
			}
		})
	}
}
