package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/assure/audit"
	"sallyport/assure/harden"
	"sallyport/assure/report"
	"sallyport/assure/threat"
	"sallyport/config"
	"sallyport/posture"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

func newAudit(env *Env) *cobra.Command {
	var o auditFlags
	c := &cobra.Command{
		Use:     "audit [PATH...]",
		GroupID: groupTools,
		Short:   "Judge the VPN configuration of this host, of a copy of one, or of an export",
		Long: `Reads what is there, resolves what each product does where nothing is written,
and says what is weak, why, and what to write instead. Nothing is changed, except
by --fix with --write.

A PATH is a directory or a file: the copy of a host's file system, its /etc, one
configuration file, or an export of a router or a firewall. Without one, this
host is read. Directories above "etc" and exports are hosts of their own.
Includes and links are followed below PATH and never out of it.

Each rule says of each connection, secret or service that it is fine, that it is
not, or that it cannot be assessed. The grade begins at A+, and findings cap it.

The exit status is 0 when there is nothing to do, 2 with findings below
--fail-on, 3 with findings at or above it that nobody answers for, 4 when a PATH
cannot be read, or a file in it and there are no findings, and 5 when there is no
VPN in it or nothing of it could be assessed. With --baseline only
findings count that are not in it, that are graver than in it, or whose waiver has
ended since.`,
		Example: `  sallyport audit
  sallyport audit /etc/swanctl
  sallyport audit --policy cnsa2 --json backup/gw1 router.rsc
  sallyport audit --format html --output audit.html backup
  sallyport audit --baseline last-week.json backup`,
		Args:        cobra.ArbitraryArgs,
		Annotations: map[string]string{judges: fmt.Sprint(ExitNothing)},
		RunE:        func(c *cobra.Command, args []string) error { return runAudit(env, &o, args) },
	}
	o.add(c)
	withFix(c, &o)
	c.AddCommand(newAuditPolicy(env), newAuditRules(env), newAuditVulndb(env), newAuditSchema(env))
	return c
}

// auditFlags are what the command line says besides the paths.
type auditFlags struct {
	threats threat.Collector // of the formats that are threat models
	results []audit.Result
	found   bool // a VPN, on any host

	policy   string
	format   string
	json     bool
	output   string
	baseline string
	failOn   string
	host     string
	versions []string
	all      bool
	waivers  string
	fix      bool
	rewrite  bool // with fix
	vulndb   vulndbFlags

	threshold audit.Severity // failOn, read
}

func (o *auditFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.policy, "policy", "default", "judge by the `POLICY` of this name, or in this file")
	f.StringVar(&o.format, "format", "text", "write the report as `FORMAT`: "+strings.Join(formatNames(), ", "))
	f.BoolVar(&o.json, "json", false, "the same as --format json")
	f.StringVar(&o.output, "output", "", "write the report to `FILE`")
	f.StringVar(&o.baseline, "baseline", "", "compare with the JSON report of before in `FILE`, and judge only what is new")
	f.StringVar(&o.failOn, "fail-on", audit.High.String(), "end with 3 from this `SEVERITY` on: info, low, medium, high, critical")
	f.StringVar(&o.host, "host", "", "`NAME` of the host, where its files do not say and PATH is one host")
	f.StringArrayVar(&o.versions, "product-version", nil, "`PRODUCT=VERSION` that the files do not say, such as strongSwan=5.9.8")
	f.StringVar(&o.waivers, "waivers", "", "`FILE` of findings that somebody answers for")
	o.vulndb.add(f)
	f.BoolVar(&o.all, "all", false, "show what is fine, and every line that was not understood")
}

// formats are the ways to write a report.
var formats = []struct {
	name  string
	write func(*Env, *auditFlags, *report.Report, io.Writer) error
}{
	{"text", writeAuditText},
	{"json", func(_ *Env, _ *auditFlags, r *report.Report, w io.Writer) error { return r.JSON(w) }},
	{"sarif", func(_ *Env, _ *auditFlags, r *report.Report, w io.Writer) error { return r.SARIF(w) }},
	{"junit", func(_ *Env, o *auditFlags, r *report.Report, w io.Writer) error { return r.JUnit(w, o.threshold) }},
	{"html", func(_ *Env, _ *auditFlags, r *report.Report, w io.Writer) error { return r.HTML(w) }},
	{"cbom", func(_ *Env, _ *auditFlags, r *report.Report, w io.Writer) error { return r.CBOM(w) }},
	{"threat-model", threatModel((*threat.Model).Markdown)},
	{"threat-model-json", threatModel((*threat.Model).JSON)},
	{"threat-model-html", threatModel((*threat.Model).HTML)},
}

func formatNames() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// threatModel is a report that is made of the hosts as well as of the results.
func threatModel(write func(*threat.Model, io.Writer) error) func(*Env, *auditFlags, *report.Report, io.Writer) error {
	return func(_ *Env, o *auditFlags, r *report.Report, w io.Writer) error {
		return write(o.threats.Model(o.results, r.Created), w)
	}
}

func runAudit(env *Env, o *auditFlags, paths []string) error {
	if o.fix || o.rewrite {
		return runFix(env, o, paths)
	}
	options, err := o.options(env)
	if err != nil {
		return err
	}
	loading, err := o.loading(env, paths)
	if err != nil {
		return err
	}
	before, err := o.before()
	if err != nil {
		return err
	}
	a := audit.New(options)
	var seen report.Inventory
	paths = targets(paths)
	progress := env.progress()
	defer progress.end()
	for _, p := range paths {
		if err := o.auditPath(progress, a, &seen, p, loading); err != nil {
			return err
		}
	}
	a.End()
	progress.end()
	warnOfIdle(env, options.Waivers, a.Results)
	o.results = a.Results
	r := report.Make(a, seen, options.Policy, report.Tool{Name: "sallyport", Version: thisBuild().Version}, strings.Join(paths, " "), env.Now())
	if before != nil {
		r.Since(before)
	}
	if err := o.write(env, r); err != nil {
		return err
	}
	warnOfUnread(env, r)
	o.next(env, r, paths)
	return o.verdict(r)
}

// same are the flags that another run with the same judgement needs.
func (o *auditFlags) same() string {
	flags := ""
	add := func(name, value string) { flags += " --" + name + " " + shellWord(value) }
	if o.policy != "default" {
		add("policy", o.policy)
	}
	for _, v := range o.versions {
		add("product-version", v)
	}
	if o.waivers != "" {
		add("waivers", o.waivers)
	}
	return flags
}

const nothingKnown = "there is no configuration of a VPN that is known here; name its directory, /etc of its host, or an export"

// onPaths is a command with paths, as it can be pasted.
func onPaths(command string, paths []string) string {
	for _, p := range paths {
		if strings.HasPrefix(p, "-") {
			p = "./" + p // no flag
		}
		command += " " + shellWord(p)
	}
	return command
}

// shellWord quotes what a shell would not take as it is.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./=:,@+%", r)
	}
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// next says what a person who has read the findings can do.
func (o *auditFlags) next(env *Env, r *report.Report, paths []string) {
	if o.format != "text" {
		return
	}
	if !o.found && len(r.Policy.Off) == 0 && !r.Grade.Unread() {
		env.hint(nothingKnown)
	}
	if len(r.Findings) == 0 {
		return
	}
	mendable := slices.ContainsFunc(r.Findings, func(f report.Finding) bool {
		return f.Severity > audit.Info && harden.Mends(posture.Dialect(f.Dialect)) // what is only worth knowing is for a person
	})
	if mendable {
		env.hint(onPaths("sallyport audit --fix"+o.same(), paths) + " shows what to change, as a patch")
	}
	env.hint("sallyport audit rules " + r.Findings[0].Rule + " tells more of a rule")
}

func (o *auditFlags) options(env *Env) (audit.Options, error) {
	if o.json && o.format != "text" && o.format != "json" {
		return audit.Options{}, failure("leave one of them out", "--json and --format %s are two forms of one report", o.format)
	}
	if o.json {
		o.format = "json"
	}
	if !slices.Contains(formatNames(), o.format) {
		return audit.Options{}, failure(didYouMean("--format ", o.format, formatNames()), "there is no report format %q", o.format)
	}
	if err := o.threshold.UnmarshalText([]byte(o.failOn)); err != nil {
		return audit.Options{}, failure("for example --fail-on medium", "--fail-on: %v", err)
	}
	p, err := readPolicy("--policy ", o.policy)
	if err != nil {
		return audit.Options{}, err
	}
	waivers, err := readWaivers(env, o.waivers)
	if err != nil {
		return audit.Options{}, err
	}
	data, err := o.vulndb.data()
	if err != nil {
		return audit.Options{}, err
	}
	return audit.Options{Policy: p, Waivers: waivers, Data: data, Now: env.Now()}, nil
}

func didYouMean(before, written string, known []string) string {
	if near := config.Nearest(written, known); near != "" {
		return "did you mean " + before + near + "?"
	}
	return "one of " + strings.Join(known, ", ")
}

func (o *auditFlags) loading(env *Env, paths []string) (load.Options, error) {
	l := load.Options{Host: o.host, Versions: map[string]string{}, Now: env.Now()}
	if o.host != "" && len(paths) > 1 {
		return l, failure("name one PATH, or leave --host out", "--host is the name of one host, and %d are to be read", len(paths))
	}
	for _, v := range o.versions {
		product, version, ok := strings.Cut(v, "=")
		if !ok || product == "" || version == "" {
			return l, failure("for example --product-version strongSwan=5.9.8", "%q is no product with a version", v)
		}
		if !slices.ContainsFunc(products, func(p string) bool { return strings.EqualFold(p, product) }) {
			return l, failure(didYouMean("--product-version ", product, products), "--product-version: no product is called %q", product)
		}
		if version[0] < '0' || version[0] > '9' {
			return l, failure("for example --product-version strongSwan=5.9.8", "--product-version: %q is no version", version)
		}
		l.Versions[product] = version
	}
	return l, nil
}

// products are those whose version decides defaults or flaws.
var products = []string{"strongSwan", "Libreswan", "xl2tpd", "pppd", "FreeRADIUS", "accel-ppp", "pptpd", "WireGuard", "RouterOS", "IOS", "IOS XE", "FortiOS", "pfSense", "OPNsense", "VyOS", "Windows", "Sallyport"}

// before is the report to compare with, if any.
func (o *auditFlags) before() (*report.Report, error) {
	if o.baseline == "" {
		return nil, nil
	}
	f, err := os.Open(o.baseline)
	if err != nil {
		return nil, failure("name a report that --json wrote", "the baseline %s cannot be read: %v", o.baseline, bare(err))
	}
	defer f.Close()
	r, err := report.LoadBaseline(f)
	if err != nil {
		return nil, failure("name a report that --json wrote", "the baseline %s cannot be used: %v", o.baseline, err)
	}
	return r, nil
}

// targets are the paths to read, each once; without one, this host.
func targets(paths []string) (all []string) {
	if len(paths) == 0 {
		return []string{"/"}
	}
	seen := map[string]bool{}
	for _, p := range paths {
		name, err := filepath.Abs(p)
		if err != nil || !seen[name] {
			all = append(all, p)
		}
		seen[name] = true
	}
	return all
}

// auditPath judges the hosts of one path.
func (o *auditFlags) auditPath(progress *progress, a *audit.Audit, seen *report.Inventory, path string, l load.Options) error {
	t, err := openTarget(path)
	if err != nil {
		return err
	}
	defer t.Close()
	a.Roots = append(a.Roots, path)
	progress.at("reading %s", path)
	for h := range load.Hosts(t, l) {
		progress.at("judging host %d of %s: %q", len(a.Hosts)+1, path, h.Name)
		o.threats.Add(h)
		o.found = o.found || hasVPN(h)
		a.Host(h)
		seen.Add(h)
		progress.at("reading %s, %s judged", path, plural(len(a.Hosts), "host"))
	}
	return nil
}

// openTarget opens what the command line names. One file that cannot be read is an
// error; among others it would be a note.
func openTarget(path string) (*source.Tree, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = readable(path, info)
	}
	if err != nil {
		return nil, cannotRead(path, err)
	}
	t, err := source.Open(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	return t, nil
}

func readable(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is a pipe or a device; write it to a file first")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func cannotRead(path string, err error) error {
	hint := "name a directory or a file that you may read"
	if near := config.Nearest(path, auditVerbs); errors.Is(err, fs.ErrNotExist) && near != "" {
		hint = "did you mean sallyport audit " + near + "?"
	}
	if errors.Is(err, fs.ErrPermission) {
		hint = asRoot
	}
	if path == "-" {
		hint = "standard input is not read; write it to a file first"
	}
	return &Error{Err: fmt.Errorf("%s cannot be read: %w", path, bare(err)), Hint: hint, Code: ExitUnreadable}
}

// auditVerbs are the verbs below audit, where a slip makes a path of them.
var auditVerbs = []string{"policy", "rules", "schema", "vulndb"}

const asRoot = "run it as root, or on a copy that you may read"

// warnOfUnread says how much was not seen for want of permission: secrets, as a
// rule, and with them the gravest findings.
func warnOfUnread(env *Env, r *report.Report) {
	unread := map[string]bool{}
	for _, n := range r.Notes {
		if n.Kind == string(posture.Unreadable) && strings.Contains(n.Text, fs.ErrPermission.Error()) {
			unread[n.File] = true
		}
	}
	if len(unread) > 0 {
		env.Warn(fmt.Sprintf("you may not read %s: what is wrong there was not found", plural(len(unread), "file")), asRoot)
	}
}

// bare is an error without the path, which is in the message already.
func bare(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

// cause is the innermost cause, for an error whose context is said already.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (o *auditFlags) write(env *Env, r *report.Report) error {
	w, done := env.Stdout, func() error { return nil }
	if o.output != "" {
		f, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return failure("name a file in a directory that is there with --output", "%s cannot be written: %v", o.output, bare(err))
		}
		w, done = f, f.Close
	}
	i := slices.IndexFunc(formats, func(f struct {
		name  string
		write func(*Env, *auditFlags, *report.Report, io.Writer) error
	}) bool {
		return f.name == o.format
	})
	err := formats[i].write(env, o, r, w)
	if e := done(); err == nil {
		err = e
	}
	if err == nil && o.output != "" {
		c := r.Counts
		env.Say("%s holds the report: grade %s, %d critical, %d high, %d medium, %d low", o.output, r.Grade.String(), c.Critical, c.High, c.Medium, c.Low)
	}
	return err
}

func writeAuditText(env *Env, o *auditFlags, r *report.Report, w io.Writer) error {
	colours := map[report.Style]colour{report.Bad: red, report.Fair: yellow, report.Good: green, report.Strong: bold}
	return r.Text(w, report.TextOptions{All: o.all, Width: env.columns(w), Paint: func(s report.Style, text string) string {
		if c, ok := colours[s]; ok {
			return env.paint(w, c, text)
		}
		return text
	}})
}

// verdict is the exit code of what was found.
func (o *auditFlags) verdict(r *report.Report) error {
	code := ExitOK
	for i := range r.Findings {
		f := &r.Findings[i]
		switch {
		case f.Waived() || !r.New(i):
		case f.Severity >= o.threshold:
			return silent(ExitFailures)
		case f.Severity >= audit.Low:
			code = ExitWarnings
		}
	}
	switch {
	case r.Grade.Assessed == 0 && unreadable(r):
		return silent(ExitUnreadable)
	case r.Grade.Assessed == 0:
		return silent(ExitNothing)
	case code != ExitOK:
		return silent(code)
	case r.Grade.Unread():
		return silent(ExitUnreadable)
	case !o.found:
		return silent(ExitNothing)
	}
	return nil
}

// hasVPN tells whether a host has anything of a VPN, and not only what every host
// has: settings of the kernel, logs, a firewall, and the packages of that.
func hasVPN(h *posture.Host) bool {
	software := slices.ContainsFunc(h.Products, func(p posture.Product) bool { return p.Name != "Linux" && p.Name != "OpenSSL" })
	return software || len(h.Connections)+len(h.Manual)+len(h.Daemons)+len(h.L2TP)+len(h.PPP)+len(h.EAP)+len(h.RADIUS)+len(h.Services)+len(h.Tunnels)+len(h.Secrets)+len(h.Keys)+len(h.CRLs) > 0
}

// unreadable tells whether what was named is there and cannot be read.
func unreadable(r *report.Report) bool {
	return slices.ContainsFunc(r.Notes, func(n report.Note) bool {
		return n.Kind == string(posture.Unreadable) || n.Kind == string(posture.Limit) || n.Kind == string(posture.Outside) || n.Kind == string(posture.Malformed)
	})
}
