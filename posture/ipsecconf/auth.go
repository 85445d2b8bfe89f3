package ipsecconf

import (
	"slices"
	"strings"

	"sallyport/posture"
)

// auths are the rounds by which both sides prove themselves.
func (c *conn) auths() (local, remote []posture.Auth) {
	ours, theirs := c.sides()
	if c.libreswan() {
		return c.roundsLibreswan(ours, theirs), c.roundsLibreswan(theirs, ours)
	}
	return c.roundsStrongSwan(ours, true), c.roundsStrongSwan(theirs, false)
}

// identify fills in who the side is and by what certificate.
func (c *conn) identify(a *posture.Auth, side, round string) {
	if s, ok := c.get(side + "id" + round); ok {
		a.ID = written(s, s.value)
	} else if host := c.word(side); host == "" || isAnybody(host) {
		a.ID = byDefault(c.reader, "%any", c.at)
	} else {
		a.ID = byDefault(c.reader, host, c.at)
	}
	if s, ok := c.get(side + "ca" + round); ok {
		a.CA = written(s, s.value)
	} else {
		a.CA = byDefault(c.reader, "", c.at)
	}
	if s, ok := c.get(side + "cert" + round); ok {
		a.CertFile = s.value
	}
	a.RawKey = a.CertFile == "" && c.rawKey(side)
}

// rawKey tells whether a side's public key is written down. "%cert" and the
// like say that it comes with a certificate.
func (c *conn) rawKey(side string) bool {
	return slices.ContainsFunc([]string{"rsasigkey", "sigkey", "ecdsakey", "eddsakey", "pubkey"}, func(word string) bool {
		s, ok := c.get(side + word)
		return ok && s.value != "" && !strings.HasPrefix(s.value, "%")
	})
}

// roundsStrongSwan reads leftauth= and leftauth2=; without them authby= says
// what both sides do, with XAUTH for the client (ipsec.conf(5)).
func (c *conn) roundsStrongSwan(side string, local bool) []posture.Auth {
	var rounds []posture.Auth
	for _, round := range []string{"", "2"} {
		s, ok := c.get(side + "auth" + round)
		if !ok {
			continue
		}
		a := c.methodStrongSwan(s)
		if a.XAUTH && len(rounds) == 0 {
			a.Method.V = posture.MethodHybrid
		}
		c.identify(&a, side, round)
		rounds = append(rounds, a)
	}
	if _, first := c.get(side + "auth"); first {
		return rounds
	}
	return append(c.authby(side, local), rounds...)
}

// keyWords begin what stands for public keys; sizes, hashes and "ike:" may
// follow.
var keyWords = []string{"ike:", "pubkey", "rsa", "ecdsa", "bliss", "ed25519", "ed448", "any"}

func (c *conn) methodStrongSwan(s setting) posture.Auth {
	word := strings.ToLower(s.value)
	switch {
	case word == "psk", word == "secret":
		return posture.Auth{Method: written(s, posture.MethodPSK)}
	case strings.HasPrefix(word, "xauth"):
		return posture.Auth{Method: written(s, posture.MethodXAUTH), XAUTH: true}
	case strings.HasPrefix(word, "eap"):
		a := posture.Auth{Method: written(s, posture.MethodEAP)}
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "eap"), "-"), ":")
		if name != "" {
			a.EAP = written(s, []string{name})
		}
		return a
	case slices.ContainsFunc(keyWords, func(w string) bool { return strings.HasPrefix(word, w) }):
		return posture.Auth{Method: written(s, posture.MethodPubkey)}
	}
	c.odd(s)
	return posture.Auth{}
}

// authby is the old word for both sides.
func (c *conn) authby(side string, local bool) []posture.Auth {
	s, ok := c.get("authby")
	a := posture.Auth{Method: byDefault(c.reader, posture.MethodPubkey, c.at)}
	xauth := false
	switch first, _, _ := strings.Cut(c.word("authby"), "|"); {
	case !ok:
	case first == "xauthpsk", first == "xauthrsasig":
		xauth = true
		fallthrough
	case slices.Contains([]string{"psk", "secret", "pubkey", "rsa", "rsasig", "ecdsa", "ecdsasig"}, first):
		a.Method = written(s, posture.MethodPubkey)
		if strings.Contains(c.word("authby"), "psk") || strings.Contains(c.word("authby"), "secret") {
			a.Method = written(s, posture.MethodPSK)
		}
	case first == "eap":
		a.Method = written(s, posture.MethodEAP)
		if eap, ok := c.get("eap"); ok {
			a.EAP = written(eap, []string{strings.ToLower(eap.value)})
		}
	case first == "never":
		return nil
	default:
		c.odd(s)
	}
	c.identify(&a, side, "")
	// xauth=client, the default, makes us the one who types a password.
	if server := c.word("xauth") == "server"; xauth && server != local {
		return []posture.Auth{a, {Method: written(s, posture.MethodXAUTH), XAUTH: true, ID: a.ID}}
	}
	return []posture.Auth{a}
}

// roundsLibreswan reads leftauth= or authby= of a side, and XAUTH of version 1.
func (c *conn) roundsLibreswan(side, other string) []posture.Auth {
	if c.word("authby") == "never" {
		return nil
	}
	a := c.methodLibreswan(side)
	if eap, ok := c.get(side + "autheap"); ok && c.word(side+"autheap") != "none" {
		a.Method, a.EAP = written(eap, posture.MethodEAP), written(eap, []string{c.word(side + "autheap")})
	}
	c.identify(&a, side, "")
	rounds := []posture.Auth{a}
	for _, key := range []string{side + "xauthclient", other + "xauthserver"} {
		if s, ok := c.get(key); ok && yesNo[c.word(key)] {
			x := posture.Auth{Method: written(s, posture.MethodXAUTH), XAUTH: true, ID: a.ID}
			if by, ok := c.get("xauthby"); ok {
				x.Method.Text += " " + by.text
			}
			x.AnyWord = c.anyPassword()
			return append(rounds, x)
		}
	}
	return rounds
}

// anyPassword: xauthby=alwaysok asks for a password and takes any; xauthfail=soft
// lets in who has none, for the updown script to confine (ipsec.conf(5)).
func (c *conn) anyPassword() posture.Value[bool] {
	if s, ok := c.get("xauthfail"); ok && c.word("xauthfail") == "soft" {
		return written(s, true)
	}
	return choose(c, "xauthby", map[string]bool{"alwaysok": true, "file": false, "pam": false}, false)
}

// methodLibreswan: several words in authby= are all taken from the peer, so that
// the weakest counts.
func (c *conn) methodLibreswan(side string) posture.Auth {
	s, ok := c.get(side + "auth")
	if !ok {
		s, ok = c.get("authby")
	}
	if !ok {
		return posture.Auth{Method: byDefault(c.reader, posture.MethodPubkey, c.at)}
	}
	var method posture.Method
	for _, word := range authbyWords(s.value) {
		one, ok := libreswanMethods[word]
		if !ok {
			if _, _, hash := strings.Cut(word, "-sha"); !hash {
				c.odd(s)
				continue
			}
			one = posture.MethodPubkey
		}
		if slices.Index(weakestFirst, one) < slices.Index(weakestFirst, method) || method == "" {
			method = one
		}
	}
	if method == "" {
		return posture.Auth{}
	}
	return posture.Auth{Method: written(s, method)}
}

func authbyWords(value string) []string {
	return strings.FieldsFunc(strings.ToLower(value), func(r rune) bool { return r == ',' || r == '|' || r == '+' || r == ' ' })
}

var weakestFirst = []posture.Method{posture.MethodNull, posture.MethodPSK, posture.MethodPubkey, posture.MethodEAP}

var libreswanMethods = map[string]posture.Method{
	"secret": posture.MethodPSK, "psk": posture.MethodPSK, "null": posture.MethodNull, "rsasig": posture.MethodPubkey, "rsa": posture.MethodPubkey,
	"ecdsa": posture.MethodPubkey, "eddsa": posture.MethodPubkey, "eaponly": posture.MethodEAP,
}

// sha1 tells whether signatures with SHA-1 are made or taken. Libreswan falls
// back to RFC 7296's own, which is with SHA-1, under "rsasig" and by default.
// strongSwan asks peers for RFC 7427.
func (c *conn) sha1(out *posture.Connection) posture.Value[bool] {
	keys := slices.ContainsFunc(slices.Concat(out.Local, out.Remote), func(a posture.Auth) bool { return a.Method.V == posture.MethodPubkey })
	if !keys || !out.V2.V {
		return posture.Value[bool]{}
	}
	for _, key := range []string{"leftauth", "rightauth", "leftauth2", "rightauth2", "authby"} {
		s, ok := c.get(key)
		if !ok {
			continue
		}
		words := authbyWords(s.value)
		weak := strings.Contains(strings.ToLower(s.value), "sha1") || c.libreswan() && (slices.Contains(words, "rsasig") || slices.Contains(words, "rsa"))
		if weak {
			return written(s, true)
		}
	}
	if s, ok := c.get("authby"); ok && c.libreswan() {
		return written(s, false)
	}
	return byDefault(c.reader, c.libreswan(), c.at)
}

// usesCertificate tells whether a peer's certificate may be revoked.
func usesCertificate(a posture.Auth) bool {
	tls := func(m string) bool { return m == "tls" || m == "ttls" || m == "peap" }
	return a.Method.V == posture.MethodPubkey && !a.RawKey || a.Method.V == posture.MethodEAP && slices.ContainsFunc(a.EAP.V, tls)
}
