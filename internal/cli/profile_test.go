package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

func TestTheKeyForAnAppleProfileOpensWithItsPassword(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "phone.alice"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"phone.key": {Type: "PRIVATE KEY", Bytes: private}, "phone.crt": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p12, password, err := encryptKey(dir, "phone")
	if err != nil {
		t.Fatal(err)
	}
	got, cert, _, err := pkcs12.DecodeChain(p12, password)
	if err != nil || !key.Equal(got) || cert.Subject.CommonName != "phone.alice" {
		t.Errorf("the file opens to %T of %v: %v", got, cert, err)
	}
	if _, _, _, err := pkcs12.DecodeChain(p12, "wrong"); err == nil {
		t.Error("the file opens with any password")
	}
	if again, second, _ := encryptKey(dir, "phone"); second == password || len(again) == 0 {
		t.Error("the password is used twice")
	}
	if _, _, err := encryptKey(dir, "../phone"); err != nil {
		t.Errorf("a path is reduced to its last part: %v", err)
	}
}

func TestAPreSharedKeyIsReadFromAFileThatIsItsOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	if key, err := readPSK(dir, "router"); key != nil || err != nil {
		t.Errorf("without a file: %d octets, %v", len(key), err)
	}
	path := filepath.Join(dir, "router.psk")
	if err := os.WriteFile(path, []byte("kq7n2m4xwz8r5t3v6b9c2d4f7h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := readPSK(dir, "../router"); string(key) != "kq7n2m4xwz8r5t3v6b9c2d4f7h" || err != nil {
		t.Errorf("%q, %v", key, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := readPSK(dir, "router"); err == nil {
		t.Error("a key that others can read is taken")
	}
}
