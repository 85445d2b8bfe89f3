package isakmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"sallyport/protocol/wire"
)

// Limits of the lists and fields inside payloads; each keeps small the work that
// one message can ask for.
const (
	maxSPIs  = 1024 // SAs deleted at once; a client has a handful
	maxID    = 2048 // a distinguished name of a dozen long parts
	minNonce = 8    // RFC 2409, Section 5
	maxNonce = 256
)

// KE is the Key Exchange payload (RFC 2408, Section 3.7).
type KE struct{ Data []byte }

// ID is the Identification payload (RFC 2407, Section 4.6.2). Body is Type,
// Protocol, Port and Data exactly as received: the hashes cover it, so Append
// repeats it and ignores the other fields.
type ID struct {
	Type     IDType
	Protocol uint8 // IP protocol, 0 = any
	Port     uint16
	Data     []byte
	Body     []byte // as received; empty on a payload we build
}

// Cert is the Certificate payload (RFC 2408, Section 3.9).
type Cert struct {
	Encoding CertEncoding
	Data     []byte
}

// CertReq is the Certificate Request payload (RFC 2408, Section 3.10):
// Authority is a DER name, empty for "any".
type CertReq struct {
	Encoding  CertEncoding
	Authority []byte
}

// Hash is the Hash payload (RFC 2408, Section 3.11).
type Hash struct{ Data []byte }

// Signature is the Signature payload (RFC 2408, Section 3.12).
type Signature struct{ Data []byte }

// Nonce is the Nonce payload (RFC 2408, Section 3.13), 8 to 256 octets.
type Nonce struct{ Data []byte }

// Notify is the Notification payload (RFC 2408, Section 3.14).
type Notify struct {
	DOI      uint32
	Protocol ProtocolID
	Type     NotifyType
	SPI      []byte
	Data     []byte
}

// Delete is the Delete payload (RFC 2408, Section 3.15). SPIs are the sender's
// inbound ones of 4 octets, or pairs of cookies for ISAKMP.
type Delete struct {
	DOI      uint32
	Protocol ProtocolID
	SPIs     [][]byte // all of one size
}

// VendorID is the Vendor ID payload (RFC 2408, Section 3.16).
type VendorID struct{ Data []byte }

// NATD is a NAT discovery payload (RFC 3947, Section 3.2).
type NATD struct {
	Draft bool // payload 130, of the drafts
	Hash  []byte
}

// NATOA is a NAT original address payload (RFC 3947, Section 5.2).
type NATOA struct {
	Draft bool // payload 131, of the drafts
	Addr  netip.Addr
}

// Fragment is one part of a message in the manner of Cisco and Microsoft: ID is
// the same for all parts, Number counts from 1, and the parts joined are a
// whole message with its header.
type Fragment struct {
	ID     uint16
	Number uint8
	Last   bool
	Data   []byte
}

// Unknown is a payload this package does not know, kept as received.
type Unknown struct {
	Type PayloadType
	Body []byte
}

// PayloadType is PayloadKE.
func (*KE) PayloadType() PayloadType { return PayloadKE }

// PayloadType is PayloadID.
func (*ID) PayloadType() PayloadType { return PayloadID }

// PayloadType is PayloadCert.
func (*Cert) PayloadType() PayloadType { return PayloadCert }

// PayloadType is PayloadCertReq.
func (*CertReq) PayloadType() PayloadType { return PayloadCertReq }

// PayloadType is PayloadHash.
func (*Hash) PayloadType() PayloadType { return PayloadHash }

// PayloadType is PayloadSig.
func (*Signature) PayloadType() PayloadType { return PayloadSig }

// PayloadType is PayloadNonce.
func (*Nonce) PayloadType() PayloadType { return PayloadNonce }

// PayloadType is PayloadNotify.
func (*Notify) PayloadType() PayloadType { return PayloadNotify }

// PayloadType is PayloadDelete.
func (*Delete) PayloadType() PayloadType { return PayloadDelete }

// PayloadType is PayloadVendor.
func (*VendorID) PayloadType() PayloadType { return PayloadVendor }

// PayloadType is PayloadFragment.
func (*Fragment) PayloadType() PayloadType { return PayloadFragment }

// PayloadType is the number it came with.
func (p *Unknown) PayloadType() PayloadType { return p.Type }

// PayloadType is PayloadNATD or PayloadNATDDraft.
func (p *NATD) PayloadType() PayloadType {
	if p.Draft {
		return PayloadNATDDraft
	}
	return PayloadNATD
}

// PayloadType is PayloadNATOA or PayloadNATOADraft.
func (p *NATOA) PayloadType() PayloadType {
	if p.Draft {
		return PayloadNATOADraft
	}
	return PayloadNATOA
}

func (p *KE) appendBody(b []byte) ([]byte, error)        { return append(b, p.Data...), nil }
func (p *Hash) appendBody(b []byte) ([]byte, error)      { return append(b, p.Data...), nil }
func (p *Signature) appendBody(b []byte) ([]byte, error) { return append(b, p.Data...), nil }
func (p *VendorID) appendBody(b []byte) ([]byte, error)  { return append(b, p.Data...), nil }
func (p *NATD) appendBody(b []byte) ([]byte, error)      { return append(b, p.Hash...), nil }
func (p *Unknown) appendBody(b []byte) ([]byte, error)   { return append(b, p.Body...), nil }

func (p *Cert) appendBody(b []byte) ([]byte, error) {
	return append(append(b, byte(p.Encoding)), p.Data...), nil
}

func (p *CertReq) appendBody(b []byte) ([]byte, error) {
	return append(append(b, byte(p.Encoding)), p.Authority...), nil
}

// ---- ID

func parseID(r *wire.Reader) Payload {
	if r.Len() > 4+maxID {
		r.Fail("an identity of %d octets is over the limit of %d", r.Len()-4, maxID)
	}
	p := &ID{Body: r.Peek(r.Len()), Type: IDType(r.U8()), Protocol: r.U8(), Port: r.U16()}
	p.Data = r.Rest()
	if want := p.Type.size(); want != 0 && len(p.Data) != want {
		r.Fail("an %v of %d octets, not %d", p.Type, len(p.Data), want)
	}
	return p
}

// size is the length of the types that have a fixed one, else 0.
func (t IDType) size() int {
	switch t {
	case IDIPv4Addr:
		return 4
	case IDIPv4AddrSubnet, IDIPv4AddrRange:
		return 8
	case IDIPv6Addr:
		return 16
	case IDIPv6AddrSubnet, IDIPv6AddrRange:
		return 32
	}
	return 0
}

func (p *ID) appendBody(b []byte) ([]byte, error) {
	if len(p.Body) > 0 {
		return append(b, p.Body...), nil
	}
	if len(p.Data) > maxID {
		return b, fmt.Errorf("an identity of %d octets is over the limit of %d", len(p.Data), maxID)
	}
	if want := p.Type.size(); want != 0 && len(p.Data) != want {
		return b, fmt.Errorf("an %v of %d octets, not %d", p.Type, len(p.Data), want)
	}
	return append(b, p.Octets()...), nil
}

// Octets are the payload's body, as received if it was: what HASH_I and HASH_R
// call IDii_b and IDir_b.
func (p *ID) Octets() []byte {
	if len(p.Body) > 0 {
		return p.Body
	}
	b := wire.AppendU16([]byte{byte(p.Type), p.Protocol}, p.Port)
	return append(b, p.Data...)
}

// AddrID is the ID of an address.
func AddrID(a netip.Addr) ID {
	a = a.Unmap()
	if a.Is4() {
		return ID{Type: IDIPv4Addr, Data: a.AsSlice()}
	}
	return ID{Type: IDIPv6Addr, Data: a.WithZone("").AsSlice()}
}

// ---- Nonce

// parseNonce holds nonces to the RFC's bounds: a longer one made Openswan abort.
func parseNonce(r *wire.Reader) Payload {
	if n := r.Len(); n < minNonce || n > maxNonce {
		r.Fail("a nonce of %d octets is not between %d and %d", n, minNonce, maxNonce)
	}
	return &Nonce{Data: r.Rest()}
}

func (p *Nonce) appendBody(b []byte) ([]byte, error) {
	if n := len(p.Data); n < minNonce || n > maxNonce {
		return b, fmt.Errorf("a nonce of %d octets is not between %d and %d", n, minNonce, maxNonce)
	}
	return append(b, p.Data...), nil
}

// ---- Notify and Delete

func parseNotify(r *wire.Reader) Payload {
	p := &Notify{DOI: r.U32(), Protocol: ProtocolID(r.U8())}
	size := int(r.U8())
	p.Type = NotifyType(r.U16())
	p.SPI = r.Bytes(size)
	p.Data = r.Rest()
	return p
}

func (p *Notify) appendBody(b []byte) ([]byte, error) {
	if len(p.SPI) > 255 {
		return b, fmt.Errorf("an SPI of %d octets", len(p.SPI))
	}
	b = wire.AppendU32(b, p.DOI)
	b = append(b, byte(p.Protocol), byte(len(p.SPI)))
	b = wire.AppendU16(b, uint16(p.Type))
	b = append(b, p.SPI...)
	return append(b, p.Data...), nil
}

func parseDelete(r *wire.Reader) Payload {
	p := &Delete{DOI: r.U32(), Protocol: ProtocolID(r.U8())}
	size, count := int(r.U8()), int(r.U16())
	switch {
	case count > maxSPIs:
		r.Fail("%d SPIs are over the limit of %d", count, maxSPIs)
	case size*count != r.Len():
		r.Fail("%d SPIs of %d octets do not fill %d octets", count, size, r.Len())
	case size == 0 && count > 0:
		r.Fail("%d SPIs have no octets", count)
	}
	for r.Len() > 0 {
		p.SPIs = append(p.SPIs, r.Bytes(size))
	}
	return p
}

func (p *Delete) appendBody(b []byte) ([]byte, error) {
	size := 0
	if len(p.SPIs) > 0 {
		size = len(p.SPIs[0])
	}
	if len(p.SPIs) > maxSPIs || size > 255 {
		return b, errors.New("too many SPIs, or too long ones")
	}
	b = wire.AppendU32(b, p.DOI)
	b = append(b, byte(p.Protocol), byte(size))
	b = wire.AppendU16(b, uint16(len(p.SPIs)))
	for _, spi := range p.SPIs {
		if len(spi) != size || size == 0 {
			return b, fmt.Errorf("an SPI of %d octets among those of %d", len(spi), size)
		}
		b = append(b, spi...)
	}
	return b, nil
}

// SPI32 is an SPI of four octets as a number; 0 for any other size.
func SPI32(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// ---- NAT-OA and fragments

func parseNATOA(draft bool, r *wire.Reader) Payload {
	p := &NATOA{Draft: draft}
	t := IDType(r.U8())
	r.Bytes(3) // RESERVED
	data := r.Rest()
	if want := t.size(); t != IDIPv4Addr && t != IDIPv6Addr || len(data) != want {
		r.Fail("an %v of %d octets is no address", t, len(data))
		return p
	}
	p.Addr, _ = netip.AddrFromSlice(data)
	return p
}

func (p *NATOA) appendBody(b []byte) ([]byte, error) {
	if !p.Addr.IsValid() {
		return b, errors.New("there is no address")
	}
	id := AddrID(p.Addr)
	return append(append(b, byte(id.Type), 0, 0, 0), id.Data...), nil
}

const flagLast = 1

func parseFragment(r *wire.Reader) Payload {
	p := &Fragment{ID: r.U16(), Number: r.U8(), Last: r.U8()&flagLast != 0}
	p.Data = r.Rest()
	return p
}

func (p *Fragment) appendBody(b []byte) ([]byte, error) {
	var flags byte
	if p.Last {
		flags = flagLast
	}
	b = append(wire.AppendU16(b, p.ID), p.Number, flags)
	return append(b, p.Data...), nil
}

// Addresses is how many octets of addresses a type holds: 0 for names.
func (t IDType) Addresses() int { return t.size() }
