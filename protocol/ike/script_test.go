package ike

import (
	"slices"
	"testing"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Scripting one end by hand: messages sealed with its real keys, the other
// end's answers opened.

// says sends a request of from's current IKE SA and gives the answer, opened;
// nil when there is none.
func (w *world) says(from *peer, x ikemsg.ExchangeType, ps ...ikemsg.Payload) []ikemsg.Payload {
	w.t.Helper()
	return w.saysOn(from, from.session.sa, x, ps...)
}

func (w *world) saysOn(from *peer, sa *ikeSA, x ikemsg.ExchangeType, ps ...ikemsg.Payload) []ikemsg.Payload {
	w.t.Helper()
	msgs := must(from.session.seal(sa, sa.header(x, sa.nextOut, false), ps, 0))
	answer := w.raw(from, msgs[0])
	if answer == nil {
		return nil
	}
	sa.nextOut++
	return opened(w.t, sa, answer)
}

// raw delivers a datagram of from at once and gives what comes back at once.
func (w *world) raw(from *peer, data []byte) []byte {
	w.t.Helper()
	all := w.rawAll(from, data)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

func (w *world) rawAll(from *peer, data []byte) (answers [][]byte) {
	w.t.Helper()
	local, remote := from.addr, from.other().addr
	if from.session != nil && from.session.phase == phaseUp {
		local, remote = from.session.Path()
	}
	hook := w.mangle
	defer func() { w.mangle = hook }()
	w.mangle = func(p *peer, d Datagram) []Datagram {
		h, err := ikemsg.ParseHeader(d.Data)
		if p != from && err == nil && h.Flags&ikemsg.FlagResponse != 0 {
			answers = append(answers, d.Data)
			return nil
		}
		return []Datagram{d}
	}
	from.other().deliver(Datagram{Local: remote, Remote: local, Data: slices.Clone(data)})
	return answers
}

// opened decrypts a message to the owner of sa.
func opened(t testing.TB, sa *ikeSA, data []byte) []ikemsg.Payload {
	t.Helper()
	m := must(ikemsg.Parse(data))
	enc, ok := ikemsg.Find[*ikemsg.Encrypted](m.Payloads)
	if !ok {
		t.Fatalf("message is not encrypted: %v", m.Payloads)
	}
	ps := must(ikemsg.ParsePayloads(enc.First, must(sa.open(data, enc.Body))))
	if ps == nil {
		ps = []ikemsg.Payload{}
	}
	return ps
}

// own decrypts what the owner of sa has sent itself.
func own(t testing.TB, sa *ikeSA, data []byte) []ikemsg.Payload {
	mirror := *sa
	mirror.keys.in, mirror.keys.out = sa.keys.out, sa.keys.in
	return opened(t, &mirror, data)
}

// wantNotify: exactly this notify answers.
func wantNotify(t testing.TB, what string, ps []ikemsg.Payload, n ikemsg.NotifyType) {
	t.Helper()
	if _, ok := ikemsg.FindNotify(ps, n); !ok || len(ps) != 1 {
		t.Errorf("%s: answered with %s, want %v alone", what, describe(ps), n)
	}
}

func wantEmpty(t testing.TB, what string, ps []ikemsg.Payload) {
	t.Helper()
	if ps == nil || len(ps) != 0 {
		t.Errorf("%s: answered with %s, want an empty answer", what, describe(ps))
	}
}

func describe(ps []ikemsg.Payload) string {
	if ps == nil {
		return "nothing"
	}
	text := "["
	for _, p := range ps {
		text += " " + p.PayloadType().String()
		if n, ok := p.(*ikemsg.Notify); ok {
			text += ":" + n.Type.String()
		}
	}
	return text + " ]"
}

// intercept lets a test see, change or drop the protected requests of a peer
// by exchange: change gets the payloads and gives those to send instead, nil
// to drop the message.
func (w *world) intercept(from *peer, x ikemsg.ExchangeType, response bool, change func([]ikemsg.Payload) []ikemsg.Payload) {
	w.mangle = func(p *peer, d Datagram) []Datagram {
		h, err := ikemsg.ParseHeader(d.Data)
		if p != from || err != nil || h.Exchange != x || (h.Flags&ikemsg.FlagResponse != 0) != response {
			return []Datagram{d}
		}
		sa := p.session.find(flip(h))
		if sa == nil {
			return []Datagram{d} // the last words of a session that is over
		}
		ps := change(own(w.t, sa, d.Data))
		if ps == nil {
			return nil
		}
		d.Data = must(p.session.seal(sa, h, ps, 0))[0]
		return []Datagram{d}
	}
}

// flip makes a header of ours look like the peer's, for find.
func flip(h ikemsg.Header) ikemsg.Header {
	h.Flags ^= ikemsg.FlagInitiator
	return h
}

const groupECP256 = 19

// initMessage is a hand-made IKE_SA_INIT request.
func initMessage(change func(m *ikemsg.Message)) []byte {
	ke := must(suite.GenerateKE(suite.Transform{Type: suite.KE, ID: groupECP256}))
	m := &ikemsg.Message{
		Header: ikemsg.Header{SPIi: 0x1122334455667788, Major: 2, Exchange: ikemsg.ExchangeIKESAInit, Flags: ikemsg.FlagInitiator},
		Payloads: []ikemsg.Payload{
			offer(ikeProposals("aes256gcm16-prfsha256-ecp256"), ikemsg.ProtoIKE, nil, false),
			&ikemsg.KE{Group: groupECP256, Data: ke.Public()},
			&ikemsg.Nonce{Data: make([]byte, 32)},
			&ikemsg.VendorID{Data: make([]byte, 1000)}, // long enough for any answer without cookie
		},
	}
	if change != nil {
		change(m)
	}
	return must(m.Append(nil))
}

// initAnswer sends an IKE_SA_INIT request to a fresh responder.
func (w *world) initAnswer(data []byte) *ikemsg.Message {
	w.t.Helper()
	w.r.session = nil
	b := w.raw(w.i, data)
	if b == nil {
		return nil
	}
	return must(ikemsg.Parse(b))
}

// childRequest are the payloads of a CREATE_CHILD_SA request for a Child SA.
func childRequest(esp string, tsi, tsr []ikemsg.TrafficSelector, more ...ikemsg.Payload) []ikemsg.Payload {
	return append([]ikemsg.Payload{
		offer(espProposals(esp), ikemsg.ProtoESP, []byte{0xc0, 1, 2, 3}, false),
		&ikemsg.Nonce{Data: slices.Repeat([]byte{0xff}, 32)},
		&ikemsg.TS{Selectors: tsi}, &ikemsg.TS{Responder: true, Selectors: tsr},
	}, more...)
}

func rekeySA(spi uint32) *ikemsg.Notify {
	return &ikemsg.Notify{Type: ikemsg.NotifyRekeySA, Protocol: ikemsg.ProtoESP, SPI: spiOctets(spi)}
}

func deleteESP(spis ...uint32) *ikemsg.Delete {
	return &ikemsg.Delete{Protocol: ikemsg.ProtoESP, SPIs: spis}
}
