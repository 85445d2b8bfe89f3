package adopt

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// network reads an address, a network or a range as the smallest network that
// holds it. exact is false where it holds more.
func network(text string) (p netip.Prefix, exact, ok bool) {
	text = strings.TrimSpace(text)
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true, true
	}
	from, to, isRange := strings.Cut(text, "-")
	low, err := netip.ParseAddr(strings.TrimSpace(from))
	if err != nil || low.Zone() != "" {
		return netip.Prefix{}, false, false
	}
	if !isRange {
		return netip.PrefixFrom(low, low.BitLen()), true, true
	}
	high, err := netip.ParseAddr(strings.TrimSpace(to))
	if err != nil || high.Is4() != low.Is4() || high.Less(low) {
		return netip.Prefix{}, false, false
	}
	return around(low, high), false, true
}

// around is the smallest network with both addresses.
func around(a, b netip.Addr) netip.Prefix {
	for bits := a.BitLen(); bits > 0; bits-- {
		if p := netip.PrefixFrom(a, bits).Masked(); p.Contains(b) {
			return p
		}
	}
	return netip.PrefixFrom(a, 0).Masked()
}

// join is the smallest network that holds two.
func join(p, q netip.Prefix) netip.Prefix {
	switch {
	case !p.IsValid():
		return q
	case !q.IsValid():
		return p
	}
	bits := min(p.Bits(), q.Bits())
	both := around(p.Addr(), q.Addr())
	return netip.PrefixFrom(both.Addr(), min(bits, both.Bits())).Masked()
}

// bounds of the pools that a configuration takes.
const (
	largestPool = 8
	smallest4   = 29
	smallest6   = 120
	ofSite      = 48 // an L2TP zone's IPv6 network is a /48 to /60
	ofClients   = 60
)

func usable4(p netip.Prefix) bool {
	a := p.Addr()
	return p.IsValid() && a.Is4() && p.Bits() >= largestPool && p.Bits() <= smallest4 && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

func usable6(p netip.Prefix, l2tp bool) bool {
	a := p.Addr()
	if !p.IsValid() || !a.Is6() || a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.Is4In6() {
		return false
	}
	if l2tp {
		return p.Bits() >= ofSite && p.Bits() <= ofClients
	}
	return p.Bits() >= largestPool && p.Bits() <= smallest6
}

// span is a key that is a time, with its bounds.
type span struct {
	key         string
	least, most time.Duration
}

var (
	ikeSpan   = span{"rekey.ike", 10 * time.Minute, 24 * time.Hour}
	childSpan = span{"rekey.child", 5 * time.Minute, 8 * time.Hour}
	dpdSpan   = span{"dpd", 10 * time.Second, time.Hour}
	authSpan  = span{"auth_lifetime", 15 * time.Minute, 30 * 24 * time.Hour}
)

// duration carries a time over, within the bounds of its key. Of several
// sources the shortest counts.
func (a *adopter) duration(z *zone, s posture.Subject, v posture.Value[time.Duration], label string, to span) {
	if v.Origin != posture.Explicit {
		return
	}
	if v.V <= 0 {
		a.changed(s, of(v), label, to.key+": by default", "none is no value here", "")
		return
	}
	d := min(max(v.V.Truncate(time.Second), to.least), to.most)
	if before, err := time.ParseDuration(z.nums[to.key]); err == nil && before < d {
		a.changed(s, of(v), label, to.key+": "+z.nums[to.key], "another part of the zone is shorter", "")
		return
	}
	z.nums[to.key] = brief(d)
	if d != v.V {
		a.changed(s, of(v), label, to.key+": "+brief(d), "the bounds are "+brief(to.least)+" and "+brief(to.most), "")
		return
	}
	if !says(v.Text, d) {
		a.changed(s, of(v), label, to.key+": "+brief(d), "it is the life to its end, with what the product adds to the time that is written", "")
		return
	}
	a.took(s, of(v), label, to.key+": "+brief(d))
}

// says tells whether a written text is just a time: in seconds, or with units.
func says(text string, d time.Duration) bool {
	text = strings.Trim(text[strings.LastIndexByte(text, '=')+1:], " \"")
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(n)*time.Second == d
	}
	days, ok := strings.CutSuffix(text, "d")
	if n, err := strconv.ParseInt(days, 10, 16); ok && err == nil {
		return time.Duration(n)*24*time.Hour == d
	}
	written, err := time.ParseDuration(text)
	return err == nil && written == d
}

// brief is a time in the largest unit that holds it exactly.
func brief(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= u.unit && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// addresses are the resolvers among words; public ones are told apart.
func addresses(words []string) (ours, public []netip.Addr, odd []string) {
	for _, w := range words {
		a, err := netip.ParseAddr(w)
		switch {
		case err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast():
			odd = append(odd, w)
		case a.IsPrivate(), a.IsLoopback(), a.IsLinkLocalUnicast():
			ours = append(ours, a)
		default:
			public = append(public, a)
		}
	}
	return ours, public, odd
}

// keywords writes a proposal in our words, and says why it is refused if it is.
// Transforms that both sides can do without naming are left out.
func keywords(p suite.Protocol, from posture.Proposal) (text, why string) {
	if len(from.Unknown) > 0 {
		return "", "the registry has no " + plain(strings.Join(from.Unknown, ", "))
	}
	var words []string
	var refusals []string
	for _, t := range from.Transforms {
		alg, ok := suite.Lookup(t)
		switch {
		case t.Type == suite.ESN, t.Type == suite.Integ && t.ID == 0:
		case !ok:
			refusals = append(refusals, "an algorithm without a name")
		case !alg.Usable():
			refusals = append(refusals, alg.Refusal())
		default:
			words = append(words, alg.Keyword)
		}
	}
	if len(from.AddKE) > 0 {
		refusals = append(refusals, "additional key exchanges (RFC 9370) are not served")
	}
	if len(refusals) > 0 {
		slices.Sort(refusals)
		return "", strings.Join(slices.Compact(refusals), "; ")
	}
	text = strings.Join(words, "-")
	parsed, err := suite.ParseProposal(p, text)
	if err != nil {
		return "", plain(err.Error())
	}
	if p == suite.ProtocolESP && len(parsed.Of(suite.KE)) == 0 {
		return "", "without a key exchange there is no forward secrecy"
	}
	return text, ""
}

// consistent makes lifetimes agree with each other: a child does not outlive
// its IKE SA, and half of its life is more than the margin.
func (z *zone) consistent() {
	const usualIKE, usualChild, usualMargin = 4 * time.Hour, time.Hour, 5 * time.Minute
	read := func(key string, usual time.Duration) time.Duration {
		if d, err := time.ParseDuration(z.nums[key]); err == nil {
			return d
		}
		return usual
	}
	usual := usualIKE
	if z.l2tp {
		usual = 2 * usualIKE
	}
	ike, child := read("rekey.ike", usual), read("rekey.child", usualChild)
	if child > ike {
		child = ike
		z.nums["rekey.child"] = brief(child)
	}
	if !z.l2tp && 2*usualMargin > child {
		z.nums["rekey.margin"] = brief(child / 4)
	}
}
