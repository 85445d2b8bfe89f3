package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAFileOnTheCommandLineWithoutEndIsRefused: of a slip like --waivers /dev/zero
// nothing is left but an answer.
func TestAFileOnTheCommandLineWithoutEndIsRefused(t *testing.T) {
	for _, args := range [][]string{{"--policy", "/dev/zero"}, {"--waivers", "/dev/zero"}, {"--baseline", "/dev/zero"}, {"--vulndb", "/dev/zero", "--vulndb-key", "/dev/zero"}} {
		code, stdout, stderr := commandLine(t, append([]string{"audit", t.TempDir()}, args...)...)
		if code != ExitError || stdout != "" || !strings.Contains(stderr, "/dev/zero") {
			t.Errorf("%v: exit status %d, %s", args, code, stderr)
		}
	}
}

// hostile are inputs that were made to hurt: each is a directory of its own.
// want is a part of what the report has to say about it.
var hostile = []struct {
	name string
	make func(t *testing.T, dir string)
	want string
	code int
}{
	{"a gigabyte in one line", func(t *testing.T, dir string) {
		put(t, dir, "etc/ipsec.conf", "conn a\n")
		if err := os.Truncate(filepath.Join(dir, "etc/ipsec.conf"), 1<<30); err != nil {
			t.Fatal(err)
		}
	}, "more than 16777216: not read", ExitUnreadable},
	{"a program", func(t *testing.T, dir string) {
		put(t, dir, "etc/ipsec.conf", "\x7fELF\x02\x01\x01\x00\x00conn a\n")
	}, "is binary", ExitUnreadable},
	{"a link out of the root", func(t *testing.T, dir string) {
		link(t, dir, "etc/ipsec.conf", "/proc/version")
		put(t, dir, "etc/fine", "")
	}, "link to nothing", ExitUnreadable},
	{"a single link out of the root", func(t *testing.T, dir string) {
		link(t, dir, "ipsec.conf", "/proc/version")
	}, "leaves what was given", ExitUnreadable},
	{"a pipe", func(t *testing.T, dir string) {
		if err := syscall.Mkfifo(filepath.Join(dir, "swanctl.conf"), 0o600); err != nil {
			t.Fatal(err)
		}
	}, "is a pipe", ExitUnreadable},
	{"an include of itself", func(t *testing.T, dir string) {
		put(t, dir, "etc/swanctl/swanctl.conf", "include swanctl.conf\ninclude *.conf\ninclude ../swanctl/*.conf\n")
	}, "includes itself", ExitUnreadable},
	{"includes that double", func(t *testing.T, dir string) {
		for i := range 30 {
			put(t, dir, fmt.Sprintf("etc/ipsec.d/%02d.conf", i), fmt.Sprintf("include %02d.conf\ninclude %02d.conf\nconn c%d\n", i+1, i+1, i))
		}
		put(t, dir, "etc/ipsec.conf", "include ipsec.d/00.conf\ninclude ipsec.d/00.conf\n")
	}, "more than 16 includes inside each other", ExitWarnings},
	{"an include that climbs", func(t *testing.T, dir string) {
		put(t, dir, "etc/swanctl/swanctl.conf", "include ../../../../../../etc/passwd\ninclude /etc/shadow\n")
	}, "leaves what was given", ExitUnreadable},
	{"a router's export that never ends a value", func(t *testing.T, dir string) {
		put(t, dir, "gw.rsc", "# by RouterOS 7.10\n/ip ipsec peer\nadd name=\""+strings.Repeat("x\\\n", 100_000))
	}, "a quote is not closed", ExitFailures},
	{"XML that is deep", func(t *testing.T, dir string) {
		put(t, dir, "config.xml", "<pfsense><ipsec>"+strings.Repeat("<a>", 200_000))
	}, "more than 40 elements inside each other", ExitWarnings},
	{"XML with entities in entities", func(t *testing.T, dir string) {
		put(t, dir, "config.xml", `<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><pfsense><ipsec><phase1>&b;</phase1></ipsec></pfsense>`)
	}, "nothing could be assessed", ExitNothing},
	{"braces without end", func(t *testing.T, dir string) {
		put(t, dir, "etc/swanctl/swanctl.conf", "connections "+strings.Repeat("{ a ", 100_000))
		put(t, dir, "etc/freeradius/3.0/clients.conf", "client a "+strings.Repeat("{ b ", 100_000))
		put(t, dir, "etc/nftables.conf", "table inet a "+strings.Repeat("{ chain b ", 100_000))
	}, "more than 40 sections inside each other", ExitFailures},
	{"JSON that is deep", func(t *testing.T, dir string) {
		put(t, dir, "vpn.json", `{"VpnConnection":`+strings.Repeat(`[`, 200_000))
	}, "objects are nested too deep", ExitUnreadable},
	{"a line of a template's beginnings", func(t *testing.T, dir string) {
		put(t, dir, "etc/ipsec.conf", "conn a\n"+strings.Repeat("{% {{ }} ", 28_000)+"\n")
	}, "Grade", ExitWarnings},
	{"trustpoints, and crypto maps that name none", func(t *testing.T, dir string) {
		put(t, dir, "r.cfg", "version 15.7\nhostname r\ncrypto isakmp policy 10\n encr aes\n group 14\ncrypto ipsec transform-set E esp-aes\n"+
			numbered(40_000, "crypto pki trustpoint T%d\n")+numbered(2_000, "crypto map M%d 10 ipsec-isakmp\n set peer 192.0.2.9\n set transform-set E\n"))
	}, `child "M0 10"`, ExitFailures},
	{"sections that take many", func(t *testing.T, dir string) {
		text := "config setup\n uniqueids=yes\n" + numbered(960, "conn l%d\n") + "conn c0\n"
		for i := range 31 {
			text += fmt.Sprintf("conn c%d\n also=c%d\n", i+1, i)
			for k := range 30 {
				text += fmt.Sprintf(" also=l%d\n", 30*i+k)
			}
		}
		put(t, dir, "etc/ipsec.conf", text+numbered(3_900, "conn x%d\n also=c31\n"))
	}, "takes more than 32 sections", ExitWarnings},
	{"a listing with one letter in a line", func(t *testing.T, dir string) {
		put(t, dir, "vpn.txt", "L2tpPorts : 5\n"+strings.Repeat("P :\n"+strings.Repeat(" x\n", 70_000), 75))
	}, "Grade", ExitFailures},
	{"certificates of one name", func(t *testing.T, dir string) {
		put(t, dir, "config.xml", "<pfsense>"+strings.Repeat("<cert><descr>a</descr><caref>x</caref></cert>\n", 60_000)+
			"<cert><refid>r</refid><descr>a</descr></cert><ca><refid>x</refid><descr>x</descr></ca><ipsec>"+
			numbered(1_500, "<phase1><ikeid>%d</ikeid><authentication_method>cert</authentication_method><certref>r</certref></phase1>\n")+"</ipsec></pfsense>")
	}, "Grade", ExitFailures},
}

// numbered is a text so many times, with a number in each.
func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, dir, name, to string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, p); err != nil {
		t.Fatal(err)
	}
}

// mostHeap is what a hostile input may make an audit keep at once.
const mostHeap = 1 << 30

// mostTime is far above what any of them takes.
const mostTime = 30 * time.Second

func TestHostileInputsEndInAClearAnswer(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			dir := t.TempDir()
			h.make(t, dir)
			env, stdout, stderr := testEnv(nil)
			began := time.Now()
			code := Main(t.Context(), env, []string{"audit", dir})
			if took := time.Since(began); took > mostTime {
				t.Errorf("the audit took %v", took)
			}
			if bytes.Contains(stderr.Bytes(), []byte("panic")) || bytes.Contains(stdout.Bytes(), []byte("reader of")) {
				t.Errorf("a reader failed:\n%s\n%s", head(stdout), stderr)
			}
			if code != h.code {
				t.Errorf("exit status %d, want %d:\n%s", code, h.code, head(stdout))
			}
			if !strings.Contains(stdout.String(), h.want) {
				t.Errorf("the report does not say %q:\n%s", h.want, head(stdout))
			}
			if bytes.Contains(stdout.Bytes(), []byte("root:")) || bytes.Contains(stdout.Bytes(), []byte("Linux version")) {
				t.Errorf("the report shows a file from outside:\n%s", head(stdout))
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.HeapSys > mostHeap {
				t.Errorf("the heap grew to %d octets", m.HeapSys)
			}
		})
	}
}

func head(b *bytes.Buffer) string { return b.String()[:min(b.Len(), 2000)] }
