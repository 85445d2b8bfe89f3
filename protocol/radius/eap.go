package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxEAP is the longest EAP packet of a peer, in octets. In its attributes it
// has 3,024, which leaves 1,000 for User-Name, State and what names us.
const maxEAP = 3000

// SplitEAP puts an EAP packet into as many EAP-Message attributes as it takes
// (RFC 3579, Section 3.1).
func SplitEAP(packet []byte) []Attribute {
	var all []Attribute
	for len(packet) > 0 {
		n := min(len(packet), MaxValue)
		all = append(all, Attribute{EAPMessage, packet[:n:n]})
		packet = packet[n:]
	}
	return all
}

var (
	errScattered = errors.New("radius: other attributes stand between those of EAP-Message")
	errEAPLength = errors.New("radius: EAP-Message does not hold one whole EAP packet")
)

// JoinEAP takes the EAP packet out again; it is nil when there is none. The
// attributes must stand together, as RFC 3579, Section 3.1 wants them, and
// hold one packet, no octet less or more.
func (p *Packet) JoinEAP() ([]byte, error) {
	var packet []byte
	last, found := 0, false
	for i, a := range p.Attributes {
		if a.Type != EAPMessage {
			continue
		}
		if found && i != last+1 {
			return nil, errScattered
		}
		last, found = i, true
		packet = append(packet, a.Value...)
	}
	if !found {
		return nil, nil
	}
	if len(packet) < 4 || int(binary.BigEndian.Uint16(packet[2:])) != len(packet) {
		return nil, errEAPLength
	}
	return packet, nil
}

// Codes and the one type of EAP that the pass-through looks at (RFC 3748,
// Sections 4 and 5.1).
const (
	eapRequest  = 1
	eapResponse = 2
	eapSuccess  = 3
	eapFailure  = 4
	eapIdentity = 1
)

// checkResponse accepts what a peer may send.
func checkResponse(packet []byte) error {
	switch {
	case len(packet) < 5 || int(binary.BigEndian.Uint16(packet[2:])) != len(packet):
		return errors.New("radius: EAP packet of the peer has a wrong length")
	case packet[0] != eapResponse:
		return fmt.Errorf("radius: EAP packet of the peer has code %d, and only a response goes to the server", packet[0])
	case len(packet) > maxEAP:
		return fmt.Errorf("radius: EAP packet of the peer has %d octets, at most %d fit", len(packet), maxEAP)
	}
	return nil
}

// identity is the Type-Data of an EAP-Response/Identity.
func identity(packet []byte) (string, bool) {
	if packet[4] != eapIdentity {
		return "", false
	}
	return string(packet[5:]), true
}
