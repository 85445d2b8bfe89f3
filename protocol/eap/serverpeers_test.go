package eap

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/lab/labtest"
)

// writeCA puts the test authority's certificate into a file.
func writeCA(dir string) string {
	ca := filepath.Join(dir, "ca.pem")
	must(os.WriteFile(ca, caPEM(), 0o644))
	return ca
}

// freeRADIUS runs a server that serves a combination.
func freeRADIUS(t *testing.T, c combination, server tls.Certificate) *labtest.FreeRADIUS {
	t.Helper()
	certificate, key := pemOf(server)
	f := labtest.FreeRADIUSConfig{
		CA: caPEM(), Server: append(key, certificate...),
		Users: fmt.Sprintf("%s Cleartext-Password := %q\n", testUser, testPassword),
		First: map[Type]string{TypeTLS: "tls", TypePEAP: "peap", TypeTTLS: "ttls"}[c.method],
	}
	if c.inner == InnerEAPTLS {
		f.Inner = "tls"
	}
	if c.version == tls.VersionTLS13 {
		f.TLS = "1.3"
	}
	return labtest.StartFreeRADIUS(t, f)
}

func TestPeerLogsInAtFreeRADIUS(t *testing.T) {
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			server := freeRADIUS(t, c, thePKI().server)
			_, pc := c.configs()
			events, keys := login(t, server.Auth, pc)
			if c.method == TypePEAP && mustBind(c.inner) {
				// FreeRADIUS 3 has no crypto-binding, and we insist.
				f, ok := outcome[Failure](events)
				if !ok || f.Reason != ReasonCryptoBinding {
					t.Fatalf("want a refusal for want of crypto-binding, got %+v\n%s", events, server.Tail())
				}
				return
			}
			s, ok := outcome[Success](events)
			if !ok {
				t.Fatalf("no success: %+v\n%s", events, server.Tail())
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
func hostapdServer(t *testing.T, c combination, server tls.Certificate) (address string, out *labtest.Process) {
	t.Helper()
	dir := t.TempDir()
	cert, key := write(t, dir, "server", server)
	port := labtest.FreePort(t, "udp")
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
	out = labtest.StartProcess(t, "ENABLED", "hostapd", "-dd", filepath.Join(dir, "hostapd.conf"))
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
				t.Fatalf("no success: %+v\n%s", events, out.Tail())
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
