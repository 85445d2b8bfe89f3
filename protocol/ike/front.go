package ike

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Front is the stateless part of a responder: it decides which IKE_SA_INIT
// requests deserve memory. One Front belongs to one goroutine; a peer that
// retries comes from the same address and port, so each reader has its own.
type Front struct {
	policy  *Policy
	secrets [2][sha256.Size]byte // now and before
	version byte                 // of the present secret; its parity tells the two apart
	rotated time.Time
}

// NewFront makes a Front with fresh cookie secrets.
func NewFront(p *Policy) *Front {
	f := &Front{policy: p}
	rand.Read(f.secrets[0][:]) // never fails: crypto/rand ends the program instead
	rand.Read(f.secrets[1][:])
	return f
}

// Load is what the caller knows about half-open exchanges.
type Load struct {
	Cost       int // sum of Verdict.Cost of the half-open exchanges of this gateway
	FromPrefix int // half-open exchanges of the source's /32 or /64
}

// Verdict is what to do with a datagram that belongs to no session.
type Verdict struct {
	Action Action
	Reason DropReason // why, for the counter of that name; zero when accepted
	Reply  []byte     // for Reply: never longer than the request
	Cost   int        // for Accept: what this exchange will cost; 10 is about an ECP-256
}

// Action is one of Drop, Reply, Accept.
type Action uint8

// What to do with a datagram. The caller limits the rate of replies per source.
const (
	Drop   Action = iota
	Reply         // send Verdict.Reply back and keep nothing
	Accept        // make a session with NewResponder
)

// DropReason names a counter.
type DropReason uint8

// Why a datagram made no session.
const (
	DropMalformed  DropReason = iota + 1
	DropVersion1              // IKEv1 on an IKEv2 listener: no answer, no notify (trap 46)
	DropVersion               // a higher major version: answered INVALID_MAJOR_VERSION
	DropUnknownSPI            // not IKE_SA_INIT and no session: no answer (trap 9)
	DropNotRequest            // an IKE_SA_INIT response, or flags that make no sense
	DropCookie                // no or stale cookie: answered COOKIE
	DropPrefix                // too many half-open exchanges from this prefix
)

// Limits of the Front.
const (
	secretAge   = 2 * time.Minute // a cookie is good for two to four minutes (RFC 7296, Section 2.6)
	maxInitSize = 4096            // octets; the longest real request, Windows' with all its proposals, has 1,100
	maxHalfOpen = 32              // half-open exchanges of one /32 or /64: an office behind one NAT in the morning
	cookieSize  = 1 + sha256.Size/2
)

// Receive judges one datagram that no session claims.
func (f *Front) Receive(now time.Time, d Datagram, load Load) Verdict {
	h, err := ikemsg.ParseHeader(d.Data)
	switch {
	case err != nil:
		return Verdict{Reason: DropMalformed}
	case h.Major < ikemsg.Version:
		return Verdict{Reason: DropVersion1}
	case h.Major > ikemsg.Version:
		return f.refuseVersion(h, len(d.Data))
	case h.Exchange != ikemsg.ExchangeIKESAInit:
		return Verdict{Reason: DropUnknownSPI}
	case len(d.Data) > maxInitSize:
		return Verdict{Reason: DropMalformed}
	}
	m, err := ikemsg.Parse(d.Data)
	switch {
	case err != nil:
		return Verdict{Reason: DropMalformed}
	case !initRequestShape(m):
		return Verdict{Reason: DropNotRequest}
	}
	return f.admit(now, m, d, load)
}

// admit asks for a cookie when there are many half-open exchanges, weighted by
// what their groups cost, or when our answer would be longer than this
// request: an attacker's victim must not get more than the attacker sends.
func (f *Front) admit(now time.Time, m *ikemsg.Message, d Datagram, load Load) Verdict {
	ke, _ := ikemsg.Find[*ikemsg.KE](m.Payloads)
	nonce, _ := ikemsg.Find[*ikemsg.Nonce](m.Payloads)
	group := suite.Transform{Type: suite.KE, ID: ke.Group}
	cost := groupCost(group)
	busy := load.Cost+cost > f.policy.cookies() || load.FromPrefix >= maxHalfOpen/2 // or spoofed ones could use up a prefix
	if n, ok := ikemsg.FindNotify(m.Payloads, ikemsg.NotifyCookie); ok || busy || answerSize(group) > len(d.Data) {
		f.rotate(now)
		if !ok || !f.valid(n.Data, nonce.Data, d.Remote.Addr(), m.Header.SPIi) {
			return f.askCookie(m.Header, nonce.Data, d)
		}
	}
	if load.FromPrefix >= maxHalfOpen {
		return Verdict{Reason: DropPrefix}
	}
	return Verdict{Action: Accept, Cost: cost}
}

// groupCost is what one exchange in the group costs us, relative to an
// ECP-256 at 10.
func groupCost(group suite.Transform) int {
	switch size := suite.PublicSize(group); {
	case size <= 64:
		return 10
	case size <= 96:
		return 50
	case size <= 256:
		return 150
	}
	return 400
}

// answerSize is an upper bound of our IKE_SA_INIT answer to a request without
// cookie: header, one proposal of four transforms, KE, nonce, two NAT hashes,
// a CERTREQ of one authority, two abilities.
func answerSize(group suite.Transform) int {
	const fixed = ikemsg.HeaderLen + (4 + 8 + 2*12 + 2*8) + (4 + 4) + (4 + nonceSize) + 2*(8+20) + (5 + 20) + (8 + 8) + 8
	return fixed + suite.PublicSize(group)
}

// rotate changes the secret; the one before stays good.
func (f *Front) rotate(now time.Time) {
	switch {
	case f.rotated.IsZero():
		f.rotated = now
	case now.Sub(f.rotated) >= 2*secretAge:
		rand.Read(f.secrets[0][:])
		rand.Read(f.secrets[1][:])
		f.rotated, f.version = now, f.version+1
	case now.Sub(f.rotated) >= secretAge:
		f.version++
		rand.Read(f.secrets[f.version&1][:])
		f.rotated = now
	}
}

// cookie is version | HMAC(secret, Ni | IPi | SPIi) (RFC 7296, Section 2.6).
// It does not cover KE, which changes after INVALID_KE_PAYLOAD (Section 2.6.1).
func (f *Front) cookie(version byte, nonce []byte, source netip.Addr, spi ikemsg.SPI) []byte {
	mac := hmac.New(sha256.New, f.secrets[version&1][:])
	mac.Write(nonce)
	ip := source.Unmap().As16()
	mac.Write(ip[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(spi)))
	return append([]byte{version}, mac.Sum(nil)...)[:cookieSize]
}

func (f *Front) valid(got, nonce []byte, source netip.Addr, spi ikemsg.SPI) bool {
	if len(got) != cookieSize || got[0] != f.version && got[0] != f.version-1 {
		return false
	}
	return hmac.Equal(got, f.cookie(got[0], nonce, source, spi))
}

func (f *Front) askCookie(h ikemsg.Header, nonce []byte, d Datagram) Verdict {
	b, err := initNotify(h, ikemsg.NotifyCookie, f.cookie(f.version, nonce, d.Remote.Addr(), h.SPIi))
	if err != nil || len(b) > len(d.Data) {
		return Verdict{Reason: DropCookie}
	}
	return Verdict{Action: Reply, Reason: DropCookie, Reply: b}
}

// refuseVersion answers INVALID_MAJOR_VERSION in our version, with the
// request's SPIs, exchange type and message ID (Section 2.5).
func (f *Front) refuseVersion(h ikemsg.Header, size int) Verdict {
	v := Verdict{Reason: DropVersion}
	if h.Flags&ikemsg.FlagResponse != 0 || h.SPIi == 0 {
		return v
	}
	answer := ikemsg.Message{
		Header:   ikemsg.Header{SPIi: h.SPIi, SPIr: h.SPIr, Major: ikemsg.Version, Exchange: h.Exchange, Flags: ikemsg.FlagResponse, MessageID: h.MessageID},
		Payloads: []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyInvalidMajorVersion, Data: []byte{ikemsg.Version}}},
	}
	if b, err := answer.Append(nil); err == nil && len(b) <= size {
		v.Action, v.Reply = Reply, b
	}
	return v
}
