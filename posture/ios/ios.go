// Package ios reads configurations of Cisco IOS and IOS XE, as "show
// running-config" writes them. ASA and NX-OS have other grammars and are not
// read.
//
// What is the default does not stand there, and few of the defaults are in the
// vendor's documents for every version: most are inferences here, and say so.
package ios

import (
	"bytes"
	"regexp"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// typedAt is what may stand before a line: the prompt of a terminal.
const typedAt = `(?m)^(?:[A-Za-z][A-Za-z0-9_.-]*\([a-z0-9-]+\)[#>])?[ \t]*`

var (
	asaLine     = regexp.MustCompile(typedAt + `(tunnel-group |ASA Version|PIX Version|crypto (ikev1|ikev2) enable |crypto ipsec ikev[12] |crypto map [^ ]+ (interface |[0-9]+ set |[0-9]+ match )|access-group [^ ]+ (in|out) interface )`)
	versionLine = regexp.MustCompile(`(?m)^[ \t]*version [0-9]{1,2}\.[0-9]{1,2}\s*$`)
	iosLine     = regexp.MustCompile(typedAt + `(hostname |boot-start-marker|service timestamps|service password-encryption|no service |crypto (isakmp|ikev2|ipsec|map|keyring) |Building configuration|Current configuration : |vpdn )`)
	cryptoLine  = regexp.MustCompile(typedAt + beginnings("crypto", 2) + ` (` + beginnings("isakmp", 2) + ` (` + beginnings("policy", 2) + `|key|` + beginnings("profile", 2) + `)|` +
		beginnings("ikev2", 2) + ` (` + beginnings("proposal", 3) + `|` + beginnings("policy", 2) + `|` + beginnings("keyring", 2) + `|` + beginnings("profile", 3) + `)|` +
		beginnings("ipsec", 2) + ` (` + beginnings("transform-set", 2) + `|` + beginnings("profile", 2) + `)) `)
)

// Claims tells whether a file is a configuration of IOS: by its version line
// and another that IOS has, or by its blocks of crypto.
func Claims(_ string, head func() []byte) bool {
	h := head()
	if asaLine.Match(h) || bytes.Contains(h, []byte("!Command: show running-config")) {
		return false
	}
	return versionLine.Match(h) && iosLine.Match(h) || cryptoLine.Match(h)
}

// Read reads the configurations.
func Read(in *source.Input) {
	in = in.For(posture.IOS, in.Files)
	for _, p := range in.Files {
		if t := in.Read(p, false); t != nil {
			r := &reader{in: in, host: in.Host, text: t, acls: map[string][]rule{}}
			r.root = parse(in, t, func(string, posture.Pos) {})
			r.read()
		}
	}
}

// reader is the reading of one configuration.
type reader struct {
	in       *source.Input
	host     *posture.Host
	text     *source.Text
	root     *line
	product  string
	defaults setting.Defaults
	all      uses            // what asks for IPsec
	applied  map[string]bool // crypto maps that interfaces have
	first    phase1
	second   phase1
	tunnel   posture.Value[[]string]        // what clients of the connection at hand send through it
	guard    *line                          // of a crypto map that has L2TP
	weakest  *posture.Value[posture.Demand] // check of revocation among the trustpoints, once it was looked for
	acls     map[string][]rule              // access lists that were read
}

func (r *reader) read() {
	r.version()
	if h := r.root.find("hostname"); h != nil {
		r.host.Name = h.word(1)
	}
	r.known()
	r.all, r.applied = r.uses(), r.onInterfaces()
	r.guard = r.guarded()
	r.first, r.second = r.phase1s()
	r.connections()
	r.daemon()
	r.keys()
	r.vpdn()
	r.radius()
	r.users()
	r.firewall()
	r.logging()
}

// Product names. IOS XE took over at 16; older versions of either have the same
// grammar and defaults.
const (
	classic = "IOS"
	xe      = "IOS XE"
)

// oldest is the version whose defaults count where the file has none.
const oldest = "15.2"

func (r *reader) version() {
	v := posture.Value[string]{}
	if l := r.root.find("version"); l != nil {
		v = posture.Written(l.word(1), l.at, l.word(1))
	}
	r.product = classic
	if v.Known() && setting.Compare(v.V, "16") >= 0 || !v.Known() && r.in.Version(xe).Known() {
		r.product = xe
	}
	if known := r.in.Version(r.product); known.Known() {
		v = known // the line has the first two numbers only
	}
	r.in.Product(r.product, v)
	r.defaults = setting.Defaults{Product: r.product, Version: v, Oldest: oldest}
	if v.Known() {
		r.host.Packages = append(r.host.Packages, posture.Package{
			Subject: r.subject("package", r.product, v.At), Manager: "firmware", Name: r.product, Source: r.product, Version: v.V,
		})
	}
}

func (r *reader) subject(kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: posture.IOS, Kind: kind, Name: name, At: at}
}

// flag is a switch of the configuration as a whole: on by a line, off by its
// "no", and otherwise what the default is.
func (r *reader) flag(byDefault bool, words ...string) posture.Value[bool] {
	if l := r.root.find(words...); l != nil {
		return posture.Written(!l.no, l.at, l.text)
	}
	return setting.Of(r.defaults, byDefault, r.root.at, false)
}

// written is a value that a line sets.
func written[T any](l *line, v T) posture.Value[T] { return posture.Written(v, l.at, l.text) }

// known notes the lines at the top that nobody reads.
func (r *reader) known() {
	for _, l := range r.root.below {
		if !topWords[l.words[0]] && !strings.HasSuffix(l.text, "configuration...") {
			r.in.Note(posture.Unparsed, l.at, "%s begins no line that is known", shown(l, 0))
		}
	}
	for _, l := range r.root.all("crypto") {
		if !cryptoWords[l.word(1)] {
			r.in.Note(posture.Unparsed, l.at, "crypto %s is not known", shown(l, 1))
		}
	}
	for _, b := range blocks {
		for _, l := range r.root.all(strings.Fields(b.begins)...) {
			r.knownBelow(l, b.words)
		}
	}
}

// shown is an unknown word of a line, if more follows: a word alone may be the
// rest of a secret that a terminal has wrapped.
func shown(l *line, i int) string { return setting.Key(l.word(i), l.word(i+1)) }

// knownBelow notes the lines of a block that nobody reads; only their first
// word is shown, for there may be a secret in the rest.
func (r *reader) knownBelow(l *line, words map[string]bool) {
	for _, b := range l.below {
		if !words[b.words[0]] {
			r.in.Note(posture.Unparsed, b.at, "%s is not known here", shown(b, 0))
		}
		if b.words[0] == "set" && !setWords[b.word(1)] {
			r.in.Note(posture.Unparsed, b.at, "set %s is not known", shown(b, 1))
		}
	}
}
