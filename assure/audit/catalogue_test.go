package audit_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/assure/audit"
	"sallyport/config"
	"sallyport/posture"
)

var (
	idForm   = regexp.MustCompile(`^[A-Z]{3,4}-\d{3}$`)
	rfcForm  = regexp.MustCompile(`^RFC \d{3,4}, (Sections?|Appendix) [0-9A-Z]+(\.\d+)*(, [0-9]+(\.\d+)*)*( and [0-9]+(\.\d+)*)?$`)
	cveForm  = regexp.MustCompile(`^CVE-\d{4}-\d{4,}$`)
	wordForm = regexp.MustCompile(`\{[a-z]+\}`)
)

func TestTheCatalogueIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range audit.Rules() {
		t.Run(r.ID, func(t *testing.T) {
			if !idForm.MatchString(r.ID) || seen[r.ID] {
				t.Error("the id has another form, or is there twice")
			}
			seen[r.ID] = true
			if r.Title == "" || r.Why == "" || len(r.Checks) == 0 || len(r.Refs) == 0 || r.Needs == "" {
				t.Error("a row says what holds, why, what it bears on, where that stands, and what can answer it")
			}
			if strings.HasSuffix(r.Title, ".") || !strings.HasSuffix(r.Why, ".") {
				t.Error("the title is a sentence without a full stop, and the reason ends with one")
			}
			if len(r.Risk) != 2 || r.Risk < "R1" || r.Risk > "R9" {
				t.Errorf("risk %q", r.Risk)
			}
			for _, c := range r.Checks {
				if len(c) != 2 || c < "C1" || c > "C8" {
					t.Errorf("check %q", c)
				}
			}
			for _, ref := range r.Refs {
				if strings.HasPrefix(ref, "RFC") && !rfcForm.MatchString(ref) || strings.HasPrefix(ref, "CVE") && !cveForm.MatchString(ref) {
					t.Errorf("%q names no section, or is no id", ref)
				}
			}
			if r.Needs == audit.Config && len(r.Fix) == 0 {
				t.Error("a rule of configuration applies to no dialect")
			}
			for d, line := range r.Fix {
				if !slices.Contains(posture.Dialects(), d) || strings.TrimSpace(line) == "" {
					t.Errorf("the fix of %q is empty, or the dialect is none", d)
				}
				for _, word := range wordForm.FindAllString(line, -1) {
					if !slices.Contains([]string{"{name}", "{conn}", "{ike}", "{esp}", "{proposals}", "{id}", "{phase1}", "{phase2}", "{setting}", "{quantum}", "{ikev2}"}, word) {
						t.Errorf("the fix of %q has %s, which nothing replaces", d, word)
					}
				}
			}
		})
	}
}

func TestIDsOfAnAreaAreInOrderWithoutGaps(t *testing.T) {
	next := map[string]int{}
	for _, r := range audit.Rules() {
		next[r.Area()]++
		if want := fmt.Sprintf("%s-%03d", r.Area(), next[r.Area()]); r.ID != want {
			t.Errorf("%s stands where %s should", r.ID, want)
		}
	}
	for area, rows := range map[string]int{"PSK": 13, "PPP": 17, "KEY": 18, "LOG": 11} {
		if next[area] != rows {
			t.Errorf("%d rules of %s, and not %d", next[area], area, rows)
		}
	}
}

func TestRulesThatTheGatewayWaivesAreInTheCatalogue(t *testing.T) {
	for _, id := range []string{config.RuleMSCHAPv2, config.RuleNoEMS, config.RulePSKWeak, config.RulePSKAny, config.RulePSKShared} {
		if _, ok := audit.ByID(id); !ok {
			t.Errorf("%s is not in the catalogue", id)
		}
	}
}
