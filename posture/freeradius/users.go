package freeradius

import (
	"strings"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/source"
)

// passwords are the attributes that hold one, by how they do (rlm_pap(5)). The NT
// hash is as good as the password for MS-CHAP.
var passwords = map[string]posture.Storage{
	"cleartext-password": posture.Clear, "user-password": posture.Clear, "password": posture.Clear,
	"crypt-password": posture.Hashed, "md5-password": posture.WeakHash, "smd5-password": posture.WeakHash, "sha-password": posture.WeakHash,
	"sha1-password": posture.WeakHash, "ssha-password": posture.WeakHash, "ssha1-password": posture.WeakHash, "nt-password": posture.WeakHash, "lm-password": posture.WeakHash,
	"sha2-password": posture.WeakHash, "ssha2-224-password": posture.WeakHash, "ssha2-256-password": posture.WeakHash,
	"ssha2-384-password": posture.WeakHash, "ssha2-512-password": posture.WeakHash, "ssha3-224-password": posture.WeakHash, "ssha3-256-password": posture.WeakHash,
	"ssha3-384-password": posture.WeakHash, "ssha3-512-password": posture.WeakHash, "pbkdf2-password": posture.Hashed,
	"password-with-header": posture.Clear,
}

// users reads a file of the files module (users(5)): a name and what is checked
// in a line that begins at its edge, the reply in indented lines below.
func (r *reader) users(p string, chain []string) {
	t := r.in.Read(p, true)
	if t == nil || r.read[string(t.Data)] {
		return
	}
	r.read[string(t.Data)] = true
	chain = append(chain[:len(chain):len(chain)], p)
	more := false // the line before ended in a comma: the checks go on
	name := ""
	for n, line := range r.in.Lines(t) {
		if r.count > mostUsers {
			return
		}
		trimmed := strings.TrimSpace(line)
		at := t.At(n, 1+len(line)-len(strings.TrimLeft(line, " \t")))
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case strings.HasPrefix(line, "$INCLUDE"):
			file, _ := value(strings.TrimSpace(line[len("$INCLUDE"):]))
			for _, f := range r.in.Include(chain, at, r.parser.expand(file)) {
				r.users(f, chain)
			}
		case line[0] != ' ' && line[0] != '\t' && !more:
			var checks string
			name, checks = userName(line)
			more = r.checks(t, name, checks, at)
		case more:
			more = r.checks(t, name, trimmed, at)
		}
	}
}

// userName reads the first word of an entry, which may be quoted.
func userName(line string) (name, rest string) {
	if line[0] == '"' || line[0] == '\'' {
		return value(line)
	}
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], line[i:]
	}
	return line, ""
}

// checks reads the items of a line: attribute, operator, value, parted by
// commas. It tells whether more follow in the next line.
func (r *reader) checks(t *source.Text, name, rest string, at posture.Pos) (more bool) {
	for range mostStatements {
		rest = strings.TrimLeft(rest, " \t,;")
		if rest == "" || rest[0] == '#' {
			return false
		}
		attr, after := word(rest)
		v, op, left := item(after)
		if op == "" || attr == "" {
			r.in.Note(posture.Unparsed, at, "a check of a user that cannot be read")
			return false
		}
		r.check(t, name, attr, v, at)
		rest = strings.TrimSpace(left)
		if rest == "," {
			return true
		}
	}
	return false
}

func item(after string) (v, op, left string) {
	after = strings.TrimLeft(after, " \t")
	for _, op := range operators {
		if tail, ok := strings.CutPrefix(after, op); ok {
			v, left = value(strings.TrimLeft(tail, " \t"))
			return v, op, left
		}
	}
	return "", "", ""
}

// mostUsers bounds what would be in a database otherwise.
const mostUsers = 200_000

// check enters an account where the item is a password, or lets in without one.
func (r *reader) check(t *source.Text, name, attr, v string, at posture.Pos) {
	attr = strings.ToLower(attr[strings.LastIndexByte(attr, ':')+1:])
	storage, ok := passwords[strings.TrimPrefix(attr, "&")]
	if attr == "auth-type" && strings.EqualFold(v, "accept") {
		storage, ok, v = posture.Clear, true, "" // no password is asked for
	}
	if !ok {
		return
	}
	if r.count++; r.count > mostUsers {
		if r.count == mostUsers+1 {
			r.in.Note(posture.Limit, at, "more than %d passwords of users: the rest is left out", mostUsers)
		}
		return
	}
	if attr == "password-with-header" {
		storage, v = header(v)
	}
	s := posture.Secret{
		Subject: posture.Subject{Dialect: posture.FreeRADIUS, Kind: "secret", Name: name, At: at}, Kind: posture.UserPassword, Storage: storage,
		IDs: []string{name}, Anybody: posture.Written(name == "DEFAULT", at, "user "+source.Quote(name)), Changed: r.changed(t),
	}
	switch {
	case strings.Contains(v, "%{") || strings.HasPrefix(v, "${"):
		s.Storage = posture.Elsewhere
	case storage == posture.Clear:
		s.Value = secret.Bytes(v)
	case attr == "crypt-password" && weakCrypt(v):
		s.Storage = posture.WeakHash
	}
	r.in.Host.Secrets = append(r.in.Host.Secrets, s)
}

// weakCrypt is for the DES and MD5 of crypt(3).
func weakCrypt(v string) bool { return !strings.HasPrefix(v, "$") || strings.HasPrefix(v, "$1$") }

// header reads "{scheme}value".
func header(v string) (posture.Storage, string) {
	scheme, rest, ok := strings.Cut(strings.TrimPrefix(v, "{"), "}")
	if !ok || !strings.HasPrefix(v, "{") {
		return posture.Clear, v
	}
	switch scheme = strings.ToLower(scheme); {
	case scheme == "clear", scheme == "cleartext":
		return posture.Clear, rest
	case scheme == "crypt" && !weakCrypt(rest), strings.HasPrefix(scheme, "pbkdf2"), strings.HasPrefix(scheme, "x-pbkdf2"):
		return posture.Hashed, ""
	}
	return posture.WeakHash, ""
}
