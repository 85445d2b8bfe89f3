package audit

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/posture"
)

// unfilled is a word of advice that only an administrator can fill in.
var unfilled = regexp.MustCompile(`\b[A-Z]{4,}\b|[<{]`)

// TestSwanctlTakesTheWordsOfAdvice: charon discards a connection with an option that
// it does not know, or a value.
func TestSwanctlTakesTheWordsOfAdvice(t *testing.T) {
	l := labtest.Open(t, "", "charon-systemd", "swanctl")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err := l.Host("gw")
	must(t, err)
	s := start(t, ctx, h, nil)
	const base = "\n\t\tremote_addrs = 198.51.100.9\n\t\tlocal {\n\t\t\tauth = psk\n\t\t}\n\t\tremote {\n\t\t\tauth = psk\n\t\t}\n\t\tchildren {\n\t\t\tdefault {\n\t\t\t}\n\t\t}\n"
	conf, count := nest("connections.wrong", []string{base + "no_such_word = yes"}), 1
	for id, fix := range everyFix(posture.Swanctl) {
		for place, lines := range blocks(strings.ReplaceAll(filled.Replace(fix), "/etc/ppp/", "")) {
			if place, ok := strings.CutPrefix(place, "connections.default"); ok && !unfilled.MatchString(place+strings.Join(lines, " ")) {
				name := fmt.Sprintf("connections.%s-%d", id[:strings.Index(id, " ")], count)
				conf += nest(name, []string{base}) + nest(name+place, lines)
				count++
			}
		}
	}
	if count < 15 {
		t.Errorf("there are only %d blocks of advice", count)
	}
	ca := labtest.CertPEM(labtest.NewAuthority(t, "an authority").Cert)
	err = s.Load(ctx, lab.SwanFiles{Conf: conf, X509CA: map[string][]byte{"ca.pem": ca}})
	if want := fmt.Sprintf("loaded %d of %d connections, 1 failed", count-1, count); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want %s: %v\n%s", want, err, conf)
	}
}

// blocks are the settings of a fix by the section that a comment names before them.
func blocks(fix string) map[string][]string {
	all, place := map[string][]string{}, ""
	for line := range strings.SplitSeq(fix, "\n") {
		if in, ok := strings.CutPrefix(line, "# in "); ok {
			place, _, _ = strings.Cut(in, ":")
			place, _, _ = strings.Cut(place, ",")
		} else if strings.HasPrefix(line, "#") {
			place = "" // another way, or a remark
		} else if place != "" {
			all[place] = append(all[place], line)
		}
	}
	return all
}

// nest writes settings into sections inside each other.
func nest(place string, lines []string) string {
	path := strings.Split(place, ".")
	return strings.Join(path, " {\n") + " {\n" + strings.Join(lines, "\n") + strings.Repeat("\n}", len(path)) + "\n"
}

// TestTheStarterKnowsTheWordsOfAdvice: it says which keywords and values it does not
// know, and goes on without them.
func TestTheStarterKnowsTheWordsOfAdvice(t *testing.T) {
	l := labtest.Open(t, "", "ipsec")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err := l.Host("gw")
	must(t, err)
	conf, count := "", 0
	fixes := everyFix(posture.Starter)
	for _, id := range slices.Sorted(maps.Keys(fixes)) {
		if fix, _, _ := strings.Cut(fixes[id], "\n# "); strings.HasPrefix(fix, "conn {conn}") && !unfilled.MatchString(filled.Replace(fix)) {
			count++
			conf += strings.Replace(filled.Replace(fix), "conn default", fmt.Sprintf("conn c%d", count), 1) + "\n    left=127.0.0.1\n    right=198.51.100.9\n\n"
		}
	}
	if count < 10 {
		t.Errorf("there are only %d fixes", count)
	}
	must(t, h.WriteFile("/run/ipsec.conf", []byte(conf+"conn last\n    nosuchword=yes\n    left=127.0.0.1\n    right=198.51.100.9\n    auto=add\n"), 0o600))
	must(t, h.WriteFile("/run/strongswan.conf", []byte(starterConf), 0o600))
	p, err := h.Start(lab.Command{Program: "ipsec", Args: []string{"start", "--nofork", "--conf", "/run/ipsec.conf"}, Env: []string{"STRONGSWAN_CONF=/run/strongswan.conf"}, Alone: true})
	must(t, err)
	defer p.Stop()
	awaitText(t, ctx, p, " started after ")
	if out := p.Output(); !strings.Contains(out, "# unknown keyword 'nosuchword'\n") || !strings.Contains(out, "### 1 parsing error ") {
		t.Errorf("one word should be unknown:\n%s\n%s", out, conf)
	}
}
