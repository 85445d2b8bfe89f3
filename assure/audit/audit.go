package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"time"

	"sallyport/assure/policy"
	"sallyport/assure/vulndb"
	"sallyport/internal/secret"
	"sallyport/posture"
)

// Options are what an audit is done with.
type Options struct {
	Policy  *policy.Policy // nil: the default
	Now     time.Time
	Waivers []Waiver
	Known   *KnownKeys   // keys that others have, beside those that come with the program; may be nil
	Data    *vulndb.Data // about flaws; nil: what comes with the program
}

// Waiver is a finding that somebody answers for.
type Waiver = policy.Waiver

// Audit collects the results of one host after another, so that memory holds
// one host and what the rules must remember of the others.
type Audit struct {
	options Options
	shared  *shared
	Results []Result
	Notes   []posture.Note
	Roots   []string // what was named to read hosts from
	Hosts   []string
}

// New begins an audit.
func New(o Options) *Audit {
	if o.Policy == nil {
		o.Policy = policy.Default()
	}
	if o.Data == nil {
		o.Data = vulndb.Load()
	}
	s := newShared()
	s.known, s.data = o.Known, o.Data
	return &Audit{options: o, shared: s}
}

// Data is what is known of flaws, which packages are compared with; nil for an
// Audit that was not made by New.
func (a *Audit) Data() *vulndb.Data {
	if a.shared == nil {
		return nil
	}
	return a.shared.data
}

// Host judges one host by every rule that configuration can answer.
func (a *Audit) Host(h *posture.Host) {
	a.Hosts = append(a.Hosts, h.Name)
	a.Notes = append(a.Notes, h.Notes...)
	first := len(a.Results)
	l := a.shared.enter(h)
	for r := range a.rules {
		if r.judge != nil {
			r.judge(a.judge(r, h, l))
		}
	}
	a.unread(h, l, a.Results[first:])
	a.Results = append(a.Results[:first], unique(a.Results[first:])...)
	a.finish(h, a.Results[first:])
}

// unique leaves out what was found before in the same words of a subject of the
// same name and place: one profile of Windows is two connections.
func unique(results []Result) []Result {
	seen := make(map[Result]bool, len(results))
	return slices.DeleteFunc(results, func(r Result) bool {
		twice := seen[r]
		seen[r] = r.Outcome == Found
		return twice
	})
}

// End judges what only all hosts together tell, such as keys with a common
// prime. It is called once, after the last host.
func (a *Audit) End() {
	first := len(a.Results)
	none := &posture.Host{}
	for r := range a.rules {
		if r.end != nil {
			r.end(a.judge(r, none, nil))
		}
	}
	a.finish(none, a.Results[first:])
}

// rules are those that the policy does not leave out.
func (a *Audit) rules(yield func(*Rule) bool) {
	for i := range catalogue {
		if r := &catalogue[i]; !a.options.Policy.Off(r.ID) && !yield(r) {
			return
		}
	}
}

func (a *Audit) judge(r *Rule, h *posture.Host, l *ledger) *judge {
	return &judge{rule: r, host: h, policy: a.options.Policy, now: a.options.Now, shared: a.shared, ledger: l, out: &a.Results}
}

// finish gives the findings of a host their fix and their waivers.
func (a *Audit) finish(h *posture.Host, results []Result) {
	advice := newBook(a.options.Policy, h)
	for i := range results {
		r := &results[i]
		if r.Outcome != Found {
			continue
		}
		r.Fix = advice.fix(r)
		if r.Waived = a.waiver(r); r.Waived == nil {
			r.Waived = ownWaiver(h, r)
		}
	}
	a.once(results)
}

// once leaves what to write about a key to the worst of the findings that say it.
func (a *Audit) once(results []Result) {
	type words struct {
		subject posture.Subject
		fix     string
	}
	worst := map[words]*Result{}
	each := func(visit func(*Result, words)) {
		for i := range results {
			if r := &results[i]; r.Outcome == Found && r.Rule.Area() == "PSK" && r.Subject.Kind == "secret" && !r.WaivedAt(a.options.Now) {
				visit(r, words{r.Subject, r.Fix})
			}
		}
	}
	each(func(r *Result, w words) {
		if o := worst[w]; o == nil || r.Severity > o.Severity {
			worst[w] = r
		}
	})
	each(func(r *Result, w words) {
		if o := worst[w]; o != nil && o != r {
			r.Fix = sameAs + o.Rule.ID
		}
	})
}

// sameAs stands before the rule that says what to write.
const sameAs = "one new secret ends this, too: see "

// waiver is one that covers a finding; one that has ended only where there is no
// other, so that it is told of.
func (a *Audit) waiver(r *Result) *Waiver {
	var ended *Waiver
	for i := range a.options.Waivers {
		w := &a.options.Waivers[i]
		switch {
		case !w.Covers(r.Rule.ID, r.Host, r.Subject.Name):
		case !w.Expired(a.options.Now):
			return w
		case ended == nil:
			ended = w
		}
	}
	return ended
}

// WaivedAt tells whether a finding is answered for today.
func (r *Result) WaivedAt(now time.Time) bool { return r.Waived != nil && !r.Waived.Expired(now) }

// shared is what rules remember from host to host: where a secret was seen, by
// a hash under a key that lives as long as the audit. Nothing in it can be
// turned back into a secret.
type shared struct {
	key  []byte
	seen map[[sha256.Size]byte][]Place

	hosts  int // so many were entered
	known  *KnownKeys
	moduli moduli
	owners map[[sha256.Size]byte][]keyOwner
	data   *vulndb.Data
}

// Place is where something was seen before.
type Place struct {
	Host    string
	Subject posture.Subject
	Kind    posture.SecretKind
	IDs     []string            // selectors of the secret
	Server  posture.Value[bool] // of a RADIUS secret: this is the server's side
	host    int                 // which of the audit's hosts it is; names may be equal or empty
}

// mostRemembered bounds what an audit of very many files keeps.
const mostRemembered = 1 << 20

func newShared() *shared {
	key := make([]byte, 32)
	rand.Read(key)
	return &shared{key: key, seen: map[[sha256.Size]byte][]Place{}, owners: map[[sha256.Size]byte][]keyOwner{}}
}

// tag is a secret's name in memory.
func (s *shared) tag(value secret.Bytes) [sha256.Size]byte {
	m := hmac.New(sha256.New, s.key)
	m.Write(value)
	var tag [sha256.Size]byte
	m.Sum(tag[:0])
	return tag
}

// see enters a secret and returns where it was seen before.
func (s *shared) see(value secret.Bytes, p Place) []Place {
	tag := s.tag(value)
	before := s.seen[tag]
	if len(s.seen) < mostRemembered && len(before) < 64 {
		s.seen[tag] = append(before, p)
	}
	return before
}
