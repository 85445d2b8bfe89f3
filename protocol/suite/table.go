package suite

import (
	"fmt"
	"slices"
)

// Status is our verdict on an algorithm. The zero value refuses.
type Status uint8

// The verdicts, worst first. Only Acceptable and Strong algorithms can be
// constructed and negotiated.
const (
	Refused     Status = iota // broken, or forbidden by an RFC
	Legacy                    // too weak by default; peers of the legacy zone have nothing else
	Unsupported               // sound, but not built into Sallyport
	Acceptable                // sound, kept for peers that lack the strong ones
	Strong                    // what the strong policy prefers
)

// String returns the verdict in one lower-case word.
func (s Status) String() string {
	switch s {
	case Refused:
		return "refused"
	case Legacy:
		return "legacy"
	case Unsupported:
		return "unsupported"
	case Acceptable:
		return "acceptable"
	case Strong:
		return "strong"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Algorithm is one row of the table: everything Sallyport knows about one
// transform of IKEv2 (RFC 7296, Section 3.3.2, and the IANA registry).
type Algorithm struct {
	Keyword   string // as strongSwan writes it: "aes256gcm16"
	Alias     string // a second accepted spelling, or empty
	Title     string // the registry's name
	Transform        // type, number, key length
	RFC       string // where it is specified
	Status    Status
	Note      string // why it has that status, for refusals and audits; may be empty

	cipher *cipherSpec // Encr that can be constructed
	hash   *hashSpec   // PRF and Integ that can be constructed
	waived *hashSpec   // PRF and Integ that can be constructed by waiver only
	group  group       // KE that can be constructed
}

// Usable reports whether the algorithm may be negotiated.
func (a Algorithm) Usable() bool { return a.Status >= Acceptable }

// Refusal says in one line why the algorithm is not negotiated, for example
// "3des: 64-bit blocks (RFC 8247, Section 2.1)", or "encr 99: unknown here"
// for what Lookup did not find. It is empty for a usable algorithm.
func (a Algorithm) Refusal() string {
	switch {
	case a.Keyword == "":
		return a.Transform.String() + ": unknown here"
	case a.Usable():
		return ""
	}
	return a.Keyword + ": " + a.Note
}

// Notes that several rows share.
const (
	noteOld        = "deprecated in the IANA registry (RFC 9395)"
	noteMD5        = "MD5 is broken (RFC 8247)"
	noteSHA1       = "SHA-1 is being retired (RFC 8247)"
	noteSmall      = "64-bit blocks (RFC 8247, Section 2.1)"
	noteShortICV   = "integrity check value under 16 octets"
	noteSubgroup   = "small subgroups of unknown origin (RFC 8247, Section 2.4)"
	noteNotBuilt   = "not built in"
	noteIoT        = "meant for small devices (RFC 8247); not built in"
	noteNational   = "national algorithm; not built in"
	noteImplicit   = "implicit IV (RFC 8750); not built in"
	noteAdditional = "only as an additional key exchange (RFC 9370); not built in"
)

func encr(id, bits uint16) Transform { return Transform{Encr, id, bits} }
func prf(id uint16) Transform        { return Transform{PRF, id, 0} }
func integ(id uint16) Transform      { return Transform{Integ, id, 0} }
func ke(id uint16) Transform         { return Transform{KE, id, 0} }
func esn(id uint16) Transform        { return Transform{ESN, id, 0} }

// table is the one table. Its order is the registry's, within a type.
var table = []Algorithm{
	// Type 1, Encryption (RFC 7296, Section 3.3.2; RFC 8247, Section 2.1; RFC 8221, Section 5).
	{Keyword: "desiv64", Title: "ENCR_DES_IV64", Transform: encr(1, 0), RFC: "RFC 1827", Status: Refused, Note: "56-bit key (RFC 8221)"},
	{Keyword: "des", Title: "ENCR_DES", Transform: encr(2, 0), RFC: "RFC 2405", Status: Refused, Note: "56-bit key (RFC 8247, Section 2.1)"},
	{Keyword: "3des", Title: "ENCR_3DES", Transform: encr(3, 0), RFC: "RFC 2451", Status: Legacy, Note: noteSmall},
	{Keyword: "rc5", Title: "ENCR_RC5", Transform: encr(4, 0), RFC: "RFC 2451", Status: Refused, Note: noteOld},
	{Keyword: "idea", Title: "ENCR_IDEA", Transform: encr(5, 0), RFC: "RFC 2451", Status: Refused, Note: noteOld},
	{Keyword: "cast128", Title: "ENCR_CAST", Transform: encr(6, 0), RFC: "RFC 2451", Status: Refused, Note: noteOld},
	{Keyword: "blowfish", Title: "ENCR_BLOWFISH", Transform: encr(7, 0), RFC: "RFC 2451", Status: Refused, Note: "64-bit blocks (RFC 8221)"},
	{Keyword: "blowfish128", Title: "ENCR_BLOWFISH", Transform: encr(7, 128), RFC: "RFC 2451", Status: Refused, Note: "64-bit blocks (RFC 8221)"},
	{Keyword: "blowfish192", Title: "ENCR_BLOWFISH", Transform: encr(7, 192), RFC: "RFC 2451", Status: Refused, Note: "64-bit blocks (RFC 8221)"},
	{Keyword: "blowfish256", Title: "ENCR_BLOWFISH", Transform: encr(7, 256), RFC: "RFC 2451", Status: Refused, Note: "64-bit blocks (RFC 8221)"},
	{Keyword: "3idea", Title: "ENCR_3IDEA", Transform: encr(8, 0), RFC: "RFC 2451", Status: Refused, Note: noteOld},
	{Keyword: "desiv32", Title: "ENCR_DES_IV32", Transform: encr(9, 0), RFC: "RFC 1827", Status: Refused, Note: "56-bit key (RFC 8221)"},
	{Keyword: "null", Title: "ENCR_NULL", Transform: encr(11, 0), RFC: "RFC 2410", Status: Refused, Note: "no encryption"},
	{Keyword: "aes128", Alias: "aes", Title: "ENCR_AES_CBC", Transform: encr(12, 128), RFC: "RFC 3602", Status: Acceptable, cipher: aesCBC(16)},
	{Keyword: "aes192", Title: "ENCR_AES_CBC", Transform: encr(12, 192), RFC: "RFC 3602", Status: Acceptable, cipher: aesCBC(24)},
	{Keyword: "aes256", Title: "ENCR_AES_CBC", Transform: encr(12, 256), RFC: "RFC 3602", Status: Acceptable, cipher: aesCBC(32)},
	{Keyword: "aes128ctr", Title: "ENCR_AES_CTR", Transform: encr(13, 128), RFC: "RFC 3686", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "aes192ctr", Title: "ENCR_AES_CTR", Transform: encr(13, 192), RFC: "RFC 3686", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "aes256ctr", Title: "ENCR_AES_CTR", Transform: encr(13, 256), RFC: "RFC 3686", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "aes128ccm8", Title: "ENCR_AES_CCM_8", Transform: encr(14, 128), RFC: "RFC 4309", Status: Refused, Note: noteShortICV},
	{Keyword: "aes192ccm8", Title: "ENCR_AES_CCM_8", Transform: encr(14, 192), RFC: "RFC 4309", Status: Refused, Note: noteShortICV},
	{Keyword: "aes256ccm8", Title: "ENCR_AES_CCM_8", Transform: encr(14, 256), RFC: "RFC 4309", Status: Refused, Note: noteShortICV},
	{Keyword: "aes128ccm12", Title: "ENCR_AES_CCM_12", Transform: encr(15, 128), RFC: "RFC 4309", Status: Refused, Note: noteShortICV},
	{Keyword: "aes192ccm12", Title: "ENCR_AES_CCM_12", Transform: encr(15, 192), RFC: "RFC 4309", Status: Refused, Note: noteShortICV},
	{Keyword: "aes256ccm12", Title: "ENCR_AES_CCM_12", Transform: encr(15, 256), RFC: "RFC 4309", Status: Refused, Note: noteShortICV},
	{Keyword: "aes128ccm16", Title: "ENCR_AES_CCM_16", Transform: encr(16, 128), RFC: "RFC 4309", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "aes192ccm16", Title: "ENCR_AES_CCM_16", Transform: encr(16, 192), RFC: "RFC 4309", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "aes256ccm16", Title: "ENCR_AES_CCM_16", Transform: encr(16, 256), RFC: "RFC 4309", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "aes128gcm8", Title: "ENCR_AES_GCM_8", Transform: encr(18, 128), RFC: "RFC 4106", Status: Refused, Note: noteShortICV},
	{Keyword: "aes192gcm8", Title: "ENCR_AES_GCM_8", Transform: encr(18, 192), RFC: "RFC 4106", Status: Refused, Note: noteShortICV},
	{Keyword: "aes256gcm8", Title: "ENCR_AES_GCM_8", Transform: encr(18, 256), RFC: "RFC 4106", Status: Refused, Note: noteShortICV},
	{Keyword: "aes128gcm12", Title: "ENCR_AES_GCM_12", Transform: encr(19, 128), RFC: "RFC 4106", Status: Refused, Note: noteShortICV},
	{Keyword: "aes192gcm12", Title: "ENCR_AES_GCM_12", Transform: encr(19, 192), RFC: "RFC 4106", Status: Refused, Note: noteShortICV},
	{Keyword: "aes256gcm12", Title: "ENCR_AES_GCM_12", Transform: encr(19, 256), RFC: "RFC 4106", Status: Refused, Note: noteShortICV},
	{Keyword: "aes128gcm16", Alias: "aes128gcm", Title: "ENCR_AES_GCM_16", Transform: encr(20, 128), RFC: "RFC 4106", Status: Strong, cipher: aesGCM(16)},
	{Keyword: "aes192gcm16", Alias: "aes192gcm", Title: "ENCR_AES_GCM_16", Transform: encr(20, 192), RFC: "RFC 4106", Status: Acceptable, cipher: aesGCM(24)},
	{Keyword: "aes256gcm16", Alias: "aes256gcm", Title: "ENCR_AES_GCM_16", Transform: encr(20, 256), RFC: "RFC 4106", Status: Strong, cipher: aesGCM(32)},
	{Keyword: "aes128gmac", Title: "ENCR_NULL_AUTH_AES_GMAC", Transform: encr(21, 128), RFC: "RFC 4543", Status: Refused, Note: "no encryption"},
	{Keyword: "aes192gmac", Title: "ENCR_NULL_AUTH_AES_GMAC", Transform: encr(21, 192), RFC: "RFC 4543", Status: Refused, Note: "no encryption"},
	{Keyword: "aes256gmac", Title: "ENCR_NULL_AUTH_AES_GMAC", Transform: encr(21, 256), RFC: "RFC 4543", Status: Refused, Note: "no encryption"},
	{Keyword: "camellia128", Title: "ENCR_CAMELLIA_CBC", Transform: encr(23, 128), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "camellia192", Title: "ENCR_CAMELLIA_CBC", Transform: encr(23, 192), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "camellia256", Title: "ENCR_CAMELLIA_CBC", Transform: encr(23, 256), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "camellia128ctr", Title: "ENCR_CAMELLIA_CTR", Transform: encr(24, 128), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "camellia192ctr", Title: "ENCR_CAMELLIA_CTR", Transform: encr(24, 192), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "camellia256ctr", Title: "ENCR_CAMELLIA_CTR", Transform: encr(24, 256), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "camellia128ccm8", Title: "ENCR_CAMELLIA_CCM_8", Transform: encr(25, 128), RFC: "RFC 5529", Status: Refused, Note: noteShortICV},
	{Keyword: "camellia192ccm8", Title: "ENCR_CAMELLIA_CCM_8", Transform: encr(25, 192), RFC: "RFC 5529", Status: Refused, Note: noteShortICV},
	{Keyword: "camellia256ccm8", Title: "ENCR_CAMELLIA_CCM_8", Transform: encr(25, 256), RFC: "RFC 5529", Status: Refused, Note: noteShortICV},
	{Keyword: "camellia128ccm12", Title: "ENCR_CAMELLIA_CCM_12", Transform: encr(26, 128), RFC: "RFC 5529", Status: Refused, Note: noteShortICV},
	{Keyword: "camellia192ccm12", Title: "ENCR_CAMELLIA_CCM_12", Transform: encr(26, 192), RFC: "RFC 5529", Status: Refused, Note: noteShortICV},
	{Keyword: "camellia256ccm12", Title: "ENCR_CAMELLIA_CCM_12", Transform: encr(26, 256), RFC: "RFC 5529", Status: Refused, Note: noteShortICV},
	{Keyword: "camellia128ccm16", Title: "ENCR_CAMELLIA_CCM_16", Transform: encr(27, 128), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "camellia192ccm16", Title: "ENCR_CAMELLIA_CCM_16", Transform: encr(27, 192), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "camellia256ccm16", Title: "ENCR_CAMELLIA_CCM_16", Transform: encr(27, 256), RFC: "RFC 5529", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "chacha20poly1305", Title: "ENCR_CHACHA20_POLY1305", Transform: encr(28, 0), RFC: "RFC 7634", Status: Strong, cipher: chacha20poly()},
	{Keyword: "aes128ccm8iiv", Title: "ENCR_AES_CCM_8_IIV", Transform: encr(29, 128), RFC: "RFC 8750", Status: Refused, Note: noteShortICV},
	{Keyword: "aes256ccm8iiv", Title: "ENCR_AES_CCM_8_IIV", Transform: encr(29, 256), RFC: "RFC 8750", Status: Refused, Note: noteShortICV},
	{Keyword: "aes128gcm16iiv", Title: "ENCR_AES_GCM_16_IIV", Transform: encr(30, 128), RFC: "RFC 8750", Status: Unsupported, Note: noteImplicit},
	{Keyword: "aes256gcm16iiv", Title: "ENCR_AES_GCM_16_IIV", Transform: encr(30, 256), RFC: "RFC 8750", Status: Unsupported, Note: noteImplicit},
	{Keyword: "chacha20poly1305iiv", Title: "ENCR_CHACHA20_POLY1305_IIV", Transform: encr(31, 0), RFC: "RFC 8750", Status: Unsupported, Note: noteImplicit},
	{Keyword: "kuznyechikmgm", Title: "ENCR_KUZNYECHIK_MGM_KTREE", Transform: encr(32, 0), RFC: "RFC 9227", Status: Unsupported, Note: noteNational},
	{Keyword: "magmamgm", Title: "ENCR_MAGMA_MGM_KTREE", Transform: encr(33, 0), RFC: "RFC 9227", Status: Unsupported, Note: noteNational},

	// Type 2, Pseudorandom Function (RFC 8247, Section 2.2).
	{Keyword: "prfmd5", Title: "PRF_HMAC_MD5", Transform: prf(1), RFC: "RFC 2104", Status: Refused, Note: noteMD5},
	{Keyword: "prfsha1", Title: "PRF_HMAC_SHA1", Transform: prf(2), RFC: "RFC 2104", Status: Legacy, Note: noteSHA1, waived: sha1Spec},
	{Keyword: "prftiger", Title: "PRF_HMAC_TIGER", Transform: prf(3), RFC: "RFC 2104", Status: Refused, Note: noteOld},
	{Keyword: "prfaesxcbc", Title: "PRF_AES128_XCBC", Transform: prf(4), RFC: "RFC 4434", Status: Unsupported, Note: noteIoT},
	{Keyword: "prfsha256", Title: "PRF_HMAC_SHA2_256", Transform: prf(5), RFC: "RFC 4868", Status: Strong, hash: sha256Spec},
	{Keyword: "prfsha384", Title: "PRF_HMAC_SHA2_384", Transform: prf(6), RFC: "RFC 4868", Status: Strong, hash: sha384Spec},
	{Keyword: "prfsha512", Title: "PRF_HMAC_SHA2_512", Transform: prf(7), RFC: "RFC 4868", Status: Strong, hash: sha512Spec},
	{Keyword: "prfaescmac", Title: "PRF_AES128_CMAC", Transform: prf(8), RFC: "RFC 4615", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "prfstreebog512", Title: "PRF_HMAC_STREEBOG_512", Transform: prf(9), RFC: "RFC 9385", Status: Unsupported, Note: noteNational},

	// Type 3, Integrity (RFC 8247, Section 2.3; RFC 8221, Section 6).
	{Keyword: "noauth", Title: "NONE", Transform: integ(0), RFC: "RFC 7296", Status: Refused, Note: "no integrity, except beside an AEAD cipher, where it is left out"},
	{Keyword: "md5", Title: "AUTH_HMAC_MD5_96", Transform: integ(1), RFC: "RFC 2403", Status: Refused, Note: noteMD5},
	{Keyword: "sha1", Alias: "sha", Title: "AUTH_HMAC_SHA1_96", Transform: integ(2), RFC: "RFC 2404", Status: Legacy, Note: noteSHA1, waived: sha1Spec},
	{Keyword: "desmac", Title: "AUTH_DES_MAC", Transform: integ(3), RFC: "RFC 7296", Status: Refused, Note: "56-bit key (RFC 8247, Section 2.3)"},
	{Keyword: "kpdkmd5", Title: "AUTH_KPDK_MD5", Transform: integ(4), RFC: "RFC 7296", Status: Refused, Note: noteMD5},
	{Keyword: "aesxcbc", Title: "AUTH_AES_XCBC_96", Transform: integ(5), RFC: "RFC 3566", Status: Unsupported, Note: noteIoT},
	{Keyword: "md5_128", Title: "AUTH_HMAC_MD5_128", Transform: integ(6), RFC: "RFC 4595", Status: Refused, Note: noteMD5},
	{Keyword: "sha1_160", Title: "AUTH_HMAC_SHA1_160", Transform: integ(7), RFC: "RFC 4595", Status: Refused, Note: noteOld},
	{Keyword: "aescmac", Title: "AUTH_AES_CMAC_96", Transform: integ(8), RFC: "RFC 4494", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "ahaes128gmac", Title: "AUTH_AES_128_GMAC", Transform: integ(9), RFC: "RFC 4543", Status: Unsupported, Note: "for AH only"},
	{Keyword: "ahaes192gmac", Title: "AUTH_AES_192_GMAC", Transform: integ(10), RFC: "RFC 4543", Status: Unsupported, Note: "for AH only"},
	{Keyword: "ahaes256gmac", Title: "AUTH_AES_256_GMAC", Transform: integ(11), RFC: "RFC 4543", Status: Unsupported, Note: "for AH only"},
	{Keyword: "sha256", Alias: "sha2_256", Title: "AUTH_HMAC_SHA2_256_128", Transform: integ(12), RFC: "RFC 4868", Status: Acceptable, hash: sha256Spec},
	{Keyword: "sha384", Alias: "sha2_384", Title: "AUTH_HMAC_SHA2_384_192", Transform: integ(13), RFC: "RFC 4868", Status: Acceptable, hash: sha384Spec},
	{Keyword: "sha512", Alias: "sha2_512", Title: "AUTH_HMAC_SHA2_512_256", Transform: integ(14), RFC: "RFC 4868", Status: Acceptable, hash: sha512Spec},

	// Type 4, Key Exchange Method (RFC 8247, Section 2.4; RFC 9370).
	{Keyword: "modpnone", Title: "NONE", Transform: ke(0), RFC: "RFC 7296", Status: Acceptable, Note: "a child SA without a key exchange of its own"},
	{Keyword: "modp768", Title: "768-bit MODP", Transform: ke(1), RFC: "RFC 7296", Status: Refused, Note: "breakable in hours (RFC 8247, Section 2.4)"},
	{Keyword: "modp1024", Title: "1024-bit MODP", Transform: ke(2), RFC: "RFC 7296", Status: Legacy, Note: "within reach of a state (RFC 8247, Section 2.4)"},
	{Keyword: "modp1536", Title: "1536-bit MODP", Transform: ke(5), RFC: "RFC 3526", Status: Legacy, Note: "too small (RFC 8247, Section 2.4)"},
	{Keyword: "modp2048", Title: "2048-bit MODP", Transform: ke(14), RFC: "RFC 3526", Status: Acceptable, Note: "112-bit strength", group: modp2048},
	{Keyword: "modp3072", Title: "3072-bit MODP", Transform: ke(15), RFC: "RFC 3526", Status: Strong, group: modp3072},
	{Keyword: "modp4096", Title: "4096-bit MODP", Transform: ke(16), RFC: "RFC 3526", Status: Strong, group: modp4096},
	{Keyword: "modp6144", Title: "6144-bit MODP", Transform: ke(17), RFC: "RFC 3526", Status: Unsupported, Note: "costs the responder too much; not built in"},
	{Keyword: "modp8192", Title: "8192-bit MODP", Transform: ke(18), RFC: "RFC 3526", Status: Unsupported, Note: "costs the responder too much; not built in"},
	{Keyword: "ecp256", Title: "256-bit random ECP", Transform: ke(19), RFC: "RFC 5903", Status: Strong, group: ecp256},
	{Keyword: "ecp384", Title: "384-bit random ECP", Transform: ke(20), RFC: "RFC 5903", Status: Strong, group: ecp384},
	{Keyword: "ecp521", Title: "521-bit random ECP", Transform: ke(21), RFC: "RFC 5903", Status: Strong, group: ecp521},
	{Keyword: "modp1024s160", Title: "1024-bit MODP with 160-bit prime order subgroup", Transform: ke(22), RFC: "RFC 5114", Status: Refused, Note: noteSubgroup},
	{Keyword: "modp2048s224", Title: "2048-bit MODP with 224-bit prime order subgroup", Transform: ke(23), RFC: "RFC 5114", Status: Refused, Note: noteSubgroup},
	{Keyword: "modp2048s256", Title: "2048-bit MODP with 256-bit prime order subgroup", Transform: ke(24), RFC: "RFC 5114", Status: Refused, Note: noteSubgroup},
	{Keyword: "ecp192", Title: "192-bit random ECP", Transform: ke(25), RFC: "RFC 5114", Status: Refused, Note: "96-bit strength"},
	{Keyword: "ecp224", Title: "224-bit random ECP", Transform: ke(26), RFC: "RFC 5114", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "ecp224bp", Title: "brainpoolP224r1", Transform: ke(27), RFC: "RFC 6954", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "ecp256bp", Title: "brainpoolP256r1", Transform: ke(28), RFC: "RFC 6954", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "ecp384bp", Title: "brainpoolP384r1", Transform: ke(29), RFC: "RFC 6954", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "ecp512bp", Title: "brainpoolP512r1", Transform: ke(30), RFC: "RFC 6954", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "x25519", Alias: "curve25519", Title: "Curve25519", Transform: ke(31), RFC: "RFC 8031", Status: Strong, group: x25519},
	{Keyword: "x448", Alias: "curve448", Title: "Curve448", Transform: ke(32), RFC: "RFC 8031", Status: Unsupported, Note: noteNotBuilt},
	{Keyword: "gost256", Title: "GOST3410_2012_256", Transform: ke(33), RFC: "RFC 9385", Status: Unsupported, Note: noteNational},
	{Keyword: "gost512", Title: "GOST3410_2012_512", Transform: ke(34), RFC: "RFC 9385", Status: Unsupported, Note: noteNational},
	{Keyword: "mlkem512", Title: "ML-KEM-512", Transform: ke(35), RFC: "RFC 9370", Status: Unsupported, Note: noteAdditional},
	{Keyword: "mlkem768", Title: "ML-KEM-768", Transform: ke(36), RFC: "RFC 9370", Status: Unsupported, Note: noteAdditional},
	{Keyword: "mlkem1024", Title: "ML-KEM-1024", Transform: ke(37), RFC: "RFC 9370", Status: Unsupported, Note: noteAdditional},

	// Type 5, Extended Sequence Numbers, "Sequence Numbers" since RFC 9827.
	{Keyword: "noesn", Title: "32-bit Sequential Numbers", Transform: esn(0), RFC: "RFC 7296", Status: Acceptable},
	{Keyword: "esn", Title: "Partially Transmitted 64-bit Sequential Numbers", Transform: esn(1), RFC: "RFC 7296", Status: Strong},
	{Keyword: "unspecifiedsn", Title: "32-bit Unspecified Numbers", Transform: esn(2), RFC: "RFC 9838", Status: Unsupported, Note: "no replay protection; not built in"},
}

// byTransform and byKeyword index the table, so that a lookup costs the same
// for every transform a peer may send.
var byTransform, byKeyword = index(table)

func index(rows []Algorithm) (map[Transform]*Algorithm, map[string]*Algorithm) {
	numbers := make(map[Transform]*Algorithm, len(rows))
	words := make(map[string]*Algorithm, 2*len(rows))
	for i := range rows {
		a := &rows[i]
		numbers[a.Transform] = a
		words[a.Keyword] = a
		if a.Alias != "" {
			words[a.Alias] = a
		}
	}
	return numbers, words
}

// Lookup returns the table's row for a transform as it stood on the wire. A
// wrong key length is an unknown transform (RFC 7296, Section 3.3.5).
func Lookup(t Transform) (Algorithm, bool) {
	if a := byTransform[t]; a != nil {
		return *a, true
	}
	return Algorithm{Transform: t}, false
}

// ByKeyword returns the row with that keyword or alias.
func ByKeyword(word string) (Algorithm, bool) {
	if a := byKeyword[word]; a != nil {
		return *a, true
	}
	return Algorithm{}, false
}

// All returns a copy of the table, ordered by type and number.
func All() []Algorithm { return slices.Clone(table) }

// String returns the keyword, or "encr 99/128" for a transform the table does
// not have.
func (t Transform) String() string {
	if a := byTransform[t]; a != nil {
		return a.Keyword
	}
	if t.KeyBits != 0 {
		return fmt.Sprintf("%v %d/%d", t.Type, t.ID, t.KeyBits)
	}
	return fmt.Sprintf("%v %d", t.Type, t.ID)
}

// String returns "encr", "prf", "integ", "ke" or "esn".
func (t TransformType) String() string {
	switch t {
	case Encr:
		return "encr"
	case PRF:
		return "prf"
	case Integ:
		return "integ"
	case KE:
		return "ke"
	case ESN:
		return "esn"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// AEAD reports whether the transform is an encryption algorithm that brings
// its own integrity, so that no Integ transform goes with it (RFC 7296,
// Section 3.3). It knows ciphers that Sallyport does not build, too.
func (t Transform) AEAD() bool {
	return t.Type == Encr && (t.ID >= 14 && t.ID <= 21 || t.ID >= 25 && t.ID <= 35)
}
