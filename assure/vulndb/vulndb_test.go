package vulndb

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/packages"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

func TestTheEmbeddedDataIsSound(t *testing.T) {
	if len(embedded) > 200<<10 {
		t.Errorf("%d octets", len(embedded))
	}
	seen := map[string]bool{}
	for _, r := range Load().Records {
		if key := r.ID + " " + r.Component; seen[key] {
			t.Errorf("%s is there twice", key)
		} else {
			seen[key] = true
		}
		for _, x := range r.Ranges {
			if above := x.Fixed + x.Last; x.Introduced != "" && above != "" && compare(x.Introduced, above) > 0 {
				t.Errorf("%s: the range %s is upside down", r.ID, x)
			}
		}
		if r.Date.Time().After(Load().Date.Time()) {
			t.Errorf("%s was published after the data was put together", r.ID)
		}
		if !strings.HasSuffix(r.Summary, ".") {
			t.Errorf("%s: %q is no sentence", r.ID, r.Summary)
		}
	}
	if len(seen) < 120 {
		t.Errorf("only %d records", len(seen))
	}
}

func TestThePagesHaveTheNumbersOfTheData(t *testing.T) {
	low := 0
	for _, r := range Load().Records {
		if r.Confidence == "low" {
			low++
		}
	}
	all := len(Load().Records)
	for page, want := range map[string]string{
		"vulnerability-data.md": fmt.Sprintf("Of the %d records, %d have a range that was not checked", all, low),
		"limits.md":             fmt.Sprintf("%d of %d ranges were not checked", low, all),
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/%s does not say %q", page, want)
		}
	}
}

func TestTheDataGrowsOld(t *testing.T) {
	d := &Data{Date: day("2026-11-26")}
	if got := d.Age(day("2027-02-24").Time()); got != 90*24*time.Hour {
		t.Error(got)
	}
	if got := d.Age(day("2026-11-01").Time()); got != 0 {
		t.Errorf("with a clock that is late: %v", got)
	}
}

func day(s string) (d Date) {
	d.UnmarshalText([]byte(s))
	return d
}

func record(t *testing.T, id string) *Record {
	t.Helper()
	for i := range Load().Records {
		if Load().Records[i].ID == id {
			return &Load().Records[i]
		}
	}
	t.Fatal("no record " + id)
	return nil
}

func TestUpstreamVersionsAreInTheOrderOfTheirReleases(t *testing.T) {
	order := []string{"2.6.9", "5.9.8", "5.9.12", "6.0dr14", "6.0rc1", "6.0", "6.0.1", "16.12.10", "16.12.10a", "17.3.8a", "17.9.4"}
	for i := range order[:len(order)-1] {
		if compare(order[i], order[i+1]) >= 0 || compare(order[i+1], order[i]) <= 0 {
			t.Errorf("%s is not before %s", order[i], order[i+1])
		}
	}
	if compare("6.0", "6.0.0") != 0 || compare("v7.2.5", "7.2.5") != 0 {
		t.Error("the same in another form is not the same")
	}
}

// debian is a host whose packages are those of a status file, read as of any
// other.
func debian(status, changelog string) *posture.Host {
	files := fstest.MapFS{
		"etc/os-release":      {Data: []byte("ID=debian\nVERSION_ID=\"12\"\n")},
		"var/lib/dpkg/status": {Data: []byte(status)},
	}
	if changelog != "" {
		files["usr/share/doc/strongswan-charon/changelog.Debian"] = &fstest.MapFile{Data: []byte(changelog)}
	}
	h := &posture.Host{}
	packages.Read(source.NewInput(source.New("", files, true), h))
	return h
}

func charon(version string) string {
	return "Package: strongswan-charon\nStatus: install ok installed\nSource: strongswan\nVersion: " + version + "\n"
}

func TestADistributionFixesAFlawWithoutANewVersion(t *testing.T) {
	r := record(t, "CVE-2026-78135")
	unnamed := *r
	unnamed.Distro = nil
	for _, c := range []struct {
		why       string
		record    *Record
		version   string
		changelog string
		want      State
	}{
		{"the changelog names it", &unnamed, "5.9.8-5+deb12u6", "strongswan (5.9.8-5+deb12u6) bookworm-security; urgency=high\n\n  * CVE-2026-78135: answer no CREATE_CHILD_SA too early\n", Backported},
		{"the changelog does not", &unnamed, "5.9.8-5+deb12u5", "strongswan (5.9.8-5+deb12u5) bookworm-security\n\n  * CVE-2026-47895\n", Affected},
		{"a minimal image has no changelog", &unnamed, "5.9.8-5+deb12u6", "", Unknown},
		{"the fixed version is reached", r, "5.9.8-5+deb12u6", "", Backported},
		{"and passed", r, "5.9.8-5+deb12u10", "", Backported},
		{"it is not reached", r, "5.9.8-5+deb12u5", "", Affected},
		{"upstream's fix is there", r, "6.1.0-1", "", FixedAbove},
		{"the flaw came later", r, "5.9.5-1", "", NotAffected},
		{"no version", r, "unstable", "", Unknown},
	} {
		h := debian(charon(c.version), c.changelog)
		if v := Judge(c.record, h.Packages[0], h); v.State != c.want || v.Reason == "" {
			t.Errorf("%s: %+v", c.why, v)
		}
	}
}

func TestAFixOfADistributionIsOneOfItsLine(t *testing.T) {
	for _, c := range []struct {
		id, distro, source, version string
		want                        State
	}{
		{"CVE-2026-43284", "debian 12", "linux", "6.1.170-1", Affected},
		{"CVE-2026-43284", "debian 12", "linux", "6.1.170-2", Backported},
		{"CVE-2026-43284", "debian 12", "linux", "6.1.171-1", Backported},
		{"CVE-2026-43284", "debian 12", "linux", "6.12.73-1~bpo12+1", Unknown},
		{"CVE-2026-43284", "debian 11", "linux", "6.1.153-1~deb11u1", Unknown},
		{"CVE-2026-43284", "debian 13", "linux", "6.12.86-1", Backported},
		{"CVE-2026-78135", "debian 13", "strongswan", "6.0.1-6+deb13u6", Affected},
		{"CVE-2026-78135", "debian 13", "strongswan", "6.0.1-6+deb13u7", Backported},
		{"CVE-2026-78135", "debian 12", "strongswan", "6.0.1-6~bpo12+1", Unknown},
		{"CVE-2021-45079", "debian 11", "strongswan", "5.9.1-1+deb11u4", Backported},
		{"CVE-2026-47895", "ubuntu 22.04", "strongswan", "5.9.5-2ubuntu2.6", Affected},
		{"CVE-2026-47895", "ubuntu 24.04", "strongswan", "5.9.13-2ubuntu4.24.04.4", Backported},
		{"CVE-2022-41860", "debian 11", "freeradius", "3.0.21+dfsg-2.2+deb11u1", Affected},
	} {
		p := posture.Package{Manager: "dpkg", Name: c.source, Source: c.source, Version: c.version, Distro: c.distro}
		if v := Judge(record(t, c.id), p, &posture.Host{}); v.State != c.want {
			t.Errorf("%s of %s, %s: %+v", c.version, c.distro, c.id, v)
		}
	}
}

func TestARangeThatNamesItsLastVersionHoldsAllOfItsLine(t *testing.T) {
	r := record(t, "CVE-2024-3652") // to 4.14
	wantStates(t, r, "rpm", "libreswan", "-1.el9", map[string]State{"4.14": Unknown, "4.14.1": Unknown, "4.15": FixedAbove, "3.21": NotAffected})
}

// TestAKernelWithoutTheFixIsNotTakenForOneWithIt: the stable branches got the fix
// of ESP's buffer in their reviews of 21 and 25 March 2022.
func TestAKernelWithoutTheFixIsNotTakenForOneWithIt(t *testing.T) {
	r := record(t, "CVE-2022-27666")
	wantStates(t, r, "dpkg", "linux", "-1", map[string]State{
		"4.9.300": NotAffected, "4.19.236": Unknown, "4.19.237": FixedAbove, "5.4.187": Unknown, "5.4.188": FixedAbove, "5.10.107": Unknown, "5.10.108": FixedAbove,
	})
}

// TestABuildOfWindowsIsHeldAgainstItsOwnLine: each release has its own fixed build,
// and ComputerInfo tells the release without it. What had no support any more has
// no fix.
func TestABuildOfWindowsIsHeldAgainstItsOwnLine(t *testing.T) {
	r := record(t, "CVE-2022-34722")
	wantStates(t, r, "firmware", "Windows", "", map[string]State{
		"10.0.17763": Unknown, "10.0.17763.3406": FixedAbove, "10.0.17763.2000": Affected, "10.0.18363.2274": Affected,
		"10.0.20348.587": Affected, "10.0.20348": Unknown, "10.0.20348.1006": FixedAbove, "10.0.26100": FixedAbove, "10.0.26100.1": FixedAbove, "6.3.9600.20000": Affected, "6.3.9600.20571": FixedAbove,
	})
}

// wantStates judges versions of one package, each with the revision behind it.
func wantStates(t *testing.T, r *Record, manager, name, revision string, all map[string]State) {
	t.Helper()
	for version, want := range all {
		p := posture.Package{Manager: manager, Name: name, Source: name, Version: version + revision}
		if v := Judge(r, p, &posture.Host{}); v.State != want {
			t.Errorf("%s: %+v", version, v)
		}
	}
}

func TestAlpineAndRHELHaveTheirOwnFixedVersions(t *testing.T) {
	for _, c := range []struct {
		id, distro, manager, source, version string
		want                                 State
	}{
		{"CVE-2025-62291", "alpine 3.22", "apk", "strongswan", "5.9.14-r0", Affected},
		{"CVE-2025-62291", "alpine 3.22", "apk", "strongswan", "5.9.14-r1", Backported},
		{"CVE-2025-62291", "alpine 3.22", "apk", "strongswan", "6.0.1-r0", Unknown},
		{"CVE-2021-45079", "alpine 3.15", "apk", "strongswan", "5.9.1-r4", Backported},
		{"CVE-2022-41859", "rhel 9", "rpm", "freeradius", "3.0.21-36.el9", Affected},
		{"CVE-2022-41859", "almalinux 9", "rpm", "freeradius", "3.0.21-37.el9", Backported},
	} {
		p := posture.Package{Manager: c.manager, Name: c.source, Source: c.source, Version: c.version, Distro: c.distro}
		if v := Judge(record(t, c.id), p, &posture.Host{}); v.State != c.want && !(c.want == Affected && v.State == Unreachable) {
			t.Errorf("%s of %s, %s: %+v", c.version, c.distro, c.id, v)
		}
	}
}

func TestAShortVersionOfARouterIsNotTakenForItsFirstRelease(t *testing.T) {
	r := record(t, "CVE-2023-20198")
	for version, want := range map[string]State{"16.9": Affected, "17.3": Unknown, "17.9.4a": FixedAbove, "17.9.4": Affected, "17.10": Affected, "17.12": Unknown, "17.18": FixedAbove} {
		p := posture.Package{Manager: "firmware", Name: "IOS XE", Source: "IOS XE", Version: version}
		if v := Judge(r, p, &posture.Host{}); v.State != want {
			t.Errorf("%s: %+v", version, v)
		}
	}
}

func TestARevisionOfPfSenseIsOfSeveralReleases(t *testing.T) {
	r := record(t, "CVE-2023-42326") // fixed in 2.7.1
	for version, want := range map[string]State{"2.6.0": Affected, "2.7.0": Unknown, "2.7.2": FixedAbove} {
		p := posture.Package{Manager: "firmware", Name: "pfsense", Source: "pfsense", Version: version}
		if v := Judge(r, p, &posture.Host{}); v.State != want {
			t.Errorf("%s: %+v", version, v)
		}
	}
}

func TestEachManagerHasItsOrder(t *testing.T) {
	for _, c := range []struct {
		manager, installed, fixed string
		yes, ok                   bool
	}{
		{"dpkg", "1:1.0-1", "2.0-1", true, true},
		{"dpkg", "5.9.8-5+deb12u5", "5.9.8-5+deb12u6", false, true},
		{"dpkg", "2.4.8-1~exp1", "2.4.8-1", false, true},
		{"rpm", "4.12-2.el9_4.1", "4.12-2.el9_4.1", true, true},
		{"rpm", "4.12-1.el9", "4.12-2.el9", false, true},
		{"apk", "5.9.14-r1", "5.9.14-r0", true, true},
		{"apk", "5.9.13-r2", "5.9.14-r0", false, true},
		{"firmware", "7.2", "7.1", false, false},
		{"dpkg", "", "1", false, false},
		{"dpkg", strings.Repeat("1", 1000), "1", false, false},
	} {
		if yes, ok := reaches(c.manager, c.installed, c.fixed); ok != c.ok || ok && yes != c.yes {
			t.Errorf("%s %s of %s: %v, %v", c.manager, c.installed, c.fixed, yes, ok)
		}
	}
}

func TestWhatIsNotConfiguredIsNotReached(t *testing.T) {
	yes := func(v bool) posture.Value[bool] { return posture.Written(v, posture.Pos{File: "f", Line: 1}, "") }
	swan := posture.Subject{Dialect: posture.Swanctl, Kind: "connection", Name: "rw"}
	by := func(method posture.Method, eap ...string) posture.Auth {
		return posture.Auth{Method: posture.Written(method, posture.Pos{}, ""), EAP: posture.Written(eap, posture.Pos{}, "")}
	}
	conn := posture.Connection{
		Subject: swan, V1: yes(false), V2: yes(true), Role: posture.Written(posture.Answers, posture.Pos{}, ""),
		Local: []posture.Auth{by(posture.MethodPubkey)}, Remote: []posture.Auth{by(posture.MethodEAP, "ttls")},
		IKE: posture.Written([]posture.Proposal{{}}, posture.Pos{}, ""),
	}
	pubkey := conn
	pubkey.Remote = []posture.Auth{by(posture.MethodPubkey)}
	whatever := conn
	whatever.Remote = []posture.Auth{by(posture.MethodEAP, "dynamic")}
	hybrid := conn
	hybrid.IKE = posture.Written([]posture.Proposal{{AddKE: []suite.Transform{{}}}}, posture.Pos{}, "")
	loaded := func(names ...string) []posture.Daemon {
		return []posture.Daemon{{Subject: swan, Plugins: posture.Written(names, posture.Pos{}, "")}}
	}
	for _, c := range []struct {
		why  string
		when string
		host posture.Host
		want Answer
	}{
		{"nothing is known", "ikev1", posture.Host{}, Untold},
		{"no connection takes it", "ikev1", posture.Host{Connections: []posture.Connection{conn}}, No},
		{"a connection takes it", "ikev2", posture.Host{Connections: []posture.Connection{conn}}, Yes},
		{"the method is in use", "plugin:eap-ttls", posture.Host{Connections: []posture.Connection{conn}}, Yes},
		{"the method is in use, and the plugin is not loaded", "plugin:eap-ttls", posture.Host{Connections: []posture.Connection{conn}, Daemons: loaded("gmp")}, No},
		{"no connection has EAP", "plugin:eap-ttls", posture.Host{Connections: []posture.Connection{pubkey}, Daemons: loaded("eap-ttls")}, No},
		{"the peer chooses the method", "plugin:eap-ttls", posture.Host{Connections: []posture.Connection{whatever}}, Untold},
		{"plugins are not known", "plugin:gmp", posture.Host{Connections: []posture.Connection{conn}}, Untold},
		{"it is loaded", "plugin:gmp", posture.Host{Daemons: loaded("gmp")}, Yes},
		{"no connection is a client", "role:client", posture.Host{Connections: []posture.Connection{conn}}, No},
		{"an additional key exchange", "multi-ke", posture.Host{Connections: []posture.Connection{hybrid}}, Yes},
		{"no additional key exchange", "multi-ke", posture.Host{Connections: []posture.Connection{conn}}, No},
		{"not aggressive without IKEv1", "ikev1-aggressive", posture.Host{Connections: []posture.Connection{conn}}, No},
		{"dpkg lists all packages", "charon-tkm", posture.Host{}, No},
		{"a module that may not be loaded", "module:esp4", posture.Host{Kernel: []posture.Kernel{{Key: "modprobe.blacklist.esp4", Value: posture.Written("install", posture.Pos{}, "")}}}, No},
		{"modprobe.d says nothing", "module:esp4", posture.Host{}, Untold},
		{"who has an account", "local", posture.Host{}, Untold},
	} {
		r := &Record{Reach: [][]string{{c.when}}}
		p := posture.Package{Manager: "dpkg", Source: "strongswan", Name: "strongswan"}
		if got, where := r.reach(&p, &c.host); got != c.want || got != Untold && where.Text == "" {
			t.Errorf("%s: %s is %d (%s), want %d", c.why, c.when, got, where.Text, c.want)
		}
	}
}

func TestAServerOfPPPIsNoClient(t *testing.T) {
	link := func(server bool) posture.PPP {
		return posture.PPP{Subject: posture.Subject{Dialect: posture.PPPD}, Server: posture.Written(server, posture.Pos{}, "")}
	}
	r := record(t, "CVE-2026-75883")
	p := posture.Package{Manager: "dpkg", Source: "ppp", Version: "2.5.2-1", Changelog: []string{}}
	for _, c := range []struct {
		links []posture.PPP
		want  State
		reach Answer
	}{
		{[]posture.PPP{link(true)}, Unreachable, No},
		{[]posture.PPP{link(true), link(false)}, Affected, Yes},
		{nil, Affected, Untold},
	} {
		if v := Judge(r, p, &posture.Host{PPP: c.links}); v.State != c.want || v.Reach != c.reach {
			t.Errorf("%d links: %+v", len(c.links), v)
		}
	}
}

func TestAMethodOfAnyEAPServerCounts(t *testing.T) {
	server := func(methods ...string) posture.EAP {
		return posture.EAP{Subject: posture.Subject{Dialect: posture.FreeRADIUS}, Methods: posture.Written(methods, posture.Pos{}, "")}
	}
	r := record(t, "CVE-2019-11235")
	p := posture.Package{Manager: "dpkg", Source: "freeradius", Version: "3.0.17+dfsg-1", Distro: "debian 10", Changelog: []string{}}
	for _, c := range []struct {
		servers []posture.EAP
		want    State
	}{
		{[]posture.EAP{server("tls"), server("pwd")}, Affected},
		{[]posture.EAP{server("tls"), server("ttls")}, Unreachable},
	} {
		if v := Judge(r, p, &posture.Host{EAP: c.servers}); v.State != c.want {
			t.Errorf("%+v", v)
		}
	}
}

func TestOneListOfConditionsMustHoldAsAWhole(t *testing.T) {
	r := &Record{Component: "strongswan", Ranges: []Range{{Fixed: "6.1.0"}}, Reach: [][]string{{"plugin:gmp", "fips"}, {"charon-tkm"}}}
	p := posture.Package{Manager: "dpkg", Source: "strongswan", Version: "5.9.8-1", Changelog: []string{}}
	h := &posture.Host{Daemons: []posture.Daemon{{Subject: posture.Subject{Dialect: posture.Starter}, Plugins: posture.Written([]string{"openssl"}, posture.Pos{}, "")}}}
	v := Judge(r, p, h)
	if v.State != Unreachable || !strings.Contains(v.Reason, "the plugin gmp is not loaded, and charon-tkm is not installed") {
		t.Errorf("%+v", v)
	}
	h.Daemons[0].Plugins.V = []string{"gmp"}
	if v := Judge(r, p, h); v.State != Affected || v.Reach != Untold {
		t.Errorf("%+v", v)
	}
}

func TestOnlySignedDataIsTaken(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(nil)
	other, _, _ := ed25519.GenerateKey(nil)
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	sig := ed25519.Sign(private, embedded)
	data := write("data.json", embedded)
	raw := write("raw.sig", sig)
	text := write("text.sig", []byte(base64.StdEncoding.EncodeToString(sig)+"\n"))
	for _, s := range []string{raw, text} {
		if d, err := LoadFile(data, s, public); err != nil || len(d.Records) != len(Load().Records) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if _, err := LoadFile(data, raw, other); !errors.Is(err, ErrSignature) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := LoadFile(data, raw, nil); !errors.Is(err, ErrSignature) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := LoadFile(write("changed.json", append([]byte(" "), embedded...)), raw, public); !errors.Is(err, ErrSignature) {
		t.Errorf("after a change: %v", err)
	}
	if _, err := LoadFile(data, write("short.sig", sig[:10]), public); err == nil {
		t.Error("a short signature is taken")
	}
	if _, err := LoadFile(data, filepath.Join(dir, "none.sig"), public); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a signature: %v", err)
	}
}

func TestAKeyIsReadFromPEM(t *testing.T) {
	public, _, _ := ed25519.GenerateKey(nil)
	der, _ := x509.MarshalPKIXPublicKey(public)
	got, err := PublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil || !got.Equal(public) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := PublicKey([]byte(bad)); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}

func TestDataOfAnotherFormIsRefused(t *testing.T) {
	record := `{"id":"CVE-2020-1","component":"ppp","severity":"high","summary":"s.","source":"https://x","date":"2020-01-01"}`
	file := func(record string) string {
		return `{"schema":1,"date":"2026-01-01","records":[` + record + `]}`
	}
	if _, err := Parse([]byte(file(record))); err != nil {
		t.Fatal(err)
	}
	for why, text := range map[string]string{
		"schema":     strings.Replace(file(record), `"schema":1`, `"schema":2`, 1),
		"no records": file(""),
		"no date":    strings.Replace(file(record), `"date":"2026-01-01",`, "", 1),
		"component":  file(strings.Replace(record, "ppp", "pppp", 1)),
		"severity":   file(strings.Replace(record, "high", "huge", 1)),
		"source":     file(strings.Replace(record, "https", "http", 1)),
		"condition":  file(strings.Replace(record, `"severity"`, `"reach":[["sometimes"]],"severity"`, 1)),
		"no name":    file(strings.Replace(record, `"severity"`, `"reach":[["plugin:"]],"severity"`, 1)),
		"range":      file(strings.Replace(record, `"severity"`, `"ranges":[{"fixed":"x"}],"severity"`, 1)),
		"both ends":  file(strings.Replace(record, `"severity"`, `"ranges":[{"fixed":"1","last":"1"}],"severity"`, 1)),
		"new field":  file(strings.Replace(record, `"severity"`, `"more":1,"severity"`, 1)),
		"no JSON":    "{",
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: taken", why)
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("dpkg", "5.9.8-5+deb12u6", "debian 12", "5.9.8")
	f.Add("rpm", "4.12-2.el9_4.1", "rhel 9", "4.12")
	f.Add("apk", "5.9.14_rc1-r1", "alpine 3.20", "1.0_p1-r0")
	f.Fuzz(func(t *testing.T, manager, version, distro, fixed string) {
		for _, c := range Components {
			p := posture.Package{Manager: manager, Name: c, Source: c, Version: version, Distro: distro}
			for _, r := range Load().Of(&p) {
				Judge(r, p, &posture.Host{})
			}
		}
		for _, m := range []string{"dpkg", "rpm", "apk"} {
			reaches(m, version, fixed)
		}
		compare(version, fixed)
	})
}

func FuzzParse(f *testing.F) {
	f.Add(embedded[:2000])
	f.Add([]byte(`{"schema":1,"date":"2026-01-01","records":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) { Parse(b) })
}
