package userspace

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// SetUp gives the device name its MTU, addresses and routes and brings it up.
// It works in the caller's network namespace, and may be called again: what is
// there already stays.
func SetUp(name string, mtu int, addrs, routes []netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("userspace: device %q: %w", name, err)
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("userspace: device %q: MTU %d: %w", name, mtu, err)
	}
	// Up first, and no duplicate detection on a device with no neighbours:
	// otherwise IPv6 addresses cannot be used for up to a second.
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("userspace: device %q: set up: %w", name, err)
	}
	for _, a := range addrs {
		if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(a), Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("userspace: device %q: address %v: %w", name, a, err)
		}
	}
	for _, a := range addrs {
		awaitLocal(a.Addr())
	}
	for _, r := range routes {
		err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(r.Masked()), Scope: netlink.SCOPE_LINK})
		if err != nil {
			return fmt.Errorf("userspace: device %q: route %v: %w", name, r, err)
		}
	}
	return nil
}

// localWithin is far more than the kernel takes on a busy machine.
const localWithin = time.Second

// awaitLocal waits until packets to a reach this host: the kernel accepts an
// IPv6 address before it has its local route, and drops what comes meanwhile.
func awaitLocal(a netip.Addr) {
	for end := time.Now().Add(localWithin); time.Now().Before(end); time.Sleep(time.Millisecond) {
		routes, err := netlink.RouteGet(a.AsSlice())
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return
		}
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
