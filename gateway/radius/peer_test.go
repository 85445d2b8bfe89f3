package radius

import (
	"bytes"
	"crypto/md5"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"sallyport/protocol/radius"
)

// eapPeer is the little of an EAP peer that these tests need: it answers the
// requests of one server.
type eapPeer interface {
	answer(request []byte) (response []byte, err error)
}

const (
	eapMD5 = 4
	eapTLS = 13
)

func eapResponse(identifier, kind byte, data []byte) []byte {
	b := []byte{2, identifier, 0, 0, kind}
	b = append(b, data...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// nak asks for another method.
func nak(request []byte, want byte) []byte { return eapResponse(request[1], 3, []byte{want}) }

// md5Peer is EAP-MD5 (RFC 3748, Section 5.4), which makes no keys.
type md5Peer struct{ password string }

func (p md5Peer) answer(request []byte) ([]byte, error) {
	if request[4] != eapMD5 {
		return nak(request, eapMD5), nil
	}
	challenge := request[6 : 6+int(request[5])]
	sum := md5.Sum(append(append([]byte{request[1]}, p.password...), challenge...))
	return eapResponse(request[1], eapMD5, append([]byte{16}, sum[:]...)), nil
}

// tlsPeer is EAP-TLS (RFC 5216) over TLS 1.2, without fragments of its own.
type tlsPeer struct {
	conn    *tls.Conn
	in      chan []byte
	pending []byte
	out     bytes.Buffer
	idle    chan error
	started bool
	flight  []byte // of the server, until it is whole
}

func newTLSPeer(t *testing.T, cfg *tls.Config) *tlsPeer {
	p := &tlsPeer{in: make(chan []byte), idle: make(chan error)}
	p.conn = tls.Client((*tlsPipe)(p), cfg)
	t.Cleanup(func() { close(p.in) })
	return p
}

// msk is the first 64 octets of the key (RFC 5216, Section 2.3).
func (p *tlsPeer) msk() ([]byte, error) {
	s := p.conn.ConnectionState()
	return s.ExportKeyingMaterial("client EAP encryption", nil, 64)
}

func (p *tlsPeer) answer(request []byte) ([]byte, error) {
	if request[4] != eapTLS {
		return nak(request, eapTLS), nil
	}
	flags, data := request[5], request[6:]
	if flags&0x80 != 0 {
		data = data[4:]
	}
	p.flight = append(p.flight, data...)
	if flags&0x40 != 0 { // more fragments
		return eapResponse(request[1], eapTLS, []byte{0}), nil
	}
	flight := p.flight
	p.flight = nil
	if err := p.run(flight); err != nil {
		return nil, err
	}
	out := bytes.Clone(p.out.Bytes())
	p.out.Reset()
	return eapResponse(request[1], eapTLS, append([]byte{0}, out...)), nil
}

// run hands a flight to TLS, and returns when it waits for the next one or is
// done.
func (p *tlsPeer) run(flight []byte) error {
	if !p.started {
		p.started = true
		go func() { p.idle <- p.conn.Handshake() }()
	} else {
		select {
		case p.in <- flight:
		case <-time.After(5 * time.Second):
			return errors.New("TLS does not read")
		}
	}
	select {
	case err := <-p.idle:
		return err
	case <-time.After(5 * time.Second):
		return errors.New("TLS hangs")
	}
}

// tlsPipe is the net.Conn of a tlsPeer.
type tlsPipe tlsPeer

func (p *tlsPipe) Read(b []byte) (int, error) {
	if len(p.pending) == 0 {
		p.idle <- nil
		data, ok := <-p.in
		if !ok {
			return 0, io.EOF
		}
		p.pending = data
	}
	n := copy(b, p.pending)
	p.pending = p.pending[n:]
	return n, nil
}

func (p *tlsPipe) Write(b []byte) (int, error)      { return p.out.Write(b) }
func (p *tlsPipe) Close() error                     { return nil }
func (p *tlsPipe) LocalAddr() net.Addr              { return nil }
func (p *tlsPipe) RemoteAddr() net.Addr             { return nil }
func (p *tlsPipe) SetDeadline(time.Time) error      { return nil }
func (p *tlsPipe) SetReadDeadline(time.Time) error  { return nil }
func (p *tlsPipe) SetWriteDeadline(time.Time) error { return nil }

// logIn carries a conversation from its beginning to its end.
func logIn(t *testing.T, c *Client, cfg radius.LoginConfig, user string, peer eapPeer) (radius.Step, error) {
	t.Helper()
	l := c.NewLogin(cfg)
	packet := eapResponse(1, 1, []byte(user))
	for n := range 50 {
		step, err := respond(t, l, packet, n%2 == 0)
		if err != nil || step.Outcome != radius.Continue {
			return step, err
		}
		if packet, err = peer.answer(step.EAP); err != nil {
			return radius.Step{}, err
		}
	}
	t.Error("the conversation does not end")
	return radius.Step{}, nil
}

// respond does one round, in one of the two ways there are.
func respond(t *testing.T, l *Login, packet []byte, wait bool) (step radius.Step, err error) {
	if wait {
		return l.Exchange(t.Context(), packet)
	}
	done := make(chan struct{})
	l.Respond(packet, func(s radius.Step, e error) {
		step, err = s, e
		close(done)
	})
	<-done
	return step, err
}
