package profile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/lab/labtest"
)

// opaque hides a key behind crypto.Signer, as a key of another process is.
type opaque struct{ key crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.key.Public() }
func (o opaque) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.key.Sign(r, digest, opts)
}

// testSigner is a server's identity under a CA of its own.
func testSigner(t testing.TB, key crypto.Signer) (s *Signer, ca *x509.Certificate) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		}
	}
	make := func(c, parent *x509.Certificate, pub crypto.PublicKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, caKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	root := template("Test CA")
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	ca = make(root, root, caKey.Public())
	leaf := template("vpn.example.org")
	leaf.KeyUsage, leaf.ExtKeyUsage, leaf.DNSNames = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []string{"vpn.example.org"}
	return &Signer{Key: opaque{key}, Chain: []*x509.Certificate{make(leaf, ca, key.Public())}}, ca
}

func TestOpenSSLVerifiesSignedProfiles(t *testing.T) {
	labtest.Need(t, "openssl")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey, "ECDSA": ecKey} {
		signer, ca := testSigner(t, key)
		in := testInput(t, testZone(t, "strong", ""), "ecdsa")
		unsigned := mustMake(t, "ios", in)
		in.Signer = signer
		signed := mustMake(t, "ios", in).Files[0]
		if signed.Content != "" || len(signed.Data) == 0 {
			t.Fatalf("%s: the signed profile is text", name)
		}
		dir := t.TempDir()
		verify := func(message []byte) ([]byte, error) {
			for file, b := range map[string][]byte{"p.mobileconfig": message, "ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})} {
				if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c := exec.Command("openssl", "cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any", "-CAfile", "ca.pem", "-in", "p.mobileconfig")
			c.Dir = dir
			return c.Output()
		}
		got, err := verify(signed.Bytes())
		if err != nil || string(got) != unsigned.Files[0].Content {
			t.Errorf("%s: openssl does not verify it: %v, %d octets of %d", name, err, len(got), len(unsigned.Files[0].Content))
		}
		if _, err := verify(bytes.Replace(signed.Bytes(), []byte("DisableRedirect"), []byte("DisableRedirecx"), 1)); err == nil {
			t.Errorf("%s: openssl verifies a changed profile", name)
		}
	}
}

func TestAppleProfileHoldsTogether(t *testing.T) {
	in := testInput(t, testZone(t, "strong", ""), "ecdsa")
	p := applePlist(t, []byte(mustMake(t, "macos", in).Files[0].Content))
	v := p["com.apple.vpn.managed"]["IKEv2"].(map[string]any)
	if id := p["com.apple.security.pkcs12"]["PayloadUUID"]; v["PayloadCertificateUUID"] != id {
		t.Errorf("the tunnel uses the certificate %v, the file holds %v", v["PayloadCertificateUUID"], id)
	}
	if !bytes.Equal(p["com.apple.security.pkcs12"]["PayloadContent"].([]byte), in.PKCS12) {
		t.Error("the key is not the one it was given")
	}
	if _, ok := p["com.apple.security.pkcs12"]["Password"]; ok {
		t.Error("the password of the key lies beside it")
	}
	ca, err := x509.ParseCertificate(p["com.apple.security.root"]["PayloadContent"].([]byte))
	if err != nil || v["ServerCertificateIssuerCommonName"] != ca.Subject.CommonName {
		t.Errorf("the issuer is %v, the CA %v (%v)", v["ServerCertificateIssuerCommonName"], ca.Subject.CommonName, err)
	}
	for key, want := range map[string]any{
		"RemoteIdentifier": "vpn.example.org", "LocalIdentifier": "laptop@alice", "AuthenticationMethod": "Certificate", "CertificateType": "ECDSA256",
		"EnablePFS": uint64(1), "DisableRedirect": uint64(1), "MTU": uint64(1280), "ExtendedAuthEnabled": uint64(0), "EnableFallback": uint64(0),
	} {
		if v[key] != want {
			t.Errorf("%s is %v (%[2]T), want %v", key, v[key], want)
		}
	}
	seen := map[any]bool{}
	for typ, payload := range p {
		if seen[payload["PayloadUUID"]] {
			t.Errorf("the UUID of %q is not its own", typ)
		}
		seen[payload["PayloadUUID"]] = true
	}
	again := applePlist(t, []byte(mustMake(t, "macos", in).Files[0].Content))
	in.Device.Identity = "laptop@bob"
	other := applePlist(t, []byte(mustMake(t, "macos", in).Files[0].Content))
	if again[""]["PayloadUUID"] != p[""]["PayloadUUID"] || other[""]["PayloadUUID"] == p[""]["PayloadUUID"] {
		t.Error("a profile made again does not replace itself, or another device's does")
	}
}

func TestAppleOptions(t *testing.T) {
	in := testInput(t, testZone(t, "strong", ""), "rsa")
	in.Options = Options{OnDemand: true, KillSwitch: true}
	v := applePlist(t, []byte(mustMake(t, "ios", in).Files[0].Content))["com.apple.vpn.managed"]["IKEv2"].(map[string]any)
	rules := v["OnDemandRules"].([]any)
	last := rules[len(rules)-1].(map[string]any)
	if v["OnDemandEnabled"] != uint64(1) || len(last) != 1 || last["Action"] != "Connect" {
		t.Errorf("on demand: %v, %v: the last rule must match always", v["OnDemandEnabled"], rules)
	}
	if v["IncludeAllNetworks"] != uint64(1) || v["ExcludeLocalNetworks"] != uint64(0) || v["CertificateType"] != "RSA" {
		t.Errorf("kill switch: %v, local networks %v", v["IncludeAllNetworks"], v["ExcludeLocalNetworks"])
	}
	in.Options = Options{AlwaysOn: true}
	vpn := applePlist(t, []byte(mustMake(t, "ios", in).Files[0].Content))["com.apple.vpn.managed"]
	tunnels := vpn["AlwaysOn"].(map[string]any)["TunnelConfigurations"].([]any)
	if vpn["VPNType"] != "AlwaysOn" || len(tunnels) != 1 || tunnels[0].(map[string]any)["ProtocolType"] != "IKEv2" || vpn["IKEv2"] != nil {
		t.Errorf("always on: %v with %v", vpn["VPNType"], tunnels)
	}
}

func TestSplitZonesSendOnlyTheirRoutesIntoTheTunnel(t *testing.T) {
	zone := testZone(t, "strong", "    dns: {servers: [gateway], split: [corp.example]}\n    routes: [10.0.0.0/8]\n")
	vpn := applePlist(t, []byte(mustMake(t, "ios", testInput(t, zone, "ecdsa")).Files[0].Content))["com.apple.vpn.managed"]
	if vpn["IPv4"].(map[string]any)["OverridePrimary"] != uint64(0) || vpn["IKEv2"].(map[string]any)["EnforceRoutes"] != uint64(1) {
		t.Errorf("Apple: %v", vpn)
	}
	if dns := vpn["DNS"].(map[string]any)["SupplementalMatchDomains"].([]any); len(dns) != 1 || dns[0] != "corp.example" {
		t.Errorf("Apple asks the tunnel's resolver for %v", dns)
	}
	s := mustMake(t, "windows", testInput(t, zone, "ecdsa")).Files[0].Content
	script := parsePowerShell(t, s)
	if got := script.lists["Routes"]; len(got) != 1 || got[0] != "10.0.0.0/8" {
		t.Errorf("Windows has the routes %v", got)
	}
	if got := script.lists["DnsDomains"]; len(got) != 1 || got[0] != "corp.example" {
		t.Errorf("Windows asks the tunnel's resolver for %v", got)
	}
}
