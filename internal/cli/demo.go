package cli

import (
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/internal/demo"
	"sallyport/internal/lab"
)

func newDemo(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "demo",
		GroupID: groupTools,
		Short:   "Show a gateway and a client at work on this machine, and remove them",
		Long: `Builds a small network out of network namespaces: a gateway, a client behind a
NAT router, and a host inside. Sets the gateway up, enrols a device, connects it,
moves traffic, revokes the device and shows that its tunnel is cut. Takes less
than a minute, needs root, and leaves nothing behind, also after Ctrl-C.`,
		Example: "  sallyport demo\n  sallyport demo --client strongswan",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return runDemo(env, c) },
	}
	c.Flags().String("client", "sallyport", "`CLIENT` software: "+strings.Join(demo.Clients, " or "))
	return c
}

func runDemo(env *Env, c *cobra.Command) error {
	client, _ := c.Flags().GetString("client")
	if !slices.Contains(demo.Clients, client) {
		return failure("use "+strings.Join(demo.Clients, " or "), "there is no client %q in the demo", client)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = demo.Run(ctx, demo.Options{Program: program, Client: client, Out: env.Stdout})
	if errors.Is(err, lab.ErrNotRoot) {
		return failure("run it as root: sudo sallyport demo", "the demo needs root, for network namespaces of its own")
	}
	return explained(err)
}
