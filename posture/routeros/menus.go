package routeros

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// menu is what is known of one menu: its defaults, which exports leave out,
// and its other words.
type menu struct {
	defaults     map[string]string
	words        string // known without a default, or without bearing on security
	single       bool   // no list: set applies to the one set of settings
	offByDefault bool   // a new entry is disabled unless it says otherwise
	any          bool   // all words are taken as known
	hardware     bool   // entries are there without being added
}

func (m menu) knows(key string) bool {
	_, ok := m.defaults[key]
	return ok || m.any || slices.Contains(m.keys(), key)
}

// keys are all the words of a menu.
func (m menu) keys() []string {
	keys := append(strings.Fields(m.words), "name", "comment", "disabled", "numbers", "place-before", "copy-from")
	return slices.AppendSeq(keys, maps.Keys(m.defaults))
}

// leastWord is the shortest beginning of a word that is taken for it.
const leastWord = 3

// whole is the word of the menu that begins so, where there is one alone: RouterOS
// takes words that were cut short, and people write them in scripts. One that lacks
// a whole part, as "proposal" for "proposal-check", is rather a mistake.
func (m menu) whole(key string) string {
	if len(key) < leastWord || m.knows(key) {
		return key
	}
	found := ""
	for _, k := range m.keys() {
		switch {
		case !strings.HasPrefix(k, key) || k[len(key)] == '-' || k == found:
		case found != "":
			return key
		default:
			found = k
		}
	}
	return cmp.Or(found, key)
}

// menus are those that are read. The defaults are what "export verbose" of
// RouterOS 6.44 to 7.20 shows on a router where nothing was set; they are the
// same throughout, where nothing else is said.
var menus = map[string]menu{
	"ip ipsec profile": {
		defaults: map[string]string{
			"dh-group": "modp2048,modp1024", "enc-algorithm": "aes-128,3des", "hash-algorithm": "sha1", "lifetime": "1d",
			"nat-traversal": "yes", "proposal-check": "obey", "dpd-interval": "2m", "dpd-maximum-failures": "5",
		},
		words: "lifebytes prf-algorithm ppk",
	},
	"ip ipsec proposal": {
		defaults: map[string]string{"auth-algorithms": "sha1", "enc-algorithms": "aes-256-cbc,aes-192-cbc,aes-128-cbc", "lifetime": "30m", "pfs-group": "modp1024"},
	},
	"ip ipsec peer": {
		defaults: map[string]string{"exchange-mode": "main", "passive": "no", "profile": "default", "address": "::/0", "send-initial-contact": "yes"},
		// The second line was moved to profile and identity by 6.43 and 6.44.
		words: "local-address port " +
			"auth-method secret generate-policy policy-template-group hash-algorithm enc-algorithm dh-group lifetime lifebytes dpd-interval dpd-maximum-failures nat-traversal proposal-check my-id mode-config certificate remote-certificate notrack-chain compatibility-options xauth-login xauth-password",
	},
	"ip ipsec identity": {
		defaults: map[string]string{"auth-method": "pre-shared-key", "generate-policy": "no", "policy-template-group": "default", "my-id": "auto", "remote-id": "auto", "match-by": "remote-id"},
		words:    "peer secret mode-config username password eap-methods certificate remote-certificate notrack-chain key remote-key ppk ppk-id ppk-secret",
	},
	"ip ipsec policy": {
		defaults: map[string]string{"action": "encrypt", "level": "require", "ipsec-protocols": "esp", "tunnel": "no", "proposal": "default", "protocol": "all", "template": "no", "group": "default"},
		words:    "peer src-address dst-address src-port dst-port sa-src-address sa-dst-address priority ph2-count manual-sa",
	},
	"ip ipsec policy group": {any: true},
	"ip ipsec user":         {words: "password address"},
	// It is gone from RouterOS 7, and its keys are never shown.
	"ip ipsec manual-sa": {any: true},
	"ip ipsec mode-config": {
		defaults: map[string]string{"responder": "yes", "system-dns": "no"},
		words:    "address address-pool address-prefix-length static-dns split-include split-dns src-address-list connection-mark send-dns use-responder-dns",
	},
	"ip ipsec settings": {single: true, defaults: map[string]string{"accounting": "yes", "xauth-use-radius": "no", "interim-update": "0s"}, words: "ddos-cookie-threshold"},
	"ppp profile": {
		defaults: map[string]string{"use-encryption": "default", "change-tcp-mss": "default", "use-ipv6": "yes", "only-one": "default"},
		words: "local-address remote-address dns-server wins-server use-compression use-mpls use-upnp use-vj-compression address-list bridge bridge-horizon bridge-learning bridge-path-cost " +
			"bridge-port-priority bridge-port-vid bridge-port-trusted incoming-filter outgoing-filter rate-limit session-timeout idle-timeout interface-list insert-queue-before parent-queue queue-type " +
			"on-up on-down remote-ipv6-prefix-pool remote-ipv6-prefix-reuse dhcpv6-pd-pool dhcpv6-lease-time dhcpv6-use-radius",
	},
	"ppp secret": {
		defaults: map[string]string{"service": "any", "profile": "default"},
		words:    "password local-address remote-address routes caller-id limit-bytes-in limit-bytes-out remote-ipv6-prefix ipv6-routes last-logged-out last-caller-id last-disconnect-reason",
	},
	"ppp aaa": {single: true, defaults: map[string]string{"use-radius": "no", "accounting": "yes", "interim-update": "0s"}, words: "use-circuit-id-in-nas-port-id enable-ipv6-accounting"},
	"interface l2tp-server server": {
		single: true,
		// The manual names MS-CHAP alone; exports with everything show four.
		defaults: map[string]string{"enabled": "no", "authentication": "pap,chap,mschap1,mschap2", "use-ipsec": "no", "default-profile": "default-encryption", "max-mtu": "1450", "max-mru": "1450", "keepalive-timeout": "30"},
		words:    "ipsec-secret mrru max-sessions one-session-per-host caller-id-type allow-fast-path accept-proto-version accept-pseudowire-type l2tpv3-circuit-id l2tpv3-cookie-length l2tpv3-digest-hash l2tpv3-ether-interface-list",
	},
	"interface pptp-server server": {
		single:   true,
		defaults: map[string]string{"enabled": "no", "authentication": "mschap1,mschap2", "default-profile": "default-encryption", "max-mtu": "1450", "max-mru": "1450", "keepalive-timeout": "30"},
		words:    "mrru",
	},
	"interface sstp-server server": {
		single:   true,
		defaults: map[string]string{"enabled": "no", "authentication": "pap,chap,mschap1,mschap2", "default-profile": "default", "max-mtu": "1500", "max-mru": "1500", "keepalive-timeout": "60"},
		words:    "mrru port certificate verify-client-certificate force-aes pfs tls-version ciphers",
	},
	"interface ovpn-server server": {single: true, any: true, defaults: map[string]string{"enabled": "no"}},
	"interface l2tp-client": {
		offByDefault: true,
		defaults:     map[string]string{"allow": "pap,chap,mschap1,mschap2", "use-ipsec": "no", "profile": "default-encryption", "max-mtu": "1450", "max-mru": "1450", "keepalive-timeout": "60", "add-default-route": "no"},
		words:        "connect-to user password ipsec-secret mrru dial-on-demand default-route-distance allow-fast-path src-address use-peer-dns random-source-port l2tp-proto-version l2tpv3-circuit-id l2tpv3-cookie-length l2tpv3-digest-hash",
	},
	"radius": {
		words: "address secret service authentication-port accounting-port timeout src-address protocol certificate called-id realm domain accounting-backup require-message-auth radsec-timeout",
	},
	"ip firewall filter":   {any: true},
	"ip firewall nat":      {any: true},
	"ip firewall mangle":   {any: true},
	"ipv6 firewall filter": {any: true},
	"ip dns":               {single: true, any: true},
	"ip cloud":             {single: true, any: true, defaults: map[string]string{"update-time": "yes"}},
	"ip settings": {
		single:   true,
		any:      true,
		defaults: map[string]string{"rp-filter": "no", "accept-redirects": "no", "accept-source-route": "no", "send-redirects": "yes", "secure-redirects": "yes", "tcp-syncookies": "no", "ip-forward": "yes"},
	},
	"system identity":       {single: true, defaults: map[string]string{"name": "MikroTik"}},
	"system logging":        {any: true, defaults: map[string]string{"action": "memory"}},
	"system logging action": {any: true, defaults: map[string]string{"target": "memory", "remote": "0.0.0.0", "remote-protocol": "udp"}},
	"system ntp client":     {single: true, any: true, defaults: map[string]string{"enabled": "no"}},
	"system clock":          {single: true, any: true},
	"certificate settings":  {single: true, any: true, defaults: map[string]string{"crl-use": "no", "crl-download": "no"}},
	"interface bridge":      {any: true},
	"interface ethernet":    {any: true, hardware: true},
	"interface vlan":        {any: true},
	"interface gre":         {any: true},
	"interface gre6":        {any: true},
	"interface ipip":        {any: true},
	"interface ipipv6":      {any: true},
	"interface eoip":        {any: true},
	"interface eoipv6":      {any: true},
	"interface 6to4":        {any: true},
	"interface wireguard":   {defaults: map[string]string{"mtu": "1420"}, words: "listen-port private-key public-key vrf"},
	"interface wireguard peers": {
		words: "interface public-key preshared-key allowed-address endpoint-address endpoint-port persistent-keepalive private-key client-address client-dns client-endpoint client-keepalive client-listen-port client-allowed-address responder is-responder name",
	},
}

// renamed are menus with the names that they had before.
var renamed = map[string]string{"ip ipsec peer profile": "ip ipsec profile", "ip ipsec user settings": "ip ipsec settings"}

// irrelevant are menus that have no bearing on a VPN's security, by the
// beginning of their names.
var irrelevant = []string{
	"interface bridge", "interface ethernet", "interface list", "interface bonding", "interface wireless", "interface wifi", "interface lte", "interface pppoe", "interface gre",
	"interface eoip", "interface ipip", "interface vrrp", "interface detect-internet", "interface ovpn-client", "interface pptp-client", "interface sstp-client", "interface l2tp-ether", "interface l2tp-server",
	"interface pptp-server", "interface sstp-server", "interface ovpn-server", "interface pwr-line", "interface mesh", "interface macsec", "interface macvlan", "interface veth", "interface vxlan", "interface 6to4",
	"interface dot1x", "interface ppp-client", "interface ppp-server", "interface traffic-eng", "interface virtual-ethernet", "interface w60g", "interface amt", "interface vpls", "interface 60ghz",
	"ip address", "ip arp", "ip cloud", "ip dhcp-client", "ip dhcp-relay", "ip dhcp-server", "ip pool", "ip route", "ip service", "ip ssh", "ip smb", "ip socks", "ip proxy", "ip neighbor", "ip traffic-flow", "ip upnp", "ip hotspot", "ip firewall address-list",
	"ip firewall service-port", "ip firewall connection", "ip firewall layer7-protocol", "ip firewall raw", "ip accounting", "ip kid-control", "ip media", "ip nat-pmp", "ip packing", "ip tftp", "ip vrf", "ip dns static",
	"ip dns forwarders", "ip dns adlist", "ip reverse-proxy", "ip ipsec key", "ip ipsec ppk", "ipv6", "routing", "mpls", "queue", "snmp", "tool", "user", "user-manager", "port", "dude", "disk", "caps-man", "container", "certificate",
	"console", "file", "iot", "lcd", "lora", "partitions", "zerotier", "app", "task", "special-login", "system", "tr069-client", "ppp l2tp-secret", "interface", "openflow", "radius incoming", "environment", "terminal", "log",
}

// passed tells whether a menu that is not read needs no note.
func passed(menu string) bool {
	return slices.ContainsFunc(irrelevant, func(known string) bool { return menu == known || strings.HasPrefix(menu, known+" ") })
}
