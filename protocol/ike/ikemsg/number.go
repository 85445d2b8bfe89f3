package ikemsg

import (
	"fmt"
	"strings"
)

// PayloadType is a Next Payload value (RFC 7296, Section 3.2).
type PayloadType uint8

// The payload types of RFC 7296, Section 3.2, RFC 7383, Section 2.5, and
// RFC 8019, Section 8.2.
const (
	PayloadNone    PayloadType = 0
	PayloadSA      PayloadType = 33
	PayloadKE      PayloadType = 34
	PayloadIDi     PayloadType = 35
	PayloadIDr     PayloadType = 36
	PayloadCert    PayloadType = 37
	PayloadCertReq PayloadType = 38
	PayloadAuth    PayloadType = 39
	PayloadNonce   PayloadType = 40
	PayloadNotify  PayloadType = 41
	PayloadDelete  PayloadType = 42
	PayloadVendor  PayloadType = 43
	PayloadTSi     PayloadType = 44
	PayloadTSr     PayloadType = 45
	PayloadSK      PayloadType = 46
	PayloadCP      PayloadType = 47
	PayloadEAP     PayloadType = 48
	PayloadSKF     PayloadType = 53
	PayloadPuzzle  PayloadType = 54 // puzzle solution; kept as Unknown
)

// payloadNames holds the RFC's notation with " payload" after it, so that an
// error can name a payload without building a string.
var payloadNames = [64]string{
	PayloadSA: "SA payload", PayloadKE: "KE payload", PayloadIDi: "IDi payload", PayloadIDr: "IDr payload",
	PayloadCert: "CERT payload", PayloadCertReq: "CERTREQ payload", PayloadAuth: "AUTH payload",
	PayloadNonce: "Nonce payload", PayloadNotify: "Notify payload", PayloadDelete: "Delete payload",
	PayloadVendor: "Vendor ID payload", PayloadTSi: "TSi payload", PayloadTSr: "TSr payload",
	PayloadSK: "SK payload", PayloadCP: "CP payload", PayloadEAP: "EAP payload", PayloadSKF: "SKF payload",
	PayloadPuzzle: "PS payload",
}

// String is the RFC's notation, such as "SA", or "payload 77".
func (t PayloadType) String() string {
	if t == PayloadNone {
		return "none"
	}
	if int(t) < len(payloadNames) && payloadNames[t] != "" {
		return strings.TrimSuffix(payloadNames[t], " payload")
	}
	return fmt.Sprintf("payload %d", uint8(t))
}

// describe names the payload for an error; number 0 means that the name says it
// all.
func (t PayloadType) describe() (what string, number int) {
	if int(t) < len(payloadNames) && payloadNames[t] != "" {
		return payloadNames[t], 0
	}
	return "payload of type", int(t)
}

// ExchangeType is the header's Exchange Type (RFC 7296, Section 3.1).
type ExchangeType uint8

// The exchange types of RFC 7296, Section 3.1, RFC 5723, Section 7.4,
// RFC 9242, Section 5, and RFC 9370, Section 4.
const (
	ExchangeIKESAInit     ExchangeType = 34
	ExchangeIKEAuth       ExchangeType = 35
	ExchangeCreateChildSA ExchangeType = 36
	ExchangeInformational ExchangeType = 37
	ExchangeSessionResume ExchangeType = 38
	ExchangeIntermediate  ExchangeType = 43
	ExchangeFollowupKE    ExchangeType = 44
)

var exchangeNames = map[ExchangeType]string{
	ExchangeIKESAInit: "IKE_SA_INIT", ExchangeIKEAuth: "IKE_AUTH", ExchangeCreateChildSA: "CREATE_CHILD_SA",
	ExchangeInformational: "INFORMATIONAL", ExchangeSessionResume: "IKE_SESSION_RESUME",
	ExchangeIntermediate: "IKE_INTERMEDIATE", ExchangeFollowupKE: "IKE_FOLLOWUP_KE",
}

// String is the RFC's name, such as "IKE_SA_INIT", or "exchange 99".
func (t ExchangeType) String() string { return named(exchangeNames, t, "exchange") }

// Flags is the header's Flags octet (RFC 7296, Section 3.1).
type Flags uint8

// The flags of RFC 7296, Section 3.1.
const (
	FlagInitiator Flags = 0x08 // sent by the original initiator of the IKE SA
	FlagVersion   Flags = 0x10 // the sender could speak a higher major version; ignored
	FlagResponse  Flags = 0x20
)

const knownFlags = FlagInitiator | FlagVersion | FlagResponse

// String is the RFC's letters, such as "R|I", and "0" for none; bits without a
// name follow in hex.
func (f Flags) String() string {
	var s []string
	for _, n := range []struct {
		f Flags
		s string
	}{{FlagResponse, "R"}, {FlagVersion, "V"}, {FlagInitiator, "I"}} {
		if f&n.f != 0 {
			s = append(s, n.s)
		}
	}
	if x := f &^ knownFlags; x != 0 {
		s = append(s, fmt.Sprintf("%#02x", uint8(x)))
	}
	if len(s) == 0 {
		return "0"
	}
	return strings.Join(s, "|")
}

// ProtocolID says which protocol an SPI or a proposal is for (RFC 7296,
// Section 3.3.1).
type ProtocolID uint8

// The protocol ids of RFC 7296, Section 3.3.1; none where no SPI is given.
const (
	ProtoNone ProtocolID = 0
	ProtoIKE  ProtocolID = 1
	ProtoAH   ProtocolID = 2
	ProtoESP  ProtocolID = 3
)

var protocolNames = map[ProtocolID]string{ProtoNone: "none", ProtoIKE: "IKE", ProtoAH: "AH", ProtoESP: "ESP"}

// String is "IKE", "AH", "ESP", "none", or "protocol 9".
func (p ProtocolID) String() string { return named(protocolNames, p, "protocol") }

// IDType is the ID Type of an Identification payload (RFC 7296, Section 3.5).
type IDType uint8

// The identification types of RFC 7296, Section 3.5, and RFC 7619, Section 2.2.
const (
	IDIPv4Addr   IDType = 1
	IDFQDN       IDType = 2
	IDRFC822Addr IDType = 3
	IDIPv6Addr   IDType = 5
	IDDERASN1DN  IDType = 9
	IDDERASN1GN  IDType = 10
	IDKeyID      IDType = 11
	IDNull       IDType = 13
)

var idNames = map[IDType]string{
	IDIPv4Addr: "ID_IPV4_ADDR", IDFQDN: "ID_FQDN", IDRFC822Addr: "ID_RFC822_ADDR", IDIPv6Addr: "ID_IPV6_ADDR",
	IDDERASN1DN: "ID_DER_ASN1_DN", IDDERASN1GN: "ID_DER_ASN1_GN", IDKeyID: "ID_KEY_ID", IDNull: "ID_NULL",
}

// String is the RFC's name, such as "ID_FQDN", or "ID type 77".
func (t IDType) String() string { return named(idNames, t, "ID type") }

// AuthMethod is the method of an Authentication payload (RFC 7296, Section 3.8).
type AuthMethod uint8

// The authentication methods of RFC 7296, Section 3.8, RFC 4754, Section 7,
// RFC 6467, Section 5.2, RFC 7619, Section 2.1, and RFC 7427, Section 3.
const (
	AuthRSASignature     AuthMethod = 1
	AuthSharedKey        AuthMethod = 2
	AuthDSSSignature     AuthMethod = 3
	AuthECDSA256         AuthMethod = 9
	AuthECDSA384         AuthMethod = 10
	AuthECDSA521         AuthMethod = 11
	AuthSecurePassword   AuthMethod = 12
	AuthNULL             AuthMethod = 13
	AuthDigitalSignature AuthMethod = 14
)

var authNames = map[AuthMethod]string{
	AuthRSASignature: "RSA signature", AuthSharedKey: "shared key", AuthDSSSignature: "DSS signature",
	AuthECDSA256: "ECDSA P-256", AuthECDSA384: "ECDSA P-384", AuthECDSA521: "ECDSA P-521",
	AuthSecurePassword: "secure password", AuthNULL: "NULL", AuthDigitalSignature: "digital signature",
}

// String is a short name, such as "RSA signature", or "auth method 99".
func (m AuthMethod) String() string { return named(authNames, m, "auth method") }

// CertEncoding says what a Certificate payload holds (RFC 7296, Section 3.6).
type CertEncoding uint8

// The certificate encodings of RFC 7296, Section 3.6, RFC 4806, Section 3.1,
// and RFC 7670, Section 3.
const (
	CertPKCS7         CertEncoding = 1
	CertPGP           CertEncoding = 2
	CertDNSKey        CertEncoding = 3
	CertX509Signature CertEncoding = 4
	CertKerberos      CertEncoding = 6
	CertCRL           CertEncoding = 7
	CertARL           CertEncoding = 8
	CertSPKI          CertEncoding = 9
	CertX509Attribute CertEncoding = 10
	CertRawRSAKey     CertEncoding = 11
	CertHashURL       CertEncoding = 12
	CertHashURLBundle CertEncoding = 13
	CertOCSP          CertEncoding = 14
	CertRawPublicKey  CertEncoding = 15
)

var certNames = map[CertEncoding]string{
	CertPKCS7: "PKCS #7", CertPGP: "PGP", CertDNSKey: "DNS key", CertX509Signature: "X.509 signature",
	CertKerberos: "Kerberos token", CertCRL: "CRL", CertARL: "ARL", CertSPKI: "SPKI",
	CertX509Attribute: "X.509 attribute", CertRawRSAKey: "raw RSA key", CertHashURL: "hash and URL",
	CertHashURLBundle: "hash and URL of a bundle", CertOCSP: "OCSP", CertRawPublicKey: "raw public key",
}

// String is a short name, such as "X.509 signature", or
// "certificate encoding 99".
func (e CertEncoding) String() string { return named(certNames, e, "certificate encoding") }

// CPType is the CFG Type of a Configuration payload (RFC 7296, Section 3.15).
type CPType uint8

// The CFG types of RFC 7296, Section 3.15.
const (
	CPRequest CPType = 1
	CPReply   CPType = 2
	CPSet     CPType = 3
	CPAck     CPType = 4
)

var cpNames = map[CPType]string{
	CPRequest: "CFG_REQUEST", CPReply: "CFG_REPLY", CPSet: "CFG_SET", CPAck: "CFG_ACK",
}

// String is the RFC's name, such as "CFG_REQUEST", or "CFG type 9".
func (t CPType) String() string { return named(cpNames, t, "CFG type") }

// CPAttributeType is a configuration attribute's type, 15 bits (RFC 7296,
// Section 3.15.1).
type CPAttributeType uint16

// The attributes of RFC 7296, Section 3.15.1, RFC 5739, Section 9, RFC 8598,
// Section 7, RFC 9464, Section 9.1, and the two private ones of Windows.
const (
	InternalIP4Address  CPAttributeType = 1
	InternalIP4Netmask  CPAttributeType = 2
	InternalIP4DNS      CPAttributeType = 3
	InternalIP4NBNS     CPAttributeType = 4
	InternalIP4DHCP     CPAttributeType = 6
	ApplicationVersion  CPAttributeType = 7
	InternalIP6Address  CPAttributeType = 8
	InternalIP6DNS      CPAttributeType = 10
	InternalIP6DHCP     CPAttributeType = 12
	InternalIP4Subnet   CPAttributeType = 13
	SupportedAttributes CPAttributeType = 14
	InternalIP6Subnet   CPAttributeType = 15
	InternalIP6Link     CPAttributeType = 17
	InternalIP6Prefix   CPAttributeType = 18
	InternalDNSDomain   CPAttributeType = 25
	InternalDNSSECTA    CPAttributeType = 26
	EncDNSIP4           CPAttributeType = 27
	EncDNSIP6           CPAttributeType = 28
	EncDNSDigestInfo    CPAttributeType = 29
	MSInternalIP4Server CPAttributeType = 23456
	MSInternalIP6Server CPAttributeType = 23457
)

var attributeNames = map[CPAttributeType]string{
	InternalIP4Address: "INTERNAL_IP4_ADDRESS", InternalIP4Netmask: "INTERNAL_IP4_NETMASK",
	InternalIP4DNS: "INTERNAL_IP4_DNS", InternalIP4NBNS: "INTERNAL_IP4_NBNS", InternalIP4DHCP: "INTERNAL_IP4_DHCP",
	ApplicationVersion: "APPLICATION_VERSION", InternalIP6Address: "INTERNAL_IP6_ADDRESS",
	InternalIP6DNS: "INTERNAL_IP6_DNS", InternalIP6DHCP: "INTERNAL_IP6_DHCP", InternalIP4Subnet: "INTERNAL_IP4_SUBNET",
	SupportedAttributes: "SUPPORTED_ATTRIBUTES", InternalIP6Subnet: "INTERNAL_IP6_SUBNET",
	InternalIP6Link: "INTERNAL_IP6_LINK", InternalIP6Prefix: "INTERNAL_IP6_PREFIX",
	InternalDNSDomain: "INTERNAL_DNS_DOMAIN", InternalDNSSECTA: "INTERNAL_DNSSEC_TA",
	EncDNSIP4: "ENCDNS_IP4", EncDNSIP6: "ENCDNS_IP6", EncDNSDigestInfo: "ENCDNS_DIGEST_INFO",
	MSInternalIP4Server: "MS INTERNAL_IP4_SERVER", MSInternalIP6Server: "MS INTERNAL_IP6_SERVER",
}

// String is the RFC's name, such as "INTERNAL_IP4_DNS", or "CP attribute 999".
func (t CPAttributeType) String() string { return named(attributeNames, t, "CP attribute") }

// named looks a number up, and says what it is when it has no name.
func named[T interface{ ~uint8 | ~uint16 }](names map[T]string, v T, what string) string {
	if s, ok := names[v]; ok {
		return s
	}
	return fmt.Sprintf("%s %d", what, uint16(v))
}
