package pppd

import (
	"regexp"
	"strings"
)

// The options of pppd 2.4.5 to 2.5.4 and of the plugins that come with it, by
// the number of their arguments (pppd(8) and the tables of the source). What is
// in neither list is noted.
const (
	withoutArgument = `
auth noauth require-pap +pap require-chap +chap require-mschap +mschap require-mschap-v2 +mschap-v2 require-eap
refuse-pap -pap refuse-chap -chap refuse-mschap -mschap refuse-mschap-v2 -mschap-v2 refuse-eap -eap +eap
usehostname login enable-session papcrypt need-peer-eap tls-verify-key-usage strict-secrets-files nostrict-secrets-files
debug -d nodetach -detach up_sdnotify updetach master_detach persist nopersist demand nolog nologfd ktune noktune dump dryrun
multilink mp nomultilink nomp mpshortseq nompshortseq noendpoint --version --help -h
-all noaccomp -ac -am default-asyncmap nomagic -mn default-mru -mru nopcomp -pc passive -p silent -s receive-all lcp-echo-adaptive
noccp -ccp nobsdcomp -bsdcomp nodeflate -deflate nodeflatedraft predictor1 nopredictor1 -predictor1
require-mppe +mppe nomppe -mppe require-mppe-40 +mppe-40 nomppe-40 -mppe-40 require-mppe-56 nomppe-56 require-mppe-128 +mppe-128 nomppe-128 -mppe-128
mppe-stateful nomppe-stateful noecp -ecp
noip -ip novj -vj novjccomp -vjccomp ipcp-accept-local ipcp-accept-remote noipdefault defaultroute nodefaultroute -defaultroute
replacedefaultroute noreplacedefaultroute defaultroute6 nodefaultroute6 -defaultroute6 proxyarp noproxyarp -proxyarp
usepeerdns usepeerwins ipcp-no-addresses ipcp-no-address noremoteip nosendip
+ipv6 noipv6 -ipv6 ipv6cp-accept-local ipv6cp-accept-remote ipv6cp-use-ipaddr ipv6cp-use-persistent ipv6cp-noremote ipv6cp-nosend
ipx +ipx noipx -ipx ipx-protocol ipxcp-accept-local ipxcp-accept-network ipxcp-accept-remote
hide-password show-password chapms-strip-domain srp-use-pseudonym
lock nolock crtscts -crtscts cdtrcts nocrtscts nocdtrcts -cdtrcts modem local xonxoff sync notty
map-to-ifname map-to-ttyname llc-encaps vc-encaps +dhcp6
pppol2tp_lns_mode pppol2tp_send_seq pppol2tp_recv_seq`

	withArgument = `
name +ua user password remotename pap-secrets chap-secrets srp-secrets eaptls-server eaptls-client privgroup allow-ip remotenumber allow-number
ca capath crl-dir crl max-tls-version tls-verify-method cert key pkcs12
kdebug holdoff idle maxconnect domain file call logfile logfd linkname maxfail connect-delay unit ifname child-timeout set unset
defaultroute-metric bundle plugin pass-filter pass-filter-in pass-filter-out active-filter active-filter-in active-filter-out
maxoctets mo mo-direction mo-timeout net-init-script net-preup-script net-down-script
asyncmap -as escape mru mtu lcp-echo-failure lcp-echo-interval lcp-restart lcp-max-terminate lcp-max-configure lcp-max-failure mrru endpoint
mppe bsdcomp deflate ccp-restart ccp-max-terminate ccp-max-configure ccp-max-failure
vj-max-slots ipparam ms-dns ms-wins netmask ipcp-restart ipcp-max-terminate ipcp-max-configure ipcp-max-failure ip-up-script ip-down-script ip-pre-up-script
ipv6 ipv6-up-script ipv6-down-script ipv6cp-restart ipv6cp-max-terminate ipv6cp-max-configure ipv6cp-max-failure
ipx-network ipx-node ipx-router-name ipx-routing ipxcp-restart ipxcp-max-terminate ipxcp-max-configure ipxcp-max-failure
pap-restart pap-max-authreq pap-timeout chap-restart chap-max-challenge chap-interval chap-timeout
eap-restart eap-max-sreq eap-timeout eap-max-rreq eap-interval srp-interval srp-pn-secret
connect disconnect init welcome pty socket record speed stop-bits
radius-config-file avpair realms-config-file ntlm_auth-helper promptprog passwordfd minconnect qos
pppoe-service rp_pppoe_service pppoe-ac rp_pppoe_ac pppoe-sess rp_pppoe_sess pppoe-verbose rp_pppoe_verbose pppoe-mac pppoe-host-uniq
host-uniq pppoe-padi-timeout pppoe-padi-attempts pptp_server pptp_client pptp_phone pptp_window pptp_timeout
pppol2tp pppol2tp_reorderto pppol2tp_debug_mask pppol2tp_ifname pppol2tp_tunnel_id pppol2tp_session_id`
)

// arity is the number of arguments of every option that is known.
var arity = func() map[string]int {
	m := map[string]int{}
	for _, word := range strings.Fields(withoutArgument) {
		m[word] = 0
	}
	for _, word := range strings.Fields(withArgument) {
		m[word] = 1
	}
	return m
}()

// wild are the words that say what they are by their form: a device, a speed,
// a pair of addresses, an interface of PPPoE, a circuit of ATM.
var wild = regexp.MustCompile(`^(/dev/\S+|(tty|cua|pts/)\S*|[0-9]+|[0-9]+\.[0-9]+|[0-9A-Za-z.-]*:[0-9A-Za-z.-]*|nic-\S+|(eth|en|wl|br|vlan|bond|lan|wan)[0-9A-Za-z.:-]+)$`)

func numberOfArguments(word string) (n int, known bool) {
	if n, ok := arity[word]; ok {
		return n, true
	}
	return 0, wild.MatchString(word)
}
