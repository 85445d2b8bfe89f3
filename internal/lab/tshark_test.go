package lab_test

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// ikeHeader is a message of main mode, of 28 octets and a payload.
func ikeHeader(next byte, payload ...byte) []byte {
	head := append(bytes.Repeat([]byte{7}, 8), make([]byte, 8)...)
	head = append(head, next, 0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, byte(28+len(payload)))
	return append(head, payload...)
}

func TestWiresharkNamesTheFrameThatIsMalformed(t *testing.T) {
	l := labtest.Open(t, "a 192.0.2.1/24 -- 192.0.2.2/24 b", "tshark")
	ctx := within(t, 30*time.Second)
	sink, err := l.At("b").ListenPacket("udp", "192.0.2.2:500")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	capture, err := l.At("a").Capture("b", filepath.Join(t.TempDir(), "wire.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.At("a").Dial(ctx, "udp", "192.0.2.2:500")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	good := ikeHeader(10, 0, 0, 0, 8, 1, 2, 3, 4)            // a nonce of four octets
	bad := ikeHeader(1, 0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, 1) // an SA that says it has sixty
	for _, m := range [][]byte{good, bad, good} {
		if _, err := c.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	frames, err := lab.Decode(ctx, capture.File, lab.Secrets{}, "isakmp.nonce", "ip.src")
	if err != nil {
		t.Fatal(err)
	}
	var ike []lab.Frame
	for _, f := range frames {
		if f.Has("isakmp") {
			ike = append(ike, f)
		}
	}
	if len(ike) != 3 {
		t.Fatalf("%d IKE messages, want 3: %v", len(ike), frames)
	}
	if got := ike[0].Fields["isakmp.nonce"]; len(got) != 1 || got[0] != "01020304" {
		t.Errorf("the nonce is %q", got)
	}
	if got := ike[0].Fields["ip.src"]; len(got) != 1 || netip.MustParseAddr(got[0]) != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("the source is %q", got)
	}
	if m := lab.Malformed(frames); len(m) != 1 || m[0].Number != ike[1].Number || len(m[0].Faults) == 0 {
		t.Errorf("malformed are %v, want the second message alone", m)
	}
}
