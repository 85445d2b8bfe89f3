package vyos

import (
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// known are the words that the reader reads, or that have nothing to do with the
// security of a VPN, for each section that is looked into. Any other is noted.
var known = map[string]map[string]bool{
	"config": tops,
	"vpn":    words(`ipsec l2tp pptp sstp openconnect rsa-keys nat-pt`),
	"ipsec": words(`ike-group esp-group site-to-site remote-access profile authentication interface ipsec-interfaces log logging options
		auto-firewall-nat-exclude auto-update disable-uniqreqids nat-traversal nat-networks include-ipsec-conf include-ipsec-secrets`),
	"ike-group":    words(`proposal lifetime key-exchange mode dead-peer-detection close-action ikev2-reauth mobike disable-mobike disable-rekey`),
	"esp-group":    words(`proposal lifetime life-bytes life-packets mode pfs compression disable-rekey`),
	"ike-proposal": words(`encryption hash dh-group prf`),
	"esp-proposal": words(`encryption hash`),
	"peer": words(`authentication connection-type default-esp-group description dhcp-interface disable force-encapsulation
		force-udp-encapsulation ike-group ikev2-reauth local-address remote-address tunnel vti virtual-address replay-window ppk`),
	"peer authentication": words(`mode pre-shared-secret local-id remote-id id rsa rsa-key-name x509 use-x509-id`),
	"connection": words(`authentication description disable esp-group ike-group local-address dhcp-interface local timeout pool unique
		replay-window bind`),
	"connection authentication": words(`client-mode eap-id id local-id local-users pre-shared-secret remote-id server-mode x509`),
	"authentication":            words(`psk ppk`),
	"pool":                      words(`prefix range name-server exclude gateway`),
	"profile":                   words(`authentication bind disable esp-group ike-group`),
	"psk":                       words(`id secret secret-type dhcp-interface`),
	"remote-access": words(`authentication client-ip-pool client-ipv6-pool default-pool default-ipv6-pool description dhcp-interface
		dns-servers name-server wins-server wins-servers gateway-address idle ipsec-settings lns mtu outside-address outside-nexthop
		ppp-options max-concurrent-sessions limits shaper snmp extended-scripts thread-count log ccp-disable`),
	"ipsec-settings":                words(`authentication ike-lifetime lifetime ike-group esp-group`),
	"ipsec-settings authentication": words(`mode pre-shared-secret x509`),
	"accel authentication":          words(`mode protocols require local-users radius radius-server mppe any-login`),
}

// check notes the words of a section that nobody knows.
func (r *reader) check(n *node, section string) {
	if n == nil {
		return
	}
	for _, c := range n.children {
		if known[section][c.name] {
			continue
		}
		where := strings.TrimPrefix(section, "accel ")
		switch {
		case section == "config":
			r.in.Note(posture.Unparsed, c.at, "%s is no section that is known", setting.Shown(c.name))
		case section == "psk" || strings.HasSuffix(section, "authentication"):
			// The word may be the rest of a secret that a terminal has wrapped.
			r.in.Note(posture.Unparsed, c.at, "a word in %s is not known", where)
		default:
			r.in.Note(posture.Unparsed, c.at, "%s in %s is not known", setting.Shown(c.name), where)
		}
	}
}
