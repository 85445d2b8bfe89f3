package legacy

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"sallyport/engine"
	"sallyport/internal/simnet"
	"sallyport/protocol/ike"
	"sallyport/protocol/ppp/pppmsg"
)

// attack is a script against a session: what a peer, who has come some way, says
// from then on.
type attack struct {
	w *world
	c *client
	p *peer
	b []byte // what is left of the script
}

// ways are how far the peer comes before.
var ways = [...]struct {
	stops stop
	after time.Duration
}{
	{stopMain, time.Second}, {stopQuick, time.Second}, {stopSCCRQ, time.Second}, {stopCall, time.Second}, {stopLCP, time.Second},
	{stopEAP, time.Second}, {stopNever, 5 * time.Second}, {stopNever, 250 * time.Millisecond}, {stopNever, 100 * time.Millisecond},
}

func newAttack(t testing.TB, script []byte) *attack {
	w := makeWorld(t, 1)
	a := &attack{w: w, b: script}
	way := ways[int(a.next())%len(ways)]
	a.c = w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
	a.c.stops = way.stops
	a.c.dial()
	w.run(way.after)
	a.p = w.g.all[0]
	return a
}

func (a *attack) next() byte {
	if len(a.b) == 0 {
		return 0
	}
	n := a.b[0]
	a.b = a.b[1:]
	return n
}

// chunk is a length in one octet, and so much.
func (a *attack) chunk() []byte {
	n := min(int(a.next()), len(a.b))
	data := a.b[:n:n]
	a.b = a.b[n:]
	return data
}

// steps are what the script is made of.
var steps = [...]func(*attack){
	(*attack).ike, (*attack).inner, (*attack).control, (*attack).opening, (*attack).frame, (*attack).lcp, (*attack).eap, (*attack).network,
	(*attack).plane, (*attack).wait, (*attack).command, (*attack).newcomer,
}

// maxSteps keeps a script within a moment.
const maxSteps = 64

func (a *attack) run() {
	for n := 0; len(a.b) > 0 && n < maxSteps; n++ {
		sent := a.p.inner
		steps[int(a.next())%len(steps)](a)
		if got := a.p.inner - sent; got > 64 {
			a.w.t.Fatalf("one step made the session send %d messages", got)
		}
		if a.p.jobs > maxJobs+2 || len(a.p.m.jobs) > maxJobs+2 {
			a.w.t.Fatalf("%d jobs are outstanding", a.p.jobs)
		}
	}
	a.c.crash()
	a.w.run(20 * time.Minute)
	a.w.g.empty()
}

// ike is a datagram that has the cookies of the session, and a chosen exchange.
func (a *attack) ike() {
	ours, peers := a.p.m.SPIs()
	exchange, flags, first := a.next(), a.next(), a.next()
	body := a.chunk()
	b := binary.BigEndian.AppendUint64(nil, uint64(peers))
	b = binary.BigEndian.AppendUint64(b, uint64(ours))
	b = append(b, first, 0x10, [...]byte{2, 5, 32, 4, 6, exchange}[exchange%6], flags, first, 0, 0, first)
	b = binary.BigEndian.AppendUint32(b, uint32(28+len(body)))
	a.arrive(append(b, body...))
}

func (a *attack) arrive(b []byte) {
	local, remote := a.p.m.Path()
	a.w.g.receive(a.w.now(), simnet.Datagram{Local: local, Remote: remote, Data: b})
}

// say brings a message out of an SA of the session.
func (a *attack) say(msg []byte) {
	for spi, s := range a.w.g.sas {
		if s.owner == a.p {
			a.w.g.do(a.p, ike.Extra{Value: engine.InnerMessage{SPIIn: spi, Port: 1701, Data: msg}})
			return
		}
	}
}

func (a *attack) inner() { a.say(a.chunk()) }

// control is a message in the session's tunnel.
func (a *attack) control() {
	kind, session, ns, nr := a.next(), a.next(), a.next(), a.next()
	id := uint16(0)
	if session&1 != 0 {
		id = a.c.call.PeerSession
	}
	a.say(controlMessage(a.c.call.PeerTunnel, id, uint16(ns%8), uint16(nr%8), kind%18, a.chunk()))
}

// opening is an SCCRQ that is in order, with a tunnel id that is chosen.
func (a *attack) opening() {
	avps := "8008 0000 0002 0100 800a 0000 0003 00000003 8007 0000 0007 61 8008 0000 0009 00"
	a.say(controlMessage(0, 0, 0, 0, 1, append(octets(avps), a.next())))
}

func controlMessage(tunnel, session, ns, nr uint16, kind byte, avps []byte) []byte {
	b := []byte{0xc8, 2, 0, 0}
	for _, v := range []uint16{tunnel, session, ns, nr} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	b = append(b, 0x80, 8, 0, 0, 0, 0, 0, kind)
	b = append(b, avps...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func octets(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// frame is one in the session's call.
func (a *attack) frame() { a.ppp(a.chunk()) }

func (a *attack) ppp(frame []byte) {
	b := []byte{0, 2}
	b = binary.BigEndian.AppendUint16(b, a.c.call.PeerTunnel)
	b = binary.BigEndian.AppendUint16(b, a.c.call.PeerSession)
	a.say(append(b, frame...))
}

func (a *attack) lcp() { a.packet(pppmsg.LCP) }

func (a *attack) network() {
	a.packet([]pppmsg.Protocol{pppmsg.IPCP, pppmsg.IPV6CP, pppmsg.CCP, pppmsg.IPv4, pppmsg.IPv6}[a.next()%5])
}

func (a *attack) packet(p pppmsg.Protocol) {
	q := pppmsg.Packet{Code: pppmsg.Code(a.next() % 14), Identifier: a.next() % 8, Data: a.chunk()}
	a.ppp(pppmsg.Frame{Protocol: p, Data: q.Append(nil)}.Append(nil))
}

func (a *attack) eap() {
	q := pppmsg.EAPPacket{Code: pppmsg.EAPCode(a.next() % 6), Identifier: 50 + a.next()%8, Data: a.chunk()}
	a.ppp(pppmsg.Frame{Protocol: pppmsg.EAP, Data: q.Append(nil)}.Append(nil))
}

// plane is what the plane sees.
func (a *attack) plane() {
	kind, port := ike.PlaneKind(a.next()%6), a.next()
	_, remote := a.p.m.Path()
	spi := uint32(port)
	for known, s := range a.w.g.sas {
		if s.owner == a.p {
			spi = known
		}
	}
	a.w.g.do(a.p, ike.PlaneEvent{Kind: kind, SPIIn: spi, Remote: netip.AddrPortFrom(remote.Addr(), 1024+uint16(port))})
}

func (a *attack) wait() { a.w.run(time.Duration(a.next()) * 100 * time.Millisecond) }

func (a *attack) command() {
	for spi, s := range a.w.g.sas {
		if s.owner != a.p {
			continue
		}
		switch a.next() % 4 {
		case 0:
			a.w.g.do(a.p, ike.RekeyChild{SPIIn: spi})
		case 1:
			a.w.g.do(a.p, ike.DeleteChild{SPIIn: spi})
		case 2:
			a.w.g.do(a.p, ike.RekeyIKE{})
		case 3:
			a.w.g.do(a.p, ike.CloseSession{Reason: "a command"})
		}
		return
	}
}

// newcomer is the client once more: what was is forgotten.
func (a *attack) newcomer() {
	switch a.next() % 3 {
	case 0:
		a.w.g.logins.verdict = func(string) error { return errors.New("not today") }
	case 1:
		a.w.g.logins.verdict = nil
	}
	a.c.crash()
	a.c.dial()
	a.w.run(time.Duration(a.next()) * 20 * time.Millisecond)
	for _, p := range a.w.g.live() {
		a.p = p
		return
	}
}

// FuzzPeer lets a peer say anything, inside the tunnel and to IKE, at every
// point of a session. It may end its own session, and nothing else.
func FuzzPeer(f *testing.F) {
	for way := range ways {
		w := byte(way)
		f.Add([]byte{w})
		f.Add([]byte{w, 0, 1, 1, 8, 40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10})                // IKE
		f.Add([]byte{w, 3, 9, 9, 5, 3, 10, 9, 50, 2, 2, 0, 0, 0, 2, 3, 0, 1, 0})       // SCCRQ twice, then SCCCN
		f.Add([]byte{w, 5, 1, 1, 0, 5, 5, 1, 4, 1, 2, 3, 4, 9, 100})                   // LCP
		f.Add([]byte{w, 6, 2, 1, 6, 1, 97, 98, 99, 100, 101, 9, 10, 6, 2, 2, 1, 13})   // EAP
		f.Add([]byte{w, 7, 0, 1, 1, 6, 3, 6, 10, 70, 0, 106, 7, 1, 1, 1, 0, 7, 3, 69}) // network
		f.Add([]byte{w, 8, 4, 9, 8, 3, 0, 8, 2, 0, 9, 200, 10, 1, 10, 3, 9, 50})       // plane, commands
		f.Add([]byte{w, 11, 2, 100, 11, 0, 200, 10, 3, 11, 1, 255, 9, 30})             // comes back
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		cryptotest.SetGlobalRandom(t, 1)
		newAttack(t, script).run()
	})
}

// TestTrap38_WhatASessionIsToldBeforeItsTime: frames before the call, a call
// before the tunnel, and all of it after the end, at every point of the way.
func TestTrap38_WhatASessionIsToldBeforeItsTime(t *testing.T) {
	for way := range ways {
		a := newAttack(t, []byte{byte(way)})
		for kind := range byte(18) {
			a.b = []byte{kind, kind, kind, kind, 0, kind % 14, 1, 2, 0, 4}
			a.control()
			a.lcp()
			a.b = []byte{kind, 2, 3, 1, 2, 3}
			a.eap()
		}
		a.run()
	}
}
