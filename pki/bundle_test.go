package pki

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
)

// openssl runs the program on what we wrote: another implementation's opinion.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	labtest.Need(t, "openssl")
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := WritePrivate(path, b); err != nil {
		t.Fatal(err)
	}
	if i, _ := os.Stat(path); i.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %04o, want 0600", name, i.Mode().Perm())
	}
	return path
}

func TestOpenSSLReadsPKCS12(t *testing.T) {
	ca := newCA(t)
	for _, kind := range []KeyKind{ECDSAP256, RSA2048, Ed25519} {
		id := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop", Key: kind})
		for _, profile := range []PKCS12Profile{Modern, Legacy} {
			password := NewPassword()
			p12, err := id.PKCS12(profile, password)
			if err != nil {
				t.Fatal(err)
			}
			key, cert, cas, err := pkcs12.DecodeChain(p12, string(password))
			if err != nil || !cert.Equal(id.Cert) || len(cas) != 1 || !cas[0].Equal(ca.Certificate()) || key == nil {
				t.Errorf("%s, %s: it does not come back: %v", kind, profile, err)
			}
			args := []string{"pkcs12", "-in", write(t, "d.p12", p12), "-nodes", "-info", "-passin", "pass:" + string(password)}
			if profile == Legacy {
				args = append(args, "-legacy")
			}
			text := openssl(t, args...)
			wantIn(t, text, "BEGIN PRIVATE KEY", "laptop.alice", "Example CA")
			wantIn(t, text, map[PKCS12Profile]string{Modern: "AES-256-CBC", Legacy: "TripleDES"}[profile])
			if strings.Count(text, "BEGIN CERTIFICATE") != 2 {
				t.Errorf("%s, %s: want the certificate and the root in\n%s", kind, profile, text)
			}
		}
	}
}

func TestPKCS12NeedsItsPasswordAndAKey(t *testing.T) {
	ca := newCA(t)
	id := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop"})
	p12, err := id.PKCS12(Modern, NewPassword())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := pkcs12.DecodeChain(p12, "wrong"); !errors.Is(err, pkcs12.ErrIncorrectPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := (&Issued{Cert: id.Cert, Chain: id.Chain}).PKCS12(Modern, NewPassword()); err == nil {
		t.Error("PKCS#12 without a key")
	}
	if _, err := id.PKCS12("best", NewPassword()); err == nil {
		t.Error("PKCS#12 of an unknown profile")
	}
}

func TestPasswords(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		p := string(NewPassword())
		if len(p) != 26 || strings.Trim(p, "abcdefghijkmnpqrstuvwxyz23456789") != "" { // 26 of 5 bits are 130
			t.Fatalf("password %q", p)
		}
		seen[p] = true
	}
	if len(seen) != 100 {
		t.Error("a password came twice")
	}
	if NewPassword().String() != secret.Bytes("x").String() {
		t.Error("a password can be printed by accident")
	}
}

func TestOpenSSLVerifiesWhatWasIssued(t *testing.T) {
	ca := newCA(t)
	crt := filepath.Join(ca.dir, caCertFile)
	id := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop"})
	bundle, err := id.PEM()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "laptop.pem", bundle)
	at := []string{"-attime", "1795435200"} // 2026-11-23 12:00 UTC
	openssl(t, append(append([]string{"verify"}, at...), "-x509_strict", "-purpose", "sslclient", "-CAfile", crt, path)...)
	wantIn(t, openssl(t, "x509", "-in", path, "-noout", "-text"),
		"DNS:laptop.alice, email:laptop@alice", "TLS Web Client Authentication", "Digital Signature", "CA:FALSE", "Subject Key Identifier", "Authority Key Identifier")
	openssl(t, "pkey", "-in", path, "-noout", "-check")

	if _, err := ca.Revoke(t.Context(), now, SerialText(id.Cert.SerialNumber), KeyCompromise); err != nil {
		t.Fatal(err)
	}
	crl := openssl(t, "crl", "-inform", "DER", "-in", filepath.Join(ca.dir, crlFile), "-CAfile", crt, "-text")
	wantIn(t, crl, "verify OK", "Key Compromise", "X509v3 CRL Number", strings.ToUpper(SerialText(id.Cert.SerialNumber)))
	crlPEM := write(t, "ca.crl.pem", ca.CRL().PEM())
	out, err := exec.Command("openssl", append(append([]string{"verify"}, at...), "-crl_check", "-CRLfile", crlPEM, "-CAfile", crt, path)...).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("certificate revoked")) {
		t.Errorf("openssl accepts a revoked certificate: %s", out)
	}

	ids, err := ca.ServerIdentities(t.Context(), now, []string{"vpn.example.org", "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		path := filepath.Join(ca.dir, "server-"+string(KindOf(id.Cert.PublicKey))+".pem")
		openssl(t, append(append([]string{"verify"}, at...), "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "vpn.example.org", "-CAfile", crt, path)...)
		wantIn(t, openssl(t, "x509", "-in", path, "-noout", "-text"),
			"DNS:vpn.example.org, DNS:192.0.2.1, IP Address:192.0.2.1", "TLS Web Server Authentication", "1.3.6.1.5.5.8.2.2")
	}
	wantIn(t, openssl(t, "x509", "-in", crt, "-noout", "-text"), "CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "secp384r1")
}

func TestWeReadWhatOpenSSLWrote(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
	}{
		{"RSA", []string{"req", "-x509", "-newkey", "rsa:2048"}},
		{"EC", []string{"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}},
		{"Ed25519", []string{"req", "-x509", "-newkey", "ed25519"}},
	} {
		key, cert := filepath.Join(dir, "k.pem"), filepath.Join(dir, "c.pem")
		openssl(t, append(c.args, "-nodes", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:x", "-keyout", key, "-out", cert)...)
		k, _ := os.ReadFile(key)
		crt, _ := os.ReadFile(cert)
		if _, err := ParseIdentity(append(k, crt...)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	traditional := []byte(openssl(t, "ecparam", "-genkey", "-noout", "-name", "prime256v1"))
	b, _ := pem.Decode(traditional)
	if b == nil || b.Type != "EC PRIVATE KEY" {
		t.Fatal("openssl wrote no SEC 1 key")
	}
	if _, err := parseKey(b); err != nil {
		t.Errorf("SEC 1: %v", err)
	}
}

func TestAllCertificatesOfAFileAreLoaded(t *testing.T) { // strongSwan #3072
	a, b, c := newRoot(t, "a"), newRoot(t, "b"), newRoot(t, "c")
	text := encodeCerts(chain(a, b, c)...)
	certs, err := LoadCertificates(write(t, "roots.pem", append([]byte("# our roots\n"), text...)))
	if err != nil || len(certs) != 3 {
		t.Fatalf("%d certificates, %v, want 3", len(certs), err)
	}
	v := verifier(t, Trust{Roots: certs})
	for _, root := range []*node{a, b, c} {
		if _, err := v.Verify(now, chain(root.under(t, "d")), Client); err != nil {
			t.Error(err)
		}
	}
	if certs, err := ParseCertificates(a.cert.Raw); err != nil || len(certs) != 1 {
		t.Errorf("DER: %d certificates, %v", len(certs), err)
	}
}

func TestADamagedBundleNamesFileAndLine(t *testing.T) {
	a := newRoot(t, "a")
	good := encodeCerts(a.cert.Raw)
	bad := pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: a.cert.Raw[:100]})
	path := write(t, "roots.pem", bytes.Join([][]byte{[]byte("# comment\n"), good, bad}, nil))
	_, err := LoadCertificates(path)
	var fe *FileError
	if !errors.As(err, &fe) {
		t.Fatalf("error %v, want *FileError", err)
	}
	if want := 2 + bytes.Count(good, []byte("\n")); fe.File != path || fe.Line != want {
		t.Errorf("error at %s line %d, want line %d", fe.File, fe.Line, want)
	}
	for name, content := range map[string][]byte{"empty": nil, "text": []byte("hello\n"), "key": pem.EncodeToMemory(&pem.Block{Type: pemKey})} {
		if _, err := LoadCertificates(write(t, name, content)); !errors.As(err, &fe) {
			t.Errorf("%s: %v, want *FileError", name, err)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	root := newRoot(f, "root")
	whole, err := encodeIdentity(&Issued{Key: root.key, Chain: [][]byte{root.cert.Raw}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(append(whole, whole...))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := ParseIdentity(b); err == nil && (id.Key == nil || id.Cert == nil || len(id.Chain) == 0) {
			t.Error("an incomplete identity was read")
		}
		ParseCertificates(b)
	})
}

func FuzzCSR(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if pub, err := csrKey(b); err == nil && weakness(pub) != "" {
			t.Error("a weak key was accepted")
		}
	})
}
