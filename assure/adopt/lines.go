package adopt

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// grammar is as much of a dialect as is needed to go through its lines.
type grammar struct {
	nested bool
	ends   func(line string, depth int) (after int) // depth of sections after a line
	header func(code string) bool
	key    func(code string) string // empty: the line sets nothing
}

// Lines are gone through in dialects whose settings have a line each. Files that
// hold nothing but secrets are not: each of their entries has a fate.
var grammars = map[posture.Dialect]grammar{
	posture.Swanctl:   {true, braces, func(code string) bool { return strings.HasSuffix(code, "{") || code == "}" }, assigned},
	posture.Starter:   {false, indented, isSection, assigned},
	posture.Libreswan: {false, indented, isSection, assigned},
	posture.Xl2tpd:    {false, brackets, func(code string) bool { return code[0] == '[' }, assigned},
	posture.PPPD:      {false, func(string, int) int { return 0 }, func(string) bool { return false }, firstWord},
}

var secretFiles = []string{"ipsec.secrets", "chap-secrets", "pap-secrets", "srp-secrets", "eaptls-server", "eaptls-client", "l2tp-secrets", "passwd"}

// lines lists what no item speaks of: a posture has no place for it, because it
// bears on no security. Values are not shown, because they may be secrets.
func (a *adopter) lines(read Reader) {
	told, whole := map[posture.Pos]bool{}, map[posture.Pos]bool{}
	for _, i := range a.out.Items {
		at := posture.Pos{File: i.At.File, Line: i.At.Line}
		told[at] = true
		whole[at] = whole[at] || i.whole
	}
	for _, f := range a.host.Files {
		g, ok := grammars[f.Dialect]
		if !ok || slices.Contains(secretFiles, path.Base(f.Path)) || strings.HasSuffix(f.Path, ".secrets") {
			continue
		}
		a.linesOf(f.Path, read(f.Path), g, told, whole)
	}
}

const mostLines = 20_000

func (a *adopter) linesOf(file string, text []byte, g grammar, told, whole map[posture.Pos]bool) {
	n, in := 0, section{grammar: g}
	for raw := range bytes.Lines(text) {
		if n++; n > mostLines {
			a.add(Item{Fate: Left, At: posture.Pos{File: file}, Subject: "line", What: "all after line " + itoa(mostLines), Why: "the file is too long to be listed"})
			return
		}
		line := strings.TrimRight(string(raw), "\r\n")
		at := posture.Pos{File: file, Line: n}
		code := uncommented(line)
		if skipped := in.next(line, code, whole[at]); skipped || code == "" || g.header(code) || told[at] {
			continue
		}
		if key := g.key(code); key != "" && !a.named(file, key, code) {
			a.setting(at, key)
		}
	}
}

// inZone are settings of which items of other lines speak.
var inZone = []string{
	"pools", "ms-dns", "leftprotoport", "rightprotoport", "authby", "+mschap-v2", "require-mschap-v2", "require authentication", "require chap", "require pap",
	"pppoptfile", "leftxauthserver", "rightxauthclient", "leftmodecfgserver", "rightmodecfgclient", "modecfgpull", "modecfgdns", "auth", "keyexchange", "type",
}

// outer are the addresses that the old product listens on.
var outer = []string{"local_addrs", "left", "listen", "interfaces"}

// setting is a line that no item has spoken of.
func (a *adopter) setting(at posture.Pos, key string) {
	i := Item{Fate: Left, At: at, Subject: "setting", What: shown(key), Why: noSetting}
	switch {
	case slices.Contains(inZone, key):
		i.Fate, i.Became, i.Why = Taken, "in the zone", ""
	case slices.Contains(outer, key):
		i.Fate, i.Became, i.Why, i.Do = Changed, "all addresses", "the gateway listens on all of them", "name those of gateway.listen to listen on fewer"
	}
	a.add(i)
}

// shown is a key, if it does not look like a part of a secret of several lines.
func shown(key string) string {
	word := strings.NewReplacer("+", "", ".", "", ":", "", "%", "", "\t", "").Replace(key)
	if s, _ := strconv.Unquote(setting.Key(word, "is there")); s != word {
		return "(a line that is no setting)"
	}
	return plain(key)
}

const noSetting = "the gateway has no setting like it, or does it by itself"

// named tells whether an item of another line speaks of this one: a secret has
// its place at its value, and several pools are one value.
func (a *adopter) named(file, key, code string) bool {
	if key == "secret" || key == "file" || strings.HasPrefix(key, "id") {
		return true
	}
	if key != "addrs" && key != "dns" {
		return false
	}
	_, value, _ := strings.Cut(code, "=")
	value, _, _ = strings.Cut(strings.Trim(value, " \""), ",")
	const most = 2_000 // items; a file with more is no person's
	items := a.out.Items[:min(most, len(a.out.Items))]
	return slices.ContainsFunc(items, func(i Item) bool { return i.At.File == file && value != "" && strings.Contains(i.What, value) })
}

// section follows the sections of a file, to pass over those of which one item
// speaks as a whole.
type section struct {
	grammar  grammar
	depth    int
	skipping bool
	base     int // depth at which the section ends
}

func (s *section) next(line, code string, whole bool) (skipped bool) {
	before := s.depth
	s.depth = s.grammar.ends(line, before)
	nested := s.grammar.nested
	if s.skipping && !nested && s.depth == 0 && code != "" {
		s.skipping = false
	}
	if whole && !s.skipping && s.grammar.header(code) {
		s.skipping, s.base = true, before
	}
	skipped = s.skipping
	if s.skipping && nested && s.depth <= s.base {
		s.skipping = false
	}
	return skipped
}

// uncommented is a line without its comment and the space around it.
func uncommented(line string) string {
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	return strings.TrimSpace(line)
}

// braces counts the depth of sections of strongswan.conf(5).
func braces(line string, depth int) int {
	code := uncommented(line)
	return max(0, depth+strings.Count(code, "{")-strings.Count(code, "}"))
}

// indented: a section of ipsec.conf(5) ends where a line begins in the first
// column.
func indented(line string, depth int) int {
	switch {
	case uncommented(line) == "":
		return depth
	case line[0] == ' ' || line[0] == '\t':
		return 1
	}
	return 0
}

func isSection(code string) bool {
	word, _, _ := strings.Cut(code, " ")
	return slices.Contains([]string{"config", "conn", "ca", "version", "include"}, word)
}

// brackets: a section of an INI file ends where the next begins.
func brackets(line string, depth int) int {
	switch code := uncommented(line); {
	case code == "":
		return depth
	case code[0] == '[':
		return 0
	}
	return 1
}

// assigned is the key of "key = value".
func assigned(code string) string {
	key, _, ok := strings.Cut(code, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" || len(key) > 64 || key == "also" || strings.ContainsAny(key, "{}\"") {
		return ""
	}
	return key
}

func firstWord(code string) string {
	word, _, _ := strings.Cut(strings.ReplaceAll(code, "\t", " "), " ")
	if len(word) > 64 {
		return ""
	}
	return word
}
