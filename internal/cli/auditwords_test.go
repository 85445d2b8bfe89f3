package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/assure/report"
	"sallyport/posture"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

// talking is an Env whose talk is kept.
func talking() (*Env, *bytes.Buffer) {
	var b bytes.Buffer
	return &Env{Stderr: &b, Getenv: func(string) string { return "" }}, &b
}

func TestWhoMayNotReadSecretsIsTold(t *testing.T) {
	env, talk := talking()
	denied := func(file string) report.Note {
		return report.Note{Kind: string(posture.Unreadable), File: file, Text: "permission denied"}
	}
	warnOfUnread(env, &report.Report{Notes: []report.Note{denied("a"), denied("a"), denied("b"), {Kind: string(posture.Unreadable), File: "c", Text: "is a pipe"}}})
	if want := "you may not read 2 files: what is wrong there was not found\nsallyport: hint: run it as root"; !strings.Contains(talk.String(), want) {
		t.Errorf("got %q, want %q", talk, want)
	}
	env, talk = talking()
	if warnOfUnread(env, &report.Report{}); talk.Len() != 0 {
		t.Errorf("without such files: %q", talk)
	}
	env.exit(cannotRead("ipsec.secrets", &fs.PathError{Op: "open", Path: "ipsec.secrets", Err: fs.ErrPermission}))
	if want := "ipsec.secrets cannot be read: permission denied\nsallyport: hint: run it as root"; !strings.Contains(talk.String(), want) {
		t.Errorf("got %q, want %q", talk, want)
	}
}

// TestWhatCouldNotBeReadIsNoPass: nothing is wrong in the one file that may be
// read, and a job in the night must not take that for the whole host.
func TestWhatCouldNotBeReadIsNoPass(t *testing.T) {
	verdict := func(notes ...posture.Note) error {
		a := audit.New(audit.Options{})
		a.Host(&posture.Host{Name: "gw", Files: []posture.File{{Path: "router.cfg", Dialect: posture.IOS}}, Notes: notes})
		o := auditFlags{threshold: audit.High, found: true}
		return o.verdict(report.Make(a, report.Inventory{}, policy.Default(), report.Tool{}, "gw", time.Now()))
	}
	if err := verdict(); err != nil {
		t.Errorf("all was read, and nothing found: %v", err)
	}
	unread := verdict(posture.Note{Kind: posture.Unreadable, Dialect: posture.Starter, At: posture.Pos{File: "etc/ipsec.secrets"}, Text: "permission denied"})
	if !errors.Is(unread, silent(ExitUnreadable)) {
		t.Errorf("a file was not read: %v", unread)
	}
}

func TestPathsInHintsCanBePasted(t *testing.T) {
	for path, want := range map[string]string{"/etc/swanctl": "/etc/swanctl", "my host": "'my host'", "it's": `'it'\''s'`, "$(reboot)": "'$(reboot)'", "-x.conf": "./-x.conf", "": "''"} {
		if got := onPaths("audit", []string{path}); got != "audit "+want {
			t.Errorf("%q becomes %s", path, got)
		}
	}
}

func TestAPathThatIsNamedTwiceIsReadOnce(t *testing.T) {
	if got := strings.Join(targets([]string{"gw", "./gw/", "other", "gw"}), " "); got != "gw other" {
		t.Errorf("%s", got)
	}
	if got := targets(nil); len(got) != 1 || got[0] != "/" {
		t.Errorf("without a path: %v", got)
	}
}

// TestTheKernelIsNoVPN: a whole host always has its package, and that of OpenSSL.
func TestTheKernelIsNoVPN(t *testing.T) {
	status := func(name, version string) string {
		return "Package: " + name + "\nStatus: install ok installed\nVersion: " + version + "\nArchitecture: amd64\n\n"
	}
	bare := status("linux-image-6.1.0-50-amd64", "6.1.174-1") + status("openssl", "3.0.20-1")
	for text, want := range map[string]bool{bare: false, bare + status("xl2tpd", "1.3.18-1"): true} {
		for h := range load.Hosts(source.New("gw", fstest.MapFS{"etc/sysctl.conf": {}, "var/lib/dpkg/status": {Data: []byte(text)}}, true), load.Options{}) {
			if len(h.Packages) < 2 || hasVPN(h) != want {
				t.Errorf("%v of\n%s", hasVPN(h), text)
			}
		}
	}
}
