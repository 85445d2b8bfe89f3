package linux_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/linux"
	"sallyport/posture/source"
)

func read(t testing.TB, files ...string) *posture.Host {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return readFS(fsys)
}

func readFS(fsys fstest.MapFS) *posture.Host {
	h := &posture.Host{}
	in := source.NewInput(source.New("", fsys, true), h)
	all, _ := in.Walk(".")
	var claimed []string
	for _, p := range all {
		if !strings.HasPrefix(p, "usr/lib/") && linux.Claims(p, func() []byte { return in.Head(p, 8<<10) }) {
			claimed = append(claimed, p)
		}
	}
	linux.Read(in.For("", claimed))
	return h
}

func kernel(h *posture.Host, key string) posture.Value[string] {
	var v posture.Value[string]
	for _, k := range h.Kernel {
		if k.Key == key {
			v = k.Value
		}
	}
	return v
}

func TestTheLastSettingWins(t *testing.T) {
	h := read(t,
		"etc/sysctl.conf", "net.ipv4.ip_forward=1\n",
		"etc/sysctl.d/99-z.conf", "net.ipv4.conf.all.rp_filter = 0\nnet/ipv4/conf/eth0.1/send_redirects=1\n",
		"etc/sysctl.d/10-a.conf", "# a comment\n-net.ipv4.conf.all.rp_filter = 2\nnet.ipv4.ip_forward=0\nkernel.panic=1\n",
		"usr/lib/sysctl.d/10-a.conf", "net.ipv4.conf.default.rp_filter=2\n",
		"usr/lib/sysctl.d/50-default.conf", "net.ipv4.conf.*.accept_source_route = 1\n-net.ipv4.conf.all.accept_source_route\n")
	for key, want := range map[string]string{
		"net.ipv4.conf.all.rp_filter":               "0 explicit",
		"net.ipv4.ip_forward":                       "1 explicit",
		"net.ipv4.conf.eth0/1.send_redirects":       "1 explicit",
		"net.ipv4.conf.default.rp_filter":           "0 default", // the file of the same name in etc hides it
		"net.ipv4.conf.all.accept_redirects":        "0 default", // with forwarding
		"net.ipv4.conf.default.accept_source_route": "1 explicit",
		"net.ipv4.conf.all.accept_source_route":     "0 default", // left out of the pattern
		"kernel.panic":                              " unknown",
	} {
		v := kernel(h, key)
		if got := v.V + " " + v.Origin.String(); got != want {
			t.Errorf("%s is %q (%s), want %q", key, got, v.Why, want)
		}
	}
}

func TestALineOfSysctlThatIsNoneIsNoted(t *testing.T) {
	h := read(t, "etc/sysctl.conf", "what is this\n")
	if len(h.Notes) != 1 || h.Notes[0].At.Line != 1 {
		t.Errorf("%v", h.Notes)
	}
	if v := kernel(h, "net.ipv4.conf.all.rp_filter"); v.Origin != posture.Inferred {
		t.Errorf("without the distribution's files: %s", v.Origin)
	}
}

func TestAModuleIsKeptOutByBothWords(t *testing.T) {
	h := read(t, "etc/modprobe.d/dirty.conf", "blacklist esp4\ninstall esp6 /bin/false\ninstall nf_tables /sbin/modprobe x\nblacklist pcspkr\n")
	if got := kernel(h, "modprobe.blacklist.esp4"); got.V != "blacklist" || got.At.Line != 1 {
		t.Errorf("%+v", got)
	}
	if got := kernel(h, "modprobe.blacklist.esp6"); got.V != "install" || len(h.Kernel) != 2 {
		t.Errorf("%+v of %d", got, len(h.Kernel))
	}
}

func logs(t *testing.T, files ...string) posture.Logging {
	t.Helper()
	h := read(t, files...)
	if len(h.Logs) != 1 {
		t.Fatalf("%d entries, want 1; notes %v", len(h.Logs), h.Notes)
	}
	return h.Logs[0]
}

const debianRsyslog = "module(load=\"imuxsock\")\n$FileOwner root\n$FileCreateMode 0640\n$IncludeConfig /etc/rsyslog.d/*.conf\nauth,authpriv.*\t\t\t/var/log/auth.log\n*.*;auth,authpriv.none\t\t-/var/log/syslog\n"

func TestAForwardIsProtectedByTLSAlone(t *testing.T) {
	for _, c := range []struct {
		name, rule         string
		offHost, protected bool
	}{
		{"nothing", "", false, false},
		{"UDP", "*.* @logs.example.net:514", true, false},
		{"TCP in the clear", "*.* @@logs.example.net:514", true, false},
		{"TCP with a driver", "$DefaultNetstreamDriver gtls\n$ActionSendStreamDriverMode 1\n*.* @@(o)logs.example.net:6514", true, true},
		{"a driver that is not asked for", "$DefaultNetstreamDriver gtls\n*.* @@logs.example.net:6514", true, false},
		{"an action", `*.* action(type="omfwd" target="192.0.2.9" port="514" protocol="udp")`, true, false},
		{"an action with TLS over lines", "action(type=\"omfwd\"\n  target=\"a\" protocol=\"tcp\"\n  StreamDriver=\"ossl\" StreamDriverMode=\"1\"\n)", true, true},
		{"RELP with TLS", `action(type="omrelp" target="a" tls="on")`, true, true},
		{"one of two ways", "*.* @a\naction(type=\"omrelp\" target=\"a\" tls=\"on\")", true, false},
		{"a local file", `action(type="omfile" file="/var/log/x")`, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := logs(t, "etc/rsyslog.conf", debianRsyslog, "etc/rsyslog.d/50.conf", c.rule+"\n")
			if !l.OffHost.Known() || l.OffHost.V != c.offHost {
				t.Errorf("off host: %+v", l.OffHost)
			}
			if l.Protected.V != c.protected || l.Protected.Known() != c.offHost {
				t.Errorf("protected: %+v", l.Protected)
			}
			if !posture.Is(l.Auth, true) || !posture.Is(l.Readable, false) {
				t.Errorf("auth %+v, readable %+v", l.Auth, l.Readable)
			}
		})
	}
}

func TestSyslogNGForwardsFromDestinations(t *testing.T) {
	conf := "@version: 4.2\nsource s_net { network(port(514)); };\ndestination d_net {\n  syslog(\"logs\" port(6514)\n    %s password(\"geheim\"));\n};\n"
	if l := logs(t, "etc/syslog-ng/syslog-ng.conf", fmt.Sprintf(conf, `transport("tls") tls(ca-dir("/x"))`)); !posture.Is(l.Protected, true) || strings.Contains(l.OffHost.Text, "geheim") {
		t.Errorf("%+v", l)
	}
	if l := logs(t, "etc/syslog-ng/syslog-ng.conf", fmt.Sprintf(conf, `transport("udp")`)); !posture.Is(l.Protected, false) || !posture.Is(l.OffHost, true) {
		t.Errorf("%+v", l)
	}
	if l := logs(t, "etc/syslog-ng/syslog-ng.conf", "source s { network(port(1)); };\n"); !posture.Is(l.OffHost, false) {
		t.Errorf("%+v", l)
	}
}

func TestTheShortestRotationOfOurFilesCounts(t *testing.T) {
	l := logs(t,
		"etc/rsyslog.conf", debianRsyslog,
		"etc/logrotate.conf", "weekly\nrotate 4\ncreate\ninclude /etc/logrotate.d\n",
		"etc/logrotate.d/apt", "/var/log/apt/term.log {\n rotate 1\n daily\n}\n",
		"etc/logrotate.d/rsyslog", "/var/log/syslog\n/var/log/auth.log\n{\n\trotate 4\n\tweekly\n\tmissingok\n\tpostrotate\n\t\trotate 1 }\n\tendscript\n}\n",
		"etc/logrotate.d/charon", "/var/log/charon.log { \n rotate 100\n weekly\n create 0644 root adm\n}\n")
	if l.Retention.V != 4*7*24*time.Hour || l.Retention.At.File != "etc/logrotate.d/rsyslog" || l.Retention.At.Line != 4 {
		t.Errorf("%+v", l.Retention)
	}
	if !posture.Is(l.Readable, true) || l.Readable.At.File != "etc/logrotate.d/charon" {
		t.Errorf("%+v", l.Readable)
	}
}

func TestTheJournalCountsWhereNothingElseWrites(t *testing.T) {
	for _, c := range []struct {
		conf string
		want time.Duration
		from posture.Origin
	}{
		{"[Journal]\n#MaxRetentionSec=\n", 0, posture.Default},
		{"[Journal]\nMaxRetentionSec=3month 2d\n", 92 * 24 * time.Hour, posture.Explicit},
		{"[Journal]\nMaxRetentionSec=1year\nStorage=volatile\n", time.Second, posture.Explicit},
	} {
		l := logs(t, "etc/systemd/journald.conf", c.conf)
		if l.Retention.V != c.want || l.Retention.Origin != c.from || !posture.Is(l.OffHost, false) {
			t.Errorf("%q: %+v, off host %+v", c.conf, l.Retention, l.OffHost)
		}
	}
	l := logs(t, "etc/systemd/journald.conf", "[Journal]\n", "etc/systemd/journal-upload.conf", "[Upload]\nURL=https://logs.example.net\n")
	if !posture.Is(l.OffHost, true) || !posture.Is(l.Protected, true) {
		t.Errorf("%+v", l)
	}
}

func TestTheClockNeedsASource(t *testing.T) {
	for _, c := range []struct {
		file, text string
		want       bool
		from       posture.Origin
	}{
		{"etc/chrony/chrony.conf", "pool 2.debian.pool.ntp.org iburst\n", true, posture.Explicit},
		{"etc/chrony.conf", "# pool x\ndriftfile /x\n", false, posture.Default},
		{"etc/ntp.conf", "server 127.127.1.0\n", false, posture.Default},
		{"etc/systemd/timesyncd.conf", "[Time]\n#NTP=\n", true, posture.Inferred},
		{"etc/systemd/timesyncd.conf", "[Time]\nNTP=192.0.2.1\n", true, posture.Explicit},
		{"etc/rsyslog.conf", "*.* @@a\n", false, posture.Inferred},
	} {
		l := logs(t, c.file, c.text, "etc/timezone", "Etc/UTC\n")
		if l.TimeSync.V != c.want || l.TimeSync.Origin != c.from || !posture.Is(l.UTC, true) {
			t.Errorf("%s %q: %+v, UTC %+v", c.file, c.text, l.TimeSync, l.UTC)
		}
	}
}

func TestADropInConfinesAUnit(t *testing.T) {
	h := read(t,
		"usr/lib/systemd/system/strongswan.service", "[Unit]\nUser=nobody\n[Service]\nExecStart=/usr/sbin/charon-systemd\n",
		"etc/systemd/system/strongswan.service.d/harden.conf", "[Service]\nNoNewPrivileges=yes\nSystemCallFilter=@system-service \\\n  @network-io\nProtectSystem=strict\n",
		"etc/systemd/system/xl2tpd.service.d/x.conf", "[Service]\nUser=vpn\n",
		"etc/systemd/system/cron.service.d/x.conf", "[Service]\nUser=vpn\n")
	if len(h.Units) != 2 {
		t.Fatalf("%+v", h.Units)
	}
	u := h.Units[0]
	if u.Product != "strongSwan" || !posture.Is(u.NoNewPrivileges, true) || !posture.Is(u.SystemCalls, true) || !posture.Is(u.ProtectSystem, "strict") {
		t.Errorf("%+v", u)
	}
	if u.User.V != "root" || u.User.Origin != posture.Default || u.SystemCalls.At.Line != 3 {
		t.Errorf("%+v %+v", u.User, u.SystemCalls)
	}
	// The unit itself was not seen: what it says besides is not known.
	if x := h.Units[1]; !posture.Is(x.User, "vpn") || x.NoNewPrivileges.Known() {
		t.Errorf("%+v", x)
	}
}

func TestSecretsForContainersAreFound(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"vpn.env", "VPN_IPSEC_PSK=correct horse\nVPN_USER=alice\nVPN_PASSWORD='pass'\nVPN_ADDL_USERS=bob carol\nVPN_ADDL_PASSWORDS=one two\n", "psk=correct horse,password=pass/alice,password=one/bob,password=two/carol"},
		{"docker-compose.yml", "services:\n  vpn:\n    environment:\n      - VPN_IPSEC_PSK=abc\n      - \"VPN_PASSWORD=def\"\n      - TZ=UTC\n", "psk=abc,password=def"},
		{"compose.yaml", "    environment:\n      VPN_IPSEC_PSK: \"abc\"\n      RADIUS_SECRET: testing123\n      VPN_PASSWORD: ${VPN_PASSWORD}\n", "psk=abc,radius secret=testing123,password=elsewhere"},
		{"user-data", "#cloud-config\nruncmd:\n  - export VPN_IPSEC_PSK='abc'\nwrite_files:\n  - content: |\n      %any %any : PSK \"xyz\"\n", "psk=abc,psk=xyz"},
		{".env", "# VPN_IPSEC_PSK=old\nexport VPN_IPSEC_PSK=\n", ""},
	} {
		h := read(t, c.file, c.text)
		var got []string
		for _, s := range h.Secrets {
			v := string(s.Value)
			if s.Storage == posture.Elsewhere {
				v = "elsewhere"
			}
			got = append(got, strings.TrimSuffix(fmt.Sprintf("%s=%s/%s", s.Kind, v, strings.Join(s.IDs, " ")), "/"))
			if !s.Backup || s.Dialect != posture.Linux || s.At.Line == 0 {
				t.Errorf("%+v", s)
			}
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s: %q, want %q", c.file, strings.Join(got, ","), c.want)
		}
		if !h.Files[0].Secrets {
			t.Errorf("%s is not marked", c.file)
		}
	}
}

func TestAFileOfVariablesWithoutSecretsIsLeft(t *testing.T) {
	for _, text := range []string{"TZ=UTC\n", "PASSWORD=x\n", "PSKETCH=1\n"} {
		if linux.Claims("app/.env", func() []byte { return []byte(text) }) {
			t.Errorf("%q is claimed", text)
		}
	}
}

func TestTheHostHasItsName(t *testing.T) {
	if h := read(t, "etc/hostname", "# name\ngw1.example.net\n"); h.Name != "gw1.example.net" {
		t.Errorf("%q", h.Name)
	}
	if h := read(t, "etc/hostname", "a b\x1b[2J\n"); h.Name != "" || len(h.Notes) != 1 {
		t.Errorf("%q, %v", h.Name, h.Notes)
	}
}

func TestOtherVPNServicesAreNamed(t *testing.T) {
	h := read(t, "etc/pptpd.conf", "localip 10.0.0.1\n", "etc/accel-ppp.conf", "[modules]\nlog_file\nsstp\nl2tp\nauth_mschap_v2\n[sstp]\npptp=1\n")
	var got []string
	for _, s := range h.Services {
		got = append(got, s.Protocol+" "+s.Enabled.Origin.String())
	}
	if !slices.Equal(got, []string{"pptp inferred", "sstp explicit"}) || len(h.Notes) != 1 {
		t.Errorf("%q, %v", got, h.Notes)
	}
}

func TestSAsThatScriptsKeyAreNamedByTheirEnds(t *testing.T) {
	h := read(t,
		"etc/network/if-up.d/tunnel", "#!/bin/sh\n# ip xfrm state add src 192.0.2.9 dst 192.0.2.8 proto esp\nip xfrm state add src 192.0.2.1 dst 198.51.100.7 proto esp spi 1 enc 'cbc(aes)' 0x4f8a1c93d7e60b25\nip -6 x s add dst 2001:db8::7 src 2001:db8::1 proto esp spi 2\nip xfrm policy add dir out\n",
		"etc/ipsec-tools.conf", "flush;\nadd 192.0.2.1 198.51.100.8 esp 0x201 -E aes-cbc 0x4f8a1c93d7e60b25;\nspdadd 10.1.0.0/16 10.2.0.0/16 any -P out none;\n",
		"etc/network/if-up.d/other", "#!/bin/sh\nip route add default via 192.0.2.254\n")
	var got []string
	for _, m := range h.Manual {
		got = append(got, fmt.Sprintf("%s at %s:%d", m.Name, m.At.File, m.At.Line))
	}
	slices.Sort(got)
	want := []string{"192.0.2.1 to 198.51.100.7 at etc/network/if-up.d/tunnel:3", "192.0.2.1 to 198.51.100.8 at etc/ipsec-tools.conf:2", "2001:db8::1 to 2001:db8::7 at etc/network/if-up.d/tunnel:4"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, and not %q", got, want)
	}
}

func TestOnlyAJailForAVPNWatches(t *testing.T) {
	for jail, want := range map[string]bool{
		"[sshd]\nenabled = true\n": false, "[postfix-auth]\nenabled = true\n": false, "[pluto]\nenabled = false\n": false, "[DEFAULT]\nbantime = 1h\n[pluto]\nenabled = true\n": true, "[strongswan]\nfilter = charon\nenabled=yes\n": true,
	} {
		l := logs(t, "etc/rsyslog.conf", "auth.* /var/log/auth.log\n", "etc/fail2ban/jail.d/a.local", jail)
		if !l.Watched.Known() || l.Watched.V != want {
			t.Errorf("%q: %+v", jail, l.Watched)
		}
	}
}

func TestWhatComparesTheConfigurationIsABaseline(t *testing.T) {
	rsyslog := "auth.* /var/log/auth.log\n"
	if l := logs(t, "etc/rsyslog.conf", rsyslog); !posture.Is(l.Baseline, false) {
		t.Errorf("nothing: %+v", l.Baseline)
	}
	if l := logs(t, "etc/rsyslog.conf", rsyslog, "etc/aide/aide.conf", "database_in=file:/var/lib/aide/aide.db\n"); !posture.Is(l.Baseline, true) {
		t.Errorf("AIDE: %+v", l.Baseline)
	}
	if l := logs(t, "rsyslog.conf", rsyslog); l.Baseline.Known() || l.Watched.Known() {
		t.Errorf("a file by itself tells nothing: %+v %+v", l.Baseline, l.Watched)
	}
}

func FuzzRead(f *testing.F) {
	names := []string{
		"etc/sysctl.conf", "etc/sysctl.d/a.conf", "etc/rsyslog.conf", "etc/syslog-ng/syslog-ng.conf", "etc/systemd/journald.conf", "etc/systemd/journal-upload.conf", "etc/logrotate.conf",
		"etc/logrotate.d/a", "etc/chrony.conf", "etc/systemd/timesyncd.conf", "etc/modprobe.d/a.conf", "etc/systemd/system/strongswan.service", "etc/systemd/system/strongswan.service.d/a.conf",
		"vpn.env", "docker-compose.yml", "etc/hostname", "etc/timezone", "etc/pptpd.conf", "etc/accel-ppp.conf", "etc/ipsec-tools.conf", "etc/rc.local", "etc/fail2ban/jail.local",
	}
	for i, text := range []string{
		"net.ipv4.conf.*.rp_filter=1\n-net.ipv4.conf.all.rp_filter\n", "a/b.c=1\n", debianRsyslog, "destination d { network(\"a\"); };\n@include \"a\"\n", "[Journal]\nMaxRetentionSec=3month\n", "[Upload]\nURL=https://a@b\n",
		"weekly\nrotate 4\n", "/var/log/syslog { rotate 4\nmaxage 3\n}\n", "pool a\n", "[Time]\nNTP=a\n", "blacklist esp4\n", "[Service]\nUser=a\\\nb\n", "[Service]\nDynamicUser=1\n",
		"VPN_IPSEC_PSK=a\nVPN_ADDL_PASSWORDS=a b\n", "- VPN_IPSEC_PSK: 'a'\n", "gw\n", "UTC\n", "localip\n", "[modules]\npptp\n", "add 192.0.2.1 192.0.2.2 esp 1 -E null;\n", "ip xfrm state add src a dst b\n", "[pluto]\nenabled = true\n",
	} {
		f.Add(byte(i), text)
	}
	f.Add(byte(2), "action(type=\"omfwd\"\n")
	f.Fuzz(func(t *testing.T, which byte, text string) {
		readFS(fstest.MapFS{names[int(which)%len(names)]: {Data: []byte(text)}})
	})
}

func TestWhatRsyslogOnlySendsAwayHasNoMode(t *testing.T) {
	for text, want := range map[string]bool{
		"*.* @@logs.example.org:6514\n":                      false,
		"*.* -/var/log/syslog\n":                             true,
		"if $programname == 'pluto' then /var/log/pluto\n":   true,
		"action(type=\"omfile\" file=\"/var/log/messages\")": true,
	} {
		h := read(t, "etc/rsyslog.conf", text)
		if got := h.Logs[0].Readable.Known(); got != want {
			t.Errorf("%q: known %v, want %v", text, got, want)
		}
	}
}
