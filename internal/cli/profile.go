package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/gateway"
	"sallyport/internal/file"
	"sallyport/pki"
	"sallyport/profile"
)

// profileWritten is the answer of device profile.
type profileWritten struct {
	For      string   `json:"for"`
	Files    []string `json:"files"`
	Steps    []string `json:"steps"`
	Notes    []string `json:"notes,omitempty"`
	Password string   `json:"pkcs12_password,omitempty"`
}

func newDeviceProfile(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "profile NAME --for CLIENT",
		Short: "Write what a client needs to connect, made from the policy of its zone",
		Long: `Writes the configuration of one client, with the proposals of the device's zone,
beside the certificate. It is made from the same policy as the gateway's own
proposals. A client that cannot be set to the zone's policy is refused, with the
reason.

The private key is not in it: it was written when the device was added. Apple's
devices and Android want it in a file of their kind: for them the key is taken
from --keys and encrypted anew, under a password that is shown once.

Clients:
` + clientTable(),
		Example: "  sallyport device profile laptop --for windows --out /root/laptop\n  sallyport device profile phone --for ios --on-demand --out /root/phone",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			f := c.Flags()
			var r gateway.ProfileRequest
			r.For, _ = f.GetString("for")
			r.Address, _ = f.GetString("address")
			r.Options.OnDemand, _ = f.GetBool("on-demand")
			r.Options.AlwaysOn, _ = f.GetBool("always-on")
			r.Options.KillSwitch, _ = f.GetBool("kill-switch")
			out, _ := f.GetString("out")
			keys, _ := f.GetString("keys")
			if keys == "" {
				keys = out
			}
			if r.For == "" {
				return failure("use --for with one of "+strings.Join(profile.Names(), ", "), "for which client? --for is missing")
			}
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				w, err := writeProfile(ctx, client, args[0], r, keys, out)
				if err != nil {
					return err
				}
				return env.report(c, w, func(o io.Writer) { w.write(o) })
			})
		},
	}
	withConfig(c)
	withJSON(c)
	c.Flags().String("for", "", "`CLIENT`: one of those above")
	c.Flags().String("address", "", "name or `ADDRESS` that the client dials (default: gateway.name)")
	c.Flags().String("out", ".", "`DIRECTORY` for the files")
	c.Flags().String("keys", "", "`DIRECTORY` where device add has written the key (default: that of --out)")
	c.Flags().Bool("on-demand", false, "macos, ios: connect by itself")
	c.Flags().Bool("always-on", false, "ios, supervised devices: never without the tunnel")
	c.Flags().Bool("kill-switch", false, "macos, ios: no traffic past the tunnel")
	return c
}

// clientTable lists the clients for the help.
func clientTable() string {
	var b strings.Builder
	for _, k := range profile.Kinds() {
		fmt.Fprintf(&b, "  %-20s%s\n", k.Name, k.Title)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func writeProfile(ctx context.Context, client *gateway.Client, device string, r gateway.ProfileRequest, keys, out string) (profileWritten, error) {
	w := profileWritten{}
	var err error
	if r.Dir, err = filepath.Abs(out); err != nil {
		return w, err
	}
	k, _ := profile.Lookup(r.For)
	var p12 []byte
	if k.Key == profile.KeyInside || k.Key == profile.KeyBeside {
		if p12, w.Password, err = encryptKey(keys, device); err != nil {
			return w, err
		}
	}
	if k.Key == profile.KeyInside {
		r.PKCS12 = p12
	}
	var p gateway.Profile
	if err := client.Call(ctx, "POST", gateway.Path("/v1/devices/", device, "/profile"), r, &p); err != nil {
		return w, err
	}
	if k.Key == profile.KeyBeside {
		p.Files = append(p.Files, gateway.File{Name: device + "-" + r.For + ".p12", Data: p12, Secret: true})
	}
	w.For, w.Steps, w.Notes = p.For, p.Steps, p.Notes
	w.Files, err = writeFiles(p.Files, out)
	return w, err
}

func writeFiles(files []gateway.File, out string) (paths []string, err error) {
	if err := os.MkdirAll(out, 0o700); err != nil {
		return nil, failure("", "%v", err)
	}
	for _, f := range files {
		mode := file.Public
		if f.Secret {
			mode = file.Private
		}
		path := filepath.Join(out, filepath.Base(f.Name))
		if err := file.Write(path, f.Bytes(), mode); err != nil {
			return paths, failure("", "%v", err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// encryptKey makes the PKCS#12 that Apple and older Android can read, under a
// password of 130 bits that carries the protection.
func encryptKey(dir, device string) (p12 []byte, password string, err error) {
	at := func(suffix string) string { return filepath.Join(dir, filepath.Base(device)+suffix) }
	hint := "run this where device add has written the key, or name that directory with --keys"
	var text []byte
	for _, path := range []string{at(".key"), at(".crt")} {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", failure(hint, "this client wants the device's key in its file, and %s is not there", path)
		}
		if err != nil {
			return nil, "", failure(hint, "%v", err)
		}
		text = append(append(text, b...), '\n')
	}
	defer clear(text)
	id, err := pki.ParseIdentity(text)
	if err != nil {
		return nil, "", failure(hint, "%s: %v", at(".key"), err)
	}
	secret := pki.NewPassword()
	if p12, err = id.PKCS12(pki.Legacy, secret); err != nil {
		return nil, "", failure("", "%v", err)
	}
	return p12, string(secret), nil
}

func (p profileWritten) write(w io.Writer) {
	for _, f := range p.Files {
		fmt.Fprintf(w, "  %s\n", f)
	}
	if p.Password != "" {
		fmt.Fprintf(w, "\nPassword of the key, shown this once: %s\n", p.Password)
	}
	fmt.Fprintf(w, "\nNext, on the client:\n")
	for _, s := range p.Steps {
		fmt.Fprintf(w, "  %s\n", s)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}
