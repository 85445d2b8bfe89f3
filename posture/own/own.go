// Package own reads the gateway's own configuration, as the audit of any other
// product does: what is in force for each zone, and where it stands.
package own

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/config"
	"sallyport/posture"
	"sallyport/posture/source"
)

// product is the name in Host.Products.
const product = "Sallyport"

var (
	named   = regexp.MustCompile(`(?i)^sallyport[\w.-]*\.ya?ml$`)
	gateway = regexp.MustCompile(`(?m)^gateway:\s*(\{|#|$)`)
	hasName = regexp.MustCompile(`(?m)(^\s+|\{\s*|,\s*)name:`)
)

// Claims tells whether a file is a configuration of Sallyport: by its name, or
// for other YAML by its section gateway.
func Claims(p string, head func() []byte) bool {
	name := path.Base(p)
	if ext := path.Ext(name); ext != ".yaml" && ext != ".yml" {
		return false
	}
	text := head()
	return named.MatchString(name) && !slices.Contains(composes, name) || gateway.Match(text) && hasName.Match(text)
}

// composes are files about Sallyport that are none of its configuration.
var composes = []string{"sallyport-compose.yaml", "sallyport-compose.yml"}

// now decides which waivers are over; tests stop it.
var now = time.Now

func today(in *source.Input) time.Time {
	if in.Now.IsZero() {
		return now()
	}
	return in.Now
}

// Read reads the files of one host.
func Read(in *source.Input) {
	in = in.For(posture.Sallyport, in.Files)
	for _, p := range in.Files {
		text := in.Read(p, false)
		if text == nil {
			continue
		}
		c, places, found := config.ParseWithPlaces(text.Show, text.Data, today(in))
		if c == nil {
			refused(in, text, found)
			continue
		}
		r := &reader{c: c, file: text.Show, places: places, known: true, host: in.Host, in: in, dir: path.Dir(p)}
		in.Product(product, in.Version(product))
		if in.Host.Name == "" {
			in.Host.Name = c.Gateway.Name
		}
		r.read()
	}
}

// refused notes every fault: the gateway takes no configuration that has one.
func refused(in *source.Input, text *source.Text, found config.Diagnostics) {
	for _, d := range found {
		if d.Severity != config.Error {
			continue
		}
		what := d.Message
		if d.Key != "" {
			what = source.Quote(d.Key) + ": " + what
		}
		in.Note(posture.Malformed, text.At(d.Line, d.Col), "%s", strings.TrimSpace(what))
	}
}

// Of is the posture of a configuration that was loaded already; file is its name
// in reports. Positions are the file as a whole, every value counts as written,
// and secrets stay in their files.
func Of(c *config.Config, file string) posture.Host {
	h := posture.Host{
		Name:     c.Gateway.Name,
		Products: []posture.Product{{Dialect: posture.Sallyport, Name: product}},
		Files:    []posture.File{{Path: file, Dialect: posture.Sallyport}},
	}
	r := &reader{c: c, file: file, host: &h}
	r.read()
	return h
}

// Opener reads a file with a secret that a configuration names, and tells when it
// was changed. Nil is a file that cannot be read.
type Opener func(file string) ([]byte, time.Time)

// InForce is the posture of a configuration on the host that it is for: places
// are those of its file, and open reads the files with secrets that it names.
func InForce(c *config.Config, file string, places config.Places, open Opener) posture.Host {
	h := posture.Host{
		Name:     c.Gateway.Name,
		Products: []posture.Product{{Dialect: posture.Sallyport, Name: product}},
		Files:    []posture.File{{Path: file, Dialect: posture.Sallyport}},
	}
	line, _ := places.At("gateway.name")
	r := &reader{c: c, file: file, places: places, known: line > 0, host: &h, open: open}
	r.read()
	return h
}

// reader fills a host from one configuration.
type reader struct {
	c      *config.Config
	file   string
	places config.Places
	known  bool // where keys stand is known
	host   *posture.Host
	in     *source.Input // nil: no files of a tree may be read
	open   Opener        // of files on the host itself; nil: likewise
	dir    string        // of the configuration, below the root
}

// read makes everything of a configuration.
func (r *reader) read() {
	r.daemon()
	for i := range r.c.Zones {
		z := &r.c.Zones[i]
		r.connection(z)
		r.eap(z)
		if z.Protocol == config.L2TP {
			r.l2tp(z)
		}
		r.waivers(z)
	}
	for i := range r.c.RADIUS {
		r.realm(&r.c.RADIUS[i])
	}
	r.firewall()
	r.logging()
}

func (r *reader) at(key string) posture.Pos {
	line, col := r.places.At(key)
	return posture.Pos{File: r.file, Line: line, Col: col}
}

func (r *reader) subject(kind, name, key string) posture.Subject {
	return posture.Subject{Dialect: posture.Sallyport, Kind: kind, Name: name, At: r.at(key)}
}

// set is the value of a key: written, or its default.
func set[T any](r *reader, key string, v T, text string) posture.Value[T] {
	if !r.known || r.places.Written(key) {
		return posture.Written(v, r.at(key), text)
	}
	return posture.ByDefault(v, r.at(key), "default of Sallyport")
}

// always is what the gateway does whatever is written.
func always[T any](r *reader, key string, v T, why string) posture.Value[T] {
	return posture.ByDefault(v, r.at(key), why)
}

// waivers hands on what a zone answers for.
func (r *reader) waivers(z *config.Zone) {
	for i, w := range z.Waivers {
		r.host.Waivers = append(r.host.Waivers, posture.Waiver{
			Dialect: posture.Sallyport, Rule: w.Rule, Subject: z.Name, Peer: w.Peer, Reason: w.Reason, Owner: w.Owner, Until: w.Until,
			At: r.at(item("zones."+z.Name+".waivers", i)),
		})
	}
}
