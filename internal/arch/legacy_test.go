package arch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// legacyCode is what a build with the tag nolegacy must not have.
var legacyCode = []string{"protocol/ikev1/...", "protocol/l2tp/...", "protocol/ppp/...", "engine/legacy/..."}

// TestABuildWithoutTheLegacyZoneHasNoneOfItsCode: neither among the packages that
// are linked, nor in the program's own list of functions.
func TestABuildWithoutTheLegacyZoneHasNoneOfItsCode(t *testing.T) {
	linked := func(tags string) (found []string) {
		for line := range strings.Lines(string(goTool(t, "list", "-tags", tags, "-deps", "./cmd/sallyport"))) {
			name := strings.TrimPrefix(strings.TrimSpace(line), module+"/")
			if matchesAny(legacyCode, name) {
				found = append(found, name)
			}
		}
		return found
	}
	if found := linked("nolegacy"); found != nil {
		t.Errorf("with the tag nolegacy the program links %q\n\twho has no legacy clients must not carry the code that faces them", found)
	}
	if found := linked(""); len(found) < len(legacyCode) {
		t.Errorf("without the tag it links %q only: this test looks for the wrong names", found)
	}
	goTool(t, "vet", "-tags", "nolegacy", "./engine/...", "./gateway/...", "./internal/cli/...")
	program := filepath.Join(t.TempDir(), "sallyport")
	goTool(t, "build", "-tags", "nolegacy", "-o", program, "./cmd/sallyport")
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range legacyCode {
		name := module + "/" + strings.TrimSuffix(p, "...")
		if bytes.Contains(text, []byte(name)) {
			t.Errorf("the program still speaks of %s", name)
		}
	}
}
