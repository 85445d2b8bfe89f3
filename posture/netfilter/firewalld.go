package netfilter

import (
	"path"
	"regexp"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// isFirewalld tells whether a file is of firewalld(1): a zone, a policy, or rules
// of its direct interface.
func isFirewalld(p string) bool {
	dir, base := path.Split("/" + p)
	if !strings.Contains(dir, "/firewalld/") || strings.Contains(dir, "/usr/lib/") {
		return false
	}
	switch path.Base(dir) {
	case "zones", "policies":
		return path.Ext(base) == ".xml"
	}
	return base == "direct.xml"
}

// firewalld is a filter of which little is known: what a zone lets in depends on
// services, rich rules, policies and interfaces in many places, and what it made of
// them is one listing. But a port of a zone is open whether IPsec is around or not,
// and the rule of the direct interface that stops UDP 1701 in the clear comes first.
func firewalld(in *source.Input, files []string) posture.Firewall {
	at := posture.Pos{File: in.Show(files[0])}
	wall := posture.Firewall{Subject: posture.Subject{Dialect: posture.NFTables, Kind: "firewall", Name: "firewalld", At: at}}
	var open, stopped posture.Value[bool]
	others := false
	for _, p := range files {
		t := in.Read(p, false)
		if t == nil {
			continue
		}
		rich := false // inside a rule, which may refuse as well
		for n, line := range in.Lines(t) {
			rich = rich || strings.Contains(line, "<rule")
			v := posture.Written(true, t.At(n, 1), source.Quote(strings.TrimSpace(line)))
			switch {
			case !strings.Contains(line, "1701"):
			case zonePort.MatchString(line) && !rich:
				open = v
			case stops1701.MatchString(line):
				stopped = v
			default:
				others = true
			}
			rich = rich && !strings.Contains(line, "</rule>")
		}
	}
	switch {
	case stopped.Known():
		wall.L2TPOpen, wall.L2TPNeedsIPsec = not(stopped), stopped
	case open.Known() && !others:
		wall.L2TPOpen, wall.L2TPNeedsIPsec = open, not(open)
	}
	in.Note(posture.Unparsed, at, "zones of firewalld are read for UDP 1701 alone: put the listing beside them, nft list ruleset > ruleset.nft")
	return wall
}

var (
	zonePort  = regexp.MustCompile(`^\s*<port\s+(port="1701"\s+protocol="udp"|protocol="udp"\s+port="1701")\s*/>\s*$`)
	stops1701 = regexp.MustCompile(`<rule[^>]*table="filter"[^>]*chain="INPUT"[^>]*>\s*-p udp (-m udp )?--dport 1701 -m policy --dir in --pol none -j (DROP|REJECT)\s*</rule>`)
)
