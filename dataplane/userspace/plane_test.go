package userspace

import "testing"

func TestTwoPlanesCarryPingAndTCP(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	l.wantPing(innerB4)
	l.wantPing(innerB6)
	l.wantPing("-s 1372 -M do " + innerB4)
	l.wantTransfer(innerB4, 64<<20)
	l.wantTransfer(innerB6, 64<<20)
	t.Log(l.counters())
}
