package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// explain turns crypto/x509's refusal into ours. Where that is only "unknown
// authority" it walks up the chain to see what is missing.
func (s *trust) explain(set *certificates, now time.Time, err error) error {
	var invalid x509.CertificateInvalidError
	var unhandled x509.UnhandledCriticalExtension
	var e *Error
	switch {
	case errors.As(err, &invalid):
		e = explainInvalid(invalid, now)
	case errors.As(err, &unhandled):
		e = refuse(Unsupported, set.leaf, err.Error())
	default:
		e = s.walk(set)
	}
	e.Err = err
	return e
}

func explainInvalid(err x509.CertificateInvalidError, now time.Time) *Error {
	c := err.Cert
	switch err.Reason {
	case x509.Expired:
		if now.Before(c.NotBefore) {
			e := refuse(NotYetValid, c, "")
			e.When = c.NotBefore
			return e
		}
		e := refuse(Expired, c, "")
		e.When = c.NotAfter
		return e
	case x509.NotAuthorizedToSign:
		return refuse(WrongUse, c, "it has issued a certificate but is no CA's")
	case x509.TooManyIntermediates:
		return refuse(TooLong, c, "it allows fewer CAs below it")
	case x509.CANotAuthorizedForThisName, x509.TooManyConstraints, x509.UnconstrainedName, x509.NameConstraintsWithoutSANs:
		return refuse(NameConstraint, c, err.Detail)
	}
	return refuse(Unsupported, c, err.Error())
}

// walk goes from issuer to issuer until one is missing or has not signed.
func (s *trust) walk(set *certificates) *Error {
	c := set.leaf
	for range maxChain {
		parents := named(slices.Concat(s.Roots, set.intermediates), c.RawIssuer)
		if len(parents) == 0 {
			if weak := named(set.weak, c.RawIssuer); len(weak) > 0 {
				return refuse(WeakKey, weak[0], weakness(weak[0].PublicKey))
			}
			return refuse(UnknownAuthority, c, fmt.Sprintf("no certificate of its issuer %q", issuer(c)))
		}
		parent, e := signer(c, parents)
		if e != nil {
			return e
		}
		c = parent
	}
	return refuse(UnknownAuthority, set.leaf, "its chain does not end at a trusted root")
}

func named(certs []*x509.Certificate, subject []byte) (found []*x509.Certificate) {
	for _, c := range certs {
		if bytes.Equal(c.RawSubject, subject) {
			found = append(found, c)
		}
	}
	return found
}

// signer is the parent whose key signed c.
func signer(c *x509.Certificate, parents []*x509.Certificate) (*x509.Certificate, *Error) {
	var err error
	for _, parent := range parents {
		if err = c.CheckSignatureFrom(parent); err == nil {
			if bytes.Equal(parent.Raw, c.Raw) {
				return nil, refuse(UnknownAuthority, c, "it is signed by itself and not trusted")
			}
			return parent, nil
		}
	}
	var insecure x509.InsecureAlgorithmError
	var constraint x509.ConstraintViolationError
	switch {
	case errors.As(err, &insecure):
		return nil, refuse(WeakKey, c, fmt.Sprintf("it is signed with %v", x509.SignatureAlgorithm(insecure)))
	case errors.As(err, &constraint):
		return nil, refuse(WrongUse, parents[0], "it has issued a certificate but may not")
	}
	return nil, refuse(BadSignature, c, fmt.Sprintf("not signed by the known key of %q", issuer(c)))
}

func issuer(c *x509.Certificate) string {
	s := c.Issuer.String()
	return s[:min(len(s), 200)]
}
