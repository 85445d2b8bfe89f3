package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"sallyport/gateway"
)

// withControl gives a verb a client of the control API: of the gateway that
// serves, or of the state on disk when none does. Both are the same code.
func withControl(env *Env, c *cobra.Command, act func(context.Context, *gateway.Client) error) error {
	file, err := c.Flags().GetString("config")
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return failure("make one with: sallyport init --name vpn.example.org", "there is no configuration at %s", file)
	}
	cfg, err := loadConfig(env, c)
	if err != nil {
		return err
	}
	client, running := gateway.Dial(cfg.Gateway.Control.Socket)
	if !running {
		state, err := gateway.OpenState(c.Context(), file)
		if err != nil {
			return explained(err)
		}
		client = state.Client()
	}
	defer client.Close()
	return explained(act(c.Context(), client))
}

// explained turns an error of the layers below into one for a person.
func explained(err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*gateway.ProblemError](err); ok {
		if len(p.Diagnostics) > 0 {
			return &configError{p.Diagnostics}
		}
		return &Error{Err: err, Hint: p.Hint}
	}
	if e, ok := errors.AsType[*gateway.ConfigError](err); ok {
		return &configError{e.Diagnostics}
	}
	if e, ok := errors.AsType[*gateway.NotFoundError](err); ok {
		return &Error{Err: err, Hint: e.Hint}
	}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return &Error{Err: err, Hint: h.Hint()}
	}
	return err
}
