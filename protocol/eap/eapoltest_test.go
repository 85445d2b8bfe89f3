package eap

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/lab/labtest"
)

// wpaNetwork is a configuration of eapol_test for a combination.
func wpaNetwork(t *testing.T, dir string, c combination, client tls.Certificate, password string) string {
	t.Helper()
	ca := writeCA(dir)
	cert, key := write(t, dir, "client", client)
	lines := []string{
		"key_mgmt=WPA-EAP",
		`anonymous_identity="anonymous@example.org"`,
		`ca_cert="` + ca + `"`,
		`domain_match="` + serverName + `"`,
	}
	off12, off13 := 0, 1
	if c.version == tls.VersionTLS13 {
		off12, off13 = 1, 0
	}
	phase1 := fmt.Sprintf("tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_2=%d tls_disable_tlsv1_3=%d", off12, off13)
	identity := testUser
	switch c.method {
	case TypeTLS:
		lines = append(lines, "eap=TLS", `client_cert="`+cert+`"`, `private_key="`+key+`"`)
	case TypePEAP:
		lines = append(lines, "eap=PEAP")
		phase1 += " peapver=0 crypto_binding=2"
	case TypeTTLS:
		lines = append(lines, "eap=TTLS")
	}
	switch c.inner {
	case InnerEAPTLS:
		prefix := "auth"
		if c.method == TypeTTLS {
			prefix = "autheap"
		}
		lines = append(lines, `phase2="`+prefix+`=TLS"`, `ca_cert2="`+ca+`"`, `client_cert2="`+cert+`"`, `private_key2="`+key+`"`)
	case InnerEAPMSCHAPv2:
		prefix := "auth"
		if c.method == TypeTTLS {
			prefix = "autheap"
		}
		lines = append(lines, `phase2="`+prefix+`=MSCHAPV2"`, `password="`+password+`"`)
	case InnerMSCHAPv2:
		lines = append(lines, `phase2="auth=MSCHAPV2"`, `password="`+password+`"`)
	case InnerPAP:
		lines = append(lines, `phase2="auth=PAP"`, `password="`+password+`"`)
	}
	lines = append(lines, `identity="`+identity+`"`, `phase1="`+phase1+`"`)
	file := filepath.Join(dir, "eapol.conf")
	must(os.WriteFile(file, []byte("network={\n\t"+strings.Join(lines, "\n\t")+"\n}\n"), 0o644))
	return file
}

// eapolTest runs wpa_supplicant's EAP peer against a front.
func eapolTest(t *testing.T, f *front, network string) (output string, err error) {
	t.Helper()
	b, err := exec.Command("eapol_test", "-c", network, "-a", "127.0.0.1", "-p", f.port(), "-s", radiusSecret, "-t", "20", "-r", "0").CombinedOutput()
	return string(b), err
}

func TestEapolTestLogsIn(t *testing.T) {
	labtest.Need(t, "eapol_test")
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 {
			continue // it has no keys for eapol_test to compare
		}
		t.Run(c.String(), func(t *testing.T) {
			sc, _ := c.configs()
			f := serveRadius(t, sc)
			out, err := eapolTest(t, f, wpaNetwork(t, t.TempDir(), c, thePKI().client, testPassword))
			if err != nil || !strings.Contains(out, "MPPE keys OK: 1  mismatch: 0") || !strings.HasSuffix(strings.TrimSpace(out), "SUCCESS") {
				t.Fatalf("eapol_test: %v\n%s\n%+v", err, labtest.Tail(out), f.said())
			}
			s, ok := outcome[Success](f.said())
			if !ok || s.Method != c.method || s.Inner != c.inner || s.TLS != c.version || s.Identity != c.identity() {
				t.Errorf("the server reports %+v", f.said())
			}
		})
	}
}
