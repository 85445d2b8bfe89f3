package ike

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// seal encrypts payloads into one message, or into fragments when it would be
// longer than limit octets (RFC 7296, Section 3.14; RFC 7383, Section 2.5).
// A limit of 0 never fragments.
func (s *Session) seal(sa *ikeSA, h ikemsg.Header, ps []ikemsg.Payload, limit int) ([][]byte, error) {
	plain, err := ikemsg.AppendPayloads(make([]byte, 0, 512), ps)
	if err != nil {
		return nil, err
	}
	c, err := sa.cipher(sa.keys.out)
	if err != nil {
		return nil, err
	}
	first := ikemsg.FirstType(ps)
	if size := skOverhead + sealedSize(c, len(plain)); limit == 0 || size <= limit {
		prefix, err := ikemsg.SKPrefix(h, first, sealedSize(c, len(plain)))
		if err != nil {
			return nil, err
		}
		return [][]byte{s.sealBody(sa, c, prefix, plain)}, nil
	}
	return s.sealFragments(sa, c, h, first, plain, limit)
}

// The octets before the body of SK and of SKF.
const (
	skOverhead  = ikemsg.HeaderLen + 4
	skfOverhead = ikemsg.HeaderLen + 8
)

// sealedSize is IV | ciphertext | ICV for n octets of payloads.
func sealedSize(c suite.Cipher, n int) int {
	return c.IVSize() + padded(c, n) + c.ICVSize()
}

// padded is n and the pad length octet, rounded up to the block.
func padded(c suite.Cipher, n int) int {
	b := c.BlockSize()
	return (n + 1 + b - 1) / b * b
}

// sealBody appends IV, ciphertext and ICV to prefix, which has room for them.
func (s *Session) sealBody(sa *ikeSA, c suite.Cipher, prefix, plain []byte) []byte {
	aad := prefix
	msg := s.appendIV(prefix, sa, c)
	iv := msg[len(aad):]
	body := len(msg)
	msg = append(msg, plain...)
	for pad := padded(c, len(plain)) - len(plain) - 1; len(msg) < body+len(plain)+pad; {
		msg = append(msg, 0)
	}
	msg = append(msg, byte(len(msg)-body-len(plain)))
	return c.Seal(msg[:body], iv, msg[body:], aad, nil)
}

// appendIV appends a fresh IV: a counter for an AEAD, which must never repeat
// under a key (RFC 5282, Section 3.1), and random for CBC, which must not be
// guessed (RFC 7296, Section 3.14).
func (s *Session) appendIV(b []byte, sa *ikeSA, c suite.Cipher) []byte {
	if c.AEAD() {
		sa.iv++
		return binary.BigEndian.AppendUint64(b, sa.iv)
	}
	n := len(b)
	b = append(b, make([]byte, c.IVSize())...)
	s.cfg.random(b[n:])
	return b
}

var errNotOurs = errors.New("ike: message does not authenticate")

// open verifies and decrypts the body at the end of message into fresh memory
// and takes the padding off.
func (sa *ikeSA) open(message, body []byte) ([]byte, error) {
	c, err := sa.cipher(sa.keys.in)
	if err != nil {
		return nil, err
	}
	if len(body) < c.IVSize()+c.BlockSize()+c.ICVSize() {
		return nil, errNotOurs
	}
	iv, sealed := body[:c.IVSize()], body[c.IVSize():]
	plain, err := c.Open(make([]byte, 0, len(sealed)), iv, sealed, message[:len(message)-len(body)], nil)
	if err != nil {
		return nil, errNotOurs
	}
	pad := int(plain[len(plain)-1])
	if pad+1 > len(plain) {
		return nil, fmt.Errorf("ike: pad length %d is over the %d octets there", pad, len(plain)-1)
	}
	return plain[:len(plain)-1-pad], nil
}

// cipher is made for each message and dropped; see keys.
func (sa *ikeSA) cipher(k cipherKeys) (suite.Cipher, error) {
	return suite.NewCipher(sa.suite.Encr, sa.suite.Integ, k.encr, k.integ)
}
