package radius

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sallyport/internal/secret"
)

// defaultWindow is how far a request's Event-Timestamp may be from our clock
// (RFC 5176, Section 6.3).
const defaultWindow = 300 * time.Second

// maxRemembered bounds the requests of the window. Only those made with a
// secret get in, so it is a bound on servers gone mad: 100 a second for ten
// minutes, at 200 octets each 12 MiB.
const maxRemembered = 60_000

// DynamicPeer is who may send Disconnect and CoA requests.
type DynamicPeer struct {
	From   netip.Prefix
	Secret secret.Bytes
}

// DynamicConfig is what a Dynamic needs to know. It is not changed afterwards.
type DynamicConfig struct {
	Peers []DynamicPeer // the first one that fits counts
	// Window is how old, or how far ahead, a request may be; default 300 s.
	Window time.Duration
	// WithoutTimestamp takes requests that do not say when they were made. They
	// can be played again by whoever sees one, once it has left the window.
	WithoutTimestamp bool
	// Identifier and Addresses are ours. A request for another NAS is refused
	// (RFC 5176, Section 3).
	Identifier string
	Addresses  []netip.Addr
}

// Dynamic is the machine that receives Disconnect-Requests and CoA-Requests
// (RFC 5176, the "Dynamic Authorization Server"). It is for one goroutine.
type Dynamic struct {
	cfg    DynamicConfig
	byAuth map[dynamicKey]*remembered
	order  []*remembered // oldest first
	drops  Counters
}

// dynamicKey finds a request again: the authenticator is a hash of everything
// in it and of the secret.
type dynamicKey struct {
	from netip.Addr
	auth Authenticator
}

// remembered is a request of the window, and its answer.
type remembered struct {
	key    dynamicKey
	port   uint16
	until  time.Time
	answer []byte // nil while it is worked on
}

// NewDynamic makes the machine.
func NewDynamic(cfg DynamicConfig) (*Dynamic, error) {
	if len(cfg.Peers) == 0 {
		return nil, errors.New("radius: nobody may send Disconnect or CoA requests: list their addresses, or do not listen")
	}
	for _, p := range cfg.Peers {
		if len(p.Secret) == 0 || !p.From.IsValid() {
			return nil, fmt.Errorf("radius: %s may send Disconnect and CoA requests without a secret", p.From)
		}
	}
	def(&cfg.Window, defaultWindow)
	return &Dynamic{cfg: cfg, byAuth: make(map[dynamicKey]*remembered)}, nil
}

// Drops counts what was discarded.
func (d *Dynamic) Drops() Counters { return d.drops }

// Change is a good request: the sessions that Match are to end, or to Update.
type Change struct {
	From       netip.AddrPort
	Disconnect bool // else a CoA-Request
	Match      Match
	Update     Update
	Messages   []string // Reply-Message for the user; quote it

	packet *Packet
	key    secret.Bytes
	memory *remembered
}

// Receive takes a datagram. Either there is a Change for the caller, who hands
// it to Answer when it is done; or an answer to send at once; or neither, and
// the datagram is dropped and counted.
func (d *Dynamic) Receive(now time.Time, from netip.AddrPort, b []byte) (change *Change, answer []byte) {
	change, answer, drop := d.receive(now, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), b)
	if drop != 0 {
		d.drops[drop]++
		return nil, nil
	}
	return change, answer
}

func (d *Dynamic) receive(now time.Time, from netip.AddrPort, b []byte) (*Change, []byte, Drop) {
	key := d.secretOf(from.Addr())
	if key == nil {
		return nil, nil, DropSource
	}
	p, drop := checkRequest(b, key)
	if drop != 0 {
		return nil, nil, drop
	}
	if !d.current(now, p) {
		return nil, nil, DropStale
	}
	memory, answer, drop := d.remember(now, from, p)
	if drop != 0 || answer != nil {
		return nil, answer, drop
	}
	c := &Change{From: from, packet: p.Clone(), key: key, memory: memory}
	if cause := c.read(&d.cfg); cause != 0 {
		return nil, d.Answer(c, cause), 0
	}
	return c, nil, 0
}

// Answer makes the answer to a Change: an ACK for 0 and CauseResidualRemoved, a
// NAK with the cause for all else. It is kept for duplicates.
func (d *Dynamic) Answer(c *Change, cause ErrorCause) []byte {
	code := c.packet.Code + 1 // ACK
	if !cause.success() {
		code++ // NAK
	}
	b, err := reply(c.packet, code, cause, c.key)
	if err != nil {
		return nil // it has so much Proxy-State that no answer fits
	}
	c.memory.answer = b
	return b
}

// reply answers a request; Proxy-State goes back as it came (RFC 5176, Section
// 3.1).
func reply(request *Packet, code Code, cause ErrorCause, key secret.Bytes) ([]byte, error) {
	p := Packet{Code: code, Identifier: request.Identifier}
	if cause != 0 {
		p.Add(Uint32Attr(ErrorCauseAttr, uint32(cause)))
	}
	for v := range request.All(ProxyState) {
		p.Add(OctetsAttr(ProxyState, v))
	}
	return p.AppendReply(nil, request.Authenticator, key)
}

// secretOf is the secret of a source, which decides by address alone
// (RFC 5176, Section 2.3).
func (d *Dynamic) secretOf(from netip.Addr) secret.Bytes {
	for _, p := range d.cfg.Peers {
		if p.From.Contains(from) {
			return p.Secret
		}
	}
	return nil
}

// current judges Event-Timestamp (RFC 5176, Section 6.3).
func (d *Dynamic) current(now time.Time, p *Packet) bool {
	a, ok := p.Find(EventTimestamp)
	if !ok {
		return d.cfg.WithoutTimestamp
	}
	v, ok := a.Uint()
	age := now.Sub(time.Unix(int64(v), 0))
	return ok && age <= d.cfg.Window && age >= -d.cfg.Window
}

// remember finds a duplicate, which gets the answer of before, and keeps a new
// request for as long as its timestamp is good.
func (d *Dynamic) remember(now time.Time, from netip.AddrPort, p *Packet) (*remembered, []byte, Drop) {
	d.expire(now)
	key := dynamicKey{from.Addr(), p.Authenticator}
	if m := d.byAuth[key]; m != nil {
		switch {
		case m.port != from.Port():
			return nil, nil, DropReplay
		case m.answer == nil:
			return nil, nil, DropDuplicate
		}
		return nil, m.answer, 0
	}
	if len(d.byAuth) >= maxRemembered {
		return nil, nil, DropBusy
	}
	// The timestamp may be a window ahead, and is good for a window after that.
	m := &remembered{key: key, port: from.Port(), until: now.Add(2 * d.cfg.Window)}
	d.byAuth[key] = m
	d.order = append(d.order, m)
	return m, nil, 0
}

func (d *Dynamic) expire(now time.Time) {
	n := 0
	for ; n < len(d.order) && d.order[n].until.Before(now); n++ {
		delete(d.byAuth, d.order[n].key)
		d.order[n] = nil
	}
	d.order = d.order[n:]
}

// Unsupported is the answer to a Disconnect-Request or CoA-Request that comes
// over our connection to a server, where none belongs: Error-Cause 406
// (RFC 6614, Section 2.5). It is nil for everything else.
func Unsupported(b []byte, key secret.Bytes) []byte {
	p, drop := checkRequest(b, key)
	if drop != 0 {
		return nil
	}
	answer, err := reply(p, p.Code+2, CauseUnsupportedExtension, key)
	if err != nil {
		return nil
	}
	return answer
}
