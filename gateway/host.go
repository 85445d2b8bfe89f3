package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sallyport/config"
)

// innerLink is the TUN device as the host sees it: it carries the gateway's
// inner address of each pool, and the pool's route.
type innerLink struct {
	name  string
	mtu   int
	addrs []netip.Prefix
}

// configure gives the device the gateway addresses of these zones and takes
// away those of zones that are gone.
func (l *innerLink) configure(zones config.Zones) error {
	link, err := netlink.LinkByName(l.name)
	if err != nil {
		return fmt.Errorf("gateway: device %q: %w", l.name, err)
	}
	if err := netlink.LinkSetMTU(link, l.mtu); err != nil {
		return fmt.Errorf("gateway: MTU %d of %q: %w", l.mtu, l.name, err)
	}
	want := gatewayPrefixes(zones)
	for _, p := range l.addrs {
		if !slices.Contains(want, p) {
			netlink.AddrDel(link, linkAddr(p))
		}
	}
	for _, p := range want {
		if err := netlink.AddrReplace(link, linkAddr(p)); err != nil {
			return fmt.Errorf("gateway: setting %v on %q: %w", p, l.name, err)
		}
	}
	l.addrs = want
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("gateway: bringing %q up: %w", l.name, err)
	}
	return nil
}

// gatewayPrefixes are the gateway's own inner addresses with the length of
// their pool, which makes the kernel's route to it.
func gatewayPrefixes(zones config.Zones) (out []netip.Prefix) {
	for _, z := range zones {
		for _, p := range []netip.Prefix{z.Pool.IPv4, z.Pool.IPv6} {
			if p.IsValid() {
				out = append(out, netip.PrefixFrom(p.Masked().Addr().Next(), p.Bits()))
			}
		}
	}
	return out
}

// linkAddr has no duplicate address detection: nobody else is on a TUN device,
// and a tentative address cannot be bound for a second (RFC 4862, Section 5.4).
func linkAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

// sysctl is where the kernel's network settings of this namespace are.
const sysctl = "/proc/sys/net"

// enableForwarding lets packets from our own device be routed on. Other
// interfaces are the host's business: it changes none and says what is missing.
func enableForwarding(device string, zones config.Zones) (hints []string) {
	var v4, v6 bool
	for _, z := range zones {
		v4, v6 = v4 || z.Pool.IPv4.IsValid(), v6 || z.Pool.IPv6.IsValid()
	}
	if v4 {
		hints = append(hints, forwarding("ipv4", device, "net.ipv4.ip_forward", filepath.Join(sysctl, "ipv4/ip_forward"))...)
	}
	if v6 {
		hints = append(hints, forwarding("ipv6", device, "net.ipv6.conf.all.forwarding", filepath.Join(sysctl, "ipv6/conf/all/forwarding"))...)
	}
	return hints
}

func forwarding(family, device, key, global string) (hints []string) {
	own := filepath.Join(sysctl, family, "conf", device, "forwarding")
	if err := os.WriteFile(own, []byte("1\n"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		hints = append(hints, fmt.Sprintf("%s forwarding could not be turned on for %s: %v", family, device, err))
	}
	b, err := os.ReadFile(global)
	if err == nil && strings.TrimSpace(string(b)) == "0" {
		hints = append(hints, fmt.Sprintf("the host does not forward %s, so clients reach the gateway and nothing behind it; turn it on with: sysctl -w %s=1", family, key))
	}
	return hints
}

// listenAddrs resolves gateway.listen to addresses; none means all.
func listenAddrs(listen []config.Listen) (addrs []netip.Addr, err error) {
	for _, l := range listen {
		if l.Interface == "" {
			addrs = append(addrs, l.Addr)
			continue
		}
		of, err := interfaceAddrs(l.Interface)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, of...)
	}
	return addrs, nil
}

func interfaceAddrs(name string) (addrs []netip.Addr, err error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("gateway: gateway.listen: interface %q: %w", name, err)
	}
	list, err := i.Addrs()
	if err != nil {
		return nil, fmt.Errorf("gateway: gateway.listen: interface %q: %w", name, err)
	}
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.(*net.IPNet).IP)
		if ok && !ip.Unmap().IsLinkLocalUnicast() {
			addrs = append(addrs, ip.Unmap())
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("gateway: gateway.listen: interface %q has no address yet", name)
	}
	return addrs, nil
}
