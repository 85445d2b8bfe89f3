package radius

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"slices"

	"sallyport/internal/secret"
)

// Drop is why a packet was discarded in silence. Every drop is counted, and
// none is logged by itself: anybody can send packets.
type Drop uint8

// Reasons to discard.
const (
	DropMalformed              Drop = iota + 1 // no packet, or cut short
	DropSource                                 // from somebody we do not know
	DropUnasked                                // no request of ours waits for it: late, a duplicate, or invented
	DropCode                                   // not an answer to the request, or not a request for us
	DropAuthenticator                          // the authenticator is not made with our secret
	DropNoMessageAuthenticator                 // RFC 3579, Section 3.2 is missing: old server, or CVE-2024-3596
	DropMessageAuthenticator                   // it is there and wrong, or there twice
	DropProxyState                             // an answer with a Proxy-State, when we send none: the tool of CVE-2024-3596
	DropStale                                  // Event-Timestamp outside of the window (RFC 5176, Section 6.3)
	DropReplay                                 // seen before, from elsewhere
	DropDuplicate                              // seen before and still being worked on
	DropBusy                                   // a bound is reached
	numDrops
)

var dropNames = [numDrops]string{
	DropMalformed: "malformed", DropSource: "unknown source", DropUnasked: "unasked", DropCode: "wrong code",
	DropAuthenticator: "wrong authenticator", DropNoMessageAuthenticator: "no Message-Authenticator",
	DropMessageAuthenticator: "wrong Message-Authenticator", DropProxyState: "unexpected Proxy-State",
	DropStale: "stale Event-Timestamp", DropReplay: "replayed", DropDuplicate: "duplicate in progress", DropBusy: "too many",
}

func (d Drop) String() string {
	if d > 0 && d < numDrops {
		return dropNames[d]
	}
	return "not dropped"
}

// Counters counts drops by reason.
type Counters [numDrops]uint64

// Total is the number of all drops.
func (c *Counters) Total() (n uint64) {
	for _, v := range c {
		n += v
	}
	return n
}

// Drops lists the reasons there are, for metrics.
func Drops() []Drop {
	var all []Drop
	for d := Drop(1); d < numDrops; d++ {
		all = append(all, d)
	}
	return all
}

// AppendRequest encodes a request and makes what proves the secret: a
// Message-Authenticator, which stands first in everything but accounting, and
// the authenticator of the requests that hash one. For the others the caller
// has put 16 octets of chance into p.Authenticator. p.Authenticator is set to
// what is sent; p.Attributes stay.
func (p *Packet) AppendRequest(b []byte, key secret.Bytes) ([]byte, error) {
	if p.Code.hashed() {
		p.Authenticator = Authenticator{}
	}
	from := len(b)
	b, err := p.appendSigned(b, p.Authenticator, key)
	if err != nil {
		return nil, err
	}
	if p.Code.hashed() {
		p.Authenticator = hash(b[from:], Authenticator{}, key)
		copy(b[from+4:], p.Authenticator[:])
	}
	return b, nil
}

// AppendReply encodes the answer to a request with that authenticator.
func (p *Packet) AppendReply(b []byte, request Authenticator, key secret.Bytes) ([]byte, error) {
	from := len(b)
	b, err := p.appendSigned(b, request, key)
	if err != nil {
		return nil, err
	}
	p.Authenticator = hash(b[from:], request, key)
	copy(b[from+4:], p.Authenticator[:])
	return b, nil
}

// appendSigned encodes with a Message-Authenticator in front. First because
// then an attacker who wants a collision cannot choose what goes before it
// (CVE-2024-3596).
func (p *Packet) appendSigned(b []byte, a Authenticator, key secret.Bytes) ([]byte, error) {
	q := *p
	if p.Code.signed() {
		q.Attributes = append(make([]Attribute, 0, len(p.Attributes)+1), Attribute{MessageAuthenticator, make([]byte, 16)})
		for _, x := range p.Attributes {
			if x.Type != MessageAuthenticator {
				q.Attributes = append(q.Attributes, x)
			}
		}
	}
	from := len(b)
	b, err := q.Append(b)
	if err == nil && p.Code.signed() {
		at := HeaderSize + 2
		copy(b[from+at:], sign(b[from:], at, a, key))
	}
	return b, err
}

// hash is the Response Authenticator (RFC 2865, Section 3), and with zeros for
// the request's the authenticator of RFC 2866, Section 3.
func hash(b []byte, request Authenticator, key secret.Bytes) (sum Authenticator) {
	withMD5(func() {
		h := md5.New()
		h.Write(b[:4])
		h.Write(request[:])
		h.Write(b[HeaderSize:])
		h.Write(key)
		h.Sum(sum[:0])
	})
	return sum
}

// withMD5 runs f where GODEBUG=fips140=only would forbid it. Inside RadSec the
// MD5 of RADIUS protects nothing, so none of FIPS 140's is broken; whoever opens
// sockets for RADIUS outside of TLS asks fips140.Enforced first.
func withMD5(f func()) { fips140.WithoutEnforcement(f) }

// sign is the Message-Authenticator whose 16 octets are at b[at:] (RFC 3579,
// Section 3.2).
func sign(b []byte, at int, a Authenticator, key secret.Bytes) (sum []byte) {
	withMD5(func() {
		h := hmac.New(md5.New, key)
		h.Write(b[:4])
		h.Write(a[:])
		h.Write(b[HeaderSize:at])
		h.Write(make([]byte, 16))
		h.Write(b[at+16:])
		sum = h.Sum(nil)
	})
	return sum
}

// sent is what an answer is held against.
type sent struct {
	code          Code
	authenticator Authenticator
}

// checkReply reads a reply and tells whether the server made it for that
// request. The reply aliases b.
func checkReply(b []byte, request sent, key secret.Bytes) (*Packet, Drop) {
	b, err := cut(b)
	if err != nil {
		return nil, DropMalformed
	}
	p, err := Parse(b)
	switch {
	case err != nil:
		return nil, DropMalformed
	case !slices.Contains(answers[request.code], p.Code):
		return nil, DropCode
	}
	if want := hash(b, request.authenticator, key); !hmac.Equal(want[:], p.Authenticator[:]) {
		return nil, DropAuthenticator
	}
	// A Status-Server is the exception: RFC 5997, Section 6 shows bare answers,
	// and one that is forged opens nothing.
	if d := checkSignature(b, request.authenticator, key, request.code == AccessRequest); d != 0 {
		return nil, d
	}
	// RFC 2865, Section 5.33: servers return what they were sent, and we send
	// none.
	if p.Has(ProxyState) {
		return nil, DropProxyState
	}
	return p, 0
}

// checkRequest reads a request of the hashed kind (RFC 5176, Section 2.3) and
// tells whether somebody with the secret made it.
func checkRequest(b []byte, key secret.Bytes) (*Packet, Drop) {
	b, err := cut(b)
	if err != nil {
		return nil, DropMalformed
	}
	p, err := Parse(b)
	switch {
	case err != nil:
		return nil, DropMalformed
	case p.Code != DisconnectRequest && p.Code != CoARequest:
		return nil, DropCode
	}
	if want := hash(b, Authenticator{}, key); !hmac.Equal(want[:], p.Authenticator[:]) {
		return nil, DropAuthenticator
	}
	return p, checkSignature(b, Authenticator{}, key, false)
}

// checkSignature verifies the Message-Authenticator of a well-formed packet.
// It may stand anywhere: not every server has learned to put it first.
func checkSignature(b []byte, a Authenticator, key secret.Bytes, required bool) Drop {
	at := 0
	for i := HeaderSize; i < len(b); i += int(b[i+1]) {
		if Type(b[i]) != MessageAuthenticator {
			continue
		}
		if at != 0 || b[i+1] != 18 {
			return DropMessageAuthenticator
		}
		at = i + 2
	}
	switch {
	case at == 0 && required:
		return DropNoMessageAuthenticator
	case at == 0:
		return 0
	case !hmac.Equal(sign(b, at, a, key), b[at:at+16]):
		return DropMessageAuthenticator
	}
	return 0
}

// identifierOf is the Identifier of what may be a packet.
func identifierOf(b []byte) (uint8, bool) {
	if len(b) < HeaderSize || int(binary.BigEndian.Uint16(b[2:])) > len(b) {
		return 0, false
	}
	return b[1], true
}
