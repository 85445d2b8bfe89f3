package suite

// What this file makes exists only where a waiver of the rule CRY-005 names it.
// HMAC-SHA1 is not broken as a MAC, but SHA-1 is being retired everywhere else,
// and Windows and Apple offer nothing better for L2TP. [NewPRF] and [NewCipher]
// go on refusing it. DES, 3DES, MD5 and the groups under 2048 bits cannot be
// waived: they are not built.

// Waivable reports whether the algorithm may be used by waiver, and not
// otherwise.
func (a Algorithm) Waivable() bool { return !a.Usable() && a.waived != nil }

// NewWaivedPRF is [NewPRF] with HMAC-SHA1 among the choices.
func NewWaivedPRF(t Transform) (PRFunc, error) { return newPRF(t, true) }

// NewWaivedCipher is [NewCipher] with HMAC-SHA1-96 (RFC 2404) among the
// integrity algorithms: a key of 20 octets, an ICV of 12.
func NewWaivedCipher(encr, integ Transform, encKey, integKey []byte) (Cipher, error) {
	return newCipher(encr, integ, encKey, integKey, true)
}

// WaivedCipherKeySizes is [CipherKeySizes] for [NewWaivedCipher].
func WaivedCipherKeySizes(encr, integ Transform) (encKey, integKey int) {
	return cipherKeySizes(encr, integ, true)
}

// KeySizes are those of [ESP.NewCipher].
func (s ESP) KeySizes() (encKey, integKey int) {
	return cipherKeySizes(s.Encr, s.Integ, s.Waived)
}

// NewCipher builds the cipher of one direction, by waiver if the suite says so.
func (s ESP) NewCipher(encKey, integKey []byte) (Cipher, error) {
	return newCipher(s.Encr, s.Integ, encKey, integKey, s.Waived)
}
