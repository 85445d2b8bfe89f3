package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/config"
	"sallyport/gateway"
	"sallyport/internal/file"
)

// initReport is the answer of init.
type initReport struct {
	Config string `json:"config"`
	Name   string `json:"name"`
	State  string `json:"state"`
	CA     string `json:"ca"` // certificate that clients trust
}

func newInit(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "init",
		GroupID: groupGateway,
		Short:   "Make a configuration, a CA and the gateway's identities",
		Long: `Writes the smallest configuration, unless the file is there already, and makes
the state it names: a certification authority of its own and the gateway's two
certificates, ECDSA P-256 and RSA-3072. Nothing that exists is overwritten.`,
		Example: "  sallyport init --name vpn.example.org",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := initialise(env, c)
			if err != nil {
				return err
			}
			return env.report(c, r, func(w io.Writer) { r.write(w) })
		},
	}
	withConfig(c)
	withJSON(c)
	c.Flags().String("name", "", "the gateway's DNS name or address, as clients will type it (default: this host's name)")
	c.Flags().String("state", "", "state `DIRECTORY` (default /var/lib/sallyport)")
	return c
}

func initialise(env *Env, c *cobra.Command) (initReport, error) {
	path, _ := c.Flags().GetString("config")
	name, _ := c.Flags().GetString("name")
	state, _ := c.Flags().GetString("state")
	if err := writeConfig(env, path, name, state); err != nil {
		return initReport{}, err
	}
	cfg, err := readConfig(env, path)
	if err != nil {
		return initReport{}, err
	}
	if name != "" && name != cfg.Gateway.Name {
		return initReport{}, failure("edit the file, or name another with --config",
			"%s exists and names the gateway %q, not %q", path, cfg.Gateway.Name, name)
	}
	if err := gateway.InitState(c.Context(), cfg); errors.Is(err, fs.ErrExist) {
		return initReport{}, failure("it is ready to use: sallyport serve; to begin anew, move the directory away yourself",
			"%s has a CA already, nothing was changed", cfg.Gateway.State)
	} else if err != nil {
		return initReport{}, explained(err)
	}
	return initReport{Config: path, Name: cfg.Gateway.Name, State: cfg.Gateway.State, CA: filepath.Join(cfg.Gateway.State, "pki", "ca.crt")}, nil
}

// writeConfig makes the file if it is not there.
func writeConfig(env *Env, path, name, state string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return failure("give it with --name", "the host's name is not known: %v", err)
		}
		name = host
	}
	text := fmt.Sprintf("# Sallyport's configuration. Every key: sallyport config explain\ngateway:\n  name: %q\n", name)
	if state != "" {
		text += fmt.Sprintf("  state: %q\n", state)
	}
	if _, diags := config.Parse(path, []byte(text), env.Now()); diags.Err() != nil {
		return &configError{diags}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return failure("", "the configuration could not be written: %v", err)
	}
	return explained(file.Create(path, []byte(text), file.Public))
}

func (r initReport) write(w io.Writer) {
	fmt.Fprintf(w, "configuration  %s\nstate          %s\nCA             %s\n", r.Config, r.State, r.CA)
	flag := ""
	if r.Config != defaultConfig {
		flag = " --config " + r.Config
	}
	fmt.Fprintf(w, "\nNext, as root:\n  sallyport serve%s   # in another terminal, or as a service\n", flag)
	for _, verb := range []string{"user add alice", "device add laptop --user alice", "device profile laptop --for swanctl"} {
		fmt.Fprintf(w, "  sallyport %s%s\n", verb, flag)
	}
}
