package ipsecconf

import (
	"strings"
)

// canonical is the first spelling of a key. Libreswan takes "_" for "-" in many
// words, both products have older names for some.
func canonical(key string) string {
	key = strings.ReplaceAll(strings.ToLower(key), "_", "-")
	side, word := cutSide(key)
	if first, ok := aliases[word]; ok {
		word = first
	}
	return side + word
}

// SameSetting tells whether two keys are spellings of one setting: "phase2alg" of
// "esp", "keylife" of "salifetime".
func SameSetting(a, b string) bool { return canonical(a) == canonical(b) }

// cutSide takes "left" or "right" off a key.
func cutSide(key string) (side, word string) {
	for _, side := range []string{"left", "right"} {
		if word, ok := strings.CutPrefix(key, side); ok {
			return side, strings.TrimPrefix(word, "-")
		}
	}
	return "", key
}

var aliases = map[string]string{
	"keylife": "lifetime", "salifetime": "lifetime", "ipsec-lifetime": "lifetime", "ike-life": "ikelifetime", "ikelife": "ikelifetime", "ike-lifetime": "ikelifetime",
	"rekeymargin": "margintime", "phase2alg": "esp", "aggrmode": "aggressive", "policy-label": "sec-label",
	"ikev1-dpdtimeout": "dpdtimeout", "send-no-esp-tfc": "send-esp-tfc-padding-not-supported", "ipsec-max-bytes": "lifebytes", "ipsec-max-packets": "lifepackets",
	"xauthusername": "username", "xauthname": "username", "ike-frag": "fragmentation", "ikefrag": "fragmentation", "plutostderrlog": "logfile", "plutostderrlogtime": "logtime", "protected-subnet": "subnet", "sha256-96": "sha2-truncbug",
	"strictcrlpolicy": "crl-strict", "crluri1": "crluri", "ocspuri1": "ocspuri", "ocsp-trust-name": "ocsp-trustname",
	"ocspuri": "ocsp-uri", "ddos-ike-treshold": "ddos-ike-threshold", "nflog": "nflog-group",
	"modecfgdns1": "modecfgdns", "crl-timeout": "curl-timeout", "auth-by": "authby",
}

// standing is whose word a key is.
type standing uint8

const (
	unknownWord standing = iota
	othersWord
	ourWord
)

// Words, by the sections they stand in. Those that bear on security are read
// elsewhere by name; the rest are here so that they are known. Those of the
// sides are without "left" and "right"; the empty one is the side itself.
//
// Source: src/starter/keywords.txt of strongSwan 4.5 to 6.0;
// lib/libipsecconf/keywords.c of Libreswan 3.2 to 5.3.
var (
	setupBoth = set(`interfaces dumpdir plutodebug klipsdebug fragicmp hidetos uniqueids overridemtu crl-strict crlcheckinterval nat-traversal keep-alive
		force-keepalive virtual-private packetdefault syslog prepluto postpluto pluto plutowait plutoload plutostart manualstart forwardcontrol rp-filter nocrsend`)
	setupStrongSwan = set(`charonstart charondebug cachecrls pkcs11module pkcs11initargs pkcs11keepstate pkcs11proxy eapdir ldapbase`)
	setupLibreswan  = set(`curl-iface curl-timeout myid myvendorid logfile logtime logappend logip plutorestartoncrash ipsecdir nssdir secretsfile statsbin perpeerlog perpeerlogdir
		oe shuntlifetime expire-shunt-interval ocsp-strict ocsp-enable ocsp-uri ocsp-timeout ocsp-trustname ocsp-cache-size ocsp-cache-min-age ocsp-cache-max-age ocsp-method
		plutofork force-busy ddos-mode ddos-ike-threshold max-halfopen-ike ikeport nflog-all xfrmlifetime expire-lifetime nat-ikeport seedbits disable-port-floating listen protostack nhelpers
		secctx-attr-value secctx-attr-type drop-oppo-null ikev1-policy ikev1-reject ikev1-secctx-attr-type dnssec-enable dnssec-rootkey-file dnssec-anchors dnssec-trusted audit-log
		seccomp global-redirect global-redirect-to listen-tcp listen-udp ike-socket-bufsize ike-socket-errqueue tcp-remoteport rundir updown nssdb enable-tcp ipsec-interface-managed
		plutoopts nm-configured egress-interface`)

	connBoth = set(`auto type keyexchange auth authby compress aggressive mobike forceencaps fragmentation ikelifetime lifetime margintime rekeyfuzz keyingtries rekey reauth ike esp ah
		pfs pfsgroup dpddelay dpdtimeout dpdaction lifebytes lifepackets reqid replay-window mark mark-in mark-out tfc connalias sha2-truncbug
		spi spibase espenckey espauthkey espreplay-window ahkey ahreplay-window ahenckey manual disablearrivalcheck`)
	connStrongSwan = set(`eap eap-identity aaa-identity installpolicy ikedscp marginbytes marginpackets closeaction inactivity modeconfig xauth xauth-identity mediation mediated-by
		me-peerid interface keep-alive`)
	connLibreswan = set(`ikev2 ppk ppk-ids intermediate esn decap-dscp encap-dscp nopmtudisc narrowing pam-authorize send-redirect redirect-to accept-redirect accept-redirect-to
		session-resumption nat-keepalive initial-contact send-esp-tfc-padding-not-supported reject-simultaneous-ike-auth iptfs iptfs-fragmentation iptfs-packet-size
		iptfs-max-queue-size iptfs-reorder-window iptfs-init-delay iptfs-drop-time fake-strongswan send-vendorid share-lease ms-dh-downgrade pfs-rekey-workaround
		require-id-on-certificate dns-match-id retransmit-timeout retransmit-interval ikepad nat-ikev1-method sec-label remote-peer-type nm-configured cisco-unity cisco-split
		xauthby xauthfail modecfgpull modecfgdns modecfgdns2 modecfgdomains modecfgdomain modecfgbanner modecfgwins1 modecfgwins2 ignore-peer-dns vti-interface vti-routing vti-shared
		ipsec-interface clones encapsulation overlapip failureshunt negotiationshunt enable-tcp tcp-remoteport phase2 metric sendca mtu priority nflog-group nic-offload
		hostaddrfamily clientaddrfamily connaddrfamily initiateontraffic sareftrack sarefmask labeled-ipsec debug loopback autheap ikefrag initial-contact
		send-no-esp-tfc sourceip accept-bid dpd encap alsoflip`)

	sideBoth = set(`"" ikeport subnet subnets protoport sourceip nexthop updown id rsasigkey sigkey cert sendcert ca auth subnetwithin firewall groups`)

	sideStrongSwan = set(`natip dns hostaccess allowany id2 auth2 cert2 certpolicy ca2 groups2 sigkey2`)
	sideLibreswan  = set(`interface-ip vti updown-config ecdsakey eddsakey pubkey ckaid xauthserver xauthclient modecfgserver modecfgclient username addresspool cat autheap groundhog rsasigkey2
		virt dnssec-check`)

	caWords = set(`cacert ldaphost ldapbase crluri crluri2 ocsp-uri ocspuri2 certuribase auto`)
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[strings.Trim(w, `"`)] = true
	}
	return m
}

// standing tells whose word a key is in a section. What begins with "x-" is a
// comment of the administrator's tools.
func (r *reader) standing(kind, key string) standing {
	both, strongSwan, libreswan := setupBoth, setupStrongSwan, setupLibreswan
	switch side, word := cutSide(key); {
	case strings.HasPrefix(key, "x-"):
		return ourWord
	case kind == "ca" && caWords[key]:
		return ourWord
	case kind == "ca":
		return unknownWord
	case kind == "conn" && side != "":
		both, strongSwan, libreswan, key = sideBoth, sideStrongSwan, sideLibreswan, word
	case kind == "conn":
		both, strongSwan, libreswan = connBoth, connStrongSwan, connLibreswan
	}
	ours, theirs := strongSwan, libreswan
	if r.libreswan() {
		ours, theirs = libreswan, strongSwan
	}
	switch {
	case both[key] || ours[key]:
		return ourWord
	case theirs[key]:
		return othersWord
	}
	return unknownWord
}
