package pki

import (
	"fmt"
	"time"
)

// Reason is why a certificate was refused. It goes into metrics and decides the
// notify.
type Reason uint8

// The reasons.
const (
	Malformed        Reason = iota + 1 // not a certificate, or over a limit of form
	TooLong                            // too many certificates, or more CAs than one allows
	WeakKey                            // key or signature algorithm too weak
	Expired                            // of any certificate in the chain
	NotYetValid                        //
	UnknownAuthority                   // no trusted root issued it
	BadSignature                       // a certificate of that issuer exists, but its key did not sign
	WrongUse                           // key usage, extended key usage, CA flag
	NameConstraint                     // a CA may not certify this name
	Unsupported                        // a critical extension that is not understood
	Revoked                            //
	NoCRL                              // strict: there is no CRL of the issuer
	StaleCRL                           // strict: its next update is overdue
)

var reasons = [...]struct{ name, hint string }{
	Malformed:        {"malformed", "look at what the peer has installed: openssl x509 -text"},
	TooLong:          {"chain too long", "send the certificate and its intermediate CAs only"},
	WeakKey:          {"weak key", "issue a new certificate with an ECDSA, Ed25519 or RSA key of 3072 bits, signed with SHA-256 or better"},
	Expired:          {"expired", "issue a new certificate, or set the clock"},
	NotYetValid:      {"not yet valid", "set the clock: of this machine, or of the one that issued it"},
	UnknownAuthority: {"unknown authority", "the peer has a certificate of another CA; enrol it here, or trust that CA and install its intermediate certificates"},
	BadSignature:     {"bad signature", "a CA of the same name has another key: was it made anew? enrol the peer again"},
	WrongUse:         {"wrong use", "devices need the extended key usage clientAuth, gateways serverAuth or ikeIntermediate; neither may be a CA"},
	NameConstraint:   {"name not allowed", "the CA above it is limited to other names"},
	Unsupported:      {"unsupported extension", "issue the certificate without that critical extension"},
	Revoked:          {"revoked", "if the device is trusted again, enrol it anew"},
	NoCRL:            {"no CRL", "load the issuer's CRL, or switch strict revocation off for it"},
	StaleCRL:         {"stale CRL", "fetch the issuer's current CRL"},
}

// String is the reason in a few words.
func (r Reason) String() string {
	if r == 0 || int(r) >= len(reasons) {
		return fmt.Sprintf("reason %d", uint8(r))
	}
	return reasons[r].name
}

// Error says why a peer's certificate chain was refused.
type Error struct {
	Reason  Reason
	Subject string    // of the certificate that is to blame; may be hostile, shown with %q
	Detail  string    // may be ""
	When    time.Time // of expiry, of the beginning, of the revocation, of the CRL's next update; else zero
	Err     error     // crypto/x509's, may be nil
}

// Error names the certificate, the reason and the moment.
func (e *Error) Error() string {
	s := fmt.Sprintf("pki: certificate %q: %s", e.Subject, e.Reason)
	switch e.Reason {
	case Expired, Revoked, StaleCRL:
		s += " since " + e.When.UTC().Format(time.RFC3339)
	case NotYetValid:
		s += " until " + e.When.UTC().Format(time.RFC3339)
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says what to change.
func (e *Error) Hint() string {
	if e.Reason == 0 || int(e.Reason) >= len(reasons) {
		return ""
	}
	return reasons[e.Reason].hint
}
