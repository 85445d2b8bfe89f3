package threat

import (
	"time"

	"sallyport/assure/audit"
	"sallyport/internal/secret"
	"sallyport/posture"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// theKey must be in no document.
const theKey = "TheKeyOfAllOfThem"

func in(file string, line int) posture.Pos { return posture.Pos{File: file, Line: line} }

func sub(d posture.Dialect, kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: d, Kind: kind, Name: name, At: at}
}

func yes(at posture.Pos) posture.Value[bool] { return posture.Written(true, at, "yes") }
func no(at posture.Pos) posture.Value[bool]  { return posture.Written(false, at, "no") }

// l2tpHost is a gateway for L2TP with one key for everybody, as old guides have
// it.
func l2tpHost() *posture.Host {
	conf, secrets, users := "etc/ipsec.conf", "etc/ipsec.secrets", "etc/ppp/chap-secrets"
	l2tp := sub(posture.Libreswan, "connection", "l2tp-psk", in(conf, 4))
	return &posture.Host{
		Name:     "vpn1",
		Products: []posture.Product{{Dialect: posture.Libreswan, Name: "Libreswan", Version: posture.Written("4.12", posture.Pos{}, "4.12")}, {Dialect: posture.Xl2tpd, Name: "xl2tpd"}},
		Connections: []posture.Connection{{
			Subject: l2tp, Role: posture.Written(posture.Answers, in(conf, 5), "add"), V1: yes(in(conf, 6)), AnyPeer: yes(in(conf, 7)),
			Local:    []posture.Auth{{Method: posture.Written(posture.MethodPSK, in(conf, 8), "secret")}},
			Children: []posture.Child{{Subject: l2tp, L2TP: true, LocalTS: posture.Written([]string{"%defaultroute[udp/1701]"}, in(conf, 9), "")}},
		}},
		Secrets: []posture.Secret{
			{Subject: sub(posture.Libreswan, "secret", "%any", in(secrets, 1)), Kind: posture.PSK, Storage: posture.Clear, Value: secret.Bytes(theKey), Anybody: yes(in(secrets, 1))},
			{Subject: sub(posture.PPPD, "secret", "alice", in(users, 1)), Kind: posture.UserPassword, Storage: posture.Clear, Value: secret.Bytes(theKey)},
			{Subject: sub(posture.PPPD, "secret", "bob", in(users, 2)), Kind: posture.UserPassword, Storage: posture.Clear, Value: secret.Bytes(theKey)},
		},
		L2TP:      []posture.L2TP{{Subject: sub(posture.Xl2tpd, "l2tp", "lns default", in("etc/xl2tpd/xl2tpd.conf", 5)), Server: yes(posture.Pos{}), Listen: posture.Written([]string{"198.51.100.7"}, in("etc/xl2tpd/xl2tpd.conf", 2), "")}},
		PPP:       []posture.PPP{{Subject: sub(posture.PPPD, "ppp", "options.xl2tpd", in("etc/ppp/options.xl2tpd", 0)), Server: yes(posture.Pos{}), AuthNeeded: yes(in("etc/ppp/options.xl2tpd", 3)), ProxyARP: yes(in("etc/ppp/options.xl2tpd", 9))}},
		Firewalls: []posture.Firewall{{Subject: sub(posture.IPTables, "firewall", "filter", in("etc/iptables/rules.v4", 0)), IKEOpen: yes(in("etc/iptables/rules.v4", 8)), L2TPOpen: yes(in("etc/iptables/rules.v4", 10)), ClientToClient: no(in("etc/iptables/rules.v4", 14))}},
		Notes:     []posture.Note{{Kind: posture.Unparsed, At: in(conf, 30), Text: "a word"}, {Kind: posture.Unreadable, At: in("etc/ipsec.d/private", 0), Text: "permission denied"}},
	}
}

// certGateway takes IKEv2 with certificates alone.
func certGateway() *posture.Host {
	conf := "etc/swanctl/swanctl.conf"
	return &posture.Host{
		Name:     "gw2",
		Products: []posture.Product{{Dialect: posture.Swanctl, Name: "strongSwan", Version: posture.Written("6.0.4", posture.Pos{}, "6.0.4")}},
		Connections: []posture.Connection{{
			Subject: sub(posture.Swanctl, "connection", "rw", in(conf, 2)), Role: posture.Written(posture.Answers, in(conf, 2), ""), V2: yes(in(conf, 3)), V1: no(in(conf, 3)), AnyPeer: yes(in(conf, 4)),
			Local:    []posture.Auth{{Method: posture.Written(posture.MethodPubkey, in(conf, 6), "pubkey")}},
			Remote:   []posture.Auth{{Method: posture.Written(posture.MethodPubkey, in(conf, 9), "pubkey")}},
			Pool:     posture.Written([]string{"10.99.0.0/24"}, in(conf, 20), ""),
			Children: []posture.Child{{Subject: sub(posture.Swanctl, "child", "net", in(conf, 12)), LocalTS: posture.Written([]string{"10.1.0.0/16", "fd00:1::/48"}, in(conf, 13), ""), RemoteTS: posture.ByDefault([]string{"dynamic"}, in(conf, 12), "")}},
		}},
		Keys:      []posture.Key{{Subject: sub(posture.X509, "key", "gw2.key", in("etc/swanctl/private/gw2.key", 0)), Private: true}, {Subject: sub(posture.X509, "certificate", "ca.crt", in("etc/swanctl/x509ca/ca.crt", 0)), CA: true}},
		Firewalls: []posture.Firewall{{Subject: sub(posture.NFTables, "firewall", "inet filter", in("etc/nftables.conf", 1)), IKEOpen: yes(in("etc/nftables.conf", 9)), IKEReachable: yes(in("etc/nftables.conf", 9)), ESPReachable: yes(in("etc/nftables.conf", 10)), ForwardDrop: yes(in("etc/nftables.conf", 20))}},
		Logs:      []posture.Logging{{Subject: sub(posture.Linux, "logging", "rsyslog", in("etc/rsyslog.conf", 1)), OffHost: yes(in("etc/rsyslog.conf", 12)), Protected: yes(in("etc/rsyslog.conf", 12))}},
	}
}

// routerExport has its secrets left out by the product.
func routerExport() *posture.Host {
	file := "branch.rsc"
	return &posture.Host{
		Name:     "branch",
		Products: []posture.Product{{Dialect: posture.RouterOS, Name: "RouterOS", Version: posture.Written("7.16", in(file, 1), "7.16")}},
		Connections: []posture.Connection{{
			Subject: sub(posture.RouterOS, "connection", "hub", in(file, 10)), Role: posture.Written(posture.Initiates, in(file, 10), ""), V2: yes(in(file, 10)),
			Local:    []posture.Auth{{Method: posture.Written(posture.MethodPSK, in(file, 12), "pre-shared-key")}},
			Children: []posture.Child{{Subject: sub(posture.RouterOS, "child", "hub", in(file, 14)), LocalTS: posture.Written([]string{"192.168.88.0/24"}, in(file, 14), ""), RemoteTS: posture.Written([]string{"10.1.0.0/16"}, in(file, 14), "")}},
		}},
		Secrets:  []posture.Secret{{Subject: sub(posture.RouterOS, "secret", "hub", in(file, 12)), Kind: posture.PSK, Storage: posture.Elsewhere}},
		RADIUS:   []posture.RADIUS{{Subject: sub(posture.RouterOS, "radius", "10.1.0.5", in(file, 20)), Address: posture.Written("10.1.0.5", in(file, 20), "10.1.0.5")}},
		Services: []posture.Service{{Subject: sub(posture.RouterOS, "service", "pptp-server", in(file, 30)), Protocol: "pptp", Enabled: no(in(file, 30))}},
		Notes:    []posture.Note{{Kind: posture.Opaque, At: in(file, 12), Text: "the export leaves secrets out"}},
	}
}

// said makes the result of a rule.
func said(host, id string, o audit.Outcome, name, detail string) audit.Result {
	rule, ok := audit.ByID(id)
	if !ok {
		rule = &audit.Rule{ID: id, Title: "a rule of another day", Needs: audit.Config}
	}
	s := sub(posture.Linux, "connection", name, in("etc/"+host+".conf", 7))
	return audit.Result{Rule: rule, Outcome: o, Severity: rule.Severity, Host: host, Subject: s, Evidence: audit.Evidence{At: s.At}, Detail: detail}
}

func waived(r audit.Result, until string) audit.Result {
	day, err := time.Parse(time.DateOnly, until)
	if err != nil {
		panic(err)
	}
	r.Waived = &audit.Waiver{Rule: r.Rule.ID, Subject: "*", Owner: "net team", Reason: "two old printers", Expires: day}
	return r
}

func passes(host string, ids ...string) []audit.Result {
	var all []audit.Result
	for _, id := range ids {
		all = append(all, said(host, id, audit.OK, "it", ""))
	}
	return all
}

// three are the three hosts and what an audit might say of them.
func three() (*Collector, []audit.Result) {
	c := &Collector{}
	c.Add(l2tpHost())
	c.Add(certGateway())
	c.Add(routerExport())
	results := passes("gw2", "CRY-001", "CRY-002", "CRY-003", "CRY-004", "CRY-005", "CRY-007", "CRY-008", "CRY-010", "CRY-012", "CRY-013", "CRY-016", "CRY-019", "CRY-020", "CRY-021", "CRY-024",
		"KEY-001", "KEY-002", "KEY-005", "KEY-006", "KEY-008", "KEY-010", "KEY-012", "KEY-014", "LEAK-003", "LEAK-010", "LEAK-011", "LEAK-013", "LOG-001", "LOG-002", "LOG-003", "LOG-004", "LOG-005",
		"NAT-001", "NAT-006", "PSK-007", "PSK-008", "RPL-001", "RPL-004", "RPL-005", "RPL-006")
	results = append(results, passes("vpn1", "CRY-001", "PSK-007", "PPP-001", "PPP-002", "RPL-001", "LEAK-011")...)
	results = append(results, passes("branch", "CRY-001", "PSK-003", "PSK-010", "PSK-011", "RPL-001", "RPL-004")...)
	results = append(results,
		said("vpn1", "PSK-003", audit.Found, "%any", "the key is for any peer"),
		said("vpn1", "PSK-002", audit.Found, "%any", "the key is on a list of samples"),
		said("vpn1", "LEAK-001", audit.Found, "lns default", "UDP 1701 is taken from anywhere"),
		said("vpn1", "CRY-012", audit.Found, "l2tp-psk", "IKEv1 is answered"),
		waived(said("vpn1", "PPP-005", audit.Found, "options.xl2tpd", "MS-CHAPv2 is all that is asked"), "2026-12-31"),
		waived(said("vpn1", "PSK-011", audit.Found, "l2tp-psk", "IKEv1 with a pre-shared key"), "2026-11-25"),
		said("gw2", "CRY-022", audit.Found, "rw", "no additional key exchange"),
		said("gw2", "RPL-002", audit.Found, "net", "the window is 32 packets"),
		said("gw2", "LEAK-006", audit.Unassessable, "rw", "the files do not tell"),
		said("branch", "PSK-001", audit.Unassessable, "hub", "the export does not hold the key"),
		said("branch", "PSK-002", audit.Unassessable, "hub", "the export does not hold the key"),
		said("branch", "PPP-012", audit.Found, "10.1.0.5", "answers are taken without it"),
	)
	return c, results
}
