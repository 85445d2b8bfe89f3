package swanctl

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/secret"
	"sallyport/posture"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
)

// secretKind is a kind of sections of secrets.
type secretKind struct {
	prefix string
	kind   posture.SecretKind
	key    string
}

var secretKinds = []secretKind{
	{"ike", posture.PSK, "secret"},
	{"eap", posture.UserPassword, "secret"},
	{"xauth", posture.UserPassword, "secret"},
	{"ntlm", posture.UserPassword, "secret"},
	{"ppk", posture.PPKSecret, "secret"},
	{"private", posture.KeyPassword, "secret"},
	{"rsa", posture.KeyPassword, "secret"},
	{"ecdsa", posture.KeyPassword, "secret"},
	{"bliss", posture.KeyPassword, "secret"},
	{"pkcs8", posture.KeyPassword, "secret"},
	{"pkcs12", posture.KeyPassword, "secret"},
	{"token", posture.KeyPassword, "pin"},
}

// secrets reads the shared secrets, passwords and passphrases.
func (r *reader) secrets(v view) {
	r.known(v, nil, "secrets")
	for _, name := range v.names() {
		one := v.sub(name)
		i := slices.IndexFunc(secretKinds, func(k secretKind) bool { return strings.HasPrefix(name, k.prefix) })
		if i < 0 {
			r.unparsed(one.at(), "the section %q of secrets is not known", source.Quote(name))
			continue
		}
		r.known(one, secretKnown, "a secret")
		if s, ok := one.get(secretKinds[i].key); ok {
			r.secret(one, name, secretKinds[i].kind, s)
		}
	}
}

func (r *reader) secret(v view, name string, kind posture.SecretKind, s setting) {
	r.holds(s.at)
	out := posture.Secret{
		Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "secret", Name: name, At: s.at},
		Kind:    kind,
		Storage: posture.Clear,
		IDs:     r.owners(v),
		Changed: r.loader.times[s.at.File],
	}
	out.Value, out.Traps = decode(s)
	if notation.Placeholder(s.value) {
		out.Storage, out.Value, out.Traps = posture.Elsewhere, nil, nil
	}
	switch {
	case kind == posture.KeyPassword:
	case strings.HasPrefix(name, "ntlm"): // the MD4 hash is as good as the password
		out.Storage, out.Value = posture.WeakHash, nil
		fallthrough
	default:
		out.Anybody = r.anybody(v, out.IDs)
	}
	r.in.Host.Secrets = append(r.in.Host.Secrets, out)
}

// owners are the identities of a secret: every key that begins with id.
func (r *reader) owners(v view) []string {
	var ids []string
	for _, key := range v.keys() {
		if s, ok := v.get(key); ok && strings.HasPrefix(key, "id") {
			ids = append(ids, s.value)
		}
	}
	return ids
}

// anybody: a secret without an identity is for every peer.
func (r *reader) anybody(v view, ids []string) posture.Value[bool] {
	if len(ids) == 0 {
		return posture.ByDefault(true, v.at(), "a secret without an id is for every peer")
	}
	for _, key := range v.keys() {
		if s, ok := v.get(key); ok && strings.HasPrefix(key, "id") && (slices.Contains(anyAddress, s.value) || s.value == "*") {
			return posture.Written(true, s.at, s.value)
		}
	}
	return posture.Written(false, v.at(), strings.Join(ids, ", "))
}

// holds marks the file that a secret stands in.
func (r *reader) holds(at posture.Pos) {
	if t := r.loader.texts[at.File]; t != nil {
		r.in.HoldsSecrets(t)
	}
}

// shortest is how many octets an encoded secret should have at least: with less,
// it was probably not meant to be encoded.
const shortest = 16

// decode makes octets of a secret, as swanctl does, and says what is odd.
func decode(s setting) (secret.Bytes, []string) {
	lower := strings.ToLower(s.value)
	traps := oddities(s)
	switch {
	case strings.HasPrefix(lower, "0x"):
		b, odd := fromHex(s.value[2:])
		return b, append(traps, odd...)
	case strings.HasPrefix(lower, "0s"):
		b, odd := fromBase64(s.value[2:])
		return b, append(traps, odd...)
	}
	return secret.Bytes(s.value), traps
}

// oddities are signs that the secret is not what its writer thinks.
func oddities(s setting) []string {
	var traps []string
	add := func(odd bool, text string) {
		if odd {
			traps = append(traps, text)
		}
	}
	v := s.value
	add(s.cut, "the value ends at a # because it is not in quotes")
	add(s.spaced, "white space in a value without quotes becomes one space")
	add(v != strings.TrimSpace(v), "white space at the beginning or the end is a part of the secret")
	add(strings.ContainsAny(v, "\r\n"), "a line end is a part of the secret")
	add(len(v) > 1 && (v[0] == '\'' && v[len(v)-1] == '\'' || v[0] == '`'), "single quotes are a part of the secret")
	add(strings.Contains(v, `"`), "a double quote is a part of the secret")
	add(strings.ContainsAny(v, "\u201c\u201d\u201e\u2018\u2019"), "typographic quotes are a part of the secret")
	return traps
}

// fromHex reads hex digits as strongSwan does: colons may be between them, and
// an odd number of digits has a zero before it.
func fromHex(text string) (secret.Bytes, []string) {
	var digits []byte
	var traps []string
	for _, c := range []byte(text) {
		switch n := strings.IndexByte("0123456789abcdef", c|0x20); {
		case n >= 0 && (c >= '0' && c <= '9' || c|0x20 >= 'a'):
			digits = append(digits, byte(n))
		case c != ':':
			return secret.Bytes("0x" + text), []string{"begins with 0x, but is not hex"}
		}
	}
	if len(digits)%2 == 1 {
		digits = append([]byte{0}, digits...)
		traps = append(traps, "odd number of hex digits")
	}
	out := make(secret.Bytes, len(digits)/2)
	for i := range out {
		out[i] = digits[2*i]<<4 | digits[2*i+1]
	}
	return out, append(traps, tooShort(out)...)
}

func fromBase64(text string) (secret.Bytes, []string) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return secret.Bytes("0s" + text), []string{"begins with 0s, but is not base64"}
	}
	return b, tooShort(b)
}

func tooShort(b secret.Bytes) []string {
	if len(b) < shortest {
		return []string{fmt.Sprintf("only %d octets when decoded", len(b))}
	}
	return nil
}
