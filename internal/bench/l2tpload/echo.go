package l2tpload

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Echo is traffic: every client that is up sends ICMP echoes (RFC 792) and
// waits for their answers. Who answers first is served first, so it takes as
// long as the slowest client; nothing is decided by the clock.
type Echo struct {
	To     netip.Addr
	Count  int // answers that each client waits for
	Window int // echoes of one client under way; 0 = 1
	Size   int // octets of data; at least 12
}

// EchoReport is what came of it.
type EchoReport struct {
	Answers int // that belong to an echo of the client which got them
	Again   int // echoes that were sent again, because no answer came in half a second
	Foreign int // packets that were not for the client which got them
	Elapsed time.Duration
	Silent  []int // the clients that did not get all answers
}

const echoPatience = 500 * time.Millisecond

// echo is one under way.
type echo struct {
	Echo
	report EchoReport
	runs   map[*member]*run
	open   int // clients that wait for answers
}

// run is the part of one client: sequence numbers under way, with the time of
// the last copy.
type run struct {
	sent     uint32
	answered int
	waiting  map[uint32]time.Time
}

// Run sends and waits until each of these clients has its answers, or ctx ends.
// A client that is not up has none.
func (c *Crowd) Run(ctx context.Context, e Echo, which ...int) (EchoReport, error) {
	e.Window, e.Size = max(1, e.Window), max(echoMark, e.Size)
	begun := time.Now()
	c.do(func() {
		c.echo = &echo{Echo: e, runs: make(map[*member]*run)}
		for _, m := range c.some(which) {
			c.echo.runs[m] = &run{waiting: make(map[uint32]time.Time)}
			c.echo.open++
			c.echo.more(begun, m)
		}
	})
	err := c.await(ctx, func() bool { return c.echo.open == 0 })
	var r EchoReport
	c.do(func() {
		r = c.echo.report
		for _, m := range c.some(which) {
			if c.echo.runs[m].answered < e.Count {
				r.Silent = append(r.Silent, m.number)
			}
		}
		c.echo = nil
	})
	r.Elapsed = time.Since(begun)
	if err != nil {
		err = fmt.Errorf("l2tpload: %d clients got no answer, %v among them: %w", len(r.Silent), r.Silent[:min(len(r.Silent), 5)], err)
	}
	return r, err
}

// more sends what the window has room for.
func (e *echo) more(now time.Time, m *member) {
	r := e.runs[m]
	for len(r.waiting) < e.Window && r.answered+len(r.waiting) < e.Count {
		r.sent++
		r.waiting[r.sent] = now
		e.send(m, r.sent)
	}
}

// timeout sends again what was not answered.
func (e *echo) timeout(now time.Time) {
	if e.open == 0 {
		return
	}
	for m, r := range e.runs {
		for seq, at := range r.waiting {
			if now.Sub(at) >= echoPatience {
				r.waiting[seq] = now
				e.report.Again++
				e.send(m, seq)
			}
		}
	}
}

// The data of an echo begins with the client's mark: a text, and its number and
// sequence number, so that a packet that goes astray is known.
const (
	echoText   = "load"
	echoMark   = len(echoText) + 8
	ipHeader   = 20
	icmpHeader = 8
	icmpEcho   = 8
	icmpReply  = 0
)

func (e *echo) send(m *member, seq uint32) {
	if m.state != up {
		return
	}
	data := append(make([]byte, 0, e.Size), echoText...)
	data = binary.BigEndian.AppendUint32(data, uint32(m.number))
	data = binary.BigEndian.AppendUint32(data, seq)
	data = append(data, make([]byte, e.Size-len(data))...)
	m.sendPacket(icmp(icmpEcho, m.net.IPv4, e.To, binary.BigEndian.AppendUint32(nil, seq), data))
}

// icmp is an IPv4 packet with an echo or its answer.
func icmp(kind byte, src, dst netip.Addr, id, data []byte) []byte {
	b := make([]byte, ipHeader+icmpHeader, ipHeader+icmpHeader+len(data))
	b[0], b[8], b[9] = 0x45, 64, 1
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	b[ipHeader] = kind
	copy(b[ipHeader+4:], id)
	b = append(b, data...)
	binary.BigEndian.PutUint16(b[10:], checksum(b[:ipHeader]))
	binary.BigEndian.PutUint16(b[ipHeader+2:], checksum(b[ipHeader:]))
	return b
}

// checksum is RFC 1071's.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// packet takes an IPv4 packet that came through the tunnel: answers of echoes,
// and echoes of others, which it answers.
func (m *member) packet(now time.Time, b []byte) {
	e := m.crowd.echo
	if len(b) < ipHeader+icmpHeader || b[0] != 0x45 {
		return
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	data := b[ipHeader+icmpHeader:]
	switch {
	case dst != m.net.IPv4:
		if e != nil {
			e.report.Foreign++
		}
	case b[9] != 1:
	case b[ipHeader] == icmpEcho:
		m.sendPacket(icmp(icmpReply, dst, src, b[ipHeader+4:ipHeader+8], data))
	case b[ipHeader] == icmpReply && e != nil && bytes.HasPrefix(data, []byte(echoText)) && len(data) >= echoMark:
		e.answer(now, m, binary.BigEndian.Uint32(data[len(echoText):]), binary.BigEndian.Uint32(data[len(echoText)+4:]))
	}
}

func (e *echo) answer(now time.Time, m *member, number, seq uint32) {
	r := e.runs[m]
	if number != uint32(m.number) {
		e.report.Foreign++
		return
	}
	if r == nil {
		return
	}
	if _, ok := r.waiting[seq]; !ok {
		return // a copy was answered too
	}
	delete(r.waiting, seq)
	r.answered++
	e.report.Answers++
	if r.answered == e.Count {
		e.open--
		return
	}
	e.more(now, m)
}
