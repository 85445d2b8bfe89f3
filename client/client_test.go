package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/suite"
)

func TestSelectorsAreCoveredExactly(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     []string
	}{
		{"0.0.0.0", "255.255.255.255", []string{"0.0.0.0/0"}},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", []string{"::/0"}},
		{"10.0.0.0", "10.0.0.255", []string{"10.0.0.0/24"}},
		{"10.0.0.1", "10.0.0.1", []string{"10.0.0.1/32"}},
		{"10.0.0.1", "10.0.0.6", []string{"10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"}},
		{"255.255.255.254", "255.255.255.255", []string{"255.255.255.254/31"}},
		{"10.0.0.9", "10.0.0.1", nil},
	} {
		var got []string
		for _, p := range cover(netip.MustParseAddr(c.from), netip.MustParseAddr(c.to)) {
			got = append(got, p.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s-%s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// writeProfile writes a profile with its files and returns its path.
func writeProfile(t *testing.T, change func(text string) string) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pc.alice"}, EmailAddresses: []string{"pc@alice"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := change(`device: pc
remote: 192.0.2.1
identity: pc@alice
remote_id: vpn.example.org
ports: [500, 4500]
ca: ca.crt
certificate: pc.crt
key: pc.key
ike: [aes256gcm16-prfsha384-ecp384]
esp: [aes256gcm16-ecp384]
routes: [0.0.0.0/0, "::/0"]
ipv4: true
ipv6: false
mobike: true
force_encapsulation: true
`)
	for name, content := range map[string][]byte{
		"pc.yaml": []byte(text),
		"pc.key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"pc.crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"pc.psk":  []byte("vK3zq8Rm1XwYt6LbNc9DgHf2\n"),
		"ca.crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "pc.yaml")
}

func TestProfileIsRead(t *testing.T) {
	p, err := Load(writeProfile(t, func(s string) string { return s }))
	if err != nil {
		t.Fatal(err)
	}
	if p.Remote != "192.0.2.1" || len(p.Routes) != 2 || len(p.ike) != 1 || len(p.esp) != 1 || p.identity.Key == nil {
		t.Errorf("read as %+v", p)
	}
}

func TestProfileWithAMistakeIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":       {"mobike:", "mobyke:", "mobyke"},
		"bad proposal":      {"aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha384-modp1024", "modp1024"},
		"no gateway":        {"remote: 192.0.2.1\n", "", "remote"},
		"no routes":         {`routes: [0.0.0.0/0, "::/0"]`, "routes: []", "routes"},
		"wrong identity":    {"identity: pc@alice", "identity: pc@mallory", "pc@mallory"},
		"one port":          {"[500, 4500]", "[500]", "ports"},
		"key that is not":   {"key: pc.key", "key: nowhere.key", "nowhere.key"},
		"no network at all": {"0.0.0.0/0", "0.0.0.0/99", "0.0.0.0/99"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(writeProfile(t, func(s string) string { return strings.Replace(s, c.old, c.new, 1) }))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// byPSK makes the profile one with a pre-shared key.
func byPSK(text string) string {
	return strings.Replace(text, "ca: ca.crt\ncertificate: pc.crt\nkey: pc.key\n", "auth: psk\npsk: pc.psk\n", 1)
}

func TestProfileWithAPreSharedKeyNeedsNoCertificate(t *testing.T) {
	p, err := Load(writeProfile(t, byPSK))
	if err != nil {
		t.Fatal(err)
	}
	if !p.psk.Equal([]byte("vK3zq8Rm1XwYt6LbNc9DgHf2")) {
		t.Error("the key is not the file without its line end")
	}
	b, err := newBackend(p)
	if err != nil {
		t.Fatal(err)
	}
	for what, method := range map[string]uint8{"a signature": 14, "the key of somebody else": 2} {
		_, err := b.Authenticate(&ike.Authenticate{Method: method, AuthData: make([]byte, 32), Suite: suite.IKE{PRF: suite.Transform{Type: suite.PRF, ID: 5}}})
		if r, ok := err.(*ike.Refusal); !ok || r.Hint == "" {
			t.Errorf("a gateway that comes with %s: %v, want a refusal with a hint", what, err)
		}
	}
}

func TestProfileThatMixesKeysAndCertificatesIsRefused(t *testing.T) {
	for what, c := range map[string]struct{ old, new, want string }{
		"no key":                       {"psk: pc.psk\n", "", "psk is missing"},
		"a key that is not there":      {"pc.psk", "nowhere.psk", "nowhere.psk"},
		"a certificate beside the key": {"psk: pc.psk", "psk: pc.psk\ncertificate: pc.crt", "certificate has no meaning"},
		"a CRL beside the key":         {"psk: pc.psk", "psk: pc.psk\ncrl: ca.crl", "crl has no meaning"},
		"a key with certificates":      {"auth: psk", "auth: certificate\nca: ca.crt\ncertificate: pc.crt\nkey: pc.key", "psk has no meaning"},
		"an empty key":                 {"pc.psk", "/dev/null", ""},
		"a way to log in that is not":  {"auth: psk", "auth: password", "none of"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := Load(writeProfile(t, func(s string) string { return strings.Replace(byPSK(s), c.old, c.new, 1) }))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestKeyThatOthersCanReadIsRefused(t *testing.T) {
	for name, change := range map[string]func(string) string{"pc.key": func(s string) string { return s }, "pc.psk": byPSK} {
		path := writeProfile(t, change)
		os.Chmod(filepath.Join(filepath.Dir(path), name), 0o644)
		if _, err := Load(path); err == nil || !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzProfile(f *testing.F) {
	f.Add([]byte("remote: 192.0.2.1\nroutes: [0.0.0.0/0]\n"))
	f.Add([]byte("ports: [1, 2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "p.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := Load(path); err == nil && len(p.Routes) == 0 {
			t.Error("a profile without routes was accepted")
		}
	})
}
