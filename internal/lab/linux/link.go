package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// linkArg is what a link that comes up is judged by.
type linkArg struct {
	PPPMark, L2TPMark int // where the present attempt begins in the logs
	IPv6, DNS         bool
	Routes            []netip.Prefix
}

// terminated are the last words of pppd.
const terminated = "Connection terminated."

// over are the words of xl2tpd for an attempt that has come to its end.
var over = regexp.MustCompile(`(?m)Connection (\d+ )?closed to .*|Maximum retries exceeded.*|Call \d+ to .* disconnected`)

// awaitLink waits until the PPP device has its addresses.
var awaitLink = Inside("await the link", func(ctx context.Context, a linkArg) (Link, error) {
	var l Link
	failed := false
	err := poll(ctx, func() bool {
		var ok bool
		if l, ok = readLink(); ok && (!a.IPv6 || l.LinkLocal.IsValid()) && routed(a.Routes) {
			return true
		}
		failed = strings.Contains(since(pppLog, a.PPPMark), terminated) || over.MatchString(since(l2tpLog, a.L2TPMark))
		return failed
	})
	if err == nil && failed {
		err = errors.New("the connection ended before it was up")
	}
	if err != nil {
		return l, fmt.Errorf("%w\nxl2tpd:\n%s\npppd:\n%s", err,
			lastLines([]byte(since(l2tpLog, a.L2TPMark)), 25), lastLines([]byte(since(pppLog, a.PPPMark)), 40))
	}
	if a.DNS {
		l.DNS, err = nameServers("/etc/ppp/resolv.conf")
	}
	return l, err
})

func since(log string, mark int) string {
	text, _ := os.ReadFile(log)
	return string(text[min(mark, len(text)):])
}

// readLink looks at the device; ok is false as long as it has no IPv4 address.
func readLink() (l Link, ok bool) {
	link, err := netlink.LinkByName(pppDevice)
	if err != nil {
		return l, false
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return l, false
	}
	l.MTU = link.Attrs().MTU
	for _, a := range list {
		local, _ := netip.AddrFromSlice(a.IP)
		switch {
		case local.Unmap().Is4():
			l.Local = local.Unmap()
			if a.Peer != nil {
				peer, _ := netip.AddrFromSlice(a.Peer.IP)
				l.Peer = peer.Unmap()
			}
		case local.IsLinkLocalUnicast():
			l.LinkLocal = local
		}
	}
	// pppd sets the address twice, first without the peer's.
	return l, l.Peer.IsValid() && l.Peer != l.Local
}

// routed says whether the device has all of the routes: pppd's script sets them
// when the address is there already.
func routed(want []netip.Prefix) bool {
	link, err := netlink.LinkByName(pppDevice)
	if err != nil {
		return false
	}
	have, err := netlink.RouteList(link, netlink.FAMILY_ALL)
	return err == nil && !slices.ContainsFunc(want, func(w netip.Prefix) bool {
		return !slices.ContainsFunc(have, func(r netlink.Route) bool {
			return r.Dst == nil && w.Bits() == 0 || r.Dst != nil && r.Dst.String() == w.Masked().String()
		})
	})
}

// nameServers reads what pppd wrote for usepeerdns.
func nameServers(name string) (servers []netip.Addr, err error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // none were given
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "nameserver" {
			a, err := netip.ParseAddr(words[1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			servers = append(servers, a)
		}
	}
	return servers, err
}

type saArg struct {
	Mark int // where to begin in the log
	What string
}

// awaitSA waits until strongSwan says that an SA is established.
var awaitSA = Inside("await an SA", func(ctx context.Context, a saArg) (struct{}, error) {
	made := regexp.MustCompile(regexp.QuoteMeta(a.What) + ".* established")
	err := poll(ctx, func() bool { return made.MatchString(since(charonLog, a.Mark)) })
	if err != nil {
		err = fmt.Errorf("no new %s: %w\n%s", a.What, err, lastLines([]byte(since(charonLog, a.Mark)), 40))
	}
	return struct{}{}, err
})

// awaitDown waits until the PPP device is gone.
var awaitDown = Inside("await the end of the link", func(ctx context.Context, _ struct{}) (struct{}, error) {
	err := poll(ctx, func() bool {
		var missing netlink.LinkNotFoundError
		_, err := netlink.LinkByName(pppDevice)
		return errors.As(err, &missing)
	})
	if err != nil {
		err = fmt.Errorf("%s is still there: %w\n%s", pppDevice, err, lastLines([]byte(since(pppLog, 0)), 20))
	}
	return struct{}{}, err
})

// awaitNoPPPD waits until no pppd runs.
var awaitNoPPPD = Inside("await the end of pppd", func(ctx context.Context, _ struct{}) (struct{}, error) {
	err := poll(ctx, func() bool {
		names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		return !slices.ContainsFunc(names, func(name string) bool {
			line, _ := os.ReadFile(name) // one that only waits to be reaped has none
			program, _, _ := strings.Cut(string(line), "\x00")
			return filepath.Base(program) == "pppd"
		})
	})
	if err != nil {
		err = fmt.Errorf("a pppd of an earlier call still runs: %w", err)
	}
	return struct{}{}, err
})

// awaitIPv6 waits until the PPP device has an address beyond the link.
var awaitIPv6 = Inside("await IPv6", func(ctx context.Context, _ struct{}) (addr netip.Addr, err error) {
	err = poll(ctx, func() bool {
		list, err := here.Addrs(pppDevice)
		for _, p := range list {
			if a := p.Addr(); err == nil && a.Is6() && !a.IsLinkLocalUnicast() {
				addr = a
			}
		}
		return addr.IsValid()
	})
	return addr, err
})

// routeAround gives the server a route of its own, the present one.
var routeAround = Inside("route around the tunnel", func(_ context.Context, server netip.Addr) (struct{}, error) {
	routes, err := netlink.RouteGet(server.AsSlice())
	if err != nil {
		return struct{}{}, err
	}
	via, ok := netip.AddrFromSlice(routes[0].Gw)
	if !ok {
		return struct{}{}, nil // a neighbour
	}
	return struct{}{}, here.Route(netip.PrefixFrom(server, server.BitLen()), via.Unmap())
})
