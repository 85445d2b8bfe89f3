package userspace

import "encoding/binary"

// TCP options (RFC 9293, Section 3.2).
const (
	optEnd     = 0
	optNOP     = 1
	optMSS     = 2
	optMSSSize = 4
)

// leastMSS is never undercut, however narrow the path: Linux sends no smaller
// segments either (tcp_min_snd_mss), and tiny ones are an attack on the sender
// (CVE-2019-11479).
const leastMSS = 48

// isSYN tells whether a packet opens a TCP connection, one way or the other.
func isSYN(pkt []byte, in *inner) bool {
	return in.proto == protoTCP && in.ports && in.l4+20 <= len(pkt) && pkt[in.l4+13]&tcpSYN != 0
}

// clampMSS lowers the maximum segment size that a SYN offers to what fits into
// packets of that many octets, so that connections do not depend on ICMP that
// somebody filters (RFC 4459, Section 3.2). It tells whether it changed pkt,
// whose checksum must be finished; a wrong one stays wrong.
//
// Hosts that give no option send 536 or 1220 octets at the most, which fits.
func clampMSS(pkt []byte, in *inner, limit int) (changed bool) {
	most := limit - ipv4HeaderSize - 20
	if in.v6 {
		most = limit - ipv6HeaderSize - 20
	}
	most = max(most, leastMSS)
	tcp := pkt[in.l4:]
	end := min(int(tcp[12]>>4)*4, len(tcp))
	for i := 20; i < end && tcp[i] != optEnd; {
		if tcp[i] == optNOP {
			i++
			continue
		}
		if i+2 > end || tcp[i+1] < 2 || i+int(tcp[i+1]) > end {
			break // the receiver's to judge
		}
		if tcp[i] == optMSS && tcp[i+1] == optMSSSize {
			changed = lowerMSS(tcp, i+2, most) || changed
		}
		i += int(tcp[i+1])
	}
	return changed
}

// lowerMSS changes the number at offset at, and the checksum by the difference
// (RFC 1624, Section 3, equation 3).
func lowerMSS(tcp []byte, at, most int) bool {
	old := binary.BigEndian.Uint16(tcp[at:])
	if int(old) <= most {
		return false
	}
	binary.BigEndian.PutUint16(tcp[at:], uint16(most))
	before, after := old, uint16(most)
	if at%2 != 0 { // across two words of the sum, each octet on the other side
		before, after = before<<8|before>>8, after<<8|after>>8
	}
	sum(0).word(^binary.BigEndian.Uint16(tcp[16:])).word(^before).word(after).putComplement(tcp[16:])
	return true
}
