package ikev1

import (
	"bytes"
	"testing"
	"time"

	"sallyport/protocol/ikev1/isakmp"
)

// A message 3 without our cookie proves nothing about where the peer is: it
// must not make a key pair, nor an answer to an address that may be a victim's.
func TestMessage3WithoutOurCookieIsNotAnswered(t *testing.T) {
	w := newWorld(t, 1, false)
	w.mangle = func(from *node, d Datagram) []Datagram {
		m, err := isakmp.Parse(bytes.Clone(d.Data))
		if err == nil && from == w.c && m.Header.Exchange == isakmp.ExchangeMain && m.Header.CookieR != 0 {
			m.Header.CookieR = 0
			d.Data = must(m.Append(nil))
		}
		return []Datagram{d}
	}
	w.start()
	w.run(2 * time.Second)
	if w.g.sent != 1 || len(w.g.tasks) != 0 {
		t.Errorf("%d messages were sent, and there was work: %T", w.g.sent, w.g.tasks)
	}
}
