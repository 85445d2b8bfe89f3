package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Dial opens a connection from the host. The address must be numeric; only
// the first connection attempt blocks, bounded by ctx.
func (h *Host) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = h.Do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen opens a TCP listener on the host.
func (h *Host) Listen(address string) (l net.Listener, err error) {
	err = h.Do(func() error {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// ListenPacket opens a packet socket on the host.
func (h *Host) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = h.Do(func() error {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}

// Ping sends one ICMP echo request with size octets of data and waits for its
// answer until ctx ends. It returns the round-trip time.
func (h *Host) Ping(ctx context.Context, dst netip.Addr, size int) (time.Duration, error) {
	e := echoOf(dst)
	c, err := h.ListenPacket(e.network, e.any)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Now()) })
	defer stop()

	id := os.Getpid() & 0xffff
	ask := icmp.Message{Type: e.request, Body: &icmp.Echo{ID: id, Seq: int(pingSeq.next()), Data: make([]byte, size)}}
	octets, err := ask.Marshal(nil) // the kernel fills in the ICMPv6 checksum
	if err != nil {
		return 0, err
	}
	sent := time.Now()
	if _, err := c.WriteTo(octets, &net.IPAddr{IP: dst.AsSlice()}); err != nil {
		return 0, fmt.Errorf("lab: %s: ping %v: %w", h.Name, dst, err)
	}
	return h.awaitEcho(ctx, c, e, ask.Body.(*icmp.Echo), dst, sent)
}

func (h *Host) awaitEcho(ctx context.Context, c net.PacketConn, e echo, ask *icmp.Echo, dst netip.Addr, sent time.Time) (time.Duration, error) {
	buf := make([]byte, 65536)
	for {
		n, _, err := c.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, fmt.Errorf("lab: %s: ping %v: no answer in %v: %w", h.Name, dst, time.Since(sent).Round(time.Millisecond), context.Cause(ctx))
		}
		if err != nil {
			return 0, err
		}
		m, err := icmp.ParseMessage(e.protocol, buf[:n])
		if err != nil || m.Type != e.reply {
			continue
		}
		if got, ok := m.Body.(*icmp.Echo); ok && got.ID == ask.ID && got.Seq == ask.Seq {
			return time.Since(sent), nil
		}
	}
}

// AwaitPing pings, several times a second, until an answer comes or ctx ends.
func (h *Host) AwaitPing(ctx context.Context, dst netip.Addr) (time.Duration, error) {
	for {
		once, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		rtt, err := h.Ping(once, dst, 56)
		cancel()
		if err == nil || ctx.Err() != nil {
			return rtt, err
		}
		select { // an immediate error, such as "no route", must not spin
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// echo is what differs between ICMP and ICMPv6 echo.
type echo struct {
	network, any   string
	protocol       int
	request, reply icmp.Type
}

func echoOf(dst netip.Addr) echo {
	if dst.Is4() {
		return echo{"ip4:icmp", "0.0.0.0", 1, ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply}
	}
	return echo{"ip6:ipv6-icmp", "::", 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply}
}

// pingSeq tells concurrent pings of one process apart.
var pingSeq counter

type counter struct {
	mu sync.Mutex
	n  uint16
}

func (c *counter) next() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

// Transfer is the outcome of SendTCP.
type Transfer struct {
	Octets int64
	Took   time.Duration
}

// MbitPerSecond is the transfer's speed.
func (t Transfer) MbitPerSecond() float64 {
	return float64(t.Octets) * 8 / 1e6 / t.Took.Seconds()
}

// SendTCP sends octets over one TCP connection from h to a sink that it opens
// on the host to at dst, and waits until the sink has counted all of them.
func (h *Host) SendTCP(ctx context.Context, to *Host, dst netip.Addr, octets int64) (Transfer, error) {
	sink, err := to.Sink(dst)
	if err != nil {
		return Transfer{}, err
	}
	defer sink.Close()
	return h.Pour(ctx, netip.MustParseAddrPort(sink.Addr().String()), octets)
}

// Sink opens a TCP port at addr that takes one connection, reads it to its end
// and answers with the number of octets that came.
func (h *Host) Sink(addr netip.Addr) (net.Listener, error) {
	sink, err := h.Listen(netip.AddrPortFrom(addr, 0).String())
	if err == nil {
		go acknowledge(sink)
	}
	return sink, err
}

// Pour is the half of SendTCP that sends, to a sink that is there already.
func (h *Host) Pour(ctx context.Context, sink netip.AddrPort, octets int64) (Transfer, error) {
	conn, err := h.Dial(ctx, "tcp", sink.String())
	if err != nil {
		return Transfer{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()

	started := time.Now()
	if _, err := io.CopyN(conn, zeros{}, octets); err != nil {
		return Transfer{}, fmt.Errorf("lab: %s: send to %v: %w", h.Name, sink, err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return Transfer{}, err
	}
	var counted uint64
	if err := binary.Read(conn, binary.BigEndian, &counted); err != nil {
		return Transfer{}, fmt.Errorf("lab: %s: receipt from %v: %w", h.Name, sink, err)
	}
	if int64(counted) != octets {
		return Transfer{}, fmt.Errorf("lab: %s: sent %d octets to %v, %d arrived", h.Name, octets, sink, counted)
	}
	return Transfer{octets, time.Since(started)}, nil
}

func acknowledge(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	n, _ := io.Copy(io.Discard, conn)
	binary.Write(conn, binary.BigEndian, uint64(n))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
