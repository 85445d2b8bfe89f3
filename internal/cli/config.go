package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sallyport/config"
)

// defaultConfig is where the configuration of a real gateway lives.
const defaultConfig = "/etc/sallyport/sallyport.yaml"

func newConfig(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		GroupID: groupGateway,
		Short:   "Check, show and explain the configuration",
		Long: `The configuration is one YAML file, ` + defaultConfig + ` unless
another is named. It is read strictly: unknown keys, duplicate keys and wrong
values are errors, each with its line, its column and what to write instead.`,
	}
	asGroup(c)
	c.AddCommand(newConfigCheck(env), newConfigShow(env), newConfigExplain(env), newConfigExample(env), newConfigDiff(env), newConfigSchema(env))
	return c
}

// withConfig gives a verb the flag --config, which names the file.
func withConfig(c *cobra.Command) {
	c.Flags().String("config", defaultConfig, "configuration `FILE`")
}

// loadConfig reads the file that --config names. Warnings go to stderr; the
// error of a file that cannot be used prints every fault in it.
func loadConfig(env *Env, c *cobra.Command) (*config.Config, error) {
	file, err := c.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	return readConfig(env, file)
}

func readConfig(env *Env, file string) (*config.Config, error) {
	loaded, found := config.Load(file, env.Now())
	if loaded == nil {
		return nil, &configError{found}
	}
	for _, d := range found {
		env.diagnostic(d)
	}
	return loaded, nil
}

// fileArgument is the one argument, or the default file.
func fileArgument(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return defaultConfig
}

// checkReport is the answer of config check.
type checkReport struct {
	File        string             `json:"file"`
	Usable      bool               `json:"usable"`
	Errors      int                `json:"errors"`
	Warnings    int                `json:"warnings"`
	Diagnostics config.Diagnostics `json:"diagnostics"`
}

func newConfigCheck(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say everything that is wrong with a configuration",
		Long: `Reads a configuration as the gateway would and says everything that is wrong
with it, in the order of the file. Nothing is started or changed.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			r := checkFile(env, fileArgument(args))
			if err := env.report(c, r, func(w io.Writer) { r.write(env, w) }); err != nil {
				return err
			}
			if !r.Usable {
				return silent(ExitError)
			}
			return nil
		},
	}
	withJSON(c)
	return c
}

func checkFile(env *Env, file string) checkReport {
	loaded, found := config.Load(file, env.Now())
	r := checkReport{File: file, Usable: loaded != nil, Diagnostics: append(config.Diagnostics{}, found...)}
	for _, d := range found {
		if d.Severity == config.Error {
			r.Errors++
		} else {
			r.Warnings++
		}
	}
	return r
}

func (r checkReport) write(env *Env, w io.Writer) {
	for _, d := range r.Diagnostics {
		word := env.paint(env.Stdout, yellow, "warning")
		if d.Severity == config.Error {
			word = env.paint(env.Stdout, red, "error")
		}
		fmt.Fprintf(w, "%s: %s\n", word, d)
		if d.Hint != "" {
			fmt.Fprintf(w, "  %s: %s\n", env.paint(env.Stdout, bold, "hint"), d.Hint)
		}
	}
	verdict := env.paint(env.Stdout, green, "can be used")
	if !r.Usable {
		verdict = env.paint(env.Stdout, red, "cannot be used")
	}
	fmt.Fprintf(w, "%s %s: %s, %s\n", r.File, verdict, plural(r.Errors, "error"), plural(r.Warnings, "warning"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func newConfigShow(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show a configuration, with --effective every default filled in",
		Args:  arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			loaded, err := readConfig(env, fileArgument(args))
			if err != nil {
				return err
			}
			text := loaded.Effective()
			if effective, _ := c.Flags().GetBool("effective"); !effective {
				if text, err = os.ReadFile(fileArgument(args)); err != nil {
					return err
				}
			}
			return env.report(c, loaded.Plain(), func(w io.Writer) { w.Write(text) })
		},
	}
	c.Flags().Bool("effective", false, "fill in every default")
	withJSON(c)
	return c
}

func newConfigExplain(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain [KEY]",
		Short: "Explain a key: meaning, type, default, example",
		Long: `Explains a key of the configuration. The beginning of the key may be left out
where that leaves no doubt, and any name may stand for a zone. Without a key,
all keys are listed.`,
		Example: `  sallyport config explain pool.ipv4
  sallyport config explain zones.staff.rekey`,
		Args: arguments(0, 1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return config.Keys(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listKeys(env, c)
			}
			e, err := config.Explain(args[0])
			if err != nil {
				return explainFailed(err)
			}
			return env.report(c, e, func(w io.Writer) { io.WriteString(w, e.Text()) })
		},
	}
	withJSON(c)
	return c
}

func listKeys(env *Env, c *cobra.Command) error {
	var all []config.Explanation
	for _, name := range config.Keys() {
		e, err := config.Explain(name)
		if err != nil {
			return err
		}
		all = append(all, e)
	}
	return env.report(c, all, func(w io.Writer) {
		for _, e := range all {
			fmt.Fprintf(w, "%-42s %s\n", e.Key, e.FirstSentence())
		}
	})
}

func newConfigExample(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "Print a configuration to begin with",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := env.Stdout.Write(config.Example())
			return err
		},
	}
}

func newConfigDiff(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what changes from one configuration to another, and what needs a restart",
		Args:  arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			before, err := readConfig(env, args[0])
			if err != nil {
				return err
			}
			after, err := readConfig(env, args[1])
			if err != nil {
				return err
			}
			changes := append([]config.Change{}, config.Diff(before, after)...)
			return env.report(c, changes, func(w io.Writer) {
				for _, change := range changes {
					fmt.Fprintln(w, change)
				}
			})
		},
	}
	withJSON(c)
	return c
}

func newConfigSchema(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := env.Stdout.Write(config.Schema())
			return err
		},
	}
}

func explainFailed(err error) error {
	hint := ""
	if unknown, ok := err.(*config.UnknownKeyError); ok {
		hint = unknown.Hint
	}
	return &Error{Err: err, Hint: hint}
}
