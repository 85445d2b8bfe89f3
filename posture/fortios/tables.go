package fortios

import "strings"

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// phase1Words are those of phase1 and phase1-interface, of 5.4 to 7.6. Those
// without bearing on security are here so that they make no note.
var phase1Words = set(`type interface ip-version ike-version local-gw local-gw6 remote-gw remote-gw6 remotegw-ddns keylife certificate authmethod authmethod-remote mode peertype peerid default-gw
	default-gw-priority usrgrp peer peergrp monitor monitor-hold-down-type monitor-hold-down-delay monitor-hold-down-weekday monitor-hold-down-time monitor-min net-device passive-mode
	exchange-interface-ip exchange-ip-addr4 exchange-ip-addr6 aggregate-member aggregate-weight packet-redistribution peer-egress-shaping mode-cfg mode-cfg-allow-client-selector assign-ip
	assign-ip-from ipv4-start-ip ipv4-end-ip ipv4-netmask dhcp-ra-giaddr dhcp6-ra-linkaddr dns-mode ipv4-dns-server1 ipv4-dns-server2 ipv4-dns-server3 internal-domain-list dns-suffix-search
	ipv4-wins-server1 ipv4-wins-server2 ipv4-exclude-range ipv4-split-include split-include-service ipv4-name ipv6-start-ip ipv6-end-ip ipv6-prefix ipv6-dns-server1 ipv6-dns-server2
	ipv6-dns-server3 ipv6-exclude-range ipv6-split-include ipv6-name ip-delay-interval unity-support domain banner include-local-lan ipv4-split-exclude ipv6-split-exclude save-password
	client-auto-negotiate client-keep-alive backup-gateway proposal add-route add-gw-route psksecret psksecret-remote keepalive distance priority localid localid-type auto-negotiate
	negotiate-timeout fragmentation ip-fragmentation dpd dpd-retrycount dpd-retryinterval comments npu-offload send-cert-chain dhgrp addke1 addke2 addke3 addke4 addke5 addke6 addke7 suite-b eap eap-identity
	eap-exclude-peergrp eap-cert-auth acct-verify ppk ppk-secret ppk-identity wizard-type xauthtype reauth authusr authpasswd group-authentication group-authentication-secret authusrgrp
	mesh-selector-type idle-timeout idle-timeoutinterval shared-idle-timeout ha-sync-esp-seqno fgsp-sync inbound-dscp-copy auto-discovery-sender auto-discovery-receiver
	auto-discovery-forwarder auto-discovery-psk auto-discovery-shortcuts auto-discovery-crossover auto-discovery-offer-interval auto-discovery-dialup-placeholder encapsulation
	encapsulation-address encap-local-gw4 encap-local-gw6 encap-remote-gw4 encap-remote-gw6 vni nattraversal esn fragmentation-mtu childless-ike azure-ad-autoconnect client-resume
	client-resume-interval rekey digital-signature-auth signature-hash-alg rsa-signature-format rsa-signature-hash-override enforce-unique-id cert-id-validation fec-egress
	fec-send-timeout fec-base fec-codec fec-redundant fec-ingress fec-receive-timeout fec-health-check fec-mapping-profile network-overlay network-id dev-id-notification dev-id
	loopback-asymroute link-cost kms exchange-fgt-device-id ems-sn-check cert-trust-store qkd qkd-hybrid qkd-profile transport fallback-tcp-threshold fortinet-esp tunnel-search nat-traversal
	remote-gw-match remote-gw-start-ip remote-gw-end-ip remote-gw-subnet remote-gw-country remote-gw-ztna-tags remote-gw6-match remote-gw6-start-ip remote-gw6-end-ip remote-gw6-subnet remote-gw6-country
	cert-peer-username-validation cert-peer-username-strip shared-idle-timeout forticlient-enforcement auto-transport-threshold transit-gateway default-gw-interface dhcp-ra-giaddr
	add-gw-route auto-discovery-psk user-group uuid`)

var phase2Words = set(`phase1name dhcp-ipsec use-natip selector-match proposal pfs ipv4-df dhgrp addke1 addke2 addke3 addke4 addke5 addke6 addke7 replay keepalive auto-negotiate add-route
	auto-discovery-sender auto-discovery-forwarder keylifeseconds keylifekbs keylife-type single-source route-overlap encapsulation l2tp comments initiator-ts-narrow diffserv diffservcode
	protocol src-name src-name6 src-addr-type src-start-ip src-start-ip6 src-end-ip src-end-ip6 src-subnet src-subnet6 src-port dst-name dst-name6 dst-addr-type dst-start-ip dst-start-ip6
	dst-end-ip dst-end-ip6 dst-subnet dst-subnet6 dst-port inbound-dscp-copy uuid`)

var anything = map[string]bool{"*": true}

// read are the tables that are read, with the words that each may have; "*"
// stands for all. The rest of a FortiGate's tables, some 500, have no bearing
// on a VPN or are not judged.
var read = map[string]map[string]bool{
	"vpn ipsec phase1": phase1Words, "vpn ipsec phase1-interface": phase1Words,
	"vpn ipsec phase2": phase2Words, "vpn ipsec phase2-interface": phase2Words,
	"vpn ipsec manualkey": anything, "vpn ipsec manualkey-interface": anything,
	"vpn certificate setting": anything, "vpn certificate crl": anything,
	"vpn l2tp":    set("status sip eip usrgrp enforce-ipsec compress lcp-echo-interval lcp-max-echo-fails hello-interval ppp-lcp-echo-interval"),
	"vpn pptp":    set("status sip eip usrgrp ip-mode local-ip"),
	"user local":  anything,
	"user radius": anything, "user radius accounting-server": anything,
	"user group": anything,

	"system global": anything, "system settings": anything, "router static": anything, "system ntp": anything, "system dns": anything, "system interface": anything,
	"firewall policy": anything, "firewall local-in-policy": anything,
	"log syslogd setting": anything, "log syslogd2 setting": anything, "log syslogd3 setting": anything, "log syslogd4 setting": anything,
	"log fortianalyzer setting": anything, "log fortianalyzer2 setting": anything, "log fortianalyzer3 setting": anything, "log fortianalyzer-cloud setting": anything,
	"log eventfilter": anything, "log disk setting": anything,
}

// ciphers and hashes are the parts of a proposal such as "aes128-sha256" and
// "aes256gcm-prfsha384".
var ciphers = map[string]string{
	"null": "null", "des": "des", "3des": "3des", "aes128": "aes128", "aes192": "aes192", "aes256": "aes256",
	"aes128gcm": "aes128gcm16", "aes256gcm": "aes256gcm16", "chacha20poly1305": "chacha20poly1305",
	"aria128": "aria128", "aria192": "aria192", "aria256": "aria256", "seed": "seed",
}

var hashes = map[string]string{"null": "noauth", "md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512"}
