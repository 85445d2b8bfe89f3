package gateway

import (
	"testing"

	"sallyport/protocol/ike"
)

func sessionOf(zone, device string) *live {
	return &live{admission: &ike.Admission{Zone: zone, Device: device}}
}

// TestASessionThatWasNeverFiledChangesNoCount: a reload can take a zone away
// while a client of it logs in, and that session ends without having been there.
func TestASessionThatWasNeverFiledChangesNoCount(t *testing.T) {
	var tb table
	tb.remove(sessionOf("printers", "pc"))
	filed := sessionOf("printers", "pc")
	tb.add(filed)
	tb.remove(sessionOf("printers", "pc"))
	if n := tb.inZone("printers"); n != 1 {
		t.Errorf("the zone counts %d sessions, and has one", n)
	}
	tb.remove(filed)
	if n := tb.inZone("printers"); n != 0 {
		t.Errorf("the zone counts %d sessions, and has none", n)
	}
}
