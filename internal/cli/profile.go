package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/gateway"
	"sallyport/internal/file"
	"sallyport/pki"
	"sallyport/profile"
)

// profileWritten is the answer of device profile and user profile.
type profileWritten struct {
	For      string     `json:"for"`
	Auth     string     `json:"auth"`
	Files    []string   `json:"files"`
	Steps    []string   `json:"steps"`
	Notes    []string   `json:"notes,omitempty"`
	Password string     `json:"pkcs12_password,omitempty"`
	Once     *onceOffer `json:"once,omitempty"`

	hand gateway.File // what the client opens
}

const profileLong = `
It is made from the same policy as the gateway's own proposals. A client that
cannot be set to the zone's policy, or to a way to prove itself that the zone
takes, is refused with the reason.

With --once the file that the client opens is handed over by HTTPS: by a link and
a QR code that work for one download. This command serves it itself, and ends with
the download.
`

func newDeviceProfile(env *Env) *cobra.Command {
	c := newProfile(env, deviceOwner)
	c.Short = "Write what a client needs to connect, made from the policy of its zone"
	c.Long = `Writes the configuration of one client, with the proposals of the device's zone,
beside the certificate.
` + profileLong + `
The private key is not in it: it was written when the device was added. Apple's
devices and Android want it in a file of their kind: for them the key is taken
from --keys and encrypted anew, under a password that is shown once. A pre-shared
key (NAME.psk in --keys) stands in the files of clients that are set up by it.

Clients:
` + clientTable(deviceOwner.can)
	c.Example = "  sallyport device profile laptop --for windows --out /root/laptop\n  sallyport device profile phone --for ios --on-demand --once --out /root/phone"
	c.Flags().String("keys", "", "`DIRECTORY` where device add has written the key (default: that of --out)")
	return c
}

func newUserProfile(env *Env) *cobra.Command {
	c := newProfile(env, userOwner)
	c.Short = "Write what a client needs to connect by the user's password"
	c.Long = `Writes the configuration of one client for a user who logs in by password, in a
zone that takes passwords. The password is not in it: the client asks for it, or
the steps say where it goes.
` + profileLong + `
Clients:
` + clientTable(userOwner.can)
	c.Example = "  sallyport user profile alice --for windows --out /root/alice"
	c.Flags().String("zone", "", "the `ZONE` it is for (default: the only one)")
	return c
}

// profileOwner is whose profile a verb writes.
type profileOwner struct {
	path string                  // in the control API
	keys bool                    // it has keys in files
	can  func(profile.Kind) bool // which clients are for it
}

var (
	deviceOwner = profileOwner{"/v1/devices/", true, func(profile.Kind) bool { return true }}
	userOwner   = profileOwner{"/v1/users/", false, profile.Kind.CanPassword}
)

// newProfile is the verb for devices and users.
func newProfile(env *Env, owner profileOwner) *cobra.Command {
	c := &cobra.Command{
		Use:  "profile NAME --for CLIENT",
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			r := profileRequest(c)
			if r.For == "" {
				return failure("use --for with one of "+strings.Join(kindNames(owner.can), ", "), "for which client? --for is missing")
			}
			out, _ := c.Flags().GetString("out")
			keys, _ := c.Flags().GetString("keys")
			if keys == "" {
				keys = out
			}
			hand, err := onceFlags(c)
			if err != nil {
				return err
			}
			var w profileWritten
			err = withControl(env, c, func(ctx context.Context, client *gateway.Client) (err error) {
				if w, err = owner.write(ctx, client, args[0], r, keys, out); err == nil && hand.on {
					hand.host, err = hand.urlHost(ctx, client, r.Address)
				}
				return err
			})
			if err != nil {
				return err
			}
			if !hand.on {
				return env.report(c, w, func(o io.Writer) { w.write(env, o) })
			}
			return handOver(env, c, w, hand)
		},
	}
	withConfig(c)
	withJSON(c)
	f := c.Flags()
	f.String("for", "", "`CLIENT`: one of those above")
	f.String("auth", "", "`METHOD` by which the client proves itself, of those in the zone's auth (default: the first that will do)")
	f.String("address", "", "name or `ADDRESS` that the client dials (default: gateway.name)")
	f.String("out", ".", "`DIRECTORY` for the files")
	f.Bool("on-demand", false, "macos, ios: connect by itself")
	f.Bool("always-on", false, "ios, supervised devices: never without the tunnel")
	f.Bool("kill-switch", false, "macos, ios: no traffic past the tunnel")
	f.Bool("once", false, "hand the file over by HTTPS, for one download")
	f.String("listen", "", "`ADDRESS:PORT` for --once (default: all addresses, a free port)")
	f.Int("minutes", onceMinutes, "`MINUTES` that --once waits")
	f.String("tls-certificate", "", "PEM `FILE` with certificate and chain for --once (default: one that nobody vouches for)")
	f.String("tls-key", "", "PEM `FILE` with its key")
	return c
}

func profileRequest(c *cobra.Command) (r gateway.ProfileRequest) {
	f := c.Flags()
	r.For, _ = f.GetString("for")
	r.Auth, _ = f.GetString("auth")
	r.Zone, _ = f.GetString("zone")
	r.Address, _ = f.GetString("address")
	r.Options.OnDemand, _ = f.GetBool("on-demand")
	r.Options.AlwaysOn, _ = f.GetBool("always-on")
	r.Options.KillSwitch, _ = f.GetBool("kill-switch")
	return r
}

// handOverFlags are the wishes for --once.
type handOverFlags struct {
	on                        bool
	listen, host              string
	limit                     time.Duration
	tlsCertificate, tlsKeyPEM string
}

func onceFlags(c *cobra.Command) (h handOverFlags, err error) {
	f := c.Flags()
	h.on, _ = f.GetBool("once")
	h.listen, _ = f.GetString("listen")
	h.tlsCertificate, _ = f.GetString("tls-certificate")
	h.tlsKeyPEM, _ = f.GetString("tls-key")
	minutes, _ := f.GetInt("minutes")
	h.limit = time.Duration(minutes) * time.Minute
	for _, flag := range []string{"listen", "minutes", "tls-certificate", "tls-key"} {
		if f.Changed(flag) && !h.on {
			return h, failure("add --once", "--%s is for a hand-over", flag)
		}
	}
	switch {
	case minutes < 1 || minutes > maxOnceMinutes:
		return h, failure("", "--minutes: give 1 to %d, not %d", maxOnceMinutes, minutes)
	case (h.tlsCertificate == "") != (h.tlsKeyPEM == ""):
		return h, failure("", "--tls-certificate and --tls-key belong together")
	}
	if h.listen == "" {
		h.listen = ":0"
	}
	if _, _, err := net.SplitHostPort(h.listen); err != nil {
		return h, failure("write it as 192.0.2.1:8443, [2001:db8::1]:8443 or :8443", "--listen: %v", err)
	}
	return h, nil
}

// urlHost is by which name or address the phone finds this machine: where it
// listens, and else what clients dial.
func (h handOverFlags) urlHost(ctx context.Context, client *gateway.Client, dial string) (string, error) {
	host, _, _ := net.SplitHostPort(h.listen)
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return host, nil
	}
	if dial != "" {
		return dial, nil
	}
	var st gateway.Status
	err := client.Call(ctx, "GET", "/v1/status", nil, &st)
	return st.Name, err
}

// handOver reports and waits for the client. The state is closed by now: a
// gateway may be started meanwhile.
func handOver(env *Env, c *cobra.Command, w profileWritten, h handOverFlags) error {
	until := time.Now().Add(h.limit)
	cert, print, err := onceCertificate(h.tlsCertificate, h.tlsKeyPEM, h.host, until)
	if err != nil {
		return err
	}
	o, err := openOnce(h.listen, cert, w.hand)
	if err != nil {
		return err
	}
	defer o.listener.Close()
	w.Once = &onceOffer{File: w.hand.Name, URL: o.url(h.host), Until: until, Fingerprint: print}
	if err := env.report(c, w, func(out io.Writer) { w.write(env, out) }); err != nil {
		return err
	}
	if err := o.serve(c.Context(), h.limit); err != nil {
		return err
	}
	env.Say("%s was taken", w.hand.Name)
	return nil
}

// clientTable lists the clients for the help.
func clientTable(can func(profile.Kind) bool) string {
	var b strings.Builder
	for _, k := range profile.Kinds() {
		if can(k) {
			fmt.Fprintf(&b, "  %-20s%s\n", k.Name, k.Title)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func kindNames(can func(profile.Kind) bool) []string {
	return slices.DeleteFunc(profile.Names(), func(name string) bool {
		k, _ := profile.Lookup(name)
		return !can(k)
	})
}

// write asks for a profile and writes its files. Keys go along where they are;
// whether they are needed, the gateway knows.
func (owner profileOwner) write(ctx context.Context, client *gateway.Client, name string, r gateway.ProfileRequest, keys, out string) (w profileWritten, err error) {
	if r.Dir, err = filepath.Abs(out); err != nil {
		return w, err
	}
	k, _ := profile.Lookup(r.For)
	var p12 []byte
	var noKey error
	if owner.keys {
		if r.PSK, err = readPSK(keys, name); err != nil {
			return w, err
		}
		if k.Key == profile.KeyInside || k.Key == profile.KeyBeside {
			p12, w.Password, noKey = encryptKey(keys, name)
		}
	}
	defer clear(r.PSK)
	if noKey != nil && !errors.Is(noKey, fs.ErrNotExist) {
		return w, noKey
	}
	if k.Key == profile.KeyInside {
		r.PKCS12 = p12
	}
	var p gateway.Profile
	if err := client.Call(ctx, "POST", gateway.Path(owner.path, name, "/profile"), r, &p); err != nil {
		return w, err
	}
	w.For, w.Auth, w.Steps, w.Notes, w.hand = p.For, p.Auth, p.Steps, p.Notes, p.Files[0]
	if !profile.ByCertificate(p.Auth) {
		w.Password = ""
	} else if k.Key == profile.KeyBeside {
		if noKey != nil {
			return w, noKey
		}
		w.hand = gateway.File{Name: name + "-" + r.For + ".p12", Data: p12, Secret: true}
		p.Files = append(p.Files, w.hand)
	}
	w.Files, err = writeFiles(p.Files, out)
	return w, err
}

// readPSK reads a device's pre-shared key, which most devices do not have.
func readPSK(dir, device string) ([]byte, error) {
	path := filepath.Join(dir, filepath.Base(device)+".psk")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = file.CheckPrivate(path)
	}
	if err != nil {
		return nil, explained(err)
	}
	return bytes.TrimRight(key, "\r\n"), nil
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
// password of 130 bits that carries the protection. Without a key the error is
// an [fs.ErrNotExist].
func encryptKey(dir, device string) (p12 []byte, password string, err error) {
	at := func(suffix string) string { return filepath.Join(dir, filepath.Base(device)+suffix) }
	hint := "run this where device add has written the key, or name that directory with --keys"
	var text []byte
	for _, path := range []string{at(".key"), at(".crt")} {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", failure(hint, "this client wants the device's key in its file: %w", err)
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

func (p profileWritten) write(env *Env, w io.Writer) {
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
	if p.Once != nil {
		p.Once.write(env, w)
	}
}
