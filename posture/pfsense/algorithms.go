package pfsense

import (
	"strings"

	"sallyport/protocol/suite"
)

// The words of the products are near to strongSwan's: the text of a proposal is
// put together as they do it themselves (ipsec_setup_proposal_algo), and read
// as strongSwan reads it.

// ikeTexts are the proposals of an item of <encryption>. OPNsense may have
// several hashes and groups in one, with commas between.
func ikeTexts(item *element, prf bool) []string {
	cipher := item.get("encryption-algorithm")
	if cipher == nil || cipher.value("name") == "" && cipher.text == "" {
		return nil
	}
	hashes, groups := capped(list(item.value("hash-algorithm"))), capped(list(item.value("dhgroup")))
	if prf {
		for _, f := range capped(list(item.value("prf-algorithm"))) {
			hashes = append(hashes, "prf"+f)
		}
	}
	var texts []string
	for _, c := range ciphers(cipher) {
		texts = append(texts, join([]string{c}, hashes, groupWords(groups)))
	}
	return texts
}

// offer is one proposal of a phase 2, and the element that it comes from.
type offer struct {
	text string
	from *element
}

// espOffers are the proposals of a phase 2: each cipher with each hash, and
// those of AEAD without any (ipsec_setup_proposal_entry).
func espOffers(e *element, group string) []offer {
	hashes, groups := hashWords(e), groupWords(capped(list(group)))
	var all []offer
	for _, option := range capped(e.all("encryption-algorithm-option")) {
		for _, c := range ciphers(option) {
			if len(hashes) == 0 || strings.Contains(c, "gcm") {
				all = append(all, offer{join([]string{c}, groups), option})
				continue
			}
			for _, h := range hashes {
				all = append(all, offer{join([]string{c}, []string{h}, groups), option})
			}
		}
	}
	return all[:min(len(all), most*most)]
}

// ahOffers are those of a phase 2 of AH, which has hashes alone.
func ahOffers(e *element, group string) []offer {
	var all []offer
	for _, h := range hashWords(e) {
		all = append(all, offer{join([]string{h}, groupWords(capped(list(group)))), e.get("hash-algorithm-option")})
	}
	return all
}

func hashWords(e *element) []string {
	var words []string
	for _, h := range e.all("hash-algorithm-option") {
		for _, w := range list(h.text) {
			words = append(words, strings.TrimPrefix(w, "hmac_"))
		}
	}
	return capped(words)
}

// ciphers are strongSwan's words for a name and a length: of the key, or with
// GCM of the ICV in bits. "auto" is every length.
func ciphers(e *element) []string {
	name, length := e.value("name"), e.value("keylen")
	if name == "" {
		name = e.text
	}
	switch {
	case length != "auto":
		return []string{name + length}
	case strings.Contains(name, "gcm"):
		return []string{name + "128", name + "96", name + "64"}
	case name == "aes", name == "camellia", name == "blowfish":
		return []string{name + "256", name + "192", name + "128"}
	}
	return []string{name}
}

// groupWords are the keywords of Diffie-Hellman groups by number. 0 and "off"
// are none.
func groupWords(numbers []string) []string {
	var words []string
	for _, n := range numbers {
		if n == "0" || n == "off" {
			continue
		}
		words = append(words, groupWord(n))
	}
	return words
}

func groupWord(number string) string {
	n := uint16(0)
	for _, c := range number {
		if c < '0' || c > '9' || n > 999 {
			return number
		}
		n = 10*n + uint16(c-'0')
	}
	if a, ok := suite.Lookup(suite.Transform{Type: suite.KE, ID: n}); ok && n > 0 {
		return a.Keyword
	}
	return "group" + number
}

func join(lists ...[]string) string {
	var words []string
	for _, l := range lists {
		words = append(words, l...)
	}
	return strings.Join(words, "-")
}
