package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/client"
)

func newConnect(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "connect FILE",
		GroupID: groupTools,
		Short:   "Connect this Linux host to a gateway",
		Long: `Connects by a profile that was written with: sallyport device profile NAME --for
sallyport. Stays in the foreground; SIGINT and SIGTERM disconnect, SIGUSR1
replaces the keys of the traffic now and SIGUSR2 those of the IKE SA. With
--json each change is one line of JSON.

The gateway's resolvers are shown and not installed, and traffic leaves beside
the tunnel while it is down: there is no kill switch in this version.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			p, err := client.Load(args[0])
			if err != nil {
				return explained(err)
			}
			o := client.Options{Profile: p, Report: reporter(env, c)}
			o.Rekey = rekeySignals(ctx)
			o.Device, _ = c.Flags().GetString("device")
			o.Once, _ = c.Flags().GetBool("once")
			if verbose, _ := c.Flags().GetBool("verbose"); verbose {
				o.Logger = slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: asText}))
			}
			err = client.Run(ctx, o)
			if _, refused := errors.AsType[*client.RefusedError](err); refused {
				return silent(ExitError) // the report has said why
			}
			return explained(err)
		},
	}
	withJSON(c)
	c.Flags().String("device", "sallyport", "`NAME` of the tunnel device")
	c.Flags().Bool("once", false, "give up when the connection cannot be made or ends")
	c.Flags().BoolP("verbose", "v", false, "log details to stderr")
	return c
}

// rekeySignals turns SIGUSR1 and SIGUSR2 into wishes, until ctx ends.
func rekeySignals(ctx context.Context) <-chan client.Keys {
	signals, keys := make(chan os.Signal, 1), make(chan client.Keys)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-signals:
				which := client.TrafficKeys
				if s == syscall.SIGUSR2 {
					which = client.IKEKeys
				}
				select {
				case keys <- which:
				case <-ctx.Done():
				}
			}
		}
	}()
	return keys
}

// reporter prints what happens to the tunnel, for people or line by line for
// machines.
func reporter(env *Env, c *cobra.Command) func(client.Report) {
	if asJSON, _ := c.Flags().GetBool("json"); asJSON {
		lines := json.NewEncoder(env.Stdout)
		return func(r client.Report) { lines.Encode(document{schemaVersion, verbPath(c), r}) }
	}
	return func(r client.Report) {
		fmt.Fprintln(env.Stdout, r.Message)
		if r.State == client.Connected {
			fmt.Fprintf(env.Stdout, "  addresses %v\n  routes    %v\n  DNS       %v\n", r.Addresses, r.Routes, r.DNS)
		}
		env.hint(r.Hint)
	}
}
