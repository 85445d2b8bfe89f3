package pppmsg

import (
	"fmt"
	"strconv"

	"sallyport/protocol/wire"
)

// OptionType numbers a Configuration Option. The numbers of LCP, IPCP and
// IPV6CP overlap.
type OptionType uint8

// Options of LCP: RFC 1661, Section 6, RFC 1570, RFC 1990 and RFC 2125.
const (
	LCPMRU               OptionType = 1
	LCPACCM              OptionType = 2
	LCPAuth              OptionType = 3
	LCPQuality           OptionType = 4
	LCPMagic             OptionType = 5
	LCPShortProtocol     OptionType = 7
	LCPShortAddress      OptionType = 8
	LCPFCS               OptionType = 9
	LCPCallback          OptionType = 13
	LCPMRRU              OptionType = 17
	LCPShortSequence     OptionType = 18
	LCPEndpoint          OptionType = 19
	LCPLinkDiscriminator OptionType = 23
)

// Options of IPCP: RFC 1332, Section 3, and RFC 1877.
const (
	IPCPAddresses   OptionType = 1 // deprecated
	IPCPCompression OptionType = 2
	IPCPAddress     OptionType = 3
	IPCPDNS1        OptionType = 129
	IPCPWINS1       OptionType = 130
	IPCPDNS2        OptionType = 131
	IPCPWINS2       OptionType = 132
)

// IPV6CPInterfaceID is the only option of RFC 5072, Section 4.1.
const IPV6CPInterfaceID OptionType = 1

// CCPMPPE is Microsoft's encryption, which rides on CCP (RFC 3078, Section 2).
const CCPMPPE OptionType = 18

var optionNames = map[Protocol]map[OptionType]string{
	LCP: {
		LCPMRU: "MRU", LCPACCM: "ACCM", LCPAuth: "Authentication-Protocol", LCPQuality: "Quality-Protocol", LCPMagic: "Magic-Number",
		LCPShortProtocol: "Protocol-Field-Compression", LCPShortAddress: "Address-and-Control-Field-Compression", LCPFCS: "FCS-Alternatives",
		LCPCallback: "Callback", LCPMRRU: "Multilink-MRRU", LCPShortSequence: "Short-Sequence-Number", LCPEndpoint: "Endpoint-Discriminator",
		LCPLinkDiscriminator: "Link-Discriminator",
	},
	IPCP: {
		IPCPAddresses: "IP-Addresses", IPCPCompression: "IP-Compression-Protocol", IPCPAddress: "IP-Address", IPCPDNS1: "Primary-DNS-Address",
		IPCPWINS1: "Primary-NBNS-Address", IPCPDNS2: "Secondary-DNS-Address", IPCPWINS2: "Secondary-NBNS-Address",
	},
	IPV6CP: {IPV6CPInterfaceID: "Interface-Identifier"},
	CCP:    {CCPMPPE: "MPPE"},
}

// OptionName is the RFC's name of an option of p, or "option 77".
func (p Protocol) OptionName(t OptionType) string {
	if name, ok := optionNames[p][t]; ok {
		return name
	}
	return "option " + strconv.Itoa(int(t))
}

// optionHeader is Type and Length.
const optionHeader = 2

// MaxOptions bounds one Configure packet: real ones have eleven at most, and a
// packet of 1,500 octets could hold 750.
const MaxOptions = 40

// Option is one Configuration Option (RFC 1661, Section 6). Data aliases the
// input of ParseOptions and is at most 253 octets long.
type Option struct {
	Type OptionType
	Data []byte
}

// ParseOptions reads the options of a Configure packet. A Length under 2 could
// never be walked past, so it is an error of the whole packet.
func ParseOptions(data []byte) ([]Option, error) {
	if len(data) == 0 {
		return nil, nil
	}
	r := wire.NewReader("Configuration Options", data)
	options := make([]Option, 0, 8)
	for r.Len() > 0 {
		if len(options) == MaxOptions {
			r.Fail("more than %d options", MaxOptions)
			break
		}
		o := Option{Type: OptionType(r.U8())}
		n := int(r.U8())
		if r.Err() == nil && n < optionHeader {
			r.Fail("option %d: length %d is under %d", o.Type, n, optionHeader)
		}
		o.Data = r.Bytes(n - optionHeader)
		options = append(options, o)
	}
	if err := r.Finish(); err != nil {
		return nil, err
	}
	return options, nil
}

// Append appends the option to b. Data over 253 octets is a fault of the caller
// and panics.
func (o Option) Append(b []byte) []byte {
	n := optionHeader + len(o.Data)
	if n > 0xff {
		panic(fmt.Sprintf("pppmsg: an option of %d octets", n))
	}
	return append(append(b, byte(o.Type), byte(n)), o.Data...)
}

// AppendOptions appends options in order.
func AppendOptions(b []byte, options []Option) []byte {
	for _, o := range options {
		b = o.Append(b)
	}
	return b
}

// Auth is the Data of LCP's option 3 (RFC 1661, Section 6.2).
type Auth struct {
	Protocol Protocol
	Data     []byte // for CHAP one octet, the algorithm (RFC 1994, Section 3)
}

// ParseAuth reads the Data of an Authentication-Protocol option.
func ParseAuth(data []byte) (Auth, error) {
	r := wire.NewReader("Authentication-Protocol", data)
	a := Auth{Protocol: Protocol(r.U16()), Data: r.Rest()}
	return a, r.Finish()
}

// Append appends the option's Data to b.
func (a Auth) Append(b []byte) []byte {
	return append(wire.AppendU16(b, uint16(a.Protocol)), a.Data...)
}

// Algorithms of CHAP: RFC 1994, Section 3, RFC 2433 and RFC 2759.
const (
	chapMD5      = 5
	chapMSCHAP   = 0x80
	chapMSCHAPv2 = 0x81
)

// String names the method in the words of configuration files: "eap", "pap",
// "chap", "mschap", "mschapv2".
func (a Auth) String() string {
	switch {
	case a.Protocol == EAP:
		return "eap"
	case a.Protocol == PAP:
		return "pap"
	case a.Protocol != CHAP:
		return a.Protocol.String()
	case len(a.Data) != 1:
		return "chap"
	}
	switch a.Data[0] {
	case chapMD5:
		return "chap"
	case chapMSCHAP:
		return "mschap"
	case chapMSCHAPv2:
		return "mschapv2"
	}
	return fmt.Sprintf("chap algorithm %d", a.Data[0])
}
