package audit_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"sallyport/assure/audit"
	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

// written makes an explicit value at some line.
func written[T any](v T) posture.Value[T] {
	return posture.Written(v, posture.Pos{File: "a.conf", Line: 3, Col: 1}, "as written")
}

func subject(d posture.Dialect, kind, name string) posture.Subject {
	return posture.Subject{Dialect: d, Kind: kind, Name: name, At: posture.Pos{File: "a.conf", Line: 1}}
}

// random is a strong secret that differs by its seed.
func random(seed byte) secret.Bytes {
	b := make([]byte, 24)
	for i := range b {
		b[i] = byte(i*i*31+i*7)*5 ^ byte(i*197)>>1 ^ seed
	}
	return secret.Bytes(base64.StdEncoding.EncodeToString(b))
}

func psk(value secret.Bytes, ids ...string) posture.Secret {
	return posture.Secret{Subject: subject(posture.Swanctl, "secret", "ike-1"), Kind: posture.PSK, Storage: posture.Clear, Value: value, IDs: ids}
}

func password(user, value string) posture.Secret {
	return posture.Secret{Subject: subject(posture.PPPD, "secret", user), Kind: posture.UserPassword, Storage: posture.Clear, Value: secret.Bytes(value), IDs: []string{user}}
}

func connection(change func(*posture.Connection)) posture.Host {
	c := posture.Connection{Subject: subject(posture.Swanctl, "connection", "home"), Product: "strongSwan", V1: written(true), V2: written(true), Aggressive: written(false),
		Local: []posture.Auth{{Method: written(posture.MethodPSK)}}, Remote: []posture.Auth{{Method: written(posture.MethodPSK)}}}
	change(&c)
	return posture.Host{Name: "gw", Connections: []posture.Connection{c}}
}

func ppp(change func(*posture.PPP)) posture.Host {
	p := posture.PPP{Subject: subject(posture.PPPD, "ppp", "options"), Server: written(true), AuthNeeded: written(true), Methods: written([]posture.PPPMethod{posture.EAPTLSPPP}), Required: written(true), Refused: written([]posture.PPPMethod(nil))}
	change(&p)
	return posture.Host{Name: "gw", PPP: []posture.PPP{p}}
}

func withSecrets(h posture.Host, s ...posture.Secret) posture.Host {
	h.Secrets = append(h.Secrets, s...)
	return h
}

func hostOf(s ...posture.Secret) posture.Host { return withSecrets(posture.Host{Name: "gw"}, s...) }

// judged audits hosts one after the other and returns what one rule says.
func judged(id string, hosts ...posture.Host) []audit.Result {
	a := audit.New(audit.Options{Now: today})
	for i := range hosts {
		a.Host(&hosts[i])
	}
	a.End()
	var results []audit.Result
	for _, r := range a.Results {
		if r.Rule.ID == id {
			results = append(results, r)
		}
	}
	return results
}

// verdicts are results in short: "ok", "unassessable", or a severity.
func verdicts(results []audit.Result) string {
	var words []string
	for _, r := range results {
		if r.Outcome == audit.Found {
			words = append(words, r.Severity.String())
		} else {
			words = append(words, string(r.Outcome))
		}
	}
	return strings.Join(words, " ")
}

type judgement struct {
	rule string
	says string // what the host is, as a sentence
	host posture.Host
	want string
}

func (c judgement) run(t *testing.T) {
	t.Run(c.rule+" "+c.says, func(t *testing.T) {
		results := judged(c.rule, c.host)
		if got := verdicts(results); got != c.want {
			t.Errorf("%q, and not %q:%s", got, c.want, describe(results, nil))
		}
		for _, r := range results {
			if r.Outcome != audit.OK && r.Detail == "" || r.Outcome == audit.Found && (r.Fix == "" || r.Evidence.Origin == posture.Unknown || r.Evidence.At.File == "") {
				t.Errorf("without a sentence, a place, an origin or a fix:%s", describe([]audit.Result{r}, nil))
			}
		}
	})
}

// TestAListenerAndItsPPPAreBlamedOnce: at the listener, or at PPP if the file of
// options is why.
func TestAListenerAndItsPPPAreBlamedOnce(t *testing.T) {
	at := func(file string) posture.Value[bool] {
		return posture.Written(false, posture.Pos{File: file, Line: 3}, "no")
	}
	for file, want := range map[string]posture.Dialect{"xl2tpd.conf": posture.Xl2tpd, "options.xl2tpd": posture.PPPD} {
		results := judged("PPP-001", posture.Host{
			L2TP: []posture.L2TP{{Subject: posture.Subject{Dialect: posture.Xl2tpd, Name: "lns default", At: posture.Pos{File: "xl2tpd.conf"}}, Server: written(true), AuthNeeded: at(file), PPP: "lns default"}},
			PPP:  []posture.PPP{{Subject: posture.Subject{Dialect: posture.PPPD, Name: "lns default", At: posture.Pos{File: "options.xl2tpd"}}, Server: written(true), AuthNeeded: at("options.xl2tpd")}},
		})
		if len(results) != 1 || results[0].Outcome != audit.Found || results[0].Subject.Dialect != want {
			t.Errorf("%s:%s", file, describe(results, nil))
		}
	}
}

func TestJudgesOfPreSharedKeys(t *testing.T) {
	elsewhere := psk(nil)
	elsewhere.Storage = posture.Encrypted
	short := psk(random(1)[:18])
	anybodys := psk(random(1))
	anybodys.Anybody = written(true)
	backup := psk(random(1))
	backup.Dialect, backup.Backup = posture.IOS, true
	sealed := backup
	sealed.Storage, sealed.Value = posture.Encrypted, nil
	trap := psk(random(1))
	trap.Traps = []string{"odd number of hex digits"}
	old := psk(random(1))
	old.Changed = today.AddDate(-2, 0, 0)
	fresh := psk(random(1))
	fresh.Changed = today.AddDate(0, -1, 0)
	v1PSK := func(c *posture.Connection) {}
	aggressive := func(c *posture.Connection) { c.Aggressive = written(true) }
	for _, c := range []judgement{
		{"PSK-001", "a random key", hostOf(psk(random(1))), "ok"},
		{"PSK-001", "a word", hostOf(psk(secret.Bytes("Sunflower77"))), "high"},
		{"PSK-001", "eighteen random characters", hostOf(short), "high"},
		{"PSK-001", "sixteen random octets", hostOf(psk(secret.Bytes("\x12\x9a\xf3\x44\x81\xee\x07\xb2\xd5\x69\x3c\xa8\x5e\x90\x0b\xc7"))), "ok"},
		{"PSK-001", "an encrypted key", hostOf(elsewhere), "unassessable"},
		{"PSK-002", "a default", hostOf(psk(secret.Bytes("vpn"))), "critical"},
		{"PSK-002", "the host's name and a year", hostOf(psk(secret.Bytes("vpn-zurich-2026"), "zurich.example")), "critical"},
		{"PSK-002", "a random key", hostOf(psk(random(1))), "ok"},
		{"PSK-003", "a key for anybody", hostOf(anybodys), "high"},
		{"PSK-003", "a selector that is any", hostOf(psk(random(1), "%any")), "high"},
		{"PSK-003", "a key for 0.0.0.0/0", hostOf(psk(random(1), "0.0.0.0/0")), "high"},
		{"PSK-003", "a key for one peer", hostOf(psk(random(1), "10.1.2.3")), "ok"},
		{"PSK-003", "a key of which nothing is told", hostOf(psk(random(1))), "unassessable"},
		{"PSK-004", "a key twice in one host", hostOf(psk(random(1), "a"), psk(random(1), "b"), psk(random(2), "c")), "ok high ok"},
		{"PSK-005", "the peer's name", hostOf(psk(secret.Bytes("Zurich.Example"), "zurich.example")), "critical"},
		{"PSK-005", "the peer's name backwards", hostOf(psk(secret.Bytes("elpmaxe.hciruz"), "zurich.example")), "critical"},
		{"PSK-005", "a user's password", hostOf(psk(random(1)), password("bob", string(random(1)))), "critical ok"},
		{"PSK-005", "a key of its own", hostOf(psk(random(1)), password("bob", string(random(2)))), "ok ok"},
		{"PSK-006", "a key and XAUTH", connection(func(c *posture.Connection) {
			c.Remote = append(c.Remote, posture.Auth{Method: written(posture.MethodXAUTH), XAUTH: true})
		}), "high"},
		{"PSK-006", "a key and XAUTH that takes any password", connection(func(c *posture.Connection) {
			c.Remote = append(c.Remote, posture.Auth{Method: written(posture.MethodXAUTH), XAUTH: true, AnyWord: written(true)})
		}), "critical"},
		{"PSK-006", "a key alone", connection(v1PSK), "ok"},
		{"PSK-006", "nothing told", connection(func(c *posture.Connection) { c.Local, c.Remote = nil, nil }), "unassessable"},
		{"PSK-008", "type 7 in an export", hostOf(backup), "medium"},
		{"PSK-008", "type 6 in an export", hostOf(sealed), "ok"},
		{"PSK-009", "an odd number of digits", hostOf(trap), "medium"},
		{"PSK-009", "a carriage return", hostOf(psk(append(random(1), '\r'))), "medium"},
		{"PSK-009", "a lost quote", hostOf(psk(append(random(1), '"'))), "medium"},
		{"PSK-009", "nothing odd", hostOf(psk(random(1))), "ok"},
		{"PSK-010", "aggressive with a key", connection(aggressive), "critical"},
		{"PSK-010", "aggressive with certificates", connection(func(c *posture.Connection) {
			aggressive(c)
			c.Local, c.Remote = []posture.Auth{{Method: written(posture.MethodPubkey)}}, []posture.Auth{{Method: written(posture.MethodPubkey)}}
		}), "ok"},
		{"PSK-010", "IKEv2 alone", connection(func(c *posture.Connection) { aggressive(c); c.V1 = written(false) }), "ok"},
		{"PSK-010", "a mode that nobody tells", connection(func(c *posture.Connection) { c.Aggressive = posture.Value[bool]{} }), "unassessable"},
		{"PSK-010", "a daemon that is willing", posture.Host{Daemons: []posture.Daemon{{Subject: subject(posture.Swanctl, "daemon", "charon"), AggressivePSK: written(true)}}}, "critical"},
		{"PSK-011", "main mode with a key", connection(v1PSK), "medium"},
		{"PSK-011", "main mode with a weak key", withSecrets(connection(v1PSK), psk(secret.Bytes("Sunflower77"))), "high"},
		{"PSK-011", "main mode with a key that is weak for another", withSecrets(connection(v1PSK), psk(secret.Bytes("Sunflower77"), "somebody.else")), "medium"},
		{"PSK-011", "IKEv2 alone", connection(func(c *posture.Connection) { c.V1 = written(false) }), "ok"},
		{"PSK-013", "a key of two years", hostOf(old), "low"},
		{"PSK-013", "a key of a month", hostOf(fresh), "ok"},
		{"PSK-013", "a key without a date", hostOf(psk(random(1))), "unassessable"},
		{"PSK-013", "a file that nobody has touched", posture.Host{Secrets: []posture.Secret{psk(random(1))}, Files: []posture.File{{Path: "a.conf", ModTime: today.AddDate(-2, 0, 0)}}}, "low"},
	} {
		c.run(t)
	}
}

func TestAClientOfXAUTHHasNoUsers(t *testing.T) {
	h := connection(func(c *posture.Connection) {
		psk := posture.Auth{Method: written(posture.MethodPSK)}
		c.V1, c.Remote = written(true), []posture.Auth{psk}
		c.Local = []posture.Auth{psk, {Method: written(posture.MethodXAUTH), XAUTH: true}}
	})
	results := judged("PSK-006", h)
	if len(results) != 1 || !strings.HasPrefix(results[0].Detail, "the host comes in by XAUTH") {
		t.Errorf("%+v", results)
	}
}

func TestTheTwoEndsOfATunnelMayHaveOneKey(t *testing.T) {
	at := func(name string, ids ...string) posture.Host {
		return posture.Host{Name: name, Secrets: []posture.Secret{psk(random(1), ids...)}}
	}
	for _, c := range []struct {
		says  string
		hosts []posture.Host
		want  string
	}{
		{"each names the other", []posture.Host{at("a", "b"), at("b", "a")}, "ok ok"},
		{"both name both", []posture.Host{at("a", "a", "b"), at("b", "b", "a")}, "ok ok"},
		{"both name the same third", []posture.Host{at("a", "hub"), at("b", "hub")}, "ok high"},
		{"a third has it, too", []posture.Host{at("a", "b"), at("b", "a"), at("c", "a")}, "ok ok high"},
		{"for anybody", []posture.Host{at("a", "%any"), at("b", "%any")}, "ok high"},
	} {
		if got := verdicts(judged("PSK-004", c.hosts...)); got != c.want {
			t.Errorf("%s: %q, and not %q", c.says, got, c.want)
		}
	}
	if got := verdicts(judged("PSK-004", at("", "b"), at("", "a"))); got != "ok ok" {
		t.Errorf("hosts without a name: %q", got)
	}
	results := judged("PSK-004", at("first", "hub"), at("second", "hub"))
	if r := results[1]; r.Host != "second" || !strings.Contains(r.Detail, `"first"`) {
		t.Errorf("the later place does not name the earlier one: %s", r.Detail)
	}
}

// TestAReusedKeyCountsThePlacesBefore: those that are read later are not known yet.
func TestAReusedKeyCountsThePlacesBefore(t *testing.T) {
	results := judged("PSK-004", hostOf(psk(random(1), "a"), psk(random(1), "b"), psk(random(1), "c"), psk(random(1), "d")))
	for i, want := range []string{"", "the same key is the psk", "and at 1 more place before this one", "and at 2 more places before this one"} {
		if !strings.Contains(results[i].Detail, want) || strings.Contains(results[i].Detail, "in all") {
			t.Errorf("place %d: %s", i+1, results[i].Detail)
		}
	}
}

func TestAPasswordThatIsAnotherHostsKeyIsFound(t *testing.T) {
	results := judged("PSK-005", hostOf(psk(random(1))), posture.Host{Name: "radius", Secrets: []posture.Secret{password("bob", string(random(1)))}})
	if got := verdicts(results); got != "ok critical" || results[1].Host != "radius" {
		t.Errorf("%s%s", got, describe(results, nil))
	}
}

func TestFilesWithSecretsAreTheirOwnersAlone(t *testing.T) {
	for _, c := range []struct {
		file posture.File
		want string
	}{
		{posture.File{Dialect: posture.Swanctl, Mode: 0o600}, "ok"},
		{posture.File{Dialect: posture.Swanctl, Mode: 0o644}, "high"},
		{posture.File{Dialect: posture.Starter, Mode: 0o640}, "high"},
		{posture.File{Dialect: posture.PPPD, Mode: 0o600, UID: 1000}, "high"},
		{posture.File{Dialect: posture.FreeRADIUS, Mode: 0o640, UID: 100}, "ok"},
		{posture.File{Dialect: posture.FreeRADIUS, Mode: 0o660, UID: 100}, "high"},
		{posture.File{Dialect: posture.WireGuard, Path: "/etc/systemd/network/wg0.netdev", Mode: 0o640}, "ok"},
	} {
		c.file.HasMode, c.file.Secrets = true, true
		if c.file.Path == "" {
			c.file.Path = "secrets"
		}
		if got := verdicts(judged("PSK-007", posture.Host{Files: []posture.File{c.file}})); got != c.want {
			t.Errorf("%s %v: %q, and not %q", c.file.Dialect, c.file.Mode, got, c.want)
		}
	}
	copied := posture.Host{Files: []posture.File{{Path: "secrets", Dialect: posture.Swanctl, Secrets: true, Mode: 0o644}}}
	if got := verdicts(judged("PSK-007", copied)); got != "unassessable" {
		t.Errorf("a copy: %q", got)
	}
}

func TestRADIUSSecrets(t *testing.T) {
	radius := func(value string) posture.Secret {
		return posture.Secret{Subject: subject(posture.FreeRADIUS, "secret", "nas1"), Kind: posture.RADIUSSecret, Storage: posture.Clear, Value: secret.Bytes(value)}
	}
	for want, h := range map[string]posture.Host{"high": hostOf(radius("testing123")), "ok": hostOf(radius(string(random(1))))} {
		if got := verdicts(judged("PSK-012", h)); got != want {
			t.Errorf("%q, and not %q", got, want)
		}
	}
	if got := verdicts(judged("PSK-012", hostOf(radius("x9K!2mQ-Lp7")))); got != "high" {
		t.Errorf("eleven characters: %q", got)
	}
	other := radius(string(random(1)))
	other.Name, other.At.Line = "nas2", 9
	if got := verdicts(judged("PSK-012", hostOf(radius(string(random(1))), other))); got != "ok high" {
		t.Errorf("two clients with one secret: %q", got)
	}
	server, client := hostOf(radius(string(random(1)))), hostOf(radius(string(random(1))))
	server.Name, client.Name = "radius", "nas1"
	if got := verdicts(judged("PSK-012", server, client)); got != "ok ok" {
		t.Errorf("a server and its client: %q", got)
	}
}

func TestJudgesOfPPP(t *testing.T) {
	methods := func(m ...posture.PPPMethod) posture.Host {
		return ppp(func(p *posture.PPP) { p.Methods = written(m) })
	}
	forced := func(v bool, m ...posture.PPPMethod) posture.Host {
		return ppp(func(p *posture.PPP) { p.Methods, p.IPsecForced = written(m), written(v) })
	}
	anybodys := psk(random(1), "%any")
	wild := password("*", string(random(1)))
	open := password("*", "")
	open.Anybody = written(true)
	nowhere := password("bob", string(random(1)))
	nowhere.Server, nowhere.Hosts = []string{"*"}, []string{"*"}
	weakHash := posture.Secret{Subject: subject(posture.Libreswan, "secret", "bob"), Kind: posture.UserPassword, Storage: posture.WeakHash}
	eap := func(change func(*posture.EAP)) posture.Host {
		e := posture.EAP{Subject: subject(posture.FreeRADIUS, "eap", "eap"), Server: written(true), DefaultType: written("tls"), Methods: written([]string{"tls"}), Snakeoil: written(false), TLSMin: written("1.2")}
		change(&e)
		return posture.Host{EAP: []posture.EAP{e}}
	}
	radius := func(change func(*posture.RADIUS)) posture.Host {
		r := posture.RADIUS{Subject: subject(posture.FreeRADIUS, "radius", "nas1"), MessageAuth: written(posture.Always), LimitProxy: written(true)}
		change(&r)
		return posture.Host{RADIUS: []posture.RADIUS{r}}
	}
	l2tp := func(change func(*posture.L2TP)) posture.Host {
		l := posture.L2TP{Subject: subject(posture.Xl2tpd, "l2tp", "default"), Enabled: written(true), Server: written(true), Challenge: written(false)}
		change(&l)
		return posture.Host{L2TP: []posture.L2TP{l}}
	}
	service := func(protocol string, on bool, m ...posture.PPPMethod) posture.Host {
		return posture.Host{Services: []posture.Service{{Subject: subject(posture.RouterOS, "service", protocol), Protocol: protocol, Enabled: written(on), Methods: written(m)}}}
	}
	ike := func(eap string, local posture.Method) posture.Host {
		return connection(func(c *posture.Connection) {
			c.Local, c.Remote = []posture.Auth{{Method: written(local)}}, []posture.Auth{{Method: written(posture.MethodEAP), EAP: written([]string{eap})}}
		})
	}
	for _, c := range []judgement{
		{"PPP-001", "noauth", ppp(func(p *posture.PPP) { p.AuthNeeded = written(false) }), "critical"},
		{"PPP-001", "auth", ppp(func(p *posture.PPP) {}), "ok"},
		{"PPP-001", "nothing told", ppp(func(p *posture.PPP) { p.AuthNeeded = posture.Value[bool]{} }), "unassessable"},
		{"PPP-001", "a listener whose callers need no proof", posture.Host{L2TP: []posture.L2TP{{Subject: subject(posture.Xl2tpd, "l2tp", "lns default"), Server: written(true), AuthNeeded: written(false)}}}, "critical"},
		{"PPP-002", "PAP behind IPsec", forced(true, posture.PAP), "high"},
		{"PPP-002", "PAP in clear", forced(false, posture.PAP), "critical"},
		{"PPP-002", "EAP", methods(posture.EAPTLSPPP), "ok"},
		{"PPP-002", "a client that refuses CHAP alone", ppp(func(p *posture.PPP) {
			p.Server, p.Methods, p.Refused = written(false), posture.Value[[]posture.PPPMethod]{}, written([]posture.PPPMethod{posture.CHAPMD5})
		}), "high"},
		{"PPP-003", "CHAP", methods(posture.CHAPMD5), "medium"},
		{"PPP-003", "MS-CHAPv2", methods(posture.MSCHAPv2), "ok"},
		{"PPP-004", "MS-CHAP", methods(posture.MSCHAPv1, posture.MSCHAPv2), "high"},
		{"PPP-004", "MS-CHAPv2", methods(posture.MSCHAPv2), "ok"},
		{"PPP-005", "MS-CHAPv2 behind IPsec", forced(true, posture.MSCHAPv2), "medium"},
		{"PPP-005", "MS-CHAPv2 behind a key of everybody", withSecrets(forced(true, posture.MSCHAPv2), anybodys), "high"},
		{"PPP-005", "MS-CHAPv2 in clear", forced(false, posture.MSCHAPv2), "critical"},
		{"PPP-005", "MS-CHAPv2 and nothing told of IPsec", methods(posture.MSCHAPv2), "medium"},
		{"PPP-005", "EAP-TLS", methods(posture.EAPTLSPPP), "ok"},
		{"PPP-005", "EAP-MSCHAPv2 in IKEv2", ike("mschapv2", posture.MethodPubkey), "medium"},
		{"PPP-005", "EAP-MSCHAPv2 from a gateway with a key", ike("mschapv2", posture.MethodPSK), "high"},
		{"PPP-005", "EAP-TLS in IKEv2", ike("tls", posture.MethodPubkey), "ok"},
		{"PPP-006", "refuse and no require", ppp(func(p *posture.PPP) {
			p.Required, p.Refused = written(false), written([]posture.PPPMethod{posture.PAP, posture.CHAPMD5})
		}), "high"},
		{"PPP-006", "require", ppp(func(p *posture.PPP) { p.Refused = written([]posture.PPPMethod{posture.PAP}) }), "ok"},
		{"PPP-007", "two methods", methods(posture.MSCHAPv2, posture.EAPAny), "medium"},
		{"PPP-007", "one method", methods(posture.EAPAny), "ok"},
		{"PPP-008", "EAP-MD5 first", eap(func(e *posture.EAP) { e.DefaultType = posture.ByDefault("md5", e.At, "default of the package") }), "medium"},
		{"PPP-008", "MD5 inside TTLS", eap(func(e *posture.EAP) { e.Inner = written([]string{"md5"}) }), "medium"},
		{"PPP-008", "GTC as PAP", eap(func(e *posture.EAP) { e.GTCPAP, e.Methods = written(true), written([]string{"tls", "gtc"}) }), "medium"},
		{"PPP-008", "TLS", eap(func(e *posture.EAP) {}), "ok"},
		{"PPP-008", "EAP-MD5 in IKEv2", ike("md5", posture.MethodPubkey), "medium"},
		{"PPP-009", "snakeoil", eap(func(e *posture.EAP) { e.Snakeoil = written(true) }), "high"},
		{"PPP-009", "whatever", eap(func(e *posture.EAP) { e.KeyPassword = written(true) }), "high"},
		{"PPP-009", "a certificate of one's own", eap(func(e *posture.EAP) {}), "ok"},
		{"PPP-009", "users whose names are not checked", ppp(func(p *posture.PPP) { p.TLSVerify, p.Server = written(false), written(true) }), "high"},
		{"PPP-009", "a peer that is not checked", ppp(func(p *posture.PPP) { p.TLSVerify = written(false) }), "high"},
		{"PPP-010", "40 bits in clear", ppp(func(p *posture.PPP) { p.MPPE, p.IPsecForced = written(posture.MPPE40), written(false) }), "medium"},
		{"PPP-010", "128 bits in clear", ppp(func(p *posture.PPP) { p.MPPE, p.IPsecForced = written(posture.MPPE128), written(false) }), "ok"},
		{"PPP-010", "none behind IPsec", ppp(func(p *posture.PPP) { p.MPPE, p.IPsecForced = written(posture.NoMPPE), written(true) }), "ok"},
		{"PPP-010", "nothing told", ppp(func(p *posture.PPP) {}), "unassessable"},
		{"PPP-011", "TLS 1.0", eap(func(e *posture.EAP) { e.TLSMin = written("1.0") }), "medium"},
		{"PPP-011", "TLS 1.2", eap(func(e *posture.EAP) {}), "ok"},
		{"PPP-011", "no more than TLS 1.1", ppp(func(p *posture.PPP) { p.TLSMax = written("1.1") }), "medium"},
		{"PPP-012", "no Message-Authenticator", radius(func(r *posture.RADIUS) { r.MessageAuth = written(posture.Never) }), "high"},
		{"PPP-012", "one where there was one", radius(func(r *posture.RADIUS) { r.MessageAuth, r.LimitProxy = written(posture.Optional), written(false) }), "high"},
		{"PPP-012", "always", radius(func(r *posture.RADIUS) {}), "ok"},
		{"PPP-012", "RadSec", radius(func(r *posture.RADIUS) { r.MessageAuth, r.TLS = written(posture.Never), written(true) }), "ok"},
		{"PPP-013", "anybody", hostOf(wild), "high"},
		{"PPP-013", "anybody without a password", hostOf(open), "critical"},
		{"PPP-013", "no secret", hostOf(password("bob", "")), "high"},
		{"PPP-013", "everywhere", hostOf(nowhere), "high"},
		{"PPP-013", "a name and a secret", hostOf(password("bob", string(random(1)))), "ok"},
		{"PPP-014", "the user's name", hostOf(password("robert", "Robert")), "high"},
		{"PPP-014", "a common word", hostOf(password("bob", "sunshine1")), "high"},
		{"PPP-014", "an old hash", hostOf(weakHash), "high"},
		{"PPP-014", "a random password", hostOf(password("bob", "vT7mK2xQw9ZcR4")), "ok"},
		{"PPP-015", "no challenge", l2tp(func(l *posture.L2TP) {}), "low"},
		{"PPP-015", "no challenge of a client", l2tp(func(l *posture.L2TP) { l.Server = written(false) }), "low"},
		{"PPP-015", "a challenge", l2tp(func(l *posture.L2TP) { l.Challenge = written(true) }), "ok"},
		{"PPP-015", "IPsec", l2tp(func(l *posture.L2TP) { l.IPsec = written(posture.Always) }), "ok"},
		{"PPP-016", "PPTP", service("pptp", true), "high"},
		{"PPP-016", "PPTP off", service("pptp", false), "ok"},
		{"PPP-016", "SSTP with PAP", service("sstp", true, posture.PAP), "high"},
		{"PPP-016", "SSTP", service("sstp", true, posture.MSCHAPv2), "ok"},
		{"PPP-017", "a waiver", posture.Host{EAP: []posture.EAP{{Subject: subject(posture.Sallyport, "zone", "a"), UnboundTLS: written(true)}}}, "medium"},
		{"PPP-017", "no waiver", posture.Host{EAP: []posture.EAP{{Subject: subject(posture.Sallyport, "zone", "a"), UnboundTLS: written(false)}}}, "ok"},
	} {
		c.run(t)
	}
}

func TestTheFirewallMayForceIPsec(t *testing.T) {
	h := ppp(func(p *posture.PPP) { p.Methods = written([]posture.PPPMethod{posture.PAP}) })
	h.Firewalls = []posture.Firewall{{Subject: subject(posture.NFTables, "firewall", "inet"), L2TPOpen: written(true)}}
	if got := verdicts(judged("PPP-002", h)); got != "critical" {
		t.Errorf("UDP 1701 from anywhere: %q", got)
	}
	h.Firewalls[0].L2TPNeedsIPsec = written(true)
	if got := verdicts(judged("PPP-002", h)); got != "high" {
		t.Errorf("UDP 1701 from IPsec alone: %q", got)
	}
}

func TestJudgesOfLifetimes(t *testing.T) {
	life := func(d time.Duration) posture.Host {
		return connection(func(c *posture.Connection) { c.IKELife = written(d) })
	}
	child := func(change func(*posture.Child)) posture.Host {
		return connection(func(c *posture.Connection) {
			k := posture.Child{Subject: subject(posture.Swanctl, "child", "net"), Life: written(time.Hour), Bytes: written(uint64(0)), Packets: written(uint64(0)), ESN: written(true)}
			change(&k)
			c.Children = []posture.Child{k}
		})
	}
	esp := func(words ...string) posture.Value[[]posture.Proposal] {
		var p posture.Proposal
		for _, w := range words {
			a, ok := suite.ByKeyword(w)
			if !ok {
				t.Fatalf("no %s", w)
			}
			p.Transforms = append(p.Transforms, a.Transform)
		}
		return written([]posture.Proposal{p})
	}
	pubkey := func(change func(*posture.Connection)) posture.Host {
		return connection(func(c *posture.Connection) {
			c.Remote, c.Rekey = []posture.Auth{{Method: written(posture.MethodPubkey)}}, written(true)
			change(c)
		})
	}
	for _, c := range []judgement{
		{"KEY-001", "four hours", life(4 * time.Hour), "ok"},
		{"KEY-001", "two days", life(48 * time.Hour), "medium"},
		{"KEY-001", "no end", life(0), "medium"},
		{"KEY-001", "nothing told", connection(func(c *posture.Connection) {}), "unassessable"},
		{"KEY-001", "a connection that is off", connection(func(c *posture.Connection) { c.Disabled = true }), ""},
		{"KEY-002", "an hour", child(func(c *posture.Child) {}), "ok"},
		{"KEY-002", "a day", child(func(c *posture.Child) { c.Life = written(24 * time.Hour) }), "medium"},
		{"KEY-003", "3DES without a bound", child(func(c *posture.Child) { c.ESP = esp("3des") }), "high"},
		{"KEY-003", "3DES and a gigabyte", child(func(c *posture.Child) { c.ESP, c.Bytes = esp("3des"), written(uint64(1<<30)) }), "ok"},
		{"KEY-003", "3DES and a terabyte", child(func(c *posture.Child) { c.ESP, c.Bytes = esp("3des"), written(uint64(1<<40)) }), "high"},
		{"KEY-003", "GCM and extended numbers", child(func(c *posture.Child) { c.ESP = esp("aes256gcm16") }), "low"},
		{"KEY-003", "GCM and plain numbers", child(func(c *posture.Child) { c.ESP, c.ESN = esp("aes256gcm16"), written(false) }), "ok"},
		{"KEY-004", "rekey=no", pubkey(func(c *posture.Connection) { c.Rekey = written(false) }), "medium"},
		{"KEY-004", "certificates and reauth_time=0", pubkey(func(c *posture.Connection) { c.Reauth = written(time.Duration(0)) }), "medium"},
		{"KEY-004", "certificates and reauth_time=8h", pubkey(func(c *posture.Connection) { c.Reauth = written(8 * time.Hour) }), "ok"},
		{"KEY-004", "keys and reauth_time=0", connection(func(c *posture.Connection) { c.Rekey, c.Reauth = written(true), written(time.Duration(0)) }), "ok"},
		{"KEY-010", "relaxed", pubkey(func(c *posture.Connection) { c.Revocation = written(posture.Optional) }), "high"},
		{"KEY-010", "strict", pubkey(func(c *posture.Connection) { c.Revocation = written(posture.Always) }), "ok"},
		{"KEY-010", "nothing told", pubkey(func(c *posture.Connection) {}), "unassessable"},
		{"KEY-010", "no certificates", connection(func(c *posture.Connection) {}), "ok"},
		{"KEY-014", "a weaker source", posture.Host{Daemons: []posture.Daemon{{Subject: subject(posture.Swanctl, "daemon", "charon"), StrongRNG: written(false)}}}, "low"},
	} {
		c.run(t)
	}
}

// TestAKeyOfAESLastsLongerThanOneOf3DES: a gigabyte of a fast link is eight seconds.
func TestAKeyOfAESLastsLongerThanOneOf3DES(t *testing.T) {
	for cipher, want := range map[string]string{"3des": "rekey_bytes = 1000000000\n", "aes256gcm16": "rekey_bytes = 64000000000\n"} {
		a, _ := suite.ByKeyword(cipher)
		h := connection(func(c *posture.Connection) {
			c.Children = []posture.Child{{
				Subject: subject(posture.Swanctl, "child", "n"), ESN: written(true), Bytes: written(uint64(0)),
				ESP: written([]posture.Proposal{{Transforms: []suite.Transform{a.Transform}}}),
			}}
		})
		if r := judged("KEY-003", h); len(r) != 1 || !strings.Contains(r[0].Fix+"\n", want) {
			t.Errorf("%s: %s", cipher, describe(r, nil))
		}
	}
}

// TestARouterBetweenNetworksHasNoSessions: its files tell of no accounting, and of no
// users either.
func TestARouterBetweenNetworksHasNoSessions(t *testing.T) {
	for any, want := range map[bool]string{false: "ok", true: "unassessable"} {
		h := connection(func(c *posture.Connection) { c.Product, c.AnyPeer = "VyOS", written(any) })
		h.Daemons = []posture.Daemon{{Subject: subject(posture.VyOS, "daemon", "strongSwan"), Product: "VyOS"}}
		if got := verdicts(judged("LOG-005", h)); got != want {
			t.Errorf("peers of any address %v: %s", any, got)
		}
	}
}

// TestWhatCannotCountOctetsIsBoundByTime: before 5.0 Libreswan has no word for them, and
// extended sequence numbers (RPL-003) were a choice between two findings.
func TestWhatCannotCountOctetsIsBoundByTime(t *testing.T) {
	a, _ := suite.ByKeyword("aes256gcm16")
	host := func(version posture.Value[string], life time.Duration) posture.Host {
		h := connection(func(c *posture.Connection) {
			c.Dialect, c.Product = posture.Libreswan, "Libreswan"
			c.Children = []posture.Child{{
				Subject: subject(posture.Libreswan, "child", "n"), ESN: written(true), Bytes: posture.ByDefault(uint64(0), posture.Pos{}, ""), Life: written(life),
				ESP: written([]posture.Proposal{{Transforms: []suite.Transform{a.Transform}}}),
			}}
		})
		h.Products = []posture.Product{{Dialect: posture.Libreswan, Name: "Libreswan", Version: version}}
		return h
	}
	for _, c := range []struct {
		version posture.Value[string]
		life    time.Duration
		want    string
		fix     string
	}{
		{written("4.12"), time.Hour, "ok", ""},
		{written("4.12"), 8 * time.Hour, "low", "salifetime=1h"},
		{written("5.2"), time.Hour, "low", "ipsec-max-bytes"},
		{posture.Value[string]{}, time.Hour, "low", "ipsec-max-bytes"},
	} {
		r := judged("KEY-003", host(c.version, c.life))
		if verdicts(r) != c.want || !strings.Contains(r[0].Fix, c.fix) {
			t.Errorf("Libreswan %q, %s: %s", c.version.V, c.life, describe(r, nil))
		}
	}
}

// TestTheLinesOfAClientAreItsOwn: where nobody comes in, nothing is to be told apart.
func TestTheLinesOfAClientAreItsOwn(t *testing.T) {
	h := connection(func(c *posture.Connection) { c.Product, c.AsksAddress = "strongSwan", written(true) })
	h.Daemons = []posture.Daemon{{Subject: subject(posture.Swanctl, "daemon", "charon"), Product: "strongSwan", LogsID: written(false)}}
	if got := verdicts(judged("LOG-009", h)); got != "ok" {
		t.Error(got)
	}
}

func TestADaemonThatFetchesNothingChecksNothing(t *testing.T) {
	h := connection(func(c *posture.Connection) { c.Remote = []posture.Auth{{Method: written(posture.MethodPubkey)}} })
	h.Daemons = []posture.Daemon{{Subject: subject(posture.Swanctl, "daemon", "d"), Product: "strongSwan", StrictCRL: written(posture.Never), CRLFetch: written(false), OCSP: written(false)}}
	if r := judged("KEY-010", h); verdicts(r) != "high" || !strings.Contains(r[0].Detail, "not checked") {
		t.Errorf("%s%s", verdicts(r), describe(r, nil))
	}
}

func TestIdleAccounts(t *testing.T) {
	idle, busy := password("anna", string(random(1))), password("bob", string(random(2)))
	idle.LastLogin, busy.LastLogin = today.AddDate(-1, 0, 0), today.AddDate(0, 0, -1)
	if got := verdicts(judged("KEY-018", hostOf(idle, busy))); got != "medium ok" {
		t.Errorf("%q", got)
	}
	if got := verdicts(judged("KEY-018", hostOf(password("anna", "x"), password("bob", "y")))); got != "" {
		t.Errorf("without dates: %q", got)
	}
}

func TestJudgesOfLogs(t *testing.T) {
	daemon := func(change func(*posture.Daemon)) posture.Host {
		d := posture.Daemon{Subject: subject(posture.Swanctl, "daemon", "charon")}
		change(&d)
		return posture.Host{Daemons: []posture.Daemon{d}}
	}
	linux := func(change func(*posture.Logging)) posture.Host {
		l := posture.Logging{Subject: subject(posture.Linux, "logging", "host")}
		change(&l)
		return posture.Host{Logs: []posture.Logging{l}}
	}
	radius := func(v posture.Value[bool]) posture.Host {
		return posture.Host{EAP: []posture.EAP{{Subject: subject(posture.FreeRADIUS, "eap", "radiusd"), Server: written(true), LogsAuth: v}}}
	}
	for _, c := range []judgement{
		{"LOG-001", "silence", daemon(func(d *posture.Daemon) { d.LogsAuth = written(false) }), "medium"},
		{"LOG-001", "level 1", daemon(func(d *posture.Daemon) { d.LogsAuth = written(true) }), "ok"},
		{"LOG-001", "nothing told", daemon(func(d *posture.Daemon) {}), "unassessable"},
		{"LOG-002", "level 4", daemon(func(d *posture.Daemon) { d.LogsSecrets = written(true) }), "high"},
		{"LOG-002", "show-password under debug", ppp(func(p *posture.PPP) { p.Debug, p.ShowsSecret = written(true), written(true) }), "high"},
		{"LOG-002", "show-password without debug", ppp(func(p *posture.PPP) { p.Debug, p.ShowsSecret = written(false), written(true) }), "ok"},
		{"LOG-003", "no other host", linux(func(l *posture.Logging) { l.OffHost = written(false) }), "medium"},
		{"LOG-003", "another host", linux(func(l *posture.Logging) { l.OffHost = written(true) }), "ok"},
		{"LOG-004", "UDP", linux(func(l *posture.Logging) { l.OffHost, l.Protected = written(true), written(false) }), "low"},
		{"LOG-004", "TLS", linux(func(l *posture.Logging) { l.OffHost, l.Protected = written(true), written(true) }), "ok"},
		{"LOG-005", "no accounting", daemon(func(d *posture.Daemon) { d.Accounting = written(false) }), "medium"},
		{"LOG-005", "accounting", daemon(func(d *posture.Daemon) { d.Accounting = written(true) }), "ok"},
		{"LOG-006", "auth = no", radius(posture.ByDefault(false, posture.Pos{File: "radiusd.conf"}, "default of FreeRADIUS")), "medium"},
		{"LOG-006", "auth = yes", radius(written(true)), "ok"},
		{"LOG-007", "no time server", linux(func(l *posture.Logging) { l.TimeSync = written(false) }), "medium"},
		{"LOG-007", "local time", linux(func(l *posture.Logging) { l.TimeSync, l.UTC = written(true), written(false) }), "medium"},
		{"LOG-007", "chrony", linux(func(l *posture.Logging) { l.TimeSync = written(true) }), "ok"},
		{"LOG-008", "a week", linux(func(l *posture.Logging) { l.Retention = written(7 * 24 * time.Hour) }), "low"},
		{"LOG-008", "a year", linux(func(l *posture.Logging) { l.Retention = written(365 * 24 * time.Hour) }), "ok"},
		{"LOG-008", "for everybody", linux(func(l *posture.Logging) { l.Retention, l.Readable = written(365*24*time.Hour), written(true) }), "low"},
		{"LOG-009", "no names", daemon(func(d *posture.Daemon) { d.LogsID = written(false) }), "low"},
		{"LOG-010", "nobody looks", linux(func(l *posture.Logging) { l.Watched = written(false) }), "low"},
		{"LOG-011", "no baseline", linux(func(l *posture.Logging) { l.Baseline = written(false) }), "info"},
	} {
		c.run(t)
	}
}

func TestNoSecretReachesAResult(t *testing.T) {
	value := secret.Bytes("Sunflower77-Meadow")
	h := withSecrets(connection(func(c *posture.Connection) {}), psk(value), psk(append(value.Clone(), '\r')), password("bob", string(value)))
	a := audit.New(audit.Options{Now: today})
	a.Host(&h)
	a.End()
	for _, r := range a.Results {
		for _, s := range []string{r.Detail, r.Evidence.Value, r.Evidence.Why, r.Fix} {
			if bytes.Contains([]byte(s), []byte("Sunflower")) || bytes.Contains([]byte(s), []byte("Meadow")) {
				t.Errorf("%s: %q", r.Rule.ID, s)
			}
		}
	}
}
