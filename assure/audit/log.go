package audit

import (
	"slices"
	"strings"

	"sallyport/assure/policy"
	"sallyport/posture"
)

var logRules = []Rule{
	{
		ID: "LOG-001", Title: "Logins and their failures are recorded", Severity: Medium, Risk: "R9", Checks: []string{"C8"},
		Why:  "Without a record of who came, who failed, from where and why, guessing goes unseen and a break-in cannot be traced.",
		Refs: []string{"RFC 4301, Section 4.4.2.1", "NIST SP 800-92"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:   charon("syslog {\n    daemon {\n        default = 1\n        ike = 1\n        cfg = 1\n    }\n}"),
			posture.Starter:   setup(`charondebug="ike 1, cfg 1"`),
			posture.Libreswan: setup("audit-log=yes"),
			posture.VyOS:      "set vpn ipsec log level 1\nset vpn ipsec log subsystem ike\nset vpn ipsec log subsystem cfg",
			posture.IOS:       "crypto logging session\ncrypto logging ikev2\nlogging buffered informational",
			posture.RouterOS:  `/system logging add topics=info action=disk`,
			posture.FortiOS:   "config log eventfilter\n    set event enable\n    set vpn enable\n    set user enable\nend",
			posture.PfSense:   `VPN > IPsec > Advanced Settings: IKE SA, IKE Child SA and Configuration Backend at Control`,
			posture.OPNsense:  `VPN > IPsec > Advanced Settings > Syslog: Ike, Child and Configuration at level 1, generic control flow`,
			posture.Windows:   `Set-RemoteAccessAccounting -EnableAccountingType Inbox`,
			posture.Linux:     "# in journald.conf\n[Journal]\nMaxLevelStore=info\n# and in rsyslog.conf\nauth,authpriv.* /var/log/auth.log",
		}, judge: logLogins,
	},
	{
		ID: "LOG-002", Title: "No secret reaches a log", Severity: High, Risk: "R9", Checks: []string{"C8"},
		Why:  "Logs are read, copied and kept by more people than keys are; a password in one is lost, and session keys open a recording.",
		Refs: []string{"RFC 5424, Section 8.7", "NIST SP 800-92"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:    "# in strongswan.conf, section charon.syslog.LOGGER or charon.filelog.LOGGER; level 4 writes keys\ndefault = 1\n# in strongswan.conf, section charon.plugins.save-keys\nload = no\n# then remove the old files",
			posture.Starter:    setup(`charondebug="ike 1, cfg 1"  # level 4 writes keys; then remove the old files`),
			posture.Libreswan:  setup("plutodebug=none  # \"private\" writes keys, as \"all\" did before 4.0; then remove the old files"),
			posture.RouterOS:   "/system logging remove [find topics~\"ipsec\" topics~\"debug|packet\"]  # then remove the old files",
			posture.PPPD:       "hide-password  # and no show-password; then remove the old files",
			posture.FreeRADIUS: "# in radiusd.conf; then remove the old files\nlog {\n\tauth_badpass = no\n\tauth_goodpass = no\n}",
		}, judge: logSecrets,
	},
	{
		ID: "LOG-003", Title: "Records are also kept on another host", Severity: Medium, Risk: "R9", Checks: []string{"C8"},
		Why:  "Whoever breaks in removes the traces of it first.",
		Refs: []string{"RFC 5424, Section 8.5", "NIST SP 800-92"}, Needs: Config,
		Fix: forwardByTLS, judge: logOffHost,
	},
	{
		ID: "LOG-004", Title: "Records travel over TLS", Severity: Low, Risk: "R9", Checks: []string{"C8"},
		Why:  "Over plain UDP they can be read, forged and lost on the way.",
		Refs: []string{"RFC 5425, Section 2", "RFC 5424, Section 8.8"}, Needs: Config,
		Fix: forwardByTLS, judge: logProtected,
	},
	{
		ID: "LOG-005", Title: "Sessions are accounted", Severity: Medium, Risk: "R9", Checks: []string{"C8"},
		Why:  "Only who had which inner address when, and how much went through, ties what happened inside to a user.",
		Refs: []string{"RFC 2866, Section 5"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:   charon("plugins {\n    eap-radius {\n        accounting = yes\n    }\n}") + "\n# or, in each child of swanctl.conf\nupdown = SCRIPT-THAT-RECORDS",
			posture.Starter:   "conn %default\n    leftupdown=SCRIPT-THAT-RECORDS\n# or, " + charon("plugins {\n    eap-radius {\n        accounting = yes\n    }\n}")[2:],
			posture.Libreswan: "conn %default\n    leftupdown=SCRIPT-THAT-RECORDS  # and calls \"ipsec _updown\"",
			posture.PPPD:      "plugin radius.so\n# and in radiusclient.conf: acctserver SERVER",
			posture.RouterOS:  "/radius add address=SERVER secret=SECRET service=ppp,ipsec\n# of IKE, for users by EAP and XAUTH\n/ip ipsec settings set accounting=yes xauth-use-radius=yes\n# of PPP\n/ppp aaa set use-radius=yes accounting=yes interim-update=5m",
			posture.VyOS:      "set vpn l2tp remote-access authentication mode radius\nset vpn l2tp remote-access authentication radius server SERVER key SECRET\nset vpn l2tp remote-access authentication radius accounting-interim-interval 300",
			posture.IOS:       "aaa new-model\naaa accounting network default start-stop group radius",
			posture.FortiOS:   "config log eventfilter\n    set event enable\n    set vpn enable\nend\n# and, with RADIUS, in user radius\nconfig accounting-server\n    edit 1\n        set status enable\n        set server SERVER\n        set secret SECRET\n    next\nend",
			posture.PfSense:   `VPN > IPsec > Mobile Clients: RADIUS Accounting; VPN > L2TP > Configuration, RADIUS: Accounting`,
			posture.Windows:   `Set-RemoteAccessAccounting -EnableAccountingType ExternalRadius -RadiusServer <server> -SharedSecret <secret>`,
		}, judge: logAccounting,
	},
	{
		ID: "LOG-006", Title: "The RADIUS server records logins", Severity: Medium, Risk: "R9", Checks: []string{"C8"},
		Why:  "It is where passwords are judged, and often the only place that knows why one was refused; as delivered it writes nothing.",
		Refs: []string{"RFC 2865, Section 8", "NIST SP 800-92"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.FreeRADIUS: "# in radiusd.conf\nlog {\n\tauth = yes\n}",
		}, judge: logRADIUS,
	},
	{
		ID: "LOG-007", Title: "Clocks are right and stamps are in UTC", Severity: Medium, Risk: "R9", Checks: []string{"C8"},
		Why:  "Records of two hosts cannot be joined, and certificates and waivers live too long, where clocks are wrong.",
		Refs: []string{"RFC 5424, Section 6.2.3", "RFC 8915, Section 1"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Linux:    "# in chrony.conf\nserver TIME-SERVER iburst nts\n# and: timedatectl set-timezone UTC",
			posture.IOS:      "ntp server TIME-SERVER\nclock timezone UTC 0\nservice timestamps log datetime msec show-timezone",
			posture.FortiOS:  "config system ntp\n    set ntpsync enable\nend",
			posture.RouterOS: "/system ntp client set enabled=yes\n/system ntp client servers add address=TIME-SERVER",
			posture.VyOS:     "set service ntp server TIME-SERVER\nset system time-zone UTC",
			posture.PfSense:  `System > General Setup: Timezone Etc/UTC and Timeservers`,
			posture.OPNsense: `System > Settings > General: Time zone Etc/UTC; Services > Network Time: time servers`,
		}, judge: logTime,
	},
	{
		ID: "LOG-008", Title: "Records are kept long enough, and not for everybody's eyes", Severity: Low, Risk: "R9", Checks: []string{"C8"},
		Why:  "Break-ins are found after months; and records hold names, addresses and habits.",
		Refs: []string{"NIST SP 800-92", "RFC 5424, Section 8.8"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Linux: "# in logrotate.d, for the files with records of logins and of the VPN\nweekly\nrotate 13\ncreate 0640 root adm\n# in journald.conf\n[Journal]\nStorage=persistent\nMaxRetentionSec=90day\n# in rsyslog.conf\n$FileCreateMode 0640",
		}, judge: logRetention,
	},
	{
		ID: "LOG-009", Title: "Lines of one tunnel can be joined", Severity: Low, Risk: "R9", Checks: []string{"C8"},
		Why:  "Where many peers come in at once, lines without the SA's name or number tell of no one.",
		Refs: []string{"RFC 5424, Section 6.3"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl: charon("syslog {\n    daemon {\n        ike_name = yes  # or, from 6.0 on: json = yes\n    }\n}"),
		}, judge: logJoins,
	},
	{
		ID: "LOG-010", Title: "Drops and failures are watched", Severity: Low, Risk: "R9", Checks: []string{"C8"},
		Why:  "Replays, failed integrity checks, refused logins and L2TP in clear are what an attack looks like; counters that nobody reads warn nobody.",
		Refs: []string{"RFC 4303, Section 3.4.3", "RFC 4301, Section 8.2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Linux:    "# in jail.local of fail2ban, with a filter for the daemon's refusals; and an alert on XfrmIn* of /proc/net/xfrm_stat\n[pluto]\nenabled = true",
			posture.NFTables: `nft insert rule inet filter input udp dport 1701 meta ipsec missing limit rate 10/minute log prefix '"l2tp-clear "'`,
			posture.IPTables: `iptables -I INPUT 1 -p udp --dport 1701 -m policy --dir in --pol none -m limit --limit 10/min -j LOG --log-prefix "l2tp-clear "`,
		}, judge: logWatched,
	},
	{
		ID: "LOG-011", Title: "A signed baseline shows when the configuration changes", Severity: Info, Risk: "R9", Checks: []string{"C8"},
		Why:  "A line that somebody added last night is found only by comparison.",
		Refs: []string{"NIST SP 800-128"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Linux: "# in /etc/cron.daily/sallyport-audit\nsallyport audit --baseline FILE FOLDERS",
		}, judge: logBaseline,
	},
}

// forwardByTLS sends records to another host.
var forwardByTLS = map[posture.Dialect]string{
	posture.Linux:    `*.* action(type="omfwd" target="<host>" port="6514" protocol="tcp" StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/name")  # rsyslog`,
	posture.IOS:      "logging host LOG-SERVER transport tls port 6514\n! and each one without TLS goes: no logging host LOG-SERVER",
	posture.FortiOS:  "config log syslogd setting\n    set status enable\n    set server HOST\n    set mode reliable\n    set enc-algorithm high\nend",
	posture.RouterOS: "/system logging remove [find action=remote]\n/system logging action add name=siem target=remote remote=LOG-SERVER remote-port=6514 remote-protocol=tls check-certificate=yes\n/system logging add topics=info action=siem\n# RouterOS that has no TLS for it: through a tunnel",
	posture.VyOS: "set system syslog remote HOST facility all level info\nset system syslog remote HOST protocol tcp\nset system syslog remote HOST tls enable\n" +
		"set system syslog remote HOST tls ca-certificate CA\nset system syslog remote HOST tls auth-mode certvalid\n# VyOS before 1.5 has \"host\" instead of \"remote\" and no TLS: send through a tunnel",
	posture.PfSense:  `Status > System Logs > Settings: Remote Logging, through a tunnel or with the package syslog-ng and TLS`,
	posture.OPNsense: `System > Settings > Logging > Remote: Transport TLS(4)`,
}

// logs are the settings of records that the rule applies to.
func (j *judge) logs(yield func(*posture.Logging) bool) {
	for i := range j.host.Logs {
		if l := &j.host.Logs[i]; j.rule.Applies(l.Dialect) && !yield(l) {
			return
		}
	}
}

// daemons are the IKE daemons that the rule applies to.
func (j *judge) daemons(yield func(*posture.Daemon) bool) {
	for i := range j.host.Daemons {
		if d := &j.host.Daemons[i]; j.rule.Applies(d.Dialect) && !yield(d) {
			return
		}
	}
}

// facts judges those that tell.
func (j *judge) facts(list []fact[bool], bad bool, detail string) {
	for _, f := range telling(list) {
		j.flag(f.subject, f.value, bad, detail)
	}
}

func logLogins(j *judge) {
	var list []fact[bool]
	for d := range j.daemons {
		list = append(list, fact[bool]{d.Subject, d.LogsAuth})
	}
	for l := range j.logs {
		list = append(list, fact[bool]{l.Subject, l.Auth})
	}
	j.facts(list, false, "logins and failures are not recorded")
}

func logSecrets(j *judge) {
	var list []fact[bool]
	for d := range j.daemons {
		list = append(list, fact[bool]{d.Subject, d.LogsSecrets})
	}
	for p := range j.ppps {
		if p.Dialect == posture.RouterOS {
			continue // it has no such setting: the topics of records are the daemon's
		}
		if posture.Is(p.Debug, false) {
			list = append(list, fact[bool]{p.Subject, p.Debug}) // pppd shows packets, and so passwords, only under debug
		} else {
			list = append(list, fact[bool]{p.Subject, p.ShowsSecret})
		}
	}
	for e := range j.eaps {
		list = append(list, fact[bool]{e.Subject, e.LogsSecrets})
	}
	j.facts(list, true, "keys or passwords are written into the log")
}

func logOffHost(j *judge) {
	for l := range j.logs {
		j.flag(l.Subject, l.OffHost, false, "the records stay on the host")
	}
}

func logProtected(j *judge) {
	for l := range j.logs {
		if posture.Is(l.OffHost, false) {
			j.ok(l.Subject, evidence(l.OffHost)) // LOG-003's to say
			continue
		}
		j.flag(l.Subject, l.Protected, false, "the records leave the host in clear")
	}
}

// logAccounting takes whichever accounts: the daemon, PPP, or the RADIUS server
// of the host's clients.
func logAccounting(j *judge) {
	server := slices.IndexFunc(j.host.RADIUS, func(r posture.RADIUS) bool { return posture.Is(r.Accounting, true) && !posture.Is(r.Server, true) })
	var list []fact[bool]
	add := func(s posture.Subject, v posture.Value[bool]) {
		if !posture.Is(v, true) && server >= 0 && j.host.RADIUS[server].Dialect == s.Dialect {
			v = j.host.RADIUS[server].Accounting
		}
		list = append(list, fact[bool]{s, v})
	}
	for d := range j.daemons {
		switch {
		case j.toldTwice(d):
		case !posture.Is(d.Accounting, true) && j.onlyClient(d):
			j.ok(d.Subject, at(d.At, "a client of others"))
		case !posture.Is(d.Accounting, true) && j.usersElsewhere(d):
			j.ok(d.Subject, at(d.At, "no users but those of PPP"))
		default:
			add(d.Subject, d.Accounting)
		}
	}
	for p := range j.ppps {
		switch {
		case posture.Is(p.Server, false):
		case p.Dialect == posture.PPPD && posture.Is(p.Accounting, false):
			j.foundAt(j.scaled(Low), p.Subject, evidence(p.Accounting), "sessions stand in the lines that pppd leaves in the system's log, and nobody accounts them")
		default:
			add(p.Subject, p.Accounting)
		}
	}
	each(j, j.host.RADIUS, func(r *posture.RADIUS) *posture.Subject { return &r.Subject }, func(r *posture.RADIUS) {
		if !posture.Is(r.Server, true) && !slices.ContainsFunc(list, func(f fact[bool]) bool { return f.subject.Dialect == r.Dialect }) {
			add(r.Subject, r.Accounting)
		}
	})
	j.facts(list, false, "nobody records sessions and their addresses")
}

// toldTwice tells whether a daemon is set up in two dialects, of which this one,
// strongswan.conf, has no connections: accounting is then ipsec.conf's to tell.
func (j *judge) toldTwice(d *posture.Daemon) bool {
	other := func(o posture.Daemon) bool { return o.Product == d.Product && o.Dialect == posture.Starter }
	ours := func(c posture.Connection) bool { return c.Dialect == posture.Swanctl }
	return d.Dialect == posture.Swanctl && slices.ContainsFunc(j.host.Daemons, other) && !slices.ContainsFunc(j.host.Connections, ours)
}

// onlyClient tells whether a daemon has connections, and all of them ask a
// gateway for an address: sessions are the gateway's to account.
func (j *judge) onlyClient(d *posture.Daemon) bool {
	clients := 0
	for _, c := range j.host.Connections {
		switch {
		case c.Product != d.Product || c.Disabled || c.Shunt:
		case !posture.Is(c.AsksAddress, true):
			return false
		default:
			clients++
		}
	}
	return clients > 0
}

// usersElsewhere tells whether a daemon has connections, and none of them is for
// users: they are networks with an address, or L2TP, whose users PPP knows. An
// appliance that says whether it accounts has users besides those of IKE.
func (j *judge) usersElsewhere(d *posture.Daemon) bool {
	switch d.Dialect {
	case posture.Swanctl, posture.Starter, posture.Libreswan:
	case posture.IOS, posture.VyOS:
		if d.Accounting.Known() {
			return false
		}
	default:
		return false
	}
	others := 0
	for i := range j.host.Connections {
		c := &j.host.Connections[i]
		l2tp := slices.ContainsFunc(c.Children, func(ch posture.Child) bool { return ch.L2TP }) && len(j.host.PPP) > 0
		switch {
		case c.Product != d.Product || c.Disabled || c.Shunt:
		case !l2tp && (!posture.Is(c.AnyPeer, false) || len(c.Pool.V) > 0):
			return false
		default:
			others++
		}
	}
	return others > 0
}

func logRADIUS(j *judge) {
	for e := range j.eaps {
		if !posture.Is(e.Server, false) {
			j.flag(e.Subject, e.LogsAuth, false, "logins and failures are not recorded")
		}
	}
}

func logTime(j *judge) {
	for l := range j.logs {
		switch {
		case !l.TimeSync.Known() && !posture.Is(l.UTC, false):
			j.unknown(l.Subject, "the files do not tell what sets the clock")
		case posture.Is(l.TimeSync, false):
			j.found(l.Subject, evidence(l.TimeSync), "nothing sets the clock")
		case posture.Is(l.UTC, false):
			j.found(l.Subject, evidence(l.UTC), "stamps are in local time")
		default:
			j.ok(l.Subject, evidence(l.TimeSync))
		}
	}
}

func logRetention(j *judge) {
	least := j.policy.Duration(policy.LogRetention)
	for l := range j.logs {
		switch {
		case posture.Is(l.Readable, true):
			j.found(l.Subject, evidence(l.Readable), "every account of the host may read the records")
		case !l.Retention.Known():
			j.unknown(l.Subject, "the files do not tell how long records are kept")
		case l.Retention.V > 0 && l.Retention.V < least:
			j.found(l.Subject, evidence(l.Retention), "records are kept for %s; the least is %s", days(l.Retention.V), days(least))
		default:
			j.ok(l.Subject, evidence(l.Retention))
		}
	}
}

func logJoins(j *judge) {
	for d := range j.daemons {
		if posture.Is(d.LogsID, false) && j.onlyClient(d) {
			j.ok(d.Subject, at(d.At, "a client of others, whose lines are its own"))
			continue
		}
		j.flag(d.Subject, d.LogsID, false, "lines do not carry the name or the number of their SA")
	}
}

func logWatched(j *judge) {
	var list []fact[bool]
	for l := range j.logs {
		list = append(list, fact[bool]{l.Subject, l.Watched})
	}
	each(j, j.host.Firewalls, func(f *posture.Firewall) *posture.Subject { return &f.Subject }, func(f *posture.Firewall) {
		// A rule of its own for the port drops before the end of the chain does.
		if posture.Is(f.LogsL2TP, false) && !hasL2TP(j.host) && !strings.Contains(f.LogsL2TP.Text, "1701") {
			j.foundFor(logDrops[f.Dialect], f.Subject, evidence(f.LogsL2TP), unwatched)
			return
		}
		list = append(list, fact[bool]{f.Subject, f.LogsL2TP})
	})
	j.facts(list, false, unwatched)
}

const unwatched = "nothing is raised by drops and failures"

// logDrops is for a host that has nothing to do with L2TP: what nobody let in is told
// before the end of the chain drops it.
var logDrops = map[posture.Dialect]string{
	posture.NFTables: `nft add rule inet filter input limit rate 10/minute log prefix '"input-drop "'  # last in the chain, before what drops the rest`,
	posture.IPTables: `iptables -A INPUT -m limit --limit 10/min -j LOG --log-prefix "input-drop "  # last in the chain, before what drops the rest`,
}

func logBaseline(j *judge) {
	for l := range j.logs {
		j.flag(l.Subject, l.Baseline, false, "no signed baseline of the configuration is kept")
	}
}
