package eap

import (
	"crypto/tls"
	"errors"

	"sallyport/internal/secret"
	"sallyport/protocol/eap/tlspump"
)

// Handshake is one step of a TLS handshake: signatures, key agreement and the
// judgement of the other end's certificate.
type Handshake struct {
	pump *tlspump.Pump
	in   []byte
}

// handshaken is the Value of a Handshake. An error of TLS is part of it: it
// may come with an alert to send.
type handshaken struct {
	flight   []byte
	complete bool
	err      error
}

// Run does the task in place. It takes milliseconds, and as long as
// TLS.Verify does.
func (h *Handshake) Run() (any, error) {
	if err := h.pump.Feed(h.in); err != nil {
		return nil, err
	}
	flight, complete, err := h.pump.Flight()
	return handshaken{flight, complete, err}, nil
}

// tlsEnd is one end of a TLS connection in EAP packets.
type tlsEnd struct {
	fragments
	kind    Type // decides the labels of the keys
	pump    *tlspump.Pump
	verdict *verdict
}

// frameOverhead is EAP header, Type, Flags and TLS Message Length.
const frameOverhead = headerSize + 1 + 1 + 4

func newTLSEnd(kind Type, mtu int) tlsEnd {
	return tlsEnd{kind: kind, fragments: fragments{size: mtu - frameOverhead}, verdict: new(verdict)}
}

// verdict is what became of the other end's certificate. It stands alone, so
// that the coroutine of the pump does not lead back to the machine.
type verdict struct {
	chain    [][]byte
	verified *Verified
}

var errNoCertificate = &Refusal{Reason: ReasonNoCertificate, Text: "no certificate came",
	Hint: "install a certificate of an accepted authority on the device"}

// judge is tls.Config.VerifyConnection. That the other end has the key of its
// certificate is shown before the handshake completes, if not before this.
func (v *verdict) judge(verify VerifyChain) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errNoCertificate
		}
		for _, c := range s.PeerCertificates {
			v.chain = append(v.chain, c.Raw)
		}
		verified, err := verify(v.chain)
		if err != nil {
			return asRefusal(err, ReasonCertificate)
		}
		v.verified = &verified
		return nil
	}
}

// asRefusal gives err a reason when it has none.
func asRefusal(err error, reason Reason) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	return &Refusal{Reason: reason, Text: safe(err.Error())}
}

// config is common to all our handshakes. Tickets are off: resumption would
// have to carry the authorisation along (RFC 9190, Section 5.7).
func (t *TLS) config() *tls.Config {
	return &tls.Config{
		Certificates:           t.Certificates,
		MinVersion:             tls.VersionTLS12,
		MaxVersion:             t.MaxVersion,
		SessionTicketsDisabled: true,
	}
}

// serve makes the server's end of the connection; certificate asks the peer
// for one.
func (e *tlsEnd) serve(t *TLS, certificate bool) {
	c := t.config()
	if certificate {
		// Asked, not required: crypto/tls would refuse an absent one without a
		// reason we could tell apart. judge requires it.
		c.ClientAuth, c.ClientCAs = tls.RequestClientCert, t.Authorities
		c.VerifyConnection = e.verdict.judge(t.Verify)
	}
	e.pump = tlspump.Server(c)
}

// connect makes the peer's end of the connection; certificate shows ours when
// the server asks.
func (e *tlsEnd) connect(t *TLS, certificate bool) {
	c := t.config()
	// EAP has no host name to verify: judge does it all, by the caller's rules.
	c.InsecureSkipVerify = true
	c.VerifyConnection = e.verdict.judge(t.Verify)
	certificates := t.Certificates
	c.Certificates = nil
	c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if !certificate || len(certificates) == 0 {
			return new(tls.Certificate), nil
		}
		for i := range certificates {
			if r.SupportsCertificate(&certificates[i]) == nil {
				return &certificates[i], nil
			}
		}
		// Let the server say what it dislikes, rather than say nothing.
		return &certificates[0], nil
	}
	e.pump = tlspump.Client(c)
}

func (e *tlsEnd) handshake(in []byte) step {
	return step{task: &Handshake{pump: e.pump, in: in}}
}

func (e *tlsEnd) close() {
	if e.pump != nil {
		e.pump.Close()
	}
}

func (e *tlsEnd) version() uint16 { return e.pump.State().Version }

// Labels of the key exporters.
const (
	labelTLS12 = "client EAP encryption"         // RFC 5216, Section 2.3
	labelTTLS  = "ttls keying material"          // RFC 5281, Section 8
	labelTLS13 = "EXPORTER_EAP_TLS_Key_Material" // RFC 9190, Section 2.3; RFC 9427, Section 2.1
)

const (
	mskSize         = 64
	keyMaterialSize = 128 // MSK and EMSK
)

// keyMaterial exports the keys of the method: MSK, then EMSK.
func (e *tlsEnd) keyMaterial() (secret.Bytes, error) {
	label, context := labelTLS12, []byte(nil)
	switch {
	case e.version() >= tls.VersionTLS13:
		label, context = labelTLS13, []byte{byte(e.kind)}
	case e.kind == TypeTTLS:
		label = labelTTLS
	}
	return e.pump.Export(label, context, keyMaterialSize)
}

// checkKeys refuses a TLS 1.2 connection whose keys are not its own.
func (e *tlsEnd) checkKeys(t *TLS) *Failure {
	if !e.pump.Bound() && !t.AllowUnbound {
		return &Failure{Reason: ReasonNoExtendedMasterSecret,
			Text: "TLS 1.2 without extended master secret (RFC 7627): the keys of another connection could be passed off as this one's",
			Hint: "update the other end's TLS, or let it use TLS 1.3"}
	}
	return nil
}

// success is the outcome with the connection's own keys.
func (e *tlsEnd) success() step {
	keys, err := e.keyMaterial()
	if err != nil {
		return fail(ReasonBackend, "no keys: %v", err)
	}
	s := &Success{MSK: keys[:mskSize:mskSize], EMSK: keys[mskSize:], TLS: e.version(), Unbound: !e.pump.Bound()}
	e.verdict.fill(s)
	return step{success: s}
}

// fill says who the other end's certificate belongs to.
func (v *verdict) fill(s *Success) {
	if v.verified != nil {
		s.Identity, s.Value, s.Chain = v.verified.Identity, v.verified.Value, v.chain
	}
}

// tlsFailure puts an error of TLS into words.
func tlsFailure(err error) *Failure {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.failure()
	}
	if alert, ok := tlspump.RemoteAlert(err); ok {
		return alertFailure(alert)
	}
	return &Failure{Reason: ReasonTLS, Text: "TLS: " + safe(err.Error())}
}

func alertFailure(alert string) *Failure {
	return &Failure{Reason: ReasonTLSAlert, Text: "the other end ended TLS with the alert " + alert, ByPeer: true,
		Hint: "look at the other end's log: most often it does not trust the certificate it was shown"}
}

// clearAlert recognises a flight that is one alert in the clear. OpenSSL sends
// it so in TLS 1.3 when it refuses our certificate, where crypto/tls expects
// it encrypted and could only say "bad record MAC".
func clearAlert(flight []byte) (string, bool) {
	const alertRecord = 21 // RFC 8446, Section 5.1
	if len(flight) != 7 || flight[0] != alertRecord || flight[3] != 0 || flight[4] != 2 {
		return "", false
	}
	return tls.AlertError(flight[6]).Error(), true
}

// frame reads a packet's Data and checks the version of PEAP or TTLS, where
// only 0 is spoken. EAP-TLS has no version; its bits are to be ignored.
func (e *tlsEnd) frame(data []byte) (frame, *Failure) {
	f, err := parseFrame(data)
	if err != nil {
		return f, fail(ReasonProtocol, "%v", err).failure
	}
	if v := f.Flags & maskVersion; v != 0 && e.kind != TypeTLS {
		return f, fail(ReasonProtocol, "%s version %d; we speak version 0", e.kind, v).failure
	}
	return f, nil
}
