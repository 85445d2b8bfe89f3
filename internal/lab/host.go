package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Host is one machine of the lab: its own interfaces, routes, rules and
// sockets, its own empty /run, and otherwise the files of this machine.
type Host struct {
	Name string

	lab      *Lab
	net, mnt *os.File // the two namespaces; open as long as the host lives
}

// Here returns the machine itself as a host, outside of any namespace: for a
// program that has a machine of its own, such as a guest of package linux.
func (l *Lab) Here(name string) *Host { return &Host{Name: name, lab: l} }

func newHost(l *Lab, name string) (*Host, error) {
	h := &Host{Name: name, lab: l}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		return h.furnish()
	})
	if err != nil {
		h.close()
		return nil, fmt.Errorf("lab: host %s: %w", name, err)
	}
	return h, nil
}

// furnish runs inside the new namespaces.
func (h *Host) furnish() error {
	var err error
	if h.net, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return err
	}
	if h.mnt, err = os.Open("/proc/thread-self/ns/mnt"); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for _, s := range quietKernel {
		if err := WriteSysctl(s.key, s.value); err != nil {
			return err
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// quietKernel are set before the first interface exists, because interfaces
// copy them when they are made.
var quietKernel = []struct{ key, value string }{
	{"net/ipv6/conf/all/accept_dad", "0"}, // an address is usable at once, not after a second of detection
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv6/conf/all/accept_ra", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv4/conf/all/rp_filter", "0"}, // the machine's own choice must not leak into the lab
	{"net/ipv4/conf/default/rp_filter", "0"},
}

func (h *Host) close() error {
	var errs []error
	for _, f := range []*os.File{h.net, h.mnt} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Do runs f on a thread that is inside the host's namespaces. Sockets that f
// opens stay in the host's network after it returns, and may be used anywhere.
func (h *Host) Do(f func() error) error {
	err := onThread(func() error {
		if err := h.enter(); err != nil {
			return err
		}
		return f()
	})
	if err != nil {
		return fmt.Errorf("lab: %s: %w", h.Name, err)
	}
	return nil
}

// enter moves the calling thread into the host's namespaces, for good.
func (h *Host) enter() error {
	if h.net == nil { // the machine itself
		return nil
	}
	// A thread that shares its root directory with others may not change its
	// mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(int(h.mnt.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter mount namespace: %w", err)
	}
	if err := unix.Setns(int(h.net.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	return nil
}

// onThread runs f on a thread of its own, which ends with f: Go destroys the
// thread of a goroutine that returns while locked to it.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go onFreshThread(func() { done <- f() })
	return <-done
}

// onFreshThread never uses the process's first thread, which cannot be
// destroyed and would stay in a foreign namespace.
func onFreshThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		f()
	}()
	<-done
	runtime.UnlockOSThread()
}

// Sysctl sets a kernel parameter of the host's network, such as
// "net/ipv4/ip_forward".
func (h *Host) Sysctl(key, value string) error {
	return h.Do(func() error { return WriteSysctl(key, value) })
}

// WriteSysctl is Sysctl for a function that runs in [Host.Do].
func WriteSysctl(key, value string) error {
	return os.WriteFile("/proc/sys/"+key, []byte(value), 0o644)
}

// Forward makes the host a router for IPv4 and IPv6.
func (h *Host) Forward() error {
	return h.Do(func() error {
		return errors.Join(
			WriteSysctl("net/ipv4/ip_forward", "1"),
			WriteSysctl("net/ipv6/conf/all/forwarding", "1"))
	})
}

// Mount puts an empty directory in memory over path, which must exist. Only
// this host sees it.
func (h *Host) Mount(path string) error {
	return h.Do(func() error { return unix.Mount("tmpfs", path, "tmpfs", 0, "mode=0755") })
}

// WriteFile writes a file, with the directories above it, as the host sees the
// file system. What is under /run is the host's own and never on disk.
func (h *Host) WriteFile(name string, data []byte, mode os.FileMode) error {
	return h.Do(func() error {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, data, mode)
	})
}

// ReadFile reads a file as the host sees the file system.
func (h *Host) ReadFile(path string) (data []byte, err error) {
	err = h.Do(func() error {
		data, err = os.ReadFile(path)
		return err
	})
	return data, err
}

// ReadDir reads the files of a directory, by name, as the host sees the file
// system.
func (h *Host) ReadDir(dir string) (files map[string][]byte, err error) {
	files = map[string][]byte{}
	err = h.Do(func() error {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
				break
			}
		}
		return err
	})
	return files, err
}

// AddAddr gives an interface an address with its prefix, usable at once.
func (h *Host) AddAddr(iface string, prefix netip.Prefix) error {
	return h.onLink(iface, func(link netlink.Link) error {
		return netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(prefix), Flags: unix.IFA_F_NODAD})
	})
}

// RemoveAddr takes an address away; routes through it go too.
func (h *Host) RemoveAddr(iface string, prefix netip.Prefix) error {
	return h.onLink(iface, func(link netlink.Link) error {
		return netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(prefix)})
	})
}

// Route sends packets for prefix to the neighbour via, replacing the route
// that was there.
func (h *Host) Route(prefix netip.Prefix, via netip.Addr) error {
	return h.Do(func() error {
		return netlink.RouteReplace(&netlink.Route{Dst: ipNet(prefix), Gw: via.AsSlice()})
	})
}

// SetUp brings an interface up or down.
func (h *Host) SetUp(iface string, up bool) error {
	return h.onLink(iface, func(link netlink.Link) error {
		if up {
			return netlink.LinkSetUp(link)
		}
		return netlink.LinkSetDown(link)
	})
}

// SetMTU sets an interface's MTU in octets.
func (h *Host) SetMTU(iface string, mtu int) error {
	return h.onLink(iface, func(link netlink.Link) error { return netlink.LinkSetMTU(link, mtu) })
}

// Addrs lists the host's addresses on an interface.
func (h *Host) Addrs(iface string) (addrs []netip.Prefix, err error) {
	err = h.onLink(iface, func(link netlink.Link) error {
		list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		for _, a := range list {
			if p, err := netip.ParsePrefix(a.IPNet.String()); err == nil {
				addrs = append(addrs, p)
			}
		}
		return err
	})
	return addrs, err
}

// Overflows counts the packets that the host's kernel threw away because a
// program did not read them in time: from full receive buffers of UDP sockets
// and full queues of interfaces, TUN devices among them. On a busy machine it
// tells a starved program from one that loses packets.
func (h *Host) Overflows() (n uint64, err error) {
	err = h.Do(func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			if st := l.Attrs().Statistics; st != nil {
				n += st.TxDropped
			}
		}
		v4, err4 := os.ReadFile("/proc/thread-self/net/snmp")
		v6, err6 := os.ReadFile("/proc/thread-self/net/snmp6")
		n += udpOverflows(string(v4)) + udp6Overflows(string(v6))
		return errors.Join(err4, err6)
	})
	return n, err
}

// udpOverflows finds RcvbufErrors in the two "Udp:" lines, names and values.
func udpOverflows(snmp string) uint64 {
	var names []string
	for line := range strings.Lines(snmp) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] != "Udp:":
		case names == nil:
			names = words
		default:
			if i := slices.Index(names, "RcvbufErrors"); i >= 0 && i < len(words) {
				n, _ := strconv.ParseUint(words[i], 10, 64)
				return n
			}
		}
	}
	return 0
}

func udp6Overflows(snmp6 string) uint64 {
	for line := range strings.Lines(snmp6) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "Udp6RcvbufErrors" {
			n, _ := strconv.ParseUint(words[1], 10, 64)
			return n
		}
	}
	return 0
}

func (h *Host) onLink(iface string, f func(netlink.Link) error) error {
	return h.Do(func() error {
		link, err := netlink.LinkByName(iface)
		if err != nil {
			return fmt.Errorf("interface %s: %w", iface, err)
		}
		if err := f(link); err != nil {
			return fmt.Errorf("interface %s: %w", iface, err)
		}
		return nil
	})
}

// wire joins two hosts with a cable. Each end is named after the neighbour.
func wire(a, b *Host) error {
	return a.Do(func() error {
		cable := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: b.Name, MTU: 1500},
			PeerName:      a.Name,
			PeerNamespace: netlink.NsFd(int(b.net.Fd())),
		}
		if err := netlink.LinkAdd(cable); err != nil {
			return fmt.Errorf("cable to %s: %w", b.Name, err)
		}
		return nil
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// address picks the address of one family out of a list, for hosts with one
// of each on a cable.
func address(prefixes []netip.Prefix, v6 bool) (netip.Addr, bool) {
	for _, p := range prefixes {
		if p.Addr().Is6() == v6 {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

func parsePrefixes(text string) ([]netip.Prefix, error) {
	var ps []netip.Prefix
	for _, word := range strings.Fields(text) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}
