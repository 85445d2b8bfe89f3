package linux

import (
	"fmt"
	"os"
	"strings"
	"time"
)

type file struct{ name, text string }

// mode is 0600 but for a script, which pppd runs only when it may.
func (f file) mode() os.FileMode {
	if strings.HasPrefix(f.text, "#!") {
		return 0o700
	}
	return 0o600
}

const (
	swanConf = "/run/vpn/strongswan.conf"
	l2tpConf = "/run/vpn/xl2tpd.conf"
	pppConf  = "/run/vpn/ppp.options"
)

// strongSwanConf loads plugins by name: all of them take ten seconds. An
// exchange fails after some ten seconds without an answer, and not after three
// minutes as by default.
const strongSwanConf = `charon {
	load_modular = no
	load = random nonce openssl pem pkcs1 pkcs8 x509 constraints pubkey sha1 sha2 md5 aes hmac kdf gcm kernel-netlink socket-default stroke
	retransmit_tries = 4
	retransmit_timeout = 1.0
	retransmit_base = 1.6
	filelog {
		lab {
			path = ` + charonLog + `
			default = 1
			ike = %d
			flush_line = yes
			time_format = %%H:%%M:%%S
		}
	}
}
`

// ipsecFiles are those of strongSwan.
func (c Client) ipsecFiles() []file {
	level := 2
	if c.LogIPsecAll {
		level = 4
	}
	files := []file{
		{swanConf, fmt.Sprintf(strongSwanConf, level)},
		{"/etc/ipsec.conf", c.ipsecConf()},
	}
	if c.PSK != "" {
		return append(files, file{"/etc/ipsec.secrets", fmt.Sprintf(": PSK %q\n", c.PSK)})
	}
	return append(files,
		file{"/etc/ipsec.secrets", ": RSA machine.pem\n"},
		file{"/etc/ipsec.d/cacerts/ca.pem", string(c.CA)},
		file{"/etc/ipsec.d/certs/machine.pem", string(c.Cert)},
		file{"/etc/ipsec.d/private/machine.pem", string(c.Key)})
}

func (c Client) ipsecConf() string {
	var b lines
	b.add("config setup")
	b.add("\tuniqueids=no")
	b.add("conn " + connection)
	b.add("\tkeyexchange=ikev1")
	b.add("\ttype=transport")
	b.add("\taggressive=no")
	b.add("\tleft=%%any")
	b.add("\tleftprotoport=17/%d", c.port())
	b.add("\tright=%v", c.Server)
	b.add("\trightprotoport=17/1701")
	if c.PSK != "" {
		b.add("\tleftauth=psk")
		b.add("\trightauth=psk")
	} else {
		b.add("\tleftauth=pubkey")
		b.add("\trightauth=pubkey")
		b.add("\tleftcert=machine.pem")
		b.add("\tleftsendcert=always")
	}
	if c.ID != "" {
		b.add("\tleftid=%s", c.ID)
	}
	b.add("\trightid=%s", or(c.ServerID, "%any"))
	b.add("\tike=%s!", or(c.IKE, "aes256-sha256-modp2048"))
	b.add("\tesp=%s!", or(c.ESP, "aes256-sha256"))
	b.add("\tforceencaps=%s", yes(c.Encap))
	b.add("\tfragmentation=%s", yes(c.Fragments))
	// Both are renewed a fifth of the shorter before their end, without chance.
	ike, esp := or(c.IKELife, 3*time.Hour), or(c.ESPLife, time.Hour)
	b.add("\tikelifetime=%ds", seconds(ike))
	b.add("\tlifetime=%ds", seconds(esp))
	b.add("\tmargintime=%ds", max(1, seconds(min(ike, esp))/5))
	b.add("\trekeyfuzz=0%%")
	b.add("\treauth=yes") // IKEv1 has no other way
	if c.DPD != 0 {
		b.add("\tdpdaction=clear")
		b.add("\tdpddelay=%ds", seconds(c.DPD))
		b.add("\tdpdtimeout=%ds", 3*seconds(c.DPD))
	}
	b.add("\tkeyingtries=1")
	b.add("\tauto=add")
	for _, l := range c.MoreIPsec {
		b.add("\t%s", l)
	}
	return b.String()
}

// pppFiles are those of xl2tpd and pppd.
func (c Client) pppFiles() []file {
	files := []file{
		{l2tpConf, c.l2tpConf()},
		{pppConf, c.pppOptions()},
		{"/etc/ppp/options", ""},
		{"/etc/ppp/l2tp-secrets", ""},
		{"/etc/ppp/ip-up", c.ipUp()},
	}
	for _, name := range []string{"pap-secrets", "chap-secrets"} {
		files = append(files, file{"/etc/ppp/" + name, fmt.Sprintf("%q * %q *\n", c.User, c.Password)})
	}
	if c.EAP == nil {
		return files
	}
	return append(files,
		file{"/etc/ppp/ca.pem", string(c.EAP.CA)},
		file{"/etc/ppp/user.pem", string(c.EAP.Cert)},
		file{"/etc/ppp/user.key", string(c.EAP.Key)},
		file{"/etc/ppp/eaptls-client", fmt.Sprintf("%q %q /etc/ppp/user.pem - /etc/ppp/ca.pem /etc/ppp/user.key\n", c.User, c.EAP.Server)})
}

func (c Client) l2tpConf() string {
	var b lines
	b.add("[global]")
	b.add("port = %d", c.port())
	b.add("access control = no")
	b.add("debug state = yes")
	b.add("debug tunnel = yes")
	if c.Userspace {
		b.add("force userspace = yes")
	}
	b.add("[lac %s]", connection)
	b.add("lns = %v", c.Server)
	b.add("pppoptfile = %s", pppConf)
	b.add("length bit = yes")
	b.add("autodial = no")
	b.add("redial = no")
	for _, l := range c.MoreL2TP {
		b.add("%s", l)
	}
	return b.String()
}

func (c Client) pppOptions() string {
	var b lines
	b.add("debug")
	b.add("logfile %s", pppLog)
	b.add("unit 0")
	// A Linux client's first LCP packet often comes before the server has the
	// session, and its last one after: repeated after 3 s that makes slow tests.
	b.add("lcp-restart 1")
	b.add("noauth")
	b.add("noipdefault")
	b.add("nodefaultroute")
	b.add("ipcp-accept-local")
	b.add("ipcp-accept-remote")
	b.add("name %q", c.User)
	b.add("mtu %d", or(c.MTU, 1400))
	b.add("mru %d", or(c.MRU, 1400))
	if c.EAP != nil {
		b.add("remotename %q", c.EAP.Server)
		b.add("ca /etc/ppp/ca.pem")
		b.add("cert /etc/ppp/user.pem")
		b.add("key /etc/ppp/user.key")
		b.add("max-tls-version %s", or(c.EAP.MaxTLS, "1.2"))
	} else {
		b.add("refuse-eap")
	}
	for _, method := range c.Refuse {
		b.add("refuse-%s", method)
	}
	if c.DNS {
		b.add("usepeerdns")
	}
	if c.IPv6 {
		b.add("+ipv6")
	}
	if !c.CCP {
		b.add("noccp")
	}
	if c.Echo != 0 {
		b.add("lcp-echo-interval %d", seconds(c.Echo))
		b.add("lcp-echo-failure 3")
	}
	for _, l := range c.MorePPP {
		b.add("%s", l)
	}
	return b.String()
}

// ipUp is what pppd runs each time that IPCP is up. A link whose last
// configure-ack was lost negotiates anew after a moment (RFC 1661, Section 4.1:
// a Configure-Request in Opened), and takes the routes with it.
func (c Client) ipUp() string {
	var b lines
	b.add("#!/bin/sh")
	for _, r := range c.Routes {
		b.add("ip route replace %v dev \"$1\"", r)
	}
	return b.String()
}

func (c Client) port() uint16 { return or(c.Port, 1701) }

// lines is a file that grows by lines.
type lines struct{ strings.Builder }

func (l *lines) add(format string, args ...any) { fmt.Fprintf(l, format+"\n", args...) }

func or[T comparable](value, instead T) T {
	var none T
	if value == none {
		return instead
	}
	return value
}

func seconds(d time.Duration) int { return int(d / time.Second) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
