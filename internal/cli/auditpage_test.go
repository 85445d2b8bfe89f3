package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/posture/source"
)

func auditPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestThePageOnTheAuditSaysWhatTheProgramDoes: every dialect and format is on it,
// and the bounds are those of the code.
func TestThePageOnTheAuditSaysWhatTheProgramDoes(t *testing.T) {
	page := strings.Join(strings.Fields(auditPage(t)), " ")
	var wanted []string
	for _, d := range posture.Dialects() {
		wanted = append(wanted, "`"+string(d)+"`")
	}
	for _, f := range formatNames() {
		wanted = append(wanted, "`"+f+"`")
	}
	wanted = append(wanted,
		fmt.Sprintf("A file has at most %d MiB, a line %d KiB, a host %d MiB and a target %d,000 files", source.MostFileSize>>20, source.MostLine>>10, source.MostTotal>>20, source.MostFiles/1000),
		fmt.Sprintf("includes stop at a depth of %d and at %d,000 files", source.MostNesting, source.MostIncludes/1000))
	for _, w := range wanted {
		if !strings.Contains(page, w) {
			t.Errorf("docs/audit.md does not say %s", w)
		}
	}
}

// TestTheFilesOnThePageCanBeUsed reads the policy and the waivers that are shown.
func TestTheFilesOnThePageCanBeUsed(t *testing.T) {
	blocks := strings.Split(auditPage(t), "```yaml\n")[1:]
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of YAML; this test knows of a policy and waivers", len(blocks))
	}
	for i := range blocks {
		blocks[i], _, _ = strings.Cut(blocks[i], "```")
	}
	if p, found := policy.Parse("policy", []byte(blocks[0]), ruleIDs()); p == nil {
		t.Error(found.Err())
	}
	waivers, found := policy.ParseWaivers("waivers", []byte(blocks[1]), ruleIDs(), scriptDay)
	if found.Err() != nil || len(waivers) == 0 {
		t.Errorf("%d waivers: %v", len(waivers), found.Err())
	}
}
