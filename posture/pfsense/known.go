package pfsense

import (
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// known are the elements that the reader reads, or that have nothing to do with
// the security of a VPN, for each section that is looked into. Anything else is
// noted.
var known = sets(map[string]string{
	"ipsec": `phase1 phase2 client mobilekey enable logging preferoldsa preferredoldsa uniqueids compression enableinterfacesuse
		strictcrlpolicy acceptunencryptedmainmode maxexchange unityplugin makebeforebreak port port_nat_t pkcs11support async_crypto
		noshuntlaninterfaces ipsecbypass bypassrules maxmss_enable maxmss vtimaps dns-interval failoverforcereload
		auto_routes_disable disablevpnrules passthrough_networks debug mobileclients ipsec_filtermode filtermode hostuuid
		advanced max_ikev1_exchanges net_list`,
	"phase1": `ikeid iketype interface remote-gateway protocol mode myid_type myid_data peerid_type peerid_data encryption
		encryption-algorithm hash-algorithm dhgroup prf-algorithm prfselect_enable lifetime rekey_time reauth_time rand_time
		pre-shared-key private-key certref caref pkcs11certref pkcs11pin authentication_method descr nat_traversal mobike
		dpd_delay dpd_maxfail dpd_action mobile disabled closeaction startaction responderonly auto rekey_enable reauth_enable
		margintime rekeyfuzz keyingtries gw_duplicates gwduplicates splitconn tfc_enable tfc_bytes ikeport nattport inactivity_timeout
		unique local-kpref peer-kpref noinstallpolicy installpolicy tunnel_isolation sha256_96 p2 peerid_ca closeaction
		generate_policy proposal_check`,
	"phase2": `ikeid uniqid mode reqid localid remoteid natlocalid protocol encryption-algorithm-option hash-algorithm-option pfsgroup
		lifetime rekey_time rand_time pinghost keepalive descr mobile disabled sha256_96 tunnel_local tunnel_remote spd manual_spd`,
	"client": `enable user_source group_source auth_groups pool_address pool_netbits pool_address_v6 pool_netbits_v6 dns_domain dns_split
		dns_server1 dns_server2 dns_server3 dns_server4 wins_server1 wins_server2 net_list login_banner save_passwd pfs_group
		radiusaccounting radius_ip_priority_enable radius_retransmit_base radius_retransmit_timeout radius_retransmit_tries
		radius_sockets radius_advanced local_group split_include`,
	"mobilekey":    `ident type pre-shared-key ident_type pool_address pool_netbits dns_address descr`,
	"preSharedKey": `ident remote_ident keyType Key description`,
	"IPsec":        `general charon keyPairs preSharedKeys`,
	"Swanctl":      `Connections locals remotes children Pools VTIs SPDs`,
	"Connection": `enabled proposals unique aggressive version mobike local_addrs local_port remote_addrs remote_port encap reauth_time
		rekey_time over_time dpd_delay dpd_timeout pools send_certreq send_cert keyingtries description rand_time`,
	"local":  `enabled connection round auth id eap_id certs pubkeys description`,
	"remote": `enabled connection round auth id eap_id groups certs cacerts pubkeys description`,
	"child": `enabled connection reqid esp_proposals sha256_96 start_action close_action dpd_action mode policies local_ts remote_ts
		rekey_time description`,
	"Pool":  `enabled name addrs dns`,
	"l2tp":  `mode interface localip remoteip l2tp_subnet n_l2tp_units user secret paporchap dns1 dns2 wins radius mtu`,
	"pptpd": `mode interface localip remoteip n_pptp_units pptp_subnet user req128 nunits redir dns1 dns2 wins radius paporchap`,
	"config": `version lastchange theme sysctl system interfaces staticroutes dhcpd dhcpdv6 dhcrelay dhcrelay6 dhcp6c snmpd diag bridge
		bridges syslog nat filter shaper ipsec aliases proxyarp cron wol rrd load_balancer widgets openvpn dnshaper unbound dnsmasq ovpnserver
		revision cert ca crl l2tp pptpd pppoe pppoes ppps gateways gifs gres laggs vlans qinqs wireless virtualip installedpackages
		captiveportal voucher dyndnses dnsupdates igmpproxy ntpd hasync ifgroups schedules notifications ezshaper OPNsense trigger_initial_wizard
		switches sshdata ssh-keys dhcpbackend kea rrddata radvd upnpd opnsense_guid wireguard proxyuser dnsallowoverride vxlans loopbacks
		openvpn-server openvpn-client cas staticmaps bandwidthd ups widgets_layout hifn swanctl hostapd nat64 apinger dnscrypt bsnmpd
		mvc zabbix nut dhcp pkg_repos tailscale frr netflow monit layers4 mirrors syslog-ng acme`,
})

func sets(words map[string]string) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for section, text := range words {
		all[section] = map[string]bool{}
		for word := range strings.FieldsSeq(text) {
			all[section][word] = true
		}
	}
	return all
}

// check notes the elements of a section that nobody knows.
func (r *reader) check(e *element, section string) {
	if e == nil {
		return
	}
	for _, c := range e.children {
		if !known[section][c.name] {
			r.in.Note(posture.Unparsed, c.at, "<%s> in <%s> is not known", source.Quote(c.name), source.Quote(e.name))
		}
	}
}

// unknown notes whole sections that nobody knows.
func (r *reader) unknown() { r.check(r.root, "config") }
