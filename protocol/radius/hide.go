package radius

import (
	"crypto/md5"
	"errors"

	"sallyport/internal/secret"
)

// maxPassword is the longest User-Password, in octets (RFC 2865, Section 5.2).
const maxPassword = 128

var (
	errPassword = errors.New("radius: a password has 1 to 128 octets")
	errHidden   = errors.New("radius: hidden value is damaged, or was hidden with another secret")
)

// HidePassword is the value of User-Password (RFC 2865, Section 5.2). Sallyport
// does not send passwords to servers; tools that test servers do.
func HidePassword(password secret.Bytes, request Authenticator, key secret.Bytes) ([]byte, error) {
	if len(password) == 0 || len(password) > maxPassword {
		return nil, errPassword
	}
	padded := make([]byte, (len(password)+15)/16*16)
	copy(padded, password)
	return hide(padded, request[:], key), nil
}

// RevealPassword undoes HidePassword; the padding is taken off.
func RevealPassword(value []byte, request Authenticator, key secret.Bytes) (secret.Bytes, error) {
	if len(value) == 0 || len(value)%16 != 0 || len(value) > maxPassword {
		return nil, errHidden
	}
	plain := reveal(value, request[:], key)
	for len(plain) > 0 && plain[len(plain)-1] == 0 {
		plain = plain[:len(plain)-1]
	}
	return plain, nil
}

// hide is the cipher of RFC 2865, Section 5.2: each block is covered by the
// hash of the secret and the block before.
func hide(plain, first []byte, key secret.Bytes) []byte {
	out := make([]byte, len(plain))
	before := first
	for i := 0; i < len(plain); i += 16 {
		cover(out[i:i+16], plain[i:i+16], before, key)
		before = out[i : i+16]
	}
	return out
}

func reveal(hidden, first []byte, key secret.Bytes) secret.Bytes {
	out := make([]byte, len(hidden))
	before := first
	for i := 0; i < len(hidden); i += 16 {
		cover(out[i:i+16], hidden[i:i+16], before, key)
		before = hidden[i : i+16]
	}
	return out
}

func cover(dst, src, before []byte, key secret.Bytes) {
	var sum []byte
	withMD5(func() {
		h := md5.New()
		h.Write(key)
		h.Write(before)
		sum = h.Sum(nil)
	})
	for i := range dst {
		dst[i] = src[i] ^ sum[i]
	}
}

// hideSalted is the salted form, which carries its own length: RFC 2548,
// Section 2.4.2 and RFC 2868, Section 3.5. The salt's first bit must be set.
func hideSalted(plain secret.Bytes, salt [2]byte, request Authenticator, key secret.Bytes) ([]byte, error) {
	if len(plain) > 239 { // with its length, the salt and a VSA's heads no more fits
		return nil, errHidden
	}
	padded := make([]byte, (1+len(plain)+15)/16*16)
	padded[0] = byte(len(plain))
	copy(padded[1:], plain)
	return append(salt[:], hide(padded, append(request[:], salt[:]...), key)...), nil
}

// revealSalted undoes hideSalted. The first bit of the salt is not insisted
// on: RFC 2548 wants it set, some servers do not, and it protects nothing
// here.
func revealSalted(value []byte, request Authenticator, key secret.Bytes) (secret.Bytes, error) {
	if len(value) < 2+16 || (len(value)-2)%16 != 0 {
		return nil, errHidden
	}
	plain := reveal(value[2:], append(request[:], value[:2]...), key)
	n := int(plain[0])
	if n > len(plain)-1 {
		return nil, errHidden
	}
	return plain[1 : 1+n], nil
}

// HideTunnelPassword is the value of Tunnel-Password (RFC 2868, Section 3.5).
func HideTunnelPassword(tag uint8, password secret.Bytes, salt [2]byte, request Authenticator, key secret.Bytes) ([]byte, error) {
	hidden, err := hideSalted(password, salt, request, key)
	if err != nil {
		return nil, err
	}
	return append([]byte{tag}, hidden...), nil
}

// RevealTunnelPassword undoes HideTunnelPassword.
func RevealTunnelPassword(value []byte, request Authenticator, key secret.Bytes) (tag uint8, password secret.Bytes, err error) {
	if len(value) < 1 {
		return 0, nil, errHidden
	}
	password, err = revealSalted(value[1:], request, key)
	return value[0], password, err
}
