package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/gateway"
)

func newUser(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "user",
		GroupID: groupGateway,
		Short:   "Add, change, list and revoke users, and write their profiles",
	}
	asGroup(c)
	c.AddCommand(newUserAdd(env), newUserSet(env), newUserPassword(env), newUserImport(env), newUserList(env), newUserRevoke(env), newUserProfile(env))
	return c
}

func newUserAdd(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user, who can then have devices, or come in by a password",
		Long: `Adds a user. Devices of the user are added with device add; without one the user
comes in by a password, where the zone takes them (peap, eap-ttls). The password
is read from the standard input or made, never from the command line, where
others could see it.`,
		Example: "  sallyport user add alice\n  sallyport user add bob --group crew --generate",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			n := gateway.NewUser{Name: args[0]}
			n.Zone, _ = c.Flags().GetString("zone")
			n.Groups, _ = c.Flags().GetStringSlice("group")
			n.Generate, _ = c.Flags().GetBool("generate")
			n.NoMSCHAPv2, _ = c.Flags().GetBool("no-mschapv2")
			var err error
			if n.Inner, err = innerFlag(c); err != nil {
				return err
			}
			if stdin, _ := c.Flags().GetBool("password-stdin"); stdin {
				if n.Password, err = readPassword(env.Stdin); err != nil {
					return err
				}
			}
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var u gateway.UserAdded
				if err := client.Call(ctx, "POST", "/v1/users", n, &u); err != nil {
					return err
				}
				return env.report(c, u, func(w io.Writer) {
					fmt.Fprintf(w, "user %s added\n", u.Name)
					showPassword(w, u)
					if u.Password {
						fmt.Fprintf(w, "\nNext:\n  sallyport user profile %s --for windows   # or macos, ios, android, ...\n", u.Name)
					} else {
						fmt.Fprintf(w, "\nNext:\n  sallyport device add laptop --user %s\n", u.Name)
					}
				})
			})
		},
	}
	withConfig(c)
	withJSON(c)
	withPlace(c)
	withPassword(c)
	return c
}

// withPlace adds the flags that say where a user belongs.
func withPlace(c *cobra.Command) {
	c.Flags().String("zone", "", "the `ZONE` that takes the user's password (default: that of the group, or the only one)")
	c.Flags().StringSlice("group", nil, "`GROUP` of the configuration; may be repeated")
	withInner(c)
}

// withInner adds the flag of inner addresses.
func withInner(c *cobra.Command) {
	c.Flags().StringSlice("inner", nil, "inner `ADDRESS` that is to be its own, of the zone's pool; one of each family")
}

func innerFlag(c *cobra.Command) (addrs []netip.Addr, err error) {
	texts, _ := c.Flags().GetStringSlice("inner")
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, failure("for example --inner 10.60.0.7", "%q is not an address", text)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

func withPassword(c *cobra.Command) {
	c.Flags().Bool("password-stdin", false, "read the password from the standard input: one line")
	c.Flags().Bool("generate", false, "make a password, and show it this once")
	c.Flags().Bool("no-mschapv2", false, "keep no NT hash of it: it serves eap-ttls with PAP inside, and nothing else")
}

func showPassword(w io.Writer, u gateway.UserAdded) {
	if u.Made != "" {
		fmt.Fprintf(w, "\nPassword, shown this once: %s\n", u.Made)
	}
}

func newUserSet(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "set NAME",
		Short:   "Move a user to other groups, another zone or other inner addresses, or end L2TP",
		Long:    "Changes what is named and leaves the rest. Live sessions of the user that belong\nelsewhere now end, and come back on their new terms. After the day of --l2tp-until\nthe user is refused in zones of L2TP, and sessions over L2TP end.",
		Example: "  sallyport user set bob --group crew\n  sallyport user set bob --l2tp-until 2027-06-30\n  sallyport user set bob --group \"\" --inner 10.60.0.7",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var n gateway.SetUser
			if c.Flags().Changed("zone") {
				zone, _ := c.Flags().GetString("zone")
				n.Zone = &zone
			}
			if c.Flags().Changed("group") {
				groups, _ := c.Flags().GetStringSlice("group")
				n.Groups = &groups
			}
			if c.Flags().Changed("inner") {
				inner, err := innerFlag(c)
				if err != nil {
					return err
				}
				n.Inner = &inner
			}
			if c.Flags().Changed("l2tp-until") {
				text, _ := c.Flags().GetString("l2tp-until")
				day := gateway.Date(text)
				if text == "none" {
					day = ""
				}
				n.L2TPUntil = &day
			}
			if n == (gateway.SetUser{}) {
				return failure("usage: "+usage(c), "nothing to change: name --group, --zone, --inner or --l2tp-until")
			}
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var u gateway.User
				if err := client.Call(ctx, "PATCH", gateway.Path("/v1/users/", args[0], ""), n, &u); err != nil {
					return err
				}
				return env.report(c, u, func(w io.Writer) { fmt.Fprintf(w, "user %s: %s\n", u.Name, place(u)) })
			})
		},
	}
	withConfig(c)
	withJSON(c)
	withPlace(c)
	c.Flags().String("l2tp-until", "", "the last `DAY`, in UTC, on which the user may come by L2TP, such as 2027-06-30; none: that of the zone alone")
	return c
}

// place is where a user belongs, in words.
func place(u gateway.User) string {
	words := []string{"zone by default"}
	if u.Zone != "" {
		words[0] = "zone " + u.Zone
	}
	if len(u.Groups) > 0 {
		words = append(words, "groups "+strings.Join(u.Groups, ", "))
	}
	for _, a := range []netip.Addr{u.Inner.IPv4, u.Inner.IPv6} {
		if a.IsValid() {
			words = append(words, a.String())
		}
	}
	if u.L2TPUntil != "" {
		words = append(words, "L2TP until "+string(u.L2TPUntil))
	}
	return strings.Join(words, "; ")
}

func newUserPassword(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "password NAME",
		Short: "Set, make or remove a user's password",
		Long: `Replaces the password of a user. What is kept of it is an argon2id hash, and the
NT hash, which MSCHAPv2 needs; both are encrypted. Without a flag it asks for the password, on a terminal. Sessions that
are up stay.`,
		Example: "  sallyport user password bob\n  sallyport user password bob --generate\n  sallyport user password bob --password-stdin < FILE",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var n gateway.SetPassword
			n.Generate, _ = c.Flags().GetBool("generate")
			n.NoMSCHAPv2, _ = c.Flags().GetBool("no-mschapv2")
			n.Remove, _ = c.Flags().GetBool("remove")
			stdin, _ := c.Flags().GetBool("password-stdin")
			var err error
			switch {
			case stdin:
				n.Password, err = readPassword(env.Stdin)
			case !n.Generate && !n.Remove:
				n.Password, err = askPassword(env, args[0])
			}
			if err != nil {
				return err
			}
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var u gateway.UserAdded
				if err := client.Call(ctx, "POST", gateway.Path("/v1/users/", args[0], "/password"), n, &u); err != nil {
					return err
				}
				return env.report(c, u, func(w io.Writer) {
					if !u.Password {
						fmt.Fprintf(w, "user %s has no password any more\n", u.Name)
						return
					}
					fmt.Fprintf(w, "user %s has a new password\n", u.Name)
					showPassword(w, u)
				})
			})
		},
	}
	withConfig(c)
	withJSON(c)
	withPassword(c)
	c.Flags().Bool("remove", false, "leave the user without password")
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
					t := table(w, "USER", "SINCE", "PASSWORD", "ZONE", "GROUPS", "STATE")
					for _, u := range users {
						fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", u.Name, day(u.Created), passwordText(u), u.Zone, strings.Join(u.Groups, " "), standing(u.Revoked, u.Reason))
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

// passwordText says what a user's password is good for.
func passwordText(u gateway.User) string {
	switch {
	case u.MSCHAPv2:
		return "yes"
	case u.Password:
		return "yes, not for MSCHAPv2"
	}
	return "no"
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
