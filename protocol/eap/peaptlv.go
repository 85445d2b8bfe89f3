package eap

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"

	"sallyport/internal/secret"
	"sallyport/protocol/wire"
)

// TLVs of PEAP's Extensions method (MS-PEAP, Section 2.2.8.1). The highest bit
// of the type says that the receiver must know it.
const (
	tlvMandatory = 0x8000
	maskTLV      = 0x3fff

	tlvResult        = 3
	tlvCryptoBinding = 12
)

// Values of the Result TLV.
const (
	resultSuccess = 1
	resultFailure = 2
)

// SubTypes of the Crypto-Binding TLV.
const (
	bindingRequest  = 0
	bindingResponse = 1
)

// Sizes of the Crypto-Binding TLV (MS-PEAP, Section 2.2.8.1.1).
const (
	bindingSize  = 56
	nonceSize    = 32
	compoundSize = sha1.Size
)

// extensions is the Data of an Extensions packet.
type extensions struct {
	Result  uint16 // 0 = none
	Binding *binding
}

// binding is a Crypto-Binding TLV of version 0.
type binding struct {
	Version, Received, SubType uint8
	Nonce, MAC                 []byte
}

// maxTLVs is more than PEAP knows kinds of.
const maxTLVs = 16

func parseExtensions(data []byte) (extensions, error) {
	var x extensions
	r := wire.NewReader("PEAP extensions", data)
	for n := 1; r.Len() > 0; n++ {
		if n > maxTLVs {
			r.Fail("more than %d TLVs", maxTLVs)
			break
		}
		kind := r.U16()
		v := r.Item(int(r.U16()), "TLV", n)
		switch {
		case kind&maskTLV == tlvResult && x.Result == 0:
			if x.Result = v.U16(); v.Err() == nil && x.Result != resultSuccess && x.Result != resultFailure {
				v.Fail("result %d", x.Result)
			}
		case kind&maskTLV == tlvCryptoBinding && x.Binding == nil:
			x.Binding = parseBinding(v)
		case kind&maskTLV == tlvResult, kind&maskTLV == tlvCryptoBinding:
			v.Fail("type %d comes twice", kind&maskTLV)
		case kind&tlvMandatory != 0:
			v.Fail("mandatory type %d is unknown", kind&maskTLV)
		default:
			v.Rest()
		}
		v.Finish()
	}
	return x, r.Finish()
}

func parseBinding(r *wire.Reader) *binding {
	r.U8() // reserved
	return &binding{Version: r.U8(), Received: r.U8(), SubType: r.U8(), Nonce: r.Bytes(nonceSize), MAC: r.Bytes(compoundSize)}
}

func (x extensions) append(b []byte) []byte {
	if x.Result != 0 {
		b = wire.AppendU16(wire.AppendU16(b, tlvMandatory|tlvResult), 2)
		b = wire.AppendU16(b, x.Result)
	}
	if x.Binding != nil {
		b = x.Binding.append(b)
	}
	return b
}

func (c *binding) append(b []byte) []byte {
	b = wire.AppendU16(wire.AppendU16(b, tlvCryptoBinding), bindingSize)
	b = append(b, 0, c.Version, c.Received, c.SubType)
	return append(append(b, c.Nonce...), c.MAC...)
}

// compound computes the Compound MAC: over the TLV with the MAC zero, and the
// type of the outer method (MS-PEAP, Section 3.1.5.5.1). There are no outer
// TLVs in version 0.
func (c *binding) compound(cmk secret.Bytes) []byte {
	zero := *c
	zero.MAC = make([]byte, compoundSize)
	return hmacSHA1(cmk, zero.append(nil), []byte{byte(TypePEAP)})
}

// verify checks a binding of the other end.
func (c *binding) verify(subType uint8, cmk secret.Bytes) bool {
	return c.SubType == subType && c.Version == 0 && subtle.ConstantTimeCompare(c.MAC, c.compound(cmk)) == 1
}

// newBinding makes ours.
func newBinding(subType uint8, nonce []byte, cmk secret.Bytes) *binding {
	c := &binding{SubType: subType, Nonce: nonce}
	c.MAC = c.compound(cmk)
	return c
}

// Sizes of the keys, and the seeds that derive them (MS-PEAP, Sections
// 3.1.5.5.2 and 3.1.5.7). The seed of the session key ends in a zero.
const (
	tunnelKeySize = 40
	innerKeySize  = 32
	ipmkSize      = 40

	seedCompound = "Inner Methods Compound Keys"
	seedSession  = "Session Key Generating Function\x00"
)

// compoundKeys binds the tunnel's key material and the inner method's MSK
// together: IPMK for the session key, CMK for the Compound MAC.
func compoundKeys(tunnel, innerMSK secret.Bytes) (ipmk, cmk secret.Bytes) {
	isk := make(secret.Bytes, innerKeySize)
	copy(isk, innerMSK)
	defer isk.Clear()
	keys := prfPlus(tunnel[:tunnelKeySize], append([]byte(seedCompound), isk...), ipmkSize+sha1.Size)
	return keys[:ipmkSize:ipmkSize], keys[ipmkSize:]
}

// sessionKey is the CSK: MSK, then EMSK.
func sessionKey(ipmk secret.Bytes) secret.Bytes {
	return prfPlus(ipmk, []byte(seedSession), keyMaterialSize)
}

// prfPlus is MS-PEAP's PRF+, Section 3.1.5.5.2.2: like that of IKE, but with
// two zero octets after the counter.
func prfPlus(key secret.Bytes, seed []byte, n int) secret.Bytes {
	var out, block []byte
	for i := byte(1); len(out) < n; i++ {
		block = hmacSHA1(key, block, seed, []byte{i, 0, 0})
		out = append(out, block...)
	}
	return out[:n:n]
}

func hmacSHA1(key secret.Bytes, parts ...[]byte) []byte {
	h := hmac.New(sha1.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
