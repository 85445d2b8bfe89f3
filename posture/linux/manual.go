package linux

import (
	"path"
	"regexp"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// Lines that key an SA by hand: "ip xfrm state add src A dst B ..." of ip-xfrm(8)
// in whatever starts the network, and "add A B esp ..." of setkey(8).
var (
	byXfrm   = regexp.MustCompile(`\bip\s+(?:-\S+\s+)*x(?:f|fr|frm)?\s+s(?:t|ta|tat|tate)?\s+(?:add|update)\s+(.*)`)
	bySetkey = regexp.MustCompile(`^\s*add\s+(?:-[46n]+\s+)*([0-9A-Za-z:.\[\]-]+)\s+([0-9A-Za-z:.\[\]-]+)\s+(?:esp|ah|esp-old|ah-old)\s`)
	ends     = regexp.MustCompile(`\b(src|dst)\s+([0-9A-Fa-f:.]+)`)
)

// mayKey tells whether a file may have such lines: setkey's own by their names,
// scripts and the like if they do have one.
func mayKey(p string, head func() []byte) bool {
	base, dir := path.Base(p), path.Base(path.Dir(p))
	switch {
	case base == "ipsec-tools.conf", base == "setkey.conf", dir == "ipsec-tools.d":
		return true
	case base == "rc.local", base == "interfaces", dir == "interfaces.d", dir == "if-up.d", path.Ext(base) == ".sh":
		return byXfrm.Match(head())
	}
	return false
}

// mostManual bounds the SAs of one host.
const mostManual = 1_000

// manual enters the SAs of a file by their ends. Their keys stay in the file.
func manual(in *source.Input, p string) {
	text := in.Read(p, true)
	if text == nil {
		return
	}
	for n, line := range in.Lines(text) {
		name := keyed(line)
		if name == "" {
			continue
		}
		if len(in.Host.Manual) >= mostManual {
			in.Note(posture.Limit, text.At(n, 1), "more than %d manual SAs: the rest is left out", mostManual)
			return
		}
		in.Host.Manual = append(in.Host.Manual, posture.Manual{Subject: subject("manual", name, text.At(n, 1))})
	}
}

// keyed names the ends of a manual SA; it is empty for any other line.
func keyed(line string) string {
	if m := bySetkey.FindStringSubmatch(line); m != nil {
		return m[1] + " to " + m[2]
	}
	m := byXfrm.FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(strings.TrimSpace(line), "#") {
		return ""
	}
	end := map[string]string{"src": "any", "dst": "any"}
	for _, e := range ends.FindAllStringSubmatch(m[1], 2) {
		end[e[1]] = e[2]
	}
	return end["src"] + " to " + end["dst"]
}
