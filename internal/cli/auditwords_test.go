package cli

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"sallyport/assure/report"
	"sallyport/posture"
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

func TestPathsInHintsCanBePasted(t *testing.T) {
	for path, want := range map[string]string{"/etc/swanctl": "/etc/swanctl", "my host": "'my host'", "it's": `'it'\''s'`, "$(reboot)": "'$(reboot)'", "": "''"} {
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
