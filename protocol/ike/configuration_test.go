package ike

import (
	"net/netip"
	"testing"

	"sallyport/protocol/ike/ikemsg"
)

// TestAGatewayCannotAssignAnAddressThatIsNone: a rogue gateway had 127.0.0.1
// put on the client's tunnel device.
func TestAGatewayCannotAssignAnAddressThatIsNone(t *testing.T) {
	reply := func(text string) Leased {
		a := netip.MustParseAddr(text)
		cp := &ikemsg.CP{Kind: ikemsg.CPReply, Attributes: []ikemsg.CPAttribute{{Type: ikemsg.InternalIP4Address, Value: a.AsSlice()}}}
		if a.Is6() {
			cp.Attributes[0] = ikemsg.CPAttribute{Type: ikemsg.InternalIP6Address, Value: append(a.AsSlice(), 64)}
		}
		return readReply(Request{IPv4: true, IPv6: true}, cp)
	}
	for _, bad := range []string{"0.0.0.0", "127.0.0.1", "127.255.0.9", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1", "::ffff:10.0.0.1"} {
		if l := reply(bad); l.IPv4.IsValid() || l.IPv6.IsValid() {
			t.Errorf("%s was taken as %v and %v", bad, l.IPv4, l.IPv6)
		}
	}
	for _, good := range []string{"10.60.0.9", "fd00:60::9"} {
		if l := reply(good); !l.IPv4.IsValid() && !l.IPv6.IsValid() {
			t.Errorf("%s was not taken", good)
		}
	}
}
