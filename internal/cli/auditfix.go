package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
secrets. What no line can mend is listed as "by hand". The patch is judged before
it is shown: what it does not end is "by hand", too. With --write the files are
changed; each is kept beside itself as .FILE.before-sallyport, with owner and mode.
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
	case o.baseline != "" || o.all || o.failOn != audit.High.String():
		return failure("leave --baseline, --fail-on and --all out", "a patch is of all that is found")
	}
	options, err := o.options(env)
	if err != nil {
		return err
	}
	loading, err := o.loading(env, paths)
	if err != nil {
		return err
	}
	paths = targets(paths)
	progress := env.progress()
	defer progress.end()
	var plans []planned
	for _, p := range paths {
		more, err := planPath(progress, options, p, loading)
		if err != nil {
			return err
		}
		plans = append(plans, more...)
	}
	progress.end()
	judged, left, changed := 0, 0, 0
	for _, p := range plans {
		if err := env.showPlan(p.Plan, o.rewrite, p.root); err != nil {
			return err
		}
		judged, left, changed = judged+len(p.judged), left+len(p.ByHand), changed+len(p.Patches)
	}
	switch {
	case judged == 0:
		env.hint(nothingKnown)
		return silent(ExitNothing)
	case changed == 0:
		env.Say("there is nothing to write")
	case o.rewrite:
		env.hint(reloads(plans) + "then look again: " + onPaths("sallyport audit"+o.same(), paths))
	default:
		env.hint(onPaths("sallyport audit --fix --write"+o.same(), paths) + " changes the files, and keeps what they were")
	}
	if left > 0 {
		return silent(ExitWarnings)
	}
	return nil
}

// planned is the plan of a host, where its files are, and what the audit says of
// them as they are.
type planned struct {
	*harden.Plan
	root   string
	judged []audit.Result
}

func planPath(progress *progress, options audit.Options, path string, l load.Options) ([]planned, error) {
	t, err := openTarget(path)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	progress.at("reading %s", path)
	a := audit.New(options)
	var plans []planned
	patched := map[string][]byte{}
	for h := range load.Hosts(t, l) {
		progress.at("working out the patch of host %d of %s: %q", len(plans)+1, path, h.Name)
		first := len(a.Results)
		a.Host(h)
		results := a.Results[first:]
		plan := harden.Make(options.Policy, h, results, readerOfTree(t, h))
		for _, c := range plan.Patches {
			patched[c.File] = c.New
		}
		plans = append(plans, planned{plan, path, results})
	}
	if len(patched) > 0 {
		checkPatches(progress, options, t.With(patched), plans, l)
	}
	return plans, nil
}

// checkPatches reads and judges the hosts once more, as they would be.
func checkPatches(progress *progress, options audit.Options, t *source.Tree, plans []planned, l load.Options) {
	a, i := audit.New(options), 0
	for h := range load.Hosts(t, l) {
		if i == len(plans) || h.Name != plans[i].Host {
			return // somebody changes the files at this moment, which writing them will find
		}
		progress.at("checking the patch of host %d: %q", i+1, h.Name)
		first := len(a.Results)
		a.Host(h)
		plans[i].Check(plans[i].judged, a.Results[first:])
		i++
	}
}

// loaders make a product take its files anew.
var loaders = map[posture.Dialect]string{
	posture.Swanctl: "swanctl --load-all", posture.Starter: "ipsec reload", posture.Libreswan: "systemctl restart ipsec",
	posture.Xl2tpd: "systemctl restart xl2tpd", posture.FreeRADIUS: "systemctl restart freeradius",
}

// reloads says how what was changed comes into force.
func reloads(plans []planned) string {
	var all []string
	for _, p := range plans {
		for _, e := range p.Edits {
			if command := loaders[e.Dialect]; command != "" && !slices.Contains(all, command) {
				all = append(all, command)
			}
		}
	}
	if len(all) == 0 {
		return "load the files into the product, and "
	}
	return "on the host, load them: " + strings.Join(all, " && ") + "; "
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
			var err error
			if c.File, err = within(root, c.File); err != nil {
				return err
			}
			if err := rewrite(c); err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "%s: changed for %s; what it was is in %s\n", c.File, strings.Join(c.Rules, ", "), backupOf(c.File))
		}
	} else if _, err := e.Stdout.Write(p.Diff()); err != nil {
		return err
	}
	writeByHand(e.Stderr, p)
	return nil
}

// writeByHand lists what is left to a person; what several rules want of a subject
// in the same words stands once.
func writeByHand(w io.Writer, p *harden.Plan) {
	type key struct{ subject, why, fix string }
	var order []key
	rules := map[key][]string{}
	for _, b := range p.ByHand {
		k := key{fmt.Sprintf("%s %q", b.Subject.Kind, b.Subject.Name), b.Why, b.Fix}
		if rules[k] == nil {
			order = append(order, k)
		}
		if !slices.Contains(rules[k], b.Rule) {
			rules[k] = append(rules[k], b.Rule)
		}
	}
	if len(order) > 0 {
		fmt.Fprintf(w, "by hand on %q:\n", p.Host)
	}
	for _, k := range order {
		fmt.Fprintf(w, "  %s %s", strings.Join(rules[k], ", "), k.subject)
		if k.why != "" {
			fmt.Fprintf(w, ": %s", k.why)
		}
		fmt.Fprintln(w)
		for fix := range strings.Lines(k.fix) {
			fmt.Fprintf(w, "      %s\n", strings.TrimRight(fix, "\n"))
		}
	}
}

// backupOf is where what a file was is kept: beside it and hidden, so that neither
// an include that ends in a star nor the next audit reads it.
func backupOf(name string) string {
	dir, base := filepath.Split(name)
	return dir + "." + base + source.Backup
}

// within is where a file really is, if that is below what was given for this
// machine, too. In the copy of a host an absolute link begins at the root of the
// copy, and the audit reads it so; the same path leads to this machine's own files.
// A link inside is followed: Debian turns on modules of FreeRADIUS by one.
func within(root, name string) (string, error) {
	if root, err := filepath.EvalSymlinks(root); err != nil {
		return "", failure("", "%v", err)
	} else if i, err := os.Stat(root); err == nil && !i.IsDir() {
		return name, nil // one file, named by the caller
	}
	real, err := realPath(root)
	if err != nil {
		return "", err
	}
	file, err := realPath(name)
	if err != nil {
		return "", err
	}
	below, err := filepath.Rel(real, file)
	if err != nil || !filepath.IsLocal(below) {
		return "", failure("name the directory that it is in", "%s leads out of %s by a link, and is not changed", name, root)
	}
	return filepath.Join(root, below), nil
}

// realPath is an absolute path without links.
func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return "", failure("", "%v", err)
	}
	return real, nil
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
	backup := backupOf(p.File)
	if err := likeFile(backup, p.Old, info, file.Create); errors.Is(err, fs.ErrExist) && holds(backup, p.Old) {
		// of a run that was interrupted: it is what the file still is
	} else if errors.Is(err, fs.ErrExist) {
		return failure("move it away", "%s is there already, and is not overwritten", backup)
	} else if errors.Is(err, fs.ErrPermission) {
		return failure("run it as who may write there, such as root", "%s is not changed: nothing can be written in its directory", p.File)
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

// holds tells whether a file, and no link to one, has a content.
func holds(path string, data []byte) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(data)) {
		return false
	}
	b, err := os.ReadFile(path)
	return err == nil && bytes.Equal(b, data)
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
