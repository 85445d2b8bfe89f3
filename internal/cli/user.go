package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sallyport/gateway"
)

func newUser(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "user",
		GroupID: groupGateway,
		Short:   "Add, list and revoke users, and write their profiles",
	}
	asGroup(c)
	c.AddCommand(newUserAdd(env), newUserList(env), newUserRevoke(env), newUserProfile(env))
	return c
}

func newUserAdd(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user, who can then have devices",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var u gateway.User
				if err := client.Call(ctx, "POST", "/v1/users", gateway.NewUser{Name: args[0]}, &u); err != nil {
					return err
				}
				return env.report(c, u, func(w io.Writer) {
					fmt.Fprintf(w, "user %s added\n\nNext:\n  sallyport device add laptop --user %s\n", u.Name, u.Name)
				})
			})
		},
	}
	withConfig(c)
	withJSON(c)
	return c
}

func newUserList(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List users",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				users := []gateway.User{}
				if err := client.Call(ctx, "GET", "/v1/users", nil, &users); err != nil {
					return err
				}
				return env.report(c, users, func(w io.Writer) {
					if len(users) == 0 {
						fmt.Fprintln(w, "no users yet; add one with: sallyport user add alice")
						return
					}
					t := table(w, "USER", "SINCE", "STATE")
					for _, u := range users {
						fmt.Fprintf(t, "%s\t%s\t%s\n", u.Name, day(u.Created), standing(u.Revoked, u.Reason))
					}
					t.Flush()
				})
			})
		},
	}
	withConfig(c)
	withJSON(c)
	return c
}

func newUserRevoke(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Revoke a user and all devices; live tunnels are cut at once",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return revoke(env, c, gateway.Path("/v1/users/", args[0], "/revoke"), "user "+args[0])
		},
	}
	withRevoke(c)
	return c
}

func withRevoke(c *cobra.Command) {
	withConfig(c)
	withJSON(c)
	c.Flags().String("reason", "", "why, for the record")
}

// revoke is the same for users and devices.
func revoke(env *Env, c *cobra.Command, path, what string) error {
	reason, _ := c.Flags().GetString("reason")
	return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
		var r gateway.Revoked
		if err := client.Call(ctx, "POST", path, gateway.Revocation{Reason: reason}, &r); err != nil {
			return err
		}
		return env.report(c, r, func(w io.Writer) {
			fmt.Fprintf(w, "%s revoked: %s, %s cut\n", what, plural(len(r.Devices), "device"), plural(r.Cut, "live session"))
		})
	})
}

// standing is whether a user or device may come in.
func standing(revoked time.Time, reason string) string {
	switch {
	case revoked.IsZero():
		return "active"
	case reason == "":
		return "revoked " + day(revoked)
	}
	return fmt.Sprintf("revoked %s: %s", day(revoked), reason)
}

func day(t time.Time) string { return t.Local().Format(time.DateOnly) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
