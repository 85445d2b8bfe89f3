package proposal

import (
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// LibreswanCommon is the Libreswan that is taken where the version is not known:
// the oldest that supported distributions still have in numbers.
const LibreswanCommon = "4.5"

// mostLibreswan bounds the proposals of one line, and the words of one proposal.
const mostLibreswan = 64

// Libreswan reads the value of ike=, esp= or ah= in the words of Libreswan, such
// as "aes256+aes128-sha2_512;dh19+dh31,aes_gcm256". Proposals are separated by
// commas, types by "-", alternatives by "+"; ";" marks the key exchange where a
// "-" could be mistaken.
//
// What IKE needs and the line leaves out is filled in from the defaults of
// IKEv2, as the daemon does it. A Child SA's proposal without a group stays so:
// there pfs= decides.
func Libreswan(p suite.Protocol, text string, at posture.Pos) []posture.Proposal {
	return libreswan(p, text, at, libreswanHashes2, libreswanGroups(""))
}

// LibreswanV1 is Libreswan for a connection of IKEv1, which has other defaults.
func LibreswanV1(p suite.Protocol, text string, at posture.Pos) []posture.Proposal {
	hashes := libreswanHashes1
	if p != suite.ProtocolIKE {
		hashes = libreswanChildHashes1
	}
	return libreswan(p, text, at, hashes, libreswanGroups1(""))
}

// Openswan is Libreswan for its predecessor, whose defaults are older yet: see
// OpenswanDefaults.
func Openswan(p suite.Protocol, text string, at posture.Pos) []posture.Proposal {
	return libreswan(p, text, at, openswanHashes, openswanGroups)
}

// OpenswanDefaults are the proposals of Openswan 2.6 where the file has none. Text
// is the list in words.
//
// Source: oakley_trans_psk and its like in lib/libpluto/spdb.c.
func OpenswanDefaults(p suite.Protocol) []posture.Proposal {
	ciphers := "aes128,3des"
	if p == AH {
		ciphers = "sha1+md5"
	}
	all := libreswan(p, ciphers, posture.Pos{}, openswanHashes, openswanGroups)
	for i := range all {
		all[i].Text = LibreswanWords(all[i])
	}
	return all
}

var (
	openswanHashes = []string{"sha1", "md5"}
	openswanGroups = []string{"modp1536", "modp1024"}
)

func libreswan(p suite.Protocol, text string, at posture.Pos, hashes, groups []string) []posture.Proposal {
	var all []posture.Proposal
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if len(all) == mostLibreswan {
			break
		}
		w := libreswanWords(p, one)
		w.fill(p, hashes, groups)
		all = append(all, w.proposal(p, one, at))
	}
	return all
}

// LibreswanDefaults are the proposals where the file has none, and why. A
// version that is not known is taken for LibreswanCommon. A Child SA's have no
// group: pfs= decides. Text is the list in words.
//
// Source: lib/libswan/ike_info.c, esp_info.c and ah_info.c, and CHANGES.
func LibreswanDefaults(p suite.Protocol, version string, v1 bool) ([]posture.Proposal, string) {
	why := "default of Libreswan " + version
	if len(numbers(version)) == 0 {
		version, why = LibreswanCommon, "version unknown: default of Libreswan "+LibreswanCommon
	}
	hashes, groups := libreswanHashes2, libreswanGroups(version)
	switch {
	case v1 && p == suite.ProtocolIKE:
		hashes, groups = libreswanHashes1, libreswanGroups1(version)
	case v1:
		hashes = libreswanChildHashes1
	case Before(version, "4.0"):
		hashes = append(slices.Clone(hashes), "sha1")
	}
	all := libreswan(p, libreswanCiphers(p, version, v1), posture.Pos{}, hashes, groups)
	for i := range all {
		all[i].Text = LibreswanWords(all[i])
	}
	return all, why
}

func libreswanCiphers(p suite.Protocol, version string, v1 bool) string {
	switch {
	case p == AH:
		return "sha2_512+sha2_256"
	case v1 && p == suite.ProtocolIKE:
		return "aes,3des"
	case v1:
		return "aes,aes_gcm128,aes_gcm256,3des"
	case Before(version, "5.0"):
		return "aes_gcm256,aes_gcm128,aes256,aes128"
	}
	return "aes_gcm256,aes_gcm128,chacha20_poly1305,aes256,aes128"
}

var (
	libreswanHashes2      = []string{"sha512", "sha256"}
	libreswanHashes1      = []string{"sha256", "sha512", "sha1"}
	libreswanChildHashes1 = []string{"sha1", "sha512", "sha256"}
)

// libreswanGroups are IKEv2's groups where none is written; MODP came first
// before 5.0.
func libreswanGroups(version string) []string {
	if Before(version, "5.0") {
		return []string{"modp2048", "modp3072", "modp4096", "modp8192", "ecp256", "ecp384", "ecp521", "curve25519"}
	}
	return []string{"ecp256", "ecp384", "ecp521", "curve25519", "modp4096", "modp3072", "modp2048", "modp8192"}
}

// libreswanGroups1 are IKEv1's. Group 2 could be named until USE_DH2 was turned off
// in 3.30, but lib/libswan/ike_info.c has it in no list of defaults since it is there.
func libreswanGroups1(version string) []string {
	groups := []string{"modp2048", "modp1536", "ecp256", "curve25519"}
	if Before(version, "3.20") {
		groups = append(groups, "modp1024")
	}
	return groups
}

// libreswanProposal is one proposal, taken apart by types, in keywords of
// package suite.
type libreswanProposal struct {
	ciphers, integs, prfs, groups, additional, unknown []string

	noInteg, noGroup bool // "none" or "null" stands in its place
	implied          []suite.TransformType
}

// libreswanWords takes a proposal apart. After the ciphers come the hashes; two
// groups of hashes are integrity and PRF, one is both, or the PRF alone beside an
// AEAD cipher.
func libreswanWords(p suite.Protocol, text string) libreswanProposal {
	var w libreswanProposal
	var hashes [][]string
	for i, part := range libreswanParts(text) {
		name, words, named := strings.Cut(part, "=")
		if !named {
			name, words = "", part
		}
		alternatives := strings.Split(words, "+")
		switch {
		case strings.HasPrefix(name, "addke"):
			w.takeAdditional(alternatives)
		case name == "kem" || name == "ke" || name == "dh":
			w.takeGroups(alternatives)
		case name == "prf":
			w.takeHashes(&w.prfs, alternatives)
		case name == "integ":
			w.takeHashes(&w.integs, alternatives)
		case name != "":
			w.unknown = append(w.unknown, part)
		case i == 0 && p != AH:
			w.takeCiphers(alternatives)
		case isLibreswanGroup(alternatives[0]):
			if len(w.groups) > 0 {
				w.takeAdditional(alternatives)
			} else {
				w.takeGroups(alternatives)
			}
		case isLibreswanNone(alternatives[0]):
			// "aes_gcm-null", "aes_gcm-none-sha2"; in the place of a group, no PFS.
			if len(hashes) > 0 || p == AH {
				w.noGroup = true
			} else {
				w.noInteg = true
			}
		default:
			hashes = append(hashes, alternatives)
		}
	}
	w.placeHashes(p, hashes)
	return w
}

// libreswanParts splits at "-" and ";", except that a key length belongs to the
// cipher before it ("aes_gcm_c-256-null"), and Openswan's 96 to the hash
// ("3des-md5-96").
func libreswanParts(text string) []string {
	var parts []string
	for part := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return r == '-' || r == ';' }) {
		part = strings.TrimSpace(part)
		switch {
		case len(parts) == mostLibreswan:
			return parts
		case len(parts) == 1 && part != "" && strings.Trim(part, "0123456789") == "":
			parts[0] += "_" + part
		case len(parts) > 1 && part == "96":
			parts[len(parts)-1] += "_" + part
		default:
			parts = append(parts, part)
		}
	}
	return parts
}

func (w *libreswanProposal) placeHashes(p suite.Protocol, hashes [][]string) {
	for i, group := range hashes {
		switch {
		case p != suite.ProtocolIKE:
			w.takeHashes(&w.integs, group)
		case w.noInteg || w.aead():
			w.takeHashes(&w.prfs, group)
		case i == 0 && len(hashes) == 1:
			w.takeHashes(&w.integs, group)
			w.takeHashes(&w.prfs, group)
		case i == 0:
			w.takeHashes(&w.integs, group)
		default:
			w.takeHashes(&w.prfs, group)
		}
	}
}

// aead tells whether all ciphers have an integrity of their own; Libreswan
// refuses a mix.
func (w *libreswanProposal) aead() bool {
	return len(w.ciphers) > 0 && !slices.ContainsFunc(w.ciphers, func(c string) bool {
		a, ok := suite.ByKeyword(c)
		return !ok || !a.Transform.AEAD()
	})
}

func (w *libreswanProposal) takeCiphers(words []string) {
	for _, word := range words {
		keys := libreswanCipher(word)
		if len(keys) == 0 {
			w.unknown = append(w.unknown, word)
		}
		w.ciphers = append(w.ciphers, keys...)
	}
}

func (w *libreswanProposal) takeHashes(to *[]string, words []string) {
	for _, word := range words {
		key, ok := libreswanHashWords[strings.TrimPrefix(word, "hmac_")]
		if !ok {
			w.unknown = append(w.unknown, word)
			continue
		}
		*to = append(*to, key)
	}
}

func (w *libreswanProposal) takeGroups(words []string) {
	for _, word := range words {
		key, ok := libreswanGroup(word)
		switch {
		case isLibreswanNone(word):
			w.noGroup = true
		case !ok:
			w.unknown = append(w.unknown, word)
		default:
			w.groups = append(w.groups, key)
		}
	}
}

func (w *libreswanProposal) takeAdditional(words []string) {
	for _, word := range words {
		key, ok := libreswanGroup(word)
		switch {
		case isLibreswanNone(word):
			w.additional = append(w.additional, "modpnone")
		case !ok:
			w.unknown = append(w.unknown, word)
		default:
			w.additional = append(w.additional, key)
		}
	}
}

// fill adds what the daemon adds to a proposal that leaves types out.
func (w *libreswanProposal) fill(p suite.Protocol, hashes, groups []string) {
	if len(w.unknown) > 0 && len(w.ciphers) == 0 {
		return
	}
	if p == suite.ProtocolIKE && len(w.prfs) == 0 {
		w.prfs = hashes
		w.implied = append(w.implied, suite.PRF)
	}
	if p != AH && len(w.integs) == 0 && !w.aead() && !w.noInteg {
		w.integs = hashes
		w.implied = append(w.implied, suite.Integ)
		if p == suite.ProtocolIKE {
			w.integs = w.prfs
		}
	}
	if p == suite.ProtocolIKE && len(w.groups) == 0 {
		w.groups = groups
		w.implied = append(w.implied, suite.KE)
	}
}

func (w *libreswanProposal) proposal(p suite.Protocol, text string, at posture.Pos) posture.Proposal {
	var words []string
	words = append(words, w.ciphers...)
	words = append(words, w.integs...)
	if p == suite.ProtocolIKE {
		for _, h := range w.prfs {
			words = append(words, "prf"+h)
		}
	}
	words = append(words, w.groups...)
	if w.noGroup && p != suite.ProtocolIKE {
		words = append(words, "modpnone")
	}
	out := New(p, text, at, words...)
	out.AddKE = New(AH, "", at, w.additional...).Transforms
	out.Unknown = append(out.Unknown, w.unknown...)
	out.Implied = w.implied
	return out
}

// libreswanCipher is a cipher in keywords of package suite: several where the
// key length is left out, which stands for 256 and 128 bits. Only null_auth and
// null among the words have an underscore that is not before a size.
func libreswanCipher(word string) []string {
	if key, ok := libreswanCiphers1[word]; ok {
		return []string{key}
	}
	base, bits := word, ""
	for _, size := range []string{"128", "192", "256"} {
		if b, ok := strings.CutSuffix(word, size); ok && b != "" {
			base, bits = strings.TrimSuffix(b, "_"), size
			break
		}
	}
	shape, ok := libreswanShapes[base]
	if !ok {
		return nil
	}
	if bits != "" {
		return known(shape.prefix + bits + shape.suffix)
	}
	return append(known(shape.prefix+"256"+shape.suffix), known(shape.prefix+"128"+shape.suffix)...)
}

func known(key string) []string {
	if _, ok := suite.ByKeyword(key); ok {
		return []string{key}
	}
	return nil
}

// libreswanCiphers1 have one key length.
var libreswanCiphers1 = map[string]string{
	"3des": "3des", "3des_cbc": "3des", "des": "des", "null": "null", "cast": "cast128", "cast_cbc": "cast128",
	"chacha20_poly1305": "chacha20poly1305", "chacha20poly1305": "chacha20poly1305",
}

// libreswanShapes say where the key length goes in the keyword. The letters a, b
// and c are ICVs of 8, 12 and 16 octets (RFC 4106, RFC 4309).
var libreswanShapes = map[string]struct{ prefix, suffix string }{
	"aes": {"aes", ""}, "aes_cbc": {"aes", ""}, "aes_ctr": {"aes", "ctr"}, "aesctr": {"aes", "ctr"},
	"aes_gcm": {"aes", "gcm16"}, "aes_gcm_a": {"aes", "gcm8"}, "aes_gcm_b": {"aes", "gcm12"}, "aes_gcm_c": {"aes", "gcm16"},
	"aes_gcm_8": {"aes", "gcm8"}, "aes_gcm_12": {"aes", "gcm12"}, "aes_gcm_16": {"aes", "gcm16"}, "aesgcm": {"aes", "gcm16"},
	"aes_ccm": {"aes", "ccm16"}, "aes_ccm_a": {"aes", "ccm8"}, "aes_ccm_b": {"aes", "ccm12"}, "aes_ccm_c": {"aes", "ccm16"},
	"aes_ccm_8": {"aes", "ccm8"}, "aes_ccm_12": {"aes", "ccm12"}, "aes_ccm_16": {"aes", "ccm16"}, "aesccm": {"aes", "ccm16"},
	"camellia": {"camellia", ""}, "camellia_cbc": {"camellia", ""}, "camellia_ctr": {"camellia", "ctr"},
	"null_auth_aes_gmac": {"aes", "gmac"}, "aes_gmac": {"aes", "gmac"},
}

var libreswanHashWords = map[string]string{
	"md5": "md5", "md5_96": "md5", "sha": "sha1", "sha1": "sha1", "sha1_96": "sha1",
	"sha2": "sha256", "sha256": "sha256", "sha2_256": "sha256", "sha2_256_128": "sha256",
	"sha384": "sha384", "sha2_384": "sha384", "sha2_384_192": "sha384",
	"sha512": "sha512", "sha2_512": "sha512", "sha2_512_256": "sha512",
	"aes_xcbc": "aesxcbc", "aes_xcbc_96": "aesxcbc", "aes128_xcbc": "aesxcbc", "aes_cmac": "aescmac", "aes_cmac_96": "aescmac", "cmac": "aescmac",
}

func isLibreswanNone(word string) bool { return word == "none" || word == "null" }

func isLibreswanGroup(word string) bool {
	_, ok := libreswanGroup(word)
	return ok
}

func libreswanGroup(word string) (string, bool) {
	key, ok := libreswanGroupWords[strings.ReplaceAll(word, "_", "")]
	if ok {
		return key, true
	}
	a, ok := suite.ByKeyword(strings.ReplaceAll(word, "_", ""))
	return a.Keyword, ok && a.Type == suite.KE && a.ID != 0
}

// libreswanGroupWords are the names by number and by curve.
var libreswanGroupWords = map[string]string{
	"dh1": "modp768", "dh2": "modp1024", "dh5": "modp1536", "dh14": "modp2048", "dh15": "modp3072", "dh16": "modp4096", "dh17": "modp6144", "dh18": "modp8192",
	"dh19": "ecp256", "dh20": "ecp384", "dh21": "ecp521", "dh22": "modp1024s160", "dh23": "modp2048s224", "dh24": "modp2048s256",
	"dh25": "ecp192", "dh26": "ecp224", "dh27": "ecp224bp", "dh28": "ecp256bp", "dh29": "ecp384bp", "dh30": "ecp512bp", "dh31": "curve25519", "dh32": "curve448",
	"secp256r1": "ecp256", "secp384r1": "ecp384", "secp521r1": "ecp521", "x25519": "curve25519", "mlkem512": "mlkem512", "mlkem768": "mlkem768", "mlkem1024": "mlkem1024",
}

// LibreswanWords writes a proposal in Libreswan's words. ESN is left out, for
// which Libreswan has a setting of its own.
func LibreswanWords(p posture.Proposal) string {
	text := strings.Join(append(libreswanNames(p.Of(suite.Encr)), p.Unknown...), "+")
	integs, prfs := libreswanNames(p.Of(suite.Integ)), libreswanNames(p.Of(suite.PRF))
	if len(prfs) > 0 && slices.Equal(integs, prfs) {
		integs = nil
	}
	for _, hashes := range [][]string{integs, prfs} {
		if len(hashes) > 0 {
			text += "-" + strings.Join(hashes, "+")
		}
	}
	if groups := libreswanNames(p.Of(suite.KE)); len(groups) > 0 {
		text += ";" + strings.Join(groups, "+")
	}
	if more := libreswanNames(p.AddKE); len(more) > 0 {
		text += ";addke1=" + strings.Join(more, "+")
	}
	return strings.TrimLeft(text, "-;")
}

func libreswanNames(ts []suite.Transform) []string {
	var names []string
	for _, t := range ts {
		names = append(names, libreswanName(t))
	}
	return names
}

func libreswanName(t suite.Transform) string {
	word := strings.TrimPrefix(t.String(), "prf")
	switch {
	case t.Type == suite.KE && t.ID == 0:
		return "none"
	case t.Type == suite.KE && t.ID >= 19 && t.ID <= 32:
		return "dh" + strconv.Itoa(int(t.ID))
	case strings.HasPrefix(word, "mlkem"):
		return "ml_kem_" + strings.TrimPrefix(word, "mlkem")
	}
	for _, size := range []string{"128", "192", "256"} {
		cipher, icv, ok := strings.Cut(strings.TrimPrefix(word, "aes"+size), "cm")
		if ok && t.Type == suite.Encr && strings.HasPrefix(word, "aes"+size) {
			return "aes_" + cipher + "cm_" + icv + "_" + size
		}
	}
	if name, ok := libreswanSpellings[word]; ok {
		return name
	}
	return word
}

var libreswanSpellings = map[string]string{
	"sha256": "sha2_256", "sha384": "sha2_384", "sha512": "sha2_512", "aesxcbc": "aes_xcbc", "aescmac": "aes_cmac", "chacha20poly1305": "chacha20_poly1305",
	"aes128ctr": "aes_ctr128", "aes192ctr": "aes_ctr192", "aes256ctr": "aes_ctr256",
	"aes128gmac": "null_auth_aes_gmac_128", "aes192gmac": "null_auth_aes_gmac_192", "aes256gmac": "null_auth_aes_gmac_256",
}
