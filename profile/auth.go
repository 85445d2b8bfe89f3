package profile

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// The ways to prove who one is, as a zone's auth names them.
const (
	authCertificate = "certificate"
	authEAPTLS      = "eap-tls"
	authPEAP        = "peap"
	authEAPTTLS     = "eap-ttls"
	authMSCHAPv2    = "eap-mschapv2" // bare, inside IKE alone
	authPSK         = "psk"
)

// credentials are what each way needs.
var credentials = map[string]string{
	authCertificate: "a certificate", authEAPTLS: "a certificate",
	authPEAP: "a user with a password", authEAPTTLS: "a user with a password", authMSCHAPv2: "a user with a password",
	authPSK: "a pre-shared key",
}

// can are the ways that each client has a setting for.
var can = map[string][]string{
	"windows":            {authCertificate, authEAPTLS, authPEAP, authEAPTTLS, authMSCHAPv2},
	"windows-xml":        {authCertificate, authEAPTLS, authPEAP, authEAPTTLS, authMSCHAPv2},
	"macos":              {authCertificate, authEAPTLS, authMSCHAPv2, authPSK},
	"ios":                {authCertificate, authEAPTLS, authMSCHAPv2, authPSK},
	"android":            {authCertificate, authMSCHAPv2, authPSK},
	"strongswan-android": {authCertificate, authEAPTLS, authMSCHAPv2},
	"networkmanager":     {authCertificate, authEAPTLS, authPEAP, authEAPTTLS, authMSCHAPv2, authPSK},
	"swanctl":            {authCertificate, authEAPTLS, authPEAP, authEAPTTLS, authMSCHAPv2, authPSK},
	"mikrotik":           {authCertificate, authEAPTLS, authPEAP, authEAPTTLS, authMSCHAPv2, authPSK},
	"sallyport":          {authCertificate, authEAPTLS, authPSK},
}

// ByPassword tells whether a way to prove oneself, as a zone's auth names it,
// is a password that a person types.
func ByPassword(auth string) bool { return credentials[auth] == credentials[authPEAP] }

// ByCertificate tells whether it is a certificate and its key.
func ByCertificate(auth string) bool { return credentials[auth] == credentials[authCertificate] }

// zoneAuth is what the zone takes, best first.
func (in *Input) zoneAuth() []string {
	if len(in.Zone.Auth) == 0 {
		return []string{authCertificate}
	}
	return in.Zone.Auth
}

// chooseAuth finds how the client proves itself: as it was asked for, or as the
// zone likes best of what the client can and has the credentials for.
func (in *Input) chooseAuth(k Kind) error {
	zone := in.zoneAuth()
	if in.Auth != "" {
		if !slices.Contains(zone, in.Auth) {
			return refused(k.Name, "use "+or(zone)+", or add it to the zone's auth", "zone %q does not take %q", in.Zone.Name, in.Auth)
		}
		zone = []string{in.Auth}
	}
	var why []string
	for _, auth := range zone {
		switch {
		case !k.Can(auth):
			why = append(why, auth+" is nothing that this client can")
		case !in.has(auth):
			why = append(why, auth+" needs "+credentials[auth]+", which is not here")
		default:
			in.auth = auth
			return nil
		}
	}
	return refused(k.Name, in.authHint(zone), "no way to prove oneself that zone %q takes: %s", in.Zone.Name, strings.Join(why, "; "))
}

// has tells whether the credentials for a way are there.
func (in *Input) has(auth string) bool {
	switch {
	case ByCertificate(auth):
		return in.Certificate != ""
	case auth == authPSK:
		return len(in.PSK) > 0
	}
	return in.Device.User != "" && in.Certificate == "" && len(in.PSK) == 0
}

// authHint names the clients that can do what the zone takes with what is
// there, and what the zone could take for this one; and else says where
// credentials come from.
func (in *Input) authHint(zone []string) string {
	var hints, clients []string
	for _, k := range kinds {
		if slices.ContainsFunc(zone, func(a string) bool { return k.Can(a) && in.has(a) }) {
			clients = append(clients, k.Name)
		}
	}
	if len(clients) > 0 {
		hints = append(hints, "use "+or(clients))
	}
	ways := slices.DeleteFunc(slices.Clone(can[in.kind]), func(a string) bool { return !in.has(a) || slices.Contains(zone, a) })
	if len(ways) > 0 {
		hints = append(hints, "add to the zone's auth what this client can: "+or(ways))
	}
	switch {
	case len(hints) > 0:
		return strings.Join(hints, ", or ")
	case in.has(authPSK) || in.has(authCertificate):
		return "make a profile for the user: sallyport user profile"
	}
	return "make a profile for a device: sallyport device profile; its keys are taken from where device add has written them (--keys)"
}

// authNotes are what whoever hands out the profile should know of its way.
func (in *Input) authNotes() []string {
	switch in.auth {
	case authMSCHAPv2:
		return []string{"the password is proved with no TLS around it: whoever the client takes for the gateway can guess it at leisure. A zone takes this by waiver alone"}
	case authPSK:
		return []string{"whoever reads the pre-shared key is this device: keep the file as you keep a key, and give each device its own"}
	}
	return nil
}

// needTypedPSK refuses a key that cannot be written as text, for clients that
// take it in no other way.
func (in *Input) needTypedPSK(kind string, least int) error {
	switch text := string(in.PSK); {
	case in.auth != authPSK:
	case !printable(text) || strings.TrimSpace(text) != text:
		return refused(kind, "give the device a generated key", "this client takes a pre-shared key as text, and this one cannot be typed")
	case len(text) < least:
		return refused(kind, "give the device a generated key", "this client takes no pre-shared key of less than %d characters", least)
	}
	return nil
}

// base64PSK is the key for syntaxes that take any octets.
func (in *Input) base64PSK() string { return base64.StdEncoding.EncodeToString(in.PSK) }

// eapNames are the names by which the gateway is known inside TLS too: it
// shows the same certificate there.
func (in *Input) eapNames() []string {
	if len(in.Names) > 0 {
		return in.Names
	}
	return []string{in.Identity}
}

// owner is whose profile it is: "device laptop" or "user alice".
func (in *Input) owner() string {
	if ByPassword(in.auth) {
		return fmt.Sprintf("user %s", in.Device.User)
	}
	return fmt.Sprintf("device %s", in.Device.Name)
}
