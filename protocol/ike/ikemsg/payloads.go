package ikemsg

import (
	"errors"
	"fmt"

	"sallyport/protocol/wire"
)

// Limits of the lists inside payloads; each keeps the work that one message
// can ask for small.
const (
	maxSPIs         = 1024 // Child SAs deleted at once; a client has a handful
	maxCPAttributes = 256  // a client asks for about 12; a gateway may push some 100 subnets
	maxID           = 2048 // a distinguished name of a dozen long parts; CVE-2025-9242 was an ID without a bound
)

// Sizes of a nonce (RFC 7296, Section 3.9). A longer one made Openswan abort.
const (
	minNonce = 16
	maxNonce = 256
)

// hashLen is one SHA-1 hash in a Certificate Request (RFC 7296, Section 3.7).
const hashLen = 20

// PayloadType is PayloadKE.
func (*KE) PayloadType() PayloadType { return PayloadKE }

// parseKE leaves the length of the public value to the group's own check: the
// group may be one we have never heard of (CVE-2014-9221).
func parseKE(r *wire.Reader) Payload {
	p := &KE{Group: r.U16()}
	r.Bytes(2) // RESERVED
	p.Data = r.Rest()
	return p
}

func (p *KE) appendBody(b []byte) ([]byte, error) {
	b = wire.AppendU16(b, p.Group)
	b = append(b, 0, 0)
	return append(b, p.Data...), nil
}

// PayloadType is PayloadIDi or PayloadIDr.
func (p *ID) PayloadType() PayloadType {
	if p.Responder {
		return PayloadIDr
	}
	return PayloadIDi
}

func parseID(responder bool, r *wire.Reader) Payload {
	if r.Len() > 4+maxID {
		r.Fail("an identity of %d octets is over the limit of %d", r.Len()-4, maxID)
	}
	p := &ID{Responder: responder, Body: r.Peek(r.Len()), Kind: IDType(r.U8())}
	r.Bytes(3) // RESERVED
	p.Data = r.Rest()
	if want := p.Kind.addressLen(); want != 0 && len(p.Data) != want {
		r.Fail("an %v of %d octets, not %d", p.Kind, len(p.Data), want)
	}
	return p
}

// addressLen is the fixed size of the types that have one, else 0.
func (t IDType) addressLen() int {
	switch t {
	case IDIPv4Addr:
		return 4
	case IDIPv6Addr:
		return 16
	}
	return 0
}

// appendBody repeats a received Body as it was, so that what AUTH covers does
// not change.
func (p *ID) appendBody(b []byte) ([]byte, error) {
	if len(p.Body) > 0 {
		return append(b, p.Body...), nil
	}
	if len(p.Data) > maxID {
		return b, fmt.Errorf("an identity of %d octets is over the limit of %d", len(p.Data), maxID)
	}
	if want := p.Kind.addressLen(); want != 0 && len(p.Data) != want {
		return b, fmt.Errorf("an %v of %d octets, not %d", p.Kind, len(p.Data), want)
	}
	b = append(b, byte(p.Kind), 0, 0, 0)
	return append(b, p.Data...), nil
}

// RestOfID is what the AUTH payload's MACedID covers: ID Type, RESERVED and
// data (RFC 7296, Section 2.15), as received if it was.
func (p *ID) RestOfID() []byte {
	if len(p.Body) > 0 {
		return p.Body
	}
	return append([]byte{byte(p.Kind), 0, 0, 0}, p.Data...)
}

// PayloadType is PayloadCert.
func (*Cert) PayloadType() PayloadType { return PayloadCert }

func (p *Cert) appendBody(b []byte) ([]byte, error) {
	b = append(b, byte(p.Encoding))
	return append(b, p.Data...), nil
}

// PayloadType is PayloadCertReq.
func (*CertReq) PayloadType() PayloadType { return PayloadCertReq }

func parseCertReq(r *wire.Reader) Payload {
	p := &CertReq{Encoding: CertEncoding(r.U8()), Authorities: r.Rest()}
	if p.hashes() && len(p.Authorities)%hashLen != 0 {
		r.Fail("%d octets are no list of SHA-1 hashes", len(p.Authorities))
	}
	return p
}

// hashes says whether the encoding is one whose authorities are hashes.
func (p *CertReq) hashes() bool {
	return p.Encoding == CertX509Signature || p.Encoding == CertHashURL || p.Encoding == CertHashURLBundle
}

// Asks says whether the request lists this authority, given as the SHA-1 hash
// of its SubjectPublicKeyInfo (RFC 7296, Section 3.7).
func (p *CertReq) Asks(authority [hashLen]byte) bool {
	if !p.hashes() {
		return false
	}
	for list := p.Authorities; len(list) >= hashLen; list = list[hashLen:] {
		if [hashLen]byte(list) == authority {
			return true
		}
	}
	return false
}

func (p *CertReq) appendBody(b []byte) ([]byte, error) {
	if p.hashes() && len(p.Authorities)%hashLen != 0 {
		return b, fmt.Errorf("%d octets are no list of SHA-1 hashes", len(p.Authorities))
	}
	b = append(b, byte(p.Encoding))
	return append(b, p.Authorities...), nil
}

// PayloadType is PayloadAuth.
func (*Auth) PayloadType() PayloadType { return PayloadAuth }

func parseAuth(r *wire.Reader) Payload {
	p := &Auth{Method: AuthMethod(r.U8())}
	r.Bytes(3) // RESERVED
	p.Data = r.Rest()
	return p
}

func (p *Auth) appendBody(b []byte) ([]byte, error) {
	b = append(b, byte(p.Method), 0, 0, 0)
	return append(b, p.Data...), nil
}

// PayloadType is PayloadNonce.
func (*Nonce) PayloadType() PayloadType { return PayloadNonce }

func parseNonce(r *wire.Reader) Payload {
	p := &Nonce{Data: r.Rest()}
	if n := len(p.Data); n < minNonce || n > maxNonce {
		r.Fail("%d octets are not between %d and %d", n, minNonce, maxNonce)
	}
	return p
}

func (p *Nonce) appendBody(b []byte) ([]byte, error) {
	if n := len(p.Data); n < minNonce || n > maxNonce {
		return b, fmt.Errorf("%d octets are not between %d and %d", n, minNonce, maxNonce)
	}
	return append(b, p.Data...), nil
}

// PayloadType is PayloadNotify.
func (*Notify) PayloadType() PayloadType { return PayloadNotify }

// parseNotify keeps protocol and SPI as they are: which ones a notify needs is
// a matter of its type (CVE-2023-38710).
func parseNotify(r *wire.Reader) Payload {
	p := &Notify{Protocol: ProtocolID(r.U8())}
	spiSize := int(r.U8())
	p.Type = NotifyType(r.U16())
	if spiSize > 0 {
		p.SPI = r.Bytes(spiSize)
	}
	p.Data = r.Rest()
	return p
}

func (p *Notify) appendBody(b []byte) ([]byte, error) {
	if len(p.SPI) > 255 {
		return b, fmt.Errorf("%v: an SPI of %d octets does not fit", p.Type, len(p.SPI))
	}
	b = append(b, byte(p.Protocol), byte(len(p.SPI)))
	b = wire.AppendU16(b, uint16(p.Type))
	b = append(b, p.SPI...)
	return append(b, p.Data...), nil
}

// PayloadType is PayloadDelete.
func (*Delete) PayloadType() PayloadType { return PayloadDelete }

// parseDelete takes the number of SPIs from the octets that are there. A list
// of none is legal, and its SPI Size then says nothing.
func parseDelete(r *wire.Reader) Payload {
	p := &Delete{Protocol: ProtocolID(r.U8())}
	size, announced := int(r.U8()), int(r.U16())
	switch n := r.Len() / 4; {
	case r.Len() != size*announced:
		r.Fail("%d SPIs of %d octets are announced, %d octets are there", announced, size, r.Len())
	case announced == 0:
	case p.Protocol == ProtoIKE || size != 4:
		r.Fail("SPIs of %d octets do not belong to protocol %v", size, p.Protocol)
	case n > maxSPIs:
		r.Fail("%d SPIs are over the limit of %d", n, maxSPIs)
	default:
		p.SPIs = make([]uint32, n)
		for i := range p.SPIs {
			p.SPIs[i] = r.U32()
		}
	}
	return p
}

func (p *Delete) appendBody(b []byte) ([]byte, error) {
	if len(p.SPIs) > maxSPIs || p.Protocol == ProtoIKE && len(p.SPIs) > 0 {
		return b, fmt.Errorf("%d SPIs of protocol %v cannot be deleted at once", len(p.SPIs), p.Protocol)
	}
	size := byte(4)
	if p.Protocol == ProtoIKE {
		size = 0
	}
	b = append(b, byte(p.Protocol), size)
	b = wire.AppendU16(b, uint16(len(p.SPIs)))
	for _, spi := range p.SPIs {
		b = wire.AppendU32(b, spi)
	}
	return b, nil
}

// PayloadType is PayloadVendor.
func (*VendorID) PayloadType() PayloadType { return PayloadVendor }

func (p *VendorID) appendBody(b []byte) ([]byte, error) { return append(b, p.Data...), nil }

// PayloadType is PayloadSK.
func (*Encrypted) PayloadType() PayloadType { return PayloadSK }

func (p *Encrypted) appendBody(b []byte) ([]byte, error) { return append(b, p.Body...), nil }

// PayloadType is PayloadSKF.
func (*EncryptedFragment) PayloadType() PayloadType { return PayloadSKF }

// parseFragment keeps Next Payload as received also where it should be zero:
// only fragment 1's is ever used.
func parseFragment(first PayloadType, r *wire.Reader) Payload {
	p := &EncryptedFragment{First: first, Number: r.U16(), Total: r.U16(), Body: r.Rest()}
	if p.Number == 0 || p.Number > p.Total {
		r.Fail("fragment %d of %d cannot be", p.Number, p.Total)
	}
	return p
}

func (p *EncryptedFragment) appendBody(b []byte) ([]byte, error) {
	if p.Number == 0 || p.Number > p.Total {
		return b, fmt.Errorf("fragment %d of %d cannot be", p.Number, p.Total)
	}
	b = wire.AppendU16(b, p.Number)
	b = wire.AppendU16(b, p.Total)
	return append(b, p.Body...), nil
}

// PayloadType is PayloadCP.
func (*CP) PayloadType() PayloadType { return PayloadCP }

// parseCP keeps every attribute of every length: unknown ones are ignored by
// whoever reads the list (RFC 7296, Section 3.15.1).
func parseCP(r *wire.Reader) Payload {
	p := &CP{Kind: CPType(r.U8())}
	r.Bytes(3) // RESERVED
	for r.Len() > 0 {
		if len(p.Attributes) == maxCPAttributes {
			r.Fail("there are more than %d attributes", maxCPAttributes)
			break
		}
		if p.Attributes == nil {
			p.Attributes = make([]CPAttribute, 0, min(r.Len()/4+1, 16))
		}
		a := CPAttribute{Type: CPAttributeType(r.U16() & 0x7fff)}
		a.Value = r.Bytes(int(r.U16()))
		p.Attributes = append(p.Attributes, a)
	}
	return p
}

func (p *CP) appendBody(b []byte) ([]byte, error) {
	if len(p.Attributes) > maxCPAttributes {
		return b, fmt.Errorf("%d attributes are over the limit of %d", len(p.Attributes), maxCPAttributes)
	}
	b = append(b, byte(p.Kind), 0, 0, 0)
	for _, a := range p.Attributes {
		if len(a.Value) > 0xffff || a.Type > 0x7fff {
			return b, fmt.Errorf("%v of %d octets does not fit", a.Type, len(a.Value))
		}
		b = wire.AppendU16(b, uint16(a.Type))
		b = wire.AppendU16(b, uint16(len(a.Value)))
		b = append(b, a.Value...)
	}
	return b, nil
}

// PayloadType is PayloadEAP.
func (*EAP) PayloadType() PayloadType { return PayloadEAP }

// parseEAP holds the packet to its own Length (RFC 7296, Section 3.16); the
// rest is for the EAP codec.
func parseEAP(r *wire.Reader) Payload {
	p := &EAP{Packet: r.Rest()}
	if err := p.check(); r.Err() == nil && err != nil {
		r.Fail("%v", err)
	}
	return p
}

func (p *EAP) check() error {
	if len(p.Packet) < 4 {
		return errors.New("an EAP packet has at least 4 octets")
	}
	if n := int(p.Packet[2])<<8 | int(p.Packet[3]); n != len(p.Packet) {
		return fmt.Errorf("the EAP packet says %d octets and has %d", n, len(p.Packet))
	}
	return nil
}

func (p *EAP) appendBody(b []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return b, err
	}
	return append(b, p.Packet...), nil
}

// PayloadType is the type as received.
func (p *Unknown) PayloadType() PayloadType { return p.Type }

func (p *Unknown) appendBody(b []byte) ([]byte, error) { return append(b, p.Body...), nil }
