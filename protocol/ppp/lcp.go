package ppp

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"sallyport/protocol/ppp/pppmsg"
	"sallyport/protocol/wire"
)

// LCP: its options (RFC 1661, Section 6), what follows from its being up or
// down, and the packets that it has beyond the automaton's.

// Bounds of a peer's MRU, in octets: under 68 no IPv4 fragment fits (RFC 791),
// over 1500 nothing comes through the tunnel.
const (
	minMRU = 68
	maxMRU = 1500
)

var lcpLayer = layer{
	protocol: pppmsg.LCP,
	reset: func(l *Link) {
		l.peerMRU, l.shortProtocol, l.shortAddress, l.peerEAP = defaultMRU, false, false, false
	},
	up: (*Link).lcpUp, down: (*Link).lcpDown, finished: (*Link).lcpFinished,
	options: []option{
		{
			kind: pppmsg.LCPMRU, size: 2,
			judge: func(_ *Link, data []byte) verdict {
				if v := binary.BigEndian.Uint16(data); v < minMRU || v > maxMRU {
					return nak
				}
				return ack
			},
			suggest: func(l *Link) []byte { return wire.AppendU16(nil, uint16(cmp.Or(l.cfg.MRU, 1400))) },
			keep:    func(l *Link, data []byte) { l.peerMRU = binary.BigEndian.Uint16(data) },
			ask:     func(l *Link) []byte { return wire.AppendU16(nil, l.mru) },
			nakked: func(l *Link, data []byte) *failure {
				if v := binary.BigEndian.Uint16(data); v >= minMRU && v < l.mru {
					l.mru = v
				}
				return nil
			},
		},
		{
			// Without HDLC framing nothing is escaped; the map means nothing.
			kind: pppmsg.LCPACCM, size: 4,
			judge:   func(*Link, []byte) verdict { return ack },
			suggest: func(*Link) []byte { return make([]byte, 4) },
		},
		{
			kind: pppmsg.LCPAuth, size: -1,
			judge:    judgeAuth,
			suggest:  func(l *Link) []byte { return l.cfg.auth().Append(nil) },
			keep:     func(l *Link, _ []byte) { l.peerEAP = true },
			firm:     true,
			ask:      askAuth,
			nakked:   authNakked,
			rejected: func(l *Link) *failure { return l.authRefused("none") },
		},
		{
			kind: pppmsg.LCPMagic, size: 4,
			judge: func(l *Link, data []byte) verdict {
				if v := binary.BigEndian.Uint32(data); v == 0 || v == l.magic {
					return nak
				}
				return ack
			},
			suggest: func(l *Link) []byte { return wire.AppendU32(nil, l.newMagic()) },
			firm:    true, // what always has our number is ourselves
			ask:     func(l *Link) []byte { return wire.AppendU32(nil, l.magic) },
			nakked: func(l *Link, _ []byte) *failure {
				l.magic = l.newMagic()
				return nil
			},
		},
		{
			kind: pppmsg.LCPShortProtocol, size: 0,
			judge:   func(*Link, []byte) verdict { return ack },
			suggest: func(*Link) []byte { return []byte{} },
			keep:    func(l *Link, _ []byte) { l.shortProtocol = true },
			ask:     askShort,
		},
		{
			kind: pppmsg.LCPShortAddress, size: 0,
			judge:   func(*Link, []byte) verdict { return ack },
			suggest: func(*Link) []byte { return []byte{} },
			keep:    func(l *Link, _ []byte) { l.shortAddress = true },
			ask:     askShort,
		},
	},
}

func askShort(l *Link) []byte {
	if l.cfg.Short {
		return []byte{}
	}
	return nil
}

var authEAP = pppmsg.Auth{Protocol: pppmsg.EAP}

func askAuth(l *Link) []byte {
	if l.cfg.Role == Server {
		return authEAP.Append(nil)
	}
	return nil
}

// judgeAuth: a server does not prove itself by a password, and a client by EAP
// alone.
func judgeAuth(l *Link, data []byte) verdict {
	a, err := pppmsg.ParseAuth(data)
	switch {
	case l.cfg.Role == Server:
		return reject
	case err != nil || a.Protocol != pppmsg.EAP || len(a.Data) > 0 || l.cfg.auth().Protocol != pppmsg.EAP:
		return nak
	}
	return ack
}

// auth is what a client wants.
func (c *Config) auth() pppmsg.Auth {
	if c.Wanted.Protocol != 0 {
		return c.Wanted
	}
	return authEAP
}

func authNakked(l *Link, data []byte) *failure {
	a, err := pppmsg.ParseAuth(data)
	if err != nil {
		return l.authRefused("none")
	}
	return l.authRefused(a.String())
}

// authRefused proposes EAP once more, and then says to the user what to do.
func (l *Link) authRefused(wanted string) *failure {
	if l.refusals++; l.refusals == 1 {
		return nil
	}
	return &failure{
		reason: fmt.Sprintf("the client refuses EAP and wants %q", wanted), wanted: wanted, refused: true,
		hint: "PAP, CHAP and bare MS-CHAP are never accepted: set the client to EAP-TLS with a certificate, or to PEAP; if it has neither, use IKEv2",
		text: "This server accepts EAP only: use a certificate (EAP-TLS) or PEAP, or connect by IKEv2. PAP, CHAP and MS-CHAP are refused.",
	}
}

// insists is a peer that does not take Max-Failure Naks for an answer.
func insists(c *control, o pppmsg.Option) *failure {
	f := &failure{refused: true, reason: fmt.Sprintf("the peer insists on %s %x", c.protocol.OptionName(o.Type), o.Data),
		hint: "let the client take what the server assigns"}
	switch {
	case c.protocol == pppmsg.LCP && o.Type == pppmsg.LCPMagic:
		return looped()
	case c.protocol == pppmsg.IPCP && o.Type == pppmsg.IPCPAddress:
		f.hint = "remove the fixed address from the client, or assign it to the user"
	}
	return f
}

func looped() *failure {
	return &failure{refused: true, reason: "our own packets come back, or the peer has no Magic-Number of its own: the link is looped",
		hint: "look for a loop in what forwards this client's tunnel"}
}

func leavesOut(c *control, kind pppmsg.OptionType) *failure {
	return &failure{refused: true, reason: fmt.Sprintf("the peer does not ask for %s", c.protocol.OptionName(kind)), hint: "let the client take what the server assigns"}
}

// lcpUp goes on to authentication (RFC 1661, Section 3.5).
func (l *Link) lcpUp(now time.Time, out *Out) {
	l.reason, l.byPeer = "", false
	l.refusals, l.rejected = 0, rejections{}
	l.heard, l.misses = now, 0
	l.armEcho(now)
	l.phase = authenticate
	out.Events = append(out.Events, Opened{PeerMRU: int(l.peerMRU), ShortProtocol: l.shortProtocol, ShortAddress: l.shortAddress})
	switch {
	case l.cfg.Role == Server:
		l.beginEAP(out)
	case l.peerEAP:
		l.eap = &conversation{}
	default:
		l.giveUp(now, &l.lcp, &failure{refused: true, reason: "the server does not ask for EAP, so it would not prove itself",
			hint: "set the server to EAP-TLS or PEAP"}, out)
	}
}

// lcpDown takes everything down that stands on LCP.
func (l *Link) lcpDown(now time.Time, out *Out) {
	if l.phase != terminate {
		l.phase = establish
	}
	l.abandon()
	l.echoAt = time.Time{}
	l.sayDown(out)
	l.fire(now, &l.ipcp, down, occasion{}, out)
	l.fire(now, &l.ipv6cp, down, occasion{}, out)
	l.addresses = addresses{}
	if l.upBy.IsZero() && l.phase == establish {
		l.upBy = now.Add(l.patience())
	}
}

func (l *Link) lcpFinished(_ time.Time, out *Out) { l.finish(out) }

// receiveLCP takes a packet of LCP.
func (l *Link) receiveLCP(now time.Time, data []byte, out *Out) {
	p, err := pppmsg.ParsePacket(data)
	if err != nil {
		return
	}
	switch p.Code {
	case pppmsg.EchoRequest:
		l.echoRequest(now, p, out)
	case pppmsg.ProtocolReject:
		l.protocolRejected(now, p, out)
	case pppmsg.EchoReply, pppmsg.DiscardRequest, pppmsg.Identification, pppmsg.TimeRemaining:
		// An Echo-Reply has done its work by coming. Windows sends Identification
		// with its version and name, and hangs up on a Code-Reject of it.
		l.fire(now, &l.lcp, rxr, occasion{packet: pppmsg.Packet{Code: p.Code}}, out)
	default:
		l.receiveControl(now, &l.lcp, p, out)
	}
}

// echoRequest answers, in Opened only. Our own Magic-Number in it means that
// our frames come back; any other is taken, since nobody gets them right.
func (l *Link) echoRequest(now time.Time, p pppmsg.Packet, out *Out) {
	m, err := pppmsg.ParseMagic(p.Data)
	switch {
	case err != nil || l.lcp.state != opened:
	case l.ownMagic() != 0 && m.Number == l.magic:
		l.die(now, "our own Echo-Requests come back: the link is looped", out)
	default:
		l.fire(now, &l.lcp, rxr, occasion{packet: p}, out)
	}
}

// echoReply is the action ser: of all that is RXR, only a request is answered.
func (l *Link) echoReply(p pppmsg.Packet, out *Out) {
	if p.Code != pppmsg.EchoRequest {
		return
	}
	m := pppmsg.Magic{Number: l.ownMagic(), Data: p.Data[4:min(len(p.Data), l.room())]}
	l.send(pppmsg.LCP, pppmsg.Packet{Code: pppmsg.EchoReply, Identifier: p.Identifier, Data: m.Append(nil)}, out)
}

// ownMagic is our Magic-Number, 0 where the peer has rejected it.
func (l *Link) ownMagic() uint32 {
	if l.lcp.dropped&(1<<l.lcp.row(pppmsg.LCPMagic)) != 0 {
		return 0
	}
	return l.magic
}

func (l *Link) armEcho(now time.Time) {
	if l.cfg.Echo >= 0 {
		l.echoAt = now.Add(cmp.Or(l.cfg.Echo, 30*time.Second))
	}
}

// timeoutEcho looks for a sign of life. Some peers answer nothing of L2TP's own
// (Android 9 and 10), and phones leave without a word: this decides.
func (l *Link) timeoutEcho(now time.Time, out *Out) {
	silence := cmp.Or(l.cfg.Echo, 30*time.Second)
	switch {
	case l.echoAt.IsZero() || now.Before(l.echoAt):
	case l.misses == 0 && now.Before(l.heard.Add(silence)):
		l.echoAt = l.heard.Add(silence)
	case int(l.misses) >= cmp.Or(l.cfg.EchoMisses, 4):
		l.die(now, fmt.Sprintf("the peer is silent: no answer to %d Echo-Requests", l.misses), out)
	default:
		l.misses++
		l.armEcho(now)
		m := pppmsg.Magic{Number: l.ownMagic()}
		l.send(pppmsg.LCP, pppmsg.Packet{Code: pppmsg.EchoRequest, Identifier: l.nextID(), Data: m.Append(nil)}, out)
	}
}

// protocolRejected takes a Protocol-Reject of the peer. It counts in Opened
// only, since before that anybody's old frame could end the link (RFC 1661,
// Section 5.7).
func (l *Link) protocolRejected(now time.Time, p pppmsg.Packet, out *Out) {
	j, err := pppmsg.ParseRejected(p.Data)
	if err != nil || l.lcp.state != opened {
		return
	}
	switch j.Protocol {
	case pppmsg.LCP:
		l.note("the peer rejects LCP", true)
		l.fire(now, &l.lcp, rxjMinus, occasion{}, out)
	case pppmsg.IPCP:
		l.fire(now, &l.ipcp, rxjMinus, occasion{}, out)
	case pppmsg.IPV6CP:
		l.fire(now, &l.ipv6cp, rxjMinus, occasion{}, out)
	case pppmsg.EAP:
		if l.phase == authenticate {
			l.refusals = 1
			l.giveUp(now, &l.lcp, l.authRefused("none"), out)
		}
	}
}

// maxRejections is how many protocols are rejected each time LCP is up: real
// peers ask for four that we do not have.
const maxRejections = 6

// rejections are the protocols that were rejected since LCP is up: each once, or
// a peer that does not listen could make us send as much as it does.
type rejections struct {
	list  [maxRejections]pppmsg.Protocol
	count uint8
}

// first tells whether p has to be rejected now.
func (r *rejections) first(p pppmsg.Protocol) bool {
	for _, q := range r.list[:r.count] {
		if p == q {
			return false
		}
	}
	if r.count == maxRejections {
		return false
	}
	r.list[r.count] = p
	r.count++
	return true
}

// rejectProtocol sends a Protocol-Reject (RFC 1661, Section 5.7).
func (l *Link) rejectProtocol(f pppmsg.Frame, out *Out) {
	if !l.rejected.first(f.Protocol) {
		return
	}
	j := pppmsg.Rejected{Protocol: f.Protocol, Information: f.Data[:min(len(f.Data), l.room()-2)]}
	l.send(pppmsg.LCP, pppmsg.Packet{Code: pppmsg.ProtocolReject, Identifier: l.nextID(), Data: j.Append(nil)}, out)
}

// peerLeft is what a Terminate-Request says.
func peerLeft(text []byte) string {
	if len(text) == 0 {
		return "the peer hung up"
	}
	return "the peer hung up: " + strconv.Quote(string(text[:min(len(text), maxText)]))
}
