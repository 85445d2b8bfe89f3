package audit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"sallyport/posture"
)

var testDay = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func debianLine(n *big.Int) string {
	sum := sha1.Sum(fmt.Appendf(nil, "Modulus=%X\n", n))
	return hexOf(sum[debianHash:])
}

func keyOf(public any) *posture.Key {
	return &posture.Key{Subject: posture.Subject{Dialect: posture.X509, Kind: "key", Name: "key.pem", At: posture.Pos{File: "key.pem"}}, Public: public}
}

// certified is a certificate of so many days from a day on, and its key.
func certified(t *testing.T, name string, from time.Time, days int, key *ecdsa.PrivateKey) posture.Key {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: from.AddDate(0, 0, days)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	k := keyOf(key.Public())
	k.Name, k.Certificate = name, der
	return *k
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keySays is what one rule says of keys that are each on a host of their own.
func keySays(id string, keys ...posture.Key) (words []string, results []Result) {
	a := New(Options{Now: testDay})
	for i, k := range keys {
		a.Host(&posture.Host{Name: fmt.Sprintf("host%d", i), Keys: []posture.Key{k}})
	}
	a.End()
	for _, r := range a.Results {
		if r.Rule.ID == id {
			word := string(r.Outcome)
			if r.Outcome == Found {
				word = r.Severity.String()
			}
			words, results = append(words, word), append(results, r)
		}
	}
	return words, results
}

func wantSaid(t *testing.T, what, id, want string, keys ...posture.Key) []Result {
	t.Helper()
	words, results := keySays(id, keys...)
	if got := strings.Join(words, " "); got != want {
		t.Errorf("%s: %s says %q, and not %q", what, id, got, want)
	}
	for _, r := range results {
		if r.Outcome == Found && (r.Fix == "" || r.Detail == "" || r.Evidence.At.File == "") {
			t.Errorf("%s: without a fix, a sentence or a place: %+v", what, r)
		}
	}
	return results
}

func TestCertificatesAndTheirDates(t *testing.T) {
	key := newECKey(t)
	for _, c := range []struct {
		what string
		from int // days from today
		days int
		want string
	}{
		{"a good year", -30, 365, "ok"}, {"expired", -400, 365, "high"}, {"not yet", 10, 365, "high"}, {"a fortnight left", -351, 365, "medium"}, {"ten years", -1, 3650, "medium"},
	} {
		wantSaid(t, c.what, "KEY-009", c.want, certified(t, "gw", testDay.AddDate(0, 0, c.from), c.days, key))
	}
	broken := keyOf(nil)
	broken.Certificate = []byte{0x30, 0x03, 1, 2, 3}
	wantSaid(t, "no certificate", "KEY-009", "unassessable", *broken)
}

func TestAKeyAtTwoPlaces(t *testing.T) {
	private := certified(t, "gw", testDay, 365, newECKey(t))
	private.Private = true
	public := private
	public.Private = false
	results := wantSaid(t, "one private key on two hosts", "KEY-012", "ok high", private, private)
	if !strings.Contains(results[1].Detail, `"host0"`) || results[1].Host != "host1" {
		t.Errorf("the later place does not name the earlier: %s", results[1].Detail)
	}
	wantSaid(t, "its certificate elsewhere", "KEY-012", "ok ok", private, public)
	key := newECKey(t)
	wantSaid(t, "one key for two users", "KEY-012", "ok high", certified(t, "anna", testDay, 365, key), certified(t, "bob", testDay, 365, key))
	ca := private
	ca.CA = true
	wantSaid(t, "an authority's key", "KEY-012", "high", ca)
	ca.Private = false
	wantSaid(t, "an authority's certificate on two hosts", "KEY-012", "ok ok", ca, ca)
}

func TestSharedPrimesAreFoundAcrossHosts(t *testing.T) {
	p := prime(t, 256)
	a, b, c := keyOf(&rsa.PublicKey{N: product(p, prime(t, 256)), E: 65537}), keyOf(&rsa.PublicKey{N: product(p, prime(t, 256)), E: 65537}), keyOf(&rsa.PublicKey{N: product(prime(t, 256), prime(t, 256)), E: 65537})
	results := wantSaid(t, "a prime twice", "KEY-007", "critical ok critical", *a, *c, *b)
	if results[0].Host != "host0" || !strings.Contains(results[0].Detail, `"host2"`) || !strings.Contains(results[2].Detail, `"host0"`) {
		t.Errorf("the keys do not name each other: %s; %s", results[0].Detail, results[2].Detail)
	}
	wantSaid(t, "one certificate on two hosts", "KEY-007", "ok", *a, *a)
}

func TestJudgesOfModuli(t *testing.T) {
	good := product(prime(t, 512), prime(t, 512))
	p := prime(t, 512)
	for _, c := range []struct {
		what, id, want string
		key            any
	}{
		{"a flawed generator", "KEY-005", "critical", &rsa.PublicKey{N: product(flawed(t), flawed(t)), E: 65537}},
		{"a good modulus", "KEY-005", "ok", &rsa.PublicKey{N: good, E: 65537}},
		{"an elliptic curve", "KEY-005", "ok", newECKey(t).Public()},
		{"no public half", "KEY-005", "unassessable", nil},
		{"a square", "KEY-008", "high", &rsa.PublicKey{N: product(p, p), E: 65537}},
		{"exponent 3", "KEY-008", "high", &rsa.PublicKey{N: good, E: 3}},
		{"a good modulus", "KEY-008", "ok", &rsa.PublicKey{N: good, E: 65537}},
		{"a modulus of zero", "KEY-008", "unassessable", &rsa.PublicKey{N: new(big.Int), E: 65537}},
		{"a new key", "KEY-006", "ok", &rsa.PublicKey{N: good, E: 65537}},
	} {
		wantSaid(t, c.what, c.id, c.want, *keyOf(c.key))
	}
}

func TestRevocationListsAndTheirDates(t *testing.T) {
	for want, next := range map[string]time.Time{"medium": testDay.AddDate(0, 0, -1), "ok": testDay.AddDate(0, 0, 1), "unassessable": {}} {
		a := New(Options{Now: testDay})
		a.Host(&posture.Host{CRLs: []posture.CRL{{Subject: posture.Subject{Dialect: posture.X509, Name: "ca.crl", At: posture.Pos{File: "ca.crl"}}, NextUpdate: next}}})
		for _, r := range a.Results {
			if r.Rule.ID == "KEY-011" && string(r.Outcome) != want && r.Severity.String() != want {
				t.Errorf("%v: %s %s", next, r.Outcome, r.Severity)
			}
		}
	}
}

func TestAKnownKeyIsFound(t *testing.T) {
	key := keyOf(&rsa.PublicKey{N: product(prime(t, 512), prime(t, 512)), E: 65537})
	known, err := ReadKnownKeys(strings.NewReader(debianLine(key.Public.(*rsa.PublicKey).N)))
	if err != nil {
		t.Fatal(err)
	}
	a := New(Options{Now: testDay, Known: known})
	a.Host(&posture.Host{Keys: []posture.Key{*key}})
	for _, r := range a.Results {
		if r.Rule.ID == "KEY-006" && (r.Outcome != Found || !strings.Contains(r.Detail, "Debian")) {
			t.Errorf("%s: %s", r.Outcome, r.Detail)
		}
	}
}

func TestAKeyWithoutNumbersIsNone(t *testing.T) {
	for _, public := range []any{nil, &ecdsa.PublicKey{}, &rsa.PublicKey{}, (*rsa.PublicKey)(nil), (*ecdsa.PublicKey)(nil)} {
		if _, ok := spki(keyOf(public)); ok {
			t.Errorf("%T has a hash", public)
		}
		if n, _, _ := modulusOf(keyOf(public)); n != nil {
			t.Errorf("%T has a modulus", public)
		}
	}
}
