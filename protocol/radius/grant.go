package radius

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/internal/secret"
)

// Bounds of what a server may load a session with. It is trusted to decide who
// comes in, not to fill our memory.
const (
	maxListed = 32 // values of one kind: routes, filters, classes; real sites have a few
	// maxSeconds keeps a time within what a timer can hold and a person can
	// mean: ten years.
	maxSeconds = 10 * 365 * 24 * 3600
)

// mskSize is the size of an MSK, in octets (RFC 3748, Section 7.10).
const mskSize = 64

// Addressing is who chooses a session's IPv4 address (RFC 2865, Section 5.8).
type Addressing uint8

// Ways of addressing.
const (
	AddressUnsaid   Addressing = iota // no Framed-IP-Address: our own rules apply
	AddressFixed                      // Grant.IPv4
	AddressOfPool                     // 255.255.255.254: one of ours
	AddressOfTheirs                   // 255.255.255.255: what the peer asks for
)

// Grant is what an Access-Accept allows. Text in it comes from the server;
// quote it.
type Grant struct {
	// MSK is the key that EAP has made, 64 octets: MS-MPPE-Recv-Key,
	// MS-MPPE-Send-Key, and zeros behind. Empty when the server sent none.
	MSK      secret.Bytes
	UserName string // whom the server let in, which need not be the EAP identity; empty when unsaid

	Addressing  Addressing
	IPv4        netip.Addr // with AddressFixed
	IPv4Mask    netip.Addr
	IPv4Pool    string       // Framed-Pool
	IPv6        []netip.Addr // Framed-IPv6-Address
	IPv6Prefix  []netip.Prefix
	IPv6Pool    string // Framed-IPv6-Pool
	InterfaceID []byte // 8 octets, or nil
	Delegated   []netip.Prefix
	Routes      []string // Framed-Route and Framed-IPv6-Route, unparsed
	DNS         []netip.Addr

	FilterIDs []string
	Class     [][]byte // goes back in every accounting request, in this order
	CUI       []byte   // Chargeable-User-Identity, likewise
	Messages  []string // Reply-Message

	SessionTimeout time.Duration // 0 for none
	IdleTimeout    time.Duration // 0 for none
	Interim        time.Duration // between accounting updates; 0 for none
	// Reauthenticate says to ask for new credentials at SessionTimeout and not
	// to end the session (Termination-Action, RFC 2865, Section 5.29).
	Reauthenticate bool
}

// Grant reads an Access-Accept. A value that does not have its form is an
// error, and no access (RFC 2865, Section 5); an attribute that we do not know
// is passed over.
func (r Reply) Grant() (*Grant, error) {
	if r.Code != AccessAccept {
		return nil, fmt.Errorf("radius: %s grants nothing", r.Code)
	}
	g := new(Grant)
	if err := g.read(r.Packet); err != nil {
		return nil, err
	}
	return g, g.readMicrosoft(r)
}

// read goes through the attributes.
func (g *Grant) read(p *Packet) error {
	for _, a := range p.Attributes {
		if err := a.check(); err != nil {
			return err
		}
		if err := g.take(a); err != nil {
			return err
		}
	}
	return nil
}

func (g *Grant) take(a Attribute) error {
	switch a.Type {
	case UserName:
		g.UserName = string(a.Value)
	case FramedIPAddress:
		return g.takeAddress(a)
	case FramedIPNetmask:
		g.IPv4Mask, _ = a.Addr()
	case FramedPool:
		g.IPv4Pool = string(a.Value)
	case FramedIPv6Address:
		addr, _ := a.Addr()
		return list(&g.IPv6, addr, a.Type)
	case FramedIPv6Prefix:
		return listPrefix(&g.IPv6Prefix, a)
	case DelegatedIPv6Prefix:
		return listPrefix(&g.Delegated, a)
	case FramedIPv6Pool:
		g.IPv6Pool = string(a.Value)
	case FramedInterfaceID:
		g.InterfaceID = bytes.Clone(a.Value)
	case FramedRoute, FramedIPv6Route:
		return list(&g.Routes, string(a.Value), a.Type)
	case DNSServerIPv6Address:
		addr, _ := a.Addr()
		return list(&g.DNS, addr, a.Type)
	case FilterID:
		return list(&g.FilterIDs, string(a.Value), a.Type)
	case Class:
		return list(&g.Class, bytes.Clone(a.Value), a.Type)
	case ChargeableUser:
		g.CUI = bytes.Clone(a.Value)
	case ReplyMessage:
		return list(&g.Messages, string(a.Value), a.Type)
	case SessionTimeout:
		g.SessionTimeout = seconds(a)
	case IdleTimeout:
		g.IdleTimeout = seconds(a)
	case AcctInterimInterval:
		g.Interim = interim(a)
	case TerminationAction:
		v, _ := a.Uint()
		g.Reauthenticate = v == 1
	}
	return nil
}

func (g *Grant) takeAddress(a Attribute) error {
	v, _ := a.Uint()
	switch v {
	case 0xffffffff:
		g.Addressing = AddressOfTheirs
	case 0xfffffffe:
		g.Addressing = AddressOfPool
	default:
		g.Addressing = AddressFixed
		g.IPv4, _ = a.Addr()
		if g.IPv4.IsUnspecified() || g.IPv4.IsMulticast() || g.IPv4.IsLoopback() {
			return fmt.Errorf("radius: Framed-IP-Address %s is nobody's", g.IPv4)
		}
	}
	return nil
}

func list[T any](to *[]T, v T, t Type) error {
	if len(*to) == maxListed {
		return fmt.Errorf("radius: more than %d of %s", maxListed, t)
	}
	*to = append(*to, v)
	return nil
}

func listPrefix(to *[]netip.Prefix, a Attribute) error {
	p, ok := a.Prefix()
	if !ok {
		return fmt.Errorf("radius: %s is not a prefix", a.Type)
	}
	return list(to, p, a.Type)
}

func seconds(a Attribute) time.Duration {
	v, _ := a.Uint()
	return time.Duration(min(v, maxSeconds)) * time.Second
}

// interim is at least the minute that RFC 2869, Section 5.16 demands.
func interim(a Attribute) time.Duration {
	if d := seconds(a); d > 0 {
		return max(d, time.Minute)
	}
	return 0
}

var errHalfKey = errors.New("radius: of MS-MPPE-Recv-Key and MS-MPPE-Send-Key only one came")

// readMicrosoft takes the keys and the name servers of RFC 2548.
func (g *Grant) readMicrosoft(r Reply) error {
	all, err := r.VendorAttributes(Microsoft)
	if err != nil {
		return err
	}
	var recv, send secret.Bytes
	for _, v := range all {
		switch v.Type {
		case MSMPPERecvKey:
			recv, err = g.key(recv, v, r)
		case MSMPPESendKey:
			send, err = g.key(send, v, r)
		case MSPrimaryDNSServer, MSSecondaryDNSServer:
			err = g.takeDNS(v)
		}
		if err != nil {
			return err
		}
	}
	return g.setMSK(recv, send)
}

// key reveals one half of the MSK.
func (g *Grant) key(have secret.Bytes, v VendorAttribute, r Reply) (secret.Bytes, error) {
	if have != nil {
		return nil, errors.New("radius: an MS-MPPE key came twice")
	}
	k, err := revealSalted(v.Value, r.Request, r.Secret)
	switch {
	case err != nil:
		return nil, err
	case len(k) == 0 || len(k) > mskSize/2:
		return nil, fmt.Errorf("radius: an MS-MPPE key has %d octets, 1 to %d are possible", len(k), mskSize/2)
	}
	return k, nil
}

// setMSK puts the halves together. The server's Recv is the peer's Send, and
// the first half (RFC 5216, Section 2.3). Methods with shorter keys, which is
// EAP-MSCHAPv2, leave zeros behind.
func (g *Grant) setMSK(recv, send secret.Bytes) error {
	switch {
	case recv == nil && send == nil:
		return nil
	case recv == nil || send == nil:
		return errHalfKey
	}
	g.MSK = append(append(make(secret.Bytes, 0, mskSize), recv...), send...)[:mskSize]
	return nil
}

func (g *Grant) takeDNS(v VendorAttribute) error {
	a, ok := netip.AddrFromSlice(v.Value)
	if !ok || !a.Is4() {
		return fmt.Errorf("radius: a name server of Microsoft's form has %d octets", len(v.Value))
	}
	if a.IsUnspecified() || slices.Contains(g.DNS, a) {
		return nil
	}
	return list(&g.DNS, a, VendorSpecific)
}
