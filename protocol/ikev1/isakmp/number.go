package isakmp

import (
	"fmt"
	"strings"
)

// PayloadType is a Next Payload value (RFC 2408, Section 3.1).
type PayloadType uint8

// The payload types of RFC 2408, Section 3.1, RFC 3947, Section 3.2 (its drafts
// used 130 and 131), and the fragments of Cisco and Microsoft.
const (
	PayloadNone       PayloadType = 0
	PayloadSA         PayloadType = 1
	PayloadProposal   PayloadType = 2 // inside SA only
	PayloadTransform  PayloadType = 3 // inside Proposal only
	PayloadKE         PayloadType = 4
	PayloadID         PayloadType = 5
	PayloadCert       PayloadType = 6
	PayloadCertReq    PayloadType = 7
	PayloadHash       PayloadType = 8
	PayloadSig        PayloadType = 9
	PayloadNonce      PayloadType = 10
	PayloadNotify     PayloadType = 11
	PayloadDelete     PayloadType = 12
	PayloadVendor     PayloadType = 13
	PayloadNATD       PayloadType = 20
	PayloadNATOA      PayloadType = 21
	PayloadNATDDraft  PayloadType = 130
	PayloadNATOADraft PayloadType = 131
	PayloadFragment   PayloadType = 132
)

var payloadNames = map[PayloadType]string{
	PayloadNone: "none", PayloadSA: "SA", PayloadProposal: "P", PayloadTransform: "T", PayloadKE: "KE", PayloadID: "ID", PayloadCert: "CERT",
	PayloadCertReq: "CR", PayloadHash: "HASH", PayloadSig: "SIG", PayloadNonce: "NONCE", PayloadNotify: "N", PayloadDelete: "D",
	PayloadVendor: "VID", PayloadNATD: "NAT-D", PayloadNATOA: "NAT-OA", PayloadNATDDraft: "NAT-D (draft)", PayloadNATOADraft: "NAT-OA (draft)",
	PayloadFragment: "fragment",
}

// String is the RFC's notation, such as "SA", or "payload 77".
func (t PayloadType) String() string { return named(payloadNames, t, "payload") }

// ExchangeType is the header's Exchange Type (RFC 2408, Section 3.1; RFC 2409,
// Appendix A).
type ExchangeType uint8

// The exchange types. Aggressive, mode config and new group mode have names so
// that their refusal has one.
const (
	ExchangeMain          ExchangeType = 2 // Identity Protection
	ExchangeAggressive    ExchangeType = 4
	ExchangeInformational ExchangeType = 5
	ExchangeModeConfig    ExchangeType = 6
	ExchangeQuick         ExchangeType = 32
	ExchangeNewGroup      ExchangeType = 33
)

var exchangeNames = map[ExchangeType]string{
	1: "base", ExchangeMain: "main mode", 3: "authentication only", ExchangeAggressive: "aggressive mode", ExchangeInformational: "informational",
	ExchangeModeConfig: "mode config", ExchangeQuick: "quick mode", ExchangeNewGroup: "new group mode",
}

// String is the name that people use, such as "main mode", or "exchange 99".
func (t ExchangeType) String() string { return named(exchangeNames, t, "exchange") }

// Flags is the header's Flags octet (RFC 2408, Section 3.1).
type Flags uint8

// The flags.
const (
	FlagEncryption Flags = 0x01
	FlagCommit     Flags = 0x02
	FlagAuthOnly   Flags = 0x04
)

// String is the letters E, C and A, and "0" for none; bits without a name
// follow in hex.
func (f Flags) String() string {
	var s []string
	for _, n := range []struct {
		f Flags
		s string
	}{{FlagEncryption, "E"}, {FlagCommit, "C"}, {FlagAuthOnly, "A"}} {
		if f&n.f != 0 {
			s = append(s, n.s)
		}
	}
	if x := f &^ (FlagEncryption | FlagCommit | FlagAuthOnly); x != 0 {
		s = append(s, fmt.Sprintf("%#02x", uint8(x)))
	}
	if len(s) == 0 {
		return "0"
	}
	return strings.Join(s, "|")
}

// DOIIPsec is the IPsec Domain of Interpretation (RFC 2407, Section 4.2); 0 is
// ISAKMP itself, for notifies of phase 1.
const DOIIPsec = 1

// SituationIdentityOnly is the one situation that is used (RFC 2407, Section
// 4.2.1). Others put labels before the proposals.
const SituationIdentityOnly = 1

// ProtocolID says what a proposal, notify or delete is about (RFC 2407, Section
// 4.4.1).
type ProtocolID uint8

// The protocols.
const (
	ProtoISAKMP ProtocolID = 1
	ProtoAH     ProtocolID = 2
	ProtoESP    ProtocolID = 3
	ProtoIPComp ProtocolID = 4
)

var protocolNames = map[ProtocolID]string{ProtoISAKMP: "ISAKMP", ProtoAH: "AH", ProtoESP: "ESP", ProtoIPComp: "IPComp"}

// String is "ISAKMP", "AH", "ESP" or "IPComp", or "protocol 99".
func (p ProtocolID) String() string { return named(protocolNames, p, "protocol") }

// IDType is an identification type (RFC 2407, Section 4.6.2.1).
type IDType uint8

// The identification types.
const (
	IDIPv4Addr       IDType = 1
	IDFQDN           IDType = 2
	IDUserFQDN       IDType = 3
	IDIPv4AddrSubnet IDType = 4
	IDIPv6Addr       IDType = 5
	IDIPv6AddrSubnet IDType = 6
	IDIPv4AddrRange  IDType = 7
	IDIPv6AddrRange  IDType = 8
	IDDERASN1DN      IDType = 9
	IDDERASN1GN      IDType = 10
	IDKeyID          IDType = 11
)

var idNames = map[IDType]string{
	IDIPv4Addr: "ID_IPV4_ADDR", IDFQDN: "ID_FQDN", IDUserFQDN: "ID_USER_FQDN", IDIPv4AddrSubnet: "ID_IPV4_ADDR_SUBNET",
	IDIPv6Addr: "ID_IPV6_ADDR", IDIPv6AddrSubnet: "ID_IPV6_ADDR_SUBNET", IDIPv4AddrRange: "ID_IPV4_ADDR_RANGE",
	IDIPv6AddrRange: "ID_IPV6_ADDR_RANGE", IDDERASN1DN: "ID_DER_ASN1_DN", IDDERASN1GN: "ID_DER_ASN1_GN", IDKeyID: "ID_KEY_ID",
}

// String is the RFC's name, or "ID type 99".
func (t IDType) String() string { return named(idNames, t, "ID type") }

// CertEncoding is a certificate encoding (RFC 2408, Section 3.9).
type CertEncoding uint8

// The encodings that are met.
const (
	CertPKCS7         CertEncoding = 1
	CertX509Signature CertEncoding = 4
	CertCRL           CertEncoding = 7
)

var certNames = map[CertEncoding]string{CertPKCS7: "PKCS #7", CertX509Signature: "X.509 signature", CertCRL: "CRL"}

// String names it, or gives "certificate encoding 99".
func (e CertEncoding) String() string { return named(certNames, e, "certificate encoding") }

// NotifyType is a notify message type (RFC 2408, Section 3.14.1; RFC 2407,
// Section 4.6.3; RFC 3706, Section 5.3).
type NotifyType uint16

// The notify types that are sent, or acted upon.
const (
	NotifyInvalidPayloadType     NotifyType = 1
	NotifyDOINotSupported        NotifyType = 2
	NotifySituationNotSupported  NotifyType = 3
	NotifyInvalidCookie          NotifyType = 4
	NotifyInvalidExchangeType    NotifyType = 7
	NotifyInvalidSPI             NotifyType = 11
	NotifyAttributesNotSupported NotifyType = 13
	NotifyNoProposalChosen       NotifyType = 14
	NotifyBadProposalSyntax      NotifyType = 15
	NotifyPayloadMalformed       NotifyType = 16
	NotifyInvalidKeyInformation  NotifyType = 17
	NotifyInvalidIDInformation   NotifyType = 18
	NotifyInvalidCertificate     NotifyType = 20
	NotifyInvalidHash            NotifyType = 23
	NotifyAuthenticationFailed   NotifyType = 24
	NotifyInvalidSignature       NotifyType = 25
	NotifyConnected              NotifyType = 16384
	NotifyResponderLifetime      NotifyType = 24576
	NotifyReplayStatus           NotifyType = 24577
	NotifyInitialContact         NotifyType = 24578
	NotifyRUThere                NotifyType = 36136
	NotifyRUThereAck             NotifyType = 36137
)

var notifyNames = map[NotifyType]string{
	NotifyInvalidPayloadType: "INVALID-PAYLOAD-TYPE", NotifyDOINotSupported: "DOI-NOT-SUPPORTED", NotifySituationNotSupported: "SITUATION-NOT-SUPPORTED",
	NotifyInvalidCookie: "INVALID-COOKIE", 5: "INVALID-MAJOR-VERSION", 6: "INVALID-MINOR-VERSION", NotifyInvalidExchangeType: "INVALID-EXCHANGE-TYPE",
	8: "INVALID-FLAGS", 9: "INVALID-MESSAGE-ID", 10: "INVALID-PROTOCOL-ID", NotifyInvalidSPI: "INVALID-SPI", 12: "INVALID-TRANSFORM-ID",
	NotifyAttributesNotSupported: "ATTRIBUTES-NOT-SUPPORTED", NotifyNoProposalChosen: "NO-PROPOSAL-CHOSEN", NotifyBadProposalSyntax: "BAD-PROPOSAL-SYNTAX", NotifyPayloadMalformed: "PAYLOAD-MALFORMED",
	NotifyInvalidKeyInformation: "INVALID-KEY-INFORMATION", NotifyInvalidIDInformation: "INVALID-ID-INFORMATION", 19: "INVALID-CERT-ENCODING",
	NotifyInvalidCertificate: "INVALID-CERTIFICATE", 21: "CERT-TYPE-UNSUPPORTED", 22: "INVALID-CERT-AUTHORITY", NotifyInvalidHash: "INVALID-HASH-INFORMATION",
	NotifyAuthenticationFailed: "AUTHENTICATION-FAILED", NotifyInvalidSignature: "INVALID-SIGNATURE", 26: "ADDRESS-NOTIFICATION", 27: "NOTIFY-SA-LIFETIME",
	28: "CERTIFICATE-UNAVAILABLE", 29: "UNSUPPORTED-EXCHANGE-TYPE", 30: "UNEQUAL-PAYLOAD-LENGTHS", NotifyConnected: "CONNECTED",
	NotifyResponderLifetime: "RESPONDER-LIFETIME", NotifyReplayStatus: "REPLAY-STATUS", NotifyInitialContact: "INITIAL-CONTACT",
	NotifyRUThere: "R-U-THERE", NotifyRUThereAck: "R-U-THERE-ACK",
}

// String is the RFC's name, such as "NO-PROPOSAL-CHOSEN", or "notify 99".
func (t NotifyType) String() string { return named(notifyNames, t, "notify") }

// Error reports whether the type is one of the errors (RFC 2408, Section
// 3.14.1: below 16384).
func (t NotifyType) Error() bool { return t < NotifyConnected }

func named[T interface{ ~uint8 | ~uint16 }](names map[T]string, v T, what string) string {
	if s, ok := names[v]; ok {
		return s
	}
	return fmt.Sprintf("%s %d", what, uint16(v))
}
