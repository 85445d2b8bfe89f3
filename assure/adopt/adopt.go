// Package adopt turns what was read of another product into a configuration of
// Sallyport: zones, pools, resolvers, routes and lifetimes as text for a person
// to go on with, users and device keys as files for the verbs that take them,
// and a list that says of everything in the source what became of it.
//
// Nothing is made weaker to fit. What the gateway refuses is left out, with the
// reason and with what to do; no waiver is ever written, because a waiver is a
// person's word.
package adopt

import (
	"cmp"
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
)

// Result is what became of one host.
type Result struct {
	Host  string
	Zones []string
	Items []Item
	Users []User
	Keys  []DeviceKey // pre-shared keys of single peers
	Files []SecretFile

	config *draft
}

// User is one entry of the list for "sallyport user import".
type User struct {
	Name     string
	Password secret.Bytes
	Zone     string // empty: there is one zone that users can come to
	Inner    []netip.Addr
}

// DeviceKey is a pre-shared key for "sallyport device add --psk-file".
type DeviceKey struct {
	Name    string // for the device, and for the file
	Address string // the outer address or network it comes from; empty: any
	Zone    string
	Key     secret.Bytes
}

// SecretFile is a file that the configuration names by its path.
type SecretFile struct {
	Name  string // below the directory that the configuration is written to
	Value secret.Bytes
}

// draft is the configuration on its way.
type draft struct {
	name   string // of the gateway; empty: not known
	names  []string
	zones  []*zone
	radius []string // addresses of servers
	acct   bool
}

// zone is one zone on its way. Zero values are left to the defaults.
type zone struct {
	name     string
	l2tp     bool
	from     []string // what it was made of
	auth     []string
	machine  []string
	radius   bool
	ike, esp []string
	v4, v6   netip.Prefix
	dns      []string
	routes   []netip.Prefix
	reach    []netip.Prefix
	mayReach []netip.Prefix // hints, which are not in force
	listen   []netip.Addr
	mtu      int
	nums     map[string]string // rekey.ike, dpd and the like, by key
	trust    []string
}

// adopter works on one host.
type adopter struct {
	host  *posture.Host
	draft *draft
	out   *Result

	// What would be looked for again and again; files may hold very much.
	known   map[told]bool              // lines of subjects that have a fate
	own     map[string]bool            // identities of our side
	names   map[string]bool            // of device keys
	inUse   map[netip.Addr]bool        // addresses of users
	logins  map[string]bool            // names of users
	taken   map[[sha256.Size]byte]bool // of users, as hashes
	singles bool                       // there are keys of single peers
}

// told is a line of a subject.
type told struct {
	at      posture.Pos
	subject string
}

func newAdopter(h *posture.Host) *adopter {
	a := &adopter{host: h, draft: &draft{}, out: &Result{Host: h.Name}, known: map[told]bool{}, own: map[string]bool{}, names: map[string]bool{}, inUse: map[netip.Addr]bool{}, logins: map[string]bool{}, taken: map[[sha256.Size]byte]bool{}}
	a.out.config = a.draft
	for _, c := range h.Connections {
		for _, l := range c.Local {
			a.own[strings.TrimPrefix(l.ID.V, "@")] = true
		}
	}
	a.singles = slices.ContainsFunc(h.Secrets, a.ofOne)
	return a
}

// Reader gives the text of a file of a host by the name that it is shown by; nil
// where there is none.
type Reader func(file string) []byte

// Host works out what becomes of a host. With a reader, lines that a posture has
// no place for are listed, too.
func Host(h *posture.Host, read Reader) *Result {
	a := newAdopter(h)
	a.connections()
	a.listeners()
	a.anyName()
	a.servers()
	a.settle()
	a.users()
	a.keys()
	a.rest()
	a.notes()
	if read != nil {
		a.lines(read)
	}
	for _, z := range a.draft.zones {
		a.out.Zones = append(a.out.Zones, z.name)
	}
	slices.SortStableFunc(a.out.Items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(x.At.File, y.At.File), cmp.Compare(x.At.Line, y.At.Line), cmp.Compare(x.At.Col, y.At.Col))
	})
	return a.out
}

// Empty tells whether nothing of the host can be served.
func (r *Result) Empty() bool { return len(r.Zones) == 0 }

// mostZones is what a configuration may have.
const mostZones = 100

// connections sorts the IKE connections: IKEv2 first, so that those of IKEv1
// join a zone that is there.
func (a *adopter) connections() {
	var order []*posture.Connection
	for i := range a.host.Connections {
		order = append(order, &a.host.Connections[i])
	}
	slices.SortStableFunc(order, func(x, y *posture.Connection) int { return first(x) - first(y) })
	for _, c := range order {
		switch kind, why, do := a.kind(c); kind {
		case clientsIKE:
			a.ikev2(c)
		case clientsL2TP:
			a.l2tp(c)
		default:
			a.left(c.Subject, why, do)
		}
	}
}

func first(c *posture.Connection) int {
	if posture.Is(c.V2, true) {
		return 0
	}
	return 1
}

// kind is what a connection is for.
type kind int

const (
	notServed kind = iota
	clientsIKE
	clientsL2TP
)

// kind tells a connection for clients from what the gateway does not serve.
func (a *adopter) kind(c *posture.Connection) (k kind, why, do string) {
	l2tp := slices.ContainsFunc(c.Children, func(ch posture.Child) bool { return ch.L2TP })
	pool := len(c.Pool.V) > 0
	switch {
	case c.Disabled:
		return notServed, "the source does not load it", ""
	case c.Shunt, posture.Is(c.V1, false) && posture.Is(c.V2, false):
		return notServed, "it is a rule for packets and no tunnel", "keep such a rule in the firewall"
	case c.AsksAddress.V:
		return notServed, "here the host is the client of another gateway", "connect with: sallyport connect"
	case l2tp && c.Role.V&posture.Answers == 0 && c.Role.Known():
		return notServed, "here the host is the L2TP client of another gateway", "connect with: sallyport connect, by IKEv2"
	case l2tp:
		return clientsL2TP, "", ""
	case pool || posture.Is(c.AnyPeer, true):
		return clientsIKE, "", ""
	}
	return notServed, "a tunnel between two sites: the gateway serves clients, each with an address of its pools, and no networks behind a peer",
		"keep it on the old product, or give the other site a client: sallyport device add"
}

// zoneOf finds a zone by name.
func (d *draft) zoneOf(name string) *zone {
	i := slices.IndexFunc(d.zones, func(z *zone) bool { return z.name == name })
	if i < 0 {
		return nil
	}
	return d.zones[i]
}

// newZone makes a zone with a name of its own.
func (d *draft) newZone(wish string, l2tp bool) *zone {
	base := label(wish)
	name := base
	for n := 2; d.zoneOf(name) != nil; n++ {
		name = base + "-" + itoa(n)
	}
	z := &zone{name: name, l2tp: l2tp, nums: map[string]string{}}
	d.zones = append(d.zones, z)
	return z
}

// label makes a zone's or a device's name of any text: lower-case letters,
// digits and hyphens.
func label(text string) string {
	const longest = 32
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case b.Len() == longest:
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := strings.Trim(b.String(), "-")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return strings.TrimSuffix("zone-"+name, "-")
	}
	return name
}

// settle decides what needs all zones: whether pools are apart, and who judges
// logins.
func (a *adopter) settle() {
	a.apart()
	a.alike()
	byRADIUS := slices.ContainsFunc(a.draft.zones, func(z *zone) bool { return z.radius && !z.l2tp })
	for _, z := range a.draft.zones {
		if byRADIUS && !z.l2tp && slices.ContainsFunc(z.auth, isEAP) {
			z.radius = true // clients meet the gateway by one name, and logins are judged in one place
		}
		if len(a.draft.radius) == 0 {
			z.radius = false
		}
		z.consistent()
	}
}

func isEAP(method string) bool { return method != "certificate" && method != "psk" }

// apart gives a zone another pool when an earlier one has it.
func (a *adopter) apart() {
	for i, z := range a.draft.zones {
		for _, other := range a.draft.zones[:i] {
			if z.v4.IsValid() && other.v4.IsValid() && z.v4.Overlaps(other.v4) {
				a.moved(z, &z.v4, a.draft.free())
			}
			if z.v6.IsValid() && other.v6.IsValid() && z.v6.Overlaps(other.v6) {
				a.moved(z, &z.v6, netip.Prefix{})
			}
		}
		if !z.v4.IsValid() {
			z.v4 = a.draft.free()
		}
	}
}

func (a *adopter) moved(z *zone, pool *netip.Prefix, to netip.Prefix) {
	became := to.String()
	if !to.IsValid() {
		became = "none of that family"
	}
	a.add(Item{Fate: Changed, Subject: "zone " + z.name, What: "pool " + pool.String(), Became: became, Why: "another zone has these addresses, and two zones must not share them",
		Do: "let firewall rules for the old addresses know the new ones"})
	*pool = to
}

// free is a private network that no zone has yet.
func (d *draft) free() netip.Prefix {
	for n := range 190 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(60 + n), 0, 0}), 16)
		if !slices.ContainsFunc(d.zones, func(z *zone) bool { return z.v4.IsValid() && z.v4.Overlaps(p) }) {
			return p
		}
	}
	return netip.Prefix{}
}

// anyName is a name of the gateway from connections that are not served.
func (a *adopter) anyName() {
	for _, c := range a.host.Connections {
		for _, l := range c.Local {
			if a.draft.name == "" && !c.AsksAddress.V && l.ID.Origin == posture.Explicit {
				a.ownName(c.Subject, l.ID)
			}
		}
	}
}

// alike gives all IKEv2 zones what counts for them together: a client is met
// before its zone is known.
func (a *adopter) alike() {
	var zones []*zone
	for _, z := range a.draft.zones {
		if !z.l2tp {
			zones = append(zones, z)
		}
	}
	if len(zones) < 2 {
		return
	}
	for _, common := range []struct {
		key   string
		usual time.Duration
	}{{"rekey.ike", 4 * time.Hour}, {"dpd", time.Minute}} {
		key, usual := common.key, common.usual
		least := time.Duration(0)
		for _, z := range zones {
			d, err := time.ParseDuration(z.nums[key])
			if err != nil {
				d = usual
			}
			if least == 0 || d < least {
				least = d
			}
		}
		for _, z := range zones {
			if before := cmp.Or(z.nums[key], brief(usual)); before != brief(least) {
				a.add(Item{Fate: Changed, Subject: "zone " + z.name, What: key + ": " + before, Became: key + ": " + brief(least), Why: "a client is met before its zone is known, so the shortest of all zones counts"})
			}
			z.nums[key] = brief(least)
		}
	}
	roams := slices.ContainsFunc(zones, func(z *zone) bool { return z.nums["mobike"] != "false" })
	for _, z := range zones {
		if roams && z.nums["mobike"] == "false" {
			delete(z.nums, "mobike")
			a.add(Item{Fate: Changed, Subject: "zone " + z.name, What: "mobike: false", Became: "mobike: true", Why: "a client is met before its zone is known, and another zone has it"})
		}
	}
}
