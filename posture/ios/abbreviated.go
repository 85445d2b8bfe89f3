package ios

import "strings"

// IOS takes any beginning of a keyword that begins no other, and people type
// them; "show running-config" writes whole words. Here a beginning counts where it
// is one among the words that are known, and what may be a name or a secret is
// never touched: only the words of these tables follow each other.

// keywords are what follows some words, from the begin of a line or of a line in a
// block. Abbreviations that IOS itself writes, such as "encr", are no words that a
// beginning could mean.
var keywords = map[string]map[string]bool{
	"crypto":                             cryptoWords,
	"crypto isakmp":                      set("policy key profile client peer keepalive identity enable aggressive-mode invalid-spi-recovery nat xauth default fragmentation diagnose"),
	"crypto isakmp client":               set("configuration"),
	"crypto isakmp client configuration": set("group address-pool browser-proxy"),
	"crypto isakmp aggressive-mode":      set("disable"),
	"crypto ipsec":                       set("transform-set profile security-association client df-bit fragmentation nat-transparency optional ipv4-deny server"),
	"crypto ipsec client":                set("ezvpn"),
	"crypto ipsec security-association":  set("lifetime replay idle-time ecn dummy multi-sn"),
	"crypto ikev2":                       set("proposal policy keyring profile authorization limit dpd nat cookie-challenge fragmentation http-url certificate-cache name-mangler diagnose cluster redirect client"),
	"crypto ikev2 authorization":         set("policy"),
	"crypto gdoi":                        set("group"),
	"crypto gkm":                         set("group"),
	"crypto pki":                         set("trustpoint certificate authenticate enroll server token profile export import benchmark crl"),
	"authentication":                     set("pre-share rsa-sig rsa-encr ecdsa-sig local remote"),
	"authentication local":               set("pre-share rsa-sig ecdsa-sig eap anyconnect-eap"),
	"authentication remote":              set("pre-share rsa-sig ecdsa-sig eap anyconnect-eap any"),
	"hash":                               set("md5 sha sha256 sha384 sha512"),
	"encr":                               set("aes des 3des"),
	"encryption":                         set("aes des 3des aes-cbc-128 aes-cbc-192 aes-cbc-256 aes-gcm-128 aes-gcm-256"),
	"mode":                               set("transport tunnel"),
	"set":                                set("transform-set pfs security-association isakmp-profile ikev2-profile identity mixed-mode reverse-route peer nat ip security-policy session-key group aggressive-mode"),
	"tunnel":                             set("protection source destination mode key path-mtu-discovery vrf checksum bandwidth route-via tos ttl endpoint flow"),
	"tunnel protection":                  set("ipsec"),
	"tunnel protection ipsec":            set("profile policy"),
	"tunnel mode":                        set("ipsec gre ipip ipv6 ipv6ip"),
	"ip":                                 set("address unnumbered access-group access-list mtu tcp nhrp ospf vrf route nat local dhcp http ssh domain name-server domain-name"),
	"ip access-list":                     set("extended standard"),
	"tunnel mode ipsec":                  set("ipv4 ipv6 dual-overlay"),
	"vpdn":                               set("enable logging multihop history session-limit source-ip authen-before-forward aaa"),
}

// kindsOfMap is the last word of an entry of a crypto map.
var kindsOfMap = set("ipsec-isakmp ipsec-manual gdoi")

// written by IOS itself, and short for another word.
var shortened = set("encr conf copy do sh wr Current Last Building NVRAM Using")

// meant is the word that a beginning stands for: none where there are several.
func meant(words map[string]bool, begin string) (whole string, found int) {
	if words[begin] {
		return begin, 1
	}
	if len(begin) < 2 {
		return "", 0
	}
	for w := range words {
		if strings.HasPrefix(w, begin) && !shortened[w] {
			whole = w
			found++
		}
	}
	return whole, found
}

// expand writes the keywords at the begin of a line in full. in are the blocks
// whose line it may be, the nearest first, and the file as a whole, which has no
// words.
func (l *line) expand(in ...*line) {
	if !l.begun(in) {
		return
	}
	path := l.words[0]
	for i := 1; i < len(l.words); i++ {
		whole, found := meant(keywords[path], l.words[i])
		if found != 1 {
			break
		}
		l.set(i, whole)
		path += " " + whole
	}
	if path == "crypto map" {
		if whole, found := meant(kindsOfMap, l.word(4)); found == 1 {
			l.set(4, whole)
		}
	}
}

// begun expands the first word, in the first block that has one which it means. It
// tells whether the line begins with a word that is known.
func (l *line) begun(in []*line) bool {
	for _, words := range wordsOf(in) {
		if words[l.words[0]] {
			return true
		}
	}
	for _, words := range wordsOf(in) {
		switch whole, found := meant(words, l.words[0]); {
		case found == 1:
			l.set(0, whole)
			return true
		case found > 1:
			return false // as IOS has it
		}
	}
	return false
}

func wordsOf(in []*line) (all []map[string]bool) {
	for _, b := range in {
		if len(b.words) == 0 {
			all = append(all, topWords)
		} else if words := wordsIn(b); words != nil {
			all = append(all, words)
		}
	}
	return all
}

// set puts a whole word in the place of its beginning. The text stays as it was
// written.
func (l *line) set(i int, whole string) {
	if l.words[i] == whole {
		return
	}
	l.words[i] = whole
	l.full = strings.Join(l.words, " ")
}

// whole is the line in whole words, without a leading "no".
func (l *line) whole() string {
	if l.full != "" {
		return l.full
	}
	return strings.TrimPrefix(l.text, "no ")
}

// beginnings is a pattern of a word or what it may be cut to.
func beginnings(word string, least int) string {
	p := ""
	for i := len(word) - 1; i >= least; i-- {
		p = "(?:" + word[i:i+1] + p + ")?"
	}
	return word[:least] + p
}
