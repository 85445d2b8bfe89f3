// Package ppp is one PPP link, as L2TP carries it, from the first Configure-
// Request to the last Terminate-Ack: RFC 1661 (the automaton and LCP), RFC 1570
// (Identification and Time-Remaining, which are only tolerated), RFC 1332 and
// RFC 1877 (IPCP with name servers), RFC 5072 (IPV6CP), and the lower layer's
// part of RFC 3748 (EAP).
//
// EAP is the only authentication. PAP, CHAP and MS-CHAP (RFC 1334, RFC 1994,
// RFC 2433, RFC 2759) are refused in words that a user can read: whoever is
// inside the tunnel, or has its group key, could read or guess the password.
// Compression, encryption (IPsec is there), multilink and callback are refused.
//
// A Link is sans I/O: no goroutine, lock, clock or socket, and for one caller at
// a time. The methods and passwords of EAP, and the pool of addresses, are
// behind jobs. Only control packets come here; IP packets are the data plane's,
// which tells the link with Heard that the peer lives. The package promises no
// compatibility between versions.
package ppp

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// phase is where the link is on the way that RFC 1661, Section 3.2, draws.
type phase uint8

const (
	establish phase = iota
	authenticate
	assign // authenticated; the addresses are asked for
	network
	terminate
	dead
)

var phaseNames = [...]string{"establishment", "authentication", "address assignment", "network negotiation", "termination", "end"}

func (p phase) String() string { return phaseNames[p] }

// Limits of what a peer may send.
const (
	// maxFrame is the longest control frame, in octets: the MRU that everybody
	// must take is 1500, and no control packet comes near.
	maxFrame = 2048
	// maxHeld is how many frames wait for the Assign job. Windows sends IPV6CP,
	// CCP and IPCP at once.
	maxHeld = 6
	// maxText is how much of a Terminate-Request we show or send, in octets.
	maxText = 200
)

// defaultMRU is what a peer takes that has not said otherwise (RFC 1661,
// Section 6.1).
const defaultMRU = 1500

// Link is one end of a PPP link.
type Link struct {
	cfg    *Config
	phase  phase
	serial uint8 // the last Identifier
	lcp    control
	ipcp   control
	ipv6cp control

	// LCP.
	mru           uint16 // ours, as asked for
	peerMRU       uint16
	magic         uint32 // ours; what is asked for
	shortProtocol bool   // by the peer's wish
	shortAddress  bool
	peerEAP       bool  // client: the server demands EAP
	refusals      uint8 // of EAP, by the peer
	rejected      rejections
	mppe          bool // the peer has asked for it

	// Life.
	heard  time.Time
	echoAt time.Time // when to look for a sign of life
	misses uint8
	upBy   time.Time // the end of Patience; zero = the network is up

	jobs jobs
	eap  *conversation // nil but for authentication
	held [][]byte      // frames that came while addresses were assigned

	addresses
	announced bool // NetworkUp is out, and no NetworkDown since

	// The end.
	text   string // for our Terminate-Request
	reason string
	byPeer bool
}

// New begins a link: L2TP is up, and the first Configure-Request goes out.
func New(cfg *Config, now time.Time, out *Out) *Link {
	l := &Link{cfg: cfg, mru: uint16(cmp.Or(cfg.MRU, 1400)), peerMRU: defaultMRU}
	l.lcp.layer, l.ipcp.layer, l.ipv6cp.layer = &lcpLayer, ipcpLayers[cfg.Role], &ipv6cpLayer
	l.magic = l.newMagic()
	l.upBy = now.Add(l.patience())
	l.fire(now, &l.lcp, open, occasion{}, out)
	l.fire(now, &l.lcp, up, occasion{}, out)
	return l
}

func (l *Link) patience() time.Duration { return cmp.Or(l.cfg.Patience, 90*time.Second) }

// Receive takes a frame of the peer: with or without FF 03, with one or two
// octets of protocol. frame is not kept.
func (l *Link) Receive(now time.Time, frame []byte, out *Out) {
	if l.phase == dead || len(frame) > maxFrame {
		return
	}
	f, err := pppmsg.ParseFrame(frame)
	if err != nil {
		return
	}
	l.Heard(now)
	switch {
	case f.Protocol == pppmsg.LCP:
		l.receiveLCP(now, f.Data, out)
	case l.lcp.state != opened: // RFC 1661, Section 3.4: silence
	case f.Protocol == pppmsg.EAP:
		l.receiveEAP(now, f.Data, out)
	case l.phase == assign && len(l.held) < maxHeld:
		l.held = append(l.held, bytes.Clone(frame))
	case l.phase == network:
		l.receiveNetwork(now, f, out)
	} // RFC 1661, Section 3.5: before authentication, silence
}

// Heard says that the peer has sent something: also data, which moves
// elsewhere. It is cheap.
func (l *Link) Heard(now time.Time) {
	l.heard, l.misses = now, 0
}

// Timeout does what is due at now.
func (l *Link) Timeout(now time.Time, out *Out) {
	if l.phase == dead {
		return
	}
	l.timeoutControl(now, &l.lcp, out)
	l.timeoutControl(now, &l.ipcp, out)
	l.timeoutControl(now, &l.ipv6cp, out)
	l.timeoutEAP(now, out)
	l.timeoutEcho(now, out)
	if !l.upBy.IsZero() && !now.Before(l.upBy) {
		l.impatient(now, out)
	}
}

// impatient ends a link whose network does not come up.
func (l *Link) impatient(now time.Time, out *Out) {
	l.upBy = time.Time{}
	if l.phase == terminate || l.phase == dead {
		return
	}
	l.explainMPPE(out)
	l.close(now, "no network within the time allowed", fmt.Sprintf("no network within %v: the link was in %v", l.patience(), l.phase), out)
}

// Deadline is when Timeout should be called; zero = never.
func (l *Link) Deadline() time.Time {
	if l.phase == dead {
		return time.Time{}
	}
	next := l.lcp.due
	for _, t := range [...]time.Time{l.ipcp.due, l.ipv6cp.due, l.eap.deadline(), l.echoAt, l.upBy} {
		if next.IsZero() || !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return next
}

// Dead tells that the link is over: its Down event is out.
func (l *Link) Dead() bool { return l.phase == dead }

// Do carries out a command.
func (l *Link) Do(now time.Time, c Command, out *Out) {
	if c, ok := c.(Close); ok && l.phase != dead {
		l.close(now, c.Text, "closed by this end", out)
	}
}

// Done takes the answer to a job.
func (l *Link) Done(now time.Time, r Result, out *Out) {
	current, next := l.jobs.answer(r.ID)
	switch {
	case next != nil:
		out.Jobs = append(out.Jobs, l.jobs.issue(next))
	case !current:
	case l.phase == authenticate:
		step, err := value[EAPStep](r)
		l.step(now, step, err, out)
	case l.phase == assign:
		assigned, err := value[Assigned](r)
		l.assigned(now, assigned, err, out)
	}
}

// value is a job's answer of the type that it should have.
func value[T any](r Result) (T, error) {
	v, ok := r.Value.(T)
	if r.Err == nil && !ok {
		return v, fmt.Errorf("ppp: a job was answered with %T", r.Value)
	}
	return v, r.Err
}

// close ends the link in an orderly way.
func (l *Link) close(now time.Time, text, reason string, out *Out) {
	if l.phase == terminate {
		return
	}
	l.note(reason, false)
	l.text = text[:min(len(text), maxText)]
	l.abandon()
	l.phase = terminate
	l.fire(now, &l.lcp, shut, occasion{}, out)
}

// die ends the link at once: there is nobody to part from.
func (l *Link) die(now time.Time, reason string, out *Out) {
	l.note(reason, false)
	l.phase = terminate
	l.fire(now, &l.lcp, down, occasion{}, out)
	l.finish(out)
}

// finish is the last thing that happens.
func (l *Link) finish(out *Out) {
	if l.phase == dead {
		return
	}
	l.abandon()
	l.phase = dead
	out.Events = append(out.Events, Down{Reason: cmp.Or(l.reason, "the peer does not answer"), ByPeer: l.byPeer})
}

// abandon lets go of what is under way.
func (l *Link) abandon() {
	l.eap, l.held = nil, nil
	l.jobs.drop()
}

// note keeps the first reason for the end.
func (l *Link) note(reason string, byPeer bool) {
	if l.reason == "" {
		l.reason, l.byPeer = reason, byPeer
	}
}

// giveUp ends a layer that does not come to terms, and with LCP the link.
func (l *Link) giveUp(now time.Time, c *control, f *failure, out *Out) {
	if f.refused {
		out.Events = append(out.Events, Refused{Wanted: f.wanted, Reason: f.reason, Hint: f.hint})
	}
	if c == &l.lcp {
		l.close(now, cmp.Or(f.text, f.reason), f.reason, out)
		return
	}
	l.lost = f.reason
	l.fire(now, c, shut, occasion{}, out)
}

// send sends a control packet.
func (l *Link) send(protocol pppmsg.Protocol, p pppmsg.Packet, out *Out) {
	if room := l.room(); p.Code == pppmsg.TerminateRequest && len(p.Data) > room {
		p.Data = p.Data[:room]
	}
	l.sendFrame(protocol, p.Append(nil), out)
}

// sendFrame sends one frame. LCP's are never compressed (RFC 1661, Sections
// 6.5 and 6.6), and all others only when the peer has asked for it.
func (l *Link) sendFrame(protocol pppmsg.Protocol, data []byte, out *Out) {
	f := pppmsg.Frame{Protocol: protocol, Data: data}
	if protocol != pppmsg.LCP && l.lcp.state == opened {
		f.ShortAddress, f.ShortProtocol = l.shortAddress, l.shortProtocol
	}
	out.Send = append(out.Send, f.Append(nil))
}

// room is what fits into a packet to the peer after its header.
func (l *Link) room() int { return int(l.peerMRU) - 4 }

// nextID is an Identifier that was not used of late.
func (l *Link) nextID() uint8 {
	l.serial++
	return l.serial
}

// random fills b from crypto/rand, or from the test's source.
func (l *Link) random(b []byte) {
	if l.cfg.rand != nil {
		l.cfg.rand(b)
		return
	}
	rand.Read(b) // never fails: crypto/rand ends the program instead
}

// newMagic is a Magic-Number; 0 is none (RFC 1661, Section 6.4).
func (l *Link) newMagic() uint32 {
	var b [4]byte
	l.random(b[:])
	return max(binary.BigEndian.Uint32(b[:]), 1)
}

// jobs numbers jobs and knows the outstanding one. When the peer starts over,
// the outstanding job becomes stale, and its successor waits for it.
type jobs struct {
	last    uint64
	waiting bool
	stale   bool
	next    Task // after the stale one
}

func (l *Link) want(t Task, out *Out) {
	if l.jobs.waiting {
		l.jobs.next = t
		return
	}
	out.Jobs = append(out.Jobs, l.jobs.issue(t))
}

func (j *jobs) issue(t Task) Job {
	*j = jobs{last: j.last + 1, waiting: true}
	return Job{ID: j.last, Task: t}
}

// drop forgets about the outstanding job.
func (j *jobs) drop() { j.stale, j.next = j.waiting, nil }

// pending tells that no packet can be worked on now.
func (j *jobs) pending() bool { return j.waiting }

// answer tells whether id answers a job that still matters, and what is to be
// asked next.
func (j *jobs) answer(id uint64) (current bool, next Task) {
	if !j.waiting || id != j.last {
		return false, nil
	}
	current, next = !j.stale, j.next
	*j = jobs{last: j.last}
	return current, next
}
