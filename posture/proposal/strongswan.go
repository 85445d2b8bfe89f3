package proposal

import (
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// AH is a protocol that Sallyport never negotiates, but that others' files ask
// for (RFC 7296, Section 3.3.1).
const AH suite.Protocol = 2

// StrongSwan reads a proposal in strongSwan's words, such as
// "aes256gcm16-prfsha384-ecp384-ke1_mlkem768". The order of types is free.
//
// The result is what the daemon makes of it: an IKE proposal without a PRF has
// those of its hashes, ciphers with integrity of their own drop the hashes, a
// Child SA's proposal drops PRFs and has "noesn" unless it says more. Words of
// algorithms with private-use numbers, and words that nobody knows, are in
// Unknown; [StrongSwanPrivate] tells one from the other.
func StrongSwan(p suite.Protocol, text string, at posture.Pos) posture.Proposal {
	words, additional := strongSwanSplit(p, text)
	out := New(p, text, at, words...)
	for _, w := range additional {
		out.AddKE = append(out.AddKE, New(p, "", at, w).Transforms...)
	}
	if p == suite.ProtocolIKE {
		out.Transforms = append(out.Transforms, strongSwanPRFs(out)...)
	}
	out.Transforms = slices.DeleteFunc(out.Transforms, func(t suite.Transform) bool { return strongSwanDrops(p, out, t) })
	if p != suite.ProtocolIKE && len(out.Of(suite.ESN)) == 0 {
		out.Transforms = append(out.Transforms, suite.Transform{Type: suite.ESN})
	}
	return out
}

// strongSwanSplit takes a proposal apart into keywords of package suite and the
// keywords of additional key exchanges, without their "ke1_".
func strongSwanSplit(p suite.Protocol, text string) (words, additional []string) {
	for word := range strings.SplitSeq(text, "-") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		if ke, ok := strongSwanAdditional(word); ok {
			if a, ok := suite.ByKeyword(strongSwanKeyword(ke)); ok && a.Type == suite.KE {
				additional = append(additional, a.Keyword)
				continue
			}
		}
		key := strongSwanKeyword(word)
		// In AH, the words of GMAC mean the integrity algorithm.
		if p == AH && strings.HasSuffix(key, "gmac") && !strings.HasPrefix(key, "ah") {
			key = "ah" + key
		}
		words = append(words, key)
	}
	return words, additional
}

// strongSwanAdditional cuts "ke1_" to "ke7_" (RFC 9370 has seven rounds).
func strongSwanAdditional(word string) (string, bool) {
	if len(word) > 4 && word[:2] == "ke" && word[2] >= '1' && word[2] <= '7' && word[3] == '_' {
		return word[4:], true
	}
	return word, false
}

// strongSwanKeyword is the keyword of package suite for a word of
// proposal_keywords_static.txt. A word without one stays as it is.
func strongSwanKeyword(word string) string {
	if key, ok := strongSwanAliases[word]; ok {
		return key
	}
	if cipher, icv, ok := cutICV(word); ok {
		return cipher + icv
	}
	return word
}

var strongSwanAliases = map[string]string{
	"none":        "modpnone",
	"blowfish":    "blowfish128",
	"camellia":    "camellia128",
	"aes128ccm":   "aes128ccm16",
	"aes192ccm":   "aes192ccm16",
	"aes256ccm":   "aes256ccm16",
	"sha2_256_96": "sha256_96",
	"serpent":     "serpent128",
	"twofish":     "twofish128",
}

// cutICV understands sizes of ICVs in bits, "aes256gcm128", beside those in
// octets.
func cutICV(word string) (cipher, icv string, ok bool) {
	for _, size := range []struct{ bits, octets string }{{"64", "8"}, {"96", "12"}, {"128", "16"}} {
		c, found := strings.CutSuffix(word, size.bits)
		if found && (strings.HasSuffix(c, "gcm") || strings.HasSuffix(c, "ccm")) {
			return c, size.octets, true
		}
	}
	return "", "", false
}

// strongSwanPRFs are those that follow from hashes which have a PRF of another
// name, in an IKE proposal that names none.
func strongSwanPRFs(p posture.Proposal) []suite.Transform {
	if len(p.Of(suite.PRF)) > 0 {
		return nil
	}
	var prfs []suite.Transform
	for _, hash := range []struct{ word, prf string }{{"sha256_96", "prfsha256"}, {"sha1_160", "prfsha1"}, {"md5_128", "prfmd5"}} {
		a, known := suite.ByKeyword(hash.word)
		if slices.Contains(p.Unknown, hash.word) || known && slices.Contains(p.Transforms, a.Transform) {
			prf, _ := suite.ByKeyword(hash.prf)
			prfs = append(prfs, prf.Transform)
		}
	}
	return prfs
}

// strongSwanDrops tells what the daemon takes out of a proposal before it uses
// it.
func strongSwanDrops(p suite.Protocol, of posture.Proposal, t suite.Transform) bool {
	switch t.Type {
	case suite.PRF:
		return p != suite.ProtocolIKE
	case suite.KE:
		return p == suite.ProtocolIKE && t.ID == 0
	case suite.Encr:
		return p == AH
	case suite.Integ:
		return p != AH && onlyAEAD(of)
	}
	return false
}

func onlyAEAD(p posture.Proposal) bool {
	ciphers := p.Of(suite.Encr)
	private := slices.ContainsFunc(p.Unknown, func(w string) bool { return strongSwanPrivate[w] == suite.Encr })
	return len(ciphers) > 0 && !private && !slices.ContainsFunc(ciphers, func(t suite.Transform) bool { return !t.AEAD() })
}

// StrongSwanPrivate tells whether a word of a proposal is one that strongSwan
// has, or had, for an algorithm with a private-use number. Such words are in
// Unknown; they are taken only with accept_private_algs or from a peer that is a
// strongSwan. Any other word in Unknown makes the daemon refuse the proposal.
func StrongSwanPrivate(word string) bool {
	ke, _ := strongSwanAdditional(word)
	_, ok := strongSwanPrivate[strongSwanKeyword(ke)]
	return ok
}

// strongSwanPrivate has the types of the words; those of post-quantum key
// exchanges are from branches and from versions before ML-KEM had its number.
var strongSwanPrivate = func() map[string]suite.TransformType {
	words := map[suite.TransformType]string{
		suite.Encr:  "serpent128 serpent192 serpent256 twofish128 twofish192 twofish256 chacha20poly1305compat",
		suite.Integ: "sha256_96 camelliaxcbc",
		suite.PRF:   "prfcamelliaxcbc",
		suite.KE: "modpnull ntru112 ntru128 ntru192 ntru256 newhope128 kyber1 kyber3 kyber5 ntrup1 ntrup3 ntrup5 ntrur3 saber1 saber3 saber5 " +
			"bike1 bike3 bike5 frodoa1 frodoa3 frodoa5 frodos1 frodos3 frodos5 hqc1 hqc3 hqc5 sike1 sike2 sike3 sike5",
	}
	types := map[string]suite.TransformType{}
	for typ, list := range words {
		for word := range strings.FieldsSeq(list) {
			types[word] = typ
		}
	}
	return types
}()

// StrongSwanMixed tells whether a proposal has both ciphers with integrity of
// their own and ciphers without. The daemon refuses it, and with it the
// connection.
func StrongSwanMixed(p posture.Proposal) bool {
	ciphers := p.Of(suite.Encr)
	return slices.ContainsFunc(ciphers, suite.Transform.AEAD) && slices.ContainsFunc(ciphers, func(t suite.Transform) bool { return !t.AEAD() })
}

// StrongSwanWords writes a proposal in strongSwan's words. What the daemon adds
// by itself is left out: "noesn" alone, and PRFs that follow from the hashes.
func StrongSwanWords(p posture.Proposal) string {
	var words []string
	add := func(ts []suite.Transform, prefix string) {
		for _, t := range ts {
			words = append(words, prefix+strongSwanWord(t))
		}
	}
	add(p.Of(suite.Encr), "")
	add(p.Of(suite.Integ), "")
	if !slices.Equal(p.Of(suite.PRF), impliedPRFs(p)) {
		add(p.Of(suite.PRF), "")
	}
	add(p.Of(suite.KE), "")
	add(p.AddKE, "ke1_")
	if esn := p.Of(suite.ESN); !slices.Equal(esn, []suite.Transform{{Type: suite.ESN}}) {
		add(esn, "")
	}
	return strings.Join(append(words, p.Unknown...), "-")
}

func impliedPRFs(p posture.Proposal) []suite.Transform {
	var prfs []suite.Transform
	for _, t := range p.Of(suite.Integ) {
		if prf := suite.PRFOfHash(t); prf != (suite.Transform{}) {
			prfs = append(prfs, prf)
		}
	}
	return prfs
}

func strongSwanWord(t suite.Transform) string {
	word := t.String()
	if t.Type == suite.Integ && strings.HasPrefix(word, "ahaes") {
		return strings.TrimPrefix(word, "ah")
	}
	return word
}
