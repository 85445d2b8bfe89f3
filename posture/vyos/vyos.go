// Package vyos reads the configuration of VyOS: config.boot, and what "show
// configuration commands" prints. Secrets are in the clear in both.
//
// VyOS makes configurations of strongSwan and accel-ppp of it; where a setting
// is missing it fills in its own default, which is often weaker than theirs.
//
// Sources: interface-definitions and data/templates of vyos-1x, of which the
// defaults here are those from 1.3 to 1.5; vyatta-ravpn for L2TP before 1.2.
package vyos

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/setting"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// product is the name in Host.Products.
const product = "VyOS"

// tops are the sections of a configuration.
var tops = words(`interfaces firewall vpn system service protocols nat nat66 nat64 policy high-availability pki container qos zone-policy
	traffic-policy vrf cluster load-balancing custom-attributes port-forward content-inspection webproxy virtualization vpp`)

// begins are those that may be the first: sections are in alphabetical order, and
// there are always interfaces. Other programs' files begin with the rest.
var begins = words(`firewall high-availability interfaces nat protocols service system vpn container load-balancing`)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		set[w] = true
	}
	return set
}

// Claims tells whether a file is a configuration of VyOS: by its name, or as far
// as the form goes by how it begins.
func Claims(p string, head func() []byte) bool {
	base := path.Base(p)
	if strings.HasPrefix(base, "config.boot") {
		return true
	}
	if !slices.Contains([]string{"", ".boot", ".conf", ".cfg", ".txt", ".config", ".vyos", ".cmds", ".commands", ".set", ".sh", ".vbash"}, path.Ext(base)) {
		return false
	}
	b := head()
	if isCommands(b) {
		return vyosCommands(b)
	}
	return vyosBraces(b)
}

// vyosCommands knows what Junos, which also has "set interfaces", has not.
func vyosCommands(b []byte) bool {
	for line := range bytes.Lines(b) {
		w := strings.Fields(unprompted(string(line[:min(len(line), 200)])))
		if len(w) < 3 || w[0] != "set" {
			continue
		}
		if w[1] == "vpn" && kinds["vpn"][w[2]] || w[1] == "interfaces" && kinds["interfaces"][w[2]] {
			return true
		}
	}
	return false
}

var kinds = map[string]map[string]bool{
	"vpn":        words("ipsec l2tp pptp sstp openconnect rsa-keys ipsec-settings"),
	"interfaces": words("ethernet loopback bonding bridge dummy openvpn pppoe tunnel vti vxlan wireguard wireless wwan"),
}

// vyosBraces: a section begins the file, and no line ends in a semicolon, as all do
// in Junos.
func vyosBraces(b []byte) bool {
	first := true
	for line := range bytes.Lines(b) {
		s := strings.TrimSpace(string(line))
		switch {
		case s == "" || strings.HasPrefix(s, "/") || strings.HasPrefix(s, "#"):
			continue
		case first:
			name, ok := strings.CutSuffix(s, " {")
			if !ok || !begins[name] || line[0] == ' ' || line[0] == '\t' {
				return false
			}
			first = false
		case strings.HasSuffix(s, ";"):
			return false
		}
	}
	return !first
}

// Read reads each file.
func Read(in *source.Input) {
	for _, p := range in.Files {
		next := in.For(posture.VyOS, []string{p})
		if t := next.Read(p, true); t != nil {
			parsed := parse(next, t)
			r := &reader{in: next, t: t, root: parsed.root, release: parsed.release, edge: parsed.edge}
			r.read()
		}
	}
}

// reader is the reading of one configuration.
type reader struct {
	in      *source.Input
	t       *source.Text
	root    *node
	release *node
	edge    bool // of EdgeOS, which went on from Vyatta
	version posture.Value[string]

	ordered  map[*node][]*node // lists by number, in order
	esp      map[espKey]offers
	defaults map[suite.Protocol]defaults
	steps    int // through rules of the firewall and of NAT
	children int
}

// Bounds of what is read of a tree, far beyond what a person writes.
const (
	mostConnections = 10_000
	mostChildren    = 20_000
	mostProposals   = 32
	mostSteps       = 300_000
)

// full tells whether there are as many connections as are read, and notes it.
func (r *reader) full(n *node) bool {
	if len(r.in.Host.Connections) < mostConnections && r.children < mostChildren {
		return false
	}
	r.in.Note(posture.Limit, n.at, "more than %d connections or %d tunnels: the rest was not read", mostConnections, mostChildren)
	return true
}

// step counts what is bounded by the product of lists; false is too much.
func (r *reader) step(n *node) bool {
	if r.steps++; r.steps == mostSteps {
		r.in.Note(posture.Limit, n.at, "more than %d steps through the rules: not judged", mostSteps)
	}
	return r.steps < mostSteps
}

func (r *reader) read() {
	r.identity()
	r.check(r.root, "config")
	r.ipsec()
	r.l2tp()
	r.services()
	r.wireGuard()
	r.firewall()
	if r.whole() {
		r.logging()
	}
	r.pki()
}

// whole tells whether the file is the router's configuration and not a part, so
// that what is not in it is not set: the section of the system is never empty, and
// the release stands at the end of what was saved.
func (r *reader) whole() bool { return r.root.has("system") || r.release != nil }

// identity is the host's name and the release.
func (r *reader) identity() {
	name := r.root.value("system", "host-name")
	if domain := r.root.value("system", "domain-name"); name != "" && domain != "" {
		name += "." + domain
	}
	if r.in.Host.Name == "" {
		r.in.Host.Name = name
	}
	v := posture.Value[string]{}
	if r.release != nil && r.release.name != "" {
		text := source.Quote(r.release.name)
		v = posture.Written(text, r.release.at, text)
	}
	r.in.Product(product, v)
	r.version = r.in.Version(product)
	if r.version.Known() {
		r.in.Host.Packages = append(r.in.Host.Packages, posture.Package{
			Subject: r.subject("package", product, r.version.At), Manager: "firmware", Name: product, Source: product, Version: r.version.V,
		})
	}
}

// before tells whether the release is known and older than one; EdgeOS has the
// scripts of Vyatta, like VyOS before 1.2.
func (r *reader) before(version string) bool {
	return r.edge || proposal.Before(r.version.V, version)
}

func (r *reader) subject(kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: posture.VyOS, Kind: kind, Name: source.Quote(name), At: at}
}

// byDefault makes a value that VyOS takes where nothing is written. It is
// inferred where the release is not known.
func byDefault[T any](r *reader, v T, at posture.Pos, why string) posture.Value[T] {
	if r.version.Known() {
		return posture.ByDefault(v, at, why)
	}
	return posture.Guess(v, at, "version unknown: "+why)
}

// written makes a value of what a leaf says.
func written[T any](v T, leaf *node) posture.Value[T] { return posture.Written(v, leaf.at, leaf.name) }

// all makes a value of all values of a setting; unknown where there are none.
func all(n *node) posture.Value[[]string] {
	v := n.values()
	if len(v) == 0 {
		return posture.Value[[]string]{}
	}
	return posture.Written(v, n.at, strings.Join(v, ", "))
}

func seconds(n *node) (time.Duration, bool) {
	if n == nil {
		return 0, false
	}
	v, err := strconv.ParseUint(n.name, 10, 32)
	return time.Duration(v) * time.Second, err == nil
}

func (r *reader) seconds(n *node, otherwise time.Duration, why string, path ...string) posture.Value[time.Duration] {
	if t, ok := seconds(n.leaf(path...)); ok {
		return written(t, n.leaf(path...))
	}
	return byDefault(r, otherwise, n.where(path...), why)
}

// secret enters the value of a leaf as a secret.
func (r *reader) secret(kind posture.SecretKind, name string, leaf *node, more posture.Secret) {
	if leaf == nil || leaf.name == "" {
		return
	}
	more.Subject = r.subject("secret", name, leaf.at)
	more.Kind, more.Backup, more.Setting = kind, true, leaf.path()
	if setting.LeftOut(leaf.name) { // "xxxxxx" of strip-private, or "****" for who may not see secrets
		r.in.Note(posture.Opaque, leaf.at, "a secret was left out of the export")
		more.Storage = posture.Elsewhere
	} else {
		more.Storage, more.Value = posture.Clear, secret.Bytes(leaf.name)
	}
	r.in.Host.Secrets = append(r.in.Host.Secrets, more)
}

// decode understands the types of a secret (secret-type, since 1.4): strongSwan
// gets them as 0x and 0s. It takes these prefixes in plain text, too: VyOS writes
// the quotes of swanctl.conf around it, which do not keep them.
func decode(s *posture.Secret, kind string) {
	text := string(s.Value)
	plain := kind == "" || kind == "plaintext"
	switch {
	case plain && strings.HasPrefix(text, "0x"):
		kind = "hex"
	case plain && strings.HasPrefix(text, "0s"):
		kind = "base64"
	}
	switch kind {
	case "hex":
		text = strings.TrimPrefix(text, "0x")
		if len(text)%2 == 1 {
			s.Traps = append(s.Traps, "odd number of hex digits")
			text = "0" + text
		}
		if b, err := hex.DecodeString(text); err == nil {
			s.Value, s.Storage = b, posture.Reversible
		} else {
			s.Traps = append(s.Traps, "not hex")
		}
	case "base64":
		if b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "0s")); err == nil {
			s.Value, s.Storage = b, posture.Reversible
		} else {
			s.Traps = append(s.Traps, "not base64")
		}
	}
}
