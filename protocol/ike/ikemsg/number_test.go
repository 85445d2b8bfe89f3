package ikemsg

import (
	"fmt"
	"strings"
	"testing"
)

// Every value of every number type has a text: the names once each, the gaps
// with their number.
func TestNumbersHaveNames(t *testing.T) {
	for _, c := range []struct {
		kind  string
		size  int
		text  func(int) string
		gap   string // what stands before the number of an unknown value
		named int
		known map[int]string
	}{
		{"payload", 256, func(n int) string { return PayloadType(n).String() }, "payload", 19, map[int]string{
			0: "none", 33: "SA", 34: "KE", 35: "IDi", 36: "IDr", 37: "CERT", 38: "CERTREQ", 39: "AUTH", 40: "Nonce", 41: "Notify",
			42: "Delete", 43: "Vendor ID", 44: "TSi", 45: "TSr", 46: "SK", 47: "CP", 48: "EAP", 53: "SKF", 54: "PS"}},
		{"exchange", 256, func(n int) string { return ExchangeType(n).String() }, "exchange", 7, map[int]string{
			34: "IKE_SA_INIT", 35: "IKE_AUTH", 36: "CREATE_CHILD_SA", 37: "INFORMATIONAL", 38: "IKE_SESSION_RESUME",
			43: "IKE_INTERMEDIATE", 44: "IKE_FOLLOWUP_KE"}},
		{"protocol", 256, func(n int) string { return ProtocolID(n).String() }, "protocol", 4, map[int]string{
			0: "none", 1: "IKE", 2: "AH", 3: "ESP"}},
		{"identity", 256, func(n int) string { return IDType(n).String() }, "ID type", 8, map[int]string{
			1: "ID_IPV4_ADDR", 2: "ID_FQDN", 3: "ID_RFC822_ADDR", 5: "ID_IPV6_ADDR", 9: "ID_DER_ASN1_DN", 10: "ID_DER_ASN1_GN",
			11: "ID_KEY_ID", 13: "ID_NULL"}},
		{"auth", 256, func(n int) string { return AuthMethod(n).String() }, "auth method", 9, map[int]string{
			1: "RSA signature", 2: "shared key", 3: "DSS signature", 9: "ECDSA P-256", 10: "ECDSA P-384", 11: "ECDSA P-521",
			12: "secure password", 13: "NULL", 14: "digital signature"}},
		{"certificate", 256, func(n int) string { return CertEncoding(n).String() }, "certificate encoding", 14, map[int]string{
			4: "X.509 signature", 7: "CRL", 12: "hash and URL", 14: "OCSP", 15: "raw public key"}},
		{"configuration", 256, func(n int) string { return CPType(n).String() }, "CFG type", 4, map[int]string{
			1: "CFG_REQUEST", 2: "CFG_REPLY", 3: "CFG_SET", 4: "CFG_ACK"}},
		{"attribute", 65536, func(n int) string { return CPAttributeType(n).String() }, "CP attribute", 21, map[int]string{
			1: "INTERNAL_IP4_ADDRESS", 2: "INTERNAL_IP4_NETMASK", 3: "INTERNAL_IP4_DNS", 4: "INTERNAL_IP4_NBNS",
			6: "INTERNAL_IP4_DHCP", 7: "APPLICATION_VERSION", 8: "INTERNAL_IP6_ADDRESS", 10: "INTERNAL_IP6_DNS",
			12: "INTERNAL_IP6_DHCP", 13: "INTERNAL_IP4_SUBNET", 14: "SUPPORTED_ATTRIBUTES", 15: "INTERNAL_IP6_SUBNET",
			25: "INTERNAL_DNS_DOMAIN", 26: "INTERNAL_DNSSEC_TA", 23456: "MS INTERNAL_IP4_SERVER", 23457: "MS INTERNAL_IP6_SERVER"}},
		{"notify", 65536, func(n int) string { return NotifyType(n).String() }, "notify", 81, map[int]string{
			// RFC 7296, Section 3.10.1, row by row
			1: "UNSUPPORTED_CRITICAL_PAYLOAD", 4: "INVALID_IKE_SPI", 5: "INVALID_MAJOR_VERSION", 7: "INVALID_SYNTAX",
			9: "INVALID_MESSAGE_ID", 11: "INVALID_SPI", 14: "NO_PROPOSAL_CHOSEN", 17: "INVALID_KE_PAYLOAD",
			24: "AUTHENTICATION_FAILED", 34: "SINGLE_PAIR_REQUIRED", 35: "NO_ADDITIONAL_SAS", 36: "INTERNAL_ADDRESS_FAILURE",
			37: "FAILED_CP_REQUIRED", 38: "TS_UNACCEPTABLE", 39: "INVALID_SELECTORS", 43: "TEMPORARY_FAILURE",
			44: "CHILD_SA_NOT_FOUND", 16384: "INITIAL_CONTACT", 16385: "SET_WINDOW_SIZE", 16386: "ADDITIONAL_TS_POSSIBLE",
			16387: "IPCOMP_SUPPORTED", 16388: "NAT_DETECTION_SOURCE_IP", 16389: "NAT_DETECTION_DESTINATION_IP", 16390: "COOKIE",
			16391: "USE_TRANSPORT_MODE", 16392: "HTTP_CERT_LOOKUP_SUPPORTED", 16393: "REKEY_SA",
			16394: "ESP_TFC_PADDING_NOT_SUPPORTED", 16395: "NON_FIRST_FRAGMENTS_ALSO",
			// the extensions
			40: "UNACCEPTABLE_ADDRESSES", 41: "UNEXPECTED_NAT_DETECTED", 46: "AUTHORIZATION_FAILED", 47: "STATE_NOT_FOUND",
			48: "TS_MAX_QUEUE", 16396: "MOBIKE_SUPPORTED", 16400: "UPDATE_SA_ADDRESSES", 16401: "COOKIE2",
			16402: "NO_NATS_ALLOWED", 16403: "AUTH_LIFETIME", 16404: "MULTIPLE_AUTH_SUPPORTED", 16405: "ANOTHER_AUTH_FOLLOWS",
			16406: "REDIRECT_SUPPORTED", 16408: "REDIRECTED_FROM", 16409: "TICKET_LT_OPAQUE", 16413: "TICKET_OPAQUE",
			16417: "EAP_ONLY_AUTHENTICATION", 16418: "CHILDLESS_IKEV2_SUPPORTED", 16419: "QUICK_CRASH_DETECTION",
			16420: "IKEV2_MESSAGE_ID_SYNC_SUPPORTED", 16423: "IPSEC_REPLAY_COUNTER_SYNC",
			16430: "IKEV2_FRAGMENTATION_SUPPORTED", 16431: "SIGNATURE_HASH_ALGORITHMS", 16434: "PUZZLE", 16435: "USE_PPK",
			16436: "PPK_IDENTITY", 16437: "NO_PPK_AUTH", 16438: "INTERMEDIATE_EXCHANGE_SUPPORTED",
			16441: "ADDITIONAL_KEY_EXCHANGE", 16442: "USE_AGGFRAG", 16443: "SUPPORTED_AUTH_METHODS", 16444: "SA_RESOURCE_INFO",
			16445: "USE_PPK_INT", 16446: "PPK_IDENTITY_KEY"}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			seen := map[string]int{}
			named := 0
			for n := range c.size {
				text := c.text(n)
				if want, ok := c.known[n]; ok && text != want {
					t.Errorf("%d is %q, want %q", n, text, want)
				}
				if old, twice := seen[text]; twice || text == "" {
					t.Errorf("%d is %q, as is %d", n, text, old)
				}
				seen[text] = n
				if gap := fmt.Sprintf("%s %d", c.gap, n); text == gap {
					continue
				} else if strings.HasPrefix(text, c.gap+" ") {
					t.Errorf("%d is %q", n, text)
				}
				named++
			}
			if named != c.named {
				t.Errorf("%d values have names, want %d", named, c.named)
			}
		})
	}
}

func TestFlagsText(t *testing.T) {
	for f, want := range map[Flags]string{
		0: "0", FlagInitiator: "I", FlagResponse: "R", FlagResponse | FlagInitiator: "R|I",
		knownFlags: "R|V|I", 0x81: "0x81", 0x29: "R|I|0x01",
	} {
		if got := f.String(); got != want {
			t.Errorf("%#02x is %q, want %q", uint8(f), got, want)
		}
	}
}

func TestErrorNotifiesEndAt16383(t *testing.T) {
	for n, want := range map[NotifyType]bool{
		1: true, NotifyTSMaxQueue: true, NotifyMSError: true, 16383: true, NotifyInitialContact: false, 65535: false,
	} {
		if n.Error() != want {
			t.Errorf("%v: Error is %t", n, n.Error())
		}
	}
}
