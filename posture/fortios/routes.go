package fortios

import (
	"net/netip"
	"slices"
	"strings"

	"sallyport/posture"
)

// ways is where packets go, by virtual domain, looked up once for all tunnels.
type ways struct {
	through map[owner][]way // static routes, by domain and device
	holes   map[string][]way
	out     map[owner]bool // interfaces to which a policy lets everything out
}

// way is one static route; net is zero where it goes to a name.
type way struct {
	*entry
	net  netip.Prefix
	name string
}

// mostHoles is how many blackhole routes of one domain count.
const mostHoles = 256

func (r *reader) ways() *ways {
	if r.roads != nil {
		return r.roads
	}
	w := &ways{through: map[owner][]way{}, holes: map[string][]way{}, out: map[owner]bool{}}
	for _, e := range r.all("router static") {
		if e.word("status", "enable") != "enable" {
			continue
		}
		one := way{entry: e, net: destination(e), name: e.word("dstaddr", "")}
		if e.word("blackhole", "disable") != "enable" {
			o := owner{vdom: e.vdom, name: e.word("device", "")}
			w.through[o] = append(w.through[o], one)
		} else if len(w.holes[e.vdom]) < mostHoles {
			w.holes[e.vdom] = append(w.holes[e.vdom], one)
		}
	}
	for _, e := range r.all("firewall policy") {
		if e.word("action", "deny") == "accept" && e.word("status", "enable") == "enable" && e.word("dstaddr", "") == "all" {
			for _, to := range e.set["dstintf"].words {
				w.out[owner{vdom: e.vdom, name: to}] = true
			}
		}
	}
	r.roads = w
	return w
}

func destination(e *entry) netip.Prefix {
	v := e.set["dst"]
	text := v.text()
	if len(v.words) == 2 {
		text = prefix(v.words[0], v.words[1])
	}
	p, _ := netip.ParsePrefix(text)
	return p
}

// failOpen tells whether packets for a tunnel leave in the clear while it is
// down: its routes go with it, and the default route takes over, unless a
// blackhole route stands behind them, and if a policy lets everything out. It is
// known of tunnels with static routes alone.
func (r *reader) failOpen(phase *entry) posture.Value[bool] {
	w := r.ways()
	out := w.lets(phase)
	var safe posture.Value[bool]
	for _, route := range w.through[owner{vdom: phase.vdom, name: phase.name}] {
		hole := w.behind(route)
		switch {
		case hole != nil:
			safe = posture.Written(false, hole.at, "blackhole enable")
		case !out:
			return posture.Value[bool]{}
		default:
			return posture.Written(true, route.at, "a route through "+phase.name+", without a blackhole route behind it")
		}
	}
	return safe
}

// lets tells whether a policy lets everything out of a tunnel's outer interface.
func (w *ways) lets(phase *entry) bool {
	return w.out[owner{vdom: phase.vdom, name: phase.word("interface", "")}] || w.out[owner{vdom: phase.vdom, name: "any"}]
}

// failOpenOfClients is failOpen of a tunnel for clients: the route to the address
// that one gets is there while it is connected. The pool is of ranges "FIRST-LAST".
func (r *reader) failOpenOfClients(phase *entry, pool posture.Value[[]string]) posture.Value[bool] {
	w := r.ways()
	var safe posture.Value[bool]
	for _, ends := range pool.V {
		first, last, _ := strings.Cut(ends, "-")
		from, err := netip.ParseAddr(first)
		to, wrong := netip.ParseAddr(last)
		if err != nil || wrong != nil {
			return posture.Value[bool]{} // the name of an address that is set elsewhere
		}
		i := slices.IndexFunc(w.holes[phase.vdom], func(hole way) bool {
			return hole.net.IsValid() && hole.net.Bits() > 0 && hole.net.Contains(from) && hole.net.Contains(to)
		})
		switch {
		case i >= 0:
			hole := w.holes[phase.vdom][i]
			safe = posture.Written(false, hole.at, "blackhole enable")
		case from.Is6(): // its routes are in another section, which is not read
			return posture.Value[bool]{}
		case !w.lets(phase):
			return posture.Value[bool]{}
		default:
			return posture.Written(true, pool.At, "addresses "+ends+", without a blackhole route behind them")
		}
	}
	return safe
}

// behind is the blackhole route that takes the packets of another route when
// that is gone. A default route is none: it would take everything.
func (w *ways) behind(route way) *entry {
	for _, hole := range w.holes[route.vdom] {
		named := route.name != "" && hole.name == route.name
		wide := hole.net.IsValid() && route.net.IsValid() && hole.net.Bits() > 0 && hole.net.Bits() <= route.net.Bits() && hole.net.Contains(route.net.Addr())
		if named || route.name == "" && wide {
			return hole.entry
		}
	}
	return nil
}
