package cli

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

// schemaVersion is the version of every JSON report. It grows when a field
// changes its meaning or goes away; new fields do not change it.
const schemaVersion = 1

// document is the envelope of every JSON report.
type document struct {
	SchemaVersion int    `json:"schema_version"`
	Report        string `json:"report"` // the verb, such as "config check"
	Data          any    `json:"data"`
}

// withJSON gives a verb the flag --json.
func withJSON(c *cobra.Command) {
	c.Flags().Bool("json", false, "print the report as JSON")
}

// report prints the answer of a verb: data as JSON when --json is given, and
// else what text writes. It fails when the answer cannot be written.
func (e *Env) report(c *cobra.Command, data any, text func(io.Writer)) error {
	if asJSON, err := c.Flags().GetBool("json"); err != nil || !asJSON {
		var b bytes.Buffer
		text(&b)
		_, err := e.Stdout.Write(b.Bytes())
		return err
	}
	enc := json.NewEncoder(e.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document{schemaVersion, verbPath(c), data})
}

// verbPath is the verb without the program's name: "config check".
func verbPath(c *cobra.Command) string {
	if c.Parent() == nil || c.Parent().Parent() == nil {
		return c.Name()
	}
	return verbPath(c.Parent()) + " " + c.Name()
}
