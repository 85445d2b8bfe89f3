package eap

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
)

// The part of RADIUS that carries EAP between programs of others and the
// machines here (RFC 2865, RFC 3579, RFC 2548).

const (
	accessRequest   = 1
	accessAccept    = 2
	accessReject    = 3
	accessChallenge = 11

	attrUserName             = 1
	attrState                = 24
	attrVendor               = 26
	attrNASIdentifier        = 32
	attrEAPMessage           = 79
	attrMessageAuthenticator = 80

	msMPPESendKey = 16
	msMPPERecvKey = 17
)

const radiusSecret = labtest.RADIUSSecret

type radiusPacket struct {
	code, id      uint8
	authenticator [16]byte
	attrs         []radiusAttr
}

type radiusAttr struct {
	kind  uint8
	value []byte
}

func parseRadius(b []byte) (radiusPacket, error) {
	var p radiusPacket
	if len(b) < 20 || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return p, errors.New("radius: bad length")
	}
	p.code, p.id = b[0], b[1]
	copy(p.authenticator[:], b[4:20])
	for rest := b[20:]; len(rest) > 0; {
		if len(rest) < 2 || int(rest[1]) < 2 || int(rest[1]) > len(rest) {
			return p, errors.New("radius: bad attribute")
		}
		p.attrs = append(p.attrs, radiusAttr{rest[0], rest[2:rest[1]]})
		rest = rest[rest[1]:]
	}
	return p, nil
}

func (p *radiusPacket) add(kind uint8, value []byte) {
	p.attrs = append(p.attrs, radiusAttr{kind, value})
}

func (p *radiusPacket) addEAP(packet []byte) {
	for len(packet) > 0 {
		n := min(253, len(packet))
		p.add(attrEAPMessage, packet[:n])
		packet = packet[n:]
	}
}

// all joins the values of one kind.
func (p *radiusPacket) all(kind uint8) []byte {
	var b []byte
	for _, a := range p.attrs {
		if a.kind == kind {
			b = append(b, a.value...)
		}
	}
	return b
}

func (p *radiusPacket) encode() []byte {
	b := []byte{p.code, p.id, 0, 0}
	b = append(b, p.authenticator[:]...)
	for _, a := range p.attrs {
		b = append(append(b, a.kind, byte(2+len(a.value))), a.value...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// sign adds the Message-Authenticator (RFC 3579, Section 3.2). The packet's
// authenticator must be that of the request.
func (p *radiusPacket) sign() {
	p.attrs = append([]radiusAttr{{attrMessageAuthenticator, make([]byte, 16)}}, p.attrs...)
	h := hmac.New(md5.New, []byte(radiusSecret))
	h.Write(p.encode())
	p.attrs[0].value = h.Sum(nil)
}

// signed checks the Message-Authenticator; request is the authenticator of the
// request.
func (p *radiusPacket) signed(request [16]byte) bool {
	q := *p
	q.authenticator = request
	q.attrs = append([]radiusAttr(nil), p.attrs...)
	for i, a := range q.attrs {
		if a.kind == attrMessageAuthenticator {
			q.attrs[i].value = make([]byte, 16)
			h := hmac.New(md5.New, []byte(radiusSecret))
			h.Write(q.encode())
			return hmac.Equal(h.Sum(nil), a.value)
		}
	}
	return false
}

// mppe encrypts or decrypts a key (RFC 2548, Section 2.4.2).
func mppe(text []byte, salt []byte, request [16]byte, decrypt bool) []byte {
	out := make([]byte, len(text))
	last := append(append([]byte{}, request[:]...), salt...)
	for i := 0; i < len(text); i += 16 {
		block := md5.Sum(append([]byte(radiusSecret), last...))
		for j := range 16 {
			out[i+j] = text[i+j] ^ block[j]
		}
		if last = out[i : i+16]; decrypt {
			last = text[i : i+16]
		}
	}
	return out
}

func (p *radiusPacket) addKey(kind uint8, key secret.Bytes, request [16]byte) {
	salt := []byte{0x80 | kind, 1}
	plain := append([]byte{byte(len(key))}, key...)
	plain = append(plain, make([]byte, -len(plain)&15)...)
	value := append(salt, mppe(plain, salt, request, false)...)
	p.add(attrVendor, append([]byte{0, 0, 1, 55, kind, byte(2 + len(value))}, value...))
}

func (p *radiusPacket) key(kind uint8, request [16]byte) []byte {
	for _, a := range p.attrs {
		v := a.value
		if a.kind == attrVendor && len(v) > 8+16 && binary.BigEndian.Uint32(v) == 311 && v[4] == kind && (len(v)-8)%16 == 0 {
			plain := mppe(v[8:], v[6:8], request, true)
			return plain[1 : 1+plain[0]]
		}
	}
	return nil
}

// front is a RADIUS server that hands EAP to Servers of ours.
type front struct {
	t      *testing.T
	conn   net.PacketConn
	cfg    *ServerConfig
	mu     sync.Mutex
	open   map[string]*Server
	events []Event
	answer func(Task) (any, error)
}

// serveRadius runs a front on a port of the loopback until the test ends.
func serveRadius(t *testing.T, cfg *ServerConfig) *front {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, conn: conn, cfg: cfg, open: map[string]*Server{}, answer: accounts}
	done := make(chan struct{})
	go func() { defer close(done); f.serve() }()
	t.Cleanup(func() { conn.Close(); <-done })
	return f
}

// said is what the Servers have reported so far.
func (f *front) said() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Event(nil), f.events...)
}

// answerBy sets who answers the Servers' jobs.
func (f *front) answerBy(answer func(Task) (any, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *front) port() string {
	_, port, _ := net.SplitHostPort(f.conn.LocalAddr().String())
	return port
}

func (f *front) serve() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := f.conn.ReadFrom(b)
		if err != nil {
			return
		}
		p, err := parseRadius(bytes.Clone(b[:n]))
		if err != nil || p.code != accessRequest || !p.signed(p.authenticator) {
			f.t.Errorf("a bad Access-Request: %v", err)
			continue
		}
		if answer := f.handle(&p); answer != nil {
			f.conn.WriteTo(answer, from)
		}
	}
}

// handle does one round: EAP in, EAP out.
func (f *front) handle(request *radiusPacket) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out Out
	state := string(request.all(attrState))
	s := f.open[state]
	packet := request.all(attrEAPMessage)
	now := time.Now()
	if s == nil {
		// The NAS has asked for the identity.
		p, err := Parse(packet)
		if err != nil || p.Type != TypeIdentity {
			f.t.Errorf("a conversation begins with %+v, %v", p, err)
			return nil
		}
		if s, err = NewServer(f.cfg); err != nil {
			f.t.Error(err)
			return nil
		}
		state = fmt.Sprintf("state %d", len(f.open))
		f.open[state] = s
		s.StartWith(now, string(p.Data), p.Identifier, &out)
	} else {
		s.Receive(now, packet, &out)
	}
	for len(out.Jobs) > 0 {
		j := out.Jobs[0]
		out.Jobs = out.Jobs[1:]
		v, err := f.answer(j.Task)
		s.Done(now, Result{j.ID, v, err}, &out)
	}
	return f.reply(request, state, &out)
}

func (f *front) reply(request *radiusPacket, state string, out *Out) []byte {
	if len(out.Send) != 1 {
		return nil
	}
	r := radiusPacket{code: accessChallenge, id: request.id, authenticator: request.authenticator}
	r.addEAP(out.Send[0])
	f.events = append(f.events, out.Events...)
	switch e, ok := outcome[Success](out.Events); {
	case ok:
		r.code = accessAccept
		r.addKey(msMPPERecvKey, e.MSK[:32], request.authenticator)
		r.addKey(msMPPESendKey, e.MSK[32:64], request.authenticator)
	case f.open[state].Over():
		r.code = accessReject
	default:
		r.add(attrState, []byte(state))
	}
	r.sign()
	b := r.encode()
	sum := md5.Sum(append(bytes.Clone(b), radiusSecret...))
	copy(b[4:20], sum[:])
	return b
}

// login runs a Peer of ours against a RADIUS server, as an access point would,
// and returns the keys that the server sent with its Accept.
func login(t *testing.T, server string, cfg *PeerConfig) (events []Event, keys []byte) {
	t.Helper()
	conn, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer, err := NewPeer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	peer.Start(time.Now())
	eap, state := Packet{Code: CodeRequest, Type: TypeIdentity}.Append(nil), []byte(nil)
	for id := uint8(0); ; id++ {
		var out Out
		peer.Receive(time.Now(), eap, &out)
		for len(out.Jobs) > 0 {
			j := out.Jobs[0]
			out.Jobs = out.Jobs[1:]
			v, err := accounts(j.Task)
			peer.Done(time.Now(), Result{j.ID, v, err}, &out)
		}
		if events = append(events, out.Events...); peer.Over() {
			return events, keys
		}
		if len(out.Send) != 1 {
			t.Fatalf("the peer has nothing to say to % .40x", eap)
		}
		answer, request := exchange(t, conn, id, out.Send[0], state)
		eap, state = answer.all(attrEAPMessage), answer.all(attrState)
		if answer.code == accessAccept {
			keys = append(answer.key(msMPPERecvKey, request), answer.key(msMPPESendKey, request)...)
		}
		if len(eap) == 0 {
			t.Fatalf("RADIUS answer %d without EAP", answer.code)
		}
	}
}

func exchange(t *testing.T, conn net.Conn, id uint8, eap, state []byte) (radiusPacket, [16]byte) {
	t.Helper()
	p := radiusPacket{code: accessRequest, id: id}
	rand.Read(p.authenticator[:])
	p.add(attrUserName, []byte("anonymous@example.org"))
	p.add(attrNASIdentifier, []byte("sallyport-test"))
	if len(state) > 0 {
		p.add(attrState, state)
	}
	p.addEAP(eap)
	p.sign()
	conn.Write(p.encode())
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 64<<10)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatalf("the RADIUS server does not answer: %v", err)
	}
	answer, err := parseRadius(b[:n])
	if err != nil || !answer.signed(p.authenticator) {
		t.Fatalf("a bad answer: %v", err)
	}
	return answer, p.authenticator
}
