package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"strings"

	"sallyport/internal/secret"
)

// IKEv1 has numbers of its own for the same algorithms, and a different list of
// them for each phase: 21 is GMAC in IKEv2 and SEED in IKEv1. This file maps
// them to the one table (RFC 2407, RFC 2409, and IANA's "ipsec-registry" and
// "isakmp-registry").

// Registry1 is one of IKEv1's lists of numbers.
type Registry1 uint8

// The lists of IKEv1.
const (
	Cipher1    Registry1 = iota + 1 // phase 1 attribute 1, Encryption Algorithm (RFC 2409, Appendix A)
	Hash1                           // phase 1 attribute 2, Hash Algorithm
	Group1                          // phase 1 attribute 4, phase 2 attribute 3, Group Description
	ESP1                            // ESP transform identifiers (RFC 2407, Section 4.4.4)
	Integrity1                      // phase 2 attribute 5, Authentication Algorithm (RFC 2407, Section 4.5)
)

var registryNames = [...]string{Cipher1: "cipher", Hash1: "hash", Group1: "group", ESP1: "ESP transform", Integrity1: "integrity"}

// String names the list as a refusal does.
func (r Registry1) String() string {
	if r >= Cipher1 && r <= Integrity1 {
		return registryNames[r]
	}
	return fmt.Sprintf("registry %d", uint8(r))
}

// number1 is one number of IKEv1.
type number1 struct {
	registry Registry1
	number   uint16
	is       Transform // without key length; zero = not in our table
	keyed    bool      // the Key Length attribute belongs to it
	name     string    // where our table has no keyword
}

// numbers1 are all numbers that are assigned; only what the table can build is
// negotiated, the rest is here so that a refusal can name it. Phase 1 hashes
// stand for the integrity algorithm of that hash.
var numbers1 = []number1{
	{registry: Cipher1, number: 1, is: encr(2, 0)},
	{registry: Cipher1, number: 2, is: encr(5, 0)},
	{registry: Cipher1, number: 3, is: encr(7, 0), keyed: true},
	{registry: Cipher1, number: 4, name: "rc5-r16-b64"},
	{registry: Cipher1, number: 5, is: encr(3, 0)},
	{registry: Cipher1, number: 6, is: encr(6, 0), keyed: true},
	{registry: Cipher1, number: 7, is: encr(12, 0), keyed: true},
	{registry: Cipher1, number: 8, is: encr(23, 0), keyed: true},

	{registry: Hash1, number: 1, is: integ(1)},
	{registry: Hash1, number: 2, is: integ(2)},
	{registry: Hash1, number: 3, name: "tiger"},
	{registry: Hash1, number: 4, is: integ(12)},
	{registry: Hash1, number: 5, is: integ(13)},
	{registry: Hash1, number: 6, is: integ(14)},

	{registry: Group1, number: 1, is: ke(1)},
	{registry: Group1, number: 2, is: ke(2)},
	{registry: Group1, number: 3, name: "ec2n155"},
	{registry: Group1, number: 4, name: "ec2n185"},
	{registry: Group1, number: 5, is: ke(5)},
	{registry: Group1, number: 14, is: ke(14)},
	{registry: Group1, number: 15, is: ke(15)},
	{registry: Group1, number: 16, is: ke(16)},
	{registry: Group1, number: 17, is: ke(17)},
	{registry: Group1, number: 18, is: ke(18)},
	{registry: Group1, number: 19, is: ke(19)},
	{registry: Group1, number: 20, is: ke(20)},
	{registry: Group1, number: 21, is: ke(21)},
	{registry: Group1, number: 22, is: ke(22)},
	{registry: Group1, number: 23, is: ke(23)},
	{registry: Group1, number: 24, is: ke(24)},
	{registry: Group1, number: 25, is: ke(25)},
	{registry: Group1, number: 26, is: ke(26)},
	{registry: Group1, number: 27, is: ke(27)},
	{registry: Group1, number: 28, is: ke(28)},
	{registry: Group1, number: 29, is: ke(29)},
	{registry: Group1, number: 30, is: ke(30)},

	{registry: ESP1, number: 1, is: encr(1, 0)},
	{registry: ESP1, number: 2, is: encr(2, 0)},
	{registry: ESP1, number: 3, is: encr(3, 0)},
	{registry: ESP1, number: 4, is: encr(4, 0), keyed: true},
	{registry: ESP1, number: 5, is: encr(5, 0)},
	{registry: ESP1, number: 6, is: encr(6, 0), keyed: true},
	{registry: ESP1, number: 7, is: encr(7, 0), keyed: true},
	{registry: ESP1, number: 8, is: encr(8, 0)},
	{registry: ESP1, number: 9, is: encr(9, 0)},
	{registry: ESP1, number: 10, name: "rc4"},
	{registry: ESP1, number: 11, is: encr(11, 0)},
	{registry: ESP1, number: 12, is: encr(12, 0), keyed: true},
	{registry: ESP1, number: 13, is: encr(13, 0), keyed: true},
	{registry: ESP1, number: 14, is: encr(14, 0), keyed: true},
	{registry: ESP1, number: 15, is: encr(15, 0), keyed: true},
	{registry: ESP1, number: 16, is: encr(16, 0), keyed: true},
	{registry: ESP1, number: 18, is: encr(18, 0), keyed: true},
	{registry: ESP1, number: 19, is: encr(19, 0), keyed: true},
	{registry: ESP1, number: 20, is: encr(20, 0), keyed: true}, // RFC 4106, Section 8.2
	{registry: ESP1, number: 21, name: "seed"},
	{registry: ESP1, number: 22, is: encr(23, 0), keyed: true},
	{registry: ESP1, number: 23, is: encr(21, 0), keyed: true},

	{registry: Integrity1, number: 1, is: integ(1)},
	{registry: Integrity1, number: 2, is: integ(2)},
	{registry: Integrity1, number: 3, is: integ(3)},
	{registry: Integrity1, number: 4, is: integ(4)},
	{registry: Integrity1, number: 5, is: integ(12)},
	{registry: Integrity1, number: 6, is: integ(13)},
	{registry: Integrity1, number: 7, is: integ(14)},
	{registry: Integrity1, number: 8, name: "ripemd"},
	{registry: Integrity1, number: 9, is: integ(5)},
	{registry: Integrity1, number: 10, name: "sigrsa"},
	{registry: Integrity1, number: 11, is: integ(9)},
	{registry: Integrity1, number: 12, is: integ(10)},
	{registry: Integrity1, number: 13, is: integ(11)},
}

// key1 finds a number from the wire.
type key1 struct {
	registry Registry1
	number   uint16
}

var byNumber1 = index1(numbers1)

func index1(rows []number1) map[key1]*number1 {
	m := make(map[key1]*number1, len(rows))
	for i := range rows {
		m[key1{rows[i].registry, rows[i].number}] = &rows[i]
	}
	return m
}

// FromIKEv1 is the transform that an IKEv1 number with a key length in bits (0
// = no Key Length attribute) stands for. It is false for what the table does
// not have, and for AES without a key length: guessing one would leave both
// ends with different keys.
func FromIKEv1(r Registry1, number, keyBits uint16) (Transform, bool) {
	n := byNumber1[key1{r, number}]
	if n == nil || n.is == (Transform{}) || keyBits != 0 && !n.keyed {
		return Transform{}, false
	}
	t := n.is
	t.KeyBits = keyBits
	_, ok := byTransform[t]
	return t, ok
}

// ToIKEv1 is the number of a transform, with its key length in bits.
func ToIKEv1(r Registry1, t Transform) (number, keyBits uint16, ok bool) {
	for _, n := range numbers1 {
		if base := (Transform{t.Type, t.ID, 0}); n.registry == r && n.is == base && n.is != (Transform{}) {
			return n.number, t.KeyBits, true
		}
	}
	return 0, 0, false
}

// NameIKEv1 names what a peer offered: our keyword where there is one.
func NameIKEv1(r Registry1, number, keyBits uint16) string {
	n := byNumber1[key1{r, number}]
	switch t, ok := FromIKEv1(r, number, keyBits); {
	case ok:
		return t.String()
	case n == nil:
		return fmt.Sprintf("%v %d", r, number)
	case n.name != "":
		return n.name
	case n.keyed && keyBits == 0:
		word, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(titleOf(n.is), "ENCR_")), "_")
		return word + " without key length"
	}
	return fmt.Sprintf("%v %d with %d bits", r, number, keyBits)
}

// titleOf is the registry's name of a cipher whatever its key length.
func titleOf(t Transform) string {
	for _, a := range table {
		if a.Type == t.Type && a.ID == t.ID {
			return a.Title
		}
	}
	return t.String()
}

// PRFOfHash is the PRF of a phase 1 hash: IKEv1 negotiates one hash and uses its
// HMAC as PRF (RFC 2409, Section 4).
func PRFOfHash(hash Transform) Transform {
	if a, ok := ByKeyword("prf" + hash.String()); ok && hash.Type == Integ {
		return a.Transform
	}
	return Transform{}
}

// Hash is the hash that the function is made from, plain: IKEv1 uses it for
// IVs and NAT detection (RFC 2409, Appendix B; RFC 3947, Section 3.2).
func (p PRFunc) Hash(data ...[]byte) []byte {
	h := p.hash.new()
	for _, d := range data {
		h.Write(d)
	}
	return h.Sum(nil)
}

// NewBlock1 is the block cipher of an IKEv1 ISAKMP SA: CBC without integrity,
// as IKEv1 has it (RFC 2409, Appendix B; RFC 3602).
func NewBlock1(t Transform, key secret.Bytes) (cipher.Block, error) {
	a := byTransform[t]
	if _, _, ok := ToIKEv1(Cipher1, t); !ok || a == nil || !a.Usable() || a.cipher == nil || len(key) != a.cipher.keySize {
		return nil, fmt.Errorf("suite: %v: no such IKEv1 cipher here, or a key of %d octets does not fit", t, len(key))
	}
	return aes.NewCipher(key)
}
