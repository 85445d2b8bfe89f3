package l2tp

import (
	"testing"
	"time"

	"sallyport/protocol/l2tp/l2tpmsg"
)

func TestTunnelAndCallComeUpAndCarryFrames(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	a, b := of[CallUp](w.lac)[0], of[CallUp](w.lns)[0]
	if a.Tunnel != b.PeerTunnel || a.PeerTunnel != b.Tunnel || a.Session != b.PeerSession || a.PeerSession != b.Session || a.Serial != b.Serial {
		t.Errorf("the ends disagree:\n%+v\n%+v", a, b)
	}
	if up := of[TunnelUp](w.lns)[0]; up.HostName != "PC-17" || up.VendorName != "Sallyport" || up.Window != 8 {
		t.Errorf("the gateway learned %+v", up)
	}
	if up := of[TunnelUp](w.lac)[0]; up.HostName != "vpn.example.org" || up.Firmware != 0x0100 {
		t.Errorf("the client learned %+v", up)
	}
	w.lac.ppp("\xff\x03\xc0\x21 from the client")
	w.lns.ppp("\xff\x03\xc0\x21 from the gateway")
	w.run(time.Second)
	if f := of[Frame](w.lns); len(f) != 1 || string(f[0].PPP) != "\xff\x03\xc0\x21 from the client" || f[0].Session != b.Session {
		t.Errorf("the gateway got %v", f)
	}
	if f := of[Frame](w.lac); len(f) != 1 || string(f[0].PPP) != "\xff\x03\xc0\x21 from the gateway" {
		t.Errorf("the client got %v", f)
	}
}

func TestSetUpTakesTheMessagesOfAppendixB(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	type line struct {
		from   *end
		kind   l2tpmsg.MessageType
		ns, nr uint16
	}
	for i, want := range []line{
		{w.lac, l2tpmsg.SCCRQ, 0, 0}, {w.lac, l2tpmsg.SCCCN, 1, 1}, {w.lac, l2tpmsg.ICRQ, 2, 1}, {w.lac, l2tpmsg.ICCN, 3, 2},
		{w.lns, l2tpmsg.SCCRP, 0, 1}, {w.lns, l2tpmsg.ICRP, 1, 3},
	} {
		m := want.from.sent[i%4]
		kind, _, _ := m.Type()
		if kind != want.kind || m.Header.Ns != want.ns || m.Header.Nr != want.nr {
			t.Errorf("the %s sent %v with %v, want %v", want.from.name, kind, m.Header, want)
		}
	}
	if w.lns.zlbs != 2 || w.lac.zlbs != 0 {
		t.Errorf("%d and %d acknowledgements", w.lns.zlbs, w.lac.zlbs)
	}
}

func TestClosingEndsBothSidesAndNothingIsLeft(t *testing.T) {
	for name, close := range map[string]func(w *world){
		"the client closes the tunnel":  func(w *world) { w.lac.do(CloseTunnel{Text: "bye"}) },
		"the gateway closes the tunnel": func(w *world) { w.lns.do(CloseTunnel{Result: l2tpmsg.StopShutdown, Text: "bye"}) },
		"both close it at once":         func(w *world) { w.lac.do(CloseTunnel{}); w.lns.do(CloseTunnel{}) },
		"the client hangs up":           func(w *world) { w.lac.do(CloseCall{Session: of[CallUp](w.lac)[0].Session}) },
		"the gateway hangs up":          func(w *world) { w.lns.do(CloseCall{Session: of[CallUp](w.lns)[0].Session, Text: "quota"}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.up()
			close(w)
			w.run(2 * time.Minute)
			w.bothAreDone()
		})
	}
}

// bothAreDone holds that each end has told one end for each beginning and keeps
// nothing.
func (w *world) bothAreDone() {
	w.t.Helper()
	for _, p := range []*end{w.lac, w.lns} {
		if len(of[TunnelUp](p)) != len(of[TunnelDown](p)) || len(of[CallUp](p)) != len(of[CallDown](p)) {
			w.t.Errorf("the %s has told%s", p.name, w.show(p))
		}
		if !p.e.Idle() || !p.e.Deadline().IsZero() {
			w.t.Errorf("the %s still has %+v %+v", p.name, p.e.live, p.e.ended)
		}
	}
}
