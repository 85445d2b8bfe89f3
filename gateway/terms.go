package gateway

import (
	"net/netip"
	"slices"
	"time"

	"sallyport/config"
	"sallyport/protocol/ike"
)

// terms are what one peer gets: what its zone says, or its group where that has
// rules of its own, or a RADIUS server. They are fixed when the peer is
// admitted and never change; who changes a live session gives it new ones.
type terms struct {
	zone      *zone
	group     string // empty: none
	user      string // of the session's limits; empty: a certificate of an outside CA
	child     *ike.ChildPolicy
	resolvers []netip.Addr
	split     []string
	within    config.Pool   // where its addresses come from: the pool, or a part of it
	not       []config.Pool // parts of the pool that are groups', where its peer has none
	fixed     InnerAddrs
	limits    config.User
	proof     proof
	granted   *granted   // by a RADIUS server; nil: the user is ours
	leased    ike.Leased // what the peer got; set by Lease, before the session is established
}

// granted is what a RADIUS server says of a session beyond what zones say.
type granted struct {
	session string // Acct-Session-Id, as in the login
	user    string // User-Name, as the server has it
	class   [][]byte
	cui     []byte
	interim time.Duration // 0: unsaid
	idle    time.Duration // 0: no limit
	timeout time.Duration // of the session; 0: no limit
}

// InnerAddrs are inner addresses that belong to one device or user. An invalid
// one means any of the pool.
type InnerAddrs struct {
	IPv4 netip.Addr `json:"ipv4,omitzero"`
	IPv6 netip.Addr `json:"ipv6,omitzero"`
}

// zoneTerms are the terms of a zone's users without group.
func (z *zone) zoneTerms() *terms {
	return &terms{zone: z, child: z.child, resolvers: z.resolvers, split: z.config.DNS.Split, within: z.config.Pool, limits: z.config.User}
}

// groupTerms are the terms of a group: each of its rules that is not empty
// takes the place of the zone's.
func (z *zone) groupTerms(g *config.Group) *terms {
	t := z.zoneTerms()
	t.group = g.Name
	seen := z.config // as its users see it
	if len(g.DNS.Servers) > 0 {
		t.resolvers, seen.DNS.Servers = z.config.ResolversOf(g.DNS), g.DNS.Servers
	}
	if len(g.Routes) > 0 {
		seen.Routes, seen.Reach = g.Routes, shared(g.Routes, z.config.Reach)
	}
	child := *z.child
	child.Local = selectors(within(&seen))
	t.child = &child
	if len(g.DNS.Split) > 0 {
		t.split = g.DNS.Split
	}
	if g.Pool.IPv4.IsValid() {
		t.within.IPv4 = g.Pool.IPv4
	}
	if g.Pool.IPv6.IsValid() {
		t.within.IPv6 = g.Pool.IPv6
	}
	t.limits = t.limits.With(g.User)
	return t
}

// shared are the networks that are in both lists.
func shared(a, b []netip.Prefix) (both []netip.Prefix) {
	for _, p := range a {
		for _, q := range b {
			switch {
			case q.Bits() <= p.Bits() && q.Contains(p.Addr()):
				both = append(both, p)
			case p.Bits() < q.Bits() && p.Contains(q.Addr()):
				both = append(both, q)
			}
		}
	}
	return both
}

// termsOf are the terms of a peer in its zone. Of the groups that are named,
// the first one of the configuration counts that belongs to the zone.
func (r *realm) termsOf(z *zone, user string, groups []string) *terms {
	t := *z.terms
	for i := range r.config.Groups {
		if g := &r.config.Groups[i]; g.Zone == z.config.Name && slices.Contains(groups, g.Name) {
			t = *r.groups[g.Name]
			break
		}
	}
	t.user, t.not = user, groupParts(r.config, z.config.Name, t.group)
	return &t
}

// groupParts are the parts of a zone's pool that are for its groups, but for one
// of them: a firewall tells their users by them.
func groupParts(c *config.Config, zone, but string) (parts []config.Pool) {
	for i := range c.Groups {
		if g := &c.Groups[i]; g.Zone == zone && g.Name != but && g.Pool != (config.Pool{}) {
			parts = append(parts, g.Pool)
		}
	}
	return parts
}

// zoneAsSeen is the zone as a user's clients see it: with what a group has of its
// own, for profiles.
func zoneAsSeen(cfg *config.Config, z *config.Zone, groups []string) *config.Zone {
	seen := *z
	for i := range cfg.Groups {
		g := &cfg.Groups[i]
		if g.Zone != z.Name || !slices.Contains(groups, g.Name) {
			continue
		}
		if len(g.Routes) > 0 {
			seen.Routes = g.Routes
		}
		if len(g.DNS.Servers) > 0 {
			seen.DNS.Servers = g.DNS.Servers
		}
		if len(g.DNS.Search) > 0 {
			seen.DNS.Search = g.DNS.Search
		}
		if len(g.DNS.Split) > 0 {
			seen.DNS.Split = g.DNS.Split
		}
		break
	}
	return &seen
}
