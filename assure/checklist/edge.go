package checklist

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/config"
)

// listening tells where IKE and ESP are served.
func listening(s *Seen) []Fact {
	places := func(list []config.Listen) string {
		var words []string
		for _, l := range list {
			if l.Interface != "" {
				words = append(words, l.Interface)
			} else {
				words = append(words, l.Addr.String())
			}
		}
		return strings.Join(words, ", ")
	}
	f := Fact{What: "listens on", Value: places(s.Config.Gateway.Listen), Standing: OK, Source: File}
	everywhere := slices.ContainsFunc(s.Config.Gateway.Listen, func(l config.Listen) bool { return l.Interface == "" && l.Addr.IsUnspecified() })
	if len(s.Config.Gateway.Listen) == 0 || everywhere {
		f.Standing, f.Value = NotMet, "every interface of the host"
		f.Do = []string{"gateway.listen: [INTERFACE], and restart"}
	}
	return []Fact{f}
}

// control tells who may manage the gateway.
func control(s *Seen) []Fact {
	f := Fact{What: "management", Value: "by " + s.Config.Gateway.Control.Socket + ", for root alone", Standing: OK, Source: File}
	if g := s.Config.Gateway.Control.Group; g != "" {
		f.Value = "by " + s.Config.Gateway.Control.Socket + ", for root and the group " + g
	}
	return []Fact{f}
}

// legacyFirewall tells whether each L2TP zone is held to what it may reach.
func legacyFirewall(s *Seen) []Fact {
	var facts []Fact
	for _, z := range s.Status.Zones {
		if z.L2TP == nil {
			continue
		}
		f := Fact{What: "firewall of zone " + z.Name, Standing: OK, Source: Live}
		var dropped, passed uint64
		for _, c := range z.L2TP.Firewall.Counts {
			if c.Drop {
				dropped += c.Packets
			} else {
				passed += c.Packets
			}
		}
		f.Value = fmt.Sprintf("in force: %d packets passed, %d refused", passed, dropped)
		if !z.L2TP.Firewall.InForce {
			f.Standing, f.Value = Problem, "not in force: "+z.L2TP.Firewall.Trouble
			f.Do = []string{"sallyport reload"}
		}
		facts = append(facts, f)
	}
	return facts
}

// knownPeers: nothing here makes a firewall for the outside.
func knownPeers(*Seen) []Fact {
	return []Fact{{What: "firewall for known peers", Value: "this version makes none: ESP and UDP 500 and 4500 are open to everybody, unless the host's own rules say otherwise", Standing: NotMet, Source: Product}}
}

// floods tells what strangers have tried, and what bounds them.
func floods(s *Seen) []Fact {
	e := s.Status.Engine
	if e == nil {
		return []Fact{{What: "half-open set-ups", Value: "not told", Standing: Unassessable, Source: Live}}
	}
	limits := s.Config.Gateway.Limits
	f := Fact{What: "half-open set-ups", Value: fmt.Sprintf("%d of at most %d, cookies from %d", e.HalfOpen, limits.HalfOpen, limits.CookieAfter), Standing: OK, Source: Live}
	if e.HalfOpen >= limits.HalfOpen {
		f.Standing = Problem
		f.Value += ": the bound is reached, and new clients wait"
		f.Do = []string{"sallyport status"}
	}
	return []Fact{f}
}

// resolvers tells which zones push a resolver.
func resolvers(s *Seen) []Fact {
	var facts []Fact
	for _, z := range s.Config.Zones {
		var addrs []string
		for _, a := range z.Resolvers() {
			addrs = append(addrs, a.String())
		}
		f := Fact{What: "resolvers of zone " + z.Name, Value: strings.Join(addrs, ", "), Standing: OK, Source: File}
		if len(addrs) == 0 {
			f.Standing, f.Value = NotMet, "none: clients ask the network that they are in"
			f.Do = []string{fmt.Sprintf("zones.%s.dns: {servers: [gateway]}", z.Name), "sallyport reload"}
		}
		facts = append(facts, f)
	}
	return facts
}

// routes tells which zones leave traffic outside the tunnel.
func routes(s *Seen) []Fact {
	var facts []Fact
	for _, z := range s.Config.Zones {
		four, six := false, false
		for _, p := range z.Routes {
			four = four || p.Addr().Is4() && p.Bits() == 0
			six = six || p.Addr().Is6() && p.Bits() == 0
		}
		f := Fact{What: "routes of zone " + z.Name, Value: "all traffic goes through the tunnel", Standing: OK, Source: File}
		switch {
		case z.Protocol == config.L2TP: // PPP has no routes to push
			continue
		case !four && !six:
			f.Standing, f.Value = NotMet, "some networks alone go through the tunnel, all else beside it"
		case !four || !six:
			f.Standing, f.Value = NotMet, "one address family alone goes through the tunnel"
		}
		if f.Standing == NotMet {
			f.Do = []string{fmt.Sprintf("zones.%s.routes: [0.0.0.0/0, \"::/0\"], where that is wanted", z.Name)}
		}
		facts = append(facts, f)
	}
	return facts
}

// killSwitch: the product has none.
func killSwitch(*Seen) []Fact {
	return []Fact{{What: "kill switch", Value: "this version has none: a client's traffic leaves in the clear when its tunnel is down, and DNS is pushed but not forced", Standing: NotMet, Source: Product}}
}
