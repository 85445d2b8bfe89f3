package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/spf13/cobra"

	"sallyport/assure/adopt"
	"sallyport/config"
	"sallyport/internal/file"
	"sallyport/posture"
	"sallyport/posture/load"
)

func newMigrateImport(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "import [PATH...]",
		Short: "Make a configuration of the one of strongSwan, Libreswan, xl2tpd or pppd",
		Long: `Reads the configuration of another product and makes one of Sallyport: zones,
pools, resolvers, routes and lifetimes. A PATH is a directory or a file; the
directory above "etc" is best, because files name each other. Without one, this
host is read. Nothing that is there is changed.

Everything of the source is listed with what became of it: taken, changed (how and
why), or left out (why, and what to do). What the gateway refuses, such as weak
proposals, PAP, or one key for all clients, is left out, and no waiver is written
for it. Tunnels between sites have no counterpart.

With --output the directory gets sallyport.yaml, REPORT.txt, and, where there are
such, users.csv for "sallyport user import", psk/*.psk for "sallyport device add",
and secrets of RADIUS servers. Those hold passwords and keys in clear, with mode
0600; delete them when they are imported. Without --output the configuration is
written to stdout, and the list to stderr; passwords and keys are shown nowhere.

The exit status is 0 when everything was taken or changed, 2 when something was
left out, 4 when a PATH cannot be read, and 5 when nothing there is for clients.`,
		Example: `  sallyport migrate import --output new
  sallyport migrate import /srv/backup/gw1 > sallyport.yaml
  sallyport config check new/sallyport.yaml`,
		Args:        cobra.ArbitraryArgs,
		Annotations: map[string]string{judges: fmt.Sprint(ExitNothing)},
	}
	withJSON(c)
	var dir string
	c.Flags().StringVar(&dir, "output", "", "write everything to a new or empty `DIRECTORY`")
	c.RunE = func(c *cobra.Command, args []string) error {
		h, texts, err := readOneHost(args)
		if err != nil {
			return err
		}
		return env.adopted(c, adopt.Host(h, func(name string) []byte { return texts[name] }), dir)
	}
	return c
}

// readOneHost reads paths as parts of one host, and the texts of its files by
// the names that they are shown by.
func readOneHost(paths []string) (*posture.Host, map[string][]byte, error) {
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	all, texts := &posture.Host{}, map[string][]byte{}
	for _, p := range paths {
		h, err := readHost(p, texts)
		if err != nil {
			return nil, nil, err
		}
		addHost(all, h)
	}
	return all, texts, nil
}

func readHost(path string, texts map[string][]byte) (*posture.Host, error) {
	t, err := openTarget(path)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	var found *posture.Host
	for h := range load.Hosts(t, load.Options{}) {
		if found != nil {
			return nil, failure("name the directory of one of them", "%s holds several hosts, such as %s and %s", path, found.Name, h.Name)
		}
		found = h
	}
	const most = 1 << 20 // octets; what a person has written is shorter
	for _, f := range found.Files {
		if below, err := filepath.Rel(t.Show("."), f.Path); err == nil && filepath.IsLocal(below) {
			texts[f.Path] = t.Head(filepath.ToSlash(below), most)
		}
	}
	return found, nil
}

// addHost adds all that is in one part of a host to what is known of it.
func addHost(all, part *posture.Host) {
	if all.Name == "" {
		all.Name = part.Name
	}
	to, from := reflect.ValueOf(all).Elem(), reflect.ValueOf(part).Elem()
	for i := range to.NumField() {
		if f := to.Field(i); f.Kind() == reflect.Slice {
			f.Set(reflect.AppendSlice(f, from.Field(i)))
		}
	}
}

// adopted writes what became of a host.
func (e *Env) adopted(c *cobra.Command, r *adopt.Result, dir string) error {
	at := "/etc/sallyport"
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		at = abs
	}
	text, report := r.YAML(at), r.Report()
	if _, found := config.Parse("sallyport.yaml", text, e.Now()); found.Err() != nil {
		return &configError{found}
	}
	asJSON, _ := c.Flags().GetBool("json")
	switch {
	case dir != "":
		files, err := writeAdopted(r, text, report, dir)
		if err != nil {
			return err
		}
		if err := e.report(c, report, func(w io.Writer) { sayAdopted(w, r, report, dir, files) }); err != nil {
			return err
		}
	case asJSON:
		if err := e.report(c, report, nil); err != nil {
			return err
		}
	default:
		if _, err := e.Stdout.Write(text); err != nil {
			return err
		}
		report.Text(e.Stderr)
	}
	switch {
	case r.Empty():
		return silent(ExitNothing)
	case report.Left > 0:
		return silent(ExitWarnings)
	}
	return nil
}

// adoptedFile is a file that was written.
type adoptedFile struct {
	name   string
	secret bool
}

// writeAdopted fills a directory. Nothing that is there is overwritten.
func writeAdopted(r *adopt.Result, text []byte, report adopt.Report, dir string) ([]adoptedFile, error) {
	if i, err := os.Stat(dir); err == nil && !i.IsDir() {
		return nil, failure("name a directory that is new or empty", "%s is a file, and no directory", dir)
	}
	if err := file.PrivateDir(dir); err != nil {
		return nil, explained(err)
	}
	var written []adoptedFile
	put := func(name string, data []byte, secret bool) error {
		mode := file.Public
		if secret {
			mode = file.Private
		}
		err := file.Create(filepath.Join(dir, name), data, mode)
		if errors.Is(err, fs.ErrExist) {
			return failure("choose another directory with --output", "%s is there already, and nothing is overwritten", filepath.Join(dir, name))
		}
		written = append(written, adoptedFile{name, secret})
		return err
	}
	var list, users bytes.Buffer
	writeReport(&list, r, report, dir)
	if err := r.CSV(&users); err != nil {
		return nil, err
	}
	err := put("sallyport.yaml", text, false)
	if err == nil {
		err = put("REPORT.txt", list.Bytes(), false)
	}
	if err == nil && len(r.Users) > 0 {
		err = put("users.csv", users.Bytes(), true)
	}
	for _, f := range r.Files {
		if err == nil {
			err = put(f.Name, append([]byte(f.Value), '\n'), true)
		}
	}
	if err == nil && len(r.Keys) > 0 {
		err = os.Mkdir(filepath.Join(dir, "psk"), 0o700)
	}
	for _, k := range r.Keys {
		if err == nil {
			err = put(filepath.Join("psk", k.Name+".psk"), append([]byte(k.Key), '\n'), true)
		}
	}
	return written, err
}

func writeReport(w io.Writer, r *adopt.Result, report adopt.Report, dir string) {
	report.Text(w)
	fmt.Fprintf(w, "\nNext\n")
	for _, line := range r.Commands(dir) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

func sayAdopted(w io.Writer, r *adopt.Result, report adopt.Report, dir string, files []adoptedFile) {
	for _, f := range files {
		note := ""
		if f.secret {
			note = " (secrets in clear, mode 0600: delete it when it is imported)"
		}
		fmt.Fprintf(w, "%s%s\n", filepath.Join(dir, f.name), note)
	}
	fmt.Fprintf(w, "\n%d taken, %d changed, %d left out: read %s\n\nNext\n", report.Taken, report.Changed, report.Left, filepath.Join(dir, "REPORT.txt"))
	for _, line := range r.Commands(dir) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}
