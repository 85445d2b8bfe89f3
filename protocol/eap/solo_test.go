package eap

import (
	"testing"
	"time"
)

// solo is one machine without another: the test plays the other end.
type solo struct {
	t      *testing.T
	server *Server
	peer   *Peer
	events []Event
	tasks  []Task
	now    time.Time
}

func soloServer(t *testing.T, cfg *ServerConfig) (*solo, Packet) {
	t.Helper()
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	m := &solo{t: t, server: s, now: start}
	var out Out
	s.Start(m.now, &out)
	return m, m.only(m.finish(&out))
}

func soloPeer(t *testing.T, cfg *PeerConfig) *solo {
	t.Helper()
	p, err := NewPeer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.Start(start)
	return &solo{t: t, peer: p, now: start}
}

// give hands in octets and returns what is sent, after all jobs.
func (m *solo) give(b []byte) [][]byte {
	m.t.Helper()
	var out Out
	if m.server != nil {
		m.server.Receive(m.now, b, &out)
	} else {
		m.peer.Receive(m.now, b, &out)
	}
	return m.finish(&out)
}

func (m *solo) finish(out *Out) (sent [][]byte) {
	for {
		sent = append(sent, out.Send...)
		m.events = append(m.events, out.Events...)
		if len(out.Jobs) == 0 {
			return sent
		}
		j := out.Jobs[0]
		m.tasks = append(m.tasks, j.Task)
		out.Reset()
		v, err := accounts(j.Task)
		if m.server != nil {
			m.server.Done(m.now, Result{j.ID, v, err}, out)
		} else {
			m.peer.Done(m.now, Result{j.ID, v, err}, out)
		}
	}
}

// only is the one packet that was sent.
func (m *solo) only(sent [][]byte) Packet {
	m.t.Helper()
	if len(sent) != 1 {
		m.t.Fatalf("%d packets instead of one; events %+v", len(sent), m.events)
	}
	p, err := Parse(sent[0])
	if err != nil {
		m.t.Fatal(err)
	}
	return p
}

// say hands in a packet and returns the one that is sent.
func (m *solo) say(p Packet) Packet {
	m.t.Helper()
	return m.only(m.give(p.Append(nil)))
}

// answer says a response to a request.
func (m *solo) answer(request Packet, t Type, data []byte) Packet {
	m.t.Helper()
	return m.say(Packet{CodeResponse, request.Identifier, t, data})
}

// began is a server that has asked for its first method.
func began(t *testing.T, c combination) (*solo, Packet) {
	t.Helper()
	sc, _ := c.configs()
	m, identity := soloServer(t, sc)
	if identity.Type != TypeIdentity {
		t.Fatalf("the server begins with %s", identity.Type)
	}
	return m, m.answer(identity, TypeIdentity, []byte("eve"))
}

func (m *solo) failure() Failure {
	m.t.Helper()
	f, ok := outcome[Failure](m.events)
	if !ok || len(m.events) != 1 {
		m.t.Fatalf("not one failure: %+v", m.events)
	}
	return f
}

func (m *solo) want(r Reason) {
	m.t.Helper()
	if f := m.failure(); f.Reason != r {
		m.t.Errorf("%v (%s), want %v", f.Reason, f.Text, r)
	}
}

// wantNothing checks that the machine only drops what it is given.
func (m *solo) wantNothing(b []byte) {
	m.t.Helper()
	before := len(m.events)
	if sent := m.give(b); len(sent) > 0 || len(m.events) > before {
		m.t.Errorf("% x is answered by % x and %+v", b, sent, m.events[before:])
	}
}
