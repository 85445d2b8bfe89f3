package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/assure/audit"
	"sallyport/assure/harden"
	"sallyport/internal/file"
	"sallyport/posture"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

// fixHelp is the part of audit's help that is about --fix.
const fixHelp = `
With --fix the answer is a patch: for each file that was read, what to write in
its own dialect so that findings end, as a unified diff without the values of
secrets. What no line can mend is listed as "by hand". With --write the files are
changed; each is kept beside itself as FILE.before-sallyport, with owner and mode.
Load them into the product afterwards, for example by: swanctl --load-all. A tunnel
has two ends: one without forward secrecy does not follow when the other replaces
keys, so mend both. The exit status is then 0 when nothing is left to a person, and
2 otherwise.`

func withFix(c *cobra.Command, o *auditFlags) {
	c.Long += "\n" + fixHelp
	c.Flags().BoolVar(&o.fix, "fix", false, "show a patch that ends findings, in place of the report")
	c.Flags().BoolVar(&o.rewrite, "write", false, "with --fix: change the files")
}

// runFix plans the patch of all paths, and shows or writes it.
func runFix(env *Env, o *auditFlags, paths []string) error {
	switch {
	case o.rewrite && !o.fix:
		return failure("add --fix", "--write is for patches")
	case o.json || o.format != "text" || o.output != "":
		return failure("leave --format and --output out", "a patch has one form")
	}
	options, err := o.options(env)
	if err != nil {
		return err
	}
	loading, err := o.loading(env)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	type planned struct {
		*harden.Plan
		root string
	}
	var plans []planned
	for _, p := range paths {
		more, err := planPath(options, p, loading)
		if err != nil {
			return err
		}
		for _, m := range more {
			plans = append(plans, planned{m, p})
		}
	}
	left := 0
	for _, p := range plans {
		if err := env.showPlan(p.Plan, o.rewrite, p.root); err != nil {
			return err
		}
		left += len(p.ByHand)
	}
	if left > 0 {
		return silent(ExitWarnings)
	}
	return nil
}

func planPath(options audit.Options, path string, l load.Options) ([]*harden.Plan, error) {
	t, err := source.Open(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	defer t.Close()
	a := audit.New(options)
	var plans []*harden.Plan
	for h := range load.Hosts(t, l) {
		first := len(a.Results)
		a.Host(h)
		plans = append(plans, harden.Make(options.Policy, h, a.Results[first:], readerOfTree(t, h)))
	}
	return plans, nil
}

// readerOfTree reads the files of a host again, whole, from the tree that
// nothing leaves.
func readerOfTree(t *source.Tree, h *posture.Host) harden.Reader {
	const most = 4 << 20 // a file that a person has written is shorter
	sizes := map[string]int64{}
	for _, f := range h.Files {
		sizes[f.Path] = f.Size
	}
	return func(name string) []byte {
		size, ok := sizes[name]
		below, err := filepath.Rel(t.Show("."), name)
		if !ok || err != nil || !filepath.IsLocal(below) || size > most {
			return nil
		}
		return t.Head(filepath.ToSlash(below), most)
	}
}

func (e *Env) showPlan(p *harden.Plan, write bool, root string) error {
	if write {
		for _, c := range p.Patches {
			if err := within(root, c.File); err != nil {
				return err
			}
			if err := rewrite(c); err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "%s: changed for %s; what it was is in %s\n", c.File, strings.Join(c.Rules, ", "), c.File+backupSuffix)
		}
	} else if _, err := e.Stdout.Write(p.Diff()); err != nil {
		return err
	}
	writeByHand(e.Stderr, p)
	return nil
}

// writeByHand lists what is left to a person, a rule and a subject once.
func writeByHand(w io.Writer, p *harden.Plan) {
	seen := map[string]bool{}
	for i, b := range p.ByHand {
		if i == 0 {
			fmt.Fprintf(w, "by hand on %q:\n", p.Host)
		}
		line := fmt.Sprintf("  %s %s %q", b.Rule, b.Subject.Kind, b.Subject.Name)
		if seen[line] {
			continue
		}
		seen[line] = true
		if b.Why != "" {
			line += ": " + b.Why
		}
		fmt.Fprintln(w, line)
		for fix := range strings.Lines(b.Fix) {
			fmt.Fprintf(w, "      %s\n", strings.TrimRight(fix, "\n"))
		}
	}
}

const backupSuffix = ".before-sallyport"

// within tells whether a file is below what was given for this machine, too. In
// the copy of a host an absolute link begins at the root of the copy, and the
// audit reads it so; the same path leads to this machine's own files.
func within(root, name string) error {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return failure("", "%v", err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return failure("", "%v", err)
	}
	if i, err := os.Stat(real); err == nil && !i.IsDir() {
		return nil // one file, named by the caller
	}
	if real, err = filepath.Abs(real); err != nil {
		return failure("", "%v", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return failure("", "%v", err)
	}
	if below, err := filepath.Rel(real, dir); err != nil || !filepath.IsLocal(below) {
		return failure("name the directory that it is in", "%s leads out of %s by a link, and is not changed", name, root)
	}
	return nil
}

// rewrite changes one file, if it is still what was read.
func rewrite(p harden.Patch) error {
	info, err := os.Lstat(p.File)
	if err != nil {
		return failure("", "%v", err)
	}
	if !info.Mode().IsRegular() {
		return failure("name the file that it leads to", "%s is a link or no file, and is not changed", p.File)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		return failure("change it by hand, or make it a file of its own", "%s has %d names, and the others would keep what it was: it is not changed", p.File, st.Nlink)
	}
	now, err := os.ReadFile(p.File)
	if err != nil {
		return failure("", "%v", err)
	}
	if !bytes.Equal(now, p.Old) {
		return failure("run the audit again", "%s was changed since it was read", p.File)
	}
	backup := p.File + backupSuffix
	if err := likeFile(backup, p.Old, info, file.Create); errors.Is(err, fs.ErrExist) {
		return failure("move it away", "%s is there already, and is not overwritten", backup)
	} else if err != nil {
		return failure("", "%v", err)
	}
	if err := likeFile(p.File, p.New, info, file.Write); err != nil {
		if now, e := os.ReadFile(p.File); e == nil && bytes.Equal(now, p.Old) {
			os.Remove(backup) // nothing was changed, and it would stand in the way of the next time
		}
		return failure("compare it with "+backup+", if that is there", "%v", err)
	}
	return nil
}

// likeFile puts a file in place with the mode and the owner of another.
func likeFile(path string, data []byte, like fs.FileInfo, put func(string, []byte, fs.FileMode) error) error {
	if err := put(path, data, like.Mode().Perm()); err != nil {
		return err
	}
	if st, ok := like.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		return os.Chown(path, int(st.Uid), int(st.Gid))
	}
	return nil
}
