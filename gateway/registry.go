package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/store"
)

// User is a person (or a machine) that owns devices.
type User struct {
	Name     string     `json:"name"`
	Groups   []string   `json:"groups,omitempty"`   // of the configuration
	Zone     string     `json:"zone,omitempty"`     // of a user with a password; empty: see userZone
	Inner    InnerAddrs `json:"inner,omitzero"`     // inner addresses of a user with a password
	Password bool       `json:"password,omitempty"` // has one
	MSCHAPv2 bool       `json:"mschapv2,omitempty"` // of which the NT hash is kept too
	Created  time.Time  `json:"created"`
	Revoked  time.Time  `json:"revoked,omitzero"` // zero: may come in
	Reason   string     `json:"reason,omitempty"` // of the revocation

	L2TPUntil Date `json:"l2tp_until,omitempty"` // the last day of the user's L2TP; empty: that of the zone
}

// Device is one enrolled client with a certificate or a pre-shared key of its
// own.
type Device struct {
	Name     string       `json:"name"`
	User     string       `json:"user"`
	Zone     string       `json:"zone"`
	Identity string       `json:"identity"`         // its IKE identity
	Key      string       `json:"key"`              // kind of its key; psk: a pre-shared one
	Serial   string       `json:"serial,omitempty"` // of its certificate, hexadecimal
	Address  netip.Prefix `json:"address,omitzero"` // where it may come from; with a pre-shared key only
	Inner    InnerAddrs   `json:"inner,omitzero"`   // inner addresses of its own
	Waived   []string     `json:"waived,omitempty"` // rules that its pre-shared key breaks: it comes in while they are waived
	Created  time.Time    `json:"created"`
	NotAfter time.Time    `json:"not_after,omitzero"` // of its certificate
	Revoked  time.Time    `json:"revoked,omitzero"`
	Reason   string       `json:"reason,omitempty"`
}

// mayComeFrom tells whether the device is bound to no other outer address.
func (d Device) mayComeFrom(a netip.Addr) bool {
	return !d.Address.IsValid() || d.Address.Contains(a.Unmap())
}

// comingFrom finds the device of a zone with a pre-shared key that may come from
// an address, by the narrowest network; a key without address is for IKEv2.
func (r *registry) comingFrom(zone string, a netip.Addr) (found Device, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, d := range r.devices {
		if d.Zone == zone && d.Key == keyPSK && d.Revoked.IsZero() && d.Address.IsValid() && d.Address.Contains(a) &&
			(!ok || d.Address.Bits() > found.Address.Bits()) {
			found, ok = d, true
		}
	}
	return found, ok
}

// Where records live in the store.
const (
	usersKey   = "/users/"
	devicesKey = "/devices/"
	leasesKey  = "/leases/" // then zone/device

	certificatesKey = "/certificates/" // then device: its certificate as PEM
)

// NotFoundError and ExistsError let callers choose a status.
type (
	// NotFoundError says that there is no such user, device or session.
	NotFoundError struct{ What, Name, Hint string }
	// ExistsError says that the name is taken.
	ExistsError struct{ What, Name string }
	// InvalidError says what is wrong with a request.
	InvalidError struct{ Reason, Hint string }
)

func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no %s %q", e.What, e.Name) }
func (e *ExistsError) Error() string   { return fmt.Sprintf("the %s %q exists already", e.What, e.Name) }
func (e *InvalidError) Error() string  { return e.Reason }

// nameRule keeps names fit for store keys, file names, certificate subjects
// and shells without quoting.
var nameRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// checkName refuses a name that does not fit.
func checkName(what, name string) error {
	if nameRule.MatchString(name) && !strings.Contains(name, "..") {
		return nil
	}
	return &InvalidError{
		Reason: fmt.Sprintf("%q does not fit as the name of a %s", name, what),
		Hint:   "use 1 to 63 lower-case letters, digits, dots, hyphens and underscores; begin and end with a letter or digit",
	}
}

// registry is the store's users and devices in memory, kept up to date by a
// watch. Every change, of this process or of another gateway, arrives through
// the watch, so what a revocation does is done in one place.
type registry struct {
	store   store.Store
	changed func(users, devices []string) // called without lock, for what may have to be cut

	mu       sync.RWMutex
	moved    *sync.Cond // revision went up
	revision int64
	failed   error // the watch ended; writes cannot be confirmed any more
	users    map[string]User
	devices  map[string]Device
	serials  map[string]string // serial to device
	reserved map[string]bool   // who has inner addresses of their own, as of ownAddresses
}

// openRegistry reads the records and follows them until ctx ends.
func openRegistry(ctx context.Context, s store.Store, changed func(users, devices []string)) (*registry, error) {
	r := &registry{store: s, changed: changed, reserved: make(map[string]bool)}
	r.moved = sync.NewCond(r.mu.RLocker())
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	updates, err := s.Watch(ctx, "/", r.revision+1)
	if err != nil {
		return nil, fmt.Errorf("gateway: watching the state: %w", err)
	}
	go r.follow(ctx, updates)
	return r, nil
}

// load reads everything anew.
func (r *registry) load(ctx context.Context) error {
	users, devices := make(map[string]User), make(map[string]Device)
	up, err := r.store.Get(ctx, store.Prefix(usersKey))
	if err != nil {
		return fmt.Errorf("gateway: reading users: %w", err)
	}
	dp, err := r.store.Get(ctx, store.Prefix(devicesKey))
	if err != nil {
		return fmt.Errorf("gateway: reading devices: %w", err)
	}
	for _, kv := range up.KVs {
		if err := decodeRecord(kv, users); err != nil {
			return err
		}
	}
	for _, kv := range dp.KVs {
		if err := decodeRecord(kv, devices); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users, r.devices, r.serials = users, devices, make(map[string]string)
	for _, d := range devices {
		r.addSerial(d)
		r.reserved[d.Name] = d.Inner != (InnerAddrs{})
	}
	for _, u := range users {
		r.reserved[userPrefix+u.Name] = u.Inner != (InnerAddrs{})
	}
	r.revision = min(up.Revision, dp.Revision) // the watch repeats what came between
	r.moved.Broadcast()
	return nil
}

func decodeRecord[T any](kv store.KV, into map[string]T) error {
	var v T
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		return fmt.Errorf("gateway: record %q in the state is damaged: %w", kv.Key, err)
	}
	into[kv.Key[strings.LastIndexByte(kv.Key, '/')+1:]] = v
	return nil
}

// follow applies changes until the store closes or ctx ends.
func (r *registry) follow(ctx context.Context, updates <-chan store.Update) {
	err := context.Canceled
	for u := range updates {
		if u.Err != nil {
			err = u.Err
			break
		}
		r.apply(u)
	}
	var behind *store.FellBehindError
	if ctx.Err() == nil && errors.As(err, &behind) {
		if err = r.load(ctx); err == nil {
			if again, werr := r.store.Watch(ctx, "/", r.revision+1); werr == nil {
				r.changed(slices.Collect(maps.Keys(r.Users())), nil)
				r.follow(ctx, again)
				return
			}
		}
	}
	r.mu.Lock()
	r.failed = fmt.Errorf("gateway: the state is no longer followed: %w", err)
	r.moved.Broadcast()
	r.mu.Unlock()
}

// apply takes in one revision and tells what changed.
func (r *registry) apply(u store.Update) {
	var users, devices []string
	r.mu.Lock()
	for _, ev := range u.Events {
		name := ev.KV.Key[strings.LastIndexByte(ev.KV.Key, '/')+1:]
		switch {
		case strings.HasPrefix(ev.KV.Key, usersKey):
			users = append(users, name)
			takeIn(r.users, name, ev)
		case strings.HasPrefix(ev.KV.Key, devicesKey):
			devices = append(devices, name)
			delete(r.serials, r.devices[name].Serial)
			takeIn(r.devices, name, ev)
			if d, ok := r.devices[name]; ok {
				r.addSerial(d)
			}
		}
	}
	r.mu.Unlock()
	if r.changed != nil && len(users)+len(devices) > 0 {
		r.changed(users, devices)
	}
	r.mu.Lock()
	r.revision = max(r.revision, u.Revision)
	r.moved.Broadcast()
	r.mu.Unlock()
}

// addSerial: a device with a pre-shared key has none.
func (r *registry) addSerial(d Device) {
	if d.Serial != "" {
		r.serials[d.Serial] = d.Name
	}
}

// takeIn replaces or removes a record; one that cannot be read is removed,
// because what it forbids is not known.
func takeIn[T any](records map[string]T, name string, ev store.Event) {
	delete(records, name)
	if !ev.Deleted {
		decodeRecord(ev.KV, records)
	}
}

// reached waits until the watch has brought a revision of our own, so that
// whoever changed something sees it done, live tunnels included.
func (r *registry) reached(ctx context.Context, revision int64) error {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.moved.Broadcast()
	})
	defer stop()
	r.mu.RLock()
	defer r.mu.RUnlock()
	for r.revision < revision && r.failed == nil && ctx.Err() == nil {
		r.moved.Wait()
	}
	if r.revision >= revision {
		return nil
	}
	return errors.Join(r.failed, ctx.Err())
}

// write puts a record on condition, with what belongs to it, and waits until it
// is in force.
func (r *registry) write(ctx context.Context, key string, record any, onlyIf []store.Compare, with ...store.Op) (bool, error) {
	value, err := json.Marshal(record)
	if err != nil {
		return false, err
	}
	res, err := r.store.Txn(ctx, store.Txn{If: onlyIf, Then: append(with, store.Put{Key: key, Value: value})})
	if err != nil || !res.Succeeded {
		return false, err
	}
	return true, r.reached(ctx, res.Revision)
}

// User and Device find a record by name.
func (r *registry) User(name string) (User, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	u, ok := r.users[name]
	return u, ok
}

func (r *registry) Device(name string) (Device, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[name]
	return d, ok
}

// BySerial finds the device with a certificate, and its user.
func (r *registry) BySerial(serial string) (Device, User, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[r.serials[serial]]
	return d, r.users[d.User], ok
}

// allowed tells why a device may not come in, in words; empty: it may.
func (r *registry) allowed(device string) (why string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[device]
	u, known := r.users[d.User]
	switch {
	case !ok:
		return "the device is not enrolled here"
	case !d.Revoked.IsZero():
		return "the device was revoked on " + d.Revoked.UTC().Format(time.RFC3339)
	case !known:
		return fmt.Sprintf("its user %q does not exist", d.User)
	case !u.Revoked.IsZero():
		return fmt.Sprintf("its user %q was revoked on %s", u.Name, u.Revoked.UTC().Format(time.RFC3339))
	}
	return ""
}

// userAllowed tells why a user may not come in; empty: may.
func (r *registry) userAllowed(name string) (why string) {
	u, ok := r.User(name)
	switch {
	case !ok:
		return fmt.Sprintf("there is no user %q", name)
	case !u.Revoked.IsZero():
		return fmt.Sprintf("the user %q was revoked on %s", name, u.Revoked.UTC().Format(time.RFC3339))
	}
	return ""
}

// Users and Devices are sorted by name.
func (r *registry) Users() map[string]User {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.users)
}

func (r *registry) Devices() map[string]Device {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.devices)
}
