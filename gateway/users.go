package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/config"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/protocol/eap/password"
	"sallyport/store"
)

// NewUser asks for a user. Password, PasswordHash and Generate are three ways
// to a password, of which at most one may be taken; without, the user comes in
// by devices alone.
type NewUser struct {
	Name         string       `json:"name"`
	Zone         string       `json:"zone,omitempty"`          // where the user goes by password
	Groups       []string     `json:"groups,omitempty"`        // of the configuration
	Inner        []netip.Addr `json:"inner,omitempty"`         // inner addresses of the user's own, by password
	Password     string       `json:"password,omitempty"`      // the new password
	PasswordHash string       `json:"password_hash,omitempty"` // $argon2id$ or $nt$, of another product
	Generate     bool         `json:"generate,omitempty"`      // a new password is made, and shown in the answer
	NoMSCHAPv2   bool         `json:"no_mschapv2,omitempty"`   // keep no NT hash: the password serves PAP inside TTLS alone
	AllowWeak    bool         `json:"allow_weak,omitempty"`    // of an import: take Password as it is
}

// SetUser changes a user; nil fields stay as they are.
type SetUser struct {
	Zone   *string       `json:"zone,omitempty"`
	Groups *[]string     `json:"groups,omitempty"`
	Inner  *[]netip.Addr `json:"inner,omitempty"`

	L2TPUntil *Date `json:"l2tp_until,omitempty"` // the last day of the user's L2TP; "": no end
}

// SetPassword replaces a user's password: exactly one field.
type SetPassword struct {
	Password string `json:"password,omitempty"`
	Generate bool   `json:"generate,omitempty"`
	Remove   bool   `json:"remove,omitempty"`

	NoMSCHAPv2 bool `json:"no_mschapv2,omitempty"` // as in NewUser
}

// UserAdded is a user with the password that was made, which is shown this once.
type UserAdded struct {
	User
	Made string `json:"made_password,omitempty"`
}

// Users implements the control API, sorted by name.
func (s *State) Users(context.Context) ([]User, error) { return sorted(s.registry.Users()), nil }

// AddUser implements the control API.
func (s *State) AddUser(ctx context.Context, n NewUser) (UserAdded, error) {
	added, ops, err := s.newUser(n)
	if err != nil {
		return UserAdded{}, err
	}
	key := usersKey + n.Name
	err = s.placed(added.User, func() error {
		ok, err := s.registry.write(ctx, key, added.User, []store.Compare{store.Absent(key)}, ops...)
		if err == nil && !ok {
			err = &ExistsError{"user", n.Name}
		}
		return err
	})
	if err != nil {
		return UserAdded{}, err
	}
	s.log.Info("user added", "user", n.Name, "zone", added.Zone, "groups", added.Groups, "password", added.Password)
	return added, nil
}

// newUser checks a request, and makes the record and what is written with it.
func (s *State) newUser(n NewUser) (added UserAdded, ops []store.Op, err error) {
	if err := checkName("user", n.Name); err != nil {
		return added, nil, err
	}
	if _, err := pki.NewDeviceID(n.Name, "x"); err != nil {
		return added, nil, &InvalidError{Reason: err.Error()}
	}
	u := User{Name: n.Name, Zone: n.Zone, Groups: n.Groups, Created: time.Now().UTC().Truncate(time.Second)}
	if u.Inner, err = fixedOf(n.Inner); err != nil {
		return added, nil, err
	}
	if err := s.checkPlace(u); err != nil {
		return added, nil, err
	}
	p, made, err := s.newPassword(n)
	if err == nil && p != (passwordRecord{}) {
		ops, err = s.keepPassword(&u, p)
	}
	return UserAdded{u, made}, ops, err
}

// newPassword makes what is kept of the password that a request brings or asks
// for; nothing when it does neither.
func (s *State) newPassword(n NewUser) (p passwordRecord, made string, err error) {
	switch {
	case n.PasswordHash != "" && (n.Generate || n.Password != ""), n.Generate && n.Password != "":
		return p, "", &InvalidError{Reason: "a password was given in two ways", Hint: "use one"}
	case n.PasswordHash != "":
		p.Hash = password.Hash(n.PasswordHash)
		if !p.Hash.Valid() {
			return p, "", &InvalidError{Reason: "the password's hash cannot be used", Hint: "it begins with $argon2id$ or $nt$, as other programs write it"}
		}
		return p, "", nil
	case n.Generate:
		made = string(pki.NewPassword())
		p, err = hashPassword(secret.Bytes(made), !n.NoMSCHAPv2)
		return p, made, err
	case n.Password != "":
		if err := s.judgePassword(n.Name, secret.Bytes(n.Password), n.AllowWeak); err != nil {
			return p, "", err
		}
		p, err = hashPassword(secret.Bytes(n.Password), !n.NoMSCHAPv2)
	}
	return p, "", err
}

// keepPassword is the write of a password, and marks the user's record.
func (s *State) keepPassword(u *User, p passwordRecord) ([]store.Op, error) {
	sealed, err := s.sealPassword(u.Name, p)
	if err != nil {
		return nil, err
	}
	_, noNT := p.Hash.NT()
	u.Password, u.MSCHAPv2 = true, p.NT != "" || noNT == nil
	return []store.Op{store.Put{Key: passwordsKey + u.Name, Value: sealed}}, nil
}

// checkPlace holds a user's zone, groups and addresses against the
// configuration and the others' addresses.
func (s *State) checkPlace(u User) error {
	cfg := s.Config()
	if u.Zone != "" {
		if _, err := s.zoneFor(u.Zone); err != nil {
			return err
		}
	}
	for _, g := range u.Groups {
		if _, ok := cfg.Group(g); !ok {
			var names []string
			for _, g := range cfg.Groups {
				names = append(names, g.Name)
			}
			return &NotFoundError{What: "group", Name: g, Hint: fmt.Sprintf("the configuration has %q", names)}
		}
	}
	if u.Inner == (InnerAddrs{}) {
		return nil
	}
	zone, err := s.userZone(u)
	if err != nil {
		return &InvalidError{Reason: "an inner address needs a zone: " + err.Error(), Hint: "say which zone takes the user's password"}
	}
	return s.checkFixed(zone, u.Inner, userPrefix+u.Name, u.Groups)
}

// placed writes a user who has addresses, while nobody else can be given them.
func (s *State) placed(u User, write func() error) error {
	if u.Inner == (InnerAddrs{}) {
		return write()
	}
	s.placing.Lock()
	defer s.placing.Unlock()
	if err := s.checkPlace(u); err != nil {
		return err
	}
	return write()
}

// fixedOf sorts addresses by family.
func fixedOf(addrs []netip.Addr) (f InnerAddrs, err error) {
	for _, a := range addrs {
		to := &f.IPv6
		if a = a.Unmap(); a.Is4() {
			to = &f.IPv4
		}
		if to.IsValid() || !a.IsValid() {
			return f, &InvalidError{Reason: "at most one inner address of each family, please"}
		}
		*to = a
	}
	return f, nil
}

// checkFixed refuses inner addresses that the zone cannot give to somebody of
// these groups, or that are somebody else's.
func (s *State) checkFixed(zone string, f InnerAddrs, owner string, groups []string) error {
	z, _ := s.Config().Zone(zone)
	pool, err := newAddressPool(z.Pool.IPv4, z.Pool.IPv6, unit6(z))
	if err != nil {
		return err
	}
	for _, c := range []struct {
		a netip.Addr
		f *family
	}{{f.IPv4, &pool.v4}, {f.IPv6, &pool.v6}} {
		if c.a.IsValid() && !c.f.holds(c.a) {
			return &InvalidError{Reason: fmt.Sprintf("%v is not an address that zone %q gives to clients", c.a, zone), Hint: fmt.Sprintf("its pool is %v and %v, less the gateway's own and the last", z.Pool.IPv4, z.Pool.IPv6)}
		}
	}
	if err := s.checkPart(zone, f, groups); err != nil {
		return err
	}
	for holder, o := range s.registry.fixed(zone, s.userZone) {
		if holder != owner && (f.IPv4.IsValid() && f.IPv4 == o.IPv4 || f.IPv6.IsValid() && f.IPv6 == o.IPv6) {
			return &InvalidError{Reason: fmt.Sprintf("the inner address is already that of %q", ownerName(holder))}
		}
	}
	return nil
}

// checkPart refuses inner addresses outside of the group's part of the pool, and
// inside of one that is another's: a firewall tells users by them.
func (s *State) checkPart(zone string, f InnerAddrs, groups []string) error {
	var g config.Group // the one that counts, if any
	for _, c := range s.Config().Groups {
		if c.Zone == zone && slices.Contains(groups, c.Name) {
			g = c
			break
		}
	}
	from := addressing{within: g.Pool, not: groupParts(s.Config(), zone, g.Name)}
	for _, c := range []struct {
		a netip.Addr
		p part
	}{{f.IPv4, from.v4()}, {f.IPv6, from.v6()}} {
		if c.a.IsValid() && !c.p.fits(c.a) {
			return &InvalidError{Reason: fmt.Sprintf("%v is not of the part of the pool that is for the user's group", c.a), Hint: "choose another address, or another group"}
		}
	}
	return nil
}

// fixed are all inner addresses of somebody's own in a zone, by device or seat.
func (r *registry) fixed(zone string, zoneOf func(User) (string, error)) map[string]InnerAddrs {
	out := map[string]InnerAddrs{}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name, d := range r.devices {
		if d.Zone == zone && d.Inner != (InnerAddrs{}) && d.Revoked.IsZero() {
			out[name] = d.Inner
		}
	}
	for name, u := range r.users {
		if u.Inner == (InnerAddrs{}) || !u.Revoked.IsZero() {
			continue
		}
		if z, err := zoneOf(u); err == nil && z == zone {
			out[userPrefix+name] = u.Inner
		}
	}
	return out
}

// ownAddresses tells whether some of these have, or had, inner addresses of
// their own.
func (r *registry) ownAddresses(users, devices []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := false
	note := func(key string, has bool) {
		found = found || has || r.reserved[key]
		if delete(r.reserved, key); has {
			r.reserved[key] = true
		}
	}
	for _, name := range users {
		note(userPrefix+name, r.users[name].Inner != (InnerAddrs{}))
	}
	for _, name := range devices {
		note(name, r.devices[name].Inner != (InnerAddrs{}))
	}
	return found
}

// SetUser implements the control API.
func (s *State) SetUser(ctx context.Context, name string, n SetUser) (User, error) {
	u, was, err := s.activeUser(ctx, name)
	if err != nil {
		return u, err
	}
	if n.Zone != nil {
		u.Zone = *n.Zone
	}
	if n.Groups != nil {
		u.Groups = *n.Groups
	}
	if n.Inner != nil {
		if u.Inner, err = fixedOf(*n.Inner); err != nil {
			return u, err
		}
	}
	if n.L2TPUntil != nil {
		if err := n.L2TPUntil.check(); err != nil {
			return u, err
		}
		u.L2TPUntil = *n.L2TPUntil
	}
	if err := s.checkPlace(u); err != nil {
		return u, err
	}
	if err := s.placed(u, func() error { return s.rewrite(ctx, u, was) }); err != nil {
		return u, err
	}
	s.log.Info("user changed", "user", name, "zone", u.Zone, "groups", u.Groups, "l2tp-until", u.L2TPUntil)
	return u, nil
}

// SetPassword implements the control API. Live sessions stay: they have proved
// themselves by the password of then.
func (s *State) SetPassword(ctx context.Context, name string, n SetPassword) (UserAdded, error) {
	u, was, err := s.activeUser(ctx, name)
	if err != nil {
		return UserAdded{}, err
	}
	if n.Remove && !n.Generate && n.Password == "" {
		u.Password, u.MSCHAPv2 = false, false
		if err := s.rewrite(ctx, u, was, store.Delete{Key: passwordsKey + name}); err != nil {
			return UserAdded{}, err
		}
		s.log.Info("password removed", "user", name)
		return UserAdded{User: u}, nil
	}
	p, made, err := s.newPassword(NewUser{Name: name, Password: n.Password, Generate: n.Generate, NoMSCHAPv2: n.NoMSCHAPv2})
	switch {
	case err != nil:
		return UserAdded{}, err
	case n.Remove || p == (passwordRecord{}):
		return UserAdded{}, &InvalidError{Reason: "give a password, let one be made, or remove it: one of the three"}
	}
	ops, err := s.keepPassword(&u, p)
	if err != nil {
		return UserAdded{}, err
	}
	if err := s.rewrite(ctx, u, was, ops...); err != nil {
		return UserAdded{}, err
	}
	s.log.Info("password set", "user", name)
	return UserAdded{u, made}, nil
}

// activeUser reads a user who may be changed, and the record that rewrite then
// replaces: as the store has it, which the registry hears of a little later.
func (s *State) activeUser(ctx context.Context, name string) (u User, was store.KV, err error) {
	page, err := s.store.Get(ctx, store.Key(usersKey+name))
	if err != nil {
		return u, was, err
	}
	was, ok := page.First()
	if !ok {
		return u, was, &NotFoundError{What: "user", Name: name, Hint: "see them with: sallyport user list"}
	}
	found := map[string]User{}
	if err := decodeRecord(was, found); err != nil {
		return u, was, err
	}
	if u = found[name]; !u.Revoked.IsZero() {
		return u, was, &InvalidError{Reason: fmt.Sprintf("the user %q is revoked", name)}
	}
	return u, was, nil
}

// rewrite replaces a user's record, unless it was changed since it was read: a
// revocation must not be undone, nor a group.
func (s *State) rewrite(ctx context.Context, u User, was store.KV, with ...store.Op) error {
	ok, err := s.registry.write(ctx, was.Key, u, []store.Compare{store.Unchanged(was)}, with...)
	if err == nil && !ok {
		err = &InvalidError{Reason: fmt.Sprintf("the user %q was changed by somebody else at the same time", u.Name), Hint: "look at it, and try again"}
	}
	return err
}
