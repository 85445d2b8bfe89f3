package audit

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/assure/policy"
	"sallyport/assure/strength"
	"sallyport/internal/secret"
	"sallyport/posture"
)

// ledger is what the rules about secrets ask of one host's, worked out once. It
// lives as long as the host is judged.
type ledger struct {
	host      *posture.Host
	number    int // of the host
	shared    *shared
	words     []string
	before    map[*posture.Secret][]Place // where the same secret was seen earlier, in this host or another
	estimates map[*posture.Secret]strength.Estimate
}

// enter notes where the secrets of a host are.
func (s *shared) enter(h *posture.Host) *ledger {
	s.hosts++
	l := &ledger{host: h, number: s.hosts, shared: s, words: wordsOf(h), before: map[*posture.Secret][]Place{}, estimates: map[*posture.Secret]strength.Estimate{}}
	for i := range h.Secrets {
		if x := &h.Secrets[i]; len(x.Value) > 0 {
			l.before[x] = slices.Clone(s.see(x.Value, l.place(x)))
		}
	}
	return l
}

func (l *ledger) place(s *posture.Secret) Place {
	p := Place{Host: l.host.Name, Subject: s.Subject, Kind: s.Kind, IDs: s.IDs, host: l.number}
	for i := range l.host.RADIUS {
		if r := &l.host.RADIUS[i]; s.Kind == posture.RADIUSSecret && r.Name == s.Name && r.Dialect == s.Dialect {
			p.Server = r.Server
		}
	}
	return p
}

// here tells whether a place is in the host itself.
func (l *ledger) here(p Place) bool { return p.host == l.number }

// elsewhere are the places of a value, but for that of one secret.
func (l *ledger) elsewhere(value secret.Bytes, s *posture.Secret) []Place {
	var others []Place
	for _, p := range l.shared.seen[l.shared.tag(value)] {
		if !l.here(p) || p.Subject != s.Subject || p.Kind != s.Kind {
			others = append(others, p)
		}
	}
	return others
}

// mostEstimates bounds the time that a host with very many secrets takes: an
// estimate costs some milliseconds.
const mostEstimates = 5_000

// estimate is a secret's strength among the words of its host; after very many it
// is a rough one.
func (l *ledger) estimate(s *posture.Secret) strength.Estimate {
	e, ok := l.estimates[s]
	if !ok && len(l.estimates) >= mostEstimates {
		return strength.Quick(s.Value, append(slices.Clone(s.IDs), s.Name))
	}
	if !ok {
		e = strength.Of(s.Value, slices.Concat(s.IDs, l.words, []string{s.Name}))
		l.estimates[s] = e
	}
	return e
}

// mostWords bounds the context of a host.
const mostWords = 32

// wordsOf are the names that a host's secrets should not be made of.
func wordsOf(h *posture.Host) []string {
	words := []string{h.Name}
	for i := range h.Connections {
		c := &h.Connections[i]
		words = append(words, c.Name)
		for _, a := range slices.Concat(c.Local, c.Remote) {
			words = append(words, a.ID.V)
		}
		if len(words) > mostWords {
			break
		}
	}
	return words
}

// readable tells whether a file holds the secret's octets.
func readable(s *posture.Secret) bool {
	return s.Storage == posture.Clear || s.Storage == posture.Reversible
}

// secrets are those of some kinds that the rule applies to.
func (j *judge) secrets(kinds ...posture.SecretKind) func(yield func(*posture.Secret) bool) {
	return func(yield func(*posture.Secret) bool) {
		for i := range j.host.Secrets {
			if s := &j.host.Secrets[i]; slices.Contains(kinds, s.Kind) && !s.Unused && j.rule.Applies(s.Dialect) && !yield(s) {
				return
			}
		}
	}
}

// readableSecrets are those whose octets are known; of the others it says that
// nothing can be said.
func (j *judge) readableSecrets(kinds ...posture.SecretKind) func(yield func(*posture.Secret) bool) {
	return func(yield func(*posture.Secret) bool) {
		for s := range j.secrets(kinds...) {
			if !readable(s) {
				j.unknown(s.Subject, "the file holds the %s %s, so that nobody can judge it from there", s.Kind, storageWords(s.Storage))
			} else if !yield(s) {
				return
			}
		}
	}
}

func storageWords(s posture.Storage) string {
	switch s {
	case posture.Encrypted:
		return "encrypted"
	case posture.Hashed, posture.WeakHash:
		return "as a hash"
	case posture.Elsewhere:
		return "as a reference or a mask"
	}
	return "in a form that is not known"
}

// shown is a secret in words: what it is for, how it is stored, and how long it
// is, roughly.
func shown(s *posture.Secret) Evidence {
	words := string(s.Kind)
	if s.Storage != "" {
		words += ", stored " + map[posture.Storage]string{
			posture.Clear: "in clear", posture.Reversible: "reversibly", posture.WeakHash: "as a weak hash", posture.Hashed: "as a hash",
			posture.Encrypted: "encrypted", posture.Elsewhere: "elsewhere",
		}[s.Storage]
	}
	if readable(s) {
		words += ", " + lengthClass(len(s.Value))
	}
	return at(s.At, words)
}

func lengthClass(n int) string {
	switch {
	case n == 0:
		return "empty"
	case n < 8:
		return "under 8 octets"
	case n < 16:
		return "8 to 15 octets"
	case n < 32:
		return "16 to 31 octets"
	}
	return "32 octets or more"
}

// says is a place in words; of the host itself it needs no name.
func (l *ledger) says(p Place) string {
	words := string(p.Kind)
	if p.Subject.Name != "" {
		words += " of " + quoted(p.Subject.Name)
	}
	if p.Subject.At.File != "" {
		words += " in " + p.Subject.At.File
	}
	if p.Host != "" && !l.here(p) {
		words += " on " + quoted(p.Host)
	}
	return words
}

// quoted is a name from a file, which may hold anything, in a sentence.
func quoted(name string) string {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, "\""+name+"\""), "?")
}

// inCase is the severity of a case that is better or worse than the rule's own;
// a policy that has an opinion of the rule has it of every case.
func (j *judge) inCase(s Severity) Severity {
	if _, ok := j.policy.Severity(j.rule.ID); ok {
		return j.severity()
	}
	return s
}

// usesPSK tells whether a connection's peers, or we, prove themselves by a
// pre-shared key; known is false where the files do not tell for any round.
func usesPSK(c *posture.Connection) (v posture.Value[posture.Method], uses, known bool) {
	for _, a := range slices.Concat(c.Remote, c.Local) {
		if !a.Method.Known() {
			continue
		}
		v, known = a.Method, true
		if a.Method.V == posture.MethodPSK {
			return a.Method, true, true
		}
	}
	return v, false, known
}

// usesCertificates tells the same of the peer's certificates.
func usesCertificates(c *posture.Connection) (uses, known bool) {
	for _, a := range c.Remote {
		known = known || a.Method.Known()
		if posture.Is(a.Method, posture.MethodPubkey) && !a.RawKey || posture.Is(a.Method, posture.MethodEAP) && slices.Contains(a.EAP.V, "tls") {
			return true, true
		}
	}
	return false, known
}

// weakKeyOf finds a guessable pre-shared key that a connection may use.
func (j *judge) weakKeyOf(c *posture.Connection) *posture.Secret {
	for i := range j.host.Secrets {
		s := &j.host.Secrets[i]
		if (s.Kind == posture.PSK || s.Kind == posture.GroupKey) && !s.Unused && readable(s) && s.Dialect == c.Dialect && isFor(s, c) {
			if e := j.ledger.estimate(s); e.Listed || e.Bits < float64(j.policy.Number(policy.PSKBits)) {
				return s
			}
		}
	}
	return nil
}

// isFor tells whether a secret may be a connection's: by its name, or by a
// selector that is anybody, or one of the connection's identities or addresses.
func isFor(s *posture.Secret, c *posture.Connection) bool {
	if s.Name == c.Name && s.Name != "" || len(s.IDs) == 0 || posture.Is(s.Anybody, true) {
		return true
	}
	names := slices.Clone(c.Address.V)
	for _, a := range slices.Concat(c.Local, c.Remote) {
		names = append(names, a.ID.V)
	}
	return slices.ContainsFunc(s.IDs, func(id string) bool { return isAnybody(id) || id != "" && slices.Contains(names, id) })
}

// isAnybody tells whether a selector is every peer.
func isAnybody(id string) bool {
	if id == "%any" || id == "%any6" || id == "*" || id == "any" {
		return true
	}
	p, err := netip.ParsePrefix(id)
	if err == nil {
		return p.Bits() == 0
	}
	a, err := netip.ParseAddr(id)
	return err == nil && a.IsUnspecified()
}

// ipsecForced is whether a path for PPP cannot be used without IPsec: from the
// options themselves, from their listener, or from the firewall.
func (j *judge) ipsecForced(p *posture.PPP) posture.Value[bool] {
	if p.IPsecForced.Known() {
		return p.IPsecForced
	}
	for i := range j.host.L2TP {
		l := &j.host.L2TP[i]
		if l.IPsec.Known() && (l.PPP == p.Name || l.PPP == "" && len(j.host.L2TP) == 1) && l.IPsec.V == posture.Always {
			return posture.Guess(true, l.IPsec.At, "the listener insists on IPsec")
		}
	}
	return j.firewallForcesIPsec()
}

func (j *judge) firewallForcesIPsec() posture.Value[bool] {
	for i := range j.host.Firewalls {
		f := &j.host.Firewalls[i]
		if posture.Is(f.L2TPNeedsIPsec, true) {
			return posture.Guess(true, f.L2TPNeedsIPsec.At, "the firewall takes UDP 1701 from IPsec alone")
		}
		if posture.Is(f.L2TPOpen, true) {
			return posture.Guess(false, f.L2TPOpen.At, "the firewall takes UDP 1701 from anywhere")
		}
	}
	return posture.Value[bool]{}
}

// anybodysKey finds a pre-shared key of the host that any peer may use.
func (j *judge) anybodysKey() *posture.Secret {
	for i := range j.host.Secrets {
		s := &j.host.Secrets[i]
		if (s.Kind == posture.PSK || s.Kind == posture.GroupKey) && !s.Unused && anybody(s) {
			return s
		}
	}
	return nil
}

func anybody(s *posture.Secret) bool {
	return posture.Is(s.Anybody, true) || !s.Anybody.Known() && slices.ContainsFunc(s.IDs, isAnybody)
}

func octal(n uint32) string   { return strconv.FormatUint(uint64(n), 8) }
func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// days is a time as a person says it.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		s := d.String()
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(s, zero) {
				s = s[:len(s)-2]
			}
		}
		return s
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + " days"
}

// fact is one of several settings that answer the same question.
type fact[T any] struct {
	subject posture.Subject
	value   posture.Value[T]
}

// telling leaves out what is not known where another of the same dialect is; of
// a dialect in which none is known, one stays.
func telling[T any](list []fact[T]) []fact[T] {
	known := map[posture.Dialect]bool{}
	for _, f := range list {
		known[f.subject.Dialect] = known[f.subject.Dialect] || f.value.Known()
	}
	var kept []fact[T]
	for _, f := range list {
		if f.value.Known() || !known[f.subject.Dialect] {
			kept = append(kept, f)
			known[f.subject.Dialect] = true
		}
	}
	return kept
}
