// Package config is Sallyport's own configuration: one YAML file, read
// strictly, checked as a whole, and swapped as a whole.
//
// Unknown keys, duplicate keys, wrong types and values that make no sense are
// reported all at once, each with its line, its column and what to write
// instead. Every key has a safe default; the smallest useful file is
//
//	gateway: {name: vpn.example.org}
//
// The table in keys.go is the only place that knows what a key means, its
// default and an example: the parser, the explanations, the JSON Schema and
// the manual are all made from it.
//
// The file holds no secrets, by design: keys are named by file. Diagnostics
// never show the value of a key that is not known, because a foreign key
// ("psk:") may well hold one.
package config

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Config is one complete, checked configuration with every default filled in.
// It is a plain value: nothing in it changes after Parse.
type Config struct {
	Gateway Gateway `yaml:"gateway"`
	Zones   Zones   `yaml:"zones"`
	Groups  Groups  `yaml:"groups"`
	RADIUS  RADIUS  `yaml:"radius"`
	Logging Logging `yaml:"logging"`
}

// Zones, Groups and RADIUS are named sections in the order of the file.
type (
	Zones  []Zone
	Groups []Group
	RADIUS []Realm
)

// Gateway is what all zones share: name, addresses, state and limits.
type Gateway struct {
	Name      string    `yaml:"name"`
	Names     []string  `yaml:"names"`
	Listen    []Listen  `yaml:"listen"`
	Ports     Ports     `yaml:"ports"`
	State     string    `yaml:"state"`
	Control   Control   `yaml:"control"`
	Dataplane Dataplane `yaml:"dataplane"`
	Limits    Limits    `yaml:"limits"`
}

// Listen is one place to listen: an interface or an address, never both.
type Listen struct {
	Interface string
	Addr      netip.Addr
}

// Ports are the UDP ports (RFC 7296, Section 2 and Section 2.23).
type Ports struct {
	IKE  uint16 `yaml:"ike"`
	NATT uint16 `yaml:"natt"`
}

// Control is the Unix socket that the command line talks to.
type Control struct {
	Socket string `yaml:"socket"`
	Group  string `yaml:"group"` // empty: root alone
}

// Dataplane says how packets move.
type Dataplane struct {
	Kind    string `yaml:"kind"`   // userspace | null
	Device  string `yaml:"device"` // name of the TUN device
	MTU     int    `yaml:"mtu"`
	Queues  int    `yaml:"queues"` // 0: one per processor
	Offload bool   `yaml:"offload"`
}

// Limits bound what strangers and clients can make the gateway keep.
type Limits struct {
	Sessions    int `yaml:"sessions"`     // established sessions
	HalfOpen    int `yaml:"half_open"`    // half-open IKE SAs in all
	CookieAfter int `yaml:"cookie_after"` // half-open IKE SAs from which cookies are asked
	PerSource   int `yaml:"per_source"`   // half-open IKE SAs of one source (IPv4 /32, IPv6 /64)
}

// Zone is one group of clients under the same rules.
type Zone struct {
	Name         string        `yaml:"-"` // the key of the zone in the file
	Protocol     string        `yaml:"protocol"`
	Policy       Policy        `yaml:"policy"`
	Auth         []string      `yaml:"auth"`
	RADIUS       string        `yaml:"radius"` // name of a section of radius; empty: users are local
	Identity     Identity      `yaml:"identity"`
	Pool         Pool          `yaml:"pool"`
	DNS          DNS           `yaml:"dns"`
	Routes       Prefixes      `yaml:"routes"`
	Reach        Prefixes      `yaml:"reach"` // L2TP zones only; what the firewall lets through
	Rekey        Rekey         `yaml:"rekey"`
	DPD          time.Duration `yaml:"dpd"`
	Fragment     int           `yaml:"fragment"` // octets of the IP packet; 0: off
	MOBIKE       bool          `yaml:"mobike"`
	AuthLifetime time.Duration `yaml:"auth_lifetime"` // 0: no limit
	Encap        string        `yaml:"encapsulation"` // forced | auto
	Sessions     int           `yaml:"sessions"`      // live sessions of one device
	User         User          `yaml:"user"`
	Trust        Trust         `yaml:"trust"`

	// Of L2TP zones alone. What a zone's protocol has not is zero.
	Machine  []string   `yaml:"machine"`   // how the IPsec part proves itself: Certificate, PSK
	GroupPSK string     `yaml:"group_psk"` // file; empty: none
	Listen   []Listen   `yaml:"listen"`    // empty: as the gateway
	Device   string     `yaml:"device"`    // name of the zone's TUN device
	MTU      int        `yaml:"mtu"`
	Limits   ZoneLimits `yaml:"limits"`
	Cutoff   Day        `yaml:"cutoff"` // last day in force; zero: no end

	Waivers []Waiver `yaml:"waivers"`
}

// The protocols of zones.
const (
	IKEv2 = "ikev2"
	L2TP  = "l2tp"
)

// ZoneLimits bound what an L2TP zone can make the gateway keep.
type ZoneLimits struct {
	Sessions int `yaml:"sessions"`  // established sessions
	HalfOpen int `yaml:"half_open"` // set-ups under way
	Setups   int `yaml:"setups"`    // new set-ups a second of one source (IPv4 /32, IPv6 /64)
}

// Day is a day of the calendar in UTC, as midnight at its start; the zero Day
// is none.
type Day struct{ time.Time }

// Over tells whether the day has ended. The zero Day never does.
func (d Day) Over(now time.Time) bool { return !d.IsZero() && !now.Before(d.AddDate(0, 0, 1)) }

// Of are the zones of one protocol.
func (zs Zones) Of(protocol string) Zones {
	var of Zones
	for _, z := range zs {
		if z.Protocol == protocol {
			of = append(of, z)
		}
	}
	return of
}

// User is what one user may have in a zone, over all devices.
type User struct {
	Sessions int     `yaml:"sessions"`  // live sessions; 0: no limit
	WhenFull string  `yaml:"when_full"` // replace | reject
	Download Bitrate `yaml:"download"`  // to each session; 0: no limit
	Upload   Bitrate `yaml:"upload"`    // from each session; 0: no limit
}

// With replaces each field for which a group has a value.
func (u User) With(group User) User {
	u.Sessions = cmp.Or(group.Sessions, u.Sessions)
	u.Download, u.Upload = cmp.Or(group.Download, u.Download), cmp.Or(group.Upload, u.Upload)
	if group.WhenFull != "zone" {
		u.WhenFull = group.WhenFull
	}
	return u
}

// Rejects tells whether one session too many is refused.
func (u User) Rejects() bool { return u.WhenFull == "reject" }

// Group is a set of users of one zone with rules of their own in place of the
// zone's. A user names its groups in the store, a RADIUS server in Filter-Id;
// where a user has several, the first one in the file's order counts.
type Group struct {
	Name   string   `yaml:"-"`      // the key of the group in the file
	Zone   string   `yaml:"zone"`   // the zone of its users
	Pool   Pool     `yaml:"pool"`   // parts of the zone's pool; invalid: anywhere in the zone's
	DNS    DNS      `yaml:"dns"`    // servers or split replace the zone's when not empty
	Routes Prefixes `yaml:"routes"` // empty: the zone's
	User   User     `yaml:"user"`   // each field that is not zero replaces the zone's
}

// Realm is an organisation's RADIUS servers.
type Realm struct {
	Name       string         `yaml:"-"`          // the key in the file
	Servers    []RADIUSServer `yaml:"servers"`    // authentication, best first; empty: accounting alone
	Accounting []RADIUSServer `yaml:"accounting"` // empty: no accounting
	Identifier string         `yaml:"identifier"` // NAS-Identifier; empty: gateway.name
	Interim    time.Duration  `yaml:"interim"`    // between accounting updates unless the server says; 0: none
	Dynamic    Dynamic        `yaml:"dynamic"`
}

// RADIUSServer is one server: over UDP with a shared secret, or over TLS when
// TLS.CA is set.
type RADIUSServer struct {
	Address string `yaml:"address"` // host:port
	Secret  string `yaml:"secret"`  // file of the shared secret; UDP only
	Status  bool   `yaml:"status"`  // it answers Status-Server (RFC 5997)
	TLS     RadSec `yaml:"tls"`
}

// RadSec is RADIUS over TLS (RFC 6614).
type RadSec struct {
	Name        string `yaml:"name"`        // in the server's certificate; empty: the host of the address
	CA          string `yaml:"ca"`          // PEM file
	CRL         string `yaml:"crl"`         // PEM or DER file; empty: revocation is not checked
	Certificate string `yaml:"certificate"` // ours; PEM file, leaf first
	Key         string `yaml:"key"`
}

// Dynamic is where Disconnect and CoA requests are taken (RFC 5176).
type Dynamic struct {
	Listen netip.AddrPort  `yaml:"listen"` // invalid: none are taken
	From   []DynamicSource `yaml:"from"`
}

// DynamicSource is one server that may send them.
type DynamicSource struct {
	Address netip.Addr `yaml:"address"`
	Secret  string     `yaml:"secret"` // file
}

// Bitrate is in bits per second.
type Bitrate uint64

// Policy is a built-in policy by name, or own lists of proposals in keywords
// ("aes256gcm16-prfsha384-ecp384"), best first.
type Policy struct {
	Name string   // empty: IKE and ESP hold own lists
	IKE  []string // always filled in, also for a built-in policy
	ESP  []string // likewise
}

// Identity replaces the gateway's own identity in one zone. Empty fields mean
// the gateway's name and the certificates of its own CA.
type Identity struct {
	ID          string `yaml:"id"`
	Certificate string `yaml:"certificate"` // PEM file, leaf first
	Key         string `yaml:"key"`         // PEM file
}

// Pool is where inner addresses come from. An invalid prefix means that the
// zone gives no addresses of that family.
type Pool struct {
	IPv4 netip.Prefix `yaml:"ipv4"`
	IPv6 netip.Prefix `yaml:"ipv6"`
}

// Prefixes are networks. An empty, non-nil list is "none".
type Prefixes []netip.Prefix

// DNS is what clients are told about name resolution (RFC 7296, Section
// 3.15.1; RFC 8598).
type DNS struct {
	Servers []Server `yaml:"servers"`
	Search  []string `yaml:"search"`
	Split   []string `yaml:"split"`
}

// Server is one resolver: an address, or the gateway's own inner addresses.
type Server struct {
	Gateway bool
	Addr    netip.Addr
}

// Rekey says when keys are replaced. Bytes and Packets count one direction of
// one Child SA.
type Rekey struct {
	IKE     time.Duration `yaml:"ike"`
	Child   time.Duration `yaml:"child"`
	Bytes   Size          `yaml:"bytes"`
	Packets uint64        `yaml:"packets"`
	Margin  time.Duration `yaml:"margin"`
}

// Size is a number of octets.
type Size uint64

// Trust says whose certificates are believed, beside the gateway's own CA.
type Trust struct {
	CAs    []string `yaml:"cas"`  // PEM files
	CRLs   []string `yaml:"crls"` // PEM or DER files
	Strict bool     `yaml:"strict"`
}

// Waiver lets one named rule be broken, for a reason, until a day.
type Waiver struct {
	Rule   string    `yaml:"rule"`
	Until  time.Time `yaml:"until"` // last day in force, as midnight UTC at its start
	Owner  string    `yaml:"owner"`
	Reason string    `yaml:"reason"`
	Peer   string    `yaml:"peer"` // empty: the whole zone
}

// Logging says what is logged and how.
type Logging struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Zone finds a zone by name.
func (c *Config) Zone(name string) (*Zone, bool) {
	return find(c.Zones, func(z *Zone) bool { return z.Name == name })
}

// Group finds a group by name.
func (c *Config) Group(name string) (*Group, bool) {
	return find(c.Groups, func(g *Group) bool { return g.Name == name })
}

// Realm finds the RADIUS servers of a name.
func (c *Config) Realm(name string) (*Realm, bool) {
	return find(c.RADIUS, func(r *Realm) bool { return r.Name == name })
}

func find[T any](list []T, test func(*T) bool) (*T, bool) {
	for i := range list {
		if test(&list[i]) {
			return &list[i], true
		}
	}
	return nil, false
}

// Waived tells whether the zone waives a rule for a peer at a moment. A waiver
// without a peer covers the whole zone.
func (z *Zone) Waived(rule, peer string, now time.Time) bool {
	for _, w := range z.Waivers {
		if w.Rule == rule && (w.Peer == "" || w.Peer == peer) && !w.Expired(now) {
			return true
		}
	}
	return false
}

// WaivedForAnyone tells whether a waiver of a rule counts for one peer at
// least: what has to be let through until it is known who the peer is.
func (z *Zone) WaivedForAnyone(rule string, now time.Time) bool {
	return slices.ContainsFunc(z.Waivers, func(w Waiver) bool { return w.Rule == rule && !w.Expired(now) })
}

// Expired tells whether the last day of the waiver is over (in UTC).
func (w Waiver) Expired(now time.Time) bool { return !now.Before(w.Until.AddDate(0, 0, 1)) }

// Gateway returns the gateway's own inner addresses: the first usable address
// of each family. It is never leased to a client.
func (p Pool) Gateway() []netip.Addr {
	var addrs []netip.Addr
	for _, prefix := range []netip.Prefix{p.IPv4, p.IPv6} {
		if prefix.IsValid() {
			addrs = append(addrs, prefix.Masked().Addr().Next())
		}
	}
	return addrs
}

// Resolvers returns the resolver addresses that clients of the zone are told,
// with "gateway" replaced by the gateway's inner addresses.
func (z *Zone) Resolvers() []netip.Addr { return z.ResolversOf(z.DNS) }

// ResolversOf is Resolvers for a group of the zone.
func (z *Zone) ResolversOf(dns DNS) []netip.Addr {
	var addrs []netip.Addr
	for _, s := range dns.Servers {
		if s.Gateway {
			addrs = append(addrs, z.Pool.Gateway()...)
		} else {
			addrs = append(addrs, s.Addr)
		}
	}
	return addrs
}
