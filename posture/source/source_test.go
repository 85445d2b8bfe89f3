package source

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"sallyport/posture"
)

// disk makes a directory of files; a name that ends in " -> TARGET" is a link.
func disk(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, name string) *Tree {
	t.Helper()
	tree, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

func wantNote(t *testing.T, why string, notes []posture.Note, kind posture.NoteKind, part string) {
	t.Helper()
	for _, n := range notes {
		if n.Kind == kind && strings.Contains(n.Text, part) {
			return
		}
	}
	t.Errorf("%s: no note %s with %q among %d, such as %v", why, kind, part, len(notes), notes[:min(3, len(notes))])
}

func TestNothingOutsideTheRootIsRead(t *testing.T) {
	out := disk(t, map[string]string{"secret.conf": "secret"})
	dir := disk(t, map[string]string{"a.conf": "a"})
	for link, to := range map[string]string{
		"absolute.conf": filepath.Join(out, "secret.conf"),
		"dots.conf":     "../" + filepath.Base(out) + "/secret.conf",
		"gone.conf":     "nowhere",
		"inside.conf":   "a.conf",
		"loop.conf":     "loop.conf",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	tree := open(t, dir)
	files, notes := tree.Walk(".")
	if got := strings.Join(files, " "); got != "a.conf inside.conf" {
		t.Errorf("walked %q", got)
	}
	wantNote(t, "a link out of the root", notes, posture.Outside, "leaves what was given")
	wantNote(t, "a link to nothing", notes, posture.Outside, "link to nothing")
	in := NewInput(tree, &posture.Host{})
	for _, link := range []string{"absolute.conf", "dots.conf", "loop.conf"} {
		if text := in.Read(link, false); text != nil {
			t.Errorf("%s was read: %q", link, text.Data)
		}
	}
	if text := in.Read("inside.conf", false); text == nil || string(text.Data) != "a" {
		t.Error("a link inside the root was not followed")
	}
	for _, pattern := range []string{"../*", "/etc/passwd", "../" + filepath.Base(out) + "/secret.conf", "x/../../y"} {
		if got := in.Include([]string{"a.conf"}, posture.Pos{}, pattern); got != nil {
			t.Errorf("%s includes %v", pattern, got)
		}
	}
	wantNote(t, "an include that leaves the root", in.Host.Notes, posture.Outside, "leaves what was given")
}

func TestAbsolutePathsOfAHostBeginAtItsRoot(t *testing.T) {
	dir := disk(t, map[string]string{"etc/ipsec.conf": "", "etc/ipsec.d/a.conf": "", "etc/ipsec.d/b.conf": "", "etc/ipsec.d/c.txt": ""})
	in := NewInput(open(t, dir), &posture.Host{})
	if !in.IsHost() {
		t.Error("a directory with etc is no host")
	}
	if got := strings.Join(in.Include([]string{"etc/ipsec.conf"}, posture.Pos{}, "/etc/ipsec.d/*.conf"), " "); got != "etc/ipsec.d/a.conf etc/ipsec.d/b.conf" {
		t.Errorf("includes %q", got)
	}
	part := NewInput(open(t, filepath.Join(dir, "etc")), &posture.Host{})
	if got := part.Include([]string{"ipsec.conf"}, posture.Pos{}, filepath.Join(dir, "etc/ipsec.d/a.conf")); len(got) != 1 || got[0] != "ipsec.d/a.conf" {
		t.Errorf("an absolute path below the root includes %q", got)
	}
}

func TestAnAbsoluteLinkOfAHostBeginsAtItsRoot(t *testing.T) {
	dir := disk(t, map[string]string{"etc/fine": "fine", "usr/lib/vpn/a.conf": "a"})
	for link, to := range map[string]string{
		"etc/a.conf":    "/usr/lib/vpn/a.conf",
		"etc/vpn":       "/usr/lib/vpn",
		"etc/up.conf":   "../../../../usr/lib/vpn/a.conf",
		"etc/loop.conf": "/etc/loop.conf",
		"etc/out.conf":  "/proc/version",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	in := NewInput(open(t, dir), &posture.Host{})
	for _, name := range []string{"etc/a.conf", "etc/vpn/a.conf", "etc/up.conf"} {
		if text := in.Read(name, false); text == nil || string(text.Data) != "a" {
			t.Errorf("%s: %v %v", name, text, in.Host.Notes)
		}
	}
	for _, name := range []string{"etc/loop.conf", "etc/out.conf"} {
		if text := in.Read(name, false); text != nil {
			t.Errorf("%s was read: %q", name, text.Data)
		}
	}
}

func TestIncludesEnd(t *testing.T) {
	files := fstest.MapFS{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		files[name+".conf"] = &fstest.MapFile{Data: []byte("x")}
	}
	in := NewInput(New("", files, false), &posture.Host{})
	count := 0
	var follow func(chain []string)
	follow = func(chain []string) {
		for _, f := range in.Include(chain, posture.Pos{}, "*.conf") {
			count++
			follow(append(chain[:len(chain):len(chain)], f))
		}
	}
	follow([]string{"a.conf"})
	if count != MostIncludes {
		t.Errorf("%d includes were followed, want the bound of %d", count, MostIncludes)
	}
	wantNote(t, "a file that includes itself", in.Host.Notes, posture.Limit, "includes itself")
	wantNote(t, "every file includes every file", in.Host.Notes, posture.Limit, "more than 1000 notes")
	if len(in.Host.Notes) > MostNotes+1 {
		t.Errorf("%d notes", len(in.Host.Notes))
	}
}

func TestWhatIsNoTextIsNoted(t *testing.T) {
	dir := disk(t, map[string]string{"binary": "\x7fELF\x00\x01", "fine": "x"})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	big, err := os.Create(filepath.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	if err := big.Truncate(1 << 30); err != nil { // sparse: it takes no room
		t.Fatal(err)
	}
	big.Close()
	tree := open(t, dir)
	_, walked := tree.Walk(".")
	wantNote(t, "a pipe", walked, posture.Unreadable, "is a pipe")
	in := NewInput(tree, &posture.Host{})
	for _, name := range []string{"binary", "big", "pipe", "nothing"} {
		if in.Read(name, false) != nil {
			t.Errorf("%s was read", name)
		}
	}
	wantNote(t, "a program", in.Host.Notes, posture.Unreadable, "binary")
	wantNote(t, "a gigabyte", in.Host.Notes, posture.Limit, "has 1073741824 octets")
	if head := tree.Head("pipe", 10); head != nil {
		t.Errorf("a pipe was read: %q", head)
	}
}

func TestALineThatIsTooLongIsLeftOutAndTheNextIsRead(t *testing.T) {
	long := append(bytes.Repeat([]byte("x"), MostLine+1), "\r\nnext\n"...)
	in := NewInput(New("", fstest.MapFS{"f": {Data: long}}, false), &posture.Host{})
	var got []string
	for n, line := range in.Lines(in.Read("f", false)) {
		if n != 2 {
			t.Errorf("line %d", n)
		}
		got = append(got, line)
	}
	if len(got) != 1 || got[0] != "next" {
		t.Errorf("lines %q", got)
	}
	wantNote(t, "a long line", in.Host.Notes, posture.Limit, "left out")
}

func TestWindowsWritesUTF16(t *testing.T) {
	in := NewInput(New("", fstest.MapFS{
		"le": {Data: []byte("\xff\xfea\x00\xe4\x00")}, "be": {Data: []byte("\xfe\xff\x00a\x00\xe4")}, "utf8": {Data: []byte("\xef\xbb\xbfaä")},
	}, false), &posture.Host{})
	for _, name := range []string{"le", "be", "utf8"} {
		if text := in.Read(name, false); text == nil || string(text.Data) != "aä" {
			t.Errorf("%s: %v", name, text)
		}
	}
}

func TestThePermissionsOfAFileAreKept(t *testing.T) {
	dir := disk(t, map[string]string{"f": "x"})
	in := NewInput(open(t, dir), &posture.Host{})
	in.HoldsSecrets(in.Read("f", false))
	in.Read("f", false)
	if len(in.Host.Files) != 1 {
		t.Fatalf("files %v", in.Host.Files)
	}
	if f := in.Host.Files[0]; !f.HasMode || f.Mode != 0o640 || !f.Secrets || f.UID != uint32(os.Getuid()) {
		t.Errorf("file %+v", f)
	}
}

func TestANameNeedNotBeUTF8(t *testing.T) {
	dir := disk(t, map[string]string{"etc/swanctl/conf.d/b\xfcro.conf": "b", "etc/swanctl/swanctl.conf": ""})
	for _, root := range []string{dir, filepath.Join(dir, "etc")} {
		tree := open(t, root)
		below := tree.Sub(strings.TrimPrefix("etc/swanctl", filepath.Base(root)+"/"))
		in := NewInput(below, &posture.Host{})
		files, _ := below.Walk(".")
		if len(files) != 2 {
			t.Fatalf("walked %q", files)
		}
		found := in.Include([]string{"swanctl.conf"}, posture.Pos{}, "conf.d/*.conf")
		if len(found) != 1 {
			t.Fatalf("included %q, notes %v", found, in.Host.Notes)
		}
		text := in.Read(found[0], false)
		if text == nil || string(text.Data) != "b" || !strings.HasSuffix(text.Show, `conf.d/b\xfcro.conf`) {
			t.Errorf("%+v, notes %v", text, in.Host.Notes)
		}
	}
}

func TestABackupIsLeftOutWhereverItLies(t *testing.T) {
	files := fstest.MapFS{}
	for _, name := range []string{"d/a.conf", "d/a.conf.before-sallyport", "d/.a.conf.before-sallyport"} {
		files[name] = &fstest.MapFile{Data: []byte("x")}
	}
	in := NewInput(New("", files, false), &posture.Host{})
	if got, _ := in.Walk("."); len(got) != 1 {
		t.Errorf("walked %q", got)
	}
	if got, _ := in.Glob(".", "d/*"); len(got) != 1 {
		t.Errorf("matched %q", got)
	}
	if got := in.Include([]string{"main.conf"}, posture.Pos{}, "d/*"); len(got) != 1 {
		t.Errorf("included %q", got)
	}
	wantNote(t, "a backup that the product reads", in.Host.Notes, posture.Unparsed, `"d/a.conf.before-sallyport" is a backup`)
	if len(in.Host.Notes) != 1 {
		t.Errorf("notes %v", in.Host.Notes)
	}
	if got := in.Include([]string{"main.conf"}, posture.Pos{}, "d/a.conf.before-sallyport"); len(got) != 1 {
		t.Errorf("by its name: %q", got)
	}
}

func TestATreeWithOtherContents(t *testing.T) {
	tree := New("h", fstest.MapFS{"etc/a.conf": {Data: []byte("old")}, "etc/b.conf": {Data: []byte("old")}}, true)
	with := tree.With(map[string][]byte{"h/etc/a.conf": []byte("much newer"), "h/etc/none.conf": []byte("x")})
	for name, want := range map[string]string{"etc/a.conf": "much newer", "etc/b.conf": "old", "etc/none.conf": ""} {
		if got := string(with.Head(name, 100)); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := string(with.Sub("etc").Head("a.conf", 100)); got != "much newer" {
		t.Errorf("below: %q", got)
	}
	if got := string(tree.Head("etc/a.conf", 100)); got != "old" {
		t.Errorf("the tree itself: %q", got)
	}
}
