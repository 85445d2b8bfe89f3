package hostile

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestForgedPacketsNeverReachTheInside sends ESP that is wrong in every way,
// without keys and with them, and looks at the inside's own wire.
func TestForgedPacketsNeverReachTheInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	p := w.newPeer(w.enrol("mallory", "laptop-m")).mustConnect()
	b := w.bystander()
	friend := w.sessions()[0]
	for _, s := range w.sessions() {
		if s.Device == "laptop" {
			friend = s
		}
	}
	if !p.ping(p.leased, 5*time.Second) {
		t.Fatal("an honest ping does not come back")
	}
	inside := w.watchInside("marked by mallory")
	p.sendESP(p.child.seal(4, marked(p.leased, inside4)))
	w.eventually(5*time.Second, "the inside sees an honest packet", func() bool { return inside.Load() == 1 })
	inside.Store(0)
	lines := w.talk.total()

	own := func(next uint8, inner []byte) []byte { return p.child.seal(next, inner) }
	good := marked(p.leased, inside4)
	spi := binary.BigEndian.AppendUint32(nil, p.child.spiOut)
	counted := func(name, counter string, packets ...[]byte) {
		t.Helper()
		before := w.status().Plane[counter]
		for _, packet := range packets {
			p.sendESP(packet)
		}
		want := before + uint64(len(packets))
		for end := time.Now().Add(5 * time.Second); w.status().Plane[counter] < want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: the counter %q went from %d to %d, not by %d", name, counter, before, w.status().Plane[counter], len(packets))
				return
			}
		}
	}
	flip := func(packet []byte, at int) []byte {
		m := bytes.Clone(packet)
		m[at] ^= 1
		return m
	}
	friendSPI := bytes.Clone(own(4, good))
	copy(friendSPI, append(hexSPI(t, friend.Children[0].SPIIn), 0, 0x10, 0, 0)) // ahead of the window
	var unknown, wrongTag, short [][]byte
	for range 500 {
		unknown = append(unknown, append(append([]byte{0x55}, octets(3)...), octets(100)...))
		wrongTag = append(wrongTag, append(append(bytes.Clone(spi), 0, 0, 1, 0), octets(120)...))
	}
	sealed := own(4, good)
	for n := 8; n < 8+8+16; n++ {
		short = append(short, sealed[:n])
	}
	counted("packets of an unknown SPI", "unknown_spi", unknown...)
	counted("packets with noise for a tag", "auth", wrongTag...)
	counted("a flipped sequence number, IV, text and tag", "auth", flip(own(4, good), 7), flip(own(4, good), 9), flip(own(4, good), 30), flip(own(4, good), len(good)+30))
	counted("our packet under the friend's SPI", "auth", friendSPI)
	counted("packets too short for a tag", "malformed", short...)

	once := own(4, good)
	p.sendESP(once)
	w.eventually(5*time.Second, "the inside sees a packet once", func() bool { return inside.Load() == 1 })
	var replays [][]byte
	for range 500 {
		replays = append(replays, once)
	}
	counted("500 replays", "replay", replays...)
	if n := inside.Load(); n != 1 {
		t.Errorf("a replayed packet reached the inside %d times", n)
	}
	inside.Store(0)

	foreign := [][]byte{}
	for _, source := range []netip.Addr{friend.IPv4, inside4, netip.MustParseAddr("10.60.0.1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("8.8.8.8"), netip.IPv4Unspecified(), netip.MustParseAddr("255.255.255.255")} {
		foreign = append(foreign, own(4, marked(source, inside4)))
	}
	for _, destination := range []netip.Addr{friend.IPv4, netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("127.0.0.1"), gateway4, netip.MustParseAddr("224.0.0.1")} {
		foreign = append(foreign, own(4, marked(p.leased, destination)))
	}
	counted("inner packets outside the selectors", "inbound_selector", foreign...)

	liar := func(change func(inner []byte)) []byte {
		inner := marked(p.leased, inside4)
		change(inner)
		return own(4, inner)
	}
	counted("inner garbage", "inner_malformed",
		own(4, nil), own(4, []byte{0x45}), own(4, octets(19)), own(41, octets(39)), own(6, good), own(50, good), own(0, good), own(255, good),
		liar(func(b []byte) { b[0] = 0x35 }), liar(func(b []byte) { b[0] = 0x40 }), liar(func(b []byte) { b[0] = 0x4f; clear(b[20:]); b[3] = 30 }),
		liar(func(b []byte) { b[2], b[3] = 0xff, 0xff }), liar(func(b []byte) { b[2], b[3] = 0, 10 }), own(41, good), own(4, append([]byte{0x60}, octets(60)...)))
	counted("dummy packets", "dummy", own(59, octets(40)), own(59, nil))
	time.Sleep(200 * time.Millisecond)
	if n := inside.Load(); n != 0 {
		t.Errorf("%d forged packets reached the inside", n)
	}

	big := make([]byte, 60000)
	copy(big, marked(p.leased, inside4))
	binary.BigEndian.PutUint16(big[2:], uint16(len(big)))
	for range 20 { // legal, and larger than any device's MTU
		p.sendESP(own(4, big))
		p.sendESP(append(bytes.Clone(spi), octets(60000)...))
	}
	if grown := w.talk.total() - lines; grown > 3 {
		t.Errorf("%d lines in the log:\n%s", grown, w.talk.since(lines))
	}
	w.unharmed()
	if !p.ping(p.leased, 5*time.Second) {
		t.Error("the honest tunnel of the attacker no longer works")
	}
	t.Logf("the plane counted %v", w.status().Plane)
	b.undisturbed(w, 2)
}

func hexSPI(t *testing.T, text string) []byte {
	t.Helper()
	var spi uint32
	for _, c := range []byte(text) {
		d := c - '0'
		if c >= 'a' {
			d = c - 'a' + 10
		}
		spi = spi<<4 | uint32(d)
	}
	return binary.BigEndian.AppendUint32(nil, spi)
}

// marked is a UDP packet that can be recognised on any wire.
func marked(source, destination netip.Addr) []byte {
	text := "marked by mallory"
	b := make([]byte, 28, 28+len(text))
	b = append(b, text...)
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], source.AsSlice())
	copy(b[16:], destination.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
	binary.BigEndian.PutUint16(b[20:], 9999)
	binary.BigEndian.PutUint16(b[22:], 9999)
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(text)))
	return b
}

// watchInside counts the packets with a text that arrive at the inside host.
func (w *world) watchInside(text string) *atomic.Int64 {
	w.Helper()
	var sock int
	w.must(w.lab.At("inside").Do(func() (err error) {
		sock, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, int(htons(unix.ETH_P_ALL)))
		return err
	}))
	unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000})
	unix.SetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	count, stop, done := new(atomic.Int64), new(atomic.Bool), make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for !stop.Load() {
			n, from, err := unix.Recvfrom(sock, buf, 0)
			link, ok := from.(*unix.SockaddrLinklayer)
			if err == nil && ok && link.Pkttype != unix.PACKET_OUTGOING && bytes.Contains(buf[:n], []byte(text)) {
				count.Add(1)
			}
		}
	}()
	w.Cleanup(func() { stop.Store(true); <-done; unix.Close(sock) })
	return count
}
