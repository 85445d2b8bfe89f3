package l2tp

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/l2tp/l2tpmsg"
)

// Limits. A peer shares an IPsec SA with us, and with a group key that says
// little about it.
const (
	// maxControl is the longest control message that is read, in octets: what
	// fits one packet. The longest real one, an ICCN with proxy authentication, has
	// some 600.
	maxControl = 2048
	// maxWindow bounds the messages kept out of order, together with maxControl to
	// 32 KB.
	maxWindow = 16
	// maxQueue is how many of our messages may wait for acknowledgement. One call
	// comes and goes with four; only a peer that asks and never acknowledges gets
	// here.
	maxQueue = 32
	// maxEnded is how many tunnels may linger: a client that dials again and again
	// keeps the last ones.
	maxEnded = 4
	// maxHeld is how many PPP frames may wait for their call to come up. LCP sends
	// one Configure-Request in 3 seconds.
	maxHeld = 4
	// maxFrame is the longest of them, in octets: an LCP packet of a full MRU.
	maxFrame = 1600
	// maxCalls bounds Config.MaxCalls: calls are searched in order.
	maxCalls = 16
	// maxName is how much of a peer's names is told, in octets.
	maxName = 64
	// maxText is how much of a peer's error message is told, in octets, and how
	// much of our own is sent.
	maxText = 128
)

// Times.
const (
	// setupTime is what a tunnel or a call may take to come up. It is longer than a
	// cycle of retransmission, so that it ends only what a peer acknowledges and
	// does not go on with.
	setupTime = 35 * time.Second
	// lonelyTime is how long a tunnel may be without a call: nobody uses it.
	lonelyTime = 30 * time.Second
	// defaultHello is RFC 2661, Section 5.5's.
	defaultHello = 60 * time.Second
	// defaultWindow is what Windows announces.
	defaultWindow = 8
)

// Role is which end of PPP we are (RFC 2661, Section 1.2).
type Role uint8

// The roles. An LNS ends the PPP links that a LAC brings.
const (
	LNS Role = iota
	LAC
)

// Config is what Endpoints are made from. It is shared by any number of them
// and immutable.
type Config struct {
	Role                 Role
	HostName, VendorName string
	Firmware             uint16
	Window               int           // Receive Window Size that we announce, at most 16; 0 = 8
	Hello                time.Duration // silence before HELLO; 0 = 60 s, negative = never
	MaxCalls             int           // at once, at most 16; 0 = 1
	// Secret is the tunnel secret (RFC 2661, Section 5.1.1). With one we challenge
	// the peer and read hidden AVPs. Without one both are refused: inside IPsec
	// nobody uses them.
	Secret secret.Bytes
	// NewID chooses ids of tunnels and sessions. An id that is 0, or in use in the
	// same Endpoint, is asked for again. nil = crypto/rand.
	NewID func() uint16

	rand func([]byte) // nil = crypto/rand; only tests replace it
}

func (c *Config) window() int {
	if c.Window <= 0 {
		return defaultWindow
	}
	return min(c.Window, maxWindow)
}

func (c *Config) maxCalls() int { return min(max(c.MaxCalls, 1), maxCalls) }

func (c *Config) hello() time.Duration {
	if c.Hello == 0 {
		return defaultHello
	}
	return c.Hello
}

func (c *Config) random(b []byte) {
	if c.rand != nil {
		c.rand(b)
		return
	}
	rand.Read(b) // never fails
}

func (c *Config) newID() uint16 {
	if c.NewID != nil {
		return c.NewID()
	}
	var b [2]byte
	c.random(b[:])
	return binary.BigEndian.Uint16(b[:])
}

// Out collects what a machine wants done. The caller drains it after every
// call and may reuse it after Reset.
type Out struct {
	Send   [][]byte // L2TP messages, for UDP port 1701 inside the peer's newest SA
	Events []Event
}

// Reset empties o and keeps its storage; the references are cleared.
func (o *Out) Reset() {
	clear(o.Send)
	clear(o.Events)
	o.Send, o.Events = o.Send[:0], o.Events[:0]
}

func (o *Out) event(e Event) { o.Events = append(o.Events, e) }

// Event is one of TunnelUp, CallUp, Frame, CallDown, TunnelDown, Refused.
type Event interface{ event() }

// TunnelUp says that the control connection stands. The ids are ours and the
// peer's. The names are the peer's words, cut to 64 octets: whoever shows them
// quotes them.
type TunnelUp struct {
	Tunnel, PeerTunnel   uint16
	HostName, VendorName string
	Firmware             uint16
	Window               int // the peer's
}

// CallUp says that PPP frames may flow. What is the peer's word is cut to 64
// octets, and proves nothing.
type CallUp struct {
	Tunnel, Session             uint16 // ours: what the peer's data messages carry
	PeerTunnel, PeerSession     uint16 // the peer's: what ours carry
	Sequenced                   bool   // Ns must be in every data message (RFC 2661, Section 5.4)
	Serial                      uint32 // Call Serial Number: names the call in the logs of both ends
	CallingNumber, CalledNumber string
}

// Frame is a PPP frame of a call that is up, without anything around it. PPP
// may alias the message that Receive got.
type Frame struct {
	Session uint16
	PPP     []byte
}

// CallDown ends a call. Reason is for people; peer text in it is quoted.
type CallDown struct {
	Session uint16
	ByPeer  bool
	Result  l2tpmsg.CallCode // 0 where no CDN said one
	Error   l2tpmsg.ErrorCode
	Reason  string
}

// TunnelDown ends a tunnel. Reason is for people; peer text in it is quoted.
type TunnelDown struct {
	Tunnel uint16
	ByPeer bool
	Result l2tpmsg.StopCode // 0 where no StopCCN said one
	Error  l2tpmsg.ErrorCode
	Reason string
}

// Refused says that a tunnel or a call did not come up. Reason is for people;
// peer text in it is quoted. Hint says what to change, where that is known.
type Refused struct {
	ByPeer       bool // the peer refused us
	Reason, Hint string
}

func (TunnelUp) event()   {}
func (CallUp) event()     {}
func (Frame) event()      {}
func (CallDown) event()   {}
func (TunnelDown) event() {}
func (Refused) event()    {}

// Command is one of CloseCall, CloseTunnel, Abandon.
type Command interface{ command() }

// CloseCall hangs up, with CDN. Session is ours. A Result of 0 stands for
// administrative reasons.
type CloseCall struct {
	Session uint16
	Result  l2tpmsg.CallCode
	Error   l2tpmsg.ErrorCode
	Text    string // for people at the other end
}

// CloseTunnel ends the live tunnel and its calls, with StopCCN. A Result of 0
// stands for a general request.
type CloseTunnel struct {
	Result l2tpmsg.StopCode
	Error  l2tpmsg.ErrorCode
	Text   string // for people at the other end
}

// Abandon ends everything without a word to the peer, lingering tunnels
// included: no security association is left that could carry one (RFC 3193).
// The Reason is told in TunnelDown.
type Abandon struct{ Reason string }

func (CloseCall) command()   {}
func (CloseTunnel) command() {}
func (Abandon) command()     {}
