package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/assure/checklist"
	"sallyport/config"
	"sallyport/gateway"
)

func newServe(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "serve",
		GroupID: groupGateway,
		Short:   "Run the gateway",
		Long: `Runs the gateway in the foreground and logs to stderr. SIGHUP reads the
configuration again, SIGTERM and SIGINT end it: peers are told.

Before it begins, and before each reload, the gateway audits its own
configuration by the default policy, as sallyport audit does, with the secrets
that the configuration names by file: they are judged, and never shown. A
critical finding, such as a pre-shared key that is a word, refuses the
configuration: the gateway does not start, or keeps the one it has. A waiver of
the rule in the zone lets it be until its last day. Findings that are high, and
critical ones that are waived, are lines of the log each time, and in
sallyport status.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return serve(env, c) },
	}
	withConfig(c)
	return c
}

func serve(env *Env, c *cobra.Command) error {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := loadConfig(env, c)
	if err != nil {
		return err
	}
	path, _ := c.Flags().GetString("config")
	level := new(slog.LevelVar)
	g, err := gateway.Start(ctx, gateway.Options{
		Config: path, Version: thisBuild().Version, Level: level, Logger: logger(env, cfg.Logging, level),
		Audit: func(c *config.Config) config.Diagnostics {
			now := env.Now()
			return checklist.Verdict(c, checklist.Audit(c, path, now), now)
		},
	})
	if err != nil {
		return env.refused(err, "the gateway does not start until this is mended or somebody answers for it", withFile("sallyport serve", path))
	}
	sayNext(ctx, env, g)
	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, syscall.SIGHUP)
	defer signal.Stop(reloads)
	go g.Run(ctx)
	for {
		select {
		case <-reloads:
			if _, err := g.Reload(ctx); err != nil {
				env.exit(env.refused(err, "nothing was taken: the gateway goes on by the configuration that it had", withFile("sallyport reload", path)))
			}
		case <-ctx.Done():
			stop() // a second signal ends at once
			return explained(g.Close(context.WithoutCancel(ctx)))
		}
	}
}

// refused says why a configuration was not taken, and last what that means. What
// does not refuse it is in the log already, and would bury what does.
func (e *Env) refused(err error, meaning, again string) error {
	err = explained(err)
	var wrong *configError
	if !errors.As(err, &wrong) {
		return err
	}
	for _, d := range wrong.found {
		if d.Severity != config.Warning {
			e.diagnostic(d)
		}
	}
	return failure("then: "+again, "%s", meaning)
}

// sayNext tells a newcomer how the first device comes in.
func sayNext(ctx context.Context, env *Env, g *gateway.Gateway) {
	st, err := g.Status(ctx)
	if err != nil {
		return
	}
	for _, w := range st.Warnings {
		env.Warn(w, "")
	}
	if st.Devices == 0 {
		env.Say("no device is enrolled yet; next: sallyport user add alice && sallyport device add laptop --user alice")
	}
}

// logger writes to stderr, for people or for machines.
func logger(env *Env, l config.Logging, level *slog.LevelVar) *slog.Logger {
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: asText}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(env.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(env.Stderr, o))
}

// asText writes values that know their own text as that text, in JSON too.
func asText(_ []string, a slog.Attr) slog.Attr {
	if s, ok := a.Value.Any().(fmt.Stringer); ok && a.Value.Kind() == slog.KindAny {
		a.Value = slog.StringValue(s.String())
	}
	return a
}
