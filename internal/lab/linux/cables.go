package linux

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sallyport/internal/lab"
)

// cable is an interface of the guest, and what the host had there.
type cable struct {
	Name   string // the neighbour's, as in the drawing
	Addrs  []netip.Prefix
	Routes []route
	MTU    int

	tap string
}

type route struct {
	To  netip.Prefix
	Via netip.Addr
}

// takeCables joins each of the host's cables to a tap for the guest, and takes
// the host's addresses and routes away.
func takeCables(h *lab.Host) (cables []cable, err error) {
	err = h.Do(func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, link := range links {
			if link.Type() != "veth" {
				continue
			}
			c := cable{Name: link.Attrs().Name, MTU: link.Attrs().MTU, tap: fmt.Sprintf("tap%d", len(cables))}
			if err := c.take(link); err != nil {
				return fmt.Errorf("interface %s: %w", c.Name, err)
			}
			if err := c.join(link, fmt.Sprintf("bridge%d", len(cables))); err != nil {
				return fmt.Errorf("interface %s: %w", c.Name, err)
			}
			cables = append(cables, c)
		}
		if cables == nil {
			return errors.New("it has no cable for the guest")
		}
		return nil
	})
	return cables, err
}

// take notes the addresses and routes and removes them; the routes go with the
// addresses.
func (c *cable) take(link netlink.Link) error {
	routes, err := netlink.RouteList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, r := range routes {
		via, ok := netip.AddrFromSlice(r.Gw)
		if !ok {
			continue
		}
		via = via.Unmap()
		to := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if via.Is6() {
			to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if r.Dst != nil {
			if to, err = netip.ParsePrefix(r.Dst.String()); err != nil {
				return err
			}
		}
		c.Routes = append(c.Routes, route{to, via})
		if err := netlink.RouteDel(&r); err != nil {
			return err
		}
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.IPNet.String())
		if err != nil || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		c.Addrs = append(c.Addrs, p)
		if err := netlink.AddrDel(link, &a); err != nil {
			return err
		}
	}
	return nil
}

// join puts the cable and a new tap on a bridge. None of the three has an
// address, so that the guest alone answers there.
func (c *cable) join(link netlink.Link, bridge string) error {
	snooping := false // it would hold back what the neighbour cannot ask for
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge, MTU: c.MTU}, MulticastSnooping: &snooping}
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: c.tap, MTU: c.MTU},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
	}
	for _, l := range []netlink.Link{br, tap} {
		if err := netlink.LinkAdd(l); err != nil {
			return fmt.Errorf("make %s: %w", l.Attrs().Name, err)
		}
	}
	for _, l := range []netlink.Link{link, tap} {
		if err := netlink.LinkSetMaster(l, br); err != nil {
			return fmt.Errorf("bridge %s: %w", l.Attrs().Name, err)
		}
	}
	for _, l := range []netlink.Link{link, tap, br} {
		if err := lab.WriteSysctl("net/ipv6/conf/"+l.Attrs().Name+"/disable_ipv6", "1"); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
	}
	return nil
}
