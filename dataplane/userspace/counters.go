package userspace

import "sync/atomic"

// counters are one lane's. Each lane has its own cache lines; sums are made
// when somebody asks.
type counters struct {
	_ [128]byte

	FramesRead       atomic.Uint64
	MessagesSent     atomic.Uint64
	MessagesReceived atomic.Uint64
	FramesWritten    atomic.Uint64

	FrameMalformed   atomic.Uint64
	NoRoute          atomic.Uint64
	OutboundSelector atomic.Uint64
	TooBig           atomic.Uint64
	MSSClamped       atomic.Uint64
	OverRate         atomic.Uint64
	Expired          atomic.Uint64
	SendErrors       atomic.Uint64
	SegmentRefused   atomic.Uint64

	Malformed       atomic.Uint64
	UnknownSPI      atomic.Uint64
	Replay          atomic.Uint64
	Auth            atomic.Uint64
	InboundSelector atomic.Uint64
	InnerMalformed  atomic.Uint64
	Dummy           atomic.Uint64
	ECN             atomic.Uint64
	Keepalives      atomic.Uint64
	IKE             atomic.Uint64
	L2TP            atomic.Uint64
	L2TPFlood       atomic.Uint64
	L2TPForeign     atomic.Uint64
	L2TPMalformed   atomic.Uint64
	L2TPUnknown     atomic.Uint64
	JoinRefused     atomic.Uint64

	TUNErrors    atomic.Uint64
	SocketErrors atomic.Uint64
	Panics       atomic.Uint64

	_ [128]byte
}

// Counter is one total of the plane since Open.
type Counter struct {
	Name  string // snake case, as a metric would be called
	Help  string
	Value uint64
}

// counterTable names every counter.
var counterTable = []struct {
	name, help string
	of         func(*counters) *atomic.Uint64
}{
	{"frames_read", "frames read from the TUN device", func(c *counters) *atomic.Uint64 { return &c.FramesRead }},
	{"messages_sent", "ESP messages sent, each a packet or a train of them", func(c *counters) *atomic.Uint64 { return &c.MessagesSent }},
	{"messages_received", "messages received, each a datagram or several joined", func(c *counters) *atomic.Uint64 { return &c.MessagesReceived }},
	{"frames_written", "frames written to the TUN device", func(c *counters) *atomic.Uint64 { return &c.FramesWritten }},
	{"frame_malformed", "frames from the TUN device that are no IP packet", func(c *counters) *atomic.Uint64 { return &c.FrameMalformed }},
	{"no_route", "outbound packets to a destination of no Child SA", func(c *counters) *atomic.Uint64 { return &c.NoRoute }},
	{"outbound_selector", "outbound packets outside the traffic selectors", func(c *counters) *atomic.Uint64 { return &c.OutboundSelector }},
	{"too_big", "outbound packets larger than the tunnel that may not be fragmented", func(c *counters) *atomic.Uint64 { return &c.TooBig }},
	{"mss_clamped", "TCP connections whose segment size was lowered to fit the tunnel, in both directions", func(c *counters) *atomic.Uint64 { return &c.MSSClamped }},
	{"over_rate", "packets above the bandwidth limit of their session, in both directions", func(c *counters) *atomic.Uint64 { return &c.OverRate }},
	{"expired", "packets of a Child SA past its lifetime", func(c *counters) *atomic.Uint64 { return &c.Expired }},
	{"send_errors", "datagrams that the kernel did not send", func(c *counters) *atomic.Uint64 { return &c.SendErrors }},
	{"segment_refused", "trains that the kernel did not segment and that were sent one by one", func(c *counters) *atomic.Uint64 { return &c.SegmentRefused }},
	{"malformed", "datagrams that are neither ESP nor IKE", func(c *counters) *atomic.Uint64 { return &c.Malformed }},
	{"unknown_spi", "ESP packets of no Child SA", func(c *counters) *atomic.Uint64 { return &c.UnknownSPI }},
	{"replay", "ESP packets seen before or too old", func(c *counters) *atomic.Uint64 { return &c.Replay }},
	{"auth", "ESP packets that failed authentication", func(c *counters) *atomic.Uint64 { return &c.Auth }},
	{"inbound_selector", "inner packets outside the traffic selectors", func(c *counters) *atomic.Uint64 { return &c.InboundSelector }},
	{"inner_malformed", "authenticated packets that hold no IP packet", func(c *counters) *atomic.Uint64 { return &c.InnerMalformed }},
	{"dummy", "dummy packets (next header 59)", func(c *counters) *atomic.Uint64 { return &c.Dummy }},
	{"ecn", "inner packets dropped because congestion could not be signalled (RFC 6040)", func(c *counters) *atomic.Uint64 { return &c.ECN }},
	{"keepalives", "NAT keepalives", func(c *counters) *atomic.Uint64 { return &c.Keepalives }},
	{"ike", "IKE messages handed up", func(c *counters) *atomic.Uint64 { return &c.IKE }},
	{"l2tp", "L2TP messages handed up", func(c *counters) *atomic.Uint64 { return &c.L2TP }},
	{"l2tp_flood", "L2TP messages for the event loop above what one Child SA may bring", func(c *counters) *atomic.Uint64 { return &c.L2TPFlood }},
	{"l2tp_foreign", "packets in transport mode that are not UDP to port 1701", func(c *counters) *atomic.Uint64 { return &c.L2TPForeign }},
	{"l2tp_malformed", "L2TP messages with a wrong header, and PPP frames without a protocol", func(c *counters) *atomic.Uint64 { return &c.L2TPMalformed }},
	{"l2tp_unknown", "L2TP data of another tunnel or session than the call's", func(c *counters) *atomic.Uint64 { return &c.L2TPUnknown }},
	{"join_refused", "joined frames that the TUN device refused", func(c *counters) *atomic.Uint64 { return &c.JoinRefused }},
	{"tun_errors", "failed reads and writes of the TUN device", func(c *counters) *atomic.Uint64 { return &c.TUNErrors }},
	{"socket_errors", "failed reads of a socket", func(c *counters) *atomic.Uint64 { return &c.SocketErrors }},
	{"panics", "panics contained in a worker", func(c *counters) *atomic.Uint64 { return &c.Panics }},
}

// Counters returns the plane's totals, in a fixed order. It is safe to call at
// any time from any goroutine.
func (p *Plane) Counters() []Counter {
	out := make([]Counter, len(counterTable))
	for i, row := range counterTable {
		out[i] = Counter{Name: row.name, Help: row.help}
		for _, l := range p.lanes {
			out[i].Value += row.of(&l.counters).Load()
		}
	}
	return out
}
