package cli

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the goldens and docs/man from what the code does now")

// scriptDay is today in every script, so that waivers end when they should, but
// for those with "env SCRIPT_DAY=today": a gateway that serves has the system's
// clock.
var scriptDay = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sallyport": func() {
			env := System()
			if os.Getenv("SCRIPT_DAY") != "today" {
				env.Now = func() time.Time { return scriptDay }
			}
			os.Exit(Main(context.Background(), env, os.Args[1:]))
		},
		"await-serve": awaitServe,
		"note-use":    noteUse,
	})
}

// TestScripts runs the command line as a user would. Each script is one
// sentence about it; a script about a mistake in a configuration holds that
// one mistake.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", UpdateScripts: *update, RequireExplicitExec: true})
}
