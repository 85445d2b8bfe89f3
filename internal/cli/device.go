package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/gateway"
	"sallyport/internal/file"
)

func newDevice(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "device",
		GroupID: groupGateway,
		Short:   "Add, list and revoke devices, and write their profiles",
	}
	asGroup(c)
	c.AddCommand(newDeviceAdd(env), newDeviceList(env), newDeviceRevoke(env), newDeviceProfile(env))
	return c
}

// deviceAdded is the answer of device add: where the key material was written.
type deviceAdded struct {
	Device   gateway.Device `json:"device"`
	Files    []string       `json:"files"`
	PKCS12   string         `json:"pkcs12"`
	Password string         `json:"pkcs12_password"`
}

func newDeviceAdd(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME --user USER",
		Short: "Enrol a device: issue its certificate and write its key",
		Long: `Issues a certificate and writes it with its private key, as PEM and as PKCS#12,
to files that only their owner can read. The key exists nowhere else: a lost one
means a new device.`,
		Example: "  sallyport device add laptop --user alice --out /root/laptop",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			f := c.Flags()
			n := gateway.NewDevice{Name: args[0]}
			n.User, _ = f.GetString("user")
			n.Zone, _ = f.GetString("zone")
			n.Key, _ = f.GetString("key")
			n.Days, _ = f.GetInt("days")
			out, _ := f.GetString("out")
			if n.User == "" {
				return failure("usage: "+usage(c), "whose device is it? --user is missing")
			}
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				added, err := addDevice(ctx, client, n, out)
				if err != nil {
					return err
				}
				return env.report(c, added, func(w io.Writer) { added.write(w, out) })
			})
		},
	}
	withConfig(c)
	withJSON(c)
	c.Flags().String("user", "", "the `USER` it belongs to")
	c.Flags().String("zone", "", "the `ZONE` it goes to (default: the only one)")
	c.Flags().String("key", "", "`KIND` of key: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072, ed25519")
	c.Flags().Int("days", 0, "validity in `DAYS` (default 397)")
	c.Flags().String("out", ".", "`DIRECTORY` for the files")
	return c
}

// addDevice asks for the device only when its files can be written.
func addDevice(ctx context.Context, client *gateway.Client, n gateway.NewDevice, out string) (deviceAdded, error) {
	if err := os.MkdirAll(out, 0o700); err != nil {
		return deviceAdded{}, failure("", "%v", err)
	}
	path := func(suffix string) string { return filepath.Join(out, n.Name+suffix) }
	if _, err := os.Lstat(path(".key")); !errors.Is(err, fs.ErrNotExist) {
		return deviceAdded{}, failure("choose another directory with --out", "%s is there already, and a key is never overwritten", path(".key"))
	}
	var e gateway.Enrolled
	if err := client.Call(ctx, "POST", "/v1/devices", n, &e); err != nil {
		return deviceAdded{}, err
	}
	ca := filepath.Join(out, "sallyport-ca.crt")
	err := errors.Join(
		file.Create(path(".key"), []byte(e.Key), file.Private),
		file.Write(path(".p12"), e.PKCS12, file.Private),
		file.Write(path(".crt"), []byte(e.Certificate), file.Public),
		file.Write(ca, []byte(e.CA), file.Public),
	)
	if err != nil {
		return deviceAdded{}, failure("revoke the device and add it again: sallyport device revoke "+n.Name, "device %s is enrolled, but its files could not be written: %v", n.Name, err)
	}
	return deviceAdded{Device: e.Device, Files: []string{path(".key"), path(".crt"), ca}, PKCS12: path(".p12"), Password: e.Password}, nil
}

func (a deviceAdded) write(w io.Writer, out string) {
	fmt.Fprintf(w, "device %s of %s enrolled in zone %s as %s, until %s\n\n", a.Device.Name, a.Device.User, a.Device.Zone, a.Device.Identity, day(a.Device.NotAfter))
	for _, f := range a.Files {
		fmt.Fprintf(w, "  %s\n", f)
	}
	fmt.Fprintf(w, "  %s   password: %s\n", a.PKCS12, a.Password)
	fmt.Fprintf(w, "\nThe password is shown this once. Next:\n  sallyport device profile %s --for swanctl --out %s   # or windows, macos, ios, android, ...\n", a.Device.Name, out)
}

func newDeviceList(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List devices",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				devices := []gateway.Device{}
				if err := client.Call(ctx, "GET", "/v1/devices", nil, &devices); err != nil {
					return err
				}
				return env.report(c, devices, func(w io.Writer) {
					if len(devices) == 0 {
						fmt.Fprintln(w, "no devices yet; add one with: sallyport device add laptop --user alice")
						return
					}
					t := table(w, "DEVICE", "USER", "ZONE", "IDENTITY", "UNTIL", "STATE")
					for _, d := range devices {
						fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Name, d.User, d.Zone, d.Identity, day(d.NotAfter), standing(d.Revoked, d.Reason))
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

func newDeviceRevoke(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Revoke a device; its live tunnels are cut at once",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return revoke(env, c, gateway.Path("/v1/devices/", args[0], "/revoke"), "device "+args[0])
		},
	}
	withRevoke(c)
	return c
}
