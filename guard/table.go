package guard

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// builder puts a table together. The first error stays.
type builder struct {
	conn  *nftables.Conn
	table *nftables.Table
	err   error
}

// base makes the two chains that the kernel calls. They send packets of our
// devices to the chains of their zones and accept all others, which is no more
// than to leave them to the other tables.
func (b *builder) base(r Rules) {
	accept := nftables.ChainPolicyAccept
	hook := func(name string, at *nftables.ChainHook) *nftables.Chain {
		return b.conn.AddChain(&nftables.Chain{Table: b.table, Name: name, Type: nftables.ChainTypeFilter, Hooknum: at, Priority: nftables.ChainPriorityFilter, Policy: &accept})
	}
	forward, input := hook("forward", nftables.ChainHookForward), hook("input", nftables.ChainHookInput)
	for _, z := range r.Zones {
		for _, way := range []string{"from-", "to-", "host-"} {
			b.conn.AddChain(&nftables.Chain{Table: b.table, Name: way + z.Device})
		}
	}
	for _, z := range r.Zones { // both are asked where a packet goes from one zone to another
		b.rule(forward, "", from(z.Device), match{jump("from-" + z.Device)})
	}
	for _, z := range r.Zones {
		b.rule(forward, "", to(z.Device), match{jump("to-" + z.Device)})
		b.rule(input, "", from(z.Device), match{jump("host-" + z.Device)})
	}
}

// zone fills the sets and the chains of one zone.
func (b *builder) zone(z *Isolation, all []Isolation) {
	others, closed := neighbours(z, all)
	b.devices("others-"+z.Device, others)
	for _, v6 := range []bool{false, true} {
		reach, opened := allowed(spans(z.Reach, v6), spans(closed, v6))
		b.addresses(setName("pool", z, v6), spans(z.Pool, v6), v6)
		b.addresses(setName("reach", z, v6), reach, v6)
		b.addresses(setName("opened", z, v6), opened, v6)
		b.addresses(setName("resolvers", z, v6), spans(hosts(z.Resolvers), v6), v6)
	}
	b.fromZone(z)
	b.toZone(z)
	b.toHost(z)
}

// neighbours are the devices and pools that only reach itself can open: those of
// all other zones, and the zone's own, which keeps its clients from each other.
func neighbours(z *Isolation, all []Isolation) (devices []string, pools []netip.Prefix) {
	devices, pools = slices.Clone(z.Others), slices.Clone(z.OtherPools)
	for _, o := range all {
		devices, pools = append(devices, o.Device), append(pools, o.Pool...)
	}
	slices.Sort(devices)
	return slices.Compact(devices), pools
}

func hosts(addrs []netip.Addr) (prefixes []netip.Prefix) {
	for _, a := range addrs {
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	return prefixes
}

// fromZone judges what clients send past the host. It asks for no state: a
// connection that reach does not cover any more ends with the next packet.
func (b *builder) fromZone(z *Isolation) {
	c := b.chain("from-", z)
	b.bothFamilies(func(v6 bool) { b.drop(c, z, "source is not of the pool", source.out(setName("pool", z, v6), v6)) })
	b.bothFamilies(func(v6 bool) {
		b.drop(c, z, "to the device of another zone", toOneOf("others-"+z.Device), destination.out(setName("opened", z, v6), v6))
	})
	b.bothFamilies(func(v6 bool) { b.drop(c, z, "out of reach", destination.out(setName("reach", z, v6), v6)) })
	b.clamp(c, z)
	b.pass(c, "sent")
}

// toZone lets in what clients asked for: replies from where they may go, and
// errors about what they sent, which come from any router on the way.
func (b *builder) toZone(z *Isolation) {
	c := b.chain("to-", z)
	b.clamp(c, z)
	b.bothFamilies(func(v6 bool) {
		b.pass(c, "replies", state(expr.CtStateBitESTABLISHED), source.in(setName("reach", z, v6), v6))
	})
	for _, icmp := range []byte{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
		b.pass(c, "errors", state(expr.CtStateBitRELATED), protocol(icmp))
	}
	b.pass(c, "within the zone", from(z.Device)) // from-DEVICE let it pass, so that reach names the pool
	b.drop(c, z, "not asked for")
}

// toHost judges what clients send to the host itself. What the host began, such
// as an echo request of its own, may be answered.
func (b *builder) toHost(z *Isolation) {
	c := b.chain("host-", z)
	b.bothFamilies(func(v6 bool) { b.drop(c, z, "source is not of the pool", source.out(setName("pool", z, v6), v6)) })
	b.bothFamilies(func(v6 bool) {
		b.drop(c, z, "to another address of the host", destination.out(setName("resolvers", z, v6), v6))
	})
	b.pass(c, "answers to the host", state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED))
	b.pass(c, "DNS", protocol(unix.IPPROTO_UDP), port(portDNS))
	b.pass(c, "DNS over TCP", protocol(unix.IPPROTO_TCP), port(portDNS))
	b.pass(c, "echo requests", protocol(unix.IPPROTO_ICMP), icmpType(echoRequest))
	b.pass(c, "echo requests", protocol(unix.IPPROTO_ICMPV6), icmpType(echoRequest6))
	b.drop(c, z, "to another service of the host")
}

const (
	portDNS      = 53
	echoRequest  = 8   // RFC 792
	echoRequest6 = 128 // RFC 4443, Section 4.1
)

// clamp keeps the segments of TCP within the device, whatever the ends make of
// "packet too big" (RFC 6691, Section 3).
func (b *builder) clamp(c *nftables.Chain, z *Isolation) {
	const headers4, headers6 = 40, 60
	if z.MTU == 0 {
		return
	}
	b.rule(c, "", family(false), syn(), maxSegment(uint16(z.MTU-headers4)))
	b.rule(c, "", family(true), syn(), maxSegment(uint16(z.MTU-headers6)))
}

func (b *builder) bothFamilies(do func(v6 bool)) {
	do(false)
	do(true)
}

// pass ends the chain for packets that fulfil all conditions; the next chain, or
// the next table, may still refuse them.
func (b *builder) pass(c *nftables.Chain, why string, conditions ...match) {
	b.rule(c, why, append(conditions, match{counted(), verdict(expr.VerdictReturn)})...)
}

func (b *builder) drop(c *nftables.Chain, z *Isolation, why string, conditions ...match) {
	if z.Log {
		b.rule(c, "", append(slices.Clone(conditions), logged(fmt.Sprintf("sallyport %s: %s: ", z.Device, why)))...)
	}
	b.rule(c, why, append(conditions, match{counted(), verdict(expr.VerdictDrop)})...)
}

// rule adds a rule; its comment is what Counts calls it.
func (b *builder) rule(c *nftables.Chain, comment string, parts ...match) {
	r := &nftables.Rule{Table: b.table, Chain: c, Exprs: slices.Concat(parts...)}
	if comment != "" {
		r.UserData = userdata.AppendString(nil, userdata.TypeComment, comment)
	}
	b.conn.AddRule(r)
}

func (b *builder) chain(way string, z *Isolation) *nftables.Chain {
	return &nftables.Chain{Table: b.table, Name: way + z.Device}
}

func setName(what string, z *Isolation, v6 bool) string {
	if v6 {
		return what + "6-" + z.Device
	}
	return what + "4-" + z.Device
}

func (b *builder) devices(name string, devices []string) {
	set := &nftables.Set{Table: b.table, Name: name, KeyType: nftables.TypeIFName}
	var elements []nftables.SetElement
	for _, d := range devices {
		elements = append(elements, nftables.SetElement{Key: ifname(d)})
	}
	b.set(set, elements)
}

// addresses makes a set of intervals.
func (b *builder) addresses(name string, list []span, v6 bool) {
	set := &nftables.Set{Table: b.table, Name: name, KeyType: nftables.TypeIPAddr, Interval: true}
	if v6 {
		set.KeyType = nftables.TypeIP6Addr
	}
	var elements []nftables.SetElement
	for _, s := range merged(list) {
		elements = append(elements, nftables.SetElement{Key: s.first.AsSlice()})
		if end := s.last.Next(); end.IsValid() { // else the interval goes to the end of the address space
			elements = append(elements, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}
	b.set(set, elements)
}

// chunk is how many elements one message carries: its list has at most 64 KiB,
// and an element of IPv6 has under 50 octets.
const chunk = 1000

func (b *builder) set(set *nftables.Set, elements []nftables.SetElement) {
	b.keep(b.conn.AddSet(set, nil))
	for part := range slices.Chunk(elements, chunk) {
		b.keep(b.conn.SetAddElements(set, part))
	}
}

func (b *builder) keep(err error) {
	if b.err == nil {
		b.err = err
	}
}
