package pki

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits on what a peer may make us look at.
const (
	maxChain       = 8        // certificates; real chains have two to four
	maxCertificate = 16 << 10 // octets; RSA-4096 with many names has 3 KiB
)

// Purpose is whose certificate is judged.
type Purpose uint8

// The purposes.
const (
	Client Purpose = iota + 1 // a device that connects to a gateway
	Server                    // a gateway that we connect to
)

// Trust is what a [Verifier] believes.
type Trust struct {
	Roots         []*x509.Certificate
	Intermediates []*x509.Certificate // for peers that do not send theirs
	CRLs          []*CRL
	Strict        bool // refuse when a certificate's issuer has no fresh CRL here
}

// Verifier judges certificate chains. It is safe for concurrent use; trust and
// CRLs can be swapped while it runs.
//
// A chain that was found good is remembered with its signatures, so that a
// device that comes back costs a hash. Times and revocation are looked at each
// time.
type Verifier struct {
	mu    sync.Mutex // of writers
	state atomic.Pointer[trust]
}

// trust is one immutable state of a Verifier.
type trust struct {
	Trust
	roots   *x509.CertPool
	known   map[[32]byte]*x509.Certificate // roots and intermediates by SHA-256
	crls    map[string][]*CRL              // by the issuer's raw name
	hashes  []byte
	verdict *verdicts
}

// NewVerifier makes a verifier. A CRL whose signature a known CA of its
// issuer's name has not made is an error.
func NewVerifier(t Trust) (*Verifier, error) {
	v := new(Verifier)
	return v, v.SetTrust(t)
}

// SetTrust replaces all that the verifier believes. On an error nothing is
// replaced.
func (v *Verifier) SetTrust(t Trust) error {
	s := &trust{
		Trust:   t,
		roots:   x509.NewCertPool(), // never nil: that would mean the system's roots
		known:   make(map[[32]byte]*x509.Certificate),
		verdict: newVerdicts(),
	}
	for _, c := range t.Roots {
		s.roots.AddCert(c)
		h := SPKIHash(c)
		s.hashes = append(s.hashes, h[:]...)
	}
	for _, c := range slices.Concat(t.Roots, t.Intermediates) {
		s.known[sha256.Sum256(c.Raw)] = c
	}
	if err := s.index(t.CRLs); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state.Store(s)
	return nil
}

// AddCRL takes a CRL into use at once, in place of the earlier ones of its
// issuer. One with a lower number than they is an error: it may be a replay
// that would bring a revoked device back.
func (v *Verifier) AddCRL(l *CRL) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := *v.state.Load()
	crls := []*CRL{l}
	for _, old := range s.CRLs {
		if !bytes.Equal(old.list.RawIssuer, l.list.RawIssuer) || !bytes.Equal(old.list.AuthorityKeyId, l.list.AuthorityKeyId) {
			crls = append(crls, old)
		} else if old.Number.Cmp(l.Number) > 0 {
			return fmt.Errorf("pki: CRL number %d of %q is older than number %d, which is in use", l.Number, l.Issuer(), old.Number)
		}
	}
	if err := s.index(crls); err != nil {
		return err
	}
	v.state.Store(&s)
	return nil
}

// index sorts CRLs by issuer and checks the signatures that can be checked. The
// CRL of an intermediate CA that only peers send is checked when one does.
func (s *trust) index(crls []*CRL) error {
	s.CRLs = crls
	s.crls = make(map[string][]*CRL)
	for _, l := range crls {
		name := string(l.list.RawIssuer)
		s.crls[name] = append(s.crls[name], l)
		var err error
		for _, c := range s.known {
			if string(c.RawSubject) != name {
				continue
			}
			if err = l.signedBy(c); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CertReqHashes is the Certification Authority field of a CERTREQ payload: the
// SHA-1 hashes of the roots' SubjectPublicKeyInfo, concatenated (RFC 7296,
// Section 3.7).
func (v *Verifier) CertReqHashes() []byte { return bytes.Clone(v.state.Load().hashes) }

// Trusts reports whether one of the roots is named in the Certification
// Authority field of a peer's CERTREQ payload.
func (v *Verifier) Trusts(authorities []byte) bool {
	hashes := v.state.Load().hashes
	for want := range slices.Chunk(authorities, sha1.Size) {
		for have := range slices.Chunk(hashes, sha1.Size) {
			if bytes.Equal(have, want) {
				return true
			}
		}
	}
	return false
}

// Verify judges a peer's certificates, DER, the peer's own first, intermediate
// ones in any order. The error is an [*Error].
func (v *Verifier) Verify(now time.Time, chain [][]byte, p Purpose) (*x509.Certificate, error) {
	path, err := v.Path(now, chain, p)
	if err != nil {
		return nil, err
	}
	return path[0], nil
}

// Path is [Verifier.Verify] with the whole path as answer: the peer's
// certificate first, the root last. The certificates are shared; do not change
// them.
func (v *Verifier) Path(now time.Time, chain [][]byte, p Purpose) ([]*x509.Certificate, error) {
	s := v.state.Load()
	paths, err := s.paths(now, chain, p)
	if err != nil {
		return nil, err
	}
	return s.unrevoked(now, paths)
}

// paths are the remembered ones that are valid now, else new ones.
func (s *trust) paths(now time.Time, chain [][]byte, p Purpose) (paths [][]*x509.Certificate, err error) {
	key := fingerprint(chain, p)
	for _, path := range s.verdict.get(key) {
		if inTime(path, now) {
			paths = append(paths, path)
		}
	}
	if len(paths) > 0 {
		return paths, nil
	}
	if paths, err = s.build(now, chain, p); err == nil {
		s.verdict.put(key, paths)
	}
	return paths, err
}

func fingerprint(chain [][]byte, p Purpose) (sum [32]byte) {
	h := sha256.New()
	h.Write([]byte{byte(p)})
	for _, der := range chain[:min(len(chain), maxChain+1)] {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(der))))
		h.Write(der)
	}
	h.Sum(sum[:0])
	return sum
}

func inTime(path []*x509.Certificate, now time.Time) bool {
	for _, c := range path {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return false
		}
	}
	return true
}

// build finds the paths from the peer's certificate to a root.
func (s *trust) build(now time.Time, chain [][]byte, p Purpose) ([][]*x509.Certificate, error) {
	set, err := s.parse(chain)
	if err != nil {
		return nil, err
	}
	if err := leafUse(set.leaf, p); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range set.intermediates {
		pool.AddCert(c)
	}
	paths, err := set.leaf.Verify(x509.VerifyOptions{
		Roots:         s.roots,
		Intermediates: pool,
		CurrentTime:   now,
		// Extended key usage is judged here, by IKE's rules and not by TLS's.
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, s.explain(set, now, err)
	}
	var refusal error
	good := paths[:0]
	for _, path := range paths {
		if err := acceptable(path, p); err != nil {
			refusal = err
			continue
		}
		good = append(good, path)
	}
	if len(good) == 0 {
		return nil, refusal
	}
	return good, nil
}

// certificates are a peer's, parsed, with what is configured.
type certificates struct {
	leaf          *x509.Certificate
	intermediates []*x509.Certificate
	weak          []*x509.Certificate // left out: their keys must not be computed with
}

func (s *trust) parse(chain [][]byte) (*certificates, error) {
	if len(chain) == 0 {
		return nil, &Error{Reason: Malformed, Detail: "the peer has sent no certificate"}
	}
	if len(chain) > maxChain {
		return nil, &Error{Reason: TooLong, Detail: fmt.Sprintf("%d certificates were sent, the most is %d", len(chain), maxChain)}
	}
	leaf, err := s.parseOne(chain[0])
	if err != nil {
		return nil, err
	}
	if w := weakness(leaf.PublicKey); w != "" {
		return nil, refuse(WeakKey, leaf, w)
	}
	set := &certificates{leaf: leaf, intermediates: slices.Clone(s.Intermediates)}
	for _, der := range chain[1:] {
		c, err := s.parseOne(der)
		switch {
		case err != nil:
			return nil, err
		case weakness(c.PublicKey) != "":
			set.weak = append(set.weak, c)
		case !set.has(c):
			set.intermediates = append(set.intermediates, c)
		}
	}
	return set, nil
}

func (s *trust) parseOne(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, &Error{Reason: Malformed, Detail: fmt.Sprintf("a certificate of %d octets was sent, the most is %d", len(der), maxCertificate)}
	}
	if c, ok := s.known[sha256.Sum256(der)]; ok {
		return c, nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, &Error{Reason: Malformed, Detail: err.Error(), Err: err}
	}
	return c, nil
}

// has reports whether the set has a certificate of the same name, key and
// issuer. Many of them, signed by each other, would make path building check
// signatures in every order.
func (set *certificates) has(c *x509.Certificate) bool {
	return slices.ContainsFunc(set.intermediates, func(o *x509.Certificate) bool {
		return bytes.Equal(o.RawSubject, c.RawSubject) && bytes.Equal(o.RawIssuer, c.RawIssuer) &&
			bytes.Equal(o.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo)
	})
}

// leafUse is RFC 4945, Section 5.1.3: what the peer's own certificate must be
// for. Without extended key usage it is for anything, except that a gateway's
// must say so: else any device of the same CA could pose as a gateway.
func leafUse(c *x509.Certificate, p Purpose) error {
	if c.IsCA {
		return refuse(WrongUse, c, "it is a CA's")
	}
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if c.KeyUsage != 0 && c.KeyUsage&signing == 0 {
		return refuse(WrongUse, c, "its key usage allows no signatures")
	}
	if p == Server && !hasEKU(c) {
		return refuse(WrongUse, c, "it has no extended key usage")
	}
	return extendedUse(c, p)
}

// acceptable is what crypto/x509 does not ask: strength of every key, extended
// key usage of the CAs on the way.
func acceptable(path []*x509.Certificate, p Purpose) error {
	for i, c := range path {
		if w := weakness(c.PublicKey); w != "" {
			return refuse(WeakKey, c, w)
		}
		if i < len(path)-1 {
			if err := extendedUse(c, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasEKU(c *x509.Certificate) bool { return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 }

// extendedUse allows a certificate without extended key usage, or with one that
// fits. id-kp-ipsecIKE and any fit always (RFC 4945, Section 5.1.3.12).
func extendedUse(c *x509.Certificate, p Purpose) error {
	is := func(oid asn1.ObjectIdentifier) bool {
		return slices.ContainsFunc(c.UnknownExtKeyUsage, oid.Equal)
	}
	has := func(u x509.ExtKeyUsage) bool { return slices.Contains(c.ExtKeyUsage, u) }
	switch {
	case !hasEKU(c), is(oidIPsecIKE), has(x509.ExtKeyUsageAny):
		return nil
	case p == Client && has(x509.ExtKeyUsageClientAuth):
		return nil
	case p == Server && (has(x509.ExtKeyUsageServerAuth) || is(oidIKEIntermediate)):
		return nil
	case p == Client:
		return refuse(WrongUse, c, "its extended key usage lacks clientAuth")
	}
	return refuse(WrongUse, c, "its extended key usage lacks serverAuth and ikeIntermediate")
}

func refuse(r Reason, c *x509.Certificate, detail string) *Error {
	return &Error{Reason: r, Subject: subject(c), Detail: detail}
}

// subject is a certificate's name for people, of bounded length.
func subject(c *x509.Certificate) string {
	const enough = 200
	s := c.Subject.String()
	return s[:min(len(s), enough)]
}

// unrevoked returns the first path without a revoked certificate.
func (s *trust) unrevoked(now time.Time, paths [][]*x509.Certificate) ([]*x509.Certificate, error) {
	var refusal error
	for _, path := range paths {
		err := s.revocation(now, path)
		if err == nil {
			return path, nil
		}
		refusal = err
	}
	return nil, refusal
}

func (s *trust) revocation(now time.Time, path []*x509.Certificate) error {
	for i, c := range path[:len(path)-1] {
		if err := s.status(now, c, path[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// status looks a certificate up in its issuer's CRLs. One that a CRL names is
// revoked however old the CRL is.
func (s *trust) status(now time.Time, c, issuer *x509.Certificate) error {
	var latest *CRL
	for _, l := range s.crls[string(issuer.RawSubject)] {
		if l.signedBy(issuer) != nil {
			continue // of another CA of this name
		}
		if r, ok := l.Lookup(c.SerialNumber); ok {
			e := refuse(Revoked, c, r.Cause.String())
			e.When = r.At
			return e
		}
		if latest == nil || l.NextUpdate.After(latest.NextUpdate) {
			latest = l
		}
	}
	switch {
	case !s.Strict:
	case latest == nil:
		return refuse(NoCRL, c, fmt.Sprintf("there is no CRL of %q", subject(issuer)))
	case now.After(latest.NextUpdate):
		e := refuse(StaleCRL, c, fmt.Sprintf("CRL number %d of %q", latest.Number, latest.Issuer()))
		e.When = latest.NextUpdate
		return e
	}
	return nil
}
