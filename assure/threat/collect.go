package threat

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"sallyport/posture"
)

// Bounds of what is kept: files may describe any number of hosts and networks.
const (
	mostHosts    = 4096
	mostOfHost   = 256 // assets, entry points or facts of one host
	mostFacts    = 1 << 16
	longestText  = 200 // runes of a text from a file
	mostFindings = 1000
)

// Collector keeps of each host what a model needs: names, places and counts. It
// keeps no secrets and nothing of the host itself. The zero Collector is ready.
type Collector struct {
	hosts   []*facts
	named   map[string]*facts
	facts   int
	leftOut int
}

// facts are what is kept of a host.
type facts struct {
	host    Host
	traits  map[trait]bool
	assets  []Asset
	entries []EntryPoint
	holders map[BoundaryID][]Holder
	gaps    []Gap
}

// Add takes what a model needs from a host. Hosts of one name are told as one,
// because results name a host and nothing else.
func (c *Collector) Add(h *posture.Host) {
	f := c.of(clean(h.Name))
	if f == nil {
		c.leftOut++
		return
	}
	k := keeper{c: c, f: f, h: h}
	k.products()
	k.traits()
	k.networks()
	k.credentials()
	k.keys()
	k.rest()
	k.entries()
	k.boundaries()
	k.gaps()
}

// of finds a host's facts, or makes room for them.
func (c *Collector) of(name string) *facts {
	if f := c.named[name]; f != nil {
		return f
	}
	if len(c.hosts) == mostHosts {
		return nil
	}
	f := &facts{host: Host{Name: name, Products: []string{}}, traits: map[trait]bool{anything: true}, holders: map[BoundaryID][]Holder{}}
	if c.named == nil {
		c.named = map[string]*facts{}
	}
	c.hosts, c.named[name] = append(c.hosts, f), f
	return f
}

// keeper enters one host.
type keeper struct {
	c *Collector
	f *facts
	h *posture.Host
}

// room tells whether one more fact may be kept beside so many of its sort.
func (k *keeper) room(have int) bool {
	if have >= mostOfHost || k.c.facts >= mostFacts {
		k.c.leftOut++
		return false
	}
	k.c.facts++
	return true
}

func (k *keeper) asset(kind AssetKind, name, detail string, at posture.Pos) {
	a := Asset{Kind: kind, Host: k.f.host.Name, Name: clean(name), Detail: clean(detail), File: clean(at.File), Line: at.Line}
	same := func(b Asset) bool { return b.Kind == a.Kind && b.Name == a.Name && b.Detail == a.Detail }
	if !slices.ContainsFunc(k.f.assets, same) && k.room(len(k.f.assets)) {
		k.f.assets = append(k.f.assets, a)
	}
}

func (k *keeper) entry(e EntryPoint, at posture.Pos) {
	e.Host, e.Address, e.Because, e.File, e.Line = k.f.host.Name, clean(e.Address), clean(e.Because), clean(at.File), at.Line
	same := func(b EntryPoint) bool { return b.Name == e.Name && b.Address == e.Address }
	if !slices.ContainsFunc(k.f.entries, same) && k.room(len(k.f.entries)) {
		k.f.entries = append(k.f.entries, e)
	}
}

// holds enters a fact about a boundary, if it is known at all; an empty text is
// for what is not worth telling.
func (k *keeper) holds(b BoundaryID, v posture.Value[bool], yes, no string) {
	if !v.Known() {
		return
	}
	text := yes
	if !v.V {
		text = no
	}
	if text == "" {
		return
	}
	if v.Why != "" {
		text += " (" + v.Why + ")"
	}
	h := Holder{Host: k.f.host.Name, Text: clean(text), File: clean(v.At.File), Line: v.At.Line}
	if have := k.f.holders[b]; !slices.Contains(have, h) && k.room(len(have)) {
		k.f.holders[b] = append(have, h)
	}
}

func (k *keeper) products() {
	for _, p := range k.h.Products {
		name := p.Name
		if p.Version.Known() {
			name += " " + p.Version.V
		}
		if name = clean(name); !slices.Contains(k.f.host.Products, name) && k.room(len(k.f.host.Products)) {
			k.f.host.Products = append(k.f.host.Products, name)
		}
	}
}

// traits finds what threats arise from.
func (k *keeper) traits() {
	h, has := k.h, k.f.traits
	for i := range h.Connections {
		if c := &h.Connections[i]; !c.Disabled {
			traitsOf(c, has)
		}
	}
	for i := range h.Secrets {
		switch h.Secrets[i].Kind {
		case posture.PSK, posture.GroupKey:
			has[psk] = true
		case posture.UserPassword:
			has[accounts] = true
		}
	}
	for i := range h.PPP {
		if s := h.PPP[i].Server; !s.Known() || s.V {
			has[ppp], has[clients], has[accounts] = true, true, true
		} else {
			has[ppp] = true
		}
	}
	for t, there := range map[trait]bool{
		l2tp:         slices.ContainsFunc(h.L2TP, func(l posture.L2TP) bool { return on(l.Enabled) }),
		services:     slices.ContainsFunc(h.Services, func(s posture.Service) bool { return on(s.Enabled) }),
		eap:          len(h.EAP) > 0,
		radius:       len(h.RADIUS) > 0,
		wireguard:    len(h.Tunnels) > 0,
		byHand:       len(h.Manual) > 0,
		certificates: len(h.Keys) > 0,
		secrets:      len(h.Secrets) > 0 || slices.ContainsFunc(h.Files, func(f posture.File) bool { return f.Secrets }) || slices.ContainsFunc(h.Keys, func(k posture.Key) bool { return k.Private }),
	} {
		has[t] = has[t] || there
	}
}

// on tells whether something is switched on, as far as is known.
func on(v posture.Value[bool]) bool { return !v.Known() || v.V }

// traitsOf are those of one connection.
func traitsOf(c *posture.Connection, has map[trait]bool) {
	has[ike] = true
	if !c.Role.Known() || c.Role.V&posture.Answers != 0 {
		has[answers] = true
	}
	if len(c.Pool.V) > 0 {
		has[clients] = true
	}
	for _, a := range slices.Concat(c.Local, c.Remote) {
		switch a.Method.V {
		case posture.MethodPSK:
			has[psk] = true
		case posture.MethodPubkey, posture.MethodHybrid:
			has[certificates] = true
		case posture.MethodEAP:
			has[eap], has[accounts] = true, true
		}
	}
	for i := range c.Children {
		if c.Children[i].L2TP {
			has[l2tp] = true
		}
	}
}

// networks enters what lies behind tunnels, and what is given to clients.
func (k *keeper) networks() {
	for i := range k.h.Connections {
		c := &k.h.Connections[i]
		if c.Disabled {
			continue
		}
		k.each(networks, c.Pool, "addresses of clients of "+quote(c.Name))
		for j := range c.Children {
			if child := &c.Children[j]; !child.L2TP {
				k.each(networks, child.LocalTS, "behind this host, by "+quote(child.Name))
				k.each(networks, child.RemoteTS, "behind the peer, by "+quote(child.Name))
			}
		}
	}
	for i := range k.h.Tunnels {
		t := &k.h.Tunnels[i]
		k.each(networks, t.Routes, "routed into "+quote(t.Name))
		for j := range t.Peers {
			k.each(networks, t.Peers[j].AllowedIPs, "behind a peer of "+quote(t.Name))
		}
	}
	if k.f.traits[ike] || k.f.traits[l2tp] || k.f.traits[wireguard] || k.f.traits[services] {
		k.asset(traffic, "what goes through the tunnels", "", posture.Pos{})
	}
}

// each enters every network of a list that names one. "dynamic" is the peer's
// own address (swanctl.conf), a name with a percent sign a word of ipsec.conf.
func (k *keeper) each(kind AssetKind, v posture.Value[[]string], detail string) {
	for _, name := range v.V {
		if name != "" && name != "dynamic" && !strings.HasPrefix(name, "%") {
			k.asset(kind, name, detail, v.At)
		}
	}
}

// sorts are the kinds of secrets, and what they are as assets.
var sorts = []struct {
	kind  posture.SecretKind
	asset AssetKind
	word  string
}{
	{posture.PSK, psks, "pre-shared key"}, {posture.GroupKey, psks, "group key"}, {posture.TunnelSecret, psks, "L2TP secret"}, {posture.PPKSecret, psks, "post-quantum pre-shared key"},
	{posture.UserPassword, passwords, "user password"}, {posture.RADIUSSecret, radiusKeys, "RADIUS secret"}, {posture.KeyPassword, privateKeys, "passphrase of a key"},
}

// credentials counts secrets by kind, storage and file: never their names or
// values.
func (k *keeper) credentials() {
	for _, sort := range sorts {
		type place struct {
			storage posture.Storage
			file    string
		}
		counts, order := map[place]int{}, []place{}
		for i := range k.h.Secrets {
			s := &k.h.Secrets[i]
			if s.Kind != sort.kind {
				continue
			}
			p := place{s.Storage, s.At.File}
			if counts[p] == 0 {
				order = append(order, p)
			}
			counts[p]++
		}
		for _, p := range order {
			k.asset(sort.asset, plural(counts[p], sort.word), "stored "+string(p.storage), posture.Pos{File: p.file})
		}
	}
}

func (k *keeper) keys() {
	for i := range k.h.Keys {
		key := &k.h.Keys[i]
		protection := "without a passphrase"
		if key.Encrypted {
			protection = "under a passphrase"
		}
		switch {
		case key.CA && key.Private:
			k.asset(authority, key.Name, "private key of an authority, "+protection, key.At)
		case key.CA:
			k.asset(authority, key.Name, "certificate of an authority", key.At)
		case key.Private:
			k.asset(privateKeys, key.Name, protection, key.At)
		}
	}
	for i := range k.h.Tunnels {
		if t := &k.h.Tunnels[i]; posture.Is(t.PrivateKeyInFile, true) {
			k.asset(privateKeys, t.Name, "of WireGuard, in the configuration", t.PrivateKeyInFile.At)
		}
	}
}

// rest enters what every host has.
func (k *keeper) rest() {
	k.asset(gateway, "the host itself", strings.Join(k.f.host.Products, ", "), posture.Pos{})
	if len(k.h.Logs) == 0 {
		k.asset(records, "records", "where they go is not known", posture.Pos{})
	}
	for i := range k.h.Logs {
		l := &k.h.Logs[i]
		k.asset(records, l.Name, recordsKept(l), l.At)
	}
}

func recordsKept(l *posture.Logging) string {
	switch {
	case !l.OffHost.Known():
		return "whether a copy leaves the host is not known"
	case !l.OffHost.V:
		return "on this host alone"
	case posture.Is(l.Protected, true):
		return "also on another host, over TLS"
	}
	return "also on another host"
}

// gaps counts what the readers could not read. A line that is not understood is
// no gap: it hides one setting, and is told in the report.
func (k *keeper) gaps() {
	for _, n := range k.h.Notes {
		if n.Kind == posture.Unparsed {
			continue
		}
		i := slices.IndexFunc(k.f.gaps, func(g Gap) bool { return g.Kind == string(n.Kind) })
		if i < 0 {
			first := place(clean(n.At.File), n.At.Line)
			if n.Text != "" {
				first += ": " + clean(n.Text)
			}
			k.f.gaps = append(k.f.gaps, Gap{Host: k.f.host.Name, Kind: clean(string(n.Kind)), First: first})
			i = len(k.f.gaps) - 1
		}
		k.f.gaps[i].Count++
	}
}

// clean makes a text from a file printable and short. What cannot be printed,
// direction marks among it, is written as its number, so that two names stay
// two.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > longestText {
			b.WriteString("...")
			break
		}
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func quote(name string) string { return `"` + name + `"` }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if before, of, ok := strings.Cut(noun, " of "); ok {
		return fmt.Sprintf("%d %ss of %s", n, before, of)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// place is a file and a line as a person writes them.
func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
