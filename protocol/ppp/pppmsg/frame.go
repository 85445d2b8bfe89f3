// Package pppmsg reads and writes PPP frames as L2TP carries them, and the
// packets of the control protocols inside: RFC 1661 (PPP, LCP), RFC 1570
// (Identification, Time-Remaining), RFC 1332 and RFC 1877 (IPCP), RFC 5072
// (IPV6CP), and of RFC 3748 (EAP) the header alone.
//
// L2TP has no HDLC framing: there is no flag, no escaping and no FCS (RFC 2661,
// Section 5.1). Names and errors keep peer text quoted. Parse judges form; what
// a number means for the link is package ppp's business.
package pppmsg

import (
	"fmt"

	"sallyport/protocol/wire"
)

// Protocol is a PPP DLL protocol number (RFC 1661, Section 2, and IANA).
type Protocol uint16

// Protocols that are spoken, refused by name, or met on real links.
const (
	IPv4           Protocol = 0x0021
	VJCompressed   Protocol = 0x002d
	VJUncompressed Protocol = 0x002f
	IPv6           Protocol = 0x0057
	Compressed     Protocol = 0x00fd // what CCP would have negotiated
	IPCP           Protocol = 0x8021
	ECP            Protocol = 0x8053
	IPV6CP         Protocol = 0x8057
	CCP            Protocol = 0x80fd
	ACSP           Protocol = 0x8235 // Apple asks for it
	MPLSCP         Protocol = 0x8281
	LCP            Protocol = 0xc021
	PAP            Protocol = 0xc023
	LQR            Protocol = 0xc025
	BACP           Protocol = 0xc02b
	CHAP           Protocol = 0xc223
	EAP            Protocol = 0xc227
)

var protocolNames = map[Protocol]string{
	IPv4: "IPv4", VJCompressed: "VJ compressed TCP", VJUncompressed: "VJ uncompressed TCP", IPv6: "IPv6", Compressed: "compressed data",
	IPCP: "IPCP", ECP: "ECP", IPV6CP: "IPV6CP", CCP: "CCP", ACSP: "ACSP", MPLSCP: "MPLSCP", LCP: "LCP", PAP: "PAP", LQR: "LQR", BACP: "BACP",
	CHAP: "CHAP", EAP: "EAP",
}

// String is the usual name, or "protocol 0x1234".
func (p Protocol) String() string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return fmt.Sprintf("protocol %#04x", uint16(p))
}

// Address and Control, which begin every frame unless both were compressed
// away (RFC 1661, Section 6.6).
const (
	address = 0xff
	control = 0x03
)

// Frame is one PPP frame. The two flags are the compressions of RFC 1661,
// Sections 6.5 and 6.6: they are read always, and written when the peer has
// asked for them.
type Frame struct {
	ShortAddress  bool // FF 03 is left out
	ShortProtocol bool // a protocol under 0x100 has one octet
	Protocol      Protocol
	Data          []byte // aliases the input of ParseFrame
}

// ParseFrame reads "FF 03 00 21", "FF 03 21", "00 21" and "21" alike. A frame
// that begins with 4x or 6x is refused: clients have been seen to leave the
// protocol out, and to answer "protocol 0x4500" with Protocol-Reject gives a
// flood. The numbers that are lost by this have never had a use on a link.
func ParseFrame(b []byte) (Frame, error) {
	r := wire.NewReader("PPP frame", b)
	f := Frame{ShortAddress: true}
	if len(b) >= 2 && b[0] == address && b[1] == control {
		f.ShortAddress = false
		r.Bytes(2)
	}
	first := r.U8()
	switch {
	case r.Err() != nil:
	case first>>4 == 4 || first>>4 == 6:
		r.Fail("%#02x begins an IP packet: the protocol field is missing", first)
	case first&1 != 0:
		f.ShortProtocol, f.Protocol = true, Protocol(first)
	default:
		f.Protocol = Protocol(first)<<8 | Protocol(r.U8())
		if r.Err() == nil && f.Protocol&1 == 0 {
			r.Fail("%#04x is no protocol number: the last octet must be odd", uint16(f.Protocol))
		}
	}
	f.Data = r.Rest()
	return f, r.Finish()
}

// Append appends the frame to b.
func (f Frame) Append(b []byte) []byte {
	if !f.ShortAddress {
		b = append(b, address, control)
	}
	if f.ShortProtocol && f.Protocol < 0x100 {
		b = append(b, byte(f.Protocol))
	} else {
		b = wire.AppendU16(b, uint16(f.Protocol))
	}
	return append(b, f.Data...)
}
