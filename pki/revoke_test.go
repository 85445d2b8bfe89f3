package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestRevocationIsInTheCRLAtOnce(t *testing.T) {
	ca := newCA(t)
	laptop := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop"})
	phone := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "phone"})
	v := verifier(t, Trust{Roots: []*x509.Certificate{ca.Certificate()}, CRLs: []*CRL{ca.CRL()}, Strict: true})
	if _, err := v.Verify(now, laptop.Chain, Client); err != nil {
		t.Fatal(err)
	}
	before := ca.CRL()
	crl, err := ca.Revoke(t.Context(), now, SerialText(laptop.Cert.SerialNumber), KeyCompromise)
	if err != nil {
		t.Fatal(err)
	}
	if crl.Number.Cmp(before.Number) <= 0 {
		t.Errorf("CRL number went from %d to %d", before.Number, crl.Number)
	}
	if onDisk, err := os.ReadFile(filepath.Join(ca.dir, crlFile)); err != nil || !bytes.Equal(onDisk, crl.Raw) {
		t.Errorf("the CRL is not on disk: %v", err)
	}
	if err := v.AddCRL(crl); err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(now, laptop.Chain, Client)
	wantReason(t, err, Revoked)
	if _, err = v.Verify(now, phone.Chain, Client); err != nil {
		t.Errorf("the other device: %v", err)
	}
	r, err := ca.Lookup(t.Context(), laptop.Cert)
	if err != nil || r.Revoked == nil || r.Revoked.Cause != KeyCompromise || !r.Revoked.At.Equal(now) {
		t.Errorf("record %+v, %v", r, err)
	}
}

func TestRevokingADeviceRevokesAllItsCertificates(t *testing.T) {
	ca := newCA(t)
	old := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop", Validity: day})
	issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop"})
	issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop"})
	phone := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "phone"})
	records, crl, err := ca.RevokeDevice(t.Context(), now.Add(2*day), "alice", "laptop", CessationOfOperation)
	if err != nil || len(records) != 2 || crl.Len() != 2 {
		t.Fatalf("revoked %d certificates, %v, want the 2 that had not expired", len(records), err)
	}
	for _, id := range []*Issued{old, phone} {
		if _, ok := crl.Lookup(id.Cert.SerialNumber); ok {
			t.Errorf("%s is in the CRL", id.Cert.Subject)
		}
	}
	records, _, err = ca.RevokeDevice(t.Context(), now.Add(3*day), "alice", "laptop", KeyCompromise)
	if err != nil || len(records) != 0 {
		t.Errorf("second revocation: %d certificates, %v", len(records), err)
	}
	var unknown *NotIssuedError
	if _, _, err := ca.RevokeDevice(t.Context(), now, "bob", "laptop", Unspecified); !errors.As(err, &unknown) {
		t.Errorf("an unknown device: %v", err)
	}
	if _, err := ca.Revoke(t.Context(), now, "4711", Unspecified); !errors.As(err, &unknown) {
		t.Errorf("an unknown serial number: %v", err)
	}
}

func TestRevocationKeepsItsFirstTime(t *testing.T) {
	ca := newCA(t)
	id := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop"})
	serial := SerialText(id.Cert.SerialNumber)
	for i, cause := range []CRLReason{KeyCompromise, Superseded} {
		if _, err := ca.Revoke(t.Context(), now.Add(time.Duration(i)*day), serial, cause); err != nil {
			t.Fatal(err)
		}
	}
	if e, ok := ca.CRL().Lookup(id.Cert.SerialNumber); !ok || !e.At.Equal(now) || e.Cause != KeyCompromise {
		t.Errorf("entry %+v, %v", e, ok)
	}
}

func TestCRLSurvivesACrashBeforeItWasWritten(t *testing.T) {
	c := newConfig(t)
	ca, err := Create(t.Context(), c, now)
	if err != nil {
		t.Fatal(err)
	}
	id := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop"})
	r, _ := ca.Lookup(t.Context(), id.Cert)
	if err := ca.revoke(t.Context(), now, []Record{r}, KeyCompromise); err != nil { // and then the power fails
		t.Fatal(err)
	}
	again, err := Open(t.Context(), c, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := again.CRL().Lookup(id.Cert.SerialNumber); !ok {
		t.Error("the revocation is lost")
	}
	if again.CRL().Number.Cmp(ca.CRL().Number) <= 0 {
		t.Errorf("CRL number went from %d to %d", ca.CRL().Number, again.CRL().Number)
	}
	os.WriteFile(filepath.Join(c.Dir, crlFile), []byte("damaged"), 0o600)
	if third, err := Open(t.Context(), c, now.Add(time.Hour)); err != nil || third.CRL().Len() != 1 {
		t.Errorf("a damaged CRL was not made anew: %v", err)
	}
}

func TestCRLNumbersGrowWhenTheClockGoesBack(t *testing.T) {
	ca := newCA(t)
	last := ca.CRL().Number
	for _, at := range []time.Time{now, now.Add(-30 * day), now, now.Add(time.Millisecond)} {
		crl, err := ca.RenewCRL(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if crl.Number.Cmp(last) <= 0 {
			t.Errorf("number %d after %d", crl.Number, last)
		}
		last = crl.Number
	}
}

func TestTheCRLForgetsExpiredCertificates(t *testing.T) {
	ca := newCA(t)
	id := issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop", Validity: day})
	if _, err := ca.Revoke(t.Context(), now, SerialText(id.Cert.SerialNumber), Superseded); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   time.Time
		want int
	}{{now.Add(2 * day), 1}, {now.Add(9 * day), 0}} { // in this order: the last one's age counts below
		if crl, err := ca.RenewCRL(t.Context(), c.at); err != nil || crl.Len() != c.want {
			t.Errorf("at %v: %d entries, %v, want %d", c.at, crl.Len(), err, c.want)
		}
	}
	if ca.CRLDue(now.Add(10*day)) || !ca.CRLDue(now.Add(13*day)) {
		t.Error("a CRL is due at half its life of 7 days")
	}
}

func TestConcurrentRevocations(t *testing.T) {
	ca := newCA(t)
	var ids []*Issued
	for range 16 {
		ids = append(ids, issueDevice(t, ca, DeviceRequest{User: "alice", Device: "laptop"}))
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			crl, err := ca.Revoke(t.Context(), now, SerialText(id.Cert.SerialNumber), Unspecified)
			if err != nil {
				t.Error(err)
				return
			}
			if _, ok := crl.Lookup(id.Cert.SerialNumber); !ok {
				t.Error("the CRL of a revocation does not have it")
			}
		})
	}
	wg.Wait()
	if n := ca.CRL().Len(); n != len(ids) {
		t.Errorf("%d entries, want %d", n, len(ids))
	}
}

func TestCRLsThatCoverOnlyAPartAreRefused(t *testing.T) {
	root := newRoot(t, "root")
	for name, oid := range map[string]asn1.ObjectIdentifier{
		"delta":                {2, 5, 29, 27},
		"issuing distribution": {2, 5, 29, 28},
	} {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(day),
			ExtraExtensions: []pkix.Extension{{Id: oid, Critical: true, Value: []byte{0x30, 0}}},
		}, root.cert, root.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCRLs(der); err == nil {
			t.Errorf("a CRL with a critical %s extension was taken for a whole one", name)
		}
	}
}

func TestAllCRLsOfAFileAreRead(t *testing.T) {
	a, b := newRoot(t, "a"), newRoot(t, "b")
	both := append(a.crl(t, 1, now.Add(day)).PEM(), b.crl(t, 2, now.Add(day)).PEM()...)
	path := filepath.Join(t.TempDir(), "crls.pem")
	os.WriteFile(path, both, 0o600)
	crls, err := LoadCRLs(path)
	if err != nil || len(crls) != 2 {
		t.Fatalf("%d CRLs, %v", len(crls), err)
	}
	os.WriteFile(path, append(a.crl(t, 1, now.Add(day)).PEM(), []byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n")...), 0o600)
	_, err = LoadCRLs(path)
	var fe *FileError
	if !errors.As(err, &fe) || fe.File != path || fe.Line < 2 {
		t.Errorf("a damaged second CRL: %v", err)
	}
}

func FuzzParseCRLs(f *testing.F) {
	root := newRoot(f, "root")
	l := root.crl(f, 7, now.Add(day), root.under(f, "d"))
	f.Add(l.Raw)
	f.Add(l.PEM())
	f.Add(append(l.PEM(), l.PEM()...))
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		crls, err := ParseCRLs(b)
		if err != nil {
			return
		}
		for _, l := range crls {
			l.Lookup(big.NewInt(1))
			if _, err := ParseCRLs(l.Raw); err != nil {
				t.Errorf("what was read cannot be read again: %v", err)
			}
			if v, err := NewVerifier(Trust{Roots: certsOf(root), CRLs: []*CRL{l}}); err == nil && v == nil {
				t.Error("no verifier and no error")
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	root := newRoot(f, "root")
	ca := root.under(f, "ca", isCA(-1))
	v := trusting(f, root)
	mine := chain(ca.under(f, "d"), ca)
	f.Add(mine[0], mine[1])
	f.Add(mine[1], mine[0])
	f.Add(mine[0], root.cert.Raw)
	f.Fuzz(func(t *testing.T, leaf, intermediate []byte) {
		c, err := v.Verify(now, [][]byte{leaf, intermediate}, Client)
		if err == nil && !bytes.Equal(c.Raw, mine[0]) {
			t.Errorf("accepted %x", leaf)
		}
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("an error without a reason: %v", err)
		}
	})
}
