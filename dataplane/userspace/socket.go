package userspace

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketBuffer is asked of the kernel for each direction: at 5 Gbit/s it holds
// 13 ms, longer than a worker is ever away.
const socketBuffer = 8 << 20

// datagramMax is the largest UDP payload, also of a GSO or GRO train.
const datagramMax = 65507

// trainMax is how many packets one UDP_SEGMENT send may hold: UDP_MAX_SEGMENTS
// of kernels before 6.6.
const trainMax = 64

// mmsghdr is struct mmsghdr of sendmmsg(2) and recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// socket is one non-blocking socket, parked on Go's network poller. Reads are
// made by one goroutine; writes may come from several and are serialised by
// the file.
type socket struct {
	file  *os.File
	raw   syscall.RawConn
	local netip.AddrPort // as bound; raw ESP sockets have port 0

	in  call
	out call
}

// call is one system call in progress. The closure is made once, so that a
// call allocates nothing.
type call struct {
	msgs []mmsghdr
	n    int
	err  error
	f    func(fd uintptr) bool
}

func newSocket(fd int, local netip.AddrPort) (*socket, error) {
	s := &socket{local: local, file: os.NewFile(uintptr(fd), "udp "+local.String())}
	raw, err := s.file.SyscallConn()
	if err != nil {
		s.file.Close()
		return nil, err
	}
	s.raw = raw
	s.in.f = func(fd uintptr) bool { return s.in.try(unix.SYS_RECVMMSG, fd) }
	s.out.f = func(fd uintptr) bool { return s.out.try(unix.SYS_SENDMMSG, fd) }
	return s, nil
}

func (c *call) try(trap, fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&c.msgs[0])), uintptr(len(c.msgs)), 0, 0, 0)
		switch errno {
		case 0:
			c.n, c.err = int(n), nil
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		default:
			c.n, c.err = 0, errno
		}
		return true
	}
}

// receive waits for datagrams and fills msgs. It returns how many came.
func (s *socket) receive(msgs []mmsghdr) (int, error) {
	s.in.msgs = msgs
	if err := s.raw.Read(s.in.f); err != nil {
		return 0, err
	}
	return s.in.n, s.in.err
}

// send hands messages to the kernel and returns how many it took; the error
// belongs to the first that it did not take.
func (s *socket) send(c *call, msgs []mmsghdr) (int, error) {
	c.msgs = msgs
	if err := s.raw.Write(c.f); err != nil {
		return 0, err
	}
	return c.n, c.err
}

// newSendCall is a call that one goroutine uses for every socket it sends on.
func newSendCall() *call {
	c := &call{}
	c.f = func(fd uintptr) bool { return c.try(unix.SYS_SENDMMSG, fd) }
	return c
}

func (s *socket) close() error { return s.file.Close() }

// socketOptions say how to open a socket.
type socketOptions struct {
	raw       bool // ESP as IP protocol 50 instead of UDP
	reusePort bool
	gro       bool
	mark      uint32
}

// openSocket binds a socket. IPv4 leaves the DF bit clear: an outer packet
// larger than the path is fragmented on the way instead of lost, whatever
// happens to ICMP (RFC 4459, Section 3.1). Inner packets are sized so that this
// does not happen on a path of the expected MTU.
func openSocket(local netip.AddrPort, o socketOptions) (*socket, error) {
	family, kind, proto, name := unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP, "UDP"
	if local.Addr().Is6() {
		family = unix.AF_INET6
	}
	if o.raw {
		kind, proto, name = unix.SOCK_RAW, unix.IPPROTO_ESP, "raw ESP"
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return nil, fmt.Errorf("userspace: %s socket for %v: %w", name, local, err)
	}
	if err := setUp(fd, local, o); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("userspace: %s %v: %w", name, local, err)
	}
	return newSocket(fd, local)
}

func setUp(fd int, local netip.AddrPort, o socketOptions) error {
	setBuffers(fd)
	for _, opt := range o.list(local.Addr().Is6()) {
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, opt.value); err != nil {
			return fmt.Errorf("%s: %w", opt.title, err)
		}
	}
	switch err := unix.Bind(fd, sockaddr(local)); {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("bind: %w (is another IKE daemon running on this host?)", err)
	case err != nil:
		return fmt.Errorf("bind: %w", err)
	}
	if o.gro {
		// Before Linux 5.0 the option does not exist: then each datagram comes alone.
		_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1)
	}
	return nil
}

type sockopt struct {
	title              string
	level, name, value int
}

func (o *socketOptions) list(v6 bool) []sockopt {
	list := []sockopt{
		{"IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT},
		{"IP_PKTINFO", unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{"IP_RECVTOS", unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
	}
	if v6 {
		list = []sockopt{
			{"IPV6_MTU_DISCOVER", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT},
			{"IPV6_RECVPKTINFO", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{"IPV6_RECVTCLASS", unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
		}
	}
	if v6 && !o.raw { // a raw socket refuses the option, and carries one family anyway
		list = append(list, sockopt{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1})
	}
	if o.mark != 0 {
		list = append(list, sockopt{"SO_MARK", unix.SOL_SOCKET, unix.SO_MARK, int(o.mark)})
	}
	if o.reusePort {
		list = append(list, sockopt{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	return list
}

// setBuffers asks for large buffers; without the right to exceed the system's
// limit it takes what there is.
func setBuffers(fd int) {
	for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], socketBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], socketBuffer)
		}
	}
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// temporary tells whether a receive error says nothing about the socket: an
// ICMP error for an earlier datagram, or a shortage that passes.
func temporary(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) ||
		errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENETDOWN)
}
