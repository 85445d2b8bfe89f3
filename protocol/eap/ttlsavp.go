package eap

import (
	"sallyport/protocol/wire"
)

// Flags of an AVP (RFC 5281, Section 10.1).
const (
	avpVendor    = 0x80
	avpMandatory = 0x40
)

// avpKey names an AVP: the attribute numbers of RADIUS, with Microsoft's
// under their vendor (RFC 2548).
type avpKey struct{ Vendor, Code uint32 }

const vendorMicrosoft = 311

var (
	avpUserName      = avpKey{0, 1}
	avpUserPassword  = avpKey{0, 2}
	avpReplyMessage  = avpKey{0, 18} // RFC 2865, Section 5.18
	avpEAPMessage    = avpKey{0, 79}
	avpMSCHAPError   = avpKey{vendorMicrosoft, 2}
	avpMSChallenge   = avpKey{vendorMicrosoft, 11}
	avpMSCHAP2Answer = avpKey{vendorMicrosoft, 25} // MS-CHAP2-Response
	avpMSCHAP2Proof  = avpKey{vendorMicrosoft, 26} // MS-CHAP2-Success
)

// avp is one attribute inside TTLS.
type avp struct {
	avpKey
	Flags uint8
	Data  []byte
}

// Sizes of the AVP header, without and with Vendor-ID.
const (
	avpHeader       = 8
	avpVendorHeader = 12
)

// maxAVPs is ten times what a login needs.
const maxAVPs = 64

// parseAVPs reads a sequence of AVPs. All but the last are padded to a
// multiple of four octets (RFC 5281, Section 10.2); the last may be.
func parseAVPs(plain []byte) ([]avp, error) {
	var list []avp
	r := wire.NewReader("TTLS attributes", plain)
	for r.Len() > 0 {
		if len(list) == maxAVPs {
			r.Fail("more than %d attributes", maxAVPs)
			break
		}
		list = append(list, parseAVP(r, len(list)+1))
	}
	return list, r.Finish()
}

func parseAVP(r *wire.Reader, number int) avp {
	var length int
	if head := r.Peek(avpHeader); head != nil {
		length = int(head[5])<<16 | int(head[6])<<8 | int(head[7])
	}
	b := r.Item(length, "attribute", number)
	a := avp{avpKey: avpKey{Code: b.U32()}, Flags: b.U8()}
	b.U24() // the length
	if a.Flags&avpVendor != 0 {
		a.Vendor = b.U32()
	}
	a.Data = b.Rest()
	b.Finish()
	r.Bytes(min(-length&3, r.Len()))
	return a
}

// appendAVP appends an AVP with its padding.
func appendAVP(b []byte, key avpKey, data []byte) []byte {
	header, flags := avpHeader, byte(avpMandatory)
	if key.Vendor != 0 {
		header, flags = avpVendorHeader, avpMandatory|avpVendor
	}
	b = append(wire.AppendU32(b, key.Code), flags)
	b = wire.AppendU24(b, uint32(header+len(data)))
	if key.Vendor != 0 {
		b = wire.AppendU32(b, key.Vendor)
	}
	b = append(b, data...)
	return append(b, make([]byte, -len(data)&3)...)
}

// avpSet is what a login may bring, by name. EAP-Message may be cut into
// several (RFC 5281, Section 10.1.1 leaves it to RADIUS); all else comes once.
func avpSet(plain []byte) (map[avpKey][]byte, *Failure) {
	list, err := parseAVPs(plain)
	if err != nil {
		return nil, fail(ReasonProtocol, "%v", err).failure
	}
	set := make(map[avpKey][]byte, len(list))
	for _, a := range list {
		old, twice := set[a.avpKey]
		switch {
		case !knownAVP(a.avpKey) && a.Flags&avpMandatory != 0:
			return nil, fail(ReasonProtocol, "TTLS: mandatory attribute %d/%d is unknown", a.Vendor, a.Code).failure
		case a.avpKey == avpEAPMessage:
			set[a.avpKey] = append(old[:len(old):len(old)], a.Data...)
		case a.avpKey == avpReplyMessage: // for a person who is not here; FreeRADIUS marks it mandatory
		case twice:
			return nil, fail(ReasonProtocol, "TTLS: attribute %d/%d comes twice", a.Vendor, a.Code).failure
		default:
			set[a.avpKey] = a.Data
		}
	}
	return set, nil
}

func knownAVP(k avpKey) bool {
	switch k {
	case avpUserName, avpUserPassword, avpEAPMessage, avpMSCHAPError, avpMSChallenge, avpMSCHAP2Answer, avpMSCHAP2Proof, avpReplyMessage:
		return true
	}
	return false
}
