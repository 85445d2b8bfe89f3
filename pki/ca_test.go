package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport/internal/file"
	"sallyport/store"
	"sallyport/store/bolt"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newCA is a CA in a directory of its own.
func newCA(t testing.TB) *CA {
	t.Helper()
	ca, err := Create(t.Context(), newConfig(t), now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newConfig(t testing.TB) Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := bolt.Open(filepath.Join(dir, "state.db"), bolt.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return Config{Dir: filepath.Join(dir, "pki"), Index: s, Name: "Example CA"}
}

func issueDevice(t testing.TB, ca *CA, r DeviceRequest) *Issued {
	t.Helper()
	id, err := ca.IssueDevice(t.Context(), now, r)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCreateAndOpenAgain(t *testing.T) {
	c := newConfig(t)
	ca, err := Create(t.Context(), c, now)
	if err != nil {
		t.Fatal(err)
	}
	cert := ca.Certificate()
	if KindOf(cert.PublicKey) != ECDSAP384 || !cert.IsCA || cert.MaxPathLen != 0 || !cert.MaxPathLenZero {
		t.Errorf("the CA has key %s, CA %v, path length %d", KindOf(cert.PublicKey), cert.IsCA, cert.MaxPathLen)
	}
	if years := cert.NotAfter.Sub(now).Hours() / 24 / 365.25; years < 9.9 || years > 10.1 {
		t.Errorf("the CA lives %.1f years, want 10", years)
	}
	again, err := Open(t.Context(), c, now)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Certificate().Equal(cert) {
		t.Error("the CA that was opened is not the one that was created")
	}
	if _, err := Create(t.Context(), c, now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over an existing CA: %v, want fs.ErrExist", err)
	}
	if third, err := Open(t.Context(), c, now); err != nil || !third.Certificate().Equal(cert) {
		t.Errorf("after the refused Create the CA is not the same: %v", err)
	}
}

func TestFileModes(t *testing.T) {
	ca := newCA(t)
	if _, err := ca.ServerIdentities(t.Context(), now, []string{"vpn.example.org"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]fs.FileMode{"ca.pem": 0o600, "ca.crt": 0o644, "ca.crl": 0o600, "server-ecdsa-p256.pem": 0o600, "server-rsa-3072.pem": 0o600}
	entries, err := os.ReadDir(ca.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		i, _ := e.Info()
		if i.Mode().Perm() != want[e.Name()] {
			t.Errorf("%s has mode %04o, want %04o", e.Name(), i.Mode().Perm(), want[e.Name()])
		}
		delete(want, e.Name())
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if i, _ := os.Stat(ca.dir); i.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %04o", i.Mode().Perm())
	}
}

func TestOpenRefusesWithFileAndHint(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"missing":   func(t *testing.T, path string) { os.Remove(path) },
		"empty":     func(t *testing.T, path string) { os.WriteFile(path, nil, 0o600) },
		"truncated": func(t *testing.T, path string) { b, _ := os.ReadFile(path); os.WriteFile(path, b[:len(b)/3], 0o600) },
		"another key": func(t *testing.T, path string) {
			other, _ := os.ReadFile(filepath.Join(newCA(t).dir, caFile))
			mine, _ := os.ReadFile(path)
			key, _ := pem.Decode(other)
			_, rest := pem.Decode(mine)
			os.WriteFile(path, append(pem.EncodeToMemory(key), rest...), 0o600)
		},
		"open to all": func(t *testing.T, path string) { os.Chmod(path, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newConfig(t)
			if _, err := Create(t.Context(), c, now); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(c.Dir, caFile)
			damage(t, path)
			before, _ := os.ReadFile(path)
			_, err := Open(t.Context(), c, now)
			wantHint(t, err, path)
			if after, _ := os.ReadFile(path); !slices.Equal(before, after) {
				t.Error("the refused file was changed")
			}
		})
	}
}

// TestACAThatLostABitIsRefusedOrTheSame flips a bit of each octet of the CA's
// file: Open refuses it, with file and hint, or gets the same key and certificate.
func TestACAThatLostABitIsRefusedOrTheSame(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	ca, err := Create(t.Context(), c, now)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Dir, caFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range whole {
		damaged := slices.Clone(whole)
		damaged[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := Open(t.Context(), c, now)
		switch {
		case err != nil:
			wantHint(t, err, path)
			refused++
		case !again.cert.Equal(ca.cert) || !ca.key.Public().(*ecdsa.PublicKey).Equal(again.key.Public()):
			t.Errorf("octet %d, bit %d: another CA is opened", i, i%8)
		}
	}
	if refused < len(whole)/2 {
		t.Errorf("%d of %d were refused", refused, len(whole))
	}
}

// wantHint wants an error that names the file and says what to do.
func wantHint(t *testing.T, err error, path string) {
	t.Helper()
	var hint interface{ Hint() string }
	if !errors.As(err, &hint) || hint.Hint() == "" {
		t.Fatalf("error %v has no hint", err)
	}
	var fe *FileError
	var oe *file.OpenError
	if !(errors.As(err, &fe) && fe.File == path) && !(errors.As(err, &oe) && oe.Path == path) {
		t.Errorf("error %q does not name %s", err, path)
	}
}

func TestDeviceCertificate(t *testing.T) {
	ca := newCA(t)
	for _, kind := range []KeyKind{"", RSA2048, RSA3072, Ed25519, ECDSAP384} {
		id := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop", Key: kind})
		c := id.Cert
		if kind == "" {
			kind = ECDSAP256
		}
		if KindOf(c.PublicKey) != kind {
			t.Errorf("key %s, want %s", KindOf(c.PublicKey), kind)
		}
		if c.Subject.CommonName != "laptop.alice" || !slices.Equal(c.DNSNames, []string{"laptop.alice"}) || !slices.Equal(c.EmailAddresses, []string{"laptop@alice"}) {
			t.Errorf("names: %q, %q, %q", c.Subject.CommonName, c.DNSNames, c.EmailAddresses)
		}
		if !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) || len(c.UnknownExtKeyUsage) > 0 || c.IsCA {
			t.Errorf("uses: %v %v, CA %v", c.ExtKeyUsage, c.UnknownExtKeyUsage, c.IsCA)
		}
		if n := c.SerialNumber.BitLen(); c.SerialNumber.Sign() <= 0 || n != 127 {
			t.Errorf("serial number of %d bits", n)
		}
		r, err := ca.Lookup(t.Context(), c)
		if err != nil || r.User != "alice" || r.Device != "laptop" || r.Revoked != nil {
			t.Errorf("record %+v, %v", r, err)
		}
	}
	if records, err := ca.Records(t.Context()); err != nil || len(records) != 5 {
		t.Errorf("%d records, %v, want 5", len(records), err)
	}
}

func TestDeviceNames(t *testing.T) {
	for _, c := range []struct{ user, device, fqdn, email string }{
		{"alice", "laptop", "laptop.alice", "laptop@alice"},
		{"alice@example.org", "mac-1", "mac-1.alice.example.org", "mac-1@alice.example.org"},
		{"bob_2", "a", "a.bob_2", "a@bob_2"},
	} {
		if id, err := NewDeviceID(c.user, c.device); err != nil || id.FQDN != c.fqdn || id.Email != c.email {
			t.Errorf("%s, %s: %+v, %v", c.user, c.device, id, err)
		}
	}
	for _, c := range [][2]string{
		{"", "laptop"}, {"alice", ""}, {"alice", "lap.top"}, {"alice", "Laptop"}, {"alice", "-x"}, {"al ice", "x"},
		{"a@b@c", "x"}, {"alice\n", "x"}, {"*", "x"}, {"alice", "x\x00"}, {"alice", "abcdefghijabcdefghijabcdefghij123"},
		{"a.very.long.name.of.a.user.who.has.many.labels.in.it@example.org", "laptop"}, {"álice", "x"}, {"a..b", "x"},
	} {
		if id, err := NewDeviceID(c[0], c[1]); err == nil {
			t.Errorf("user %q, device %q gave %+v, want an error", c[0], c[1], id)
		}
	}
}

func TestOneNameBelongsToOneUser(t *testing.T) {
	ca := newCA(t)
	issueDevice(t, ca, DeviceRequest{User: "a@b", Device: "laptop"})
	issueDevice(t, ca, DeviceRequest{User: "a@b", Device: "laptop"}) // renewal
	_, err := ca.IssueDevice(t.Context(), now, DeviceRequest{User: "a.b", Device: "laptop"})
	var taken *NameTakenError
	if !errors.As(err, &taken) || taken.Owner != "a@b" {
		t.Fatalf("a second user's device of the same name: %v", err)
	}
	if _, _, err := ca.RevokeDevice(t.Context(), now, "a.b", "laptop", Unspecified); err == nil {
		t.Error("user a.b revoked the device of user a@b")
	}
}

func TestCSRGivesItsKeyAlone(t *testing.T) {
	ca := newCA(t)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "admin"}, DNSNames: []string{"vpn.example.org"}, EmailAddresses: []string{"root@example.org"},
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 0x03, 0x01, 0x01, 0xff}}},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{csr, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})} {
		id := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "phone", CSR: form})
		if !key.PublicKey.Equal(id.Cert.PublicKey) || id.Key != nil {
			t.Error("the certificate is not for the CSR's key")
		}
		if id.Cert.IsCA || id.Cert.Subject.CommonName != "phone.alice" || !slices.Equal(id.Cert.DNSNames, []string{"phone.alice"}) || !slices.Equal(id.Cert.EmailAddresses, []string{"phone@alice"}) {
			t.Errorf("the CSR's names or extensions came through: %v %q %q", id.Cert.IsCA, id.Cert.Subject, id.Cert.DNSNames)
		}
	}
	for name, bad := range map[string][]byte{
		"forged":    forged(csr),
		"truncated": csr[:len(csr)-9],
		"weak":      weakCSR(t),
		"large":     make([]byte, maxCSR+1),
	} {
		if _, err := ca.IssueDevice(t.Context(), now, DeviceRequest{User: "alice", Device: "phone", CSR: bad}); err == nil {
			t.Errorf("a %s CSR was signed", name)
		}
	}
}

func forged(der []byte) []byte {
	b := slices.Clone(der)
	b[len(b)-1] ^= 1
	return b
}

func weakCSR(t *testing.T) []byte {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestServerIdentities(t *testing.T) {
	ca := newCA(t)
	names := []string{"VPN.example.org", "192.0.2.1", "2001:db8::1"}
	ids, err := ca.ServerIdentities(t.Context(), now, names)
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 2 || KindOf(ids[0].Cert.PublicKey) != ECDSAP256 || KindOf(ids[1].Cert.PublicKey) != RSA3072 {
		t.Fatal("want an ECDSA P-256 and an RSA-3072 identity")
	}
	for _, id := range ids {
		c := id.Cert
		// Windows looks for addresses among the dNSNames.
		if !slices.Equal(c.DNSNames, []string{"vpn.example.org", "192.0.2.1", "2001:db8::1"}) || len(c.IPAddresses) != 2 {
			t.Errorf("names: %q, %v", c.DNSNames, c.IPAddresses)
		}
		if !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || len(c.UnknownExtKeyUsage) != 1 || !c.UnknownExtKeyUsage[0].Equal(oidIKEIntermediate) {
			t.Errorf("uses: %v %v", c.ExtKeyUsage, c.UnknownExtKeyUsage)
		}
		if life := c.NotAfter.Sub(c.NotBefore); life > 398*day {
			t.Errorf("it lives %v; Apple accepts 398 days", life)
		}
	}
	same := func(at time.Time, names []string) bool {
		t.Helper()
		again, err := ca.ServerIdentities(t.Context(), at, names)
		if err != nil {
			t.Fatal(err)
		}
		return again[0].Cert.Equal(ids[0].Cert) && again[1].Cert.Equal(ids[1].Cert)
	}
	if !same(now.Add(250*day), names) {
		t.Error("renewed although more than a third was left")
	}
	if same(now.Add(270*day), names) {
		t.Error("not renewed although less than a third was left")
	}
	if same(now, []string{"other.example.org"}) {
		t.Error("not renewed although the names changed")
	}
}

// TestAServerCertificateThatLostABitIsIssuedAnew: clients would refuse it, and
// the gateway would not know why nobody comes in.
func TestAServerCertificateThatLostABitIsIssuedAnew(t *testing.T) {
	ca := newCA(t)
	names := []string{"vpn.example.org"}
	ids, err := ca.ServerIdentities(t.Context(), now, names)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(ca.dir, "server-"+string(serverKinds[0])+".pem")
	key, err := x509.MarshalPKCS8PrivateKey(ids[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: forged(ids[0].Cert.Raw)})...)
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := ca.ServerIdentities(t.Context(), now, names)
	if err != nil {
		t.Fatal(err)
	}
	if err := again[0].Cert.CheckSignatureFrom(ca.cert); err != nil {
		t.Errorf("clients are shown a certificate that is not as it was signed: %v", err)
	}
	if !again[1].Cert.Equal(ids[1].Cert) {
		t.Error("the other identity, which is whole, was replaced")
	}
}

func TestServerNamesAreChecked(t *testing.T) {
	ca := newCA(t)
	for _, names := range [][]string{nil, {""}, {"*.example.org"}, {"a b"}, {"vpn_1.example.org"}, {"fe80::1%eth0"}, {"ok.example.org", "\x00"}} {
		if _, err := ca.IssueServer(t.Context(), now, names, ECDSAP256); err == nil {
			t.Errorf("names %q were certified", names)
		}
	}
}

func TestNothingIsIssuedBeyondTheCA(t *testing.T) {
	ca := newCA(t)
	late := ca.cert.NotAfter.Add(-day)
	id, err := ca.IssueDevice(t.Context(), late, DeviceRequest{User: "alice", Device: "laptop"})
	if err != nil {
		t.Fatal(err)
	}
	if id.Cert.NotAfter.After(ca.cert.NotAfter) {
		t.Error("the certificate outlives its CA")
	}
	if _, err := ca.IssueDevice(t.Context(), ca.cert.NotAfter.Add(2*day), DeviceRequest{User: "alice", Device: "laptop"}); err == nil {
		t.Error("an expired CA issued a certificate")
	}
}

func TestNoRecordNoCertificate(t *testing.T) {
	c := newConfig(t)
	ca, err := Create(t.Context(), c, now)
	if err != nil {
		t.Fatal(err)
	}
	c.Index.Close()
	if _, err := ca.IssueDevice(context.Background(), now, DeviceRequest{User: "alice", Device: "laptop"}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("issued without a record: %v", err)
	}
}

func BenchmarkIssueDevice(b *testing.B) {
	ca := newCA(b)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			issueDevice(b, ca, DeviceRequest{User: "alice", Device: "laptop"})
		}
	})
}

func BenchmarkSignP256(b *testing.B) {
	for _, kind := range []KeyKind{ECDSAP256, ECDSAP384} {
		b.Run(string(kind), func(b *testing.B) {
			key, cert, err := selfSigned("bench", kind, now)
			if err != nil {
				b.Fatal(err)
			}
			ca := &CA{cert: cert, key: key}
			for b.Loop() {
				device, _ := generate(ECDSAP256)
				if _, err := ca.issue(&x509.Certificate{NotBefore: now, NotAfter: now.Add(day)}, device.Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAZonesIdentitiesHaveKeysOfTheirOwn(t *testing.T) {
	ca := newCA(t)
	names := []string{"vpn.example.org"}
	all, err := ca.ServerIdentities(t.Context(), now, names)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := ca.ZoneIdentities(t.Context(), now, "printers", names)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if slices.Equal(all[i].Cert.RawSubjectPublicKeyInfo, zone[i].Cert.RawSubjectPublicKeyInfo) {
			t.Errorf("the zone's %s key is the gateway's", KindOf(all[i].Cert.PublicKey))
		}
	}
	again, err := ca.ZoneIdentities(t.Context(), now, "printers", names)
	if err != nil || !again[0].Cert.Equal(zone[0].Cert) {
		t.Errorf("the zone's identities are made anew each time (%v)", err)
	}
}
