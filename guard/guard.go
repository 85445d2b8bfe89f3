// Package guard holds isolated zones to what they may reach: a firewall of
// nftables as desired state, in one table of its own (inet sallyport).
//
// [Apply] replaces the whole table in one transaction, so that no packet meets
// half of it and a second run changes nothing. No other table is read or
// changed, and none is loosened: what another table drops stays dropped. Only
// packets from and to the devices of isolated zones are judged, so that the way
// to the host's management is never touched.
//
// For the device of an isolated zone holds:
//
//   - A packet from it has a source of the zone's pool.
//   - It is passed on to the networks in reach and nowhere else. Pools of other
//     zones, and the zone's own, are in reach only where they or a part of them
//     stand in reach themselves; a wider network does not open them.
//   - To the host itself it may ask DNS and send an echo request, both to the
//     resolvers alone. So no client reaches SSH, or whatever else listens.
//   - Nothing comes to it that it did not ask for: replies from networks in
//     reach, and ICMP errors about what it sent.
//
// "Asked for" is the kernel's connection tracking, which also puts fragments
// together before they are judged. On a kernel without it (CONFIG_NFT_CT) Apply
// fails: then a zone must not be served.
package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
)

// Rules are everything the firewall should hold.
type Rules struct {
	Zones []Isolation
}

// Isolation is one zone that is kept apart. Invalid prefixes stand for none, as
// in package config.
type Isolation struct {
	Device    string         // the zone's TUN device
	Pool      []netip.Prefix // the addresses of its clients
	Reach     []netip.Prefix // where they may go; none: to the resolvers alone
	Resolvers []netip.Addr   // the gateway's addresses that answer DNS and echo requests
	// Others and OtherPools are devices and pools of the other zones. Those of
	// Rules.Zones are known without them.
	Others     []string
	OtherPools []netip.Prefix
	MTU        int  // of the device; TCP segments are clamped to it (RFC 6691, Section 3); 0: they are not
	Log        bool // refused packets also go to the kernel's log, a few a minute
}

const (
	// tableName is ours; whatever stands in a table of this name is replaced.
	tableName = "sallyport"
	// longestDevice is what a name of an interface may have (IFNAMSIZ less its
	// closing zero).
	longestDevice = 15
	// smallestMTU still leaves room for the headers of IPv6 and TCP and a segment
	// of 500 octets; less is a mistake.
	smallestMTU = 576
	largestMTU  = 65535
	// buffer holds one transaction, with some fifty octets for each network in
	// reach, and the kernel's answers to it. At the default size the kernel loses
	// answers, after it has done what it was asked.
	buffer = 8 << 20
)

// Apply makes the firewall what the rules say, or fails and leaves it as it was.
// Counters begin anew. It needs CAP_NET_ADMIN and works in the network namespace
// of the calling thread.
func Apply(r Rules) error {
	if err := r.check(); err != nil {
		return err
	}
	if len(r.Zones) == 0 {
		return Remove()
	}
	c, err := open()
	if err != nil {
		return err
	}
	t := replaced(c)
	b := builder{conn: c, table: t}
	b.base(r)
	for i := range r.Zones {
		b.zone(&r.Zones[i], r.Zones)
	}
	if b.err != nil {
		return fmt.Errorf("guard: %w", b.err)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("guard: the kernel refuses the firewall of %d zones (it needs CAP_NET_ADMIN, and nf_tables with inet, ct, counter, log and limit): %w", len(r.Zones), err)
	}
	return nil
}

// Remove takes the table away. It is no error that there is none.
func Remove() error {
	c, err := open()
	if err != nil {
		return err
	}
	t := c.AddTable(ours())
	c.DelTable(t)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("guard: removing the firewall: %w", err)
	}
	return nil
}

func ours() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}
}

// replaced begins a transaction: the old table goes, whether there is one or
// not, and a new one comes.
func replaced(c *nftables.Conn) *nftables.Table {
	c.DelTable(c.AddTable(ours()))
	return c.AddTable(ours())
}

// open is a connection for one transaction. One that lasts would keep answers
// of a transaction that failed for the next.
func open() (*nftables.Conn, error) {
	c, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(buffer), c.SetWriteBuffer(buffer))
	}))
	if err != nil {
		return nil, fmt.Errorf("guard: nftables: %w", err)
	}
	return c, nil
}

func (r Rules) check() error {
	var devices []string
	for i := range r.Zones {
		z := &r.Zones[i]
		switch {
		case z.Device == "" || len(z.Device) > longestDevice:
			return fmt.Errorf("guard: %q cannot name a device", z.Device)
		case slices.Contains(devices, z.Device):
			return fmt.Errorf("guard: two zones have the device %q", z.Device)
		case !slices.ContainsFunc(z.Pool, netip.Prefix.IsValid):
			return fmt.Errorf("guard: the zone of device %q has no pool", z.Device)
		case z.MTU != 0 && (z.MTU < smallestMTU || z.MTU > largestMTU):
			return fmt.Errorf("guard: device %q: %d is no MTU", z.Device, z.MTU)
		case slices.ContainsFunc(z.Others, func(o string) bool { return o == "" || len(o) > longestDevice }):
			return fmt.Errorf("guard: device %q: the devices of other zones are %q", z.Device, z.Others)
		}
		devices = append(devices, z.Device)
	}
	return nil
}

// errNoTable tells that nothing is in force.
var errNoTable = errors.New("guard: there is no table " + tableName + ": no zone is held")
