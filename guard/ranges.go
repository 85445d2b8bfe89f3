package guard

import (
	"net/netip"
	"slices"
)

// span is the addresses from first to last, both among them and of one family.
type span struct{ first, last netip.Addr }

func spanOf(p netip.Prefix) span {
	p = p.Masked()
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return span{p.Addr(), last}
}

// spans are the addresses of the valid prefixes of one family.
func spans(prefixes []netip.Prefix, v6 bool) (out []span) {
	for _, p := range prefixes {
		if p.IsValid() && p.Addr().Is6() == v6 {
			out = append(out, spanOf(p))
		}
	}
	return out
}

func (s span) holds(o span) bool { return s.first.Compare(o.first) <= 0 && s.last.Compare(o.last) >= 0 }

// allowed are the addresses in reach: what is named inside a closed network, and
// the rest without closed networks. Opened is the first part alone.
func allowed(reach, closed []span) (all, opened []span) {
	var rest []span
	for _, r := range reach {
		if slices.ContainsFunc(closed, func(c span) bool { return c.holds(r) }) {
			opened = append(opened, r)
		} else {
			rest = append(rest, r)
		}
	}
	for _, c := range closed {
		rest = without(rest, c)
	}
	return merged(slices.Concat(rest, opened)), merged(opened)
}

// without cuts a hole into a list of spans.
func without(list []span, hole span) (out []span) {
	for _, s := range list {
		if hole.last.Less(s.first) || s.last.Less(hole.first) {
			out = append(out, s)
			continue
		}
		if s.first.Less(hole.first) {
			out = append(out, span{s.first, hole.first.Prev()})
		}
		if hole.last.Less(s.last) {
			out = append(out, span{hole.last.Next(), s.last})
		}
	}
	return out
}

// merged sorts spans and joins those that touch: the kernel takes no overlap.
func merged(list []span) (out []span) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b span) int { return a.first.Compare(b.first) })
	for _, s := range list {
		last := len(out) - 1
		if last < 0 || out[last].last.Less(s.first) && out[last].last.Next() != s.first {
			out = append(out, s)
		} else if out[last].last.Less(s.last) {
			out[last].last = s.last
		}
	}
	return out
}
