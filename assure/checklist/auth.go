package checklist

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/config"
	"sallyport/gateway"
)

type zone = config.Zone

// takesKeys tells whether a zone lets clients in by a pre-shared key.
func takesKeys(z zone) bool {
	return slices.Contains(z.Auth, config.PSK) || slices.Contains(z.Machine, config.PSK)
}

// usable are the devices that are not revoked, with or without a certificate.
func (s *Seen) usable(psk bool) []gateway.Device {
	return slices.DeleteFunc(slices.Clone(s.Devices), func(d gateway.Device) bool { return !d.Revoked.IsZero() || (d.Key == "psk") != psk })
}

// devices counts how the devices that may come in prove themselves.
func devices(s *Seen) []Fact {
	certs, keys := s.usable(false), s.usable(true)
	f := Fact{What: "devices", Value: fmt.Sprintf("%d with certificates, %d with a pre-shared key", len(certs), len(keys)), Standing: OK, Source: Live}
	if len(certs)+len(keys) == 0 {
		f.Standing = Unassessable
		f.Value = "none is enrolled"
	}
	if len(keys) > 0 {
		var list []string
		for _, d := range keys {
			list = append(list, d.Name)
		}
		f.Standing = NotMet
		f.Value += ": " + names(list)
		d := keys[0]
		f.Do = []string{
			fmt.Sprintf("sallyport device add %s-cert --user %s --zone %s", d.Name, d.User, d.Zone),
			"sallyport device revoke " + d.Name,
		}
	}
	return []Fact{f}
}

// sharedKeyZones are the zones that take pre-shared keys, needed or not.
func sharedKeyZones(s *Seen) []Fact {
	var facts []Fact
	for _, z := range s.Config.Zones {
		if !takesKeys(z) {
			continue
		}
		key := "auth"
		if z.Protocol == config.L2TP {
			key = "machine"
		}
		f := Fact{What: "zone " + z.Name, Value: "takes pre-shared keys", Standing: NotMet, Source: File}
		used := slices.ContainsFunc(s.usable(true), func(d gateway.Device) bool { return d.Zone == z.Name })
		switch {
		case z.GroupPSK != "":
			f.Value = "has one key for all clients, " + z.GroupPSK
			f.Do = []string{fmt.Sprintf("zones.%s.machine: [certificate], and no group_psk", z.Name)}
		case !used:
			f.Value += ", and no device has one"
			f.Do = []string{fmt.Sprintf("zones.%s.%s: remove psk", z.Name, key)}
		default:
			f.Do = []string{fmt.Sprintf("zones.%s.%s: remove psk, when its devices have certificates", z.Name, key)}
		}
		facts = append(facts, f)
	}
	if facts == nil {
		facts = append(facts, Fact{What: "zones", Value: "none takes pre-shared keys", Standing: OK, Source: File})
	}
	return facts
}

// sharedKeySessions counts the live sessions that rest on a pre-shared key.
func sharedKeySessions(s *Seen) []Fact {
	if len(s.Sessions) == 0 {
		return []Fact{{What: "live sessions", Value: "none is up", Standing: Unassessable, Source: Live}}
	}
	keys := map[string]bool{}
	for _, d := range s.usable(true) {
		keys[d.Name] = true
	}
	var by []string
	for _, v := range s.Sessions {
		if keys[v.Device] || slices.ContainsFunc(v.Waivers, func(r string) bool { return strings.HasPrefix(r, "PSK-") }) {
			by = append(by, v.Device)
		}
	}
	f := Fact{What: "live sessions", Value: fmt.Sprintf("%d of %d by a pre-shared key", len(by), len(s.Sessions)), Standing: OK, Source: Live}
	if len(by) > 0 {
		f.Standing = NotMet
		f.Value += ": " + names(by)
	}
	return []Fact{f}
}

// logins tells for each zone whether EAP-TLS or certificates are a way in.
func logins(s *Seen) []Fact {
	var facts []Fact
	for _, z := range s.Config.Zones {
		f := Fact{What: "zone " + z.Name, Value: strings.Join(z.Auth, ", "), Standing: OK, Source: File}
		switch strong := slices.Contains(z.Auth, config.EAPTLS) || slices.Contains(z.Auth, config.Certificate); {
		case slices.Contains(z.Auth, config.EAPMSCHAPv2):
			f.Standing = NotMet
			f.Value += ": MS-CHAPv2 without TLS around it"
			f.Do = []string{fmt.Sprintf("zones.%s.auth: [certificate, eap-tls, peap], without eap-mschapv2", z.Name)}
		case !strong:
			f.Standing = NotMet
			f.Value += ": no certificate is a way in"
			f.Do = []string{fmt.Sprintf("zones.%s.auth: add eap-tls", z.Name)}
		}
		facts = append(facts, f)
	}
	return facts
}

// passwords counts the users who have one here.
func passwords(s *Seen) []Fact {
	with, nt, users := 0, 0, 0
	for _, u := range s.Users {
		if !u.Revoked.IsZero() {
			continue
		}
		users++
		if u.Password {
			with++
		}
		if u.MSCHAPv2 {
			nt++
		}
	}
	if users == 0 {
		return []Fact{{What: "users", Value: "none", Standing: Unassessable, Source: Live}}
	}
	f := Fact{What: "users", Value: fmt.Sprintf("%d, of whom %d have a password and %d an NT hash for MS-CHAPv2 inside TLS", users, with, nt), Standing: OK, Source: Live}
	if nt > 0 && len(s.zoneNames(func(z zone) bool {
		return slices.Contains(z.Auth, config.PEAP) || slices.Contains(z.Auth, config.EAPTTLS) || slices.Contains(z.Auth, config.EAPMSCHAPv2)
	})) == 0 {
		f.Standing = NotMet
		f.Value += ", which no zone needs"
		f.Do = []string{"sallyport user password NAME --no-mschapv2"}
	}
	return []Fact{f}
}

// weakLogins counts live sessions whose login broke a rule, or may have.
func weakLogins(s *Seen) []Fact {
	if len(s.Sessions) == 0 {
		return nil // said in C1
	}
	var weak, unseen []string
	ppp := func(r string) bool { return strings.HasPrefix(r, "PPP-") }
	for _, v := range s.Sessions {
		if slices.ContainsFunc(v.Waivers, ppp) {
			weak = append(weak, v.Identity)
		}
		if slices.ContainsFunc(v.WaiversUnknown, ppp) {
			unseen = append(unseen, v.Identity)
		}
	}
	facts := []Fact{{What: "live logins", Value: fmt.Sprintf("%d of %d by a waived method", len(weak), len(s.Sessions)), Standing: OK, Source: Live}}
	if len(weak) > 0 {
		facts[0].Standing = NotMet
		facts[0].Value += ": " + names(weak)
	}
	if len(unseen) > 0 {
		facts = append(facts, Fact{What: "logins that RADIUS judged", Value: fmt.Sprintf("%d, whose TLS ends at the server: %s", len(unseen), names(unseen)), Standing: Unassessable, Source: Live})
	}
	return facts
}

// sharedKeyAge finds pre-shared keys that have been in use for long.
func sharedKeyAge(s *Seen) []Fact {
	keys := s.usable(true)
	if len(keys) == 0 {
		return nil
	}
	var old []string
	for _, d := range keys {
		if s.Now.Sub(d.Created) > secretAge() {
			old = append(old, d.Name)
		}
	}
	f := Fact{What: "pre-shared keys", Value: fmt.Sprintf("%d of %d are older than %d days", len(old), len(keys), int(secretAge()/aDay)), Standing: OK, Source: Live}
	if len(old) > 0 {
		f.Standing = Problem
		f.Value += ": " + names(old)
		f.Do = []string{"sallyport device revoke NAME", "sallyport device add NAME --user USER --psk"}
	}
	return []Fact{f}
}
