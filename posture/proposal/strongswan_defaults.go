package proposal

import (
	"strings"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// Which strongSwan is taken where the version is not known: the oldest that
// supported distributions still have in numbers.
const strongSwanCommon = "5.9"

// StrongSwanDefaults are the proposals that the daemon makes where the file has
// none, or the word "default", and why. A version that is not known is taken for 5.9.
//
// In IKE, the daemon offers what its plugins bring. Here it has those of a usual
// build (openssl, gcm, ccm, ctr, chapoly, xcbc, cmac, curve25519); Camellia,
// which some builds add, is sound and left out. Text is the list in words.
//
// Source: src/libstrongswan/crypto/proposal/proposal.c and NEWS.
func StrongSwanDefaults(p suite.Protocol, version string) ([]posture.Proposal, string) {
	why := "default of strongSwan " + version
	if len(numbers(version)) == 0 {
		version, why = strongSwanCommon, "version unknown: default of strongSwan "+strongSwanCommon
	}
	var texts []string
	switch p {
	case suite.ProtocolIKE:
		texts = strongSwanIKE(version)
	case suite.ProtocolESP:
		texts = strongSwanESP(version)
	case AH:
		texts = strongSwanAH(version)
	}
	var all []posture.Proposal
	for _, text := range texts {
		d := StrongSwan(p, text, posture.Pos{})
		all = append(all, d)
	}
	return all, why
}

// added is a word of a default proposal that not all versions have.
type added struct {
	word        string
	from, until string // versions; empty: always
}

func (a added) in(version string) bool {
	return (a.from == "" || !Before(version, a.from)) && (a.until == "" || Before(version, a.until))
}

// wordsOf joins the words that a version has.
func wordsOf(version string, lists ...[]added) string {
	var words []string
	for _, list := range lists {
		for _, a := range list {
			if a.in(version) {
				words = append(words, a.word)
			}
		}
	}
	return strings.Join(words, "-")
}

var (
	ikeAEAD = []added{
		{word: "aes128gcm16-aes192gcm16-aes256gcm16-aes128ccm16-aes192ccm16-aes256ccm16"},
		{word: "chacha20poly1305", from: "5.3.3"},
		{word: "aes128gcm12-aes192gcm12-aes256gcm12-aes128gcm8-aes192gcm8-aes256gcm8"},
		{word: "aes128ccm12-aes192ccm12-aes256ccm12-aes128ccm8-aes192ccm8-aes256ccm8"},
	}
	ikeCBC = []added{
		{word: "aes128-aes192-aes256-aes128ctr-aes192ctr-aes256ctr-3des"},
		{word: "sha256-sha384-sha512-aesxcbc-aescmac-sha1"},
		{word: "md5", until: "5.6.1"},
	}
	ikePRF = []added{
		{word: "prfsha256-prfsha384-prfsha512-prfaesxcbc-prfaescmac-prfsha1"},
		{word: "prfmd5", until: "5.6.1"},
	}
	kes = []added{
		{word: "ecp256-ecp384-ecp521-ecp256bp-ecp384bp-ecp512bp"},
		{word: "curve25519", from: "5.5.2"},
		{word: "curve448", from: "5.8.0"},
		{word: "modp3072-modp4096-modp6144-modp8192-modp2048"},
		{word: "modp1536", until: "5.5.0"},
		{word: "modp1024", until: "5.6.1"},
	}
	espGCM = []added{{word: "aes128gcm16-aes192gcm16-aes256gcm16"}}
	espCBC = []added{
		{word: "aes128-aes192-aes256"},
		{word: "3des-blowfish256", until: "5.6.1"},
	}
	childHashes = []added{
		{word: "sha256-sha384-sha512", from: "5.4.0"},
		{word: "sha1-aesxcbc"},
		{word: "md5", until: "5.6.1"},
	}
	// Before 6.0.2 a Child SA without a proposal of its own had no PFS; since
	// then it is the peer's choice.
	childKE = func() []added {
		var list []added
		for _, k := range kes {
			list = append(list, added{word: k.word, from: "6.0.2", until: k.until})
		}
		return append(list, added{word: "none", from: "6.0.2"})
	}()
)

func strongSwanIKE(version string) []string {
	return []string{wordsOf(version, ikeAEAD, ikePRF, kes), wordsOf(version, ikeCBC, ikePRF, kes)}
}

func strongSwanESP(version string) []string {
	cbc := wordsOf(version, espCBC, childHashes, childKE)
	if Before(version, "5.9.0") {
		return []string{cbc}
	}
	return []string{wordsOf(version, espGCM, childKE), cbc}
}

func strongSwanAH(version string) []string {
	return []string{wordsOf(version, childHashes, childKE)}
}
