package config

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"time"
)

// Load reads and checks a file, and what it names on this host: an interface
// or a file that is not there is a warning, because a configuration may be
// checked before it is carried to its gateway. The Config is nil when any
// diagnostic is an Error. Now decides which waivers are over.
func Load(file string, now time.Time) (*Config, Diagnostics) {
	b, err := readFile(file)
	if err != nil {
		hint := ""
		switch {
		case errors.Is(err, fs.ErrNotExist):
			hint = "sallyport config example shows a file to begin with"
		case errors.Is(err, fs.ErrPermission):
			hint = "run this as the user that owns the file"
		default:
			hint = "name a file that can be read, with --config"
		}
		return nil, Diagnostics{{File: file, Severity: Error, Message: "cannot be read: " + reason(err), Hint: hint}}
	}
	d := newDecoder(file)
	c := d.parse(b, now)
	d.checkHost(c)
	return d.result(c)
}

// Parse reads and checks a configuration; file is its name in diagnostics.
// The Config is nil when any diagnostic is an Error.
func Parse(file string, b []byte, now time.Time) (*Config, Diagnostics) {
	d := newDecoder(file)
	c := d.parse(b, now)
	return d.result(c)
}

// readFile stops at the limit, so that a device or a huge file costs nothing.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// reason leaves out the path, which the diagnostic names already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func newDecoder(file string) *decoder {
	return &decoder{file: file, places: map[string]pos{}, written: map[string]bool{}, broken: map[string]bool{}}
}

// parse goes from octets to a checked configuration: form, keys, derived
// defaults, sense.
func (d *decoder) parse(b []byte, now time.Time) *Config {
	c := new(Config)
	root, problems := parseYAML(b)
	for _, p := range problems {
		d.report(Error, p.pos, "", p.hint, "%s", p.message)
	}
	if root == nil {
		return nil
	}
	d.decode(root, reflect.ValueOf(c).Elem(), path{})
	if d.spoiled(root) {
		return c // what is missing would only give more messages about the same fault
	}
	d.derive(c)
	d.check(c, now)
	return c
}

// spoiled tells whether the form of a value is at fault, so that nothing can be
// said about the sense of the whole.
func (d *decoder) spoiled(n *node) bool {
	if n.kind == kindFault {
		return true
	}
	return slices.ContainsFunc(n.items, d.spoiled) ||
		slices.ContainsFunc(n.pairs, func(p pair) bool { return d.spoiled(p.value) })
}

// result gives the configuration only when nothing is wrong with it.
func (d *decoder) result(c *Config) (*Config, Diagnostics) {
	slices.SortStableFunc(d.found, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	if d.found.Err() != nil {
		return nil, d.found
	}
	return c, d.found
}
