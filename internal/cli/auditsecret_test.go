package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canaries are secrets as people choose them, and as programs do. None may be
// seen in anything that is written.
var canaries = []string{"K4nary/Sekret", "kanarienvogel", "S2FuYXJ5S2V5Rm9yQVRlc3RPZlNpeHR5Rm91ckJpdHM"}

// confided are files with secrets in the right places and in wrong ones. $A is
// a secret with capitals and signs, $B a lower-case word, $K a key in base64.
var confided = []struct{ name, file, text string }{
	{"swanctl", "etc/swanctl/swanctl.conf", `connections {
  rw {
    version = 1
    proposals = 3des-md5-modp1024
    secret = $A
    $K==
    psk$A = x
    remote { auth = psk }
    children { net { esp_proposals = des-md5 } }
  }
}
secrets {
  ike-a { id = a
    secret = "$A" }
  eap-b { id = b
    secret = $B
    secrte = $A
  }
  # secret = $A
  $A
  ike-c {
    secret = "first
$K=="
  }
}
`},
	{"strongswan", "etc/ipsec.conf", "config setup\n  uniqueids=no\nconn a\n  authby=secret\n  keyexchange=ikev1\n  ike=3des-md5-modp1024!\n  esp=des-md5!\n  aggressive=yes\n  #secret=$A\n  : PSK \"$A\"\n: PSK \"$A\"\n: PSK \"$B\"\n%any : PSK $K==\n$K==\n  psk=$A\n  $B\n  xauth_password=$B\n  leftauth=psk:$A\n conn b // $A\n"},
	{"ipsec.secrets", "etc/ipsec.secrets", ": PSK \"$A\"\n$A\n: PKS $B\n: PSK $K==\n: RSA key.pem \"$A\"\nbob : EAP $B $A\nbob EAP $A\n: XAUTH\n\t\"$A\nd\"\n"},
	{"libreswan", "etc/ipsec.conf", "config setup\n  virtual-private=%v4:10.0.0.0/8\nconn a\n  authby=secret\n  ikev2=no\n  left=%defaultroute\n  ike=3des-md5;modp1024\n  ppk=$A\n $K==\n  : PSK \"$A\"\n"},
	{"xl2tpd", "etc/xl2tpd/xl2tpd.conf", "[global]\nport = 1701\nauth file = /etc/x\n$A\n$K==\n[lns default]\nip range = 10.0.0.2-10.0.0.9\nrequire chap = $A\nsecret = $A\npassword $B\n$B\nname = l2tp\n[$A]\n"},
	{"l2tp-secrets", "etc/xl2tpd/l2tp-secrets", "* * $A\n$A\n* $A\n"},
	{"pppd", "etc/ppp/options.xl2tpd", "auth\nrequire-pap\nname l2tpd\npassword $A\nuser bob password $A noauth\nbogus $A\n$A\npassword \"$K==\"\n$K==\n# password $A\nremotename \"x\npassword $A\n"},
	{"chap-secrets", "etc/ppp/chap-secrets", "bob * $A *\n$A\nbob \"$A\nalice * $K== 10.0.0.3 $A\n"},
	{"freeradius", "etc/freeradius/3.0/clients.conf", "client a { secret = $A }\nclient b {\n  ipaddr = 10.0.0.0/8\n  secret = \"$A\"\n  shared_secret = $A\n  $A\n  $K==\n  secret $B\n  secret \"$A\"\n # secret = $A\n  require_message_authenticator = no\n}\n$A\nhome_server x { secrte = $A }\n"},
	{"freeradius users", "etc/freeradius/3.0/users", "bob Cleartext-Password := \"$A\"\nalice Cleartxt-Password := $B\n $A\n$A\n\tReply-Message := \"$A\"\n"},
	{"freeradius unlang", "etc/freeradius/3.0/sites-enabled/default", "server default {\n authorize {\n  if (User-Password == \"$A\") { ok }\n  update control { Cleartext-Password := \"$A\" }\n  $A\n }\n $B\n}\n"},
	{"freeradius eap", "etc/freeradius/3.0/mods-enabled/eap", "eap {\n default_eap_type = md5\n tls-config x { private_key_password = $A\n $A\n }\n tls { tls = $A }\n}\n"},
	{"radiusclient", "etc/radiusclient/servers", "127.0.0.1 $A\n$A\n"},
	{"radiusclient.conf", "etc/radiusclient/radiusclient.conf", "authserver localhost\nsecret $A\n$K==\n$B\n"},
	{"wireguard", "etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = $K==\n$K==\nPostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark 0x1 -j REJECT; curl -u a:$A http://x\nPostUp = curl -u a:$A http://x\nPostDown = echo $B\n[Peer] PresharedKey = $K==\n[Interface] $A\n[Peer]\nPublicKey = $A\nPresharedKey $K==\nPresharedKye = $K==\nAllowedIPs = 0.0.0.0/0\n"},
	{"wireguard, a key before all", "etc/wireguard/wg0.conf", "$K=\n[Interface]\nAddress = 10.0.0.1/24\nPrivateKey =\n  $K=\n"},
	{"ios", "running-config", "version 15.2\nhostname r1\nenable password $A\nenable secret 0 $A\nusername bob password 0 $A\nusername bob privilege 15 password $A\nusername bob secret $B\nuser bob passwrd $B\n$B\n$A\ncrypto isakmp policy 1\n encr 3des\n authentication pre-share\n group 2\n $B\ncrypto isakmp key $A address 0.0.0.0\ncrypto isakmp key 0 $A hostname x\ncrypto isakmp key $B\ncrypto $B\ncrypto keyring k\n pre-shared-key address 0.0.0.0 0.0.0.0 key $A\n pre-shared-key hostname x $B\n $B\ncrypto ikev2 keyring k2\n peer a\n  pre-shared-key local 0 $A\n  pre-shared-key $A\n  set $B\ncrypto isakmp client configuration group g\n key $A\nvpdn-group 1\n l2tp tunnel password 0 $A\n password $B\nradius-server host 10.0.0.1 key $A\nradius-server key 0 $A\nradius server r\n address ipv4 1.2.3.4\n key $A\nsnmp-server community $A RO\ntacacs-server key $A\nppp chap password 0 $A\ninterface Virtual-Template1\n ppp authentication pap\n ppp chap password 0 $A\n ppp pap sent-username bob password 0 $A\n set $B\nntp authentication-key 1 md5 $A\nkey chain x\n key 1\n  key-string $A\nline vty 0 4\n password $A\n"},
	{"routeros", "gw.rsc", "# by RouterOS 7.10\n/ip ipsec peer\nadd name=a exchange-mode=aggressive secret=$A\n/ip ipsec identity\nadd peer=a secret=\"$A\" passwort=$B $A\n$B\n/ppp secret\nadd name=bob password=$A $K==\nadd name=bob $B\n/interface l2tp-client\nadd password=$A connect-to=1.2.3.4 name=x user=u\n/unknown menu\nadd password=$A\n/interface wifi security\nadd passphrase=$A\nset [ find password=$A ] x=1\n:global pw $A\n/radius\nadd secret=$A address=10.0.0.1 service=ppp\n/snmp community\nset [ find default=yes ] name=$A\n/user add name=x password=$A\n/interface l2tp-server server\nset enabled=yes ipsec-secret=$A use-ipsec=yes authentication=pap caller-id-type=$B\n/system script\nadd name=s source=\"/ppp secret add password=$A\"\n/ppp profile\nset default use-encryption=$A\n"},
	{"fortios", "fg.conf", "#config-version=FG60E-7.0.1:opmode=0\nconfig vpn ipsec phase1-interface\n edit \"a\"\n  set type dynamic\n  set psksecret \"$A\"\n  set proposal des-md5\n  set psksecrte $B\n  set psksecret $A\n  $B\n  $A\n  set comments \"x\n$A\"\n  set authpasswd $A\n next\nend\nconfig user local\n edit bob\n  set passwd \"$A\n$B\"\n next\nend\nconfig user radius\n edit r\n  set server 10.0.0.1\n  set secret $A\n next\nend\nconfig system admin\n edit a\n set password $A\n next\nend\nconfig vpn certificate local\n edit c\n  set password \"$A\"\n  set private-key \"-----BEGIN ENCRYPTED PRIVATE KEY-----\n$K==\n-----END ENCRYPTED PRIVATE KEY-----\"\n next\nend\nconfig user group\n edit g\n  set psk $A\n"},
	{"pfsense", "config.xml", `<?xml version="1.0"?><pfsense><version>22.9</version><system><hostname>p</hostname><user><name>a</name><password>$A</password><ipsecpsk>$A</ipsecpsk></user></system><ipsec><phase1><ikeid>1</ikeid><iketype>ikev1</iketype><mode>aggressive</mode><authentication_method>$A</authentication_method><pre-shared-key>$A</pre-shared-key><pre-shared-kye>$A</pre-shared-kye><psk x="$A">$B</psk><encryption><item><encryption-algorithm><name>3des</name></encryption-algorithm><hash-algorithm>md5</hash-algorithm><dhgroup>2</dhgroup></item></encryption></phase1><phase1><ikeid>2</ikeid><iketype>ikev2</iketype><authentication_method>pre_shared_key</authentication_method><pre-shared-key>$A</pre-shared-key></phase1><mobilekey><ident>x</ident><pre-shared-key>$A</pre-shared-key></mobilekey><client><enable/></client></ipsec><l2tp><mode>server</mode><secret>$A</secret><paporchap>pap</paporchap><user><name>u</name><password>$A</password></user><radius><secret>$A</secret></radius></l2tp><!-- $A --><openvpn><openvpn-server><tls>$A</tls><shared_key>$A</shared_key></openvpn-server></openvpn><x $A="$A">$A</x></pfsense>`},
	{"opnsense", "config.xml", `<?xml version="1.0"?><opnsense><system><hostname>p</hostname><user><name>a</name><password>$A</password></user></system><OPNsense><Swanctl><Connections><Connection uuid="a"><enabled>1</enabled><version>1</version><proposals>3des-md5-modp1024</proposals><psk>$A</psk></Connection></Connections><locals><local uuid="b"><connection>a</connection><auth>$A</auth></local></locals><remotes/><children/></Swanctl><IPsec><preSharedKeys><preSharedKey uuid="c"><ident>x</ident><keyType>PSK</keyType><Key>$A</Key><Kye>$A</Kye></preSharedKey></preSharedKeys></IPsec><wireguard><server><servers><server uuid="d"><name>w</name><privkey>$K==</privkey><psk>$A</psk></server></servers></server></wireguard></OPNsense></opnsense>`},
	{"vyos", "config.boot", "interfaces {\n ethernet eth0 {\n  address 192.0.2.1/24\n }\n l2tp $A {\n }\n}\nvpn {\n ipsec {\n  authentication {\n   psk a {\n    id x\n    secret \"$A\"\n    secrte $A\n    $A\n   }\n   $A\n  }\n  ike-group g {\n   key-exchange $A\n   proposal 1 {\n    encryption 3des\n    hash md5\n   }\n  }\n  site-to-site {\n   peer p {\n    authentication {\n     mode pre-shared-secret\n     pre-shared-secret \"$A\"\n     $A\n    }\n    $A\n    ike-group g\n   }\n  }\n }\n l2tp {\n  remote-access {\n   authentication {\n    mode local\n    protocols pap\n    local-users {\n     username bob {\n      password \"$A\"\n     }\n    }\n    radius {\n     server 10.0.0.1 {\n      key \"$A\"\n     }\n    }\n   }\n   ipsec-settings {\n    authentication {\n     mode pre-shared-secret\n     pre-shared-secret $A\n    }\n   }\n   lns {\n    shared-secret $A\n   }\n   $A\n  }\n }\n}\nsystem {\n host-name v\n login {\n  user a {\n   authentication {\n    plaintext-password $A\n   }\n  }\n }\n}\n/* $A */\n// vyos-config-version: \"ipsec@12\"\n// Release version: 1.4.0\n"},
	{"vyos commands", "vyos.txt", "set interfaces ethernet eth0 address 192.0.2.1/24\nset vpn ipsec ike-group g proposal 1 encryption 3des\nset vpn ipsec authentication psk a secret '$A'\n$A\n$B\nset vpn ipsec site-to-site peer p authentication pre-shared-secret $A\nset vpn ipsec site-to-site peer p pre-shared-secret $A\nset vpn ipsec site-to-site peer p authentication mode $A\nset vpn ipsec pre-shared-secret $A\nset vpn l2tp remote-access authentication local-users username bob password $A\nset vpn l2tp remote-access $A\nset vpn ipsec ike-group g $A\nset '$A\n"},
	{"windows", "vpn.json", `{"ComputerName":"W","VpnConnection":[{"Name":"a","TunnelType":"L2tp","L2tpIPsecAuth":"Psk","L2tpPsk":"$A","EncryptionLevel":"NoEncryption","AuthenticationMethod":["Pap"],"SharedSecret":"$A","Psk":{"x":"$A"},"ServerAddress":"v.example.org"}],"VpnS2SInterface":[{"Name":"s","SharedSecret":"$A","AuthenticationMethod":"PSKOnly","Protocol":"IKEv2","Password":"$A"}],"Radius":[{"SharedSecret":"$A"}],"RemoteAccessRadius":[{"ServerName":"x","SharedSecret":"$A"}]}`},
	{"windows, properties", "vpn.json", `{"VpnConnection":[{"Name":"a","TunnelType":"L2tp","EncryptionLevel":"$A","$K":"x","AuthenticationMethod":["$A"]}]}`},
	{"windows, broken", "vpn.json", `{"VpnConnection":[{"Name":"a","TunnelType":"L2tp","L2tpPsk":"$A" "$A"}`},
	{"windows, registry", "vpn.reg", "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\RasMan\\Parameters]\r\n\"ProhibitIpSec\"=dword:00000001\r\n\"PreSharedKey\"=\"$A\"\r\n$A\r\n\"$A\r\n\"ProhibitIpSec\"=\"$A\"\r\n"},
	{"sallyport", "sallyport.yaml", "gateway:\n  name: g\n  address: 192.0.2.1\n  secret: $A\nzones:\n  - name: a\n    protocol: l2tp\n    psk: $A\n    password: $B\n    $B: 1\n    radius:\n      secret: $A\n$A\n  : $B\nzones: $A\n"},
	{"compose", "docker-compose.yml", "services:\n  vpn:\n    image: hwdsl2/ipsec-vpn-server\n    environment:\n      - VPN_IPSEC_PSK=$A\n      - VPN_PASSWORD=$B\n      VPN_USER: bob\n      VPN_PASSWORD: $A\n    command: --psk $A\n"},
	{"environment", "vpn.env", "VPN_IPSEC_PSK='$A'\nVPN_USER=bob\nVPN_PASSWORD=$B\n$K==\nexport VPN_ADDL_PASSWORDS=\"$A $B\"\n"},
	{"unit", "etc/systemd/system/strongswan.service", "[Service]\nEnvironment=PSK=$A\nExecStart=/usr/sbin/charon-systemd --psk $A\nUser=root\n$A\n$K==\n"},
	{"keyed by hand", "etc/ipsec-tools.conf", "#!/usr/sbin/setkey -f\nflush;\nadd 10.0.0.1 10.0.0.2 esp 0x201 -E des-cbc \"$A\" -A hmac-md5 \"$A\";\nspdadd 10.0.0.1 10.0.0.2 any -P out ipsec esp/transport//require;\nadd $A;\n"},
	{"ip xfrm", "etc/keys.sh", "#!/bin/sh\nip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x1 enc 'cbc(des)' '$A' auth 'hmac(md5)' $A\n"},
	{"iptables", "etc/iptables/rules.v4", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp --dport 1701 -m string --string \"$A\" -j ACCEPT\n-A INPUT -m comment --comment \"psk $A\" -p udp --dport 1701 -m bogus $A -j ACCEPT\npassword $A\n$B\nCOMMIT\n"},
	{"nftables", "etc/nftables.conf", "table inet f {\n chain input {\n  type filter hook input priority 0;\n  udp dport 1701 accept comment \"$A\"\n  password \"$A\"\n }\n}\n"},
	{"sysctl", "etc/sysctl.d/99.conf", "net.ipv4.ip_forward = 1\nnet.ipv4.conf.all.send_redirects = 1\npassword $A\n$A\n"},
	{"rsyslog", "etc/rsyslog.d/remote.conf", "action(type=\"omfwd\" target=\"10.0.0.1\" password=\"$A\"\n*.* @@10.0.0.1;$A\n"},
	{"chrony", "etc/chrony/chrony.conf", "server 10.0.0.1 key 1\npassword $A\n"},
	{"packages", "rpm-qa.txt", "strongswan-5.9.8-1.el9.x86_64\n"},
	{"key", "etc/ipsec.d/private/k.pem", "-----BEGIN RSA PRIVATE KEY-----\n$K==\n-----END RSA PRIVATE KEY-----\n-----BEGIN $A-----\n$K==\n-----END $A-----\npassword $A\n"},
}

// withSecrets is a text with the canaries in place of their marks.
func withSecrets(text string) string {
	return strings.NewReplacer("$A", canaries[0], "$B", canaries[1], "$K", canaries[2]).Replace(text)
}

// seen is the first of the canaries in a text, in any case, as far as three
// quarters of one are enough to guess the rest.
func seen(text string) string {
	text = strings.ToLower(text)
	for _, c := range canaries {
		if strings.Contains(text, strings.ToLower(c[:len(c)*3/4])) {
			return c
		}
	}
	return ""
}

func TestNoOutputOfAnAuditHoldsASecret(t *testing.T) {
	for _, c := range confided {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, c.file, withSecrets(c.text))
			ask := [][]string{{"audit", "--all", dir}, {"audit", "--fix", dir}, {"audit", filepath.Join(dir, c.file)},
				{"migrate", "import", dir}, {"migrate", "import", "--json", dir}}
			for _, f := range formatNames() {
				ask = append(ask, []string{"audit", "--format", f, dir})
			}
			for _, args := range ask {
				env, stdout, stderr := testEnv(nil)
				Main(t.Context(), env, args)
				for _, line := range strings.Split(stdout.String()+stderr.String(), "\n") {
					if s := seen(line); s != "" {
						t.Errorf("%q shows %s: %.300s", args[:len(args)-1], s, line)
						break
					}
				}
			}
			out := filepath.Join(t.TempDir(), "new")
			env, stdout, stderr := testEnv(nil)
			Main(t.Context(), env, []string{"migrate", "import", "--output", out, dir})
			for _, f := range []string{"sallyport.yaml", "REPORT.txt"} {
				text, _ := os.ReadFile(filepath.Join(out, f))
				stdout.Write(text)
			}
			for _, line := range strings.Split(stdout.String()+stderr.String(), "\n") {
				if s := seen(line); s != "" {
					t.Errorf("migrate import --output shows %s: %.300s", s, line)
				}
			}
		})
	}
}
