package userspace

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// defaultPathMTU is assumed where the kernel tells nothing.
const defaultPathMTU = 1500

// pathMeter asks the kernel for the MTU towards a peer: that of the route, with
// what ICMP has taught it (RFC 1191, RFC 8201), or of the link. Its netlink
// socket belongs to the network namespace in which the plane was opened.
type pathMeter struct {
	mu   sync.Mutex
	h    *netlink.Handle
	mark uint32
}

func newPathMeter(mark uint32) (*pathMeter, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("userspace: netlink: %w", err)
	}
	return &pathMeter{h: h, mark: mark}, nil
}

func (m *pathMeter) measure(local, remote netip.Addr) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &netlink.RouteGetOptions{Mark: m.mark}
	if local.IsValid() && !local.IsUnspecified() {
		o.SrcAddr = net.IP(local.AsSlice())
	}
	routes, err := m.h.RouteGetWithOptions(net.IP(remote.AsSlice()), o)
	if err != nil || len(routes) == 0 {
		return defaultPathMTU
	}
	if routes[0].MTU > 0 {
		return routes[0].MTU
	}
	link, err := m.h.LinkByIndex(routes[0].LinkIndex)
	if err != nil || link.Attrs().MTU <= 0 {
		return defaultPathMTU
	}
	return min(link.Attrs().MTU, 65535)
}

func (m *pathMeter) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.h.Close()
}

// remeasure looks again at the path of sa, after the kernel refused a packet.
// It runs beside the worker, at most once a second for each SA.
func (p *Plane) remeasure(sa *childSA) {
	now, last := seconds(p.elapsed()), sa.measured.Load()
	if now == last || !sa.measured.CompareAndSwap(last, now) {
		return
	}
	p.workers.Go(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.closed.Load() || sa.stopped.Load() {
			return
		}
		pa := sa.path.Load()
		if err := p.setPath(sa, pa.local, pa.remote); err != nil {
			p.log.Warn("userspace: cannot measure a path again", "error", err)
		}
	})
}
