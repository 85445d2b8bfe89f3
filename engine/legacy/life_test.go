package legacy

import (
	"encoding/binary"
	"testing"
	"time"

	"sallyport/engine"
	"sallyport/protocol/ike"
	"sallyport/protocol/l2tp/l2tpmsg"
	"sallyport/protocol/ppp/pppmsg"
)

// TestTrap39_AClientThatAnswersNoHELLOLivesOn: old Android acknowledges none, but
// LCP answers.
func TestTrap39_AClientThatAnswersNoHELLOLivesOn(t *testing.T) {
	w := newWorld(t, 1)
	w.g.cfg.IKE.DPD = -1
	c, p := established(w)
	c.noHello = true
	w.run(50 * time.Minute)
	c.works()
	w.g.wantCount(1, 0)
	c.crash()
	w.run(10 * time.Minute)
	if !p.gone {
		t.Error("and when it is gone, nobody notices")
	}
}

// TestTrap23_PacketsAreASignOfLife: a client that sends nothing but IP packets,
// which the plane alone sees, is asked nothing.
func TestTrap23_PacketsAreASignOfLife(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
	c.ppp.Echo, c.l2tp.Hello, c.policy.DPD = -1, -1, -1
	c.dial()
	c.wantUp()
	p := w.g.only()
	sent := p.inner
	for range 60 {
		c.say(load(c.call.PeerTunnel, c.call.PeerSession, c.user))
		w.run(10 * time.Second)
	}
	if n := p.inner - sent; n > 2 {
		t.Errorf("the session sent %d messages to a client that was heard all the time", n)
	}
	w.g.wantCount(1, 0)
}

// TestTrap45_DHCPINFORMIsAnsweredInItsCall, from the assigned address alone, and
// not any more when the network is down.
func TestTrap45_DHCPINFORMIsAnsweredInItsCall(t *testing.T) {
	w := newWorld(t, 1)
	c, p := established(w)
	inform := func(from [4]byte) (answers int) {
		sent := p.inner
		frame := pppmsg.Frame{Protocol: pppmsg.IPv4, Data: dhcpInform(from)}.Append(nil)
		msg := append(l2tpmsg.DataHeader{Tunnel: c.call.PeerTunnel, Session: c.call.PeerSession}.Append(nil), frame...)
		w.g.do(p, ike.Extra{Value: engine.InnerMessage{SPIIn: p.newest().spiIn, Port: clientPort, Data: msg}})
		return p.inner - sent
	}
	ours := p.m.Leased().IPv4.As4()
	if n := inform(ours); n != 1 {
		t.Errorf("%d answers to the client's address", n)
	}
	w.run(2 * time.Second)
	if n := inform([4]byte{10, 70, 0, 200}); n != 0 {
		t.Errorf("%d answers to somebody else's address", n)
	}
	w.run(2 * time.Second)
	c.stops = stopLCP
	c.renegotiate("mallory")
	w.run(time.Second)
	if n := inform(ours); n != 0 {
		t.Errorf("%d answers without a network", n)
	}
}

// dhcpInform is what Windows asks (RFC 2131, Section 4.3.5).
func dhcpInform(from [4]byte) []byte {
	dhcp := make([]byte, 240)
	dhcp[0], dhcp[1], dhcp[2] = 1, 8, 0
	copy(dhcp[12:], from[:])
	copy(dhcp[236:], []byte{0x63, 0x82, 0x53, 0x63})
	dhcp = append(dhcp, 53, 1, 8, 55, 2, 6, 249, 255)
	udp := binary.BigEndian.AppendUint16(nil, 68)
	udp = binary.BigEndian.AppendUint16(udp, 67)
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(dhcp)))
	udp = append(append(udp, 0, 0), dhcp...)
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0}
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
	ip = append(append(ip, from[:]...), 255, 255, 255, 255)
	var sum uint32
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum))
	return append(ip, udp...)
}
