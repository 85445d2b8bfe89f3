package ike

import (
	"fmt"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Limits of reassembly (RFC 7383, Section 2.6). A fragment is stored only
// after it authenticated, so only a peer with keys can fill them.
const (
	maxFragments     = 96                // 64 KiB in fragments of 576-octet packets are over 120; no chain we accept needs that many
	maxReassembled   = ikemsg.MaxMessage // a whole message is no longer either
	fragmentPatience = 30 * time.Second  // an incomplete set is dropped then
)

// fragments is a message of which some parts have come.
type fragments struct {
	id    uint32
	flags ikemsg.Flags // a request and a response may have the same ID
	first ikemsg.PayloadType
	parts [][]byte
	have  int
	size  int
	hash  messageHash // of fragment 1 as it came: it alone triggers a cached answer
	since time.Time
}

// sealFragments splits plain, so that no message is over limit octets.
func (s *Session) sealFragments(sa *ikeSA, c suite.Cipher, h ikemsg.Header, first ikemsg.PayloadType, plain []byte, limit int) ([][]byte, error) {
	room := limit - skfOverhead - c.IVSize() - c.ICVSize()
	room = room/c.BlockSize()*c.BlockSize() - 1
	if room < 1 {
		return nil, fmt.Errorf("ike: a fragment size of %d octets leaves no room for content", limit)
	}
	total := (len(plain) + room - 1) / room
	if total > maxFragments {
		return nil, fmt.Errorf("ike: a message of %d octets would need %d fragments, the limit is %d", len(plain), total, maxFragments)
	}
	var out [][]byte
	for number := 1; number <= total; number++ {
		part := plain[:min(room, len(plain))]
		plain = plain[len(part):]
		prefix, err := ikemsg.SKFPrefix(h, first, uint16(number), uint16(total), sealedSize(c, len(part)))
		if err != nil {
			return nil, err
		}
		first = ikemsg.PayloadNone
		out = append(out, s.sealBody(sa, c, prefix, part))
	}
	return out, nil
}

// plausible are the checks before any cryptography (RFC 7383, Section 2.6).
func plausible(f *ikemsg.EncryptedFragment) bool {
	return f.Number >= 1 && f.Number <= f.Total && f.Total <= maxFragments
}

// of tells whether r is the set of this message.
func (r *fragments) of(h ikemsg.Header) bool {
	return r != nil && r.id == h.MessageID && r.flags == h.Flags
}

// wants tells whether the set can use f at all, so that duplicates cost no
// decryption. A larger Total means that the sender went to smaller fragments:
// the old set is worthless then (RFC 7383, Section 2.6).
func (r *fragments) wants(f *ikemsg.EncryptedFragment) bool {
	if int(f.Total) != len(r.parts) {
		return int(f.Total) > len(r.parts)
	}
	return r.parts[f.Number-1] == nil
}

// add stores one authenticated fragment and gives the whole message once it
// is complete.
func (r *fragments) add(f *ikemsg.EncryptedFragment, plain []byte, hash messageHash) (whole []byte, complete bool) {
	if r.size += len(plain); r.size > maxReassembled {
		return nil, false
	}
	if plain == nil {
		plain = []byte{}
	}
	r.parts[f.Number-1] = plain
	r.have++
	if f.Number == 1 {
		r.first, r.hash = f.First, hash
	}
	if r.have < len(r.parts) {
		return nil, false
	}
	whole = make([]byte, 0, r.size)
	for _, p := range r.parts {
		whole = append(whole, p...)
	}
	return whole, true
}
