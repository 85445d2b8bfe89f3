// Package suite is the one table of algorithms: IANA numbers, key sizes, the
// RFC that defines each, its standing today, and its constructor.
//
// Nobody else in Sallyport names an algorithm by number. IKE, ESP, the
// configuration, the client profiles and the audit all look it up here
// (RFC 7296, Section 3.3.2; RFC 8247; RFC 8221; RFC 9395).
package suite

// TransformType is the IKEv2 transform type (RFC 7296, Section 3.3.2).
type TransformType uint8

// The transform types of RFC 7296, Section 3.3.2.
const (
	Encr  TransformType = 1
	PRF   TransformType = 2
	Integ TransformType = 3
	KE    TransformType = 4 // "Diffie-Hellman Group" in RFC 7296, "Key Exchange Method" in RFC 9370
	ESN   TransformType = 5
)

// Transform is one algorithm choice as it stands on the wire: type, IANA
// number, and key length in bits (0 = no Key Length attribute). It is
// comparable. The zero value of a field means "none".
type Transform struct {
	Type    TransformType
	ID      uint16
	KeyBits uint16
}
