package swanctl

import (
	"slices"
	"strings"

	"sallyport/posture"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
)

// rounds reads how both sides prove themselves. Rounds are sorted by their
// number, and stay in the order of the file where they have none.
func (r *reader) rounds(c *posture.Connection, v view) {
	for _, name := range v.names() {
		if !allows(connKnown, name) || name == "children" {
			continue
		}
		r.known(v.sub(name), authKnown, "a round of authentication")
		for _, cert := range v.sub(name).names() {
			r.known(v.path(name, cert), certKnown, "a certificate")
		}
	}
	local, remote := r.sorted(v, "local"), r.sorted(v, "remote")
	c.Local = r.auths(c, local, false)
	c.Remote = r.auths(c, remote, true)
	if slices.ContainsFunc(c.Remote, usesCertificate) {
		c.Revocation = r.revocation(remote)
	}
}

// sorted are the rounds of one side. There is always one.
func (r *reader) sorted(v view, side string) []view {
	var all []view
	for _, name := range v.names() {
		if !strings.HasPrefix(name, side) {
			continue
		}
		if len(all) == mostRounds {
			r.in.Note(posture.Limit, v.at(), "more than %d rounds of authentication: the rest was not read", mostRounds)
			break
		}
		all = append(all, v.sub(name))
	}
	slices.SortStableFunc(all, func(a, b view) int {
		return r.number(a, "round", 0).V - r.number(b, "round", 0).V
	})
	if len(all) == 0 {
		all = []view{v.sub(side)}
	}
	return all
}

func (r *reader) auths(c *posture.Connection, rounds []view, remote bool) []posture.Auth {
	var all []posture.Auth
	for i, v := range rounds {
		a := r.auth(c, v, remote)
		if a.Method.V == posture.MethodXAUTH && i == 0 {
			a.Method.V = posture.MethodHybrid
		}
		all = append(all, a)
	}
	return all
}

// keyWords begin the words of public keys in auth. Sizes, hashes and "ike:" may
// follow.
var keyWords = []string{"ike:", "pubkey", "rsa", "ecdsa", "bliss", "ed25519", "ed448", "any"}

func (r *reader) auth(c *posture.Connection, v view, remote bool) posture.Auth {
	a := posture.Auth{Method: normal(r, posture.MethodPubkey, v.at())}
	if s, ok := v.get("auth"); ok {
		r.method(c, &a, s)
	}
	if remote {
		a.ID = read(r, v, "id", "%any", asIs)
		a.CA = r.authority(v)
	} else if s, ok := v.get("id"); ok {
		a.ID = posture.Written(s.value, s.at, s.value)
	}
	if s, ok := v.get("certs"); ok {
		a.CertFile = s.value
	}
	if s, ok := v.get("pubkeys"); ok {
		_, authority := v.get("cacerts")
		a.RawKey = s.value != "" && a.CertFile == "" && !authority
	}
	return a
}

func asIs(s string) (string, bool) { return s, true }

func (r *reader) method(c *posture.Connection, a *posture.Auth, s setting) {
	lower := strings.ToLower(s.value)
	write := func(m posture.Method) { a.Method = posture.Written(m, s.at, s.value) }
	switch {
	case lower == "psk":
		write(posture.MethodPSK)
	case strings.HasPrefix(lower, "xauth"):
		write(posture.MethodXAUTH)
		a.XAUTH = true
	case strings.HasPrefix(lower, "eap"):
		write(posture.MethodEAP)
		name, _, _ := strings.Cut(lower, ":")
		if name, ok := strings.CutPrefix(name, "eap-"); ok {
			a.EAP = posture.Written([]string{name}, s.at, s.value)
		}
	case slices.ContainsFunc(keyWords, func(w string) bool { return strings.HasPrefix(lower, w) }):
		write(posture.MethodPubkey)
		if strings.Contains(lower, "sha1") {
			c.SHA1Sig = posture.Written(true, s.at, s.value)
		}
	default:
		if !notation.Placeholder(s.value) {
			r.unparsed(s.at, "the method %q is not known", source.Quote(s.value))
		}
		a.Method = posture.Value[posture.Method]{}
	}
}

// authority is the CA that a peer's certificate must come from.
func (r *reader) authority(v view) posture.Value[string] {
	for _, key := range []string{"cacerts", "ca_id"} {
		if s, ok := v.get(key); ok {
			return posture.Written(s.value, s.at, s.value)
		}
	}
	for _, name := range v.names() {
		if strings.HasPrefix(name, "cacert") {
			for _, key := range []string{"file", "handle"} {
				if s, ok := v.sub(name).get(key); ok {
					return posture.Written(s.value, s.at, s.value)
				}
			}
		}
	}
	return posture.ByDefault("", v.at(), "any authority that the daemon trusts")
}

func usesCertificate(a posture.Auth) bool {
	switch a.Method.V {
	case posture.MethodPubkey:
		return true
	case posture.MethodEAP:
		return slices.Contains(a.EAP.V, "tls") || slices.Contains(a.EAP.V, "ttls") || slices.Contains(a.EAP.V, "peap")
	}
	return false
}

// revocation is the weakest of all rounds. "relaxed", the default, refuses only
// what is known to be revoked, and without the plugin's look for it nothing is.
func (r *reader) revocation(rounds []view) posture.Value[posture.Demand] {
	relaxed := posture.Optional
	if posture.Is(r.daemon.CRLFetch, false) && posture.Is(r.daemon.OCSP, false) {
		relaxed = posture.Never
	}
	var weakest posture.Value[posture.Demand]
	for _, v := range rounds {
		one := word(r, v, "revocation", relaxed, map[string]posture.Demand{"strict": posture.Always, "ifuri": posture.Optional, "relaxed": relaxed})
		if !weakest.Known() || one.V < weakest.V {
			weakest = one
		}
	}
	return weakest
}
