package hostile

import (
	"crypto/rand"
	"encoding/binary"
	"errors"

	"sallyport/protocol/esp"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// association is one IKE SA as the attacker keeps it. It is written from RFC
// 7296, Sections 2.13 to 2.18, and shares no code with the machine it attacks.
type association struct {
	initiator  bool // we sent the message that made it
	spiI, spiR ikemsg.SPI
	suite      suite.IKE
	d, pi, pr  []byte
	in, out    suite.Cipher
	iv         uint64
	nextOut    uint32 // message ID of our next request
}

// derive makes the keys from SKEYSEED.
func (a *association) derive(seed, nonceI, nonceR []byte) error {
	prf, err := suite.NewPRF(a.suite.PRF)
	if err != nil {
		return err
	}
	encr, integ := suite.CipherKeySizes(a.suite.Encr, a.suite.Integ)
	spis := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(a.spiI)), uint64(a.spiR))
	stream := prf.Plus(seed, 3*prf.KeySize()+2*encr+2*integ, nonceI, nonceR, spis)
	take := func(n int) []byte {
		b := stream[:n:n]
		stream = stream[n:]
		return b
	}
	a.d = take(prf.KeySize())
	ai, ar, ei, er := take(integ), take(integ), take(encr), take(encr)
	a.pi, a.pr = take(prf.KeySize()), take(prf.KeySize())
	if a.out, err = suite.NewCipher(a.suite.Encr, a.suite.Integ, ei, ai); err != nil {
		return err
	}
	if a.in, err = suite.NewCipher(a.suite.Encr, a.suite.Integ, er, ar); err != nil {
		return err
	}
	if !a.initiator {
		a.in, a.out = a.out, a.in
	}
	return nil
}

// firstSeed is SKEYSEED of IKE_SA_INIT, rekeySeed that of a rekeyed IKE SA.
func (a *association) firstSeed(shared, nonceI, nonceR []byte) []byte {
	prf, _ := suite.NewPRF(a.suite.PRF)
	return prf.Sum(append(append([]byte(nil), nonceI...), nonceR...), shared)
}

func (a *association) rekeySeed(shared, nonceI, nonceR []byte) []byte {
	prf, _ := suite.NewPRF(a.suite.PRF)
	return prf.Sum(a.d, shared, nonceI, nonceR)
}

// octets are what AUTH covers (Section 2.15).
func (a *association) octets(message, nonce, skP []byte, id *ikemsg.ID) []byte {
	prf, _ := suite.NewPRF(a.suite.PRF)
	return append(append(append([]byte(nil), message...), nonce...), prf.Sum(skP, id.RestOfID())...)
}

func (a *association) header(x ikemsg.ExchangeType, id uint32, response bool) ikemsg.Header {
	h := ikemsg.Header{SPIi: a.spiI, SPIr: a.spiR, Major: 2, Exchange: x, MessageID: id}
	if a.initiator {
		h.Flags |= ikemsg.FlagInitiator
	}
	if response {
		h.Flags |= ikemsg.FlagResponse
	}
	return h
}

// seal encrypts any octets as the inside of SK.
func (a *association) seal(h ikemsg.Header, first ikemsg.PayloadType, plain []byte) []byte {
	size := a.out.IVSize() + a.padded(len(plain)) + a.out.ICVSize()
	prefix, err := ikemsg.SKPrefix(h, first, size)
	if err != nil {
		panic(err) // only for a message that no datagram could hold
	}
	return a.sealBody(prefix, plain)
}

// sealFragment is one SKF of any number.
func (a *association) sealFragment(h ikemsg.Header, first ikemsg.PayloadType, number, total uint16, plain []byte) []byte {
	prefix, err := ikemsg.SKFPrefix(h, first, number, total, a.out.IVSize()+a.padded(len(plain))+a.out.ICVSize())
	if err != nil {
		panic(err)
	}
	return a.sealBody(prefix, plain)
}

func (a *association) padded(n int) int {
	b := a.out.BlockSize()
	return (n + b) / b * b
}

func (a *association) sealBody(prefix, plain []byte) []byte {
	iv := make([]byte, a.out.IVSize())
	if a.out.AEAD() {
		a.iv++
		binary.BigEndian.PutUint64(iv, a.iv)
	} else {
		rand.Read(iv)
	}
	body := make([]byte, a.padded(len(plain)))
	copy(body, plain)
	body[len(body)-1] = byte(len(body) - len(plain) - 1)
	return a.out.Seal(append(append([]byte(nil), prefix...), iv...), iv, body, prefix, nil)
}

var errNotForUs = errors.New("hostile: not a message of this IKE SA")

// open decrypts a message with SK.
func (a *association) open(data []byte) ([]ikemsg.Payload, error) {
	m, err := ikemsg.Parse(data)
	if err != nil || len(m.Payloads) == 0 {
		return nil, errNotForUs
	}
	sk, ok := m.Payloads[len(m.Payloads)-1].(*ikemsg.Encrypted)
	if !ok || len(sk.Body) < a.in.IVSize()+a.in.ICVSize() {
		return nil, errNotForUs
	}
	aad := data[:len(data)-len(sk.Body)]
	iv, sealed := sk.Body[:a.in.IVSize()], sk.Body[a.in.IVSize():]
	plain, err := a.in.Open(nil, iv, sealed, aad, nil)
	if err != nil || len(plain) == 0 || int(plain[len(plain)-1])+1 > len(plain) {
		return nil, errNotForUs
	}
	return ikemsg.ParsePayloads(sk.First, plain[:len(plain)-1-int(plain[len(plain)-1])])
}

// childSA is one Child SA of the attacker.
type childSA struct {
	spiIn, spiOut uint32
	in            *esp.Inbound
	out           *esp.Outbound
	seq           uint64
}

// newChild makes the keys of a Child SA (Section 2.17).
func (a *association) newChild(s suite.ESP, shared, nonceI, nonceR []byte, spiIn, spiOut uint32) (*childSA, error) {
	prf, err := suite.NewPRF(a.suite.PRF)
	if err != nil {
		return nil, err
	}
	encr, integ := suite.CipherKeySizes(s.Encr, s.Integ)
	stream := prf.Plus(a.d, 2*(encr+integ), shared, nonceI, nonceR)
	half := encr + integ
	out, err := suite.NewCipher(s.Encr, s.Integ, stream[:encr], stream[encr:half])
	if err != nil {
		return nil, err
	}
	in, err := suite.NewCipher(s.Encr, s.Integ, stream[half:half+encr], stream[half+encr:])
	if err != nil {
		return nil, err
	}
	return &childSA{
		spiIn: spiIn, spiOut: spiOut,
		in: esp.NewInbound(spiIn, s.ESN, in, 1024), out: esp.NewOutbound(spiOut, s.ESN, out),
	}, nil
}

// seal makes the ESP packet of the next sequence number.
func (c *childSA) seal(next uint8, payload []byte) []byte {
	c.seq++
	room := append(make([]byte, 0, len(payload)+esp.MaxTrailer), payload...)
	return c.out.Seal(make([]byte, 0, c.out.Size(len(payload))), c.seq, next, room)
}
