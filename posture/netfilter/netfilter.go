// Package netfilter reads packet filters of Linux into a posture: rulesets of
// nftables (nft(8)), what iptables-save(8) and ip6tables-save(8) print, the rules
// of ufw(8), and scripts that call iptables line by line.
//
// It does not look for words: it sends packets through the chains, as the
// kernel would, and sees what becomes of them. A packet comes from any address
// of the internet, so that a rule for some sources takes it for some and refuses
// it to the rest. Where the way depends on a condition that nobody can judge from
// the files, the fact is unknown and a note names the rule.
package netfilter

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// form is how a file is written.
type form uint8

const (
	foreign form = iota
	nftFile
	saveFile
	scriptFile
	ufwFile
	firewalldFile
)

// Claims tells whether a file is a packet filter's. Rulesets have no usual
// names once they were printed, so their beginning counts.
func Claims(p string, head func() []byte) bool { return formOf(p, head) != foreign }

var (
	nftBegins    = regexp.MustCompile(`(?m)^\s*(flush\s+ruleset|(add\s+)?table\s+(inet|ip|ip6|arp|bridge|netdev)\s+\S+)`)
	saveBegins   = regexp.MustCompile(`(?m)^\*(filter|nat|mangle|raw|security)\s*$`)
	scriptBegins = regexp.MustCompile(`(?m)^\s*(sudo\s+)?(/usr)?(/s?bin/)?(iptables|ip6tables)\s+-`)
	builtin      = regexp.MustCompile(`(?m)^:(INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING) (ACCEPT|DROP)`)
)

func formOf(p string, head func() []byte) form {
	base := path.Base(p)
	switch {
	case isUFW(p):
		return ufwFile
	case isFirewalld(p):
		return firewalldFile
	case base == "nftables.conf" || strings.HasSuffix(base, ".nft"):
		return nftFile
	case slices.Contains([]string{"rules.v4", "rules.v6", "iptables.rules", "ip6tables.rules"}, base):
		return saveFile
	case (base == "iptables" || base == "ip6tables") && strings.Contains("/"+p, "/sysconfig/"):
		return saveFile
	case !slices.Contains([]string{"", ".txt", ".conf", ".rules", ".sh", ".save", ".ruleset", ".v4", ".v6", ".local"}, path.Ext(base)):
		return foreign
	}
	b := head()
	switch {
	// A part whose chains are called by others says nothing.
	case saveBegins.Match(b) && builtin.Match(b):
		return saveFile
	case nftBegins.Match(b) && bytes.IndexByte(b, '{') >= 0 && !bytes.HasPrefix(b, []byte("#!/bin/")):
		return nftFile
	case scriptBegins.Match(b) && (strings.HasSuffix(base, ".sh") || bytes.HasPrefix(b, []byte("#!/"))):
		return scriptFile
	}
	return foreign
}

// Read makes one firewall of all files of nftables, and one of those of iptables.
func Read(in *source.Input) {
	byForm := map[form][]string{}
	for _, p := range in.Files {
		f := formOf(p, func() []byte { return in.Head(p, 8<<10) })
		byForm[f] = append(byForm[f], p)
	}
	ipt := readIPTables(in.For(posture.IPTables, nil), byForm[saveFile], byForm[scriptFile], byForm[ufwFile])
	nft := readNFTables(in.For(posture.NFTables, nil), byForm[nftFile])
	if f := byForm[firewalldFile]; len(f) > 0 && ipt == nil && (nft == nil || idle(nft)) {
		in.Host.Firewalls = append(in.Host.Firewalls, firewalld(in.For(posture.NFTables, nil), f))
	}
	if ipt != nil {
		in.Host.Firewalls = append(in.Host.Firewalls, firewall(in.For(posture.IPTables, nil), ipt))
	}
	// The file that distributions install filters nothing. Beside another filter it
	// is no gap.
	if nft != nil && (ipt == nil || !idle(nft)) {
		in.Host.Firewalls = append(in.Host.Firewalls, firewall(in.For(posture.NFTables, nil), nft))
	}
}

// idle tells whether a ruleset does nothing.
func idle(s *ruleset) bool {
	return s.rules == 0 && !slices.ContainsFunc(s.chains, func(c *chain) bool { return c.policy != accept })
}
