package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// node is a certificate of a test's own hierarchy.
type node struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// change alters a certificate before it is signed.
type change func(*x509.Certificate)

func newRoot(t testing.TB, name string, changes ...change) *node {
	t.Helper()
	return newNode(t, nil, name, ECDSAP256, append([]change{isCA(-1)}, changes...)...)
}

// under issues a certificate, of a device unless the changes say otherwise.
func (n *node) under(t testing.TB, name string, changes ...change) *node {
	t.Helper()
	return newNode(t, n, name, ECDSAP256, changes...)
}

func newNode(t testing.TB, issuer *node, name string, kind KeyKind, changes ...change) *node {
	t.Helper()
	key, err := generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, issuer, name, key, changes...)
}

func certify(t testing.TB, issuer *node, name string, key crypto.Signer, changes ...change) *node {
	t.Helper()
	id, err := keyID(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             now.Add(-day),
		NotAfter:              now.Add(365 * day),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		SubjectKeyId:          id,
		BasicConstraintsValid: true,
		MaxPathLen:            -1,
	}
	for _, change := range changes {
		change(c)
	}
	if issuer == nil {
		issuer = &node{cert: c, key: key}
	}
	cert, err := sign(c, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return &node{cert: cert, key: key}
}

func isCA(pathLen int) change {
	return func(c *x509.Certificate) {
		c.IsCA, c.DNSNames, c.ExtKeyUsage = true, nil, nil
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		c.MaxPathLen, c.MaxPathLenZero = pathLen, pathLen == 0
	}
}

func valid(from, until time.Time) change {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }
}

func uses(u ...x509.ExtKeyUsage) change { return func(c *x509.Certificate) { c.ExtKeyUsage = u } }

func unknownUses(u ...asn1.ObjectIdentifier) change {
	return func(c *x509.Certificate) { c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, u }
}

func keyUsage(u x509.KeyUsage) change { return func(c *x509.Certificate) { c.KeyUsage = u } }

func chain(nodes ...*node) (ders [][]byte) {
	for _, n := range nodes {
		ders = append(ders, n.cert.Raw)
	}
	return ders
}

func certsOf(nodes ...*node) (certs []*x509.Certificate) {
	for _, n := range nodes {
		certs = append(certs, n.cert)
	}
	return certs
}

func trusting(t testing.TB, roots ...*node) *Verifier {
	t.Helper()
	return verifier(t, Trust{Roots: certsOf(roots...)})
}

func verifier(t testing.TB, trust Trust) *Verifier {
	t.Helper()
	v, err := NewVerifier(trust)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// crl is a list of the issuer.
func (n *node) crl(t testing.TB, number int64, next time.Time, revoked ...*node) *CRL {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now.Add(-time.Hour), NextUpdate: next}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: r.cert.SerialNumber, RevocationTime: now.Add(-time.Minute), ReasonCode: int(KeyCompromise)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, n.cert, n.key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseCRLs(der)
	if err != nil {
		t.Fatal(err)
	}
	return l[0]
}

// wantReason wants a refusal for one reason, and for none when it is 0.
func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	if want == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("error %v, want the reason %q", err, want)
		return
	}
	if e.Reason != want {
		t.Errorf("reason %q (%v), want %q", e.Reason, err, want)
	}
	if e.Hint() == "" {
		t.Errorf("%v has no hint", err)
	}
}

func TestChains(t *testing.T) {
	root := newRoot(t, "root")
	other := newRoot(t, "other root")
	twin := newRoot(t, "root") // the same name, another key
	ca := root.under(t, "ca", isCA(-1))
	ca2 := ca.under(t, "ca2", isCA(-1))
	short := newRoot(t, "short", isCA(0))
	shortCA := short.under(t, "below", isCA(-1))
	expiredCA := root.under(t, "expired ca", isCA(-1), valid(now.Add(-9*day), now.Add(-day)))
	device := root.under(t, "device")
	noCA := device.under(t, "child of a device")
	oldRoot := newRoot(t, "old root", valid(now.Add(-99*day), now.Add(-day)))
	eight := func(extra ...*node) [][]byte { return chain(append([]*node{root.under(t, "d")}, extra...)...) }

	for _, c := range []struct {
		name  string
		chain [][]byte
		want  Reason
	}{
		{"of the root", chain(device), 0},
		{"with the root sent along", chain(device, root), 0},
		{"through one intermediate", chain(ca.under(t, "d"), ca), 0},
		{"through two, in any order", chain(ca2.under(t, "d"), ca, ca2), 0},
		{"with strangers between", chain(ca2.under(t, "d"), other, ca2, device, ca), 0},
		{"with an intermediate missing", chain(ca2.under(t, "d"), ca2), UnknownAuthority},
		{"with all intermediates missing", chain(ca2.under(t, "d")), UnknownAuthority},
		{"of another CA", chain(other.under(t, "d")), UnknownAuthority},
		{"of another CA that is sent along", chain(other.under(t, "d"), other), UnknownAuthority},
		{"signed by itself", chain(newNode(t, nil, "d", ECDSAP256)), UnknownAuthority},
		{"of a CA with the same name", chain(twin.under(t, "d")), BadSignature},
		{"with a forged signature", [][]byte{forged(device.cert.Raw)}, BadSignature},
		{"with a forged intermediate", [][]byte{ca.under(t, "d").cert.Raw, forged(ca.cert.Raw)}, BadSignature},
		{"expired", chain(root.under(t, "d", valid(now.Add(-9*day), now.Add(-day)))), Expired},
		{"not yet valid", chain(root.under(t, "d", valid(now.Add(day), now.Add(9*day)))), NotYetValid},
		{"through an expired intermediate", chain(expiredCA.under(t, "d"), expiredCA), Expired},
		{"of an expired root", chain(oldRoot.under(t, "d")), Expired},
		{"through a device", chain(noCA, device), WrongUse},
		{"longer than the root allows", chain(shortCA.under(t, "d"), shortCA), TooLong},
		{"of eight certificates", eight(ca, ca2, other, twin, short, shortCA, expiredCA), 0},
		{"of nine certificates", eight(ca, ca2, other, twin, short, shortCA, expiredCA, oldRoot), TooLong},
		{"of none", nil, Malformed},
		{"that is no certificate", [][]byte{[]byte("hello")}, Malformed},
		{"with octets after the certificate", [][]byte{append(bytes.Clone(device.cert.Raw), 0)}, Malformed},
		{"with a broken intermediate", [][]byte{device.cert.Raw, {0x30, 0x80}}, Malformed},
		{"too large", [][]byte{make([]byte, maxCertificate+1)}, Malformed},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			v := trusting(t, root, short, oldRoot)
			for range 2 { // the second time from memory
				got, err := v.Verify(now, c.chain, Client)
				wantReason(t, err, c.want)
				if err == nil && !bytes.Equal(got.Raw, c.chain[0]) {
					t.Error("the answer is not the peer's certificate")
				}
			}
		})
	}
}

func TestUses(t *testing.T) {
	root := newRoot(t, "root")
	client, server := x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	serverCA := root.under(t, "servers only", isCA(-1), uses(server))
	for _, c := range []struct {
		name           string
		leaf           *node
		client, server Reason
	}{
		{"clientAuth", root.under(t, "d", uses(client)), 0, WrongUse},
		{"serverAuth", root.under(t, "d", uses(server)), WrongUse, 0},
		{"both", root.under(t, "d", uses(client, server)), 0, 0},
		{"ikeIntermediate", root.under(t, "d", unknownUses(oidIKEIntermediate)), WrongUse, 0},
		{"id-kp-ipsecIKE", root.under(t, "d", unknownUses(oidIPsecIKE)), 0, 0},
		{"any", root.under(t, "d", uses(x509.ExtKeyUsageAny)), 0, 0},
		{"none", root.under(t, "d", uses()), 0, WrongUse},
		{"codeSigning", root.under(t, "d", uses(x509.ExtKeyUsageCodeSigning)), WrongUse, WrongUse},
		{"both, of a CA for servers", serverCA.under(t, "d", uses(client, server)), WrongUse, 0},
		{"no digitalSignature", root.under(t, "d", uses(client, server), keyUsage(x509.KeyUsageKeyEncipherment)), WrongUse, WrongUse},
		{"contentCommitment", root.under(t, "d", uses(client, server), keyUsage(x509.KeyUsageContentCommitment)), 0, 0},
		{"no key usage", root.under(t, "d", uses(client, server), keyUsage(0)), 0, 0},
		{"a CA", root.under(t, "d", isCA(-1), uses(client, server), keyUsage(x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature)), WrongUse, WrongUse},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			v := trusting(t, root)
			_, err := v.Verify(now, chain(c.leaf, serverCA), Client)
			wantReason(t, err, c.client)
			_, err = v.Verify(now, chain(c.leaf, serverCA), Server)
			wantReason(t, err, c.server)
		})
	}
}

func TestWeakKeysAndSignatures(t *testing.T) {
	root := newRoot(t, "root")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weakCA := certify(t, root, "weak ca", weak, isCA(-1))
	weakRoot := certify(t, nil, "weak root", weak, isCA(-1))
	rsaRoot := newNode(t, nil, "rsa root", RSA2048, isCA(-1))
	for _, c := range []struct {
		name  string
		chain [][]byte
	}{
		{"an RSA-1024 device", chain(certify(t, root, "d", weak))},
		{"an RSA-1024 intermediate", chain(weakCA.under(t, "d"), weakCA)},
		{"an RSA-1024 root", chain(weakRoot.under(t, "d"))},
		{"an RSA-16384 device", [][]byte{hugeRSA(t, root)}},
		{"a SHA-1 signature", [][]byte{sha1Signed(t, rsaRoot)}},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			begin := time.Now()
			_, err := trusting(t, root, weakRoot, rsaRoot).Verify(now, c.chain, Client)
			wantReason(t, err, WeakKey)
			if d := time.Since(begin); d > time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	for _, kind := range []KeyKind{RSA2048, RSA3072, Ed25519, ECDSAP384} {
		ca := newNode(t, nil, "root", kind, isCA(-1))
		if _, err := trusting(t, ca).Verify(now, chain(newNode(t, ca, "d", kind)), Client); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// hugeRSA is a certificate for a key that would take long to verify with.
func hugeRSA(t *testing.T, root *node) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), 16383)
	n.SetBit(n, 0, 1)
	c, err := sign(&x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "d"}, NotBefore: now, NotAfter: now.Add(day)},
		root.cert, &rsa.PublicKey{N: n, E: 65537}, root.key)
	if err != nil {
		t.Fatal(err)
	}
	return c.Raw
}

// sha1Signed is a certificate signed as crypto/x509 no longer signs: the
// algorithm of another one is replaced and the signature made by hand.
func sha1Signed(t *testing.T, root *node) []byte {
	t.Helper()
	c := root.under(t, "d").cert
	var (
		sha256WithRSA = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b}
		sha1WithRSA   = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05}
	)
	tbs := bytes.Replace(c.RawTBSCertificate, sha256WithRSA, sha1WithRSA, 1)
	sum := sha1.Sum(tbs)
	signature, err := root.key.Sign(rand.Reader, sum[:], crypto.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	der := bytes.Replace(bytes.ReplaceAll(c.Raw, c.RawTBSCertificate, tbs), sha256WithRSA, sha1WithRSA, 1)
	der = bytes.Replace(der, c.Signature, signature, 1)
	parsed, err := x509.ParseCertificate(der)
	if err != nil || parsed.SignatureAlgorithm != x509.SHA1WithRSA {
		t.Fatalf("the test's certificate is not SHA-1 signed: %v", err)
	}
	return der
}

func TestNameConstraints(t *testing.T) {
	root := newRoot(t, "root")
	limited := root.under(t, "limited", isCA(-1), func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"good.example"}, true
	})
	v := trusting(t, root)
	_, err := v.Verify(now, chain(limited.under(t, "a.good.example"), limited), Client)
	wantReason(t, err, 0)
	_, err = v.Verify(now, chain(limited.under(t, "a.bad.example"), limited), Client)
	wantReason(t, err, NameConstraint)
}

func TestUnknownCriticalExtension(t *testing.T) {
	root := newRoot(t, "root")
	odd := func(critical bool) *node {
		return root.under(t, "d", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: critical, Value: []byte{5, 0}}}
		})
	}
	_, err := trusting(t, root).Verify(now, chain(odd(false)), Client)
	wantReason(t, err, 0)
	_, err = trusting(t, root).Verify(now, chain(odd(true)), Client)
	wantReason(t, err, Unsupported)
}

func TestRevocation(t *testing.T) {
	root := newRoot(t, "root")
	ca := root.under(t, "ca", isCA(-1))
	good, bad, below := root.under(t, "good"), root.under(t, "bad"), ca.under(t, "below")
	soon, past := now.Add(day), now.Add(-time.Minute)
	twin := newRoot(t, "root")
	for _, c := range []struct {
		name   string
		crls   []*CRL
		strict bool
		chain  [][]byte
		want   Reason
	}{
		{"no CRL", nil, false, chain(good), 0},
		{"no CRL, strict", nil, true, chain(good), NoCRL},
		{"good", []*CRL{root.crl(t, 1, soon, bad)}, true, chain(good), 0},
		{"revoked", []*CRL{root.crl(t, 1, soon, bad)}, false, chain(bad), Revoked},
		{"revoked by a stale CRL", []*CRL{root.crl(t, 1, past, bad)}, false, chain(bad), Revoked},
		{"good in a stale CRL", []*CRL{root.crl(t, 1, past, bad)}, false, chain(good), 0},
		{"good in a stale CRL, strict", []*CRL{root.crl(t, 1, past, bad)}, true, chain(good), StaleCRL},
		{"intermediate revoked", []*CRL{root.crl(t, 1, soon, ca)}, false, chain(below, ca), Revoked},
		{"below an intermediate without CRL, strict", []*CRL{root.crl(t, 1, soon)}, true, chain(below, ca), NoCRL},
		{"below an intermediate with CRL, strict", []*CRL{root.crl(t, 1, soon), ca.crl(t, 1, soon)}, true, chain(below, ca), 0},
		{"below an intermediate that only the peer sends", []*CRL{ca.crl(t, 1, soon, below)}, false, chain(below, ca), Revoked},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			v := verifier(t, Trust{Roots: certsOf(root), CRLs: c.crls, Strict: c.strict})
			for range 2 {
				_, err := v.Verify(now, c.chain, Client)
				wantReason(t, err, c.want)
			}
		})
	}
	if _, err := NewVerifier(Trust{Roots: certsOf(root), CRLs: []*CRL{twin.crl(t, 1, soon)}}); err == nil {
		t.Error("a CRL that the CA of its name has not signed was taken")
	}
	// The CRL of another CA of the same name must not speak for this one.
	v := verifier(t, Trust{Roots: certsOf(root, twin), CRLs: []*CRL{twin.crl(t, 1, soon, good)}, Strict: true})
	_, err := v.Verify(now, chain(good), Client)
	wantReason(t, err, NoCRL)
}

func TestCRLsAreSwappedWhileRunning(t *testing.T) {
	root := newRoot(t, "root")
	device := root.under(t, "d")
	v := verifier(t, Trust{Roots: certsOf(root), CRLs: []*CRL{root.crl(t, 5, now.Add(day))}, Strict: true})
	if _, err := v.Verify(now, chain(device), Client); err != nil {
		t.Fatal(err)
	}
	if err := v.AddCRL(root.crl(t, 6, now.Add(day), device)); err != nil {
		t.Fatal(err)
	}
	_, err := v.Verify(now, chain(device), Client)
	wantReason(t, err, Revoked)
	if err := v.AddCRL(root.crl(t, 4, now.Add(day))); err == nil {
		t.Error("an older CRL was taken: it would bring revoked devices back")
	}
	_, err = v.Verify(now, chain(device), Client)
	wantReason(t, err, Revoked)
	if n := len(v.state.Load().CRLs); n != 1 {
		t.Errorf("%d CRLs of one issuer are kept, want 1", n)
	}
}

func TestARememberedChainStillExpires(t *testing.T) {
	root := newRoot(t, "root")
	device := root.under(t, "d")
	v := trusting(t, root)
	for _, c := range []struct {
		at   time.Time
		want Reason
	}{{now, 0}, {now.Add(400 * day), Expired}, {now, 0}, {now.Add(-2 * day), NotYetValid}} {
		_, err := v.Verify(c.at, chain(device), Client)
		wantReason(t, err, c.want)
	}
	if err := v.SetTrust(Trust{Roots: certsOf(newRoot(t, "new root"))}); err != nil {
		t.Fatal(err)
	}
	_, err := v.Verify(now, chain(device), Client)
	wantReason(t, err, UnknownAuthority)
}

func TestAVerifierWithoutRootsTrustsNobody(t *testing.T) {
	_, err := verifier(t, Trust{}).Verify(now, chain(newRoot(t, "root").under(t, "d")), Client)
	wantReason(t, err, UnknownAuthority) // and not the system's roots
}

func TestSixKilobyteChain(t *testing.T) {
	root := newNode(t, nil, "root", RSA2048, isCA(-1))
	pad := func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 5}, Value: make([]byte, 1500)})
	}
	ca1 := newNode(t, root, "ca1", RSA2048, isCA(-1), pad)
	ca2 := newNode(t, ca1, "ca2", RSA2048, isCA(-1), pad)
	leaf := newNode(t, ca2, "d", RSA2048, pad)
	ders := chain(leaf, ca1, ca2)
	if n := len(slices.Concat(ders...)); n < 6000 {
		t.Fatalf("the chain has only %d octets", n)
	}
	_, err := trusting(t, root).Verify(now, ders, Client)
	wantReason(t, err, 0)
}

func TestManyCertificatesOfOneNameCostLittle(t *testing.T) {
	root := newRoot(t, "root")
	// Every certificate could be the issuer of every other.
	a := newRoot(t, "a")
	ders := chain(a.under(t, "d"))
	for range maxChain - 1 {
		again := certify(t, a, "a", a.key, isCA(-1))
		ders = append(ders, again.cert.Raw)
	}
	begin := time.Now()
	_, err := trusting(t, root).Verify(now, ders, Client)
	wantReason(t, err, UnknownAuthority)
	if d := time.Since(begin); d > 100*time.Millisecond {
		t.Errorf("refusing it took %v", d)
	}
}

func TestVerdictsAreBounded(t *testing.T) {
	v := newVerdicts()
	for i := range maxVerdicts + 100 {
		v.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, nil)
	}
	if n := len(v.paths); n != maxVerdicts {
		t.Errorf("%d chains are remembered, want %d", n, maxVerdicts)
	}
}

func TestCertReqHashes(t *testing.T) {
	a, b, c := newRoot(t, "a"), newRoot(t, "b"), newRoot(t, "c")
	v := trusting(t, a, b)
	ha, hb, hc := sha1.Sum(a.cert.RawSubjectPublicKeyInfo), sha1.Sum(b.cert.RawSubjectPublicKeyInfo), SPKIHash(c.cert)
	if got := v.CertReqHashes(); !bytes.Equal(got, slices.Concat(ha[:], hb[:])) {
		t.Errorf("got %x", got)
	}
	if !v.Trusts(slices.Concat(hc[:], hb[:])) || v.Trusts(hc[:]) || v.Trusts(nil) || v.Trusts([]byte{1}) {
		t.Error("Trusts does not find exactly the roots")
	}
}

func TestRefusalsCanBeReadAtNight(t *testing.T) {
	root := newRoot(t, "root")
	hostile := root.under(t, "x\n\x1b[31mroot", valid(now.Add(-9*day), now.Add(-day)), func(c *x509.Certificate) { c.DNSNames = nil })
	_, err := trusting(t, root).Verify(now, chain(hostile), Client)
	wantReason(t, err, Expired)
	text := err.Error()
	if !strings.Contains(text, "expired since 2026-11-22T12:00:00Z") {
		t.Errorf("no reason and time in %q", text)
	}
	if strings.ContainsAny(text, "\n\x1b") {
		t.Errorf("the peer's control characters are in %q", text)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, kind := range []KeyKind{ECDSAP256, ECDSAP384} {
		root := newNode(b, nil, "root", kind, isCA(-1))
		ders := chain(newNode(b, root, "d", ECDSAP256))
		b.Run(fmt.Sprintf("%s-root/first", kind), func(b *testing.B) {
			v := trusting(b, root)
			s := v.state.Load()
			for b.Loop() {
				if _, err := s.build(now, ders, Client); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%s-root/again", kind), func(b *testing.B) {
			v := verifier(b, Trust{Roots: certsOf(root), CRLs: []*CRL{root.crl(b, 1, now.Add(day))}, Strict: true})
			for b.Loop() {
				if _, err := v.Verify(now, ders, Client); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
