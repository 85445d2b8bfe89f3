package bench

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"

	"sallyport/protocol/ike/ikemsg"
)

// anything is 0.0.0.0/0, what a full-tunnel client proposes.
var anything = []ikemsg.TrafficSelector{{
	EndPort: 65535,
	Start:   netip.MustParseAddr("0.0.0.0"), End: netip.MustParseAddr("255.255.255.255"),
}}

func randomSPI() ikemsg.SPI {
	for {
		if n := binary.BigEndian.Uint64(randomOctets(8)); n != 0 {
			return ikemsg.SPI(n)
		}
	}
}

// firstChildSPI: values below are reserved (RFC 4303, Section 2.1).
const firstChildSPI = 256

func randomChildSPI() uint32 {
	for {
		if n := binary.BigEndian.Uint32(randomOctets(4)); n >= firstChildSPI {
			return n
		}
	}
}

func randomOctets(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
