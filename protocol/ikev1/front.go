package ikev1

import (
	"fmt"

	"sallyport/protocol/ikev1/isakmp"
)

// DropReason names a counter.
type DropReason uint8

// Why a datagram made no session. Nothing of this is ever answered.
const (
	DropMalformed     DropReason = iota + 1
	DropAggressive               // aggressive mode gives a stranger a hash of the pre-shared key to guess at
	DropExchange                 // any other exchange without an ISAKMP SA
	DropUnknownCookie            // a responder cookie that is not ours
	DropShape                    // main mode, but not its first message
)

var dropNames = [...]string{DropMalformed: "malformed", DropAggressive: "aggressive mode", DropExchange: "exchange without an SA",
	DropUnknownCookie: "unknown cookie", DropShape: "not a first message"}

// String is the reason in a few words.
func (r DropReason) String() string {
	if r >= DropMalformed && r <= DropShape {
		return dropNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Verdict is what to do with a datagram that belongs to no session.
type Verdict struct {
	Accept bool // make a session with NewResponder
	Reason DropReason
}

// maxFirst is the longest first message in octets; real ones, with all their
// transforms and vendor IDs, have under 1,000.
const maxFirst = 4096

// Front judges one datagram that no session claims, and keeps nothing. IKEv1
// has no cookie to ask for: what is accepted costs memory until HalfOpen is
// over, which the caller bounds.
func Front(d Datagram) Verdict {
	h, err := isakmp.ParseHeader(d.Data)
	switch {
	case err != nil || len(d.Data) > maxFirst:
		return Verdict{Reason: DropMalformed}
	case h.Exchange == isakmp.ExchangeAggressive:
		return Verdict{Reason: DropAggressive}
	case h.CookieR != 0:
		return Verdict{Reason: DropUnknownCookie}
	case h.Exchange != isakmp.ExchangeMain:
		return Verdict{Reason: DropExchange}
	}
	m, err := isakmp.Parse(d.Data)
	switch {
	case err != nil:
		return Verdict{Reason: DropMalformed}
	case !firstShape(m):
		return Verdict{Reason: DropShape}
	}
	return Verdict{Accept: true}
}

// firstShape: RFC 2409, Section 5: SA comes first, and is alone but for vendor
// IDs. One SA payload, proposals that could be read, nothing encrypted.
func firstShape(m *isakmp.Message) bool {
	h := m.Header
	if h.CookieI == 0 || h.CookieR != 0 || h.MessageID != 0 || h.Flags&isakmp.FlagEncryption != 0 || len(m.Payloads) == 0 {
		return false
	}
	first, ok := m.Payloads[0].(*isakmp.SA)
	if !ok || len(first.Proposals) == 0 {
		return false
	}
	for _, p := range m.Payloads[1:] {
		switch p.(type) {
		case *isakmp.SA, *isakmp.KE, *isakmp.ID, *isakmp.Hash, *isakmp.Signature, *isakmp.Nonce, *isakmp.Fragment:
			return false
		}
	}
	return true
}
