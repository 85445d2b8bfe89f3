package radius

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// MaxValue is the longest value of one attribute, in octets (RFC 2865,
// Section 5).
const MaxValue = 253

// Type is the number of an attribute (RFC 2865, Section 5).
type Type uint8

// Attribute is one attribute as it stands in a packet. Value aliases the
// packet that it was read from.
type Attribute struct {
	Type  Type
	Value []byte
}

// Kind is the form of an attribute's value.
type Kind uint8

// Kinds of values, by RFC 2865, Section 5, RFC 3162 and RFC 2868.
const (
	Octets      Kind = iota + 1
	Text             // UTF-8; peer text, so quote it wherever it is shown
	Integer          // 4 octets
	Time             // 4 octets, seconds since 1970
	IPv4Addr         // 4 octets
	IPv6Addr         // 16 octets
	IPv6Prefix       // a reserved octet, the length, and up to 16 octets of prefix
	InterfaceID      // 8 octets
	Tagged           // a tag octet that may be missing, and octets
	Vendor           // 4 octets of enterprise number, and octets
)

// sizes are the least and the greatest length of a value, in octets. Two CVEs
// of accel-ppp (2022-24704, 2022-24705) are fixed-size attributes believed to
// have their size.
var sizes = [...]struct{ min, max int }{
	Octets: {0, MaxValue}, Text: {0, MaxValue}, Integer: {4, 4}, Time: {4, 4}, IPv4Addr: {4, 4}, IPv6Addr: {16, 16},
	IPv6Prefix: {2, 18}, InterfaceID: {8, 8}, Tagged: {1, MaxValue}, Vendor: {5, MaxValue},
}

// Types we send or read.
const (
	UserName              Type = 1
	UserPassword          Type = 2
	CHAPPassword          Type = 3
	NASIPAddress          Type = 4
	NASPort               Type = 5
	ServiceType           Type = 6
	FramedProtocol        Type = 7
	FramedIPAddress       Type = 8
	FramedIPNetmask       Type = 9
	FilterID              Type = 11
	FramedMTU             Type = 12
	ReplyMessage          Type = 18
	FramedRoute           Type = 22
	State                 Type = 24
	Class                 Type = 25
	VendorSpecific        Type = 26
	SessionTimeout        Type = 27
	IdleTimeout           Type = 28
	TerminationAction     Type = 29
	CalledStationID       Type = 30
	CallingStationID      Type = 31
	NASIdentifier         Type = 32
	ProxyState            Type = 33
	AcctStatusType        Type = 40
	AcctDelayTime         Type = 41
	AcctInputOctets       Type = 42
	AcctOutputOctets      Type = 43
	AcctSessionID         Type = 44
	AcctAuthentic         Type = 45
	AcctSessionTime       Type = 46
	AcctInputPackets      Type = 47
	AcctOutputPackets     Type = 48
	AcctTerminateCause    Type = 49
	AcctMultiSessionID    Type = 50
	AcctInputGigawords    Type = 52
	AcctOutputGigawords   Type = 53
	EventTimestamp        Type = 55
	NASPortType           Type = 61
	TunnelType            Type = 64
	TunnelMediumType      Type = 65
	TunnelClientEndpoint  Type = 66
	TunnelServerEndpoint  Type = 67
	TunnelPassword        Type = 69
	ConnectInfo           Type = 77
	EAPMessage            Type = 79
	MessageAuthenticator  Type = 80
	AcctInterimInterval   Type = 85
	NASPortID             Type = 87
	FramedPool            Type = 88
	ChargeableUser        Type = 89
	NASIPv6Address        Type = 95
	FramedInterfaceID     Type = 96
	FramedIPv6Prefix      Type = 97
	FramedIPv6Route       Type = 99
	FramedIPv6Pool        Type = 100
	ErrorCauseAttr        Type = 101
	DelegatedIPv6Prefix   Type = 123
	FramedIPv6Address     Type = 168
	DNSServerIPv6Address  Type = 169
	DelegatedIPv6PrefPool Type = 171
)

// Definition is what the RFC says of an attribute.
type Definition struct {
	Type Type
	Name string
	Kind Kind
	RFC  string
}

// definitions is the dictionary: what we send, read or show by name. All else
// is kept as octets.
var definitions = []Definition{
	{UserName, "User-Name", Text, "RFC 2865, Section 5.1"},
	{UserPassword, "User-Password", Octets, "RFC 2865, Section 5.2"},
	{CHAPPassword, "CHAP-Password", Octets, "RFC 2865, Section 5.3"},
	{NASIPAddress, "NAS-IP-Address", IPv4Addr, "RFC 2865, Section 5.4"},
	{NASPort, "NAS-Port", Integer, "RFC 2865, Section 5.5"},
	{ServiceType, "Service-Type", Integer, "RFC 2865, Section 5.6"},
	{FramedProtocol, "Framed-Protocol", Integer, "RFC 2865, Section 5.7"},
	{FramedIPAddress, "Framed-IP-Address", IPv4Addr, "RFC 2865, Section 5.8"},
	{FramedIPNetmask, "Framed-IP-Netmask", IPv4Addr, "RFC 2865, Section 5.9"},
	{FilterID, "Filter-Id", Text, "RFC 2865, Section 5.11"},
	{FramedMTU, "Framed-MTU", Integer, "RFC 2865, Section 5.12"},
	{ReplyMessage, "Reply-Message", Text, "RFC 2865, Section 5.18"},
	{FramedRoute, "Framed-Route", Text, "RFC 2865, Section 5.22"},
	{State, "State", Octets, "RFC 2865, Section 5.24"},
	{Class, "Class", Octets, "RFC 2865, Section 5.25"},
	{VendorSpecific, "Vendor-Specific", Vendor, "RFC 2865, Section 5.26"},
	{SessionTimeout, "Session-Timeout", Integer, "RFC 2865, Section 5.27"},
	{IdleTimeout, "Idle-Timeout", Integer, "RFC 2865, Section 5.28"},
	{TerminationAction, "Termination-Action", Integer, "RFC 2865, Section 5.29"},
	{CalledStationID, "Called-Station-Id", Text, "RFC 2865, Section 5.30"},
	{CallingStationID, "Calling-Station-Id", Text, "RFC 2865, Section 5.31"},
	{NASIdentifier, "NAS-Identifier", Text, "RFC 2865, Section 5.32"},
	{ProxyState, "Proxy-State", Octets, "RFC 2865, Section 5.33"},
	{AcctStatusType, "Acct-Status-Type", Integer, "RFC 2866, Section 5.1"},
	{AcctDelayTime, "Acct-Delay-Time", Integer, "RFC 2866, Section 5.2"},
	{AcctInputOctets, "Acct-Input-Octets", Integer, "RFC 2866, Section 5.3"},
	{AcctOutputOctets, "Acct-Output-Octets", Integer, "RFC 2866, Section 5.4"},
	{AcctSessionID, "Acct-Session-Id", Text, "RFC 2866, Section 5.5"},
	{AcctAuthentic, "Acct-Authentic", Integer, "RFC 2866, Section 5.6"},
	{AcctSessionTime, "Acct-Session-Time", Integer, "RFC 2866, Section 5.7"},
	{AcctInputPackets, "Acct-Input-Packets", Integer, "RFC 2866, Section 5.8"},
	{AcctOutputPackets, "Acct-Output-Packets", Integer, "RFC 2866, Section 5.9"},
	{AcctTerminateCause, "Acct-Terminate-Cause", Integer, "RFC 2866, Section 5.10"},
	{AcctMultiSessionID, "Acct-Multi-Session-Id", Text, "RFC 2866, Section 5.11"},
	{AcctInputGigawords, "Acct-Input-Gigawords", Integer, "RFC 2869, Section 5.1"},
	{AcctOutputGigawords, "Acct-Output-Gigawords", Integer, "RFC 2869, Section 5.2"},
	{EventTimestamp, "Event-Timestamp", Time, "RFC 2869, Section 5.3"},
	{NASPortType, "NAS-Port-Type", Integer, "RFC 2865, Section 5.41"},
	{TunnelType, "Tunnel-Type", Integer, "RFC 2868, Section 3.1"},
	{TunnelMediumType, "Tunnel-Medium-Type", Integer, "RFC 2868, Section 3.2"},
	{TunnelClientEndpoint, "Tunnel-Client-Endpoint", Tagged, "RFC 2868, Section 3.3"},
	{TunnelServerEndpoint, "Tunnel-Server-Endpoint", Tagged, "RFC 2868, Section 3.4"},
	{TunnelPassword, "Tunnel-Password", Tagged, "RFC 2868, Section 3.5"},
	{ConnectInfo, "Connect-Info", Text, "RFC 2869, Section 5.11"},
	{EAPMessage, "EAP-Message", Octets, "RFC 3579, Section 3.1"},
	{MessageAuthenticator, "Message-Authenticator", Octets, "RFC 3579, Section 3.2"},
	{AcctInterimInterval, "Acct-Interim-Interval", Integer, "RFC 2869, Section 5.16"},
	{NASPortID, "NAS-Port-Id", Text, "RFC 2869, Section 5.17"},
	{FramedPool, "Framed-Pool", Text, "RFC 2869, Section 5.18"},
	{ChargeableUser, "Chargeable-User-Identity", Octets, "RFC 4372, Section 2.2"},
	{NASIPv6Address, "NAS-IPv6-Address", IPv6Addr, "RFC 3162, Section 2.1"},
	{FramedInterfaceID, "Framed-Interface-Id", InterfaceID, "RFC 3162, Section 2.2"},
	{FramedIPv6Prefix, "Framed-IPv6-Prefix", IPv6Prefix, "RFC 3162, Section 2.3"},
	{FramedIPv6Route, "Framed-IPv6-Route", Text, "RFC 3162, Section 2.5"},
	{FramedIPv6Pool, "Framed-IPv6-Pool", Text, "RFC 3162, Section 2.6"},
	{ErrorCauseAttr, "Error-Cause", Integer, "RFC 5176, Section 3.5"},
	{DelegatedIPv6Prefix, "Delegated-IPv6-Prefix", IPv6Prefix, "RFC 4818, Section 3"},
	{FramedIPv6Address, "Framed-IPv6-Address", IPv6Addr, "RFC 6911, Section 3.1"},
	{DNSServerIPv6Address, "DNS-Server-IPv6-Address", IPv6Addr, "RFC 6911, Section 3.2"},
	{DelegatedIPv6PrefPool, "Delegated-IPv6-Prefix-Pool", Text, "RFC 6911, Section 3.4"},
}

// byType is definitions by number.
var byType = func() (t [256]*Definition) {
	for i := range definitions {
		t[definitions[i].Type] = &definitions[i]
	}
	return t
}()

// Define is what the dictionary says of a type, if it knows it.
func Define(t Type) (Definition, bool) {
	if d := byType[t]; d != nil {
		return *d, true
	}
	return Definition{}, false
}

// String is the RFC's name, or the number.
func (t Type) String() string {
	if d := byType[t]; d != nil {
		return d.Name
	}
	return "attribute " + strconv.Itoa(int(t))
}

// check tells whether a value has a length that its type allows. A type we do
// not know has any.
func (a Attribute) check() error {
	d := byType[a.Type]
	if d == nil {
		return nil
	}
	if s, n := sizes[d.Kind], len(a.Value); n < s.min || n > s.max {
		return fmt.Errorf("radius: %s has %d octets (%s)", a.Type, n, d.RFC)
	}
	return nil
}

// Uint is the value of an Integer or Time; ok is false for another length.
func (a Attribute) Uint() (v uint32, ok bool) {
	if len(a.Value) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(a.Value), true
}

// Addr is the value of an IPv4Addr or IPv6Addr; ok is false for another
// length.
func (a Attribute) Addr() (netip.Addr, bool) { return netip.AddrFromSlice(a.Value) }

// Prefix is the value of an IPv6Prefix (RFC 3162, Section 2.3); ok is false
// when the length is not one, octets for it are missing, or bits behind it are
// set.
func (a Attribute) Prefix() (netip.Prefix, bool) {
	if len(a.Value) < 2 || len(a.Value) > 18 || a.Value[1] > 128 {
		return netip.Prefix{}, false
	}
	bits, octets := int(a.Value[1]), a.Value[2:]
	if len(octets) < (bits+7)/8 {
		return netip.Prefix{}, false
	}
	var full [16]byte
	copy(full[:], octets)
	p := netip.PrefixFrom(netip.AddrFrom16(full), bits)
	return p, p == p.Masked()
}

// OctetsAttr is an attribute of any octets, not copied.
func OctetsAttr(t Type, v []byte) Attribute { return Attribute{t, v} }

// TextAttr is an attribute of text. What is over MaxValue octets is cut off.
func TextAttr(t Type, s string) Attribute { return Attribute{t, []byte(s[:min(len(s), MaxValue)])} }

// Uint32Attr is an attribute of an integer.
func Uint32Attr(t Type, v uint32) Attribute {
	return Attribute{t, binary.BigEndian.AppendUint32(nil, v)}
}

// TimeAttr is an attribute of a time, to the second.
func TimeAttr(t Type, v time.Time) Attribute { return Uint32Attr(t, uint32(v.Unix())) }

// AddrAttr is an attribute of an address, IPv4 or IPv6 as the type wants it.
func AddrAttr(t Type, a netip.Addr) Attribute { return Attribute{t, a.Unmap().AsSlice()} }

// PrefixAttr is an attribute of an IPv6 prefix (RFC 3162, Section 2.3).
func PrefixAttr(t Type, p netip.Prefix) Attribute {
	a := p.Masked().Addr().As16()
	return Attribute{t, append([]byte{0, byte(p.Bits())}, a[:(p.Bits()+7)/8]...)}
}
