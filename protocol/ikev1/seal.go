package ikev1

import (
	"crypto/cipher"
	"crypto/hmac"
	"encoding/binary"
	"errors"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// blockSize is that of every cipher of phase 1 that is built: AES.
const blockSize = 16

// firstIV is the IV of the first encrypted message of main mode (RFC 2409,
// Appendix B).
func firstIV(prf suite.PRFunc, publicI, publicR []byte) []byte {
	return prf.Hash(publicI, publicR)[:blockSize]
}

// exchangeIV is the IV of the first message of any later exchange: each message
// ID begins a chain of its own (Appendix B).
func exchangeIV(prf suite.PRFunc, last []byte, id uint32) []byte {
	return prf.Hash(last, binary.BigEndian.AppendUint32(nil, id))[:blockSize]
}

// seal encrypts payloads into a message, and gives the IV of the next message of
// its chain: the last block of this one.
func (sa *isakmpSA) seal(h isakmp.Header, iv []byte, ps []isakmp.Payload) (msg, next []byte, err error) {
	block, err := suite.NewBlock1(sa.suite.Encr, sa.keys.encr)
	if err != nil {
		return nil, nil, err
	}
	plain, err := isakmp.AppendPayloads(make([]byte, 0, 512), ps)
	if err != nil {
		return nil, nil, err
	}
	for len(plain)%blockSize != 0 {
		plain = append(plain, 0) // every peer sends zeros, whatever Appendix B says of a count
	}
	if isakmp.HeaderLen+len(plain) > isakmp.MaxMessage {
		return nil, nil, errors.New("ikev1: a message is longer than a datagram")
	}
	h.Flags |= isakmp.FlagEncryption
	h.NextPayload = isakmp.FirstType(ps)
	msg = h.Append(make([]byte, 0, isakmp.HeaderLen+len(plain)), len(plain))
	msg = append(msg, plain...)
	body := msg[isakmp.HeaderLen:]
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(body, plain)
	return msg, body[len(body)-blockSize:], nil
}

var errNotOurs = errors.New("ikev1: message does not decrypt")

// opened is a decrypted message.
type opened struct {
	payloads []isakmp.Payload
	chain    []byte // the payloads without padding
	next     []byte // IV of the next message of the chain
}

// open decrypts a message into fresh memory and parses it. Nothing is proven by
// that: CBC has no integrity, and what comes out may be anything.
func (sa *isakmpSA) open(m *isakmp.Message, iv []byte) (*opened, error) {
	c := m.Encrypted
	if len(c) == 0 || len(c)%blockSize != 0 {
		return nil, errNotOurs
	}
	block, err := suite.NewBlock1(sa.suite.Encr, sa.keys.encr)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(c))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, c)
	ps, used, err := isakmp.ParsePayloads(m.Header.NextPayload, plain)
	if err != nil {
		return nil, errNotOurs
	}
	return &opened{payloads: ps, chain: plain[:used], next: append([]byte(nil), c[len(c)-blockSize:]...)}, nil
}

// authentic opens a message of an exchange and checks its HASH, which is the
// first payload and covers all that follow (RFC 2409, Sections 5.5 and 5.7).
// before are the nonces that stand between message ID and payloads.
func (sa *isakmpSA) authentic(m *isakmp.Message, iv []byte, before ...[]byte) (*opened, error) {
	o, err := sa.open(m, iv)
	if err != nil {
		return nil, err
	}
	if len(o.payloads) == 0 {
		return nil, errNotOurs
	}
	got, ok := o.payloads[0].(*isakmp.Hash)
	if !ok {
		return nil, errNotOurs
	}
	covered := o.chain[4+len(got.Data):] // 4 = the generic header of HASH
	want, err := sa.exchangeHash(m.Header.MessageID, append(before, covered)...)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(got.Data, want) {
		return nil, errNotOurs
	}
	return o, nil
}

// sealExchange seals payloads behind their HASH.
func (sa *isakmpSA) sealExchange(x isakmp.ExchangeType, id uint32, iv []byte, ps []isakmp.Payload, before ...[]byte) (msg, next []byte, err error) {
	covered, err := isakmp.AppendPayloads(nil, ps)
	if err != nil {
		return nil, nil, err
	}
	hash, err := sa.exchangeHash(id, append(before, covered)...)
	if err != nil {
		return nil, nil, err
	}
	return sa.seal(sa.header(x, id), iv, append([]isakmp.Payload{&isakmp.Hash{Data: hash}}, ps...))
}

func (sa *isakmpSA) header(x isakmp.ExchangeType, id uint32) isakmp.Header {
	return isakmp.Header{CookieI: sa.cookieI, CookieR: sa.cookieR, Exchange: x, MessageID: id}
}

// ivOf begins the chain of an exchange after main mode.
func (sa *isakmpSA) ivOf(id uint32) ([]byte, error) {
	prf, err := sa.prf()
	if err != nil {
		return nil, err
	}
	return exchangeIV(prf, sa.iv, id), nil
}
