package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	PKCS12   string         `json:"pkcs12,omitempty"`
	Password string         `json:"pkcs12_password,omitempty"`
	PSK      string         `json:"psk,omitempty"`
}

func newDeviceAdd(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME --user USER",
		Short: "Enrol a device: issue its certificate and write its key",
		Long: `Issues a certificate and writes it with its private key, as PEM and as PKCS#12,
to files that only their owner can read. The key exists nowhere else: a lost one
means a new device.

With --psk the device gets a pre-shared key of 160 bits in place of a certificate,
for clients that cannot have one; the zone's auth must name psk. The key is shown
and written this once. A key that exists already comes from --psk-file: it must be
strong and no other device's, or waived by the rules PSK-001 and PSK-004.`,
		Example: `  sallyport device add laptop --user alice --out /root/laptop
  sallyport device add router --user alice --psk --address 192.0.2.7/32`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			f := c.Flags()
			n := gateway.NewDevice{Name: args[0]}
			n.User, _ = f.GetString("user")
			n.Zone, _ = f.GetString("zone")
			n.Key, _ = f.GetString("key")
			n.Days, _ = f.GetInt("days")
			var err error
			if n.Inner, err = innerFlag(c); err != nil {
				return err
			}
			out, _ := f.GetString("out")
			if n.User == "" {
				return failure("usage: "+usage(c), "whose device is it? --user is missing")
			}
			if err := sharedKeyFlags(f, &n); err != nil {
				return err
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
	withInner(c)
	c.Flags().String("user", "", "the `USER` it belongs to")
	c.Flags().String("zone", "", "the `ZONE` it goes to (default: the only one)")
	c.Flags().String("key", "", "`KIND` of key: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072, ed25519")
	c.Flags().Int("days", 0, "validity in `DAYS` (default 397)")
	c.Flags().String("out", ".", "`DIRECTORY` for the files")
	c.Flags().Bool("psk", false, "give it a pre-shared key in place of a certificate")
	c.Flags().String("psk-file", "", "take the pre-shared key in `FILE`, of mode 0600, in place of a new one")
	c.Flags().String("address", "", "with --psk: let it in from `PREFIX` only, its outer address or network")
	return c
}

// sharedKeyFlags reads what --psk, --psk-file and --address say.
func sharedKeyFlags(f *pflag.FlagSet, n *gateway.NewDevice) error {
	n.PSK, _ = f.GetBool("psk")
	path, _ := f.GetString("psk-file")
	address, _ := f.GetString("address")
	if !n.PSK && (path != "" || address != "") {
		return failure("add --psk", "--psk-file and --address are for devices with a pre-shared key")
	}
	if path != "" {
		if err := file.CheckPrivate(path); err != nil {
			return explained(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return failure("", "%v", err)
		}
		n.SharedKey = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		if n.SharedKey == "" {
			return failure("leave --psk-file out, and a key is made", "%s is empty", path)
		}
	}
	if address == "" {
		return nil
	}
	prefix, err := netip.ParsePrefix(address)
	if a, e := netip.ParseAddr(address); e == nil {
		prefix, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		return failure("write an address or a network, such as 192.0.2.7 or 192.0.2.0/24", "%q is not where a device can come from", address)
	}
	n.Address = prefix
	return nil
}

// addDevice asks for the device only when its files can be written.
func addDevice(ctx context.Context, client *gateway.Client, n gateway.NewDevice, out string) (deviceAdded, error) {
	if err := os.MkdirAll(out, 0o700); err != nil {
		return deviceAdded{}, failure("", "%v", err)
	}
	path := func(suffix string) string { return filepath.Join(out, n.Name+suffix) }
	key := path(".key")
	if n.PSK {
		key = path(".psk")
	}
	if _, err := os.Lstat(key); !errors.Is(err, fs.ErrNotExist) {
		return deviceAdded{}, failure("choose another directory with --out", "%s is there already, and a key is never overwritten", key)
	}
	var e gateway.Enrolled
	if err := client.Call(ctx, "POST", "/v1/devices", n, &e); err != nil {
		return deviceAdded{}, err
	}
	notWritten := func(err error) error {
		return failure("revoke the device and add it again: sallyport device revoke "+n.Name, "device %s is enrolled, but its files could not be written: %v", n.Name, err)
	}
	if n.PSK {
		if err := file.Create(key, []byte(e.PSK), file.Private); err != nil {
			return deviceAdded{}, notWritten(err)
		}
		return deviceAdded{Device: e.Device, Files: []string{key}, PSK: e.PSK}, nil
	}
	ca := filepath.Join(out, "sallyport-ca.crt")
	err := errors.Join(
		file.Create(key, []byte(e.Key), file.Private),
		file.Write(path(".p12"), e.PKCS12, file.Private),
		file.Write(path(".crt"), []byte(e.Certificate), file.Public),
		file.Write(ca, []byte(e.CA), file.Public),
	)
	if err != nil {
		return deviceAdded{}, notWritten(err)
	}
	return deviceAdded{Device: e.Device, Files: []string{key, path(".crt"), ca}, PKCS12: path(".p12"), Password: e.Password}, nil
}

func (a deviceAdded) write(w io.Writer, out string) {
	d := a.Device
	fmt.Fprintf(w, "device %s of %s enrolled in zone %s as %s%s\n\n", d.Name, d.User, d.Zone, d.Identity, until(d))
	for _, f := range a.Files {
		fmt.Fprintf(w, "  %s\n", f)
	}
	if a.PSK != "" {
		fmt.Fprintf(w, "\npre-shared key: %s\nThe gateway never shows it again.%s\n", a.PSK, waivers(d))
		fmt.Fprintf(w, "\nNext:\n  sallyport device profile %s --for swanctl --out %s   # or mikrotik, android, ...\n", d.Name, out)
		return
	}
	fmt.Fprintf(w, "  %s   password: %s\n", a.PKCS12, a.Password)
	fmt.Fprintf(w, "\nThe password is shown this once. Next:\n  sallyport device profile %s --for swanctl --out %s   # or windows, macos, ios, android, ...\n", a.Device.Name, out)
}

// until is how long a device can come in: one with a pre-shared key until it is
// revoked.
func until(d gateway.Device) string {
	switch {
	case !d.NotAfter.IsZero():
		return ", until " + day(d.NotAfter)
	case d.Address.IsValid():
		return ", from " + d.Address.String()
	}
	return ""
}

func waivers(d gateway.Device) string {
	if len(d.Waived) == 0 {
		return ""
	}
	return " It works only while the zone waives " + strings.Join(d.Waived, " and ") + "."
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
					t := table(w, "DEVICE", "USER", "ZONE", "IDENTITY", "KEY", "UNTIL", "STATE")
					for _, d := range devices {
						end := "-"
						if !d.NotAfter.IsZero() {
							end = day(d.NotAfter)
						}
						fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Name, d.User, d.Zone, d.Identity, d.Key, end, standing(d.Revoked, d.Reason))
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
