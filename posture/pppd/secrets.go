package pppd

import (
	"slices"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
)

// account is a line of a file of secrets: client, server, secret, addresses.
type account struct {
	at     posture.Pos
	client string
	server string
	secret string
	hosts  []string
}

// lines parts words by line.
func lines(all []Word) [][]Word {
	var out [][]Word
	for _, w := range all {
		if w.First || len(out) == 0 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], w)
	}
	return out
}

// table reads a file with a number of columns before the addresses. What comes
// after "--" are options for that peer.
func (r *Reader) table(p string, columns int) []account {
	var all []account
	for _, line := range lines(r.words(p, true)) {
		if len(line) < columns {
			r.note(posture.Malformed, line[0].At, "a line of secrets with too few words", "")
			continue
		}
		a := account{at: line[0].At, client: line[0].Text, server: line[1].Text, secret: line[2].Text}
		for _, w := range line[columns:] {
			if w.Text == "--" {
				break
			}
			a.hosts = append(a.hosts, w.Text)
		}
		all = append(all, a)
	}
	return all
}

// locked tells whether an account has no address that it may use, which keeps
// everybody out (pppd(8), section AUTHENTICATION): "-" in the first place, or
// refusals alone.
func (a account) locked() bool {
	return len(a.hosts) > 0 && (a.hosts[0] == "-" || !slices.ContainsFunc(a.hosts, func(h string) bool { return !strings.HasPrefix(h, "!") }))
}

// sample tells whether the account is the one that Debian's pap-secrets comes
// with: for everybody, and for a server that is called "hostname", which no
// link is unless it says so.
func (a account) sample() bool {
	return a.client == "*" && a.server == "hostname" && a.secret == ""
}

// admits tells whether a peer can log in with it. A line of three words names no
// address: it is one that we prove ourselves with.
func (a account) admits() bool { return len(a.hosts) > 0 && !a.locked() }

// proofs are the accounts by the file that they are in.
type proofs struct {
	chap, pap, tls []account
	unseen         bool // there may be files that were not given
}

// provable is what peers can prove themselves with.
type provable struct{ pap, chap, tls, unseen bool }

// accounts reads the three files that decide what auth alone takes.
func (r *Reader) accounts() *proofs {
	if r.proofs != nil {
		return r.proofs
	}
	r.proofs = &proofs{unseen: !r.in.IsHost()}
	for _, f := range []struct {
		name    string
		columns int
		into    *[]account
	}{{"chap-secrets", 3, &r.proofs.chap}, {"pap-secrets", 3, &r.proofs.pap}, {"eaptls-server", 6, &r.proofs.tls}} {
		if p := r.own(f.name); p != "" {
			*f.into = r.table(p, f.columns)
			if f.name != "eaptls-server" {
				r.proofs.unseen = false
			}
		}
	}
	return r.proofs
}

// of is what the accounts for one name of ours allow. Our name is the host's
// where no name option is written, and then any account counts.
func (p *proofs) of(name string) provable {
	any := func(list []account) bool {
		return slices.ContainsFunc(list, func(a account) bool {
			return a.admits() && (name == "" && !a.sample() || a.server == "*" || a.server == name)
		})
	}
	ok := provable{pap: any(p.pap), chap: any(p.chap), tls: any(p.tls)}
	if p.unseen && !ok.pap && !ok.chap && !ok.tls {
		return provable{pap: true, chap: true, unseen: true}
	}
	return ok
}

// secrets enters the accounts of all files.
func (r *Reader) secrets() {
	for _, p := range r.in.Files {
		switch k := kindOf(p); k {
		case chap, pap, srp:
			changed := time.Time{}
			accounts := r.table(p, 3)
			if t := r.text(p, true); t != nil {
				changed = r.changed(t.Show)
			}
			for _, a := range accounts {
				if sec := a.entry(k); !a.locked() && (!a.sample() || r.in.Host.Name == a.server) {
					sec.Changed = changed
					r.in.Host.Secrets = append(r.in.Host.Secrets, sec)
				}
			}
		case eaptls, tlsClient:
			r.table(p, 6)
		}
	}
}

// entry is the account as rules see it.
func (a account) entry(k kind) posture.Secret {
	s := posture.Secret{
		Subject: posture.Subject{Dialect: posture.PPPD, Kind: "secret", Name: a.client, At: a.at}, Kind: posture.UserPassword,
		Storage: storage(a.secret, k), IDs: []string{a.client}, Server: []string{a.server}, Hosts: a.hosts,
	}
	if s.Storage == posture.Clear {
		s.Value = secret.Bytes(a.secret)
	}
	s.Anybody = posture.Written(a.admits() && (a.client == "*" || a.client == ""), a.at, "client "+a.client)
	return s
}

// storage tells how the third word holds the secret: @/path names a file, @login
// the system's passwords, and PAP takes hashes of crypt(3).
func storage(word string, k kind) posture.Storage {
	switch {
	case strings.HasPrefix(word, "@/"), k == pap && word == "@login":
		return posture.Elsewhere
	case k == srp:
		return posture.Hashed
	case k != pap:
		return posture.Clear
	case strings.HasPrefix(word, "$1$"):
		return posture.WeakHash
	case strings.HasPrefix(word, "$") && strings.Count(word, "$") >= 3:
		return posture.Hashed
	}
	return posture.Clear
}
