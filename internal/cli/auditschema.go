package cli

import (
	"github.com/spf13/cobra"

	"sallyport/assure/report"
)

func newAuditSchema(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the report",
		Long: `Prints the JSON Schema (draft 2020-12) of what "sallyport audit --json" writes.

To audit a directory or a file that is called schema, write ./schema.`,
		Args: arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := env.Stdout.Write(report.Schema())
			return err
		},
	}
}
