package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/protocol/ike/ikemsg"
)

// wire sends UDP datagrams from any source address that leads back to mallory,
// and sees everything that comes back. It keeps the books of amplification:
// what each source sent, and what was sent to it.
type wire struct {
	w       *world
	send    int // raw IPv4 socket
	capture int // packet socket
	next    atomic.Uint32

	mu      sync.Mutex
	books   map[netip.AddrPort]*account
	strays  int // answers to sources that never asked
	last    time.Time
	closing bool
}

// account is what passed between one source and the gateway.
type account struct {
	name    string
	sent    [][]byte
	answers [][]byte
}

func (w *world) newWire() *wire {
	w.Helper()
	x := &wire{w: w, books: map[netip.AddrPort]*account{}}
	w.must(w.lab.At("mallory").Do(func() (err error) {
		if x.send, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW); err != nil {
			return err
		}
		x.capture, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, int(htons(unix.ETH_P_IP)))
		return err
	}))
	unix.SetsockoptInt(x.capture, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	unix.SetsockoptTimeval(x.capture, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000})
	done := make(chan struct{})
	go func() { defer close(done); x.watch() }()
	w.Cleanup(func() {
		x.mu.Lock()
		x.closing = true
		x.mu.Unlock()
		<-done
		unix.Close(x.send)
		unix.Close(x.capture)
	})
	return x
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// watch files what comes from the gateway under whom it was sent to.
func (x *wire) watch() {
	buf := make([]byte, 65536)
	for {
		n, from, err := unix.Recvfrom(x.capture, buf, 0)
		x.mu.Lock()
		closing := x.closing
		x.mu.Unlock()
		if closing {
			return
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if err != nil || !ok || link.Pkttype == unix.PACKET_OUTGOING || n < 28 || buf[0]>>4 != 4 || buf[9] != unix.IPPROTO_UDP {
			continue
		}
		head := int(buf[0]&15) * 4
		if netip.AddrFrom4([4]byte(buf[12:16])) != gateway4 || n < head+8 {
			continue
		}
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(buf[16:20])), binary.BigEndian.Uint16(buf[head+2:]))
		data := append([]byte(nil), buf[head+8:n]...)
		x.mu.Lock()
		x.last = time.Now()
		if a, ok := x.books[to]; ok {
			a.answers = append(a.answers, data)
		} else if spoofable.Contains(to.Addr()) {
			x.strays++
		}
		x.mu.Unlock()
	}
}

// stranger is a source that has never spoken: another address each time, so
// that limits per source do not hide an answer.
func (x *wire) stranger() netip.AddrPort {
	n := x.next.Add(1)
	a := spoofable.Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+n*251%(1<<22-2)+1)
	return netip.AddrPortFrom(netip.AddrFrom4(a), uint16(1024+n%60000))
}

// ask sends one datagram to the gateway's port and opens an account for it.
func (x *wire) ask(name string, from netip.AddrPort, port uint16, data []byte) {
	x.w.Helper()
	x.mu.Lock()
	a, ok := x.books[from]
	if !ok {
		a = &account{name: name}
		x.books[from] = a
	}
	a.sent = append(a.sent, data)
	x.mu.Unlock()
	if err := x.emit(from, port, data); err != nil {
		x.w.Fatalf("%s: %v", name, err)
	}
}

// emit puts a datagram on the wire. One that is longer than the cable's MTU
// leaves in fragments.
func (x *wire) emit(from netip.AddrPort, port uint16, data []byte) error {
	udp := make([]byte, 8, 8+len(data))
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], port)
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(data)))
	udp = append(udp, data...) // checksum 0: none (RFC 768)
	const room = 1480          // a multiple of eight
	for at := 0; at == 0 || at < len(udp); at += room {
		part := udp[at:min(at+room, len(udp))]
		flags := uint16(at / 8)
		if at+room < len(udp) {
			flags |= 0x2000
		}
		if err := x.emitIP(from.Addr(), flags, uint16(x.next.Load()), part); err != nil {
			return err
		}
	}
	return nil
}

func (x *wire) emitIP(from netip.Addr, fragment, id uint16, body []byte) error {
	ip := make([]byte, 20, 20+len(body))
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(body)))
	binary.BigEndian.PutUint16(ip[4:], id)
	binary.BigEndian.PutUint16(ip[6:], fragment)
	copy(ip[12:], from.AsSlice())
	copy(ip[16:], gateway4.AsSlice())
	for {
		err := unix.Sendto(x.send, append(ip, body...), 0, &unix.SockaddrInet4{Addr: gateway4.As4()})
		if err != unix.ENOBUFS && err != unix.EAGAIN {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// settle waits until nothing has come back for a while.
func (x *wire) settle() {
	start := time.Now()
	for time.Since(start) < 5*time.Second {
		time.Sleep(50 * time.Millisecond)
		x.mu.Lock()
		last := x.last
		x.mu.Unlock()
		if time.Since(last) > 300*time.Millisecond && time.Since(start) > 300*time.Millisecond {
			return
		}
	}
}

// close reads the books and clears them: no source has got more than it sent,
// in datagrams and in octets. It returns the accounts by name.
func (x *wire) close() map[string]*account {
	x.w.Helper()
	x.settle()
	x.mu.Lock()
	defer x.mu.Unlock()
	byName := map[string]*account{}
	for from, a := range x.books {
		byName[a.name] = a
		if len(a.answers) > len(a.sent) {
			x.w.Errorf("%s from %v: %d datagrams were answered by %d", a.name, from, len(a.sent), len(a.answers))
		}
		if in, out := size(a.sent), size(a.answers); out > in {
			x.w.Errorf("%s from %v: %d octets were answered by %d before a cookie was returned", a.name, from, in, out)
		}
	}
	if x.strays > 0 {
		x.w.Errorf("%d answers went to addresses that never asked", x.strays)
	}
	clear(x.books)
	return byName
}

func size(datagrams [][]byte) (n int) {
	for _, d := range datagrams {
		n += len(d)
	}
	return n
}

// volley sends each datagram from a stranger of its own to port 500.
func (x *wire) volley(datagrams map[string][]byte) map[string]*account {
	x.w.Helper()
	n := 0
	for name, data := range datagrams {
		x.ask(name, x.stranger(), 500, data)
		if n++; n%32 == 0 {
			time.Sleep(2 * time.Millisecond) // within what a socket buffers
		}
	}
	return x.close()
}

// insist sends each datagram from a stranger of its own, and once more with the
// cookie that it may be asked for: the answers are those to the second try.
func (x *wire) insist(datagrams map[string][]byte) map[string]*account {
	x.w.Helper()
	from := map[string]netip.AddrPort{}
	for name, data := range datagrams {
		from[name] = x.stranger()
		x.ask(name, from[name], 500, data)
	}
	accounts := x.close()
	for name, a := range accounts {
		if cookie := cookieOf(a); cookie != nil {
			x.ask(name, from[name], 500, withCookie(datagrams[name], cookie))
		}
	}
	x.settle()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, a := range x.books {
		accounts[a.name] = a
	}
	clear(x.books)
	return accounts
}

// cookieOf is the COOKIE notify that an account was answered with.
func cookieOf(a *account) *ikemsg.Notify {
	if len(a.answers) == 0 {
		return nil
	}
	m, err := ikemsg.Parse(a.answers[0])
	if err != nil {
		return nil
	}
	cookie, _ := ikemsg.FindNotify(m.Payloads, ikemsg.NotifyCookie)
	return cookie
}

// withCookie puts the cookie before everything else, as RFC 7296, Section 2.6
// wants it.
func withCookie(request []byte, cookie *ikemsg.Notify) []byte {
	first, err := ikemsg.AppendPayloads(nil, []ikemsg.Payload{cookie})
	if err != nil {
		panic(err) // it came from a message
	}
	first[0] = request[16]
	m := append(bytes.Clone(request[:ikemsg.HeaderLen]), first...)
	m = append(m, request[ikemsg.HeaderLen:]...)
	m[16] = byte(ikemsg.PayloadNotify)
	binary.BigEndian.PutUint32(m[24:], uint32(len(m)))
	return m
}

func (a *account) String() string {
	return fmt.Sprintf("%s: %d octets sent, %d answers of %d octets", a.name, size(a.sent), len(a.answers), size(a.answers))
}
