package threat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/assure/audit"
)

// Model joins what was collected with the results of the audit of those hosts.
func (c *Collector) Model(results []audit.Result, now time.Time) *Model {
	m := &Model{
		SchemaVersion: SchemaVersion, Created: now.UTC().Truncate(time.Second), LeftOut: c.leftOut,
		Hosts: []Host{}, Actors: []Actor{}, Assets: []Asset{}, EntryPoints: []EntryPoint{}, Boundaries: []Boundary{}, Threats: []Threat{}, Absent: []Absent{}, Gaps: []Gap{},
	}
	hosts := slices.SortedFunc(slices.Values(c.hosts), func(a, b *facts) int { return strings.Compare(a.host.Name, b.host.Name) })
	m.enter(hosts)
	m.judge(hosts, byRule(results), now)
	m.mark(hosts)
	return m
}

// enter copies the facts of all hosts and numbers them.
func (m *Model) enter(hosts []*facts) {
	for _, f := range hosts {
		m.Hosts = append(m.Hosts, f.host)
		m.Assets = append(m.Assets, f.assets...)
		m.EntryPoints = append(m.EntryPoints, f.entries...)
		m.Gaps = append(m.Gaps, f.gaps...)
	}
	for i := range m.Assets {
		m.Assets[i].ID = fmt.Sprintf("A-%02d", i+1)
	}
	for i := range m.EntryPoints {
		m.EntryPoints[i].ID = fmt.Sprintf("E-%02d", i+1)
	}
}

// byRule sorts results into those of each rule.
func byRule(results []audit.Result) map[string][]*audit.Result {
	all := map[string][]*audit.Result{}
	for i := range results {
		if r := &results[i]; r.Rule != nil {
			all[r.Rule.ID] = append(all[r.Rule.ID], r)
		}
	}
	return all
}

// judge makes a threat of every row that arises, and counts.
func (m *Model) judge(hosts []*facts, results map[string][]*audit.Result, now time.Time) {
	for i := range table {
		r := &table[i]
		v := &verdict{row: r, now: now, hosts: map[string]*onHost{}, passed: map[string]int{}}
		for _, f := range hosts {
			if slices.ContainsFunc(r.where, func(t trait) bool { return f.traits[t] }) {
				v.on(f.host.Name).arises = true
			}
		}
		v.take(results)
		if len(v.hosts) == 0 {
			m.Absent = append(m.Absent, Absent{ID: r.id, Title: r.title, Reason: unseen(r.where)})
			m.Counts.Absent++
			continue
		}
		t := v.threat()
		m.Threats = append(m.Threats, t)
		m.Counts.count(t.Status)
	}
}

func unseen(where []trait) string {
	var words []string
	for _, t := range where {
		words = append(words, string(t))
	}
	return "nothing was seen of: " + strings.Join(words, "; ")
}

func (c *Counts) count(s Status) {
	switch s {
	case Open:
		c.Open++
	case Accepted:
		c.Accepted++
	case NotAssessed:
		c.NotAssessed++
	case Closed:
		c.Closed++
	}
}

// verdict is one threat while results are read.
type verdict struct {
	row      *row
	now      time.Time
	hosts    map[string]*onHost // empty name: what concerns no host by name
	open     []Finding
	accepted []Finding
	weak     []Finding
	passed   map[string]int
	missing  []Missing
	further  []Missing
	leftOut  int
	worst    audit.Severity
}

// onHost is the threat on one host.
type onHost struct {
	arises         bool
	open, accepted bool
	missing        bool
	proved         bool
}

func (v *verdict) on(host string) *onHost {
	h := v.hosts[host]
	if h == nil {
		h = &onHost{}
		v.hosts[host] = h
	}
	return h
}

// take reads the results of the threat's rules. A host on which it does not
// arise counts only if something was found there.
func (v *verdict) take(results map[string][]*audit.Result) {
	for _, id := range v.row.rules() {
		for _, r := range results[id] {
			v.result(id, r)
		}
	}
	if len(v.hosts) == 0 {
		return
	}
	for _, id := range v.row.rules() {
		if len(results[id]) == 0 {
			v.unlooked(id)
		}
	}
	v.unproved()
}

func (v *verdict) result(id string, r *audit.Result) {
	host := clean(r.Host)
	proof := slices.Contains(v.row.proof, id)
	bears := slices.Contains(v.row.bears, id)
	if r.Outcome == audit.Found && !bears {
		v.found(v.on(host), r)
		return
	}
	h := v.hosts[host]
	switch {
	case h == nil:
	case r.Outcome == audit.Found:
		v.keep(&v.weak, r)
	case r.Outcome == audit.OK:
		v.passed[id]++
		h.proved = h.proved || proof
	case r.Outcome == audit.Unassessable:
		h.missing = h.missing || proof
		v.lack(proof, Missing{Rule: id, Host: host, Reason: clean(r.Detail), Subjects: 1})
	}
}

func (v *verdict) found(h *onHost, r *audit.Result) {
	v.worst = max(v.worst, r.Severity)
	if r.WaivedAt(v.now) {
		h.accepted = true
		v.keep(&v.accepted, r)
		return
	}
	h.open = true
	v.keep(&v.open, r)
}

func (v *verdict) keep(list *[]Finding, r *audit.Result) {
	if len(*list) == mostFindings {
		v.leftOut++
		return
	}
	*list = append(*list, finding(r, v.now))
}

func finding(r *audit.Result, now time.Time) Finding {
	f := Finding{
		Rule: r.Rule.ID, Title: r.Rule.Title, Severity: r.Severity, Host: clean(r.Host), Dialect: string(r.Subject.Dialect), Kind: clean(r.Subject.Kind), Subject: clean(r.Subject.Name),
		File: clean(r.Evidence.At.File), Line: r.Evidence.At.Line, Detail: clean(r.Detail),
	}
	if w := r.Waived; w != nil {
		f.Waiver = &Waiver{Until: w.Expires.Format(time.DateOnly), Owner: clean(w.Owner), Reason: clean(w.Reason), Expired: w.Expired(now)}
	}
	return f
}

// lack enters what is missing, each reason once for a rule and a host.
func (v *verdict) lack(proof bool, m Missing) {
	list := &v.further
	if proof {
		list = &v.missing
	}
	i := slices.IndexFunc(*list, func(o Missing) bool { return o.Rule == m.Rule && o.Host == m.Host && o.Reason == m.Reason })
	switch {
	case i >= 0:
		(*list)[i].Subjects += m.Subjects
	case len(*list) < mostOfHost:
		*list = append(*list, m)
	default:
		v.leftOut++
	}
}

// unlooked is a rule that judged nothing at all. That is told and is no lack if
// it looks at configurations; what only another way of looking tells is one.
func (v *verdict) unlooked(id string) {
	rule, ok := audit.ByID(id)
	proof := slices.Contains(v.row.proof, id)
	switch {
	case !ok:
		v.lack(proof, Missing{Rule: id, Reason: "the audit did not look at it"})
	case rule.Needs != audit.Config:
		v.lack(proof, Missing{Rule: id, Reason: "it takes a " + string(rule.Needs) + " to tell whether this holds: " + rule.Title})
	default:
		if proof {
			v.lack(false, Missing{Rule: id, Reason: "there was nothing that it judges, or the policy leaves it out"})
		}
		return
	}
	for _, h := range v.hosts {
		h.missing = h.missing || proof
	}
}

// unproved finds the hosts for which no rule gave proof.
func (v *verdict) unproved() {
	for _, name := range v.names() {
		h := v.hosts[name]
		switch {
		case v.row.reason != "":
			h.missing = true
		case h.arises && !h.proved && !h.missing && !h.open && !h.accepted:
			h.missing = true
			v.lack(true, Missing{Host: name, Reason: "none of " + strings.Join(v.row.proof, ", ") + " had anything to judge here"})
		}
	}
	if v.row.reason != "" {
		v.lack(true, Missing{Reason: v.row.reason})
	}
}

// names are the hosts in order.
func (v *verdict) names() []string {
	var all []string
	for name := range v.hosts {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func (h *onHost) status() Status {
	switch {
	case h.open:
		return Open
	case h.accepted:
		return Accepted
	case h.missing || !h.proved:
		return NotAssessed
	}
	return Closed
}

// threat is the verdict in the end: as on the worst of the hosts.
func (v *verdict) threat() Threat {
	r := v.row
	t := Threat{
		ID: r.id, Title: r.title, Stride: r.stride, Risk: r.risk, Actors: r.actors, Assets: r.assets, Entries: r.entries, Boundaries: r.boundaries,
		Status: Closed, Severity: v.worst, Open: list(v.open), Accepted: list(v.accepted), Weaknesses: list(v.weak), Evidence: v.evidence(), Missing: list(v.missing), Further: list(v.further), LeftOut: v.leftOut,
	}
	for _, name := range v.names() {
		s := HostStatus{Host: name, Status: v.hosts[name].status()}
		t.Hosts = append(t.Hosts, s)
		t.Status = worse(t.Status, s.Status)
	}
	sortFindings(t.Open)
	sortFindings(t.Accepted)
	sortFindings(t.Weaknesses)
	r.sortMissing(t.Missing)
	r.sortMissing(t.Further)
	return t
}

// list is never nil, so that a document has an empty list and no null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func (v *verdict) evidence() []Evidence {
	all := []Evidence{}
	for _, id := range v.row.rules() {
		if n := v.passed[id]; n > 0 {
			title := ""
			if rule, ok := audit.ByID(id); ok {
				title = rule.Title
			}
			all = append(all, Evidence{Rule: id, Title: title, Subjects: n})
		}
	}
	return all
}

// worse is the status of two that are one.
func worse(a, b Status) Status {
	if slices.Index(statuses, b) < slices.Index(statuses, a) {
		return b
	}
	return a
}

func sortFindings(l []Finding) {
	slices.SortStableFunc(l, func(a, b Finding) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Host, b.Host), strings.Compare(a.Subject, b.Subject), strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Detail, b.Detail))
	})
}

// sortMissing orders by the threat's rules, what no rule tells last.
func (r *row) sortMissing(l []Missing) {
	place := func(m Missing) int {
		if i := slices.Index(r.rules(), m.Rule); i >= 0 {
			return i
		}
		return len(r.rules())
	}
	slices.SortStableFunc(l, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), strings.Compare(a.Host, b.Host), strings.Compare(a.Reason, b.Reason))
	})
}

// mark tells actors, assets and boundaries which threats concern them.
func (m *Model) mark(hosts []*facts) {
	for _, a := range actors {
		a.Marks = m.marks(func(t *Threat) bool { return slices.Contains(t.Actors, a.ID) })
		if len(a.Marks) > 0 {
			m.Actors = append(m.Actors, a)
		}
	}
	for i := range m.Assets {
		m.Assets[i].Marks = m.onAsset(&m.Assets[i])
	}
	for _, b := range borders {
		if !slices.ContainsFunc(hosts, func(f *facts) bool { return slices.ContainsFunc(b.where, func(t trait) bool { return f.traits[t] }) }) {
			continue
		}
		x := Boundary{ID: b.id, From: b.from, To: b.to, Status: NotAssessed, Holders: []Holder{}}
		for _, f := range hosts {
			x.Holders = append(x.Holders, f.holders[b.id]...)
		}
		x.Marks = m.marks(func(t *Threat) bool { return slices.Contains(t.Boundaries, b.id) })
		x.Status = worst(x.Marks)
		m.Boundaries = append(m.Boundaries, x)
	}
}

func (m *Model) marks(concerns func(*Threat) bool) []Mark {
	all := []Mark{}
	for i := range m.Threats {
		if t := &m.Threats[i]; concerns(t) {
			all = append(all, Mark{Threat: t.ID, Status: t.Status})
		}
	}
	return all
}

// onAsset are the threats to an asset, as they stand on its host. What was found
// of no host in particular concerns them all.
func (m *Model) onAsset(a *Asset) []Mark {
	all := []Mark{}
	for i := range m.Threats {
		t := &m.Threats[i]
		if !slices.Contains(t.Assets, a.Kind) {
			continue
		}
		mark, there := Mark{Threat: t.ID, Status: Closed}, false
		for _, h := range t.Hosts {
			if h.Host == a.Host || h.Host == "" {
				mark.Status, there = worse(mark.Status, h.Status), true
			}
		}
		if there {
			all = append(all, mark)
		}
	}
	return all
}

// worst is the status of the worst mark; without one nothing is known.
func worst(marks []Mark) Status {
	if len(marks) == 0 {
		return NotAssessed
	}
	s := Closed
	for _, m := range marks {
		s = worse(s, m.Status)
	}
	return s
}

// Worst is the status of the worst threat to the asset.
func (a *Asset) Worst() Status { return worst(a.Marks) }
