package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"sallyport/protocol/ike"
)

// freePorts finds two UDP ports that nobody uses now.
func freePorts(t *testing.T) (a, b uint16) {
	t.Helper()
	var ports [2]uint16
	for i := range ports {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ports[i] = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	}
	return ports[0], ports[1]
}

func testRecord(i int) ike.Record {
	return ike.Record{Time: time.Unix(int64(i), 0), Remote: netip.MustParseAddrPort("192.0.2.1:500"), Reason: fmt.Sprint("reason ", i)}
}
