package report

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of the JSON report. It names every
// field and allows no others.
func Schema() []byte { return slices.Clone(schema) }
