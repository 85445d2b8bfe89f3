package ipsecconf

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
)

// secrets reads ipsec.secrets, what it includes, and the files beside it. conns
// tell who we are.
func (r *reader) secrets(conns []posture.Connection) {
	p := &secretParser{reader: r, seen: map[string]bool{}, own: ownNames(conns)}
	var mains, rest []string
	for _, f := range r.in.Files {
		switch {
		case isPasswd(f):
			r.passwd(f)
		case path.Base(f) == "ipsec.secrets":
			mains = append(mains, f)
		case isSecrets(f):
			rest = append(rest, f)
		}
	}
	for _, f := range slices.Concat(mains, rest) {
		if !p.seen[f] {
			p.file(nil, f)
		}
	}
}

// ownNames are the identities and addresses of our side of the conns.
func ownNames(conns []posture.Connection) map[string]bool {
	own := map[string]bool{}
	for _, c := range conns {
		for _, a := range c.Local {
			if a.ID.Known() && !isAnybody(a.ID.V) {
				own[strings.TrimPrefix(a.ID.V, "@")] = true
			}
		}
	}
	return own
}

// secretParser walks through the files of secrets.
type secretParser struct {
	*reader
	seen map[string]bool
	own  map[string]bool
	full bool

	crlf    bool      // of the file that is read
	changed time.Time // of that file; zero where it is not known
	entry   []word    // being collected
	key     bool      // inside the braces of a key
}

// word is one word of a file of secrets.
type word struct {
	text   string
	quoted bool
	open   bool // the quote has no end
	more   bool // something follows in the line, if only a comment
	at     posture.Pos
}

func (p *secretParser) file(chain []string, name string) {
	t := p.in.Read(name, true)
	if t == nil {
		return
	}
	p.seen[name] = true
	chain = append(slices.Clone(chain), name)
	crlf, changed := bytes.Contains(t.Data, []byte("\r\n")), p.modTime(t)
	for n, line := range p.in.Lines(t) {
		if p.full {
			return
		}
		p.crlf, p.changed = crlf, changed // an include has changed them
		p.line(chain, t, n, line)
	}
	p.finish()
}

// modTime is when a file was written.
func (p *secretParser) modTime(t *source.Text) time.Time {
	for _, f := range p.in.Host.Files {
		if f.Path == t.Show {
			return f.ModTime
		}
	}
	return time.Time{}
}

// line is one line. An indented one goes on with the entry above, unless that is
// whole: strongSwan, other than Libreswan, does not care for indentation.
func (p *secretParser) line(chain []string, t *source.Text, n int, line string) {
	if p.key {
		p.key = !strings.Contains(line, "}")
		return
	}
	words := split(t, n, line)
	if len(words) == 0 {
		return
	}
	indented := line[0] == ' ' || line[0] == '\t'
	if !indented || p.whole() && colon(words) >= 0 {
		p.finish()
	}
	if len(p.entry) == 0 && words[0].text == "include" && !words[0].quoted {
		p.include(chain, words)
		return
	}
	p.entry = append(p.entry, words[:min(len(words), max(0, mostWords-len(p.entry)))]...)
	if i := slices.IndexFunc(words, func(w word) bool { return !w.quoted && w.text == "{" }); i >= 0 {
		p.key = !strings.Contains(line, "}")
	}
}

func (p *secretParser) include(chain []string, words []word) {
	if len(words) < 2 {
		p.in.Note(posture.Malformed, words[0].at, "the include names no file")
		return
	}
	for _, f := range p.included(chain, words[0].at, words[1].text) {
		p.file(chain, f)
	}
}

// whole tells whether the entry has its secret.
func (p *secretParser) whole() bool {
	i := colon(p.entry)
	return i >= 0 && len(p.entry) > i+2
}

// split takes a line apart: words by white space, quotes of both sorts, comments.
// A colon may stick to the kind (":PSK") and to the last selector ("%any:").
func split(t *source.Text, n int, line string) []word {
	var words []word
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == '#':
			return words
		case c == '"' || c == '\'':
			end := strings.IndexByte(line[i+1:], c)
			w := word{text: line[i+1:], quoted: true, open: end < 0, at: t.At(n, i+1)}
			i = len(line)
			if end >= 0 {
				w.text = w.text[:end]
				i = w.at.Col + end + 1
			}
			words = append(words, w)
		default:
			end := i + len(line[i:])
			if k := strings.IndexAny(line[i:], " \t"); k >= 0 {
				end = i + k
			}
			words = append(words, unstick(word{text: line[i:end], more: strings.Trim(line[end:], " ") != "", at: t.At(n, i+1)})...)
			i = end
		}
		if len(words) > mostWords {
			return words
		}
	}
	return words
}

func unstick(w word) []word {
	colon := word{text: ":", at: w.at}
	if rest, ok := strings.CutPrefix(w.text, ":"); ok && kinds[strings.ToUpper(rest)] != 0 {
		return []word{colon, {text: rest, at: w.at}}
	}
	if rest, ok := strings.CutSuffix(w.text, ":"); ok && rest != "" && !strings.Contains(rest, ":") {
		return []word{{text: rest, at: w.at}, colon}
	}
	return []word{w}
}

func colon(words []word) int {
	return slices.IndexFunc(words, func(w word) bool { return !w.quoted && w.text == ":" })
}

// kindOf says what follows a kind of secret.
type kindOf uint8

const (
	aSecret  kindOf = iota + 1 // the secret itself
	aUser                      // a user's password
	aHash                      // a user's NT hash
	aKeyFile                   // a file, and maybe its passphrase
	aPIN                       // a card, and its PIN
	aPPK                       // an id, and the PPK
)

var kinds = map[string]kindOf{
	"PSK": aSecret, "EAP": aUser, "XAUTH": aUser, "NTLM": aHash, "RSA": aKeyFile, "ECDSA": aKeyFile, "EDDSA": aKeyFile, "BLISS": aKeyFile, "PKCS8": aKeyFile, "P12": aKeyFile,
	"PRIV": aKeyFile, "ED25519": aKeyFile, "ED448": aKeyFile, "PIN": aPIN, "PPKS": aPPK, "PPK": aPPK, "PPK-STATIC": aPPK, "PPK-DYNAMIC": aPPK,
}

// finish ends the entry and keeps its secret.
func (p *secretParser) finish() {
	words := p.entry
	p.entry = nil
	if len(words) == 0 {
		return
	}
	i := colon(words)
	if i < 0 || i+1 == len(words) {
		p.in.Note(posture.Malformed, words[0].at, "the entry has no colon with a kind of secret behind it")
		return
	}
	kind, after := strings.ToUpper(words[i+1].text), words[i+2:]
	if kinds[kind] == 0 || words[i+1].quoted {
		p.in.Note(posture.Unparsed, words[i+1].at, "the kind of secret is not known")
		return
	}
	if len(p.in.Host.Secrets) >= mostSecrets {
		p.in.Note(posture.Limit, words[0].at, "more than %d secrets: the rest was not read", mostSecrets)
		p.full = true
		return
	}
	p.keep(words[0].at, words[:i], kinds[kind], after)
}

func (p *secretParser) keep(at posture.Pos, selectors []word, kind kindOf, after []word) {
	var ids []string
	for _, w := range selectors {
		ids = append(ids, w.text)
	}
	name := strings.Join(ids, " ")
	if name == "" {
		name = "any"
	}
	s := posture.Secret{Subject: p.subject("secret", name, at), Storage: posture.Clear, IDs: ids, Changed: p.changed}
	value, ok := pick(kind, after)
	switch {
	case !ok:
		return // a key's file without a passphrase
	case value == nil:
		p.in.Note(posture.Malformed, at, "the entry has no secret")
		return
	case !value.quoted && strings.HasPrefix(value.text, "%prompt"):
		return
	}
	s.Kind = secretKinds[kind]
	s.Anybody = p.anybody(at, ids, kind)
	s.Value, s.Traps = p.decode(*value)
	if notation.Placeholder(value.text) {
		s.Value, s.Traps, s.Storage = nil, nil, posture.Elsewhere
	}
	if kind == aHash {
		s.Value, s.Traps, s.Storage = nil, nil, posture.WeakHash
	}
	if p.crlf && p.libreswan() { // strongSwan takes the CR off
		s.Traps = append(s.Traps, "lines end in CR LF")
	}
	p.in.Host.Secrets = append(p.in.Host.Secrets, s)
}

var secretKinds = map[kindOf]posture.SecretKind{
	aSecret: posture.PSK, aUser: posture.UserPassword, aHash: posture.UserPassword, aKeyFile: posture.KeyPassword, aPIN: posture.KeyPassword, aPPK: posture.PPKSecret,
}

// pick finds the secret among the words behind the kind. ok is false where none
// is expected.
func pick(kind kindOf, after []word) (value *word, ok bool) {
	skip := 0
	switch kind {
	case aKeyFile, aPIN:
		if len(after) < 2 || after[0].text == "{" || after[1].text == "{" {
			return nil, false
		}
		skip = 1
	case aPPK:
		skip = len(after) - 1
	}
	if skip < 0 || len(after) <= skip {
		return nil, true
	}
	return &after[skip], true
}

// anybody tells whether any peer may use a shared secret. One selector alone may
// be the peer or us; it is us where a conn of ours has that name, and then the
// secret is for all peers (ipsec.secrets(5)).
func (p *secretParser) anybody(at posture.Pos, ids []string, kind kindOf) posture.Value[bool] {
	text := strings.TrimSpace(strings.Join(ids, " ") + " :")
	switch {
	case kind == aKeyFile || kind == aPIN:
		return posture.Value[bool]{}
	case len(ids) == 0, slices.ContainsFunc(ids, isAnybody):
		return posture.Written(true, at, text)
	case len(ids) == 1 && kind == aSecret && p.own[strings.TrimPrefix(ids[0], "@")]:
		return posture.Guess(true, at, "the only selector is our own name, so that it is for all peers")
	}
	return posture.Written(false, at, text)
}

// decode makes octets of a secret: what is quoted counts as it stands, else 0x
// is hexadecimal, 0s base64, and 0t text. Traps are what the product reads in
// another way than the writer may have meant, or does not read at all.
func (r *reader) decode(w word) (secret.Bytes, []string) {
	text := w.text
	switch {
	case w.quoted:
		return secret.Bytes(text), trapsOfText(w)
	case strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X"):
		return decodeHex(text[2:])
	case strings.HasPrefix(text, "0s") || strings.HasPrefix(text, "0S"):
		return decodeBase64(text[2:])
	case strings.HasPrefix(text, "0t"):
		return secret.Bytes(text[2:]), nil
	}
	return secret.Bytes(text), append(trapsOfText(w), r.bare(w)...)
}

// bare is the trap of a secret without quotes. Libreswan wants them around all that
// is not encoded; strongSwan does without and goes to the next blank, over a tab.
func (r *reader) bare(w word) []string {
	switch {
	case r.libreswan():
		return []string{"not in quotes"}
	case w.more:
		return []string{"not in quotes, so that it ends at the first blank"}
	}
	return nil
}

func trapsOfText(w word) []string {
	var traps []string
	add := func(is bool, trap string) {
		if is {
			traps = append(traps, trap)
		}
	}
	add(w.open, "the quote has no end")
	add(w.text == "", "empty")
	add(strings.TrimSpace(w.text) != w.text, "begins or ends with white space")
	add(w.quoted && len(w.text) > 2 && (w.text[:2] == "0x" || w.text[:2] == "0s"), "0x and 0s mean nothing in quotes")
	add(strings.ContainsAny(w.text, "\u201c\u201d\u2018\u2019"), "typographic quotes")
	return traps
}

// shortest is how many octets an encoded secret should have: fewer were probably
// not meant to be encoded.
const shortest = 16

// decodeHex takes "_" as a separator, as both products do. strongSwan puts a zero
// before an odd number of digits, Libreswan refuses it.
func decodeHex(digits string) (secret.Bytes, []string) {
	digits = strings.ReplaceAll(strings.TrimSuffix(digits, "\""), "_", "")
	var traps []string
	if len(digits)%2 == 1 {
		traps, digits = append(traps, "odd number of hex digits"), "0"+digits
	}
	value := make(secret.Bytes, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(value, []byte(digits)); err != nil {
		return nil, append(traps, "characters that are no hex digits")
	}
	if len(value) < shortest {
		traps = append(traps, "hex of fewer than 16 octets")
	}
	return value, traps
}

func decodeBase64(text string) (secret.Bytes, []string) {
	text = strings.TrimRight(text, "=")
	value := make(secret.Bytes, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(value, []byte(text))
	switch {
	case err != nil:
		return nil, []string{"characters that are no base64"}
	case n < shortest:
		return value[:n], []string{"base64 of fewer than 16 octets"}
	}
	return value[:n], nil
}

// passwd reads Libreswan's users for XAUTH: name, hash of crypt(3), and maybe the
// conn.
func (r *reader) passwd(name string) {
	t := r.in.Read(name, true)
	if t == nil {
		return
	}
	for n, line := range r.in.Lines(t) {
		at := t.At(n, 1)
		fields := strings.Split(strings.TrimSpace(line), ":")
		switch {
		case fields[0] == "" && len(fields) == 1, strings.HasPrefix(fields[0], "#"):
			continue
		case len(fields) < 2:
			r.in.Note(posture.Unparsed, at, "the line has no user and hash")
			continue
		case len(r.in.Host.Secrets) >= mostSecrets:
			r.in.Note(posture.Limit, at, "more than %d secrets: the rest was not read", mostSecrets)
			return
		}
		s := posture.Secret{Subject: r.subject("secret", fields[0], at), Kind: posture.UserPassword, IDs: fields[:1], Storage: cryptOf(fields[1])}
		s.Anybody = posture.Written(false, at, fields[0])
		r.in.Host.Secrets = append(r.in.Host.Secrets, s)
	}
}

// cryptOf tells how good a hash of crypt(3) is: "$1$" is of MD5, one without "$"
// of DES.
func cryptOf(hash string) posture.Storage {
	for _, good := range []string{"$5$", "$6$", "$2", "$y$", "$7$", "$gy$"} {
		if strings.HasPrefix(hash, good) {
			return posture.Hashed
		}
	}
	return posture.WeakHash
}
