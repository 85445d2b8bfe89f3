package certfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/source"
)

// host reads files as one host.
func host(pairs ...string) *posture.Host {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1]), Mode: 0o600}
	}
	h := &posture.Host{}
	in := source.NewInput(source.New("", m, true), h)
	var claimed []string
	all, _ := in.Walk(".")
	for _, p := range all {
		if Claims(p, func() []byte { return in.Head(p, 8<<10) }) {
			claimed = append(claimed, p)
		}
	}
	Read(in.For("", claimed))
	return h
}

func notes(h *posture.Host) string {
	var b strings.Builder
	for _, n := range h.Notes {
		b.WriteString(string(n.Kind) + " " + n.At.File + ": " + n.Text + "\n")
	}
	return b.String()
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func issue(t testing.TB, name string, ca bool, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign, SubjectKeyId: []byte{1},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func block(typ string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAPairOfFilesIsOneKey(t *testing.T) {
	key := newKey(t)
	h := host("etc/swanctl/x509/gw.pem", block("CERTIFICATE", issue(t, "gw", false, key)), "etc/swanctl/private/gw.pem", block("PRIVATE KEY", pkcs8(t, key)))
	if len(h.Keys) != 1 || len(h.Notes) > 0 {
		t.Fatalf("keys %d, notes %s", len(h.Keys), notes(h))
	}
	k := h.Keys[0]
	if k.Name != "gw" || k.Kind != "certificate" || !k.Private || k.Encrypted || k.CA || k.Public == nil {
		t.Errorf("key: %+v", k.Subject)
	}
	if len(k.Places) != 2 || k.At.File != "etc/swanctl/x509/gw.pem" || k.PrivateAt.File != "etc/swanctl/private/gw.pem" {
		t.Errorf("places: %v, the private one %v", k.Places, k.PrivateAt)
	}
	for _, f := range h.Files {
		if f.Secrets != strings.Contains(f.Path, "private/") {
			t.Errorf("%s holds secrets: %v", f.Path, f.Secrets)
		}
	}
}

func TestAPrivateKeyWithoutACertificateStaysAlone(t *testing.T) {
	h := host("a.key", block("PRIVATE KEY", pkcs8(t, newKey(t))), "b.pem", block("CERTIFICATE", issue(t, "b", false, newKey(t))))
	if len(h.Keys) != 2 || h.Keys[0].Certificate != nil || !h.Keys[0].Private || h.Keys[1].Private {
		t.Fatalf("keys: %+v", h.Keys)
	}
}

func TestFilesInDERAreRead(t *testing.T) {
	key := newKey(t)
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Unix(1e9, 0), NextUpdate: time.Unix(2e9, 0)},
		mustParse(t, issue(t, "root", true, key)), key)
	if err != nil {
		t.Fatal(err)
	}
	h := host("x509ca/root.der", string(issue(t, "root", true, key)), "private/key", string(pkcs8(t, key)), "root.crl", string(list))
	if len(h.Keys) != 1 || !h.Keys[0].CA || !h.Keys[0].Private || len(h.CRLs) != 1 || len(h.Notes) > 0 {
		t.Fatalf("keys %d, lists %d, notes %s", len(h.Keys), len(h.CRLs), notes(h))
	}
	if c := h.CRLs[0]; c.Issuer != "CN=root" || c.NextUpdate.Unix() != 2e9 {
		t.Errorf("list: %+v", c)
	}
}

func mustParse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEncryptedKeysAreNotedAndKept(t *testing.T) {
	old := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte{1, 2, 3}}))
	h := host("old.key", old, "new.key", block("ENCRYPTED PRIVATE KEY", []byte{1, 2, 3}), "store.p12", "\x30\x00")
	if len(h.Keys) != 2 || !h.Keys[0].Encrypted || !h.Keys[1].Encrypted {
		t.Fatalf("keys: %+v", h.Keys)
	}
	if n := strings.Count(notes(h), "opaque"); n != 3 {
		t.Errorf("notes:\n%s", notes(h))
	}
	for _, f := range h.Files {
		if !f.Secrets {
			t.Errorf("%s holds secrets", f.Path)
		}
	}
}

func TestALockedKeyBesideItsCertificateIsOneKey(t *testing.T) {
	h := host("gw.pem", block("CERTIFICATE", issue(t, "gw", false, newKey(t)))+block("ENCRYPTED PRIVATE KEY", []byte{1}))
	if len(h.Keys) != 1 || !h.Keys[0].Encrypted || h.Keys[0].Certificate == nil {
		t.Fatalf("keys: %+v", h.Keys)
	}
}

func TestParametersBeforeAKeyAreSkipped(t *testing.T) {
	key := newKey(t)
	der, _ := x509.MarshalECPrivateKey(key)
	h := host("k.pem", block("EC PARAMETERS", []byte{6, 0})+block("EC PRIVATE KEY", der))
	if len(h.Keys) != 1 || len(h.Notes) > 0 || h.Keys[0].At.Line != 4 {
		t.Fatalf("keys %+v, notes %s", h.Keys, notes(h))
	}
}

func TestADamagedBlockHidesNoOther(t *testing.T) {
	good := block("CERTIFICATE", issue(t, "good", false, newKey(t)))
	h := host("chain.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n"+good+"-----BEGIN WHATEVER-----\nAAAA\n-----END WHATEVER-----\n")
	if len(h.Keys) != 1 || h.Keys[0].At.Line != 3 {
		t.Fatalf("keys: %+v", h.Keys)
	}
	if text := notes(h); !strings.Contains(text, "damaged") || !strings.Contains(text, `"WHATEVER"`) {
		t.Errorf("notes:\n%s", text)
	}
}

func TestACertificateThatIsRefusedKeepsItsKey(t *testing.T) {
	der := issue(t, "odd", false, newKey(t))
	at := bytes.Index(der, []byte{2, 1, 7})
	der[at+2] = 0x87 // a negative serial number
	h := host("odd.pem", block("CERTIFICATE", der))
	if len(h.Keys) != 1 || h.Keys[0].Public == nil || !strings.Contains(notes(h), "malformed odd.pem: the certificate is refused") {
		t.Fatalf("keys %+v, notes %s", h.Keys, notes(h))
	}
}

func TestOtherFilesOfAnAuthorityAreNoFault(t *testing.T) {
	h := host("certs/index.txt", "", "certs/random", "\x00\x01", "certs/serial", "01\n", "certs/x.der", "\x00\x01")
	if got := notes(h); len(h.Keys) > 0 || strings.Count(got, "malformed") != 1 || strings.Count(got, "unparsed certs/random") != 1 || len(h.Notes) != 2 {
		t.Errorf("notes:\n%s", got)
	}
}

func TestACopyIsNoSecondKey(t *testing.T) {
	one := block("CERTIFICATE", issue(t, "ca", true, newKey(t)))
	h := host("a.pem", one, "b.crt", one+one)
	if len(h.Keys) != 1 || len(h.Keys[0].Places) != 3 {
		t.Fatalf("keys: %+v", h.Keys)
	}
}

func TestWhatIsClaimed(t *testing.T) {
	for _, c := range []struct {
		path, head string
		want       bool
	}{
		{"etc/ipsec.d/cacerts/ca.pem", "-----BEGIN CERTIFICATE-----", true},
		{"etc/swanctl/x509/anything", "", true},
		{"pki/private/a.key", "", true},
		{"etc/wireguard/private.key", "cHJpdmF0ZQ==", false},
		{"etc/ssl/certs/Some_Root.pem", "-----BEGIN CERTIFICATE-----", false},
		{"etc/ssl/certs/ssl-cert-snakeoil.pem", "-----BEGIN CERTIFICATE-----", true},
		{"x.p12", "", true},
		{"notes.txt", "-----BEGIN CERTIFICATE-----", false},
	} {
		if got := Claims(c.path, func() []byte { return []byte(c.head) }); got != c.want {
			t.Errorf("%s: %v", c.path, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	key := newKey(f)
	f.Add(issue(f, "a", true, key))
	f.Add(pkcs8(f, key))
	f.Add([]byte(block("CERTIFICATE", issue(f, "a", true, key)) + block("ENCRYPTED PRIVATE KEY", []byte{1}) + block("TRUSTED CERTIFICATE", issue(f, "b", true, key))))
	f.Fuzz(func(t *testing.T, data []byte) {
		host("private/a.pem", string(data), "b.der", string(data), "c.p12", string(data))
	})
}
