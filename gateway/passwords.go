package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/config"
	"sallyport/internal/people"
	"sallyport/internal/secret"
	"sallyport/protocol/eap"
	"sallyport/protocol/eap/password"
	"sallyport/store"
)

// Passwords: for each user who has one an argon2id hash, and beside it the NT
// hash, which MSCHAPv2 needs, unless the user is to do without. Whoever has an
// NT hash can log in, so both lie sealed in the store, apart from the user's
// record, and no answer of the control API carries them.

const passwordsKey = "/passwords/" // then user; the whole is the name it is sealed for

// passwordRecord is what is sealed.
type passwordRecord struct {
	Hash password.Hash `json:"hash"`         // argon2id; or $nt$ alone, of an import
	NT   password.Hash `json:"nt,omitempty"` // for MSCHAPv2
}

// nobodys is a record in the form of all others, which nobody has: what opens it
// puts [password.Nobody] in its place.
var nobodys = passwordRecord{
	Hash: password.Hash("$argon2id$v=19$m=19456,t=2,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43)),
	NT:   password.Hash("$nt$" + strings.Repeat("0", 32)),
}

// judgePassword refuses a password that cannot be hashed, and one that would be
// guessed unless weak ones are taken.
func (s *State) judgePassword(user string, p secret.Bytes, weak bool) error {
	reason := people.Unhashable(p)
	if !weak {
		reason = people.Weak(user, p)
	}
	if reason == "" {
		return nil
	}
	command := "add"
	if _, exists := s.registry.User(user); exists {
		command = "password"
	}
	return &InvalidError{Reason: "the password cannot be used: " + reason, Hint: "let a good one be made: sallyport user " + command + " " + user + " --generate"}
}

// hashPassword makes what is kept of a password. It takes some 30 ms.
func hashPassword(p secret.Bytes, nt bool) (r passwordRecord, err error) {
	if r.Hash, err = password.New(p); err == nil && nt {
		r.NT, err = password.NewNT(p)
	}
	return r, err
}

// sealPassword is what the store keeps of a user's password.
func (s *State) sealPassword(user string, r passwordRecord) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return s.box.Seal(passwordsKey+user, text), nil
}

// passwordOf opens what is kept of a user's password; for a user who has none,
// what matches no password.
func (s *State) passwordOf(user string) (r passwordRecord, known bool, err error) {
	key := passwordsKey + user
	page, err := s.store.Get(context.Background(), store.Key(key))
	if err != nil {
		return passwordRecord{}, false, err
	}
	sealed := s.nobodysPassword // so that an unknown name takes as long
	kv, known := page.First()
	if known = known && s.registry.userAllowed(user) == ""; known {
		sealed = kv.Value
	} else {
		key = passwordsKey + nobody
	}
	text, err := s.box.Open(key, sealed)
	if err != nil {
		return passwordRecord{}, false, err
	}
	defer text.Clear()
	if err := json.Unmarshal(text, &r); err != nil {
		return passwordRecord{}, false, fmt.Errorf("gateway: the password of %q in the state is damaged: %w", user, err)
	}
	if !known {
		r.Hash = password.Nobody
	}
	return r, known, nil
}

var errNoNT = &eap.Refusal{Reason: eap.ReasonUnknownUser, Text: "of this user's password no NT hash is kept, which MSCHAPv2 needs",
	Hint: "let the client use eap-ttls with PAP inside, or set the password again without --no-mschapv2"}

// account answers LookupPassword. The refusals go into the record; the peer
// hears the same as for a wrong password.
func (s *State) account(user string) (eap.Account, error) {
	r, known, err := s.passwordOf(user)
	if err != nil {
		return eap.Account{}, err
	}
	nt, err := cmp.Or(r.NT, r.Hash).NT()
	switch {
	case !known:
		return eap.Account{}, s.noPassword(user)
	case err != nil:
		return eap.Account{}, errNoNT
	}
	return eap.Account{Identity: user, NTHash: nt}, nil
}

// checkPassword answers CheckPassword.
func (s *State) checkPassword(user string, p secret.Bytes) (eap.Verified, error) {
	r, known, err := s.passwordOf(user)
	if err != nil {
		return eap.Verified{}, err
	}
	right, err := r.Hash.Check(p) // as long for nobody as for anyone whose hash was made here
	switch {
	case err != nil:
		return eap.Verified{}, err
	case !known:
		return eap.Verified{}, s.noPassword(user)
	case !right:
		return eap.Verified{}, &eap.Refusal{Reason: eap.ReasonWrongPassword, Text: fmt.Sprintf("the password of %q is wrong", user)}
	}
	return eap.Verified{Identity: user}, nil
}

// noPassword says why a user cannot come in by a password.
func (s *State) noPassword(user string) error {
	r := &eap.Refusal{Reason: eap.ReasonUnknownUser, Text: fmt.Sprintf("there is no user %q", user), Hint: "see the users with: sallyport user list"}
	if u, ok := s.registry.User(user); ok {
		r.Text, r.Hint = fmt.Sprintf("the user %q has no password", u.Name), "set one with: sallyport user password "+u.Name
		if !u.Revoked.IsZero() {
			r.Reason, r.Text, r.Hint = eap.ReasonAccountDisabled, s.registry.userAllowed(user), ""
		}
	}
	return r
}

var errNoPasswordZone = errors.New("no zone takes passwords")

// userZone is the zone that a user with a password goes to: the one that was
// set, or the one of the first group, or the only one that takes passwords.
func (s *State) userZone(u User) (string, error) {
	cfg := s.Config()
	if u.Zone != "" {
		return u.Zone, nil
	}
	for i := range cfg.Groups {
		if slices.Contains(u.Groups, cfg.Groups[i].Name) {
			return cfg.Groups[i].Zone, nil
		}
	}
	names := passwordZones(cfg, config.IKEv2)
	if len(names) == 0 { // who is to come by L2TP, where there is something better, is named
		names = passwordZones(cfg, config.L2TP)
	}
	switch len(names) {
	case 0:
		return "", errNoPasswordZone
	case 1:
		return names[0], nil
	}
	return "", fmt.Errorf("several zones take passwords: %q", names)
}

func passwordZones(cfg *config.Config, protocol string) (names []string) {
	for _, z := range cfg.Zones.Of(protocol) {
		if takesPasswords(&z) {
			names = append(names, z.Name)
		}
	}
	return names
}

// takesPasswords tells whether a zone has a method for them.
func takesPasswords(z *config.Zone) bool {
	return slices.ContainsFunc(z.Auth, func(auth string) bool { return auth != config.EAPTLS && slices.Contains(config.EAPMethods, auth) })
}
