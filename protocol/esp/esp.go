// Package esp seals and opens one ESP packet at a time (RFC 4303): framing,
// padding, extended sequence numbers and the anti-replay window, over a cipher
// of protocol/suite. It has no socket, clock or goroutine.
//
// Covered: RFC 4303 (ESP), RFC 4106 (AES-GCM), RFC 7634 (ChaCha20-Poly1305),
// RFC 3602 (AES-CBC), RFC 4304 and RFC 4303, Appendix A (64-bit sequence
// numbers), RFC 6479 (window in blocks), RFC 3948 (UDP encapsulation, its
// constants). Not covered: traffic flow confidentiality padding is accepted and
// never sent; ESP without encryption or without integrity does not exist here.
package esp

import (
	"crypto/rand"
	"encoding/binary"
	"errors"

	"sallyport/protocol/suite"
)

// The next header values that ESP in tunnel mode carries (RFC 4303, Section
// 2.6). NextNone marks a dummy packet.
const (
	NextIPv4 = 4
	NextIPv6 = 41
	NextNone = 59
)

// HeaderSize is the SPI and the sequence number, in octets (RFC 4303, Section 2).
const HeaderSize = 8

// MaxTrailer is the most that Seal writes behind a payload: padding to a block
// of 16, the pad length and the next header (RFC 4303, Section 2.4).
const MaxTrailer = 16 + 2

// MinSPI is the first SPI that is neither the non-ESP marker nor reserved
// (RFC 4303, Section 2.1).
const MinSPI = 256

// UDP encapsulation (RFC 3948): the port, the datagram that only keeps a NAT
// mapping alive, and the four zero octets that tell IKE from ESP on that port.
const (
	PortNATT      = 4500
	Keepalive     = 0xFF // Section 2.3
	NonESPMarker  = 0    // Section 2.2
	MarkerSize    = 4
	minAlignment  = 4 // RFC 4303, Section 2.4: pad length and next header end a 32-bit word
	trailerFields = 2 // pad length and next header
)

// The reasons why a packet is dropped, which callers count apart.
var (
	ErrMalformed = errors.New("esp: packet too short or badly framed")
	ErrReplay    = errors.New("esp: sequence number already seen, too old or zero")
	ErrAuth      = errors.New("esp: integrity check failed")
)

// Outbound seals the packets of one outbound SA. It is not safe for concurrent
// use: each worker takes a Clone, and all draw from one sequence.
type Outbound struct {
	spi    uint32
	esn    bool
	aead   bool
	iv     int
	align  int
	icv    int
	cipher suite.Cipher
	aad    [12]byte // RFC 4106, Section 5: SPI and 64-bit sequence number
	tail   [4]byte  // RFC 4303, Section 2.2.1: high half, authenticated but not sent
}

// NewOutbound prepares sealing under one SPI.
func NewOutbound(spi uint32, esn bool, c suite.Cipher) *Outbound {
	return &Outbound{
		spi: spi, esn: esn, cipher: c,
		aead: c.AEAD(), iv: c.IVSize(), icv: c.ICVSize(),
		align: max(minAlignment, c.BlockSize()),
	}
}

// Clone returns an independent sealer under the same key, for another worker.
func (o *Outbound) Clone() *Outbound {
	c := *o
	c.cipher = o.cipher.Clone()
	return &c
}

// Size is the length of the ESP packet that carries n octets of payload.
func (o *Outbound) Size(n int) int {
	return HeaderSize + o.iv + o.padded(n) + o.icv
}

// MaxPayload is the largest payload whose ESP packet fits in size octets, or 0.
func (o *Outbound) MaxPayload(size int) int {
	body := size - HeaderSize - o.iv - o.icv
	return max(0, body-body%o.align-trailerFields)
}

func (o *Outbound) padded(n int) int {
	n += trailerFields
	return (n + o.align - 1) / o.align * o.align
}

// Seal appends to dst the ESP packet for payload under sequence number seq.
//
// The trailer is written in place behind payload, which therefore needs
// MaxTrailer octets of capacity beyond its length; what stood there is lost.
// dst must have room for Size(len(payload)) octets and must not overlap payload.
// seq must never repeat: it is the nonce of the AEAD suites.
func (o *Outbound) Seal(dst []byte, seq uint64, next uint8, payload []byte) []byte {
	plain := o.appendTrailer(payload, next)
	start := len(dst)
	dst = dst[:start+HeaderSize+o.iv]
	header, iv := dst[start:start+HeaderSize], dst[start+HeaderSize:]
	binary.BigEndian.PutUint32(header, o.spi)
	binary.BigEndian.PutUint32(header[4:], uint32(seq))
	if o.aead {
		// RFC 4106, Section 3.1 and RFC 7634, Section 2: the counter itself
		// cannot repeat within a key; a random IV could.
		binary.BigEndian.PutUint64(iv, seq)
	} else {
		rand.Read(iv) // RFC 3602, Section 2.1: unpredictable for CBC
	}
	aad, tail := additional(&o.aad, &o.tail, header, seq, o.esn, o.aead)
	return o.cipher.Seal(dst, iv, plain, aad, tail)
}

// appendTrailer pads with 1, 2, 3 ... (RFC 4303, Section 2.4).
func (o *Outbound) appendTrailer(payload []byte, next uint8) []byte {
	n := len(payload)
	total := o.padded(n)
	plain := payload[:total]
	pad := total - n - trailerFields
	for i := range pad {
		plain[n+i] = byte(i + 1)
	}
	plain[total-2] = byte(pad)
	plain[total-1] = next
	return plain
}

// additional gives what is authenticated beside the payload. An AEAD takes the
// whole 64-bit number in its associated data (RFC 4106, Section 5); a separate
// integrity algorithm takes the high half behind the ciphertext (RFC 4303,
// Section 2.2.1).
func additional(aad *[12]byte, tail *[4]byte, header []byte, seq uint64, esn, aead bool) ([]byte, []byte) {
	switch {
	case !esn:
		return header, nil
	case aead:
		copy(aad[:4], header)
		binary.BigEndian.PutUint64(aad[4:], seq)
		return aad[:], nil
	default:
		binary.BigEndian.PutUint32(tail[:], uint32(seq>>32))
		return header, tail[:]
	}
}

// Inbound opens the packets of one inbound SA and keeps its replay window. It
// is not safe for concurrent use; the caller serialises.
type Inbound struct {
	spi    uint32
	esn    bool
	aead   bool
	iv     int
	align  int
	icv    int
	cipher suite.Cipher
	window *Window
	aad    [12]byte
	tail   [4]byte
}

// NewInbound prepares opening under one SPI with a window of that many packets.
func NewInbound(spi uint32, esn bool, c suite.Cipher, window uint32) *Inbound {
	return &Inbound{
		spi: spi, esn: esn, cipher: c,
		aead: c.AEAD(), iv: c.IVSize(), icv: c.ICVSize(),
		align:  max(minAlignment, c.BlockSize()),
		window: NewWindow(window),
	}
}

// Open checks, authenticates and decrypts packet in place, in the order of RFC
// 4303, Section 3.4: the window is asked before the cipher works, and moved
// only after the tag has verified. newest tells that the packet is to the right
// of every earlier one, so that its outer address may be believed to be current.
// The payload aliases packet. The errors are ErrMalformed, ErrReplay, ErrAuth.
func (i *Inbound) Open(packet []byte) (payload []byte, next uint8, newest bool, err error) {
	body := len(packet) - HeaderSize - i.iv - i.icv
	if body < minAlignment || body%i.align != 0 {
		return nil, 0, false, ErrMalformed
	}
	if binary.BigEndian.Uint32(packet) != i.spi {
		return nil, 0, false, ErrMalformed
	}
	seq, ok := i.sequence(binary.BigEndian.Uint32(packet[4:]))
	if !ok || !i.window.Fresh(seq) {
		return nil, 0, false, ErrReplay
	}
	header := packet[:HeaderSize:HeaderSize]
	iv := packet[HeaderSize : HeaderSize+i.iv : HeaderSize+i.iv]
	sealed := packet[HeaderSize+i.iv:]
	aad, tail := additional(&i.aad, &i.tail, header, seq, i.esn, i.aead)
	plain, err := i.cipher.Open(sealed[:0], iv, sealed, aad, tail)
	if err != nil {
		return nil, 0, false, ErrAuth
	}
	newest = i.window.Accept(seq)
	payload, next, ok = trimTrailer(plain)
	if !ok {
		return nil, 0, false, ErrMalformed
	}
	return payload, next, newest, nil
}

// sequence is the whole sequence number of a packet that carries the low half.
func (i *Inbound) sequence(low uint32) (uint64, bool) {
	if !i.esn {
		return uint64(low), true
	}
	return i.window.Extend(low)
}

// trimTrailer cuts padding, pad length and next header off. The padding octets
// are not compared with 1, 2, 3: they are authenticated, and RFC 4303, Section
// 2.4 asks for that check only where nothing else protects them.
func trimTrailer(plain []byte) (payload []byte, next uint8, ok bool) {
	n := len(plain)
	if n < trailerFields {
		return nil, 0, false
	}
	pad := int(plain[n-2])
	if pad > n-trailerFields {
		return nil, 0, false
	}
	return plain[:n-trailerFields-pad], plain[n-1], true
}
