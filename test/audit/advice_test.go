package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"sallyport/assure/audit"
	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/posture"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

// filled puts values in the place of the words that an administrator fills in.
var filled = strings.NewReplacer("INNER", "10.1.0.0/16", "REMOTE", "10.2.0.0/16", "OUTER", "eth0", "POOL", "10.99.0.0/24", "PEERS", "198.51.100.7", "PEER", "198.51.100.7",
	"{name}", "default", "{conn}", "default", "{setting}", "new.secret", "<key>", "new.key", "CA-FILE", "/etc/ppp/ca.pem", "CERTIFICATE-FILE", "/etc/ppp/own.pem", "KEY-FILE", "/etc/ppp/own.key",
	"SERVER-NAME", "gw.example.org", "%i", "wg0", "$(wg show %i fwmark)", "51820", "ADDRESS-INSIDE", "10.1.0.53")

// filter is a packet filter of Linux, and how it is loaded and listed.
type filter struct {
	dialect  posture.Dialect
	file     string
	programs []string
	load     []string
	list     []string
	head     string // of the file, before the list
}

var filters = []filter{
	{posture.NFTables, "etc/nftables.conf", []string{"nft"}, []string{"nft", "-f"}, []string{"nft", "list", "ruleset"}, "flush ruleset\n"},
	{posture.IPTables, "etc/iptables/rules.v4", []string{"iptables"}, []string{"iptables-restore"}, []string{"iptables-save"}, ""},
}

// TestAdviceForAPacketFilterEndsItsFinding: what fails is loaded into the kernel,
// the commands of the advice are run, and an audit of what the kernel has then finds
// nothing.
func TestAdviceForAPacketFilterEndsItsFinding(t *testing.T) {
	for _, f := range filters {
		t.Run(string(f.dialect), func(t *testing.T) {
			labtest.Open(t, "")
			if err := lab.Missing(f.programs...); err != nil && f.dialect == posture.IPTables {
				t.Skip("needs Debian's package iptables, which make test installs: " + err.Error())
			}
			archives, err := filepath.Glob("../../assure/audit/testdata/rules/*/" + string(f.dialect) + ".txtar")
			must(t, err)
			if len(archives) < 9 {
				t.Error("there are no examples of", f.dialect)
			}
			for _, a := range archives {
				rule := filepath.Base(filepath.Dir(a))
				for name, files := range failing(t, a) {
					t.Run(rule+"_"+name, func(t *testing.T) { f.try(t, rule, siteOf(t, "", files)) })
				}
			}
		})
	}
}

// failing are the examples of an archive that fail.
func failing(t *testing.T, archive string) map[string]map[string]string {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	must(t, err)
	all := map[string]map[string]string{}
	for _, f := range a.Files {
		name, file, _ := strings.Cut(f.Name, "/")
		if !strings.HasPrefix(name, "fail") {
			continue
		}
		if all[name] == nil {
			all[name] = map[string]string{}
		}
		all[name][file] = string(f.Data)
	}
	return all
}

func (f filter) try(t *testing.T, rule string, s *site) {
	l := labtest.Open(t, "", f.programs...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err := l.Host("gw")
	must(t, err)
	file := filepath.Join(s.dir, f.file)
	_, err = h.Run(ctx, f.load[0], append(f.load[1:len(f.load):len(f.load)], file)...)
	must(t, err)
	fixes := s.advice(rule)
	if len(fixes) == 0 {
		t.Fatal("the audit finds nothing")
	}
	for _, fix := range fixes {
		_, err := h.Run(ctx, "sh", "-ec", filled.Replace(fix))
		must(t, err)
	}
	now, err := h.Run(ctx, f.list[0], f.list[1:]...)
	must(t, err)
	must(t, os.WriteFile(file, []byte(f.head+now), 0o600))
	if left := s.advice(rule); len(left) > 0 {
		t.Errorf("%s is found after:\n%s\nin what the kernel has:\n%s", rule, strings.Join(fixes, "\n"), now)
	}
}

// advice is what an audit says of a rule.
func (s *site) advice(rule string) (fixes []string) {
	a := audit.New(audit.Options{})
	for h := range load.Hosts(source.New("", os.DirFS(s.dir), true), load.Options{}) {
		a.Host(h)
	}
	for _, r := range a.Results {
		if r.Rule.ID == rule && r.Outcome == audit.Found {
			fixes = append(fixes, r.Fix)
		}
	}
	return fixes
}

// command are the commands of OpenSSL in advice, as far as they go.
var command = regexp.MustCompile(`(?:umask 077; )?openssl [a-z]+(?: -out (?:"[^"]*"|[a-z.]+)| -[a-z0-9]+(?: [A-Za-z0-9_:-]+)?| [0-9]+| > "[^"]*")*`)

// TestCommandsOfAdviceRun runs what the advice of all rules has for OpenSSL.
func TestCommandsOfAdviceRun(t *testing.T) {
	labtest.Need(t, "openssl")
	run := map[string]bool{}
	for _, fix := range everyFix("") {
		for _, c := range command.FindAllString(filled.Replace(fix), -1) {
			run[c] = true
		}
	}
	l := labtest.Open(t, "")
	h, err := l.Host("gw")
	must(t, err)
	for c := range run {
		out, err := h.RunCommand(t.Context(), lab.Command{Program: "sh", Args: []string{"-ec", c}, Dir: t.TempDir(), Stdin: strings.NewReader("a password\na password\n")})
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: %s", c, out)
	}
	if len(run) < 5 {
		t.Errorf("there are only %d commands", len(run))
	}
}

// everyFix are the fixes of all rules by rule and dialect: of one dialect, or of all.
func everyFix(only posture.Dialect) map[string]string {
	all := map[string]string{}
	for _, r := range audit.Rules() {
		for d, fix := range r.Fix {
			if only == "" || d == only {
				all[r.ID+" "+string(d)] = fix
			}
		}
	}
	return all
}

// tables are those of Debian's nftables.conf, with one for NAT.
const tables = `table inet filter {
	chain input { type filter hook input priority filter; policy accept; }
	chain forward { type filter hook forward priority filter; policy accept; }
	chain output { type filter hook output priority filter; policy accept; }
}
table ip nat {
	chain postrouting { type nat hook postrouting priority srcnat; }
}
`

// TestTheKernelTakesEveryRuleOfAdvice runs the lines for nft and iptables of all
// rules, in whatever dialect, also those that wg-quick would run.
func TestTheKernelTakesEveryRuleOfAdvice(t *testing.T) {
	l := labtest.Open(t, "", "nft")
	h, err := l.Host("gw")
	must(t, err)
	must(t, h.WriteFile("/run/tables", []byte(tables), 0o600))
	_, err = h.Run(t.Context(), "nft", "-f", "/run/tables")
	must(t, err)
	program := regexp.MustCompile(`^(?:(?:PostUp|PreDown) = )?((nft|iptables|ip6tables) .*)`)
	count := map[string]int{}
	for id, fix := range everyFix("") {
		for line := range strings.Lines(filled.Replace(fix)) {
			m := program.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil || lab.Missing(m[2]) != nil {
				continue
			}
			count[m[2]]++
			if _, err := h.Run(t.Context(), "sh", "-ec", m[1]); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	if t.Logf("%v", count); count["nft"] < 15 {
		t.Errorf("there are only %d lines for nft", count["nft"])
	}
}

// notOptions are fixes for pppd that are lines of other files, commands or sentences.
var notOptions = regexp.MustCompile(`["<{]|# in |=|^chown|iptables`)

// TestPPPDKnowsTheOptionsOfAdvice: pppd refuses a file with a word that it does not
// know. The advice of PPP-009 has one of pppd 2.5, and is given where it is written.
func TestPPPDKnowsTheOptionsOfAdvice(t *testing.T) {
	l := labtest.Open(t, "", "pppd")
	h, err := l.Host("gw")
	must(t, err)
	must(t, h.Mount("/etc/ppp"))
	devices(t, h)
	for name, text := range map[string]string{"chap-secrets": secrets, "eaptls-server": "* * - - - - *\n", "ca.pem": "", "own.pem": "", "own.key": ""} {
		must(t, h.WriteFile("/etc/ppp/"+name, []byte(text), 0o600))
	}
	count := 0
	for id, fix := range everyFix(posture.PPPD) {
		if notOptions.MatchString(fix) || strings.HasPrefix(id, "CVE-") || strings.HasPrefix(id, "PPP-009") {
			continue
		}
		must(t, h.WriteFile("/run/options", []byte("name l2tp-gw\n"+filled.Replace(fix)+"\n"), 0o600))
		out, err := h.Run(t.Context(), "pppd", "pty", "true", "logfd", "1", "dump", "dryrun", "file", "/run/options")
		if count++; err != nil {
			t.Errorf("%s: %v\n%s\n%s", id, err, fix, out)
		}
	}
	if count < 8 {
		t.Errorf("only %d fixes are options", count)
	}
}

// TestSysctlTakesTheAdvice: every line is taken, and read back.
func TestSysctlTakesTheAdvice(t *testing.T) {
	l := labtest.Open(t, "", "sysctl")
	h, err := l.Host("gw")
	must(t, err)
	rule, _ := audit.ByID("LEAK-008")
	must(t, h.WriteFile("/run/90-vpn.conf", []byte(rule.Fix[posture.Linux]+"\n"), 0o600))
	_, err = h.Run(t.Context(), "sysctl", "-p", "/run/90-vpn.conf")
	must(t, err)
	is, err := h.Run(t.Context(), "sysctl", "-a", "--pattern", `^net\.ipv[46]\.conf\.`)
	must(t, err)
	for line := range strings.Lines(rule.Fix[posture.Linux]) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && !strings.Contains(is, line+"\n") {
			t.Errorf("%q is not in force", line)
		}
	}
}

// TestXl2tpdStartsWithTheAdvice: a word that it does not know, or a value, ends it.
func TestXl2tpdStartsWithTheAdvice(t *testing.T) {
	l := labtest.Open(t, "", "xl2tpd")
	h, err := l.Host("gw")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conf := fmt.Sprintf(lns, "")
	for _, fix := range everyFix(posture.Xl2tpd) {
		if strings.HasPrefix(fix, "[") {
			conf += strings.ReplaceAll(fix, "{name}", "lns default") + "\n"
		}
	}
	if !strings.Contains(conf, "challenge = yes") {
		t.Error("there is no advice in", conf)
	}
	must(t, h.WriteFile("/run/advice.conf", []byte(conf), 0o600))
	awaitText(t, ctx, xl2tpd(t, h, "/run/advice.conf", "advice"), "Listening on IP address")
}
