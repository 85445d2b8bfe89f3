package ikev1

import (
	"crypto/cipher"
	"testing"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// FuzzDecrypted hands a session what a peer with keys may send: a message of any
// exchange whose hash is right, or whose body is anything at all.
func FuzzDecrypted(f *testing.F) {
	w := newWorld(f, 1, true)
	w.up()
	seed := func(ps ...isakmp.Payload) []byte { return must(isakmp.AppendPayloads(nil, ps)) }
	f.Add(byte(5), byte(isakmp.PayloadDelete), true, seed(w.deleteESP(), w.deleteISAKMP()))
	f.Add(byte(5), byte(isakmp.PayloadNotify), true, seed(w.g.session().sa.dpdNotify(isakmp.NotifyRUThere, 7)))
	f.Add(byte(32), byte(isakmp.PayloadSA), true, seed(w.c.session().quicks[0].offer, &isakmp.Nonce{Data: make([]byte, 16)}))
	f.Add(byte(32), byte(isakmp.PayloadHash), false, seed(&isakmp.Hash{Data: make([]byte, 32)}))
	f.Fuzz(func(t *testing.T, exchange, first byte, hashed bool, body []byte) {
		if len(body) > 4096 {
			return
		}
		w := newWorld(t, 1, true)
		w.up()
		sa := w.c.session().sa
		iv := must(sa.ivOf(77))
		h := sa.header(isakmp.ExchangeType(exchange), 77)
		h.NextPayload = isakmp.PayloadType(first)
		if hashed {
			hash := must(sa.exchangeHash(77, body))
			h.NextPayload = isakmp.PayloadHash
			body = append(append([]byte{first, 0, 0, byte(4 + len(hash))}, hash...), body...)
		}
		d := Datagram{Local: w.g.session().path.local, Remote: w.g.session().path.remote, Data: sealRaw(t, sa, h, iv, body)}
		g := w.g.session()
		w.g.deliver(d)
		w.run(3 * time.Minute)
		if g.Dead() {
			return
		}
		if len(g.children) > maxChildren || len(g.quicks) > maxQuicks || len(g.held) > 0 {
			t.Fatalf("%d SAs, %d exchanges", len(g.children), len(g.quicks))
		}
	})
}

// sealRaw encrypts any octets as the body of a message. What does
// not fill a block is padded, as honest messages are.
func sealRaw(t testing.TB, sa *isakmpSA, h isakmp.Header, iv, body []byte) []byte {
	t.Helper()
	block := must(suite.NewBlock1(sa.suite.Encr, sa.keys.encr))
	body = append([]byte(nil), body...)
	for len(body) == 0 || len(body)%blockSize != 0 {
		body = append(body, 0)
	}
	h.Flags |= isakmp.FlagEncryption
	msg := append(h.Append(nil, len(body)), body...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(msg[isakmp.HeaderLen:], body)
	return msg
}

// FuzzFirst hands a responder any first message.
func FuzzFirst(f *testing.F) {
	w := newWorld(f, 1, false)
	f.Add(must(windowsFirst(3).Append(nil)))
	w.start()
	w.run(5 * time.Millisecond)
	f.Add(w.log[0].Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := Datagram{Local: w.g.addr, Remote: w.c.addr, Data: data}
		accepted := Front(d).Accept
		var out Out
		s := NewResponder(w.g.cfg, w.now(), d, &out)
		if !accepted && (!s.Dead() || len(out.Send) > 0) {
			t.Fatal("answered what the front drops")
		}
		for _, a := range out.Send {
			if len(a.Data) > 2*len(data) {
				t.Fatalf("%d octets answer %d", len(a.Data), len(data))
			}
		}
		s.Receive(w.now(), d, &out)
		s.Timeout(w.now().Add(time.Minute), &out)
		if !s.Dead() {
			t.Fatal("half open for ever")
		}
	})
}

// FuzzPlain hands an initiator and a responder, in every state of main mode, a
// message without protection.
func FuzzPlain(f *testing.F) {
	w := newWorld(f, 1, true)
	w.up()
	for _, d := range w.log {
		f.Add(d.Data, uint8(10))
	}
	f.Fuzz(func(t *testing.T, data []byte, ms uint8) {
		w := newWorld(t, 1, true)
		w.start()
		w.run(time.Duration(ms) * time.Millisecond)
		for _, n := range []*node{w.c, w.g} {
			if s := n.session(); s != nil && len(data) >= isakmp.HeaderLen {
				b := append([]byte(nil), data...)
				if s.sa != nil {
					copy(b, cookies(s.sa.cookieI, s.sa.cookieR))
				}
				s.Receive(w.now(), Datagram{Local: s.path.local, Remote: s.path.remote, Data: b}, &n.out)
				n.drain(s)
			}
		}
		w.run(2 * time.Minute)
	})
}
