package ike

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Each test is named after a trap of the field: what some product fell into,
// or what some client does. Here those of the set-up.

func TestTrap01_NoKeyAgreementBeforeARealIKEAuth(t *testing.T) {
	w := newWorld(t, 1)
	count := func() (n int) {
		for _, task := range w.r.tasks {
			if _, ok := task.(SharedSecret); ok {
				n++
			}
		}
		return n
	}
	first := initMessage(nil)
	answer := w.initAnswer(first)
	if answer == nil || count() != 0 {
		t.Fatalf("answer %v, %d key agreements before IKE_AUTH", answer, count())
	}
	h := answer.Header
	for _, junk := range []ikemsg.Header{
		{Exchange: ikemsg.ExchangeInformational, MessageID: 1, Flags: ikemsg.FlagInitiator},
		{Exchange: ikemsg.ExchangeIKEAuth, MessageID: 2, Flags: ikemsg.FlagInitiator},
		{Exchange: ikemsg.ExchangeIKEAuth, MessageID: 1, Flags: ikemsg.FlagInitiator | ikemsg.FlagResponse},
		{Exchange: ikemsg.ExchangeIKEAuth, MessageID: 1}, // not from the initiator
	} {
		junk.SPIi, junk.SPIr, junk.Major = h.SPIi, h.SPIr, 2
		w.raw(w.i, append(must(ikemsg.SKPrefix(junk, ikemsg.PayloadIDi, 64)), make([]byte, 64)...))
	}
	if count() != 0 {
		t.Errorf("%d key agreements for what cannot be IKE_AUTH", count())
	}
	h.Exchange, h.MessageID, h.Flags = ikemsg.ExchangeIKEAuth, 1, ikemsg.FlagInitiator
	for range 3 {
		w.raw(w.i, append(must(ikemsg.SKPrefix(h, ikemsg.PayloadIDi, 64)), make([]byte, 64)...))
	}
	if count() != 1 || w.r.session.Dead() {
		t.Errorf("%d key agreements for three forged IKE_AUTH, want 1 and the session alive", count())
	}
	w.run(time.Minute)
	if w.r.closed == nil || w.r.closed.Reason != ClosedHalfOpen {
		t.Errorf("half-open session ended with %+v", w.r.closed)
	}
}

func TestTrap01_CookiesUnderLoad(t *testing.T) {
	w := newWorld(t, 1)
	f, now := w.r.front, w.now()
	d := Datagram{Local: w.r.addr, Remote: w.i.addr, Data: initMessage(nil)}
	if v := f.Receive(now, d, Load{}); v.Action != Accept || v.Cost != 10 {
		t.Fatalf("idle front: %+v", v)
	}
	busy := Load{Cost: 5000}
	v := f.Receive(now, d, busy)
	if v.Action != Reply || len(v.Reply) > len(d.Data) {
		t.Fatalf("busy front: %+v", v)
	}
	n, ok := ikemsg.FindNotify(must(ikemsg.Parse(v.Reply)).Payloads, ikemsg.NotifyCookie)
	if !ok {
		t.Fatal("no COOKIE in the answer")
	}
	withCookie := func(cookie []byte, from string) Datagram {
		d := d
		d.Remote = addr(from)
		d.Data = initMessage(func(m *ikemsg.Message) {
			m.Payloads = append([]ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyCookie, Data: cookie}}, m.Payloads...)
		})
		return d
	}
	for _, c := range []struct {
		what string
		d    Datagram
		at   time.Duration
		load Load
		want Action
	}{
		{"right cookie", withCookie(n.Data, "192.0.2.1:500"), 0, busy, Accept},
		{"another address", withCookie(n.Data, "192.0.2.2:500"), 0, busy, Reply},
		{"made-up cookie", withCookie(bytes.Repeat([]byte{7}, len(n.Data)), "192.0.2.1:500"), 0, Load{}, Reply},
		{"too many of one prefix", withCookie(n.Data, "192.0.2.1:500"), 0, Load{Cost: 5000, FromPrefix: 100}, Drop},
		{"after one rotation", withCookie(n.Data, "192.0.2.1:500"), 3 * time.Minute, busy, Accept},
		{"after two rotations", withCookie(n.Data, "192.0.2.1:500"), 6 * time.Minute, busy, Reply},
	} {
		if v := f.Receive(now.Add(c.at), c.d, c.load); v.Action != c.want {
			t.Errorf("%s: %+v, want action %d", c.what, v, c.want)
		}
	}
	costly := Datagram{Local: d.Local, Remote: d.Remote, Data: initMessage(func(m *ikemsg.Message) {
		m.Payloads[1] = &ikemsg.KE{Group: 16, Data: make([]byte, 512)}
	})}
	if v := NewFront(w.r.policy).Receive(now, costly, Load{Cost: 700}); v.Action != Reply {
		t.Errorf("a MODP-4096 exchange at half load: %+v, want a cookie first", v)
	}
	short := Datagram{Local: d.Local, Remote: d.Remote, Data: initMessage(func(m *ikemsg.Message) { m.Payloads = m.Payloads[:3] })}
	if v := f.Receive(now, short, Load{}); v.Action == Accept {
		t.Error("a request shorter than our answer was accepted without a cookie")
	}
}

func TestTrap02_RetransmissionsAreKnownByHash(t *testing.T) {
	w := newWorld(t, 2)
	w.up()
	sa := w.i.session.sa
	ask := func(id uint32) []byte {
		return must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, id, false), nil, 0))[0]
	}
	first := ask(2)
	answer := w.raw(w.i, first)
	if answer == nil {
		t.Fatal("no answer")
	}
	if again := w.raw(w.i, first); !bytes.Equal(again, answer) {
		t.Error("a retransmission got another answer")
	}
	if w.raw(w.i, ask(2)) != nil {
		t.Error("other octets with an old message ID were answered")
	}
	if w.raw(w.i, ask(4)) != nil {
		t.Error("a message ID from the future was answered")
	}
	broken := slices.Clone(first)
	broken[len(broken)-1] ^= 1
	if w.raw(w.i, broken) != nil {
		t.Error("a forged retransmission was answered")
	}
	if w.raw(w.i, ask(3)) == nil {
		t.Error("the next message ID was not answered")
	}
}

func TestTrap02_OnlyFragmentOneRepeatsTheAnswer(t *testing.T) {
	w := newWorld(t, 2)
	w.up()
	sa := w.i.session.sa
	big := []ikemsg.Payload{&ikemsg.VendorID{Data: make([]byte, 3000)}}
	parts := must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, 2, false), big, 1000))
	var answer []byte
	for i, p := range parts {
		if a := w.raw(w.i, p); a != nil {
			if i != len(parts)-1 {
				t.Fatalf("answered after fragment %d of %d", i+1, len(parts))
			}
			answer = a
		}
	}
	if answer == nil {
		t.Fatal("no answer to fragments")
	}
	for i, p := range parts {
		again := w.raw(w.i, p)
		if (again != nil) != (i == 0) || i == 0 && !bytes.Equal(again, answer) {
			t.Errorf("retransmitted fragment %d: answer %v", i+1, again != nil)
		}
	}
	smaller := must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, 2, false), big, 600))
	if again := w.raw(w.i, smaller[0]); !bytes.Equal(again, answer) {
		t.Error("a retransmission in smaller fragments was not answered")
	}
	// An old set that never completes must not block the next message.
	old := must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, 3, false), big, 1000))
	w.raw(w.i, old[0])
	if w.raw(w.i, must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, 3, false), nil, 0))[0]) == nil {
		t.Error("an incomplete set blocked the whole message with the same ID")
	}
	w.raw(w.i, old[1])
	if w.raw(w.i, must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, 4, false), nil, 0))[0]) == nil {
		t.Error("an incomplete set blocked the next message ID")
	}
}

func TestTrap03_CookieThenGroupThenCookie(t *testing.T) {
	w := newWorld(t, 3)
	w.i.policy.IKE = ikeProposals("aes256gcm16-prfsha256-modp3072-modp2048-ecp256")
	w.r.policy.CookieThreshold = 1
	front := w.r.front
	n := 0
	w.mangle = func(p *peer, d Datagram) []Datagram {
		if h, _ := ikemsg.ParseHeader(d.Data); p == w.i && h.Exchange == ikemsg.ExchangeIKESAInit {
			if n++; n == 3 { // the secret changes between the rounds: one more cookie
				*front = *NewFront(w.r.policy)
			}
		}
		return []Datagram{d}
	}
	w.up()
	var spi ikemsg.SPI
	var nonce []byte
	for _, d := range w.log {
		m, err := ikemsg.Parse(d.Data)
		if err != nil || m.Header.Exchange != ikemsg.ExchangeIKESAInit || d.Local != w.i.addr {
			continue
		}
		got, _ := ikemsg.Find[*ikemsg.Nonce](m.Payloads)
		if spi == 0 {
			spi, nonce = m.Header.SPIi, got.Data
		}
		if m.Header.MessageID != 0 || m.Header.SPIi != spi || !bytes.Equal(got.Data, nonce) {
			t.Errorf("a retry changed message ID, SPI or nonce: %+v", m.Header)
		}
	}
	if n != 4 {
		t.Errorf("%d requests, want 4: plain, cookie, group, cookie", n)
	}
}

func TestTrap03_EndlessCookiesAreCapped(t *testing.T) {
	w := newWorld(t, 3)
	w.r.front = nil
	n := 0
	w.mangle = func(p *peer, d Datagram) []Datagram {
		if n++; n < 100 {
			h, _ := ikemsg.ParseHeader(d.Data)
			reply := must(initNotify(h, ikemsg.NotifyCookie, []byte{byte(n)}))
			w.i.w.net.At(w.now(), func() { w.i.deliver(Datagram{Local: d.Local, Remote: d.Remote, Data: reply}) })
		}
		return nil
	}
	w.connect()
	w.run(500 * time.Millisecond)
	if n != maxRounds+1 {
		t.Errorf("%d requests within half a second, want %d", n, maxRounds+1)
	}
}

func TestTrap04_InvalidKEOnlyForGroupsThatWereOffered(t *testing.T) {
	for _, c := range []struct {
		what  string
		group uint16
		want  int // requests within a moment
	}{
		{"offered and not tried", 14, 2},
		{"the group just tried", 19, 1},
		{"a group not offered: a downgrade", 2, 1},
	} {
		w := newWorld(t, 4)
		w.r.front = nil
		n := 0
		w.mangle = func(p *peer, d Datagram) []Datagram {
			if n++; n == 1 {
				h, _ := ikemsg.ParseHeader(d.Data)
				reply := must(initNotify(h, ikemsg.NotifyInvalidKEPayload, binary.BigEndian.AppendUint16(nil, c.group)))
				w.net.At(w.now(), func() { w.i.deliver(Datagram{Local: d.Local, Remote: d.Remote, Data: reply}) })
			}
			return nil
		}
		w.connect()
		w.run(500 * time.Millisecond)
		if n != c.want {
			t.Errorf("%s: %d requests, want %d", c.what, n, c.want)
		}
	}
}

func TestTrap04_AndroidIsAskedOnlyForAGroupOfAllProposals(t *testing.T) {
	w := newWorld(t, 4)
	w.r.policy.IKE = ikeProposals("aes256gcm16-prfsha256-ecp256-x25519", "aes256-sha256-ecp256-x25519")
	android := func(first, second string) *ikemsg.Message {
		return w.initAnswer(initMessage(func(m *ikemsg.Message) {
			m.Payloads[0] = offer(ikeProposals(first, second), ikemsg.ProtoIKE, nil, false)
			m.Payloads[1] = &ikemsg.KE{Group: 16, Data: make([]byte, 512)}
			m.Payloads = append(m.Payloads, &ikemsg.Notify{Type: ikemsg.NotifySignatureHashAlgorithms, Data: []byte{0, 2}})
		}))
	}
	answer := android("aes256-sha256-modp4096-x25519", "aes256gcm16-prfsha256-modp4096-ecp256-x25519")
	n, ok := ikemsg.FindNotify(answer.Payloads, ikemsg.NotifyInvalidKEPayload)
	if !ok || !bytes.Equal(n.Data, []byte{0, 31}) {
		t.Errorf("answer %s %+v, want INVALID_KE_PAYLOAD for group 31, the one in both proposals", describe(answer.Payloads), n)
	}
	answer = android("aes256-sha256-modp4096-x25519", "aes256gcm16-prfsha256-modp4096-ecp256")
	wantNotify(t, "no group in all proposals", answer.Payloads, ikemsg.NotifyNoProposalChosen)
}

func TestTrap09_UnauthenticatedErrorsChangeNothing(t *testing.T) {
	w := newWorld(t, 9)
	if w.initAnswer(initMessage(func(m *ikemsg.Message) { m.Payloads = m.Payloads[:2] })) != nil {
		t.Error("an IKE_SA_INIT without nonce was answered")
	}
	cut := initMessage(nil)
	binary.BigEndian.PutUint32(cut[24:], uint32(len(cut)-1))
	if v := w.r.front.Receive(w.now(), Datagram{Remote: w.i.addr, Data: cut[:len(cut)-1]}, Load{}); v.Action != Drop || v.Reason != DropMalformed {
		t.Errorf("a truncated IKE_SA_INIT: %+v", v)
	}
	w.r.session, w.r.closed = nil, nil
	w.up()
	before := len(w.r.events)
	for _, n := range []ikemsg.NotifyType{ikemsg.NotifyInvalidSyntax, ikemsg.NotifyInvalidIKESPI, ikemsg.NotifyAuthenticationFailed, ikemsg.NotifyInvalidMajorVersion} {
		for _, id := range []uint32{0, 2} {
			for _, flags := range []ikemsg.Flags{ikemsg.FlagInitiator, ikemsg.FlagInitiator | ikemsg.FlagResponse} {
				sa := w.i.session.sa
				m := ikemsg.Message{
					Header:   ikemsg.Header{SPIi: sa.spiI, SPIr: sa.spiR, Major: 2, Exchange: ikemsg.ExchangeInformational, Flags: flags, MessageID: id},
					Payloads: []ikemsg.Payload{&ikemsg.Notify{Type: n}},
				}
				if w.raw(w.i, must(m.Append(nil))) != nil {
					t.Errorf("an unprotected %v was answered", n)
				}
			}
		}
	}
	if len(w.r.events) != before {
		t.Errorf("unprotected notifies made events: %v", w.r.events[before:])
	}
	unknown := ikemsg.Header{SPIi: 1, SPIr: 2, Major: 2, Exchange: ikemsg.ExchangeInformational, Flags: ikemsg.FlagInitiator}
	v := w.r.front.Receive(w.now(), Datagram{Remote: w.i.addr, Data: append(must(ikemsg.SKPrefix(unknown, 0, 32)), make([]byte, 32)...)}, Load{})
	if v.Action != Drop || v.Reason != DropUnknownSPI {
		t.Errorf("a message for an unknown SPI: %+v, want silence", v)
	}
}

func TestTrap09_AuthenticatedNonsenseEndsTheSA(t *testing.T) {
	w := newWorld(t, 9)
	w.up()
	sa := w.i.session.sa
	c := must(sa.cipher(sa.keys.out))
	plain := []byte{0, 0, 0, 200, 1, 2, 3} // a payload longer than the message
	prefix := must(ikemsg.SKPrefix(sa.header(ikemsg.ExchangeInformational, 2, false), ikemsg.PayloadDelete, sealedSize(c, len(plain))))
	answer := w.raw(w.i, w.i.session.sealBody(sa, c, prefix, plain))
	if answer == nil {
		t.Fatal("no answer")
	}
	wantNotify(t, "broken body", opened(t, sa, answer), ikemsg.NotifyInvalidSyntax)
	if w.r.closed == nil || w.r.closed.Reason != ClosedProtocol {
		t.Errorf("the IKE SA lives on: %+v", w.r.closed)
	}
}

func TestTrap10_OddProposals(t *testing.T) {
	good := offer(ikeProposals("aes256gcm16-prfsha256-ecp256"), ikemsg.ProtoIKE, nil, false).Proposals[0]
	numbered := func(n uint8, p ikemsg.Proposal, more ...ikemsg.Transform) ikemsg.Proposal {
		p.Number = n
		p.Transforms = append(slices.Clone(p.Transforms), more...)
		return p
	}
	unknownType := ikemsg.Transform{Transform: suite.Transform{Type: 6, ID: 36}} // ADDKE1, RFC 9370
	noAddKE := ikemsg.Transform{Transform: suite.Transform{Type: 6}}
	unknownCipher := ikemsg.Transform{Transform: suite.Transform{Type: suite.Encr, ID: 9999, KeyBits: 256}}
	noKeyLength := ikemsg.Transform{Transform: suite.Transform{Type: suite.Encr, ID: 12}}
	withAttribute := ikemsg.Transform{Transform: suite.Transform{Type: suite.PRF, ID: 5}, Attributes: []ikemsg.Attribute{{Type: 77, TV: true, Value: []byte{0, 1}}}}
	for _, c := range []struct {
		what  string
		offer []ikemsg.Proposal
		want  uint8 // number chosen; 0 = none
	}{
		{"starts at 3", []ikemsg.Proposal{numbered(3, good)}, 3},
		{"unordered", []ikemsg.Proposal{numbered(9, good, unknownType), numbered(4, good)}, 4},
		{"unknown type only in the first", []ikemsg.Proposal{numbered(1, good, unknownType), numbered(2, good)}, 2},
		{"unknown type with NONE", []ikemsg.Proposal{numbered(1, good, unknownType, noAddKE)}, 1},
		{"unknown type everywhere", []ikemsg.Proposal{numbered(1, good, unknownType)}, 0},
		{"unknown cipher beside", []ikemsg.Proposal{numbered(1, good, unknownCipher, noKeyLength, withAttribute)}, 1},
		{"integrity NONE beside an AEAD", []ikemsg.Proposal{numbered(1, good, ikemsg.Transform{Transform: suite.Transform{Type: suite.Integ}})}, 1},
		{"integrity demanded beside an AEAD", []ikemsg.Proposal{numbered(1, good, ikemsg.Transform{Transform: suite.Transform{Type: suite.Integ, ID: 12}})}, 0},
	} {
		w := newWorld(t, 10)
		answer := w.initAnswer(initMessage(func(m *ikemsg.Message) { m.Payloads[0] = &ikemsg.SA{Proposals: c.offer} }))
		if answer == nil {
			t.Errorf("%s: no answer", c.what)
			continue
		}
		sa, ok := ikemsg.Find[*ikemsg.SA](answer.Payloads)
		switch {
		case c.want == 0 && ok:
			t.Errorf("%s: chose %+v", c.what, sa)
		case c.want != 0 && !ok:
			t.Errorf("%s: %s", c.what, describe(answer.Payloads))
		case ok && (len(sa.Proposals) != 1 || sa.Proposals[0].Number != c.want || len(sa.Proposals[0].Transforms) != 3):
			t.Errorf("%s: chose %+v, want number %d with three transforms", c.what, sa.Proposals, c.want)
		}
	}
}
