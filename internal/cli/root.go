// Package cli is the command line of Sallyport, one file per verb.
//
// The contract, for every verb: stdout carries the answer and nothing else,
// stderr the talk; --json on a verb that reports prints one JSON document with
// a schema_version; colour is for terminals only and NO_COLOR turns it off;
// errors read "sallyport: error: ..." and then, where something can be done,
// "sallyport: hint: ...". The exit codes are in error.go.
package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/config"
)

// verbs makes the verbs, in the order of the help. A new verb is one file and
// one line here.
var verbs = []func(*Env) *cobra.Command{
	newDemo,
	newInit,
	newServe,
	newReload,
	newStatus,
	newUser,
	newDevice,
	newSessions,
	newMigrate,
	newAudit,
	newChecklist,
	newConnect,
	newBench,
	newConfig,
	newVersion,
	newMan,
}

// The groups of the help.
const (
	groupGateway = "gateway"
	groupTools   = "tools"
)

// Main runs one command line, without the program's name, and returns the
// exit code.
func Main(ctx context.Context, env *Env, args []string) int {
	root := newRoot(env)
	root.SetArgs(args)
	return env.exit(root.ExecuteContext(ctx))
}

func newRoot(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "VPN gateway: IKEv2/IPsec in one memory-safe binary",
		Long: `Sallyport is a VPN gateway for IKEv2/IPsec clients, in one memory-safe binary
that needs no kernel module.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	asGroup(root)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(c.CommandPath(), c.Flags(), err) })
	root.AddGroup(&cobra.Group{ID: groupGateway, Title: "Gateway:"}, &cobra.Group{ID: groupTools, Title: "Tools:"})
	root.SetHelpCommandGroupID(groupTools)
	root.SetCompletionCommandGroupID(groupTools)
	root.SetUsageTemplate(strings.NewReplacer("{{.CommandPath}} [command]", "{{.CommandPath}} VERB", "about a command", "about a verb").Replace(root.UsageTemplate()))
	for _, verb := range verbs {
		root.AddCommand(verb(env))
	}
	return root
}

// asGroup makes a command that only holds others: alone it shows its help, and
// an unknown verb below it is an error with a suggestion.
func asGroup(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownVerb(c, args[0])
	}
}

func unknownVerb(c *cobra.Command, written string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	hint := c.CommandPath() + " --help lists the verbs"
	if near := config.Nearest(written, names); near != "" {
		hint = "did you mean " + c.CommandPath() + " " + near + "?"
	}
	return failure(hint, "%s has no verb %q", c.CommandPath(), written)
}

// arguments wants from least to most arguments, and says what they are in the
// words of the verb's own usage line.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return failure("usage: "+usage(c), "%s takes %s, not %d", c.CommandPath(), count(least, most), len(args))
	}
}

func usage(c *cobra.Command) string {
	return strings.TrimSuffix(c.UseLine(), " [flags]")
}

func count(least, most int) string {
	switch {
	case most == 0:
		return "no arguments"
	case least == most && most == 1:
		return "one argument"
	case least == most:
		return fmt.Sprintf("%d arguments", most)
	}
	return fmt.Sprintf("%d to %d arguments", least, most)
}
