package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/assure/harden"
)

func TestAFileThatChangedOrIsALinkStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.conf")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	content := func(path string) string {
		text, _ := os.ReadFile(path)
		return string(text)
	}
	write(path, "somebody was here\n")
	if err := rewrite(harden.Patch{File: path, Old: []byte("old\n"), New: []byte("new\n")}); err == nil || content(path) != "somebody was here\n" {
		t.Errorf("a file that was changed since it was read is written: %v", err)
	}
	link := filepath.Join(dir, "link.conf")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(harden.Patch{File: link, Old: []byte("somebody was here\n"), New: []byte("new\n")}); err == nil {
		t.Error("a link is replaced by a file")
	}
	if err := rewrite(harden.Patch{File: path, Old: []byte("somebody was here\n"), New: []byte("new\n")}); err != nil {
		t.Fatal(err)
	}
	i, err := os.Stat(path)
	if err != nil || i.Mode().Perm() != 0o640 || content(path) != "new\n" || content(backupOf(path)) != "somebody was here\n" {
		t.Errorf("%v %v %q %q", err, i.Mode(), content(path), content(backupOf(path)))
	}
}

// TestAnInterruptedFixGoesOn: the copy was made, and the file was not changed yet.
func TestAnInterruptedFixGoesOn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.conf")
	put(t, dir, "a.conf", "old\n")
	put(t, dir, filepath.Base(backupOf(path)), "older\n")
	p := harden.Patch{File: path, Old: []byte("old\n"), New: []byte("new\n")}
	if err := rewrite(p); err == nil {
		t.Error("a copy of something else is overwritten, or taken for this one's")
	}
	put(t, dir, filepath.Base(backupOf(path)), "old\n")
	if err := rewrite(p); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "new\n" {
		t.Errorf("%q", text)
	}
}

func TestAFileWithTwoNamesStays(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a.conf", "old\n")
	path := filepath.Join(dir, "a.conf")
	if err := os.Link(path, filepath.Join(dir, "b.conf")); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(harden.Patch{File: path, Old: []byte("old\n"), New: []byte("new\n")}); err == nil {
		t.Error("one of two names has the new text, the other the old one")
	}
}

// The copy of a host holds links such as /etc/swanctl, which mean the copy's own
// directory; for this machine they lead to what it runs with.
func TestALinkInACopyDoesNotLeadTheFixToThisMachine(t *testing.T) {
	const weak = "noauth\nrequire-pap\nnodeflate\n"
	copied, own := t.TempDir(), t.TempDir()
	put(t, own, "a.conf", weak)
	put(t, copied, filepath.Join(own, "a.conf"), weak)
	put(t, copied, "etc/xl2tpd/xl2tpd.conf", "[global]\nport = 1701\n[lns default]\nip range = 10.0.0.2-10.0.0.9\nlocal ip = 10.0.0.1\npppoptfile = /etc/parts/a.conf\n")
	link(t, copied, "etc/parts", own)
	env, stdout, stderr := testEnv(nil)
	Main(t.Context(), env, []string{"audit", "--fix", "--write", copied})
	if text, _ := os.ReadFile(filepath.Join(own, "a.conf")); string(text) != weak {
		t.Errorf("a file outside of what was given was changed:\n%s\n%s", stdout, stderr)
	}
	if !strings.Contains(stderr.String(), "leads out of") {
		t.Errorf("it does not say why:\n%s\n%s", stdout, stderr)
	}
}

// Debian turns on a module of FreeRADIUS, or a site of a web server, by a link
// beside the file itself.
func TestAFileBehindALinkIsChangedWhereItIs(t *testing.T) {
	const weak = "noauth\nrequire-pap\nnodeflate\n"
	dir := t.TempDir()
	put(t, dir, "etc/available/l2tp", weak)
	link(t, dir, "etc/ppp/options.xl2tpd", "../available/l2tp")
	env, stdout, stderr := testEnv(nil)
	Main(t.Context(), env, []string{"audit", "--fix", "--write", dir})
	if text, _ := os.ReadFile(filepath.Join(dir, "etc/available/l2tp")); !strings.Contains(string(text), "require-mschap-v2") {
		t.Errorf("the file is not changed:\n%s\n%s\n%s", text, stdout, stderr)
	}
	if to, _ := os.Readlink(filepath.Join(dir, "etc/ppp/options.xl2tpd")); to != "../available/l2tp" {
		t.Errorf("the link leads to %q", to)
	}
	if kept, _ := os.ReadFile(filepath.Join(dir, "etc/available/.l2tp.before-sallyport")); string(kept) != weak {
		t.Errorf("what it was is not kept beside it: %q", kept)
	}
}

func TestALinkToAFileElsewhereIsNotFollowed(t *testing.T) {
	const weak = "noauth\nrequire-pap\nnodeflate\n"
	copied, own := t.TempDir(), t.TempDir()
	put(t, own, "a", weak)
	put(t, copied, filepath.Join(own, "a"), weak)
	link(t, copied, "etc/ppp/options.xl2tpd", filepath.Join(own, "a"))
	env, stdout, stderr := testEnv(nil)
	Main(t.Context(), env, []string{"audit", "--fix", "--write", copied})
	if text, _ := os.ReadFile(filepath.Join(own, "a")); string(text) != weak {
		t.Errorf("a file outside of what was given was changed:\n%s\n%s", stdout, stderr)
	}
	if !strings.Contains(stderr.String(), "leads out of") {
		t.Errorf("it does not say why:\n%s\n%s", stdout, stderr)
	}
}

func TestMigratingNothingSaysSo(t *testing.T) {
	env, _, stderr := testEnv(nil)
	if code := Main(t.Context(), env, []string{"migrate", "import", t.TempDir()}); code != ExitNothing {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
}

func TestADiffHidesSecretsOnLinesThatChange(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "etc/ppp/options.xl2tpd", withSecrets("name l2tpd user bob password $K== require-pap noauth\n# old: password $A\npassword \\\n  $B\n"))
	env, stdout, stderr := testEnv(nil)
	Main(t.Context(), env, []string{"audit", "--fix", dir})
	if s := seen(stdout.String() + stderr.String()); s != "" || stdout.Len() == 0 {
		t.Errorf("%s is shown:\n%s\n%s", s, stdout, stderr)
	}
}
