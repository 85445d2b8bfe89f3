package ike

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
)

// A method of the tests: the server asks rounds times, the peer answers with
// the same number, then Success; both have the same MSK. What is in it is not
// the machine's business.

type eapBackend struct {
	rounds int
	msk    []byte    // of this end
	fail   *Refusal  // the last round fails in place of Success
	alert  bool      // with a request before Failure
	early  bool      // the server says Success at once
	mutual bool      // the method proves the server
	made   []*eapEnd // all conversations
	owner  *peer
}

type eapEnd struct {
	*eapBackend
	step   int
	failed bool
	proven []bool // what each Step heard of the server's AUTH
	closed int
}

func (b *eapBackend) begin() Conversation {
	e := &eapEnd{eapBackend: b}
	b.made = append(b.made, e)
	return e
}

func (e *eapEnd) Close() { e.closed++ }

const eapRequest, eapResponse, eapSuccess, eapFailure = 1, 2, 3, 4

func eapPacket(code byte, body ...byte) []byte {
	return append([]byte{code, 7, 0, byte(4 + len(body))}, body...)
}

func (e *eapEnd) Step(t *EAP, done func(EAPStep, error)) {
	if e.closed > 0 {
		done(EAPStep{}, errors.New("a step after Close"))
		return
	}
	e.proven = append(e.proven, t.Proven)
	if t.Role == Responder {
		done(e.serve(t))
		return
	}
	done(e.answer(t))
}

func (e *eapEnd) serve(t *EAP) (EAPStep, error) {
	e.step++
	switch {
	case t.Packet == nil:
		return EAPStep{Packet: eapPacket(eapRequest, 254, 1), Local: e.owner.cred.identity}, nil
	case e.failed:
		return EAPStep{Packet: eapPacket(eapFailure), Failure: e.fail}, nil
	case e.step <= e.rounds && !e.early:
		return EAPStep{Packet: eapPacket(eapRequest, 254, byte(e.step))}, nil
	case e.fail != nil && e.alert:
		e.failed = true
		return EAPStep{Packet: eapPacket(eapRequest, 254, 0xff), Failure: e.fail}, nil
	case e.fail != nil:
		return EAPStep{Packet: eapPacket(eapFailure), Failure: e.fail}, nil
	}
	a := &Admission{Identity: "laptop@alice", Device: "laptop", Zone: "staff", Local: e.owner.cred.identity, Policy: e.owner.child, Lease: true, AuthLifetime: e.owner.lifetime}
	return EAPStep{Packet: eapPacket(eapSuccess), Success: &EAPSuccess{MSK: slices.Clone(e.msk), Admission: a}}, nil
}

func (e *eapEnd) answer(t *EAP) (EAPStep, error) {
	e.step++
	switch {
	case t.Packet[0] == eapFailure:
		return EAPStep{Failure: &Refusal{Reason: "the server said Failure"}, ByPeer: true}, nil
	case t.Packet[0] == eapSuccess && e.step <= e.rounds:
		return EAPStep{Failure: &Refusal{Reason: "the server said Success before any method had proven who it is"}}, nil
	case t.Packet[0] == eapSuccess:
		return EAPStep{Success: &EAPSuccess{MSK: slices.Clone(e.msk), Mutual: e.mutual, Admission: &Admission{Local: e.owner.cred.identity, Policy: e.owner.child}}}, nil
	case e.fail != nil && e.step == e.rounds:
		step := EAPStep{Failure: e.fail}
		if e.alert {
			step.Packet = eapPacket(eapResponse, 254, 0xff)
		}
		return step, nil
	}
	return EAPStep{Packet: eapPacket(eapResponse, t.Packet[4:]...)}, nil
}

// eapWorld is a world where the client logs in by EAP, with the IDi of Windows.
func eapWorld(t testing.TB, seed uint64) (w *world, client, server *eapBackend) {
	w = newWorld(t, seed)
	msk := bytes.Repeat([]byte{0x5a}, 64)
	client = &eapBackend{rounds: 4, msk: msk, mutual: true, owner: w.i}
	server = &eapBackend{rounds: 4, msk: msk, owner: w.r}
	w.i.cfg.NewEAP, w.r.cfg.NewEAP = client.begin, server.begin
	return w, client, server
}

func (w *world) connectEAP(only bool) {
	id := *w.i.cred.identity
	id.ID = ikemsg.ID{Kind: ikemsg.IDIPv4Addr, Data: []byte{192, 168, 1, 10}}
	if only {
		w.i.cfg.Authorities = nil // no CERTREQ: the client can judge no certificate
	}
	w.i.start(Connect{
		Local: w.i.addr, Remote: w.r.addr, Identity: &id, RemoteID: &w.r.cred.identity.ID, Child: w.i.child,
		Request: Request{IPv4: true, IPv6: true, DNS: true}, InitialContact: true, EAP: true, EAPOnly: only,
	})
}

// released: whatever happened, no conversation is left and none was used after.
func released(t *testing.T, backends ...*eapBackend) {
	t.Helper()
	for _, b := range backends {
		for _, e := range b.made {
			if e.closed == 0 {
				t.Errorf("%s: an EAP conversation is never closed", b.owner.name)
			}
		}
	}
}

func TestEAPSetsUpATunnel(t *testing.T) {
	for _, only := range []bool{false, true} {
		t.Run(fmt.Sprintf("EAP-only %v", only), func(t *testing.T) {
			w, client, server := eapWorld(t, 1)
			w.connectEAP(only)
			w.run(5 * time.Second)
			if w.i.est == nil || w.r.est == nil {
				t.Fatalf("not established: %+v %+v", w.i.records, w.r.records)
			}
			w.settled(1)
			released(t, client, server)
			if a := w.r.est.Admission; a.Identity != "laptop@alice" || a.Device != "laptop" {
				t.Errorf("admitted as %+v, want what the method proved", a)
			}
			if id := w.r.est.PeerID; id.Kind != ikemsg.IDIPv4Addr {
				t.Errorf("IDi is %v", &id)
			}
			if !w.r.est.InitialContact {
				t.Error("INITIAL_CONTACT of the first request is forgotten")
			}
			if l := w.i.session.Leased(); l.IPv4 != w.r.pool.IPv4 {
				t.Errorf("leased %+v: the first request asked, the last answer gives", l)
			}
			for _, p := range client.made[0].proven {
				if p == only {
					t.Errorf("the method heard that the server proved itself: %v", p)
				}
			}
			// Rekeying does not care how the session began.
			w.i.do(RekeyIKE{})
			w.r.do(RekeyChild{w.r.onlyChild()})
			w.run(time.Minute)
			w.settled(1)
		})
	}
}

func TestEAPSurvivesLoss(t *testing.T) {
	up := 0
	for seed := range uint64(200) {
		w, client, server := eapWorld(t, seed)
		w.net.Link.Loss, w.net.Link.Duplicate = 0.3, 0.1
		w.i.jobDelay, w.r.jobDelay = 3*time.Millisecond, 5*time.Millisecond
		w.i.policy.FragmentSize, w.r.policy.FragmentSize = 600, 600
		w.connectEAP(seed%2 == 0)
		w.run(5 * time.Minute)
		w.net.Link.Loss = 0
		w.run(5 * time.Minute)
		released(t, client, server)
		if w.i.est == nil {
			continue // a minute is the limit for everything, which is little at such a loss
		}
		up++
		if w.r.est == nil {
			t.Fatalf("seed %d: the client is established with a server that is not", seed)
		}
		w.agree()
	}
	if up < 150 {
		t.Errorf("only %d of 200 set-ups came through", up)
	}
}

// TestEAPReauthentication: AUTH_LIFETIME warns the client, which logs in anew.
func TestEAPReauthentication(t *testing.T) {
	w, client, server := eapWorld(t, 2)
	w.r.lifetime = 20 * time.Minute
	w.connectEAP(false)
	w.run(16 * time.Minute)
	due := false
	for _, e := range w.i.events {
		_, ok := e.(ReauthDue)
		due = due || ok
	}
	if !due {
		t.Fatal("no warning before the authentication ends")
	}
	w.i.do(CloseSession{})
	w.run(time.Second)
	w.i.closed, w.i.est = nil, nil
	w.connectEAP(false)
	w.run(5 * time.Second)
	if w.i.est == nil || len(client.made) != 2 || len(server.made) != 2 {
		t.Fatalf("no second login: %d and %d conversations", len(client.made), len(server.made))
	}
	w.agree()
	released(t, client, server)
}

func TestTrap12_NoCredentialsToAServerThatHasNotProvenItself(t *testing.T) {
	without := func(drop func(ikemsg.Payload) bool) func([]ikemsg.Payload) []ikemsg.Payload {
		return func(ps []ikemsg.Payload) []ikemsg.Payload { return slices.DeleteFunc(ps, drop) }
	}
	isAuth := func(p ikemsg.Payload) bool { _, ok := p.(*ikemsg.Auth); return ok }
	for what, change := range map[string]func([]ikemsg.Payload) []ikemsg.Payload{
		"no AUTH": without(isAuth),
		"a broken AUTH": func(ps []ikemsg.Payload) []ikemsg.Payload {
			for _, p := range ps {
				if a, ok := p.(*ikemsg.Auth); ok {
					a.Data = append(slices.Clone(a.Data[:len(a.Data)-1]), a.Data[len(a.Data)-1]^1)
				}
			}
			return ps
		},
		"another server's certificate": func(ps []ikemsg.Payload) []ikemsg.Payload {
			for _, p := range ps {
				if c, ok := p.(*ikemsg.Cert); ok {
					c.Data = pkiOf().credential("ecdsa256", "evil.example").identity.Chain[0]
				}
			}
			return ps
		},
		"a shared key in place of a signature": func(ps []ikemsg.Payload) []ikemsg.Payload {
			for _, p := range ps {
				if a, ok := p.(*ikemsg.Auth); ok {
					a.Method = ikemsg.AuthSharedKey
				}
			}
			return ps
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, client, server := eapWorld(t, 12)
			first := true
			w.intercept(w.r, ikemsg.ExchangeIKEAuth, true, func(ps []ikemsg.Payload) []ikemsg.Payload {
				if !first {
					return ps
				}
				first = false
				return change(ps)
			})
			w.connectEAP(false)
			w.run(2 * time.Minute)
			if w.i.est != nil || w.r.est != nil {
				t.Fatal("established")
			}
			if n := client.made[0].step; n != 0 {
				t.Errorf("the method was given %d packets of that server", n)
			}
			if len(w.i.records) != 1 || w.i.records[0].ByPeer || w.i.records[0].Reason == "" {
				t.Errorf("the client's records %+v", w.i.records)
			}
			if len(w.r.records) != 1 || !w.r.records[0].ByPeer {
				t.Errorf("the server was not told: %+v", w.r.records)
			}
			if !w.i.session.Dead() || !w.r.session.Dead() {
				t.Error("a session is left over")
			}
			released(t, client, server)
		})
	}
}

// TestTrap12_EAPOnlyNeedsAMutualMethod: RFC 5998, Section 4.
func TestTrap12_EAPOnlyNeedsAMutualMethod(t *testing.T) {
	w, client, _ := eapWorld(t, 12)
	client.mutual = false
	w.connectEAP(true)
	w.run(time.Minute)
	if w.i.est != nil || len(w.i.records) != 1 || !strings.Contains(w.i.records[0].Reason, "without proving the server") {
		t.Errorf("established %v, records %+v", w.i.est, w.i.records)
	}
}

func TestTrap12_EarlySuccessIsFailure(t *testing.T) {
	for _, only := range []bool{false, true} {
		w, client, server := eapWorld(t, 12)
		server.early = true // CVE-2021-45079
		w.connectEAP(only)
		w.run(time.Minute)
		if w.i.est != nil || w.r.est != nil {
			t.Fatal("established by Success alone")
		}
		if len(w.i.records) != 1 || !strings.Contains(w.i.records[0].Reason, "Success before") {
			t.Errorf("records %+v", w.i.records)
		}
		released(t, client, server)
	}
}

// TestTrap12_AServerThatEstablishesWithoutEAP gives SA and TS at once, as for a
// client that had proved itself.
func TestTrap12_AServerThatEstablishesWithoutEAP(t *testing.T) {
	w, client, server := eapWorld(t, 12)
	w.intercept(w.r, ikemsg.ExchangeIKEAuth, true, func(ps []ikemsg.Payload) []ikemsg.Payload {
		return slices.DeleteFunc(ps, func(p ikemsg.Payload) bool { _, ok := p.(*ikemsg.EAP); return ok })
	})
	w.connectEAP(false)
	w.run(2 * time.Minute)
	if w.i.est != nil || len(w.i.records) != 1 || !strings.Contains(w.i.records[0].Reason, "did not begin EAP") {
		t.Errorf("established %v, records %+v", w.i.est, w.i.records)
	}
	released(t, client, server)
}

func TestTrap13_BothAUTHsAreMadeWithTheMSK(t *testing.T) {
	other := bytes.Repeat([]byte{0xa5}, 64)
	for what, change := range map[string]func(client, server *eapBackend){
		"the client has another MSK":      func(c, _ *eapBackend) { c.msk = other },
		"the server has another MSK":      func(_, s *eapBackend) { s.msk = other },
		"the client's MSK is too short":   func(c, _ *eapBackend) { c.msk = c.msk[:32] },
		"the server's method gave no key": func(_, s *eapBackend) { s.msk = nil },
	} {
		t.Run(what, func(t *testing.T) {
			w, client, server := eapWorld(t, 13)
			change(client, server)
			w.connectEAP(false)
			w.run(2 * time.Minute)
			if w.i.est != nil || w.r.est != nil || len(w.r.installed) > 0 {
				t.Fatal("established")
			}
			if len(w.i.records) != 1 || len(w.r.records) != 1 {
				t.Errorf("records %+v and %+v", w.i.records, w.r.records)
			}
			released(t, client, server)
		})
	}
	// A server that lets everybody in: the client must notice by itself.
	w, client, server := eapWorld(t, 13)
	auths := 0
	w.intercept(w.r, ikemsg.ExchangeIKEAuth, true, func(ps []ikemsg.Payload) []ikemsg.Payload {
		for _, p := range ps {
			if a, ok := p.(*ikemsg.Auth); ok {
				if auths++; auths == 2 {
					a.Data = make([]byte, len(a.Data))
				}
			}
		}
		return ps
	})
	w.connectEAP(false)
	w.run(2 * time.Minute)
	if auths != 2 || w.i.est != nil || len(w.i.installed) > 0 {
		t.Errorf("%d AUTH payloads of the server, client established %v", auths, w.i.est)
	}
	released(t, client, server)
}

func TestTrap13_MessagesInTheWrongPlace(t *testing.T) {
	drop := func(ikemsg.Payload) bool { return true }
	for what, change := range map[string]func(w *world, n int, ps []ikemsg.Payload) []ikemsg.Payload{
		"AUTH before Success": func(_ *world, n int, ps []ikemsg.Payload) []ikemsg.Payload {
			if n == 2 {
				return []ikemsg.Payload{&ikemsg.Auth{Method: ikemsg.AuthSharedKey, Data: make([]byte, 32)}}
			}
			return ps
		},
		"nothing in the middle": func(_ *world, n int, ps []ikemsg.Payload) []ikemsg.Payload {
			if n == 2 {
				return slices.DeleteFunc(ps, drop)
			}
			return ps
		},
		"no AUTH at the end": func(_ *world, n int, ps []ikemsg.Payload) []ikemsg.Payload {
			if n == 6 {
				return slices.DeleteFunc(ps, drop)
			}
			return ps
		},
		"EAP in place of AUTH at the end": func(_ *world, n int, ps []ikemsg.Payload) []ikemsg.Payload {
			if n == 6 {
				return []ikemsg.Payload{&ikemsg.EAP{Packet: eapPacket(eapResponse, 254, 9)}}
			}
			return ps
		},
		"a signature at the end": func(_ *world, n int, ps []ikemsg.Payload) []ikemsg.Payload {
			if n == 6 {
				ps[0].(*ikemsg.Auth).Method = ikemsg.AuthDigitalSignature
			}
			return ps
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, client, server := eapWorld(t, 13)
			n, touched := 0, false
			w.intercept(w.i, ikemsg.ExchangeIKEAuth, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
				n++
				before := describe(ps)
				out := change(w, n, ps)
				touched = touched || describe(out) != before || n == 6
				return append([]ikemsg.Payload{}, out...)
			})
			w.connectEAP(false)
			w.run(2 * time.Minute)
			if !touched {
				t.Fatalf("the case never happened in %d messages", n)
			}
			if w.i.est != nil || w.r.est != nil || len(w.r.installed) > 0 {
				t.Error("established")
			}
			if len(w.r.records) != 1 || w.r.records[0].Reason == "" {
				t.Errorf("the server's records %+v", w.r.records)
			}
			released(t, client, server)
		})
	}
}

func TestTrap13_AFailedMethodIsOneRecord(t *testing.T) {
	no := &Refusal{Reason: `certificate of "laptop" is revoked`, Hint: "enrol the device again"}
	for _, alert := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused by the server, alert %v", alert), func(t *testing.T) {
			w, client, server := eapWorld(t, 13)
			server.fail, server.alert = no, alert
			w.connectEAP(false)
			w.run(time.Minute)
			if len(w.r.records) != 1 || w.r.records[0].Reason != no.Reason || w.r.records[0].ByPeer {
				t.Errorf("the server's records %+v", w.r.records)
			}
			if len(w.i.records) != 1 || !w.i.records[0].ByPeer || w.i.closed.Reason != ClosedRefused {
				t.Errorf("the client's records %+v, closed %+v", w.i.records, w.i.closed)
			}
			released(t, client, server)
		})
		t.Run(fmt.Sprintf("refused by the client, alert %v", alert), func(t *testing.T) {
			w, client, server := eapWorld(t, 13)
			client.fail, client.alert = no, alert
			w.connectEAP(false)
			w.run(2 * time.Minute)
			if len(w.i.records) != 1 || w.i.records[0].Reason != no.Reason || w.i.closed.Reason != ClosedRefused {
				t.Errorf("the client's records %+v, closed %+v", w.i.records, w.i.closed)
			}
			if w.r.est != nil {
				t.Error("established")
			}
			released(t, client, server)
		})
	}
}

// TestEAPIsReleasedWhenThePeerVanishes, in every round.
func TestEAPIsReleasedWhenThePeerVanishes(t *testing.T) {
	for cut := range 14 {
		w, client, server := eapWorld(t, 3)
		sent := 0
		w.mangle = func(_ *peer, d Datagram) []Datagram {
			if h, _ := ikemsg.ParseHeader(d.Data); h.Exchange == ikemsg.ExchangeIKEAuth {
				if sent++; sent > cut {
					return nil
				}
			}
			return []Datagram{d}
		}
		w.connectEAP(false)
		w.run(10 * time.Minute)
		for _, p := range []*peer{w.i, w.r} {
			if p.session != nil && p.est == nil && !p.session.Dead() {
				t.Errorf("cut after %d messages: %s waits for ever", cut, p.name)
			}
		}
		released(t, client, server)
	}
}

// FuzzEAP puts any octets into EAP payloads and AUTH payloads of either side.
func FuzzEAP(f *testing.F) {
	f.Add(uint8(1), uint8(48), eapPacket(eapSuccess))
	f.Add(uint8(2), uint8(48), eapPacket(eapFailure))
	f.Add(uint8(6), uint8(39), append([]byte{2, 0, 0, 0}, make([]byte, 32)...))
	f.Add(uint8(0x83), uint8(48), eapPacket(eapRequest, 254, 9))
	f.Add(uint8(0x86), uint8(39), append([]byte{2, 0, 0, 0}, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, at, typ uint8, body []byte) {
		w, client, server := eapWorld(t, 1)
		from, n := w.i, 0
		if at&0x80 != 0 {
			from = w.r
		}
		w.intercept(from, ikemsg.ExchangeIKEAuth, from == w.r, func(ps []ikemsg.Payload) []ikemsg.Payload {
			if n++; n != int(at&0x7f) {
				return ps
			}
			generic := append([]byte{0, 0, byte((len(body) + 4) >> 8), byte(len(body) + 4)}, body...)
			odd, err := ikemsg.ParsePayloads(ikemsg.PayloadType(typ), generic)
			if err != nil || len(body) > 60000 {
				return ps
			}
			return odd
		})
		w.connectEAP(false)
		w.run(3 * time.Minute)
		if w.i.est != nil && w.r.est == nil {
			t.Error("the initiator is established with a responder that is not")
		}
		released(t, client, server)
	})
}

// TestMSKAuthIsThePRFOfTheRFC holds Section 2.15's formula by hand.
func TestMSKAuthIsThePRFOfTheRFC(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	s := w.i.session
	msk, octets := secret.Bytes(bytes.Repeat([]byte{1}, 64)), []byte("octets")
	got := must(sharedKeyAuth(s.sa.suite, msk, octets))
	want := hmacSHA256(hmacSHA256(msk, []byte("Key Pad for IKEv2")), octets)
	if !got.Equal(want) {
		t.Errorf("AUTH %x, want %x", []byte(got), want)
	}
}

func hmacSHA256(key, data []byte) secret.Bytes {
	m := hmac.New(sha256.New, key)
	m.Write(data)
	return m.Sum(nil)
}
