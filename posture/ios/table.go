package ios

import "strings"

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// topWords begin the lines of a configuration, those that are read and those
// that have no bearing on a VPN's security.
var topWords = set(`aaa access-list access-session alias archive arp banner bfd boot boot-end-marker boot-start-marker bridge buffers call call-home card cdp
	chat-script class-map clns clock config-register configuration controller control-plane cpp crypto cts Current default default-router device-sensor device-tracking
	diagnostic dial-peer dialer dialer-list dot11 dot1x dspfarm enable end environment errdisable ethernet event exception exit facility-alarm file flow fips format ftp-server
	gatekeeper hostname hw-module iox interface ip ipc ipv6 ipv4 isdn key kron l2 l2tp l2tp-class lacp ldap license line lldp logging login mac mac-address-table macro
	map-class memory memory-size metadata mgcp mls mmi monitor mpls multilink mvrp name nat nat64 netconf netconf-yang ntp object-group parameter-map parser
	password permission pki platform policy-map port-channel power ppp privilege process prompt pseudowire-class qos queue radius radius-server redundancy remote restconf
	rmon route-map router route-tag sampler scheduler sccp security service service-policy sdm shell sntp snmp snmp-server software spanning-tree standby stackwise subscriber
	switch system table-map tacacs tacacs-server telemetry template terminal tftp-server time-range track transceiver tunnel udld username validate version virtual-service
	vlan vlans voice voice-card voice-port voip vpdn vpdn-group vrf vtp wcm wireless wlan wsma zone zone-pair guest-interface app-hosting Building Last NVRAM Using
	cwmp diag downlink esmc fabric global-address-family identity ima line-protocol nbar nhrp odm onep performance profile rep rsvp scada security-group sip-ua stcapp
	aqm-register-fnf certificate conf configure copy do show sh wr write stack-mac tag virtual-template xconnect`)

// cryptoWords follow "crypto".
var cryptoWords = set("isakmp ikev2 ipsec map dynamic-map keyring pki ca key identity engine logging call gdoi gkm provisioning xauth mib ssl vpn tls-tunnel wui ace")

// blocks are those that are read, with the words that their lines begin with.
var blocks = []struct {
	begins string
	words  map[string]bool
}{
	{"crypto isakmp policy", set("encr encryption hash authentication group lifetime")},
	{"crypto isakmp profile", set("description vrf keyring self-identity match client isakmp initiate ca accounting virtual-template keepalive local-address qos-group default")},
	{"crypto isakmp client configuration group", set(`key dns wins domain pool acl split-dns netmask banner save-password include-local-lan max-users max-logins backup-gateway
		browser-proxy auto-update firewall group-lock pfs access-restrict configuration crypto dhcp smartcard-removal-disconnect`)},
	{"crypto isakmp peer", set("set description vrf")},
	{"crypto ipsec client ezvpn", set("connect group mode peer username xauth acl virtual-interface local-address backup default flow idletime nat backup-server ctcp description")},
	{"crypto keyring", set("pre-shared-key description local-address rsa-pubkey")},
	{"crypto ikev2 proposal", set("encryption integrity prf group pqc ake description")},
	{"crypto ikev2 policy", set("proposal match description")},
	{"crypto ikev2 keyring", set("peer description")},
	{"crypto ikev2 profile", set(`description aaa accounting authentication config-exchange config-mode dpd identity initial-contact ivrf keyring lifetime match nat pki redirect
		reconnect virtual-template shutdown anyconnect`)},
	{"crypto ikev2 authorization policy", set("pool dns wins netmask route def-domain split-dns banner backup-gateway backup-group configuration dhcp include-local-lan ipv6 pfs session-lifetime smartcard-removal-disconnect aaa subnet-acl force-password-change browser-proxy")},
	{"crypto ipsec transform-set", set("mode")},
	{"crypto ipsec profile", set("set description default match responder-only dialer redundancy reverse-route")},
	{"crypto map", set("set match description reverse-route qos dialer default")},
	{"crypto dynamic-map", set("set match description reverse-route qos dialer default")},
	{"radius server", set("address key timeout retransmit backoff pac non-standard automate-tester tls dtls key-wrap")},
	{"vpdn-group", set(`accept-dialin request-dialin accept-dialout request-dialout terminate-from l2tp l2f local ip initiate-to source-ip session-limit lcp description default relay vpn
		authen domain pptp force-local-chap loadsharing radius dsl-line-info-forwarding group accounting source bba-group redundancy-group`)},
}

// setWords follow "set" in a map or a profile.
var setWords = set("transform-set pfs security-association isakmp-profile ikev2-profile identity mixed-mode reverse-route peer nat ip security-policy session-key group aggressive-mode trustpoint ikev1")
