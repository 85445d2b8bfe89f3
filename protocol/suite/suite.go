// Package suite is the one table of algorithms: IANA numbers, key sizes, the
// RFC that defines each, its standing today, and its constructor.
//
// Nobody else in Sallyport names an algorithm by number. IKE, ESP, the
// configuration, the client profiles and the audit all look it up here
// (RFC 7296, Section 3.3.2; RFC 8247; RFC 8221; RFC 9395).
//
// Built are AES-GCM with 16-octet ICV (RFC 4106, RFC 5282), ChaCha20-Poly1305
// (RFC 7634), AES-CBC with HMAC-SHA2 (RFC 3602, RFC 4868), the HMAC-SHA2 PRFs,
// MODP-2048 to 4096 (RFC 3526), ECP-256 to 521 (RFC 5903), X25519 (RFC 8031),
// and RSA, ECDSA and Ed25519 signatures (RFC 7427, RFC 4754, RFC 8420). The
// rest of the registry is in the table by name, so that a refusal can say what
// was offered and why it was not taken.
//
// IKEv1 has other numbers for the same algorithms; they are mapped here too.
// HMAC-SHA1, which Windows and Apple need for L2TP, can be made by waiver alone,
// with constructors that say so in their names.
//
// GODEBUG=fips140=on works throughout. Under fips140=only ChaCha20-Poly1305,
// X25519 and signatures with SHA-1 return errors or are refused by Go.
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
