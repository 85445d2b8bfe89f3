package eap

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/eap/mschapv2"
)

const (
	testUser     = "bob"
	testPassword = "correct horse battery staple"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// accounts answers the jobs of a Server as a directory with one user would.
func accounts(t Task) (any, error) {
	switch t := t.(type) {
	case *Handshake:
		return t.Run()
	case LookupPassword:
		if t.User != testUser {
			return Account{}, nil
		}
		hash, err := mschapv2.NTHash(secret.Bytes(testPassword))
		return Account{Identity: "bob@directory", NTHash: hash}, err
	case CheckPassword:
		switch {
		case t.User != testUser:
			return nil, &Refusal{Reason: ReasonUnknownUser, Text: "no such user"}
		case !t.Password.Equal(secret.Bytes(testPassword)):
			return nil, &Refusal{Reason: ReasonWrongPassword, Text: "wrong password"}
		}
		return Verified{Identity: "bob@directory"}, nil
	}
	return nil, errors.New("unknown task")
}

// link carries packets between a Server and a Peer. It loses, repeats and
// delays them when it has a random source.
type link struct {
	t        testing.TB
	server   *Server
	peer     *Peer
	now      time.Time
	random   *rand.Rand // nil = a perfect link
	toPeer   [][]byte
	toServer [][]byte
	answer   func(Task) (any, error)
	tap      func(toPeer bool, packet []byte) []byte // may change or drop a packet

	serverEvents, peerEvents []Event
	packets                  int
}

func newLink(t testing.TB, sc *ServerConfig, pc *PeerConfig) *link {
	t.Helper()
	s, err := NewServer(sc)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPeer(pc)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{t: t, server: s, peer: p, now: start, answer: accounts}
	t.Cleanup(func() { s.Close(); p.Close() })
	return l
}

// run carries the conversation to its end, or until nothing moves any more.
func (l *link) run() {
	l.t.Helper()
	var out Out
	l.peer.Start(l.now)
	l.server.Start(l.now, &out)
	l.drain(&out, true)
	for range 10_000 {
		switch {
		case len(l.toPeer) > 0:
			b := l.toPeer[0]
			l.toPeer = l.toPeer[1:]
			l.peer.Receive(l.now, b, &out)
			l.drain(&out, false)
		case len(l.toServer) > 0:
			b := l.toServer[0]
			l.toServer = l.toServer[1:]
			l.server.Receive(l.now, b, &out)
			l.drain(&out, true)
		case !l.tick(&out):
			return
		}
	}
	l.t.Fatal("the conversation does not end")
}

// tick moves the clock to the next deadline.
func (l *link) tick(out *Out) bool {
	s, p := l.server.Deadline(), l.peer.Deadline()
	switch {
	case s.IsZero() && p.IsZero():
		return false
	case p.IsZero() || !s.IsZero() && s.Before(p):
		l.now = s
		l.server.Timeout(l.now, out)
		l.drain(out, true)
	default:
		l.now = p
		l.peer.Timeout(l.now, out)
		l.drain(out, false)
	}
	return true
}

// drain does what a machine wants; jobs are answered at once.
func (l *link) drain(out *Out, server bool) {
	l.t.Helper()
	for {
		for _, b := range out.Send {
			l.carry(b, server)
		}
		if server {
			l.serverEvents = append(l.serverEvents, out.Events...)
		} else {
			l.peerEvents = append(l.peerEvents, out.Events...)
		}
		pending := append([]Job(nil), out.Jobs...)
		if len(out.Send) > 1 || len(pending) > 1 {
			l.t.Fatalf("%d packets and %d jobs at once", len(out.Send), len(pending))
		}
		out.Reset()
		if len(pending) == 0 {
			return
		}
		v, err := l.answer(pending[0].Task)
		r := Result{ID: pending[0].ID, Value: v, Err: err}
		if server {
			l.server.Done(l.now, r, out)
		} else {
			l.peer.Done(l.now, r, out)
		}
	}
}

func (l *link) carry(b []byte, toPeer bool) {
	l.packets++
	if l.tap != nil {
		if b = l.tap(toPeer, b); b == nil {
			return
		}
	}
	queue := &l.toServer
	if toPeer {
		queue = &l.toPeer
	}
	if l.random == nil {
		*queue = append(*queue, bytes.Clone(b))
		return
	}
	for l.random.IntN(10) >= 3 { // 30 % loss, and duplicates
		at := l.random.IntN(len(*queue) + 1)
		*queue = append((*queue)[:at], append([][]byte{bytes.Clone(b)}, (*queue)[at:]...)...)
		if l.random.IntN(10) < 7 {
			return
		}
	}
}

// outcome is the last event of one kind.
func outcome[E Event](events []Event) (e E, ok bool) {
	for _, x := range events {
		if v, is := x.(E); is {
			e, ok = v, true
		}
	}
	return e, ok
}

// wantSuccess checks that both ends succeeded and have the same keys.
func (l *link) wantSuccess() (server, peer Success) {
	l.t.Helper()
	server, ok1 := outcome[Success](l.serverEvents)
	peer, ok2 := outcome[Success](l.peerEvents)
	if !ok1 || !ok2 {
		l.t.Fatalf("no success: server %+v, peer %+v", l.serverEvents, l.peerEvents)
	}
	if len(l.serverEvents) != 1 || len(l.peerEvents) != 1 {
		l.t.Errorf("more than one event: server %+v, peer %+v", l.serverEvents, l.peerEvents)
	}
	if len(server.MSK) != 64 || !server.MSK.Equal(peer.MSK) || !server.EMSK.Equal(peer.EMSK) {
		l.t.Errorf("the keys differ, or are not of 64 octets (%d, %d)", len(server.MSK), len(peer.MSK))
	}
	if server.Method != peer.Method || server.Inner != peer.Inner || server.TLS != peer.TLS {
		l.t.Errorf("the ends disagree on the method: %v/%v/%x and %v/%v/%x", server.Method, server.Inner, server.TLS, peer.Method, peer.Inner, peer.TLS)
	}
	if !l.server.Over() || !l.peer.Over() {
		l.t.Error("an end is not over")
	}
	return server, peer
}

// wantFailure checks that neither end succeeded, and the server's reason.
func (l *link) wantFailure(server, peer Reason) {
	l.t.Helper()
	s, ok1 := outcome[Failure](l.serverEvents)
	p, ok2 := outcome[Failure](l.peerEvents)
	if !ok1 || !ok2 || len(l.serverEvents) != 1 || len(l.peerEvents) != 1 {
		l.t.Fatalf("not one failure each: server %+v, peer %+v", l.serverEvents, l.peerEvents)
	}
	if s.Reason != server {
		l.t.Errorf("the server's reason is %q (%s), want %q", s.Reason, s.Text, server)
	}
	if p.Reason != peer {
		l.t.Errorf("the peer's reason is %q (%s), want %q", p.Reason, p.Text, peer)
	}
}
