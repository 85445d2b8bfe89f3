package vulndb

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/packages"
)

// State is what a record means for a package.
type State string

// The states.
const (
	Affected    State = "affected"
	Unreachable State = "affected-unreachable" // affected, and configured so that the flaw cannot be reached
	FixedAbove  State = "fixed-upstream"       // the version is past the fix
	Backported  State = "fixed-by-backport"    // the version is not, but the distribution has brought the fix in
	NotAffected State = "not-affected"         // the version is older than the flaw
	Unknown     State = "unknown"
)

// Verdict is a state and what it rests on.
type Verdict struct {
	State  State
	Reason string // a sentence without a stop
	Reach  Answer // of the record's conditions, for an affected package
	Where  Where  // what brings the flaw within reach
}

// Judge judges one record for one package of a host.
func Judge(r *Record, p posture.Package, h *posture.Host) Verdict {
	version := Upstream(&p)
	if v, done := r.upstream(version); done {
		return v
	}
	if v, done := r.distribution(&p); done {
		return v
	}
	v := Verdict{State: Affected, Reason: fmt.Sprintf("%s is within the affected versions, %s", version, r.span(version))}
	if p.Changelog != nil {
		v.Reason += ", and the package's changelog does not name the flaw as fixed"
	}
	if fixed := r.Distro[p.Distro]; fixed != "" {
		v.Reason = fmt.Sprintf("%s is before %s, which brings the fix in %s", p.Version, fixed, p.Distro)
	}
	if v.Reach, v.Where = r.reach(&p, h); v.Reach == No {
		v.State = Unreachable
		v.Reason += "; but " + v.Where.Text
	}
	return v
}

// Upstream is the version that the makers gave a package's software.
func Upstream(p *posture.Package) string {
	if p.Manager == "firmware" {
		return p.Version
	}
	return packages.Upstream(p.Manager, p.Version)
}

// shown is how many numbers of the version the configuration of an appliance
// tells; the rest may be anything from what is written on. IOS writes the first
// two. pfSense writes a revision, which some releases of a line share. The version
// of Windows that ComputerInfo has is without the number that updates count up.
var shown = map[string]int{"ios": 2, "ios-xe": 2, "pfsense": 2, "windows": 3}

// unsure tells whether a version may be on either side of a limit.
func (r *Record) unsure(version, limit string) bool {
	n, ok := shown[r.Component]
	all := strings.SplitN(version, ".", n+1)
	if !ok || len(all) > n && r.Component != "pfsense" {
		return false
	}
	return compare(version, limit) < 0 && vague(strings.Join(all[:min(n, len(all))], "."), limit)
}

// upstream judges what the version alone tells. done is false if it is affected
// as far as that goes.
func (r *Record) upstream(version string) (v Verdict, done bool) {
	switch {
	case parts(version) == nil:
		return Verdict{State: Unknown, Reason: fmt.Sprintf("%q is no version that can be compared", version)}, true
	case len(r.Ranges) == 0:
		return Verdict{State: Unknown, Reason: "the affected versions are not in one line: ask the vendor's advisory"}, true
	}
	for _, x := range r.Ranges {
		if r.unsure(version, x.Introduced) || x.holds(version) && r.unsure(version, x.Fixed+x.Last) {
			return Verdict{State: Unknown, Reason: fmt.Sprintf("%s does not tell which of its releases it is, and the flaw goes %s", version, x)}, true
		}
	}
	if slices.ContainsFunc(r.Ranges, func(x Range) bool { return x.holds(version) }) {
		return Verdict{}, false
	}
	if slices.ContainsFunc(r.Ranges, func(x Range) bool { return x.past(version) }) {
		return Verdict{State: FixedAbove, Reason: fmt.Sprintf("%s is past the flaw, which goes %s", version, spans(r.Ranges))}, true
	}
	return Verdict{State: NotAffected, Reason: fmt.Sprintf("%s is older than the flaw, which goes %s", version, spans(r.Ranges))}, true
}

func (x Range) holds(version string) bool {
	return (x.Introduced == "" || compare(version, x.Introduced) >= 0) && !x.past(version)
}

// past tells whether a version is above the range. A last version with fewer
// numbers is all of its line: up to 4.11 is up to 4.11.9, too.
func (x Range) past(version string) bool {
	return x.Fixed != "" && compare(version, x.Fixed) >= 0 || x.Last != "" && compare(version, x.Last) > 0 && !vague(x.Last, version)
}

// String is the range in words.
func (x Range) String() string {
	text := ""
	if x.Introduced != "" {
		text = "from " + x.Introduced
	}
	switch {
	case x.Fixed != "":
		text += " to before " + x.Fixed
	case x.Last != "":
		text += " to " + x.Last
	default:
		text += " on, without a fix"
	}
	return strings.TrimSpace(text)
}

func spans(all []Range) string {
	var words []string
	for _, x := range all {
		words = append(words, x.String())
	}
	return strings.Join(words, ", ")
}

// span is the range that a version is in.
func (r *Record) span(version string) string {
	i := slices.IndexFunc(r.Ranges, func(x Range) bool { return x.holds(version) })
	return r.Ranges[i].String()
}

// sameLine tells whether a newer version than a distribution's fixed one has that
// fix: a backport, or a kernel of a later line, was made from other sources.
func sameLine(p *posture.Package, fixed string) bool {
	a, b := parts(Upstream(p)), parts(packages.Upstream(p.Manager, fixed))
	return !strings.Contains(p.Version, "~bpo") && at(a, 0) == at(b, 0) && at(a, 1) == at(b, 1)
}

// distribution judges what is known of the package besides upstream's version.
// done is false if it does not have the fix.
func (r *Record) distribution(p *posture.Package) (v Verdict, done bool) {
	if slices.Contains(p.Changelog, r.ID) {
		return Verdict{State: Backported, Reason: "the package's changelog names the flaw as fixed"}, true
	}
	if fixed := r.Distro[p.Distro]; fixed != "" {
		yes, ok := reaches(p.Manager, p.Version, fixed)
		ok = ok && (!yes || sameLine(p, fixed))
		switch {
		case yes && ok:
			return Verdict{State: Backported, Reason: fmt.Sprintf("%s is not before %s, which brings the fix in %s", p.Version, fixed, p.Distro)}, true
		case ok:
			return Verdict{}, false
		}
	}
	if p.Manager == "firmware" || p.Changelog != nil {
		return Verdict{}, false
	}
	return Verdict{State: Unknown, Reason: fmt.Sprintf("%s is within the affected versions, and no changelog is there to tell whether the distribution has fixed the flaw", p.Version)}, true
}
