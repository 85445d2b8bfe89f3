package l2tpload

import (
	"encoding/binary"
	"slices"
	"time"

	"sallyport/protocol/esp"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/suite"
)

// sa is one pair of ESP SAs in transport mode.
type sa struct {
	spi   uint32 // inbound
	in    *esp.Inbound
	out   *esp.Outbound
	seq   uint64
	heard time.Time
}

const (
	window    = 64 // packets, all that a client needs
	protoUDP  = 17
	udpHeader = 8
	portL2TP  = 1701
	espRoom   = 128 // SPI, sequence number, IV, trailer and ICV, with some to spare
)

func (m *member) inbound(spi uint32) *sa {
	for _, a := range m.sas {
		if a.spi == spi {
			return a
		}
	}
	return nil
}

// addSA takes the keys of a quick mode.
func (m *member) addSA(of ikev1.SA) {
	in, err1 := cipher(of.Suite, of.KeyIn)
	out, err2 := cipher(of.Suite, of.KeyOut)
	if err1 != nil || err2 != nil || !of.Encap {
		m.why = "ESP outside of UDP, or a suite that is not known here"
		return
	}
	m.crowd.report.Child = of.Suite.String()
	a := &sa{spi: of.SPIIn, in: esp.NewInbound(of.SPIIn, false, in, window), out: esp.NewOutbound(of.SPIOut, false, out)}
	m.sas = append(m.sas, a)
	if of.Outbound {
		m.out = a
	}
}

func cipher(e suite.ESP, key []byte) (suite.Cipher, error) {
	n, _ := suite.CipherKeySizes(e.Encr, e.Integ)
	n = min(n, len(key))
	return suite.NewCipher(e.Encr, e.Integ, key[:n], key[n:])
}

// receiveESP opens a packet, in which there is L2TP.
func (m *member) receiveESP(now time.Time, packet []byte) {
	a := m.inbound(binary.BigEndian.Uint32(packet))
	if a == nil || m.l2tp == nil {
		return // of before it vanished, or of an SA that is deleted
	}
	payload, next, _, err := a.in.Open(packet)
	if err != nil || next != protoUDP || len(payload) < udpHeader || binary.BigEndian.Uint16(payload[2:]) != m.crowd.cfg.Port {
		return
	}
	a.heard = now
	m.withL2TP(now, func(o *l2tp.Out) { m.l2tp.Receive(now, payload[udpHeader:], o) })
	m.settle(now)
}

// sendMessage sends an L2TP message in the SA that is in use.
func (m *member) sendMessage(msg []byte) {
	if m.out == nil {
		return
	}
	c := m.crowd
	c.plain = slices.Grow(c.plain[:0], udpHeader+len(msg)+esp.MaxTrailer)
	c.plain = binary.BigEndian.AppendUint16(c.plain, c.cfg.Port)
	c.plain = binary.BigEndian.AppendUint16(c.plain, portL2TP)
	c.plain = binary.BigEndian.AppendUint16(c.plain, uint16(udpHeader+len(msg)))
	c.plain = append(append(c.plain, 0, 0), msg...) // no checksum: ESP protects it (RFC 3948, Section 3.1.2)
	c.sealed = slices.Grow(c.sealed[:0], len(c.plain)+espRoom)
	m.out.seq++
	m.write(m.out.out.Seal(c.sealed[:0], m.out.seq, protoUDP, c.plain), c.cfg.NATT)
}
