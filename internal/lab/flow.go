package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Flow is a steady stream of numbered UDP datagrams from one host to another
// that sends each of them back. It shows whether an event such as a rekey
// loses, doubles or delays packets.
type Flow struct {
	out net.Conn
	far *Mirror // nil when another process has it

	sent    atomic.Uint64
	stop    chan struct{}
	stopOne sync.Once
	stopped sync.WaitGroup

	mu      sync.Mutex
	seen    map[uint64]bool
	report  FlowReport
	last    uint64
	lastAt  time.Time
	readers sync.WaitGroup
}

// FlowReport is what became of a flow.
type FlowReport struct {
	Sent       uint64
	Reached    uint64 // arrived at the far end
	Returned   uint64 // came back, each counted once
	Duplicated uint64 // came back again
	Reordered  uint64 // came back after a later one
	LongestGap time.Duration
	LastBack   time.Time // when the last one came back
}

// Lost is how many never came back.
func (r FlowReport) Lost() uint64 { return r.Sent - r.Returned }

func (r FlowReport) String() string {
	return fmt.Sprintf("%d sent, %d reached the far end, %d came back (%d lost, %d twice, %d late), longest gap %v",
		r.Sent, r.Reached, r.Returned, r.Lost(), r.Duplicated, r.Reordered, r.LongestGap.Round(time.Millisecond))
}

const flowHeader = 8 // octets of sequence number at the start of a datagram

// StartFlow sends perSecond datagrams a second, of size octets, from h to dst
// on the host to.
func (h *Host) StartFlow(ctx context.Context, to *Host, dst netip.Addr, perSecond, size int) (*Flow, error) {
	far, err := to.Mirror(dst)
	if err != nil {
		return nil, err
	}
	f, err := h.StartFlowTo(ctx, far.Addr(), perSecond, size)
	if err != nil {
		far.Close()
		return nil, err
	}
	f.far = far
	return f, nil
}

// StartFlowTo is the half of StartFlow that sends, to a mirror that is there
// already. Its report does not know how many reached the mirror.
func (h *Host) StartFlowTo(ctx context.Context, far netip.AddrPort, perSecond, size int) (*Flow, error) {
	out, err := h.Dial(ctx, "udp", far.String())
	if err != nil {
		return nil, err
	}
	patient(out)
	f := &Flow{out: out, stop: make(chan struct{}), seen: map[uint64]bool{}}
	f.stopped.Go(func() { f.send(time.Second/time.Duration(perSecond), max(size, flowHeader)) })
	f.readers.Go(f.count)
	return f, nil
}

// patient gives a socket room: a reader that is scheduled late must not look
// like a lossy network.
func patient(c any) {
	if c, ok := c.(*net.UDPConn); ok {
		c.SetReadBuffer(4 << 20)
	}
}

// Mirror sends every datagram back to where it came from: the far end of a
// flow.
type Mirror struct {
	socket  net.PacketConn
	reached atomic.Uint64
	stopped sync.WaitGroup
}

// Mirror opens a UDP port at addr that sends back what comes.
func (h *Host) Mirror(addr netip.Addr) (*Mirror, error) {
	socket, err := h.ListenPacket("udp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		return nil, err
	}
	patient(socket)
	m := &Mirror{socket: socket}
	m.stopped.Go(m.reflect)
	return m, nil
}

// Addr is where the mirror listens.
func (m *Mirror) Addr() netip.AddrPort { return netip.MustParseAddrPort(m.socket.LocalAddr().String()) }

// Reached is how many datagrams have come.
func (m *Mirror) Reached() uint64 { return m.reached.Load() }

// Close ends it.
func (m *Mirror) Close() error {
	err := m.socket.Close()
	m.stopped.Wait()
	return err
}

// maxBurst is how much of what is overdue after a pause of the machine is sent
// at once: few enough for any receive buffer.
const maxBurst = 8

// send keeps the rate as well as the machine allows without bursts.
func (f *Flow) send(every time.Duration, size int) {
	datagram := make([]byte, size)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-f.stop:
			return
		case <-tick.C:
		}
		due := min(time.Since(last)/every, maxBurst)
		for last = last.Add(due * every); due > 0; due-- {
			binary.BigEndian.PutUint64(datagram, f.sent.Add(1))
			f.out.Write(datagram) // a refusal or an unreachable host shows as loss
		}
		if behind := time.Since(last); behind > every*maxBurst {
			last = last.Add(behind) // what is still overdue is never sent
		}
	}
}

func (m *Mirror) reflect() {
	buf := make([]byte, 65536)
	for {
		n, from, err := m.socket.ReadFrom(buf)
		if err != nil {
			return
		}
		m.reached.Add(1)
		m.socket.WriteTo(buf[:n], from)
	}
}

func (f *Flow) count() {
	buf := make([]byte, 65536)
	for {
		n, err := f.out.Read(buf)
		if err != nil {
			if opErr, ok := err.(*net.OpError); ok && !opErr.Timeout() && f.running() {
				continue // ICMP unreachable shows here once and the socket goes on
			}
			return
		}
		if n >= flowHeader {
			f.note(binary.BigEndian.Uint64(buf), time.Now())
		}
	}
}

func (f *Flow) running() bool {
	select {
	case <-f.stop:
		return false
	default:
		return true
	}
}

func (f *Flow) note(seq uint64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[seq] {
		f.report.Duplicated++
		return
	}
	f.seen[seq] = true
	f.report.Returned++
	if seq < f.last {
		f.report.Reordered++
	}
	f.last = max(f.last, seq)
	if !f.lastAt.IsZero() {
		f.report.LongestGap = max(f.report.LongestGap, now.Sub(f.lastAt))
	}
	f.lastAt = now
}

// Stop ends the flow, waits up to patience for what is still under way, and
// returns the report. It may be called again.
func (f *Flow) Stop(patience time.Duration) FlowReport {
	f.stopOne.Do(func() { close(f.stop) })
	f.stopped.Wait()
	for end := time.Now().Add(patience); time.Now().Before(end) && f.snapshot().Lost() > 0; {
		time.Sleep(5 * time.Millisecond)
	}
	f.out.Close()
	f.readers.Wait()
	if f.far != nil {
		f.far.Close()
	}
	return f.snapshot()
}

func (f *Flow) snapshot() FlowReport {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.report
	r.LastBack = f.lastAt
	r.Sent = f.sent.Load()
	if f.far != nil {
		r.Reached = f.far.Reached()
	}
	return r
}
