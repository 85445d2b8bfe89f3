package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/assure/policy"
	"sallyport/assure/vulndb"
	"sallyport/posture"
)

// software is one version of one component on a host, whatever number of packages
// it came in.
type software struct {
	posture.Package
	records []*vulndb.Record
}

// software lists what flaws are known of. Of kernels it is the newest, because
// old ones stay installed and are not started.
func (j *judge) software() []software {
	var all []software
	for _, p := range j.host.Packages {
		c := vulndb.Component(&p)
		if c == "" {
			continue
		}
		i := slices.IndexFunc(all, func(s software) bool {
			return vulndb.Component(&s.Package) == c && (s.Version == p.Version || c == "linux")
		})
		switch {
		case i < 0:
			all = append(all, software{p, j.shared.data.Of(&p)})
		case c == "linux" && vulndb.Older(all[i].Version, p.Version):
			all[i].Package = p
		case all[i].Version == p.Version && all[i].Changelog == nil:
			all[i].Changelog = p.Changelog
		}
	}
	return all
}

func (s *software) evidence(id string) Evidence {
	if id == "" {
		return at(s.At, s.Name+" "+s.Version)
	}
	e := at(s.At, s.Name+" "+s.Version+", "+id)
	e.Mark = s.Name + ", " + id // a version that did not mend the flaw is no news
	return e
}

func (j *judge) verdict(s *software, r *vulndb.Record) vulndb.Verdict {
	return vulndb.Judge(r, s.Package, j.host)
}

// worth is the severity of a record.
func worth(r *vulndb.Record) Severity {
	var s Severity
	if s.UnmarshalText([]byte(r.Severity)) != nil {
		return High
	}
	return trusted(s, r)
}

// trusted keeps a range that was not checked against the advisory from deciding
// over a grade.
func trusted(s Severity, r *vulndb.Record) Severity {
	if r.Confidence == "low" {
		return min(s, High)
	}
	return s
}

// cveKnown is CVE-001. Of the flaws that CVE-004 answers for it says no more than
// where they are.
func cveKnown(j *judge) {
	for _, s := range j.software() {
		var untold []*vulndb.Record
		var exploited []string
		clean := true
		for _, r := range s.records {
			v, mine := j.verdict(&s, r), !j.exploited(&s, r)
			switch {
			case v.State == vulndb.Affected && mine:
				j.flaw(worth(r), &s, r, v)
			case v.State == vulndb.Affected:
				exploited = append(exploited, r.ID)
			case v.State == vulndb.Unreachable:
				j.flaw(Info, &s, r, v)
			case v.State == vulndb.Unknown && mine:
				untold = append(untold, r)
			case v.State != vulndb.Unknown:
				continue
			}
			clean = false
		}
		if len(exploited) > 0 {
			j.foundAt(Info, s.Subject, s.evidence(""), "%s %s has flaws that are exploited, which are findings of %s: %s", s.Name, s.Version, exploitedRule, strings.Join(exploited, ", "))
		}
		switch {
		case len(untold) > 0:
			j.unknown(s.Subject, "%s", several(&s, untold))
		case clean:
			j.ok(s.Subject, s.evidence(""))
		}
	}
}

func (j *judge) flaw(severity Severity, s *software, r *vulndb.Record, v vulndb.Verdict) {
	j.foundAt(severity, s.Subject, s.evidence(r.ID), "%s: %s %s", r.ID, r.Summary, sentence(v.Reason, r))
}

// exploitedRule owns the flaws of appliances that are known to be exploited.
const exploitedRule = "CVE-004"

// exploited tells whether CVE-004 answers for a flaw, unless the policy leaves
// that rule out.
func (j *judge) exploited(s *software, r *vulndb.Record) bool {
	_, applies := cleanUp[s.Dialect]
	return applies && r.KEV && s.Manager == "firmware" && !j.policy.Off(exploitedRule)
}

// sentence says how far a reason can be trusted.
func sentence(reason string, r *vulndb.Record) string {
	if r.Confidence == "low" {
		return reason + " (the range was not checked against the advisory)"
	}
	return reason
}

// several tells of flaws that cannot be judged, and names some.
func several(s *software, all []*vulndb.Record) string {
	var ids []string
	for _, r := range all[:min(3, len(all))] {
		ids = append(ids, r.ID)
	}
	more := ""
	if len(all) > 3 {
		more = fmt.Sprintf(" and %d more", len(all)-3)
	}
	return fmt.Sprintf("whether %s %s still has %s%s cannot be told: no changelog of the package is there, or the version is not whole", s.Name, s.Version, strings.Join(ids, ", "), more)
}

// cveReached judges the flaws that need a part of the program to be in use.
func cveReached(j *judge) {
	for _, s := range j.software() {
		subject, ok := j.configured(vulndb.Dialects(&s.Package))
		if !ok {
			continue
		}
		var untold []*vulndb.Record
		found, looked := false, false
		for _, r := range s.records {
			if len(r.Reach) == 0 || r.Local() {
				continue
			}
			looked = true
			v := j.verdict(&s, r)
			switch {
			case v.State == vulndb.Affected && v.Reach == vulndb.Yes:
				found = true
				j.reached(subject, r, v)
			case v.State == vulndb.Affected || v.State == vulndb.Unknown:
				untold = append(untold, r)
			}
		}
		switch {
		case len(untold) > 0:
			j.unknown(subject, "whether %s is within reach cannot be told", untold[0].ID)
		case looked && !found:
			j.ok(subject, s.evidence(""))
		}
	}
}

// reached is a finding at what brings the flaw within reach, one step worse than
// the flaw itself.
func (j *judge) reached(subject posture.Subject, r *vulndb.Record, v vulndb.Verdict) {
	if j.rule.Applies(v.Where.Subject.Dialect) {
		subject = v.Where.Subject
	}
	e := Evidence{At: v.Where.At, Origin: v.Where.Origin, Value: v.Where.Text + ", " + r.ID}
	j.foundAt(min(worth(r)+1, Critical), subject, e, "%s can be reached, because %s: %s", r.ID, v.Where.Text, r.Summary)
}

// configured is a subject of the first of some dialects that the host is
// configured in.
func (j *judge) configured(dialects []posture.Dialect) (posture.Subject, bool) {
	h := j.host
	for _, d := range dialects {
		for _, list := range [][]posture.Subject{subjects(h.Daemons), subjects(h.Connections), subjects(h.EAP), subjects(h.PPP), subjects(h.L2TP)} {
			if i := slices.IndexFunc(list, func(s posture.Subject) bool { return s.Dialect == d }); i >= 0 {
				return list[i], true
			}
		}
	}
	return posture.Subject{}, false
}

// subjects are those of a list of one type.
func subjects[T any](list []T) []posture.Subject {
	var all []posture.Subject
	for i := range list {
		switch x := any(&list[i]).(type) {
		case *posture.Daemon:
			all = append(all, x.Subject)
		case *posture.Connection:
			all = append(all, x.Subject)
		case *posture.EAP:
			all = append(all, x.Subject)
		case *posture.PPP:
			all = append(all, x.Subject)
		case *posture.L2TP:
			all = append(all, x.Subject)
		}
	}
	return all
}

// dead are versions that nobody maintains, below one; empty is all of them.
var dead = []struct{ component, below, why string }{
	{"openswan", "", "the project has ended with 3.0.0 in January 2021"},
	{"ipsec-tools", "", "racoon has had no release since 2014"},
	{"pptpd", "", "PPTP is broken, and its server has had no release since 2018"},
	{"strongswan", "5.9", "the project maintains its newest versions only"},
	{"libreswan", "4", "the project maintains versions 4 and 5"},
	{"ppp", "2.4.9", "the project maintains version 2.5"},
	{"freeradius", "3.2", "the project maintains version 3.2"},
	{"routeros", "7", "MikroTik mends version 7; of 6 only what is worst"},
	{"ios", "15", "Cisco has ended its maintenance"},
	{"ios-xe", "16.12", "Cisco has ended its maintenance"},
	{"fortios", "7.2", "Fortinet has ended its support"},
	{"pfsense", "2.7", "the project maintains its newest version only"},
	{"vyos", "1.3", "the project maintains versions 1.4 and later"},
}

func cveDead(j *judge) {
	seen := map[string]bool{}
	for i := range j.host.Packages {
		p := &j.host.Packages[i]
		name := vulndb.Name(p)
		k := slices.IndexFunc(dead, func(d struct{ component, below, why string }) bool { return d.component == name })
		if key := name + " " + p.Version; k < 0 || seen[key] {
			continue
		} else {
			seen[key] = true
		}
		j.maintained(p, name, dead[k].below, dead[k].why)
	}
	j.deadProducts(seen)
}

// maintained asks the distribution before the project: what a project has left may be
// mended there, and what a project would mend is not, where the distribution has ended.
// Programs of which every version was left are to be replaced wherever they come from.
func (j *judge) maintained(p *posture.Package, component, below, why string) {
	e := at(p.At, p.Name+" "+p.Version)
	r, ok := mender(p, component)
	switch until := r.until.Format(time.DateOnly); {
	case below == "":
		j.found(p.Subject, e, "%s %s is not maintained: %s", p.Name, p.Version, why)
	case ok && j.now.After(r.until.AddDate(0, 0, 1)):
		j.found(p.Subject, e, "%s %s is not maintained: %s has been mended until %s", p.Name, p.Version, distributions.Replace(p.Distro), until)
	case ok:
		e.Value += ", which " + distributions.Replace(p.Distro) + " mends until " + until
		j.ok(p.Subject, e)
	case vulndb.Older(vulndb.Upstream(p), below):
		j.found(p.Subject, e, "%s %s is not maintained: %s", p.Name, p.Version, why)
	default:
		j.ok(p.Subject, e)
	}
}

// deadProducts are programs of which every version is without maintenance and
// whose configuration is there, though the list of packages is not.
func (j *judge) deadProducts(seen map[string]bool) {
	for _, p := range j.host.Products {
		k := slices.IndexFunc(dead, func(d struct{ component, below, why string }) bool {
			return d.below == "" && strings.EqualFold(d.component, p.Name)
		})
		packaged := func(key string) bool { return strings.HasPrefix(key, strings.ToLower(p.Name)+" ") }
		if k < 0 || slices.ContainsFunc(slices.Collect(maps.Keys(seen)), packaged) {
			continue
		}
		s := posture.Subject{Dialect: posture.Linux, Kind: "product", Name: p.Name, At: p.Version.At}
		for _, f := range j.host.Files {
			its := strings.Contains(f.Path, strings.ToLower(p.Name))
			if f.Dialect == p.Dialect && (s.At.File == "" || its && !strings.Contains(s.At.File, strings.ToLower(p.Name))) {
				s.At.File = f.Path
			}
		}
		j.found(s, at(s.At, p.Name), "%s is not maintained: %s", p.Name, dead[k].why)
	}
}

func cveExploited(j *judge) {
	for _, s := range j.software() {
		if s.Manager != "firmware" {
			continue
		}
		var untold []*vulndb.Record
		found := false
		for _, r := range s.records {
			if !j.exploited(&s, r) {
				continue
			}
			switch v := j.verdict(&s, r); v.State {
			case vulndb.Affected:
				found = true
				j.foundAt(trusted(j.severity(), r), s.Subject, s.evidence(r.ID), "%s is exploited: %s %s", r.ID, r.Summary, sentence(v.Reason, r))
			case vulndb.Unknown:
				untold = append(untold, r)
			}
		}
		switch {
		case len(untold) > 0:
			j.unknown(s.Subject, "%s", several(&s, untold))
		case !found:
			j.ok(s.Subject, s.evidence(""))
		}
	}
}

// cveUntold asks of each product whether the data can be used on it.
func cveUntold(j *judge) {
	for _, p := range j.host.Products {
		subject := j.productSubject(&p)
		if !j.rule.Applies(subject.Dialect) {
			continue
		}
		why := j.untold(&p)
		if why != "" {
			j.found(subject, at(subject.At, p.Name), "%s", why)
			continue
		}
		j.ok(subject, at(subject.At, p.Name+" "+p.Version.V))
	}
}

// productSubject has the dialect of the files that are there: packages alone do
// not tell whether strongSwan is configured by swanctl.conf or ipsec.conf.
func (j *judge) productSubject(p *posture.Product) posture.Subject {
	s := posture.Subject{Dialect: p.Dialect, Kind: "product", Name: p.Name, At: p.Version.At}
	same := vulndb.Dialects(&posture.Package{Source: vulndb.Source(p.Name)})
	for _, d := range same {
		if i := slices.IndexFunc(j.host.Files, func(f posture.File) bool { return f.Dialect == d }); i >= 0 {
			s.Dialect = d
			if s.At.File == "" {
				s.At.File = j.host.Files[i].Path
			}
			break
		}
	}
	return s
}

// untold says what is missing to judge a product; it is empty if nothing is.
func (j *judge) untold(p *posture.Product) string {
	all := j.software()
	source := vulndb.Source(p.Name)
	i := slices.IndexFunc(all, func(s software) bool { return vulndb.Name(&s.Package) == source })
	switch {
	case i >= 0 && all[i].Manager == "firmware":
		return ""
	case i >= 0:
		for _, r := range all[i].records {
			if v := j.verdict(&all[i], r); v.State == vulndb.Unknown {
				return fmt.Sprintf("what the distribution has fixed in %s %s is not known: %s", all[i].Name, all[i].Version, v.Reason)
			}
		}
		return ""
	case p.Version.Known():
		return fmt.Sprintf("the version of %s is known, but not what its package has fixed", p.Name)
	}
	return fmt.Sprintf("neither the version of %s nor its package is known", p.Name)
}

// espModules are what was banned for Dirty Frag and is ESP itself.
var espModules = []string{"esp4", "esp6"}

const dirtyFrag = "CVE-2026-43284"

func cveStale(j *judge) {
	var kernel *software
	for _, s := range j.software() {
		if vulndb.Component(&s.Package) == "linux" {
			kernel = &s
		}
	}
	banned := false
	for i := range j.host.Kernel {
		k := &j.host.Kernel[i]
		module, ok := strings.CutPrefix(k.Key, "modprobe.blacklist.")
		if !ok || !slices.Contains(espModules, module) || !k.Value.Known() {
			continue
		}
		banned = true
		j.stale(k, module, kernel)
	}
	if !banned && kernel != nil {
		j.ok(kernel.Subject, kernel.evidence(""))
	}
}

// stale judges one ban by the kernel that would have to need it.
func (j *judge) stale(k *posture.Kernel, module string, kernel *software) {
	if kernel == nil {
		j.unknown(k.Subject, "%s may not be loaded, and no package tells which kernel there is", module)
		return
	}
	i := slices.IndexFunc(kernel.records, func(r *vulndb.Record) bool { return r.ID == dirtyFrag })
	if i < 0 {
		j.unknown(k.Subject, "%s may not be loaded, and the data does not know %s", module, dirtyFrag)
		return
	}
	switch v := j.verdict(kernel, kernel.records[i]); v.State {
	case vulndb.FixedAbove, vulndb.Backported, vulndb.NotAffected:
		j.found(k.Subject, evidence(k.Value), "%s may not be loaded, so that the kernel carries no ESP, and %s %s does not have %s any more", module, kernel.Name, kernel.Version, dirtyFrag)
	case vulndb.Unknown:
		j.unknown(k.Subject, "%s may not be loaded, and whether %s %s still has %s cannot be told", module, kernel.Name, kernel.Version, dirtyFrag)
	default:
		j.ok(k.Subject, evidence(k.Value))
	}
}

// cveAge looks at the data only where it was used.
func cveAge(j *judge) {
	all := j.software()
	if len(all) == 0 {
		return
	}
	d := j.shared.data
	s := posture.Subject{Dialect: posture.Linux, Kind: "data", Name: "vulnerability data", At: all[0].At}
	e := at(all[0].At, "data of "+d.Date.String())
	const day = 24 * time.Hour
	if age := d.Age(j.now); age > j.policy.Duration(policy.DataAge) {
		j.found(s, e, "packages were compared with data that is %d days old", age/day)
		return
	}
	j.ok(s, e)
}

func cveConfined(j *judge) {
	each(j, j.host.Units, func(u *posture.Unit) *posture.Subject { return &u.Subject }, j.unit)
	each(j, j.host.Binaries, func(b *posture.Binary) *posture.Subject { return &b.Subject }, j.program)
	each(j, j.host.Daemons, func(d *posture.Daemon) *posture.Subject { return &d.Subject }, func(d *posture.Daemon) {
		j.flag(d.Subject, d.Sandboxed, false, "the daemon runs without a filter of system calls")
	})
}

// unit asks for a filter of system calls or a user besides root: the one bounds
// what a flaw can ask of the kernel, the other what it owns.
func (j *judge) unit(u *posture.Unit) {
	switch {
	case posture.Is(u.SystemCalls, true):
		j.ok(u.Subject, evidence(u.SystemCalls))
	case u.User.Known() && u.User.V != "root":
		j.ok(u.Subject, evidence(u.User))
	case !u.User.Known() || !u.SystemCalls.Known():
		j.unknown(u.Subject, "the unit itself was not found, only changes to it")
	default:
		j.found(u.Subject, evidence(u.SystemCalls), "the daemon runs as root without a filter of system calls")
	}
}

func (j *judge) program(b *posture.Binary) {
	var lacks []string
	e := evidence(b.PIE)
	for _, x := range []struct {
		missing bool
		name    string
		from    Evidence
	}{
		{posture.Is(b.PIE, false), "PIE", evidence(b.PIE)},
		{posture.Is(b.RELRO, posture.Never), "RELRO", evidence(b.RELRO)},
		{posture.Is(b.NX, false), "a stack that is not executable", evidence(b.NX)},
	} {
		if x.missing {
			lacks, e = append(lacks, x.name), x.from
		}
	}
	if len(lacks) > 0 {
		j.found(b.Subject, e, "the program was built without %s", strings.Join(lacks, " and "))
		return
	}
	j.ok(b.Subject, e)
}
