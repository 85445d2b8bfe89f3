package radius

import (
	"encoding/binary"
	"fmt"

	"sallyport/internal/secret"
)

// VendorID is an SMI enterprise number.
type VendorID uint32

// Microsoft is the vendor of the keys and name servers of RFC 2548.
const Microsoft VendorID = 311

// VendorType numbers a vendor's own attributes.
type VendorType uint8

// Attributes of Microsoft (RFC 2548).
const (
	MSMPPESendKey        VendorType = 16
	MSMPPERecvKey        VendorType = 17
	MSPrimaryDNSServer   VendorType = 28
	MSSecondaryDNSServer VendorType = 29
)

// VendorAttribute is one attribute inside a Vendor-Specific.
type VendorAttribute struct {
	Vendor VendorID
	Type   VendorType
	Value  []byte
}

// Attribute wraps a vendor's attribute (RFC 2865, Section 5.26).
func (v VendorAttribute) Attribute() Attribute {
	b := binary.BigEndian.AppendUint32(nil, uint32(v.Vendor))
	b = append(b, byte(v.Type), byte(2+len(v.Value)))
	return Attribute{VendorSpecific, append(b, v.Value...)}
}

// VendorAttributes takes the attributes of a vendor out of a packet, in order.
// Those of other vendors are passed over unread, for their form is their own
// (RFC 2865, Section 5.26 only recommends one). One of this vendor that does
// not fit is an error: CVE-2020-28194 is a length under 2 here.
func (p *Packet) VendorAttributes(id VendorID) ([]VendorAttribute, error) {
	var all []VendorAttribute
	for b := range p.All(VendorSpecific) {
		if len(b) < 5 {
			return nil, fmt.Errorf("radius: Vendor-Specific has %d octets, under 5", len(b))
		}
		if VendorID(binary.BigEndian.Uint32(b)) != id {
			continue
		}
		for b = b[4:]; len(b) > 0; b = b[b[1]:] {
			if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
				return nil, fmt.Errorf("radius: Vendor-Specific of vendor %d: an attribute's length does not fit", id)
			}
			all = append(all, VendorAttribute{id, VendorType(b[0]), b[2:b[1]]})
		}
	}
	return all, nil
}

// HideKey is MS-MPPE-Send-Key or MS-MPPE-Recv-Key (RFC 2548, Section 2.4).
func HideKey(t VendorType, k secret.Bytes, salt [2]byte, request Authenticator, key secret.Bytes) (Attribute, error) {
	hidden, err := hideSalted(k, salt, request, key)
	return VendorAttribute{Microsoft, t, hidden}.Attribute(), err
}
