package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/config"
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
	if running {
		if err := sameState(c.Context(), client, cfg); err != nil {
			client.Close()
			return err
		}
	} else {
		state, err := gateway.OpenState(c.Context(), file)
		if err != nil {
			return explained(err)
		}
		client = state.Client()
	}
	defer client.Close()
	return explained(act(c.Context(), client))
}

// sameState refuses to change the users of another gateway that has the same
// socket.
func sameState(ctx context.Context, client *gateway.Client, cfg *config.Config) error {
	var st gateway.Status
	if err := client.Call(ctx, "GET", "/v1/status", nil, &st); err != nil {
		return explained(err)
	}
	if filepath.Clean(st.State) != filepath.Clean(cfg.Gateway.State) {
		return failure("give each gateway a socket of its own: gateway.control.socket",
			"the gateway that serves %s is another one: its state is %s, not %s", cfg.Gateway.Control.Socket, st.State, cfg.Gateway.State)
	}
	return nil
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
	if errors.Is(err, fs.ErrPermission) {
		return &Error{Err: err, Hint: "run it as root: sudo sallyport ..."}
	}
	return err
}
