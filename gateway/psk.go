package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/config"
	"sallyport/internal/file"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/store"
)

// Pre-shared keys: one for each device, sealed in the store, and shown by
// nothing after the device was added.

const (
	keyPSK = "psk" // the kind of key in a device's record

	pskKey = "/psk/" // then device: its sealed key; the whole is the name it is sealed for

	// pskSigner marks the identities of ours that prove themselves by a device's
	// key. No serial number of a certificate has a colon.
	pskSigner = "psk:"
)

// pskRecord is what the store keeps of a key.
type pskRecord struct {
	Sealed []byte `json:"sealed"`
	Digest []byte `json:"digest"` // keyed, see [seal.Box.Digest]
}

// nobody is the name of no device.
const nobody = "-"

// sealPSK makes the record of a device's key.
func (s *State) sealPSK(device string, key secret.Bytes) ([]byte, error) {
	name := pskKey + device
	return json.Marshal(pskRecord{Sealed: s.box.Seal(name, key), Digest: s.box.Digest(key)})
}

// psk opens the key of a device. For one that has none it does the same work
// and gives a random key, so that the time tells nobody which names exist.
func (s *State) psk(device string) (secret.Bytes, error) {
	page, err := s.store.Get(context.Background(), store.Key(pskKey+device))
	if err != nil {
		return nil, err
	}
	name, value := pskKey+nobody, s.noPSK
	if kv, ok := page.First(); ok {
		name, value = kv.Key, kv.Value
	}
	var r pskRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("gateway: record %q in the state is damaged: %w", name, err)
	}
	return s.box.Open(name, r.Sealed)
}

// named finds the device that an IKE identity names, or none. Clients differ in
// the kind they send (Android a KEY_ID or an FQDN, RouterOS an FQDN or a
// user-FQDN, strongSwan what the text looks like), so the text alone counts: the
// device's identity as in a profile, or its plain name.
func (r *registry) named(id *ikemsg.ID) (Device, bool) {
	if id.Kind != ikemsg.IDFQDN && id.Kind != ikemsg.IDRFC822Addr && id.Kind != ikemsg.IDKeyID {
		return Device{}, false
	}
	text := strings.ToLower(string(id.Data))
	name, _, _ := strings.Cut(text, "@")
	d, ok := r.Device(name)
	return d, ok && (text == d.Name || text == d.Identity)
}

// authenticatePSK is Authenticate for a client that comes with a pre-shared key.
func (g *Gateway) authenticatePSK(r *realm, t *ike.Authenticate) (*ike.Admission, error) {
	d, known := g.registry.named(&t.PeerID)
	if !known {
		d.Name = nobody
	}
	key, err := g.psk(d.Name)
	if err != nil {
		return nil, refusal("", "%v", err)
	}
	proven := t.VerifySharedKey(key)
	key.Clear()
	switch why := g.registry.allowed(d.Name); {
	case !known:
		return nil, refusal("set the local identity on the client to the one in: sallyport device list", "a client with a pre-shared key calls itself %v, and no device is called that", t.PeerID.String())
	case d.Key != keyPSK:
		return nil, refusal("configure the client for its certificate, or add a device with --psk", "device %q has a certificate and came with a pre-shared key", d.Name)
	case why != "":
		return nil, refusal("if that is a mistake, add the device again with: sallyport device add "+d.Name+" --user "+d.User+" --psk", "device %q: %s", d.Name, why)
	case proven != nil:
		return nil, refusal("type its key on the client again; when it is lost, revoke the device and add it anew", "device %q: %v", d.Name, proven)
	case !d.mayComeFrom(t.Remote.Addr()):
		return nil, refusal("if it moved, revoke the device and add it with another --address", "device %q may come from %v only, and came from %v", d.Name, d.Address, t.Remote.Addr())
	}
	u, _ := g.registry.User(d.User)
	who := peer{identity: d.Identity, device: d.Name, user: d.User, zone: d.Zone, groups: u.Groups, fixed: d.Inner}
	z, err := r.zoneOf(who, t)
	if err != nil {
		return nil, err
	}
	if err := z.mayEnter(config.PSK); err != nil {
		return nil, err
	}
	if why := z.barsPSK(d); why != "" {
		return nil, refusal("revoke the device and add it with a new key", "device %q: %s", d.Name, why)
	}
	a, err := g.admission(r, who, z, z.identityByPSK(d.Name, t.WantID))
	return proving(a, err, proof{key: d.Name})
}

// barsPSK tells why the zone takes a device's pre-shared key no more; empty: it
// does, or the device has none.
func (z *zone) barsPSK(d Device) string {
	if d.Key != keyPSK {
		return ""
	}
	if !takesPSK(&z.config) {
		return "its zone takes no pre-shared keys any more"
	}
	for _, rule := range d.Waived {
		if !z.config.Waived(rule, d.Identity, time.Now()) {
			return "the waiver of " + rule + " that its pre-shared key needs is over"
		}
	}
	return ""
}

// takesPSK tells whether devices of a zone may have pre-shared keys.
func takesPSK(z *config.Zone) bool {
	return slices.Contains(z.Auth, config.PSK) || slices.Contains(z.Machine, config.PSK)
}

// identityByPSK is how the zone answers a device that has a pre-shared key: by
// the name it asked for, and with that key.
func (z *zone) identityByPSK(device string, want *ikemsg.ID) *ike.Identity {
	i := slices.IndexFunc(z.identities, func(id *ike.Identity) bool { return want == nil || sameID(id.ID, *want) })
	if i < 0 {
		return nil // zoneOf has refused that
	}
	return &ike.Identity{ID: z.identities[i].ID, Key: pskSigner + device}
}

// signPSK answers a Sign job for such an identity.
func (g *Gateway) signPSK(t *ike.Sign, device string) (ike.Signed, error) {
	if why := g.registry.allowed(device); why != "" {
		return ike.Signed{}, errors.New(why) // revoked between the two jobs
	}
	key, err := g.psk(device)
	if err != nil {
		return ike.Signed{}, err
	}
	defer key.Clear()
	return t.SignSharedKey(key)
}

// addWithPSK records a device with a pre-shared key, a new one or the given.
func (s *State) addWithPSK(ctx context.Context, n NewDevice, zone string, inner InnerAddrs) (Enrolled, error) {
	id, err := pki.NewDeviceID(n.User, n.Name)
	if err != nil {
		return Enrolled{}, &InvalidError{Reason: err.Error()}
	}
	z, _ := s.Config().Zone(zone)
	switch {
	case n.Key != "" || n.Days != 0:
		return Enrolled{}, &InvalidError{Reason: "a pre-shared key has neither a kind nor an end", Hint: "leave --key and --days out"}
	case !takesPSK(z):
		where := "auth"
		if z.Protocol == config.L2TP {
			where = "machine"
		}
		return Enrolled{}, &InvalidError{Reason: fmt.Sprintf("the zone %q does not take pre-shared keys", zone), Hint: fmt.Sprintf("add psk to zones.%s.%s", zone, where)}
	case z.Protocol == config.L2TP && !n.Address.IsValid():
		return Enrolled{}, &InvalidError{Reason: "IKEv1 needs the key before it knows who comes, and can only choose it by the address", Hint: "say where the device comes from: --address ADDRESS"}
	}
	d := Device{
		Name: n.Name, User: n.User, Zone: zone, Identity: id.Email, Key: keyPSK, Address: n.Address.Masked(), Inner: inner,
		Created: time.Now().UTC().Truncate(time.Second),
	}
	// One at a time, so that the same key or address cannot slip in twice.
	s.sharing.Lock()
	defer s.sharing.Unlock()
	if o, ok := s.registry.comingFrom(zone, d.Address.Addr()); ok && z.Protocol == config.L2TP && o.Address.Bits() == d.Address.Bits() && o.Name != d.Name {
		return Enrolled{}, &InvalidError{Reason: fmt.Sprintf("device %q comes from %v already, and IKEv1 tells two devices at one address apart by nothing", o.Name, o.Address), Hint: "give this one a certificate, or a narrower address"}
	}
	key := secret.Bytes(n.SharedKey)
	if len(key) == 0 {
		key = pki.NewSharedKey()
	} else if d.Waived, err = s.judgePSK(ctx, key, d, z); err != nil {
		return Enrolled{}, err
	}
	sealed, err := s.sealPSK(n.Name, key)
	if err != nil {
		return Enrolled{}, err
	}
	err = s.record(ctx, d, store.Put{Key: pskKey + d.Name, Value: sealed}, store.Delete{Key: certificatesKey + d.Name})
	if err != nil {
		return Enrolled{}, err
	}
	s.log.Info("device enrolled with a pre-shared key", "device", d.Name, "user", d.User, "zone", d.Zone, "address", d.Address, "waived", d.Waived)
	return Enrolled{Device: d, PSK: string(key)}, nil
}

// judgePSK refuses a key that others chose and that should not be one, but for
// the rules that the zone waives; it tells which of them the key needs.
func (s *State) judgePSK(ctx context.Context, key secret.Bytes, d Device, z *config.Zone) (waived []string, err error) {
	if err := checkPSKText(string(key)); err != nil {
		return nil, err
	}
	other, err := s.ownerOf(ctx, key, d.Name)
	if err != nil {
		return nil, err
	}
	bits := strength(key, append([]string{d.Name, d.User, d.Identity, d.Zone}, gatewayNames(s.Config())...)...)
	for _, broken := range []struct {
		is           bool
		rule, reason string
	}{
		{bits < enoughBits || len(key) < enoughOctets, config.RulePSKWeak,
			fmt.Sprintf("the pre-shared key is too weak: its %d characters are worth some %.0f bits, and at least %d with %d bits are wanted", len(key), bits, enoughOctets, enoughBits)},
		{other != "", config.RulePSKShared,
			fmt.Sprintf("device %q has the same pre-shared key: each could pose as the other, and as the gateway", other)},
	} {
		switch {
		case !broken.is:
		case z.Waived(broken.rule, d.Identity, time.Now()):
			waived = append(waived, broken.rule)
		default:
			return nil, &InvalidError{Reason: broken.reason, Hint: "leave --psk-file out, and a key of 160 bits is made; or waive " + broken.rule + " in the zone, with owner and end"}
		}
	}
	return waived, nil
}

// checkPSKText refuses what is no key at all, and what two programs would read
// differently (rule PSK-009).
func checkPSKText(key string) error {
	reason := ""
	switch {
	case len(key) < leastOctets:
		reason = fmt.Sprintf("it is shorter than %d characters", leastOctets)
	case len(key) > mostOctets:
		reason = fmt.Sprintf("it is longer than %d characters", mostOctets)
	case strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }):
		reason = "it has a character that is not printable ASCII"
	case strings.Trim(key, " \"'") != key:
		reason = "it begins or ends with a space or a quotation mark"
	case strings.HasPrefix(key, "0x") || strings.HasPrefix(key, "0s"):
		reason = "it begins with 0x or 0s, which some clients take for hexadecimal or base64"
	default:
		return nil
	}
	return &InvalidError{Reason: "the pre-shared key cannot be used: " + reason, Hint: "use 20 or more letters and digits, or leave --psk-file out"}
}

// ownerOf names another device with the same key; empty: nobody has it. The
// digests are compared, and no key is opened.
func (s *State) ownerOf(ctx context.Context, key secret.Bytes, except string) (string, error) {
	page, err := s.store.Get(ctx, store.Prefix(pskKey))
	if err != nil {
		return "", err
	}
	digest := s.box.Digest(key)
	for _, kv := range page.KVs {
		var r pskRecord
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			return "", fmt.Errorf("gateway: record %q in the state is damaged: %w", kv.Key, err)
		}
		if device := strings.TrimPrefix(kv.Key, pskKey); device != except && bytes.Equal(r.Digest, digest) {
			return device, nil
		}
	}
	return "", nil
}

// groupKey reads the pre-shared key that all clients of an L2TP zone have. One
// that could be guessed is refused, unless a waiver lets it: everybody who hears
// a set-up may try (CVE-2018-5389).
func groupKey(c *config.Zone, names []string) (key secret.Bytes, weak bool, err error) {
	if c.GroupPSK == "" {
		return nil, false, nil
	}
	if err := file.CheckOwn(c.GroupPSK); err != nil {
		return nil, false, err
	}
	b, err := os.ReadFile(c.GroupPSK)
	if err != nil {
		return nil, false, err
	}
	key = secret.Bytes(bytes.TrimRight(b, "\r\n"))
	if err := checkPSKText(string(key)); err != nil {
		return nil, false, fmt.Errorf("%s: %w", c.GroupPSK, err)
	}
	bits := strength(key, append([]string{c.Name}, names...)...)
	weak = bits < enoughBits || len(key) < enoughOctets
	if weak && !c.WaivedForAnyone(config.RulePSKWeak, time.Now()) {
		return nil, true, &InvalidError{
			Reason: fmt.Sprintf("the key in %s is too weak: its %d characters are worth some %.0f bits, and at least %d with %d bits are wanted", c.GroupPSK, len(key), bits, enoughOctets, enoughBits),
			Hint:   "make one with: openssl rand -base64 24; or waive " + config.RulePSKWeak + " in the zone, with owner and end",
		}
	}
	return key, weak, nil
}
