package ike

import (
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
)

// fuzzWorld is a world whose backend answers at once and whose tests may not
// fail on odd input.
func fuzzWorld(t testing.TB) *world {
	w := newWorld(t, 1)
	w.up()
	return w
}

// FuzzReceiveInit feeds IKE_SA_INIT requests to a responder and, as answers,
// to an initiator: no panic, no session that cannot end.
func FuzzReceiveInit(f *testing.F) {
	f.Add(initMessage(nil), true)
	w := newWorld(f, 1)
	w.connect()
	w.run(time.Second)
	for _, d := range w.log {
		f.Add(d.Data, d.Local.Addr() == w.i.addr.Addr())
	}
	for _, r := range recorded(f) {
		f.Add(r.init, true)
	}
	for _, c := range clients {
		f.Add(c.wire().init, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, request bool) {
		w := newWorld(t, 1)
		if request {
			w.r.front.Receive(w.now(), Datagram{Local: w.r.addr, Remote: w.i.addr, Data: data}, Load{Cost: len(data) * 20})
			w.r.session = NewResponder(w.r.cfg, w.now(), Datagram{Local: w.r.addr, Remote: w.i.addr, Data: data}, &w.r.out)
			w.r.drain(w.r.session)
			w.run(2 * time.Minute)
			if !w.r.session.Dead() {
				t.Error("the half-open session never ends")
			}
			return
		}
		w.connect()
		// Give the answer a chance to be taken for ours.
		if h, err := ikemsg.ParseHeader(data); err == nil && len(w.log) > 0 {
			copy(data, w.log[0].Data[:8])
			_ = h
		}
		w.i.deliver(Datagram{Local: w.i.addr, Remote: w.r.addr, Data: data})
		w.run(10 * time.Minute)
		if w.i.est != nil && w.r.est == nil {
			t.Error("established with nobody")
		}
	})
}

// FuzzDecryptedBody feeds what only a peer with the keys can send: the inside
// of requests and responses, to both roles of an established session, and of
// IKE_AUTH to a responder.
func FuzzDecryptedBody(f *testing.F) {
	add := func(x ikemsg.ExchangeType, ps ...ikemsg.Payload) {
		body, err := ikemsg.AppendPayloads(nil, ps)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(x), uint8(ikemsg.FirstType(ps)), body, uint8(0))
		f.Add(uint8(x), uint8(ikemsg.FirstType(ps)), body, uint8(1))
		f.Add(uint8(x), uint8(ikemsg.FirstType(ps)), body, uint8(2))
		f.Add(uint8(x), uint8(ikemsg.FirstType(ps)), body, uint8(4))
	}
	w := fuzzWorld(f)
	add(ikemsg.ExchangeCreateChildSA, childRequest("aes256gcm16", anywhere, anywhere)...)
	add(ikemsg.ExchangeCreateChildSA, childRequest("aes256gcm16-ecp256", anywhere, anywhere, rekeySA(w.i.onlyChild()))...)
	add(ikemsg.ExchangeCreateChildSA, ikeRekeyRequest(w.i)...)
	add(ikemsg.ExchangeInformational, deleteESP(w.i.onlyChild()))
	add(ikemsg.ExchangeInformational, &ikemsg.Delete{Protocol: ikemsg.ProtoIKE})
	add(ikemsg.ExchangeInformational, &ikemsg.Notify{Type: ikemsg.NotifyUpdateSAAddresses}, &ikemsg.Notify{Type: ikemsg.NotifyCookie2, Data: make([]byte, 8)})
	add(ikemsg.ExchangeInformational)
	for _, d := range w.log {
		if h := must(ikemsg.ParseHeader(d.Data)); h.Exchange == ikemsg.ExchangeIKEAuth {
			from := map[bool]*peer{true: w.i, false: w.r}[d.Local.Addr() == w.i.addr.Addr()]
			add(ikemsg.ExchangeIKEAuth, own(f, from.session.sa, d.Data)...)
		}
	}
	const auth = 4 // see below
	for _, r := range recorded(f) {
		f.Add(uint8(ikemsg.ExchangeIKEAuth), uint8(r.authFirst), r.auth, uint8(auth))
	}
	for _, c := range clients {
		m := c.wire()
		f.Add(uint8(ikemsg.ExchangeIKEAuth), uint8(m.authFirst), m.auth, uint8(auth))
	}
	f.Fuzz(func(t *testing.T, exchange, first uint8, body []byte, how uint8) {
		w := newWorld(t, 1)
		from, response, auth := w.i, how&2 != 0, how&4 != 0
		if how&1 != 0 {
			from = w.r
		}
		if auth {
			fuzzAuth(w, from, first, body)
			return
		}
		w.up()
		victim := from.other()
		sa := from.session.sa
		h := sa.header(ikemsg.ExchangeType(exchange), sa.nextOut, false)
		if response {
			start := []Command{RekeyChild{victim.onlyChild()}, RekeyIKE{}, CreateChild{victim.child}, DeleteChild{victim.onlyChild()}}
			w.net.Link.Loss = 1
			victim.do(start[int(how>>3)%len(start)])
			h = sa.header(ikemsg.ExchangeType(exchange), victim.session.sa.nextOut, true)
		}
		c := must(sa.cipher(sa.keys.out))
		prefix, err := ikemsg.SKPrefix(h, ikemsg.PayloadType(first), sealedSize(c, len(body)))
		if err != nil {
			return
		}
		w.raw(from, from.session.sealBody(sa, c, prefix, body))
		if n := len(victim.session.children); n > maxChildren {
			t.Errorf("%d Child SAs", n)
		}
		w.net.Link.Loss = 0
		w.run(10 * time.Minute)
	})
}

// fuzzAuth replaces the inside of an IKE_AUTH message.
func fuzzAuth(w *world, from *peer, first uint8, body []byte) {
	w.mangle = func(p *peer, d Datagram) []Datagram {
		h, err := ikemsg.ParseHeader(d.Data)
		if p != from || err != nil || h.Exchange != ikemsg.ExchangeIKEAuth {
			return []Datagram{d}
		}
		sa := p.session.find(flip(h))
		if sa == nil {
			return []Datagram{d}
		}
		c := must(sa.cipher(sa.keys.out))
		prefix, err := ikemsg.SKPrefix(h, ikemsg.PayloadType(first), sealedSize(c, len(body)))
		if err != nil {
			return nil
		}
		d.Data = p.session.sealBody(sa, c, prefix, body)
		return []Datagram{d}
	}
	w.connect()
	w.run(10 * time.Minute)
	if w.i.est != nil && w.r.est == nil {
		w.t.Error("the initiator is established with a responder that is not")
	}
}

// FuzzFront: whatever comes, the answer is never longer than the request.
func FuzzFront(f *testing.F) {
	f.Add(initMessage(nil), 0, 0)
	f.Add(initMessage(nil), 100000, 0)
	v3 := initMessage(nil)
	v3[17] = 0x30
	f.Add(v3, 0, 100)
	f.Add([]byte{0xff}, 0, 0)
	w := newWorld(f, 1)
	f.Fuzz(func(t *testing.T, data []byte, cost, prefix int) {
		v := w.r.front.Receive(w.now(), Datagram{Local: w.r.addr, Remote: w.i.addr, Data: data}, Load{Cost: cost, FromPrefix: prefix})
		if len(v.Reply) > len(data) {
			t.Errorf("%d octets answer %d", len(v.Reply), len(data))
		}
		if (v.Action == Accept) == (v.Reason != 0) || (v.Action == Reply) != (v.Reply != nil) {
			t.Errorf("verdict %+v", v)
		}
		if v.Action != Accept {
			return
		}
		var out Out
		s := NewResponder(w.r.cfg, w.now(), Datagram{Local: w.r.addr, Remote: w.i.addr, Data: data}, &out)
		for _, j := range out.Jobs {
			value, err := w.r.work(j.Task)
			s.Done(w.now(), Result{j.ID, value, err}, &out)
		}
		hasCookie := false
		if m, err := ikemsg.Parse(data); err == nil {
			_, hasCookie = ikemsg.FindNotify(m.Payloads, ikemsg.NotifyCookie)
		}
		for _, d := range out.Send {
			if len(d.Data) > len(data) && !hasCookie {
				t.Errorf("IKE_SA_INIT: %d octets answer %d without a cookie", len(d.Data), len(data))
			}
		}
	})
}
