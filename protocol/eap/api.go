package eap

import (
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/secret"
)

// failureWait is how long an end that has failed waits for the other one's
// part, EAP-Failure in the end.
const failureWait = 5 * time.Second

// Limits of one conversation. The peer of a Server is not authenticated, nor
// is the server of a Peer; none of these can be argued with.
const (
	// MaxRounds is the number of requests. 64 KiB of TLS in fragments of 1,200
	// octets take 55, and the largest real conversation (PEAP with an inner
	// EAP-TLS, and 6 KB chains in both) takes 30.
	MaxRounds = 100
	// MaxOctets is what one end takes in: four full TLS messages, which no real
	// conversation comes near.
	MaxOctets = 256 << 10
	// MaxDuration is the time for everything, a person's hesitation at a smart
	// card included. IKEv2 is stricter by itself.
	MaxDuration = 60 * time.Second
	// MaxIdentity is the longest EAP-Identity or user name, in octets: RADIUS
	// carries no longer one (RFC 7542, Section 2.3).
	MaxIdentity = 253
)

// Sizes of EAP packets we send, in octets.
const (
	// DefaultMTU fits one fragment of IKEv2 over IPv6's minimum of 1280.
	DefaultMTU = 1100
	// MinMTU keeps 64 KiB within MaxRounds only in theory, and real chains in
	// practice. RFC 3748, Section 3.1 wants 1020 from every carrier.
	MinMTU = 256
)

// Out collects what a machine wants done. The caller drains it after every
// call and may reuse it after Reset.
type Out struct {
	Send   [][]byte // EAP packets, at most one per call
	Jobs   []Job
	Events []Event
}

// Reset empties o and keeps its storage; the references are cleared, so that
// no key outlives its event.
func (o *Out) Reset() {
	clear(o.Send)
	clear(o.Jobs)
	clear(o.Events)
	o.Send, o.Jobs, o.Events = o.Send[:0], o.Jobs[:0], o.Events[:0]
}

// Job is work that leaves the event loop. The caller answers it with Done,
// once, whatever has become of the machine.
type Job struct {
	ID   uint64
	Task Task
}

// Task is one of *Handshake, LookupPassword, CheckPassword.
type Task interface{ task() }

// Result answers a Job. Value has the type its task names. An Err that is a
// *Refusal gives the reason of the failure.
type Result struct {
	ID    uint64
	Value any
	Err   error
}

// LookupPassword asks for the account of a user who proves a password by
// MSCHAPv2; Value is an Account. It comes for the peer's word alone: User is
// not authenticated, and quoted wherever it is shown. For an unknown user the
// answer is an Account without NTHash, or a *Refusal with UnknownUser; the
// conversation goes on with a hash of chance, so that its length tells
// nothing. The lookup itself should take as long as one that succeeds.
type LookupPassword struct{ User string }

// Account is what LookupPassword found.
type Account struct {
	Identity string       // the account's own name, which becomes Success.Identity
	NTHash   secret.Bytes // MD4 of the password (RFC 2759, Section 8.3), 16 octets
}

// CheckPassword asks whether Password is User's, for PAP inside TTLS; Value is
// a Verified. Both are the peer's words. An unknown user must take as long as
// a wrong password: package password has a check for nobody.
type CheckPassword struct {
	User     string
	Password secret.Bytes
}

func (*Handshake) task()     {}
func (LookupPassword) task() {}
func (CheckPassword) task()  {}

// Verified is what a certificate or a password was found to prove.
type Verified struct {
	Identity string // becomes Success.Identity; never empty
	Value    any    // of the caller's choice, handed back in Success
}

// VerifyChain judges a certificate chain: DER, end entity first, as the other
// end sent it. Whether the other end has the key is TLS's business. It runs
// inside a Handshake job, so it may take its time, and must be safe for
// concurrent use. An error that is a *Refusal gives the reason.
type VerifyChain func(chain [][]byte) (Verified, error)

// Event is one of Success, Failure, Notice.
type Event interface{ event() }

// Success ends a conversation, and is its last event: the method has succeeded in both directions.
type Success struct {
	MSK, EMSK secret.Bytes // 64 octets each (RFC 3748, Section 7.10); the receiver's own. EMSK may be empty
	Identity  string       // authenticated: of the certificate or the account
	Claim     string       // what EAP-Identity said; proves nothing
	Method    Type
	Inner     Inner    // what ran inside the tunnel, InnerNone without one
	TLS       uint16   // version of the (outer) TLS connection, 0 without one
	Chain     [][]byte // the certificate that Identity comes from, with its chain; DER; nil with a password
	Value     any      // of Verified
	Unbound   bool     // by TLS.AllowUnbound alone
}

// Failure says that there is no access, for a reason that is for the log and
// not for the other end. Peer text in it is quoted. It comes as soon as it is
// known; a few packets may follow, in which the ends part politely and the
// other one learns what to show its user. The conversation is done with when
// the machine is Over, and may be closed before.
type Failure struct {
	Reason Reason
	Text   string // what happened
	Hint   string // what to change; may be empty
	Claim  string // what EAP-Identity said, as it came
	User   string // whom the proof was about, as it came: the name in MSCHAPv2 or PAP
	Method Type   // 0 when none was begun
	Inner  Inner
	ByPeer bool // the other end gave up
}

// Notice is a text for the person at the peer (RFC 3748, Section 5.2). It is
// not authenticated; quote it.
type Notice struct{ Text string }

func (Success) event() {}
func (Failure) event() {}
func (Notice) event()  {}

// Reason is why a conversation failed: a caller branches on it, and metrics
// count by it.
type Reason uint8

// Reasons of failure.
const (
	ReasonProtocol       Reason = iota + 1 // the other end broke a protocol
	ReasonNoCommonMethod                   // nothing in common, or the Identity was refused
	ReasonUnknownUser
	ReasonWrongPassword
	ReasonAccountDisabled
	ReasonNoCertificate
	ReasonCertificateExpired
	ReasonCertificateNotYetValid
	ReasonCertificateRevoked
	ReasonCertificateUntrusted
	ReasonCertificateName // not who it should be, or not for this use
	ReasonCertificate     // any other fault of a certificate
	ReasonTLS             // the handshake failed otherwise
	ReasonTLSAlert        // the other end's TLS gave up
	ReasonNoExtendedMasterSecret
	ReasonCryptoBinding // missing or wrong: somebody may sit between
	ReasonEarlySuccess  // Success before the method had succeeded
	ReasonRefused       // the other end said Failure
	ReasonLimit         // MaxRounds, MaxOctets or a TLS message too large
	ReasonTimeout
	ReasonBackend // our own side could not answer
)

var reasonNames = [...]string{
	ReasonProtocol: "protocol error", ReasonNoCommonMethod: "no common method", ReasonUnknownUser: "unknown user",
	ReasonWrongPassword: "wrong password", ReasonAccountDisabled: "account disabled", ReasonNoCertificate: "no certificate",
	ReasonCertificateExpired: "certificate expired", ReasonCertificateNotYetValid: "certificate not yet valid",
	ReasonCertificateRevoked: "certificate revoked", ReasonCertificateUntrusted: "certificate not trusted",
	ReasonCertificateName: "certificate of another name or use", ReasonCertificate: "certificate refused", ReasonTLS: "TLS failed",
	ReasonTLSAlert: "TLS alert", ReasonNoExtendedMasterSecret: "no extended master secret", ReasonCryptoBinding: "crypto-binding failed",
	ReasonEarlySuccess: "early success", ReasonRefused: "refused by the other end", ReasonLimit: "limit exceeded",
	ReasonTimeout: "timed out", ReasonBackend: "back end failed",
}

func (r Reason) String() string {
	if int(r) < len(reasonNames) && r > 0 {
		return reasonNames[r]
	}
	return "no reason"
}

// Refusal is an error with a reason, from VerifyChain or in a Result.
type Refusal struct {
	Reason Reason
	Text   string // what happened
	Hint   string // what to change; may be empty
}

func (r *Refusal) Error() string { return "eap: " + r.Text }

// maxText is how much of a foreign text stands in a record, in octets.
const maxText = 300

// safe makes a text that may contain the other end's words fit for a record: it
// is cut, and quoted if anything in it does not print.
func safe(text string) string {
	text = text[:min(len(text), maxText)]
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

func (r *Refusal) failure() *Failure {
	return &Failure{Reason: r.Reason, Text: r.Text, Hint: r.Hint}
}

// Inner is what runs inside the TLS of PEAP or TTLS.
type Inner uint8

// Inner methods. InnerMSCHAPv2 and InnerPAP travel as attributes of TTLS and
// exist there only.
const (
	InnerNone Inner = iota
	InnerEAPTLS
	InnerEAPMSCHAPv2
	InnerMSCHAPv2
	InnerPAP
)

var innerNames = [...]string{InnerNone: "none", InnerEAPTLS: "EAP-TLS", InnerEAPMSCHAPv2: "EAP-MSCHAPv2", InnerMSCHAPv2: "MSCHAPv2", InnerPAP: "PAP"}

func (i Inner) String() string {
	if int(i) < len(innerNames) {
		return innerNames[i]
	}
	return fmt.Sprintf("inner method %d", uint8(i))
}

// eapType is the EAP type of an inner method, 0 for one that is not EAP.
func (i Inner) eapType() Type {
	switch i {
	case InnerEAPTLS:
		return TypeTLS
	case InnerEAPMSCHAPv2:
		return TypeMSCHAPv2
	}
	return 0
}

// innerOf is the Inner of an EAP type that runs inside.
func innerOf(t Type) Inner {
	switch t {
	case TypeTLS:
		return InnerEAPTLS
	case TypeMSCHAPv2:
		return InnerEAPMSCHAPv2
	}
	return InnerNone
}

// Offer is a method that may be used, with what may run inside it.
type Offer struct {
	Method Type    // TypeTLS, TypePEAP, TypeTTLS; TypeMSCHAPv2 with BareMSCHAPv2 only
	Inner  []Inner // in order of preference; for PEAP and TTLS only
}

// TLS is one end's part in TLS handshakes. It is shared by all conversations
// and must not change.
type TLS struct {
	// Certificates with their private keys, which may be any crypto.Signer;
	// crypto/tls chooses by what the other end can verify. A Server needs one,
	// a Peer only for EAP-TLS.
	Certificates []tls.Certificate
	// Verify judges the other end's certificate, in the outer and in an inner
	// handshake. A Peer always needs it, a Server for EAP-TLS.
	Verify VerifyChain
	// Authorities are named to the peer as the issuers we take certificates
	// from (RFC 5246, Section 7.4.4); nil names none. They decide nothing.
	Authorities *x509.CertPool
	// MaxVersion is tls.VersionTLS12 or tls.VersionTLS13; 0 means 1.3. The least
	// is always 1.2.
	MaxVersion uint16
	// AllowUnbound takes TLS 1.2 without extended master secret (RFC 7627), which
	// strongSwan 5.9 does not have. Whoever can make the other end open another
	// TLS connection to it may give both the same keys and pass one off as the
	// other; inside an IKE SA whose server has signed, it cannot stand in the
	// server's place. By waiver only.
	AllowUnbound bool
}

var errNoVerify = errors.New("eap: TLS without Verify would take any certificate: set TLS.Verify")

// check finds what makes a TLS unusable.
func (t *TLS) check() error {
	switch {
	case t.Verify == nil:
		return errNoVerify
	case t.MaxVersion != 0 && t.MaxVersion < tls.VersionTLS12:
		return fmt.Errorf("eap: TLS.MaxVersion %s is under TLS 1.2", tls.VersionName(t.MaxVersion))
	}
	return nil
}

// checkOnce finds a method that is offered twice: its inner methods belong into
// one Offer.
func checkOnce(offers []Offer) error {
	for i, o := range offers {
		if slices.ContainsFunc(offers[:i], func(p Offer) bool { return p.Method == o.Method }) {
			return fmt.Errorf("eap: %s is offered twice: name all inner methods in one offer", o.Method)
		}
	}
	return nil
}

// needsBroken tells whether an Offer cannot do without broken primitives: PEAP
// binds with HMAC-SHA-1, whatever is inside.
func needsBroken(o Offer) bool {
	return o.Method == TypePEAP || o.Method == TypeMSCHAPv2 ||
		slices.Contains(o.Inner, InnerEAPMSCHAPv2) || slices.Contains(o.Inner, InnerMSCHAPv2)
}

// checkMTU applies the default and the least.
func checkMTU(mtu int) (int, error) {
	switch {
	case mtu == 0:
		return DefaultMTU, nil
	case mtu < MinMTU || mtu > MaxPacket:
		return 0, fmt.Errorf("eap: MTU %d is not within %d to %d octets", mtu, MinMTU, MaxPacket)
	}
	return mtu, nil
}

// checkOffer finds what makes an Offer unusable.
func checkOffer(o Offer, bare bool) error {
	allowed := map[Type][]Inner{
		TypePEAP: {InnerEAPTLS, InnerEAPMSCHAPv2},
		TypeTTLS: {InnerEAPTLS, InnerEAPMSCHAPv2, InnerMSCHAPv2, InnerPAP},
	}[o.Method]
	switch {
	case fips140.Enforced() && needsBroken(o):
		return fmt.Errorf("eap: %s %v is built on MD4, DES or SHA-1, which FIPS 140-only mode does not have: use EAP-TLS, or EAP-TTLS with EAP-TLS or PAP", o.Method, o.Inner)
	case o.Method == TypeMSCHAPv2 && !bare:
		return errors.New("eap: EAP-MSCHAPv2 outside of TLS needs BareMSCHAPv2")
	case o.Method != TypeTLS && o.Method != TypeMSCHAPv2 && allowed == nil:
		return fmt.Errorf("eap: %s is not a method of ours", o.Method)
	case allowed == nil && len(o.Inner) > 0:
		return fmt.Errorf("eap: %s has nothing inside", o.Method)
	case allowed != nil && len(o.Inner) == 0:
		return fmt.Errorf("eap: %s needs an inner method", o.Method)
	}
	for _, i := range o.Inner {
		if !slices.Contains(allowed, i) {
			return fmt.Errorf("eap: %s does not carry %s", o.Method, i)
		}
	}
	return nil
}
