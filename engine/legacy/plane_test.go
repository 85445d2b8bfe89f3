package legacy

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"sallyport/dataplane"
	"sallyport/internal/secret"
	"sallyport/internal/simnet"
	"sallyport/protocol/ike"
	"sallyport/protocol/l2tp/l2tpmsg"
	"sallyport/protocol/ppp/pppmsg"
)

// plane stands for ESP at one end: what is sealed into an SA comes out at the
// other end that has its key, once, or not at all.
type plane struct {
	w    *world
	name string
	sas  map[uint32]*sa // by inbound SPI
	used int            // counts, so that the SA in use is known
	send func(simnet.Datagram)
}

// sa is a pair of ESP SAs.
type sa struct {
	spiIn, spiOut uint32
	local, remote netip.AddrPort
	keyIn, keyOut secret.Bytes
	owner         *peer // the gateway's
	call          *dataplane.Call
	used          int // when it was put to use outbound; 0: never
	serial        uint32
	seen          map[uint32]bool
	highest       uint32
	at            time.Time
}

// packet is what stands for an ESP packet in UDP.
type packet struct {
	spi, serial uint32
	key         []byte
	port        uint16
	msg         []byte
	from        *client // nil: the gateway
}

// mark begins a packet; no cookie of these tests begins so.
const mark = "ESP "

const keySize = 8 // of a key's beginning, which stands for being authentic

// append tells also who sent the packet, which no real one does.
func (p packet) append(w *world) []byte {
	b := append([]byte(mark), 0)
	for i, c := range w.clients {
		if c == p.from {
			b[len(mark)] = byte(i + 1)
		}
	}
	b = binary.BigEndian.AppendUint32(b, p.spi)
	b = binary.BigEndian.AppendUint32(b, p.serial)
	b = append(b, p.key[:keySize]...)
	b = binary.BigEndian.AppendUint16(b, p.port)
	return append(b, p.msg...)
}

func (w *world) parsePacket(b []byte) (p packet, ok bool) {
	const head = len(mark) + 1 + 4 + 4 + keySize + 2
	if !bytes.HasPrefix(b, []byte(mark)) || len(b) < head {
		return p, false
	}
	if n := int(b[len(mark)]); n > 0 {
		p.from = w.clients[n-1]
	}
	b = b[len(mark)+1:]
	p.spi, p.serial, p.key = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), b[8:8+keySize]
	p.port, p.msg = binary.BigEndian.Uint16(b[8+keySize:]), b[10+keySize:]
	return p, true
}

func (p *plane) add(a *sa, outbound bool) {
	if p.sas[a.spiIn] != nil {
		p.w.t.Errorf("%s: SA %08x installed twice", p.name, a.spiIn)
	}
	a.seen = map[uint32]bool{}
	p.sas[a.spiIn] = a
	if outbound {
		p.used++
		a.used = p.used
	}
}

// of finds an SA that a session may change.
func (p *plane) of(spi uint32, owner *peer, what string) *sa {
	a := p.sas[spi]
	if a == nil || a.owner != owner {
		p.w.t.Errorf("%s: %s of SA %08x, which is not there or not the session's", p.name, what, spi)
		return &sa{}
	}
	return a
}

func (p *plane) use(spi uint32, owner *peer) {
	p.used++
	p.of(spi, owner, "use").used = p.used
}

func (p *plane) remove(spi uint32, owner *peer) {
	p.of(spi, owner, "removal")
	delete(p.sas, spi)
}

func (p *plane) move(spi uint32, local, remote netip.AddrPort) {
	if a := p.sas[spi]; a != nil {
		a.local, a.remote = local, remote
	}
}

func (p *plane) setCall(spi uint32, owner *peer, c *dataplane.Call) {
	p.of(spi, owner, "SetCall").call = c
}

func (p *plane) heard(spi uint32) time.Time {
	if a := p.sas[spi]; a != nil {
		return a.at
	}
	return time.Time{}
}

// inUse is the SA of an owner that packets leave by.
func (p *plane) inUse(owner *peer) *sa {
	var best *sa
	for _, a := range p.sas {
		if a.owner == owner && a.used > 0 && (best == nil || a.used > best.used) {
			best = a
		}
	}
	return best
}

// seal sends an L2TP message inside of an SA.
func (p *plane) seal(spi uint32, port uint16, msg []byte, from *client) {
	a := p.sas[spi]
	if a == nil {
		p.w.t.Errorf("%s: a message for SA %08x, which is not there", p.name, spi)
		return
	}
	a.serial++
	out := packet{spi: a.spiOut, serial: a.serial, key: a.keyOut, port: port, msg: msg, from: from}
	p.send(simnet.Datagram{Local: a.local, Remote: a.remote, Data: out.append(p.w)})
}

// open authenticates a packet, once, and tells what the plane sees of it.
func (p *plane) open(now time.Time, in packet, d simnet.Datagram) (*sa, []ike.Command) {
	a := p.sas[in.spi]
	if a == nil || !bytes.Equal(in.key, a.keyIn[:keySize]) || a.seen[in.serial] {
		return nil, nil
	}
	var events []ike.Command
	if len(a.seen) == 0 {
		events = append(events, ike.PlaneEvent{Kind: ike.FirstInbound, SPIIn: in.spi})
	}
	a.seen[in.serial] = true
	a.at = now.Truncate(time.Second)
	if in.serial > a.highest {
		a.highest = in.serial
		if d.Remote != a.remote {
			events = append(events, ike.PlaneEvent{Kind: ike.PeerMoved, SPIIn: in.spi, Remote: d.Remote})
		}
	}
	return a, events
}

// cargo is the text of a packet of a call, which stands for IPv4.
func cargo(msg []byte, tunnel, session uint16) (text string, ok bool) {
	if l2tpmsg.IsControl(msg) {
		return "", false
	}
	h, frame, err := l2tpmsg.ParseData(msg)
	if err != nil || h.Tunnel != tunnel || h.Session != session {
		return "", false
	}
	f, err := pppmsg.ParseFrame(frame)
	return string(f.Data), err == nil && f.Protocol == pppmsg.IPv4
}

// load is the data message of a packet.
func load(tunnel, session uint16, text string) []byte {
	f := pppmsg.Frame{Protocol: pppmsg.IPv4, Data: []byte(text)}
	return append(l2tpmsg.DataHeader{Tunnel: tunnel, Session: session}.Append(nil), f.Append(nil)...)
}
