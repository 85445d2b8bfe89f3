package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// Bounds of the forwarder. It hears only what comes out of the tunnel device, so
// its users are authenticated devices; the bounds keep one of them from starving
// others.
const (
	maxQueries   = 512             // answered at once; more are dropped, resolvers retry
	queryTimeout = 4 * time.Second // stub resolvers ask again after 5 s
)

// forwarder is the resolver that zones announce with the DNS server `gateway`:
// it passes queries on to the host's own resolvers. It keeps no cache: those
// behind it do.
type forwarder struct {
	addrs   []netip.Addr
	device  string // whose packets alone are answered; empty: any
	path    string // of the host's resolv.conf
	servers []*dns.Server
	slots   chan struct{}
	log     *slog.Logger

	mu        sync.Mutex
	read      time.Time // when path was read last
	upstreams []string  // host:port
}

// resolvConf is where the host names its resolvers.
const resolvConf = "/etc/resolv.conf"

// reread is how long a change of resolv.conf, as by DHCP, may take to be seen.
const reread = 5 * time.Second

// current returns the host's resolvers as of now.
func (f *forwarder) current() ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.upstreams) > 0 && time.Since(f.read) < reread {
		return f.upstreams, nil
	}
	upstreams, err := upstreamsOf(f.path, f.addrs)
	if err == nil {
		f.upstreams, f.read = upstreams, time.Now()
	}
	return f.upstreams, err
}

// upstreamsOf reads a resolv.conf and leaves out our own addresses, which
// would be a loop.
func upstreamsOf(path string, own []netip.Addr) ([]string, error) {
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("gateway: DNS forwarder: reading %s: %w", path, err)
	}
	var list []string
	for _, s := range conf.Servers {
		a, err := netip.ParseAddr(s)
		if err != nil || slices.Contains(own, a.WithZone("")) {
			continue
		}
		list = append(list, net.JoinHostPort(s, conf.Port))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("gateway: DNS forwarder: %s names no resolver that could be asked", path)
	}
	return list, nil
}

// forward starts a forwarder on port 53 of each address, UDP and TCP.
func forward(addrs []netip.Addr, device, path string, log *slog.Logger) (*forwarder, error) {
	f := &forwarder{addrs: addrs, device: device, path: path, slots: make(chan struct{}, maxQueries), log: log}
	if _, err := f.current(); err != nil {
		log.Warn("queries of clients fail until the host has a resolver", "err", err)
	}
	for _, a := range addrs {
		if err := f.listen(netip.AddrPortFrom(a, 53)); err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

// bind keeps neighbours of the host out. An inner address is an address of the
// whole host: anybody on a network of its can send packets to it, and would
// find an open resolver.
func (f *forwarder) bind(_, _ string, c syscall.RawConn) error {
	if f.device == "" {
		return nil
	}
	var err error
	if failed := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), f.device) }); failed != nil {
		return failed
	}
	return err
}

func (f *forwarder) listen(at netip.AddrPort) error {
	sockets := net.ListenConfig{Control: f.bind}
	pc, err := sockets.ListenPacket(context.Background(), "udp", at.String())
	if err != nil {
		return unheard(at, err)
	}
	tl, err := sockets.Listen(context.Background(), "tcp", at.String())
	if err != nil {
		pc.Close()
		return unheard(at, err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Net: "udp"}, {Listener: tl, Net: "tcp"}} {
		s.Handler, s.ReadTimeout, s.WriteTimeout, s.MaxTCPQueries = f, queryTimeout, queryTimeout, 64
		f.servers = append(f.servers, s)
		go func() {
			if err := s.ActivateAndServe(); err != nil && !errors.Is(err, net.ErrClosed) {
				f.log.Error("DNS forwarder stopped", "address", at, "network", s.Net, "err", err)
			}
		}()
	}
	return nil
}

// unheard is an error of a port to listen on.
func unheard(at netip.AddrPort, err error) error {
	err = fmt.Errorf("gateway: DNS forwarder: %w", err)
	if errors.Is(err, syscall.EADDRINUSE) {
		return &takenPort{err, at}
	}
	return err
}

// takenPort says what to do where a resolver of the host has the port on all
// addresses, and so on ours.
type takenPort struct {
	error
	at netip.AddrPort
}

func (e *takenPort) Unwrap() error { return e.error }

// Hint is the line that lets clients ask the host's own resolver.
func (e *takenPort) Hint() string {
	return fmt.Sprintf("the host's own resolver has the port, it seems: let clients ask it, with zones.ZONE.dns.servers: [%q], or let it listen on its own addresses alone", e.at.Addr())
}

// ServeDNS implements [dns.Handler].
func (f *forwarder) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	answer, err := f.ask(ctx, w.LocalAddr().Network(), query)
	if err != nil {
		answer = new(dns.Msg)
		answer.SetRcode(query, dns.RcodeServerFailure)
	}
	answer.Id = query.Id
	w.WriteMsg(answer)
}

// ask tries the upstreams in their order, each with an equal share of the time.
func (f *forwarder) ask(ctx context.Context, network string, query *dns.Msg) (*dns.Msg, error) {
	upstreams, err := f.current()
	if len(upstreams) == 0 {
		return nil, err
	}
	client := dns.Client{Net: network, Timeout: queryTimeout / time.Duration(len(upstreams)), UDPSize: dns.DefaultMsgSize}
	for _, u := range upstreams {
		var answer *dns.Msg
		if answer, _, err = client.ExchangeContext(ctx, query, u); err == nil {
			return answer, nil
		}
	}
	return nil, err
}

func (f *forwarder) close() {
	for _, s := range f.servers {
		if s.PacketConn != nil {
			s.PacketConn.Close()
		}
		if s.Listener != nil {
			s.Listener.Close()
		}
	}
}
