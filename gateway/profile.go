package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/config"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/profile"
	"sallyport/store"
)

// File and Profile are what package profile writes.
type (
	File    = profile.File
	Profile = profile.Profile
)

// ProfileRequest asks for the profile of a client. The secrets are those of a
// device, whose files lie where the request comes from.
type ProfileRequest struct {
	For     string          `json:"for"`               // one of profile.Names
	Auth    string          `json:"auth,omitempty"`    // how the client proves itself, as the zone's auth names it; empty: the best that will do
	Zone    string          `json:"zone,omitempty"`    // of a user's profile; empty: the only one
	Address string          `json:"address,omitempty"` // that the client dials; empty: gateway.name
	Dir     string          `json:"dir,omitempty"`     // where the files will be
	PKCS12  []byte          `json:"pkcs12,omitempty"`  // the device's key, encrypted, for clients that want it inside
	PSK     []byte          `json:"psk,omitempty"`     // the device's pre-shared key
	Options profile.Options `json:"options,omitzero"`
}

// Profile implements the control API: that of a device, which proves itself by
// its certificate or its pre-shared key.
func (s *State) Profile(ctx context.Context, device string, r ProfileRequest) (Profile, error) {
	d, ok := s.registry.Device(device)
	if !ok {
		return Profile{}, &NotFoundError{What: "device", Name: device, Hint: "see them with: sallyport device list"}
	}
	if why := s.registry.allowed(device); why != "" {
		return Profile{}, &InvalidError{Reason: fmt.Sprintf("no profile for %q: %s", device, why)}
	}
	if r.Zone != "" && r.Zone != d.Zone {
		return Profile{}, &InvalidError{Reason: fmt.Sprintf("the device %q belongs to zone %q, not %q", device, d.Zone, r.Zone), Hint: "leave out the zone"}
	}
	zone, ok := s.Config().Zone(d.Zone)
	if !ok {
		return Profile{}, &InvalidError{Reason: fmt.Sprintf("the zone %q of device %q is not in the configuration", d.Zone, device)}
	}
	if d.Key == keyPSK && len(r.PSK) == 0 {
		return Profile{}, &InvalidError{Reason: fmt.Sprintf("the device %q has a pre-shared key, and %s.psk is not here", device, device), Hint: "run this where device add has written it, or name that directory with --keys"}
	}
	page, err := s.store.Get(ctx, store.Key(certificatesKey+device))
	if err != nil {
		return Profile{}, err
	}
	cert, _ := page.First()
	u, _ := s.registry.User(d.User)
	return s.makeProfile(ctx, r, profile.Input{
		Device: profile.Device{Name: d.Name, User: d.User, Identity: d.Identity}, Zone: zoneAsSeen(s.Config(), zone, u.Groups),
		Certificate: string(cert.Value), PSK: secret.Bytes(r.PSK), PKCS12: r.PKCS12,
	})
}

// UserProfile implements the control API: that of a user, who proves who they
// are by a password.
func (s *State) UserProfile(ctx context.Context, user string, r ProfileRequest) (Profile, error) {
	u, ok := s.registry.User(user)
	if !ok {
		return Profile{}, &NotFoundError{What: "user", Name: user, Hint: "see them with: sallyport user list"}
	}
	if !u.Revoked.IsZero() {
		return Profile{}, &InvalidError{Reason: fmt.Sprintf("no profile for %q: the user is revoked", user)}
	}
	if len(r.PKCS12) > 0 || len(r.PSK) > 0 {
		return Profile{}, &InvalidError{Reason: "a user has no key: keys belong to devices", Hint: "make the profile of a device: sallyport device profile"}
	}
	name, err := r.Zone, error(nil)
	if name == "" {
		if name, err = s.userZone(u); err != nil && !errors.Is(err, errNoPasswordZone) {
			return Profile{}, &InvalidError{Reason: err.Error(), Hint: "choose one with --zone"}
		}
	}
	if name, err = s.zoneFor(name); err != nil {
		return Profile{}, err
	}
	zone, _ := s.Config().Zone(name)
	if !slices.ContainsFunc(zone.Auth, profile.ByPassword) {
		return Profile{}, &InvalidError{
			Reason: fmt.Sprintf("zone %q takes no passwords: its auth is %q", name, zone.Auth),
			Hint:   "add a device with a certificate: sallyport device add NAME --user " + user,
		}
	}
	return s.makeProfile(ctx, r, profile.Input{Device: profile.Device{User: u.Name}, Zone: zoneAsSeen(s.Config(), zone, u.Groups)})
}

// makeProfile adds what all clients need of the gateway.
func (s *State) makeProfile(ctx context.Context, r ProfileRequest, in profile.Input) (Profile, error) {
	cfg := s.Config()
	if in.Zone.Protocol != config.IKEv2 {
		return Profile{}, &InvalidError{Reason: fmt.Sprintf("zone %q is reached by L2TP, for which there are no profiles", in.Zone.Name), Hint: "move the device to an IKEv2 zone, which is what profiles are for"}
	}
	if r.Address == "" {
		r.Address = cfg.Gateway.Name
	}
	if err := checkDial(r.Address); err != nil {
		return Profile{}, err
	}
	in.Gateway, in.Identity, in.Ports = r.Address, zoneIdentity(cfg, in.Zone), cfg.Gateway.Ports
	in.Auth, in.Dir, in.Options = r.Auth, r.Dir, r.Options
	in.CA = pemText("CERTIFICATE", s.ca.Certificate().Raw)
	strange, err := s.identify(ctx, cfg, in.Zone, r.For, &in)
	if err != nil {
		return Profile{}, err
	}
	p, err := profile.Make(r.For, in)
	if e, ok := errors.AsType[*profile.RefusedError](err); ok {
		err = &InvalidError{Reason: e.Error(), Hint: e.Hint}
	}
	switch {
	case err != nil:
		return Profile{}, err
	case strange && p.Auth != config.PSK:
		return Profile{}, &InvalidError{
			Reason: fmt.Sprintf("zone %q shows a certificate of another CA, and a profile carries none but the gateway's", in.Zone.Name),
			Hint:   "set the client up by hand, with the CA of zones." + in.Zone.Name + ".identity.certificate",
		}
	case in.Zone.RADIUS != "" && slices.Contains([]string{config.EAPTLS, config.PEAP, config.EAPTTLS}, p.Auth):
		p.Notes = append(p.Notes, fmt.Sprintf("where the RADIUS servers %q judge the login, the client meets their certificate inside TLS: this profile expects one of the gateway's CA under the gateway's name", in.Zone.RADIUS))
	}
	return p, nil
}

// identify fills in the names of the gateway's certificate, and for a profile
// that is signed its key. RSA is what every device can check. It tells whether
// that certificate is of another CA than the gateway's.
func (s *State) identify(ctx context.Context, cfg *config.Config, zone *config.Zone, kind string, in *profile.Input) (strange bool, err error) {
	k, _ := profile.Lookup(kind)
	in.Names = gatewayNames(cfg)
	var issued *pki.Issued
	switch {
	case zone.Identity.Certificate != "":
		if issued, err = loadIdentity(zone.Identity); err != nil {
			return false, err
		}
		in.Names = issued.Cert.DNSNames
		strange = issued.Cert.CheckSignatureFrom(s.ca.Certificate()) != nil
	case k.Signed:
		ids, err := s.ca.ServerIdentities(ctx, time.Now(), in.Names)
		if err != nil {
			return false, err
		}
		issued = ids[len(ids)-1]
	}
	if !k.Signed {
		return strange, nil
	}
	in.Signer = &profile.Signer{Key: issued.Key}
	for _, der := range issued.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return false, fmt.Errorf("gateway: %w", err)
		}
		in.Signer.Chain = append(in.Signer.Chain, c)
	}
	return strange, nil
}

// checkDial refuses a gateway address that would not stand safely in a
// client's configuration.
func checkDial(address string) error {
	if _, err := netip.ParseAddr(address); err == nil {
		return nil
	}
	labels := strings.Split(address, ".")
	bad := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	}
	if len(address) > 253 || slices.ContainsFunc(labels, func(l string) bool { return l == "" || len(l) > 63 || strings.ContainsFunc(l, bad) }) {
		return &InvalidError{Reason: fmt.Sprintf("%q is neither a host name nor an address", address), Hint: "give the name or address by which clients reach the gateway, such as vpn.example.org"}
	}
	return nil
}
