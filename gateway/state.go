package gateway

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"crypto/x509"

	"sallyport/config"
	"sallyport/internal/file"
	"sallyport/pki"
	"sallyport/store"
	"sallyport/store/bolt"
	"sallyport/store/seal"
)

// State is everything that outlives the process: the configuration file, the
// store and the CA. Commands work on it directly when no gateway runs; a
// running gateway is built on it.
type State struct {
	path            string // of the configuration
	log             *slog.Logger
	config          atomic.Pointer[config.Config]
	store           store.Store
	ca              *pki.CA
	box             *seal.Box
	noPSK           []byte     // a record like those of pre-shared keys, of nobody
	nobodysPassword []byte     // likewise
	sharing         sync.Mutex // while a pre-shared key is compared with the others and recorded
	placing         sync.Mutex // while inner addresses are compared with the others' and recorded
	registry        *registry
	cancel          context.CancelFunc
	warnings        atomic.Pointer[[]string]
	changed         atomic.Pointer[func(users, devices []string)]
}

// Files in the state directory.
const (
	storeFile = "state.db"
	pkiDir    = "pki"
)

// LoadConfig reads and checks a configuration file; the error holds every
// diagnostic.
func LoadConfig(path string) (*config.Config, config.Diagnostics, error) {
	cfg, diags := config.Load(path, time.Now())
	if err := diags.Err(); err != nil {
		return nil, diags, &ConfigError{Reloaded{Diagnostics: diags}}
	}
	return cfg, diags, nil
}

// OpenState opens the state that a configuration names. Only one process can
// have it open.
func OpenState(ctx context.Context, path string) (*State, error) {
	return openState(ctx, path, slog.New(slog.DiscardHandler))
}

func openState(ctx context.Context, path string, log *slog.Logger) (*State, error) {
	cfg, diags, err := LoadConfig(path)
	if err != nil {
		return nil, err
	}
	if err := checkState(cfg.Gateway.State); err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(cfg.Gateway.State, storeFile), bolt.Options{})
	if err != nil {
		return nil, err
	}
	s := &State{path: path, store: db, log: log}
	s.config.Store(cfg)
	s.warn(diags)
	if s.ca, err = pki.Open(ctx, s.pkiConfig(cfg), time.Now()); err != nil {
		db.Close()
		return nil, err
	}
	if err := s.openBox(ctx); err != nil {
		db.Close()
		return nil, err
	}
	follow, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	if s.registry, err = openRegistry(follow, db, s.noteChange); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openBox opens what seals secrets in the store.
func (s *State) openBox(ctx context.Context) (err error) {
	if s.box, err = seal.Open(s.Config().Gateway.State); err != nil {
		return err
	}
	if err := s.checkBox(ctx); err != nil {
		return err
	}
	if s.noPSK, err = s.sealPSK(nobody, pki.NewSharedKey()); err == nil {
		s.nobodysPassword, err = s.sealPassword(nobody, nobodys)
	}
	return err
}

// sealKey is a record that the right key opens, sealed for its own name.
const sealKey = "/seal"

// checkBox makes sure that the key is the one of the store's secrets: with
// another, users and devices would be refused one by one, as if their passwords
// and keys were wrong.
func (s *State) checkBox(ctx context.Context) error {
	page, err := s.store.Get(ctx, store.Key(sealKey))
	if err != nil {
		return err
	}
	if kv, ok := page.First(); ok {
		if _, err := s.box.Open(sealKey, kv.Value); err != nil {
			return &sealError{filepath.Join(s.Config().Gateway.State, seal.FileName)}
		}
		return nil
	}
	mark := store.Put{Key: sealKey, Value: s.box.Seal(sealKey, nil)}
	_, err = s.store.Txn(ctx, store.Txn{If: []store.Compare{store.Absent(sealKey)}, Then: []store.Op{mark}})
	return err
}

// sealError says that a key does not belong to the store.
type sealError struct{ path string }

func (e *sealError) Error() string {
	return fmt.Sprintf("gateway: %s is not the key that the store's secrets were sealed with", e.path)
}

// Hint says what to do.
func (e *sealError) Hint() string {
	return "restore it from the backup of the state directory; where systemd holds the key, use the command while the gateway runs"
}

// InitState makes the state directory with a new CA and the gateway's server
// identities. It never overwrites one.
func InitState(ctx context.Context, cfg *config.Config) error {
	dir := cfg.Gateway.State
	if err := file.PrivateDir(dir); err != nil {
		return fmt.Errorf("gateway: state directory: %w", err)
	}
	db, err := bolt.Open(filepath.Join(dir, storeFile), bolt.Options{Create: true})
	if err != nil {
		return err
	}
	defer db.Close()
	s := &State{store: db}
	s.config.Store(cfg)
	if err := s.openBox(ctx); err != nil {
		return err
	}
	c := s.pkiConfig(cfg)
	c.Name = "Sallyport CA of " + cfg.Gateway.Name
	if len(c.Name) > 64 { // what a certificate's name may have
		c.Name = "Sallyport CA"
	}
	ca, err := pki.Create(ctx, c, time.Now())
	if err != nil {
		return err
	}
	_, err = ca.ServerIdentities(ctx, time.Now(), gatewayNames(cfg))
	return err
}

// gatewayNames are all names of the gateway, the main one first.
func gatewayNames(cfg *config.Config) []string {
	return append([]string{cfg.Gateway.Name}, cfg.Gateway.Names...)
}

func (s *State) pkiConfig(cfg *config.Config) pki.Config {
	return pki.Config{Dir: filepath.Join(cfg.Gateway.State, pkiDir), Index: s.store}
}

// checkState tells a newcomer what to do instead of making an empty state.
func checkState(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, pkiDir)); errors.Is(err, os.ErrNotExist) {
		return &NotFoundError{What: "state directory with a CA", Name: dir, Hint: "make one with: sallyport init --name vpn.example.org"}
	}
	return file.CheckOwn(dir)
}

// Config is the configuration in force. It must not be changed.
func (s *State) Config() *config.Config { return s.config.Load() }

// Client calls the control API of this state in process.
func (s *State) Client() *Client {
	c := &Client{end: s.Close}
	c.http.Transport = direct{handler(s)}
	return c
}

// Close ends the watch and closes the store.
func (s *State) Close() error {
	s.cancel()
	return s.store.Close()
}

// noteChange passes on what the registry's watch saw.
func (s *State) noteChange(users, devices []string) {
	if f := s.changed.Load(); f != nil {
		(*f)(users, devices)
	}
}

func (s *State) warn(diags config.Diagnostics) {
	var out []string
	for _, d := range diags {
		out = append(out, d.String())
	}
	s.warnings.Store(&out)
}

// Status implements the control API.
func (s *State) Status(context.Context) (Status, error) {
	cfg := s.Config()
	devices := s.registry.Devices()
	st := Status{Name: cfg.Gateway.Name, Config: s.path, State: cfg.Gateway.State, Users: len(s.registry.Users()), Devices: len(devices), Warnings: *s.warnings.Load()}
	for _, z := range cfg.Zones {
		zs := ZoneStatus{Name: z.Name, Protocol: z.Protocol, IPv4: z.Pool.IPv4, IPv6: z.Pool.IPv6}
		for _, d := range devices {
			if d.Zone == z.Name && d.Revoked.IsZero() {
				zs.Devices++
			}
		}
		if z.Protocol == config.L2TP {
			zs.L2TP = &L2TPStatus{Cutoff: dateOf(z.Cutoff), Firewall: FirewallStatus{Trouble: "the gateway is not running"}}
		}
		st.Zones = append(st.Zones, zs)
	}
	for _, d := range devices {
		if !d.Revoked.IsZero() {
			st.Revoked++
		}
	}
	return st, nil
}

// Devices implements the control API, sorted by name.
func (s *State) Devices(context.Context) ([]Device, error) {
	return sorted(s.registry.Devices()), nil
}

func sorted[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// AddDevice implements the control API: it issues a certificate, or makes a
// pre-shared key, and records the device. The private key leaves here and
// nowhere stays.
func (s *State) AddDevice(ctx context.Context, n NewDevice) (Enrolled, error) {
	zone, inner, err := s.checkNewDevice(n)
	if err != nil {
		return Enrolled{}, err
	}
	if n.PSK {
		return s.addWithPSK(ctx, n, zone, inner)
	}
	if n.SharedKey != "" || n.Address.IsValid() {
		return Enrolled{}, &InvalidError{Reason: "a device with a certificate has no pre-shared key and no address", Hint: "add --psk, or leave --psk-file and --address out"}
	}
	kind := pki.ECDSAP256
	if n.Key != "" {
		if kind, err = pki.ParseKeyKind(n.Key); err != nil {
			return Enrolled{}, &InvalidError{Reason: err.Error()}
		}
	}
	now := time.Now()
	issued, err := s.ca.IssueDevice(ctx, now, pki.DeviceRequest{
		User: n.User, Device: n.Name, Key: kind, Validity: time.Duration(n.Days) * 24 * time.Hour,
	})
	if err != nil {
		return Enrolled{}, err
	}
	id, err := pki.NewDeviceID(n.User, n.Name)
	if err != nil {
		return Enrolled{}, &InvalidError{Reason: err.Error()}
	}
	d := Device{
		Name: n.Name, User: n.User, Zone: zone, Identity: id.Email, Key: string(kind), Inner: inner,
		Serial: pki.SerialText(issued.Cert.SerialNumber), Created: now.UTC().Truncate(time.Second), NotAfter: issued.Cert.NotAfter.UTC(),
	}
	certificate := store.Put{Key: certificatesKey + d.Name, Value: []byte(pemText("CERTIFICATE", issued.Chain...))}
	if err := s.record(ctx, d, certificate); err != nil {
		_, undo := s.ca.Revoke(ctx, now, d.Serial, pki.CessationOfOperation)
		return Enrolled{}, errors.Join(err, undo)
	}
	s.log.Info("device enrolled", "device", d.Name, "user", d.User, "zone", d.Zone, "serial", d.Serial)
	return s.enrolled(d, issued)
}

// checkNewDevice returns the zone the device goes to, and its inner addresses.
func (s *State) checkNewDevice(n NewDevice) (zone string, inner InnerAddrs, err error) {
	if _, err := pki.NewDeviceID(n.User, n.Name); err != nil {
		return "", inner, &InvalidError{Reason: err.Error()}
	}
	if n.Days < 0 || n.Days > 3650 {
		return "", inner, &InvalidError{Reason: fmt.Sprintf("%d days is no validity; use 1 to 3650", n.Days)}
	}
	u, ok := s.registry.User(n.User)
	if !ok {
		return "", inner, &NotFoundError{What: "user", Name: n.User, Hint: "add it with: sallyport user add " + n.User}
	} else if !u.Revoked.IsZero() {
		return "", inner, &InvalidError{Reason: fmt.Sprintf("the user %q is revoked", n.User)}
	}
	if d, ok := s.registry.Device(n.Name); ok && d.Revoked.IsZero() {
		return "", inner, &ExistsError{"device", n.Name}
	}
	zone, err = s.zoneFor(n.Zone)
	if err == nil {
		inner, err = fixedOf(n.Inner)
	}
	if err == nil && inner != (InnerAddrs{}) {
		err = s.checkFixed(zone, inner, n.Name, u.Groups)
	}
	return zone, inner, err
}

// zoneFor finds the zone for a device: the only one, or the one named.
func (s *State) zoneFor(name string) (string, error) {
	zones := s.Config().Zones
	var names []string
	for _, z := range zones {
		names = append(names, z.Name)
	}
	if name == "" && len(zones) == 1 {
		return names[0], nil
	}
	if name == "" {
		return "", &InvalidError{Reason: "there are several zones", Hint: fmt.Sprintf("choose one with --zone: %q", names)}
	}
	if !slices.Contains(names, name) {
		return "", &NotFoundError{What: "zone", Name: name, Hint: fmt.Sprintf("there are %q", names)}
	}
	return name, nil
}

// record files a device that is new or whose namesake is revoked, with what
// belongs to it.
func (s *State) record(ctx context.Context, d Device, with ...store.Op) error {
	if d.Inner != (InnerAddrs{}) { // once more, while nobody else can be given them
		s.placing.Lock()
		defer s.placing.Unlock()
		u, _ := s.registry.User(d.User)
		if err := s.checkFixed(d.Zone, d.Inner, d.Name, u.Groups); err != nil {
			return err
		}
	}
	key := devicesKey + d.Name
	onlyIf := []store.Compare{store.Present(usersKey + d.User)}
	page, err := s.store.Get(ctx, store.Key(key))
	if err != nil {
		return err
	}
	if old, ok := page.First(); ok {
		found := map[string]Device{}
		if err := decodeRecord(old, found); err != nil {
			return err
		}
		if found[d.Name].Revoked.IsZero() { // added since checkNewDevice
			return &ExistsError{"device", d.Name}
		}
		onlyIf = append(onlyIf, store.Unchanged(old))
	} else {
		onlyIf = append(onlyIf, store.Absent(key))
	}
	ok, err := s.registry.write(ctx, key, d, onlyIf, with...)
	if err == nil && !ok {
		err = &ExistsError{"device", d.Name}
	}
	return err
}

func (s *State) enrolled(d Device, issued *pki.Issued) (Enrolled, error) {
	key, err := x509.MarshalPKCS8PrivateKey(issued.Key)
	if err != nil {
		return Enrolled{}, fmt.Errorf("gateway: device %q: %w", d.Name, err)
	}
	password := pki.NewPassword()
	p12, err := issued.PKCS12(pki.Modern, password)
	if err != nil {
		return Enrolled{}, err
	}
	return Enrolled{
		Device: d, PKCS12: p12, Password: string(password),
		Certificate: pemText("CERTIFICATE", issued.Chain...),
		CA:          pemText("CERTIFICATE", s.ca.Certificate().Raw),
		Key:         pemText("PRIVATE KEY", key),
	}, nil
}

func pemText(kind string, ders ...[]byte) string {
	var b []byte
	for _, der := range ders {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return string(b)
}

// RevokeDevice implements the control API. The record comes first, because it
// is what cuts live tunnels; the CRL, for others, follows.
func (s *State) RevokeDevice(ctx context.Context, name string, r Revocation) (Revoked, error) {
	if err := r.check(); err != nil {
		return Revoked{}, err
	}
	return s.revokeDevices(ctx, []string{name}, r)
}

// RevokeUser implements the control API: the user and all devices.
func (s *State) RevokeUser(ctx context.Context, name string, r Revocation) (Revoked, error) {
	if err := r.check(); err != nil {
		return Revoked{}, err
	}
	err := s.edit(ctx, usersKey+name, "user", name, func() (any, error) {
		u, ok := s.registry.User(name)
		if ok && u.Revoked.IsZero() {
			u.Revoked, u.Reason = time.Now().UTC(), r.Reason
			u.Password, u.MSCHAPv2 = false, false
		}
		return u, nil
	}, store.Delete{Key: passwordsKey + name}, forgottenUses(userPrefix+name))
	if err != nil {
		return Revoked{}, err
	}
	var devices []string
	for _, d := range sorted(s.registry.Devices()) {
		if d.User == name && d.Revoked.IsZero() {
			devices = append(devices, d.Name)
		}
	}
	return s.revokeDevices(ctx, devices, r)
}

// check comes before anything is written.
func (r Revocation) check() error {
	if len(r.Reason) > 256 {
		return &InvalidError{Reason: "the reason is longer than 256 octets"}
	}
	return nil
}

func (s *State) revokeDevices(ctx context.Context, names []string, r Revocation) (Revoked, error) {
	done := Revoked{Devices: []string{}}
	for _, name := range names {
		err := s.edit(ctx, devicesKey+name, "device", name, func() (any, error) {
			d, ok := s.registry.Device(name)
			if ok && d.Revoked.IsZero() {
				d.Revoked, d.Reason = time.Now().UTC(), r.Reason
			}
			return d, nil
		}, store.Delete{Key: pskKey + name}, forgottenUses(name))
		if err != nil {
			return done, err
		}
		done.Devices = append(done.Devices, name)
		s.log.Info("device revoked", "device", name, "reason", r.Reason)
		d, _ := s.registry.Device(name)
		if d.Key == keyPSK {
			continue
		}
		_, _, err = s.ca.RevokeDevice(ctx, time.Now(), d.User, d.Name, pki.PrivilegeWithdrawn)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// edit replaces a record that exists, with what belongs to it.
func (s *State) edit(ctx context.Context, key, what, name string, change func() (any, error), with ...store.Op) error {
	record, err := change()
	if err != nil {
		return err
	}
	ok, err := s.registry.write(ctx, key, record, []store.Compare{store.Present(key)}, with...)
	if err == nil && !ok {
		err = &NotFoundError{What: what, Name: name, Hint: fmt.Sprintf("see them with: sallyport %s list", what)}
	}
	return err
}

// zoneIdentity is the IDr of a zone's gateway.
func zoneIdentity(cfg *config.Config, z *config.Zone) string {
	if z.Identity.ID != "" {
		return z.Identity.ID
	}
	return cfg.Gateway.Name
}

// Sessions, Kick, Rekey, Reload and Refusals need a running gateway.
func (s *State) Sessions(context.Context) ([]SessionInfo, error) { return nil, NotRunningError{} }
func (s *State) Kick(context.Context, Kick) (Kicked, error)      { return Kicked{}, NotRunningError{} }
func (s *State) Rekey(context.Context, Rekey) (Rekeyed, error)   { return Rekeyed{}, NotRunningError{} }
func (s *State) Reload(context.Context) (Reloaded, error)        { return Reloaded{}, NotRunningError{} }
func (s *State) Refusals(context.Context) ([]Refusal, error)     { return nil, NotRunningError{} }
