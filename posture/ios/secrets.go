package ios

import (
	"bytes"
	"slices"
	"strings"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/setting"
)

// keys are the pre-shared keys, wherever they stand.
func (r *reader) keys() {
	for _, l := range r.root.all("crypto", "isakmp", "key") {
		r.isakmpKey(l)
	}
	for _, ring := range r.root.all("crypto", "keyring") {
		for _, l := range ring.all("pre-shared-key") {
			i := index(l.words, "key")
			name := strings.TrimSpace(ring.word(2) + " " + l.words[min(2, len(l.words)-1)])
			before := len(r.host.Secrets)
			r.key(posture.PSK, name, l, l.words[min(i+1, len(l.words)):], l.words[1:min(i, len(l.words))])
			for k := before; k < len(r.host.Secrets); k++ {
				r.host.Secrets[k].Setting = ring.whole() + "\n" + joined(l.words[:min(i, len(l.words))])
			}
		}
	}
	for _, g := range r.root.all("crypto", "isakmp", "client", "configuration", "group") {
		if k := g.find("key"); k != nil {
			r.key(posture.GroupKey, g.word(5), k, k.words[1:], []string{"hostname", g.word(5)})
		}
	}
	for _, ring := range r.root.all("crypto", "ikev2", "keyring") {
		for _, peer := range ring.all("peer") {
			r.peerKeys(ring.word(3)+" "+peer.word(1), peer)
		}
	}
	for _, l := range r.root.all("crypto", "ikev2", "profile") {
		r.profileKeys(l)
	}
	for _, l := range r.root.all("crypto", "isakmp", "peer") {
		if p := l.find("set", "aggressive-mode", "password"); p != nil {
			r.key(posture.PSK, l.word(4), p, p.words[3:], l.words[3:])
		}
	}
	r.easyKeys()
	r.tunnelKeys()
}

// profileKeys are those that stand in a profile itself: "authentication remote
// pre-share key [0|6] KEY", and a password for EAP of our own.
func (r *reader) profileKeys(l *line) {
	whom := []string{"identity"}
	if m := l.find("match", "identity", "remote"); m != nil {
		whom = m.words[3:]
		if m.word(3) == "any" {
			whom = []string{"address", "any"}
		}
	}
	var first secret.Bytes
	for _, a := range l.all("authentication") {
		for _, w := range []struct {
			word string
			kind posture.SecretKind
		}{{"key", posture.PSK}, {"password", posture.UserPassword}} {
			i := index(a.words, w.word)
			if i < 2 || i+1 >= len(a.words) {
				continue
			}
			value, _, _, _ := password(a.words[i+1:])
			if len(value) == 0 || !bytes.Equal(value, first) {
				first = value
				r.key(w.kind, l.word(3), a, a.words[i+1:], whom)
			}
		}
	}
}

// easyKeys are those of a client of Easy VPN: its group's and its own.
func (r *reader) easyKeys() {
	for _, l := range r.root.all("crypto", "ipsec", "client", "ezvpn") {
		if g := l.find("group"); g != nil {
			if i := index(g.words, "key"); i < len(g.words) {
				r.key(posture.GroupKey, l.word(4)+" "+g.word(1), g, g.words[i+1:], []string{"hostname", g.word(1)})
			}
		}
		if u := l.find("username"); u != nil {
			if i := index(u.words, "password"); i < len(u.words) {
				r.key(posture.UserPassword, l.word(4)+" "+u.word(1), u, u.words[i+1:], []string{"hostname", u.word(1)})
			}
		}
	}
}

// isakmpKey is "crypto isakmp key [0|6] KEY address A [MASK]" or "hostname H".
func (r *reader) isakmpKey(l *line) {
	words := l.words[3:]
	i := index(words, "address")
	if h := index(words, "hostname"); h < i {
		i = h
	}
	if i == len(words) {
		words, i = peerOfKey(words)
	}
	if i >= len(words) || i == 0 {
		r.in.Note(posture.Unparsed, l.at, "a crypto isakmp key without a peer")
		return
	}
	r.key(posture.PSK, joined(words[i+1:]), l, words[:i], words[i:])
}

// peerOfKey finds the word for the peer where what was typed is short for it, as in
// "KEY addr A" and "0 KEY addr A": at the beginning, for the rest may say anything.
func peerOfKey(words []string) ([]string, int) {
	i := 1
	if len(words) > 0 && (words[0] == "0" || words[0] == "6") {
		i = 2
	}
	if i+1 < len(words) && len(words[i]) > 1 {
		for _, whole := range []string{"address", "hostname"} {
			if strings.HasPrefix(whole, words[i]) {
				words = slices.Clone(words)
				words[i] = whole
				return words, i
			}
		}
	}
	return words, len(words)
}

// index is where a word is, or the length of the list.
func index(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return len(words)
}

// peerKeys are those of one peer of an IKEv2 keyring; each side may have its own,
// which is one key if it is the same.
func (r *reader) peerKeys(name string, peer *line) {
	whom := []string{"hostname"}
	for _, words := range [][]string{{"address"}, {"identity"}, {"hostname"}} {
		if b := peer.find(words...); b != nil {
			whom = b.words
			break
		}
	}
	var first secret.Bytes
	for _, l := range peer.all("pre-shared-key") {
		words := l.words[1:]
		if len(words) > 1 && (words[0] == "local" || words[0] == "remote") {
			words = words[1:]
		}
		if len(words) > 1 && words[0] == "hex" {
			words = words[1:]
		}
		value, _, _, _ := password(words)
		if len(value) > 0 && bytes.Equal(value, first) {
			continue
		}
		first = value
		r.key(posture.PSK, name, l, words, whom)
	}
	for _, l := range peer.all("ppk", "manual") {
		if i := index(l.words, "key"); i < len(l.words) {
			r.key(posture.PPKSecret, name, l, l.words[i+1:], whom)
		}
	}
}

// key enters one key. whom begins with "address", "hostname" or "identity".
func (r *reader) key(kind posture.SecretKind, name string, l *line, words, whom []string) {
	value, storage, traps, ok := password(words)
	if !ok || l.no {
		return
	}
	s := posture.Secret{Subject: r.subject("secret", name, l.at), Kind: kind, Storage: storage, Value: value, Traps: traps}
	any := len(whom) > 1 && whom[0] == "address" && anyAddress(whom[1:])
	s.Anybody = posture.Written(any, l.at, "")
	if len(whom) > 1 && !any {
		s.IDs = whom[1:2]
	}
	r.secret(s)
}

// secret enters a secret; those that can be read are so in every copy of the
// configuration.
func (r *reader) secret(s posture.Secret) {
	s.Backup = s.Storage == posture.Clear || s.Storage == posture.Reversible
	if s.Storage == posture.Encrypted {
		r.in.Note(posture.Opaque, s.At, "the secret is encrypted with a key that is not in the file")
	}
	if s.Storage == posture.Elsewhere {
		r.in.Note(posture.Opaque, s.At, "the secret is left out")
	}
	r.host.Secrets = append(r.host.Secrets, s)
	r.in.HoldsSecrets(r.text)
}

// tunnelKeys are the passwords of L2TP tunnels.
func (r *reader) tunnelKeys() {
	for _, l := range r.root.all("vpdn-group") {
		if p := l.find("l2tp", "tunnel", "password"); p != nil {
			r.key(posture.TunnelSecret, l.word(1), p, p.words[3:], nil)
		}
	}
}

// users are the accounts: of PPP, of XAUTH and of the router itself.
func (r *reader) users() {
	for _, l := range r.root.all("username") {
		for _, word := range []string{"password", "secret"} {
			i := index(l.words, word)
			if i < 2 || i >= len(l.words) {
				continue
			}
			value, storage, traps, ok := password(l.words[i+1:])
			if !ok || l.no {
				continue
			}
			if storage == posture.Clear && word == "secret" && len(l.words) == i+2 && strings.HasPrefix(l.words[i+1], "$") {
				storage, value = posture.WeakHash, nil
			}
			r.secret(posture.Secret{
				Subject: r.subject("secret", l.word(1), l.at), Kind: posture.UserPassword, Storage: storage, Value: value, Traps: traps, IDs: []string{l.word(1)},
			})
		}
	}
}

// radius are the servers, in the old and the new notation.
func (r *reader) radius() {
	shared := r.root.find("radius-server", "key")
	for _, l := range r.root.all("radius", "server") {
		a, k := l.find("address"), l.find("key")
		if k == nil {
			k = shared
		}
		r.server(l.word(2), l, a, k, 1)
	}
	for _, l := range r.root.all("radius-server", "host") {
		if i := index(l.words, "key"); i < len(l.words) {
			r.server(l.word(2), l, l, l, i+1)
		} else {
			r.server(l.word(2), l, l, shared, 2)
		}
	}
}

// server is one of them; skip is how many words stand before the key.
func (r *reader) server(name string, l, address, key *line, skip int) {
	if l.no {
		return
	}
	s := posture.RADIUS{Subject: r.subject("radius", name, l.at), Product: r.product, Server: written(l, false)}
	// The text of a line with a key in it is not for reports.
	s.Server.Text = "radius"
	if address != nil {
		at := address.word(2)
		s.Address = posture.Written(at, address.at, at)
	}
	s.TLS = posture.Written(l.find("tls") != nil, l.at, "radius")
	if a := r.root.find("aaa", "accounting"); a != nil {
		s.Accounting = written(a, !a.no)
	} else {
		s.Accounting = setting.Of(r.defaults, false, l.at, true)
	}
	r.host.RADIUS = append(r.host.RADIUS, s)
	if key == nil {
		return
	}
	if key.has("radius-server", "key") {
		skip = 2
	}
	value, storage, traps, ok := password(key.words[min(skip, len(key.words)):])
	if ok {
		r.secret(posture.Secret{Subject: r.subject("secret", name, key.at), Kind: posture.RADIUSSecret, Storage: storage, Value: value, Traps: traps, IDs: []string{s.Address.V}})
	}
}
