package windows

import (
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/setting"
	"sallyport/protocol/suite"
)

// enum is one property of a custom policy: words of PowerShell, and the numbers
// of iketypes.h and ipsectypes.h, as keywords of package suite.
type enum struct {
	names   []string // by number; empty: there is none
	keyword map[string]string
}

// word is the name of a value, which may be a number.
func (e enum) word(text string) (string, bool) {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		if n < uint64(len(e.names)) && e.names[n] != "" {
			return e.names[n], true
		}
		return "", false
	}
	for name := range e.keyword {
		if strings.EqualFold(name, text) {
			return name, true
		}
	}
	return "", false
}

var (
	ciphers = map[string]string{
		"DES": "des", "DES3": "3des", "AES128": "aes128", "AES192": "aes192", "AES256": "aes256",
		"GCMAES128": "aes128gcm16", "GCMAES192": "aes192gcm16", "GCMAES256": "aes256gcm16", "None": "null",
	}
	// IKEEXT_CIPHER_TYPE
	encryptionMethod = enum{[]string{"DES", "DES3", "AES128", "AES192", "AES256", "GCMAES128", "GCMAES256"}, ciphers}
	// IKEEXT_INTEGRITY_TYPE
	integrityMethod = enum{[]string{"MD5", "SHA1", "SHA256", "SHA384"}, map[string]string{"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384"}}
	// IKEEXT_DH_GROUP
	dhGroup = enum{[]string{"None", "Group1", "Group2", "Group14", "ECP256", "ECP384", "Group24"}, map[string]string{
		"None": "", "Group1": "modp768", "Group2": "modp1024", "Group14": "modp2048", "ECP256": "ecp256", "ECP384": "ecp384", "Group24": "modp2048s256",
		"Group19": "ecp256", "Group20": "ecp384"}}
	// IPSEC_CIPHER_CONFIG
	cipherTransform = enum{[]string{"", "DES", "DES3", "AES128", "AES192", "AES256", "GCMAES128", "GCMAES192", "GCMAES256"}, ciphers}
	// IPSEC_AUTH_CONFIG
	authTransform = enum{[]string{"MD596", "SHA196", "SHA256128", "GCMAES128", "GCMAES192", "GCMAES256"}, map[string]string{
		"MD596": "md5", "SHA196": "sha1", "SHA256128": "sha256", "GCMAES128": "aes128gmac", "GCMAES192": "aes192gmac", "GCMAES256": "aes256gmac", "None": ""}}
	// IPSEC_PFS_GROUP
	pfsGroup = enum{[]string{"None", "PFS1", "PFS2", "PFS2048", "ECP256", "ECP384", "PFSMM", "PFS24"}, map[string]string{
		"None": "", "PFS1": "modp768", "PFS2": "modp1024", "PFS2048": "modp2048", "ECP256": "ecp256", "ECP384": "ecp384", "PFSMM": "", "PFS24": "modp2048s256"}}
)

// policy is a custom policy: one proposal for IKE, and one for ESP. Without one, at
// is where it would stand.
type policy struct {
	at                                        posture.Pos
	encryption, integrity, dh, cipher, ah, pf string
	unread                                    bool // there is one, and what it says is not known
}

// customPolicy reads the six properties of an object; ok is false where it has
// none of them, or one is not known.
func (r *reader) customPolicy(o object) (p policy, ok bool) {
	first, has := o.get("EncryptionMethod")
	if !has {
		return policy{at: o.at}, false
	}
	p.at, ok = first.at, true
	for _, one := range []struct {
		name string
		enum enum
		into *string
	}{
		{"EncryptionMethod", encryptionMethod, &p.encryption}, {"IntegrityCheckMethod", integrityMethod, &p.integrity}, {"DHGroup", dhGroup, &p.dh},
		{"CipherTransformConstants", cipherTransform, &p.cipher}, {"AuthenticationTransformConstants", authTransform, &p.ah}, {"PfsGroup", pfsGroup, &p.pf},
	} {
		property, has := o.get(one.name)
		if !has {
			r.unparsed(o.at, "the policy has no %s", one.name)
			ok = false
			continue
		}
		word, is := one.enum.word(property.value.text)
		if !is {
			r.unparsed(property.at, "%s has a value that is not known: %s", one.name, setting.Key(property.value.text, "is there"))
			ok = false
		}
		*one.into = word
	}
	p.unread = !ok
	return p, ok
}

func isGCM(word string) bool { return strings.HasPrefix(word, "GCM") }

// ike is the proposal for IKE. GCM takes a hash for its PRF alone.
func (p policy) ike() []posture.Proposal {
	hash := integrityMethod.keyword[p.integrity]
	if isGCM(p.encryption) {
		hash = "prf" + hash
	}
	text := strings.Join([]string{p.encryption, p.integrity, p.dh}, "/")
	return []posture.Proposal{proposal.New(suite.ProtocolIKE, text, p.at, words(ciphers[p.encryption], hash, dhGroup.keyword[p.dh])...)}
}

// esp is the proposal for ESP. GCM stands in both transforms; in that of the
// hash alone it is GMAC, which encrypts nothing.
func (p policy) esp() []posture.Proposal {
	cipher, hash := ciphers[p.cipher], authTransform.keyword[p.ah]
	switch {
	case isGCM(p.cipher):
		hash = ""
	case isGCM(p.ah) && p.cipher == "None":
		cipher, hash = hash, ""
	case isGCM(p.ah): // Windows refuses it
		hash = ""
	}
	text := strings.Join([]string{p.cipher, p.ah, p.pf}, "/")
	return []posture.Proposal{proposal.New(suite.ProtocolESP, text, p.at, words(cipher, hash, p.group(), "noesn")...)}
}

// group is the key exchange of a Child SA: PFSMM is that of IKE.
func (p policy) group() string {
	if p.pf == "PFSMM" {
		return dhGroup.keyword[p.dh]
	}
	return pfsGroup.keyword[p.pf]
}

func words(all ...string) []string {
	var out []string
	for _, w := range all {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// What Windows proposes by itself, as it was seen on the wire.
var (
	ikev2Weak   = []string{"3des-sha1-sha256-sha384-modp1024", "aes128-aes192-aes256-sha1-sha256-sha384-modp1024"}
	ikev2Strong = []string{"aes256-sha1-sha256-sha384-modp2048"}
	ikev1       = []string{"aes256-sha1-ecp384", "aes128-sha1-ecp256", "aes256-sha1-modp2048", "3des-sha1-modp2048", "3des-sha1-modp1024"}
	ikev1Weak   = []string{"des-md5-modp1024"}

	espMaximum  = []string{"aes256-sha1-noesn", "3des-sha1-noesn"}
	espRequired = []string{"aes256-sha1-noesn", "aes128-sha1-noesn", "3des-sha1-noesn", "des-sha1-noesn"}
	espNone     = []string{"null-sha1-noesn"}
)

// defaults makes proposals of lists of keywords.
func defaults(p suite.Protocol, at posture.Pos, lists ...[]string) []posture.Proposal {
	var all []posture.Proposal
	for _, list := range lists {
		for _, text := range list {
			all = append(all, proposal.New(p, text, at, strings.Split(text, "-")...))
		}
	}
	return all
}

// ikeDefaults are the proposals of IKEv2 without a custom policy, which one value
// of the registry decides: 1 adds DH group 14, and 2 leaves nothing else.
func (r *reader) ikeDefaults(at posture.Pos) posture.Value[[]posture.Proposal] {
	const name = "NegotiateDH2048_AES256"
	v, ok := r.reg.find(name)
	switch {
	case ok && v.number == 2:
		return posture.Written(defaults(suite.ProtocolIKE, v.at, ikev2Strong), v.at, name+" = 2")
	case ok && v.number == 1:
		return posture.Written(defaults(suite.ProtocolIKE, v.at, ikev2Weak, ikev2Strong), v.at, name+" = 1")
	}
	return posture.Guess(defaults(suite.ProtocolIKE, at, ikev2Weak), at, "no custom policy: default of Windows 10, without "+name)
}

// l2tpDefaults are those of IKEv1.
func (r *reader) l2tpDefaults(at posture.Pos) posture.Value[[]posture.Proposal] {
	if v, ok := r.reg.find("AllowL2TPWeakCrypto"); ok && v.number == 1 {
		return posture.Guess(defaults(suite.ProtocolIKE, at, ikev1, ikev1Weak), v.at, "AllowL2TPWeakCrypto = 1 adds DES and MD5")
	}
	return posture.Guess(defaults(suite.ProtocolIKE, at, ikev1), at, "no custom policy: what Windows proposes for L2TP")
}

// espDefaults go by the level of encryption.
func espDefaults(level posture.Value[string], at posture.Pos) posture.Value[[]posture.Proposal] {
	lists := [][]string{espRequired}
	switch {
	case strings.HasPrefix(level.V, "maximum"):
		lists = [][]string{espMaximum}
	case strings.HasPrefix(level.V, "optional"):
		lists = [][]string{espRequired, espNone}
	case strings.HasPrefix(level.V, "noencryption"):
		lists = [][]string{espNone}
	}
	return posture.Guess(defaults(suite.ProtocolESP, at, lists...), at, "no custom policy: what Windows proposes for this level of encryption")
}
