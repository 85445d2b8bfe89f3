package gateway

import (
	"fmt"
	"slices"
	"time"

	"sallyport/config"
	"sallyport/profile"
	"sallyport/protocol/ike"
)

// platform is what a kind of client gets for IKEv2.
type platform struct {
	kind string // of profiles
	note string // what cannot be known from the kind of client
}

// platforms are the clients of L2TP, by what they show of themselves.
var platforms = map[string]platform{
	ike.Windows.String():    {"windows", ""},
	ike.Apple.String():      {"macos", "--for ios on an iPhone or iPad"},
	ike.Android.String():    {"android", ""},
	ike.StrongSwan.String(): {"networkmanager", "--for swanctl on a host without a desktop"},
	ike.Libreswan.String():  {"networkmanager", "--for swanctl on a host without a desktop"},
	ike.Racoon.String(): {"strongswan-android", "Android has no IKEv2 of its own before 11: install the strongSwan app, or update and take --for android; " +
		"on an old Linux or BSD install strongSwan and take --for swanctl"},
}

// unknownPlatform is that of all others: routers, mostly.
var unknownPlatform = platform{"CLIENT", "the client does not show what it is: mikrotik for a router of MikroTik; the others are in sallyport device profile --help"}

func platformOf(client string) platform {
	if p, ok := platforms[client]; ok {
		return p
	}
	return unknownPlatform
}

// can tells whether a zone of IKEv2 takes a proof that the client has, of those
// that fit.
func (p platform) can(z *config.Zone, fit func(auth string) bool) bool {
	k, known := profile.Lookup(p.kind)
	return slices.ContainsFunc(z.Auth, func(auth string) bool { return fit(auth) && (!known || k.Can(auth)) })
}

// next is what to do about a user.
func (p *planner) next(m *MigrationUser) []Step {
	switch {
	case m.Needs && !m.Ready:
		return p.bringIn(m)
	case m.Needs && m.IKEv2.IsZero():
		return p.connect(m)
	case m.Needs:
		return p.setEnd(m)
	case m.Standing == Moved || m.Standing == Away:
		return p.close(m)
	}
	return nil
}

// bringIn gives each client of a user what it needs for IKEv2.
func (p *planner) bringIn(m *MigrationUser) (steps []Step) {
	var taken []string
	for _, u := range m.L2TP {
		if p.now.Sub(u.Last) >= awayFor {
			continue
		}
		to := platformOf(u.Client)
		z := p.zoneFor(to, profile.ByCertificate)
		switch {
		case outsider(u.Device):
			return append(steps, Step{Note: "add its CA to trust.cas of a zone of IKEv2, and set the client up by hand"})
		case m.RADIUS != "":
			return append(steps, p.bringRADIUS(m, to)...)
		case z != nil:
			name := p.newName(u, to, taken)
			taken = append(taken, name)
			steps = append(steps,
				Step{Command: fmt.Sprintf("sallyport device add %s --user %s --zone %s", name, m.User, z.Name)},
				Step{Command: fmt.Sprintf("sallyport device profile %s --for %s", name, to.kind), Note: to.note})
		default:
			steps = append(steps, p.bringPassword(m, to)...)
		}
	}
	return steps
}

// zoneFor is the first zone of IKEv2 that serves a client.
func (p *planner) zoneFor(to platform, fit func(auth string) bool) *config.Zone {
	for i := range p.cfg.Zones {
		if z := &p.cfg.Zones[i]; z.Protocol == config.IKEv2 && to.can(z, fit) {
			return z
		}
	}
	return nil
}

// bringPassword moves a user's password, where no zone takes a certificate. The
// user has one zone by password, so that this ends L2TP.
func (p *planner) bringPassword(m *MigrationUser, to platform) []Step {
	z := p.zoneFor(to, profile.ByPassword)
	switch {
	case z == nil:
		return []Step{{Note: fmt.Sprintf("no zone of IKEv2 serves %s: add one to the configuration, such as zones: {staff: {policy: compatible}}", to.kind)}}
	case !p.users[m.User].Password:
		return []Step{{Command: fmt.Sprintf("sallyport user password %s --generate", m.User), Note: fmt.Sprintf("zone %s takes no certificates that %s could have", z.Name, to.kind)}}
	}
	return []Step{
		{Command: fmt.Sprintf("sallyport user profile %s --for %s --zone %s", m.User, to.kind, z.Name), Note: to.note},
		{Command: fmt.Sprintf("sallyport user set %s --zone %s", m.User, z.Name), Note: "when the client has its profile: it ends L2TP for this password"},
	}
}

// bringRADIUS: users of RADIUS servers go where the same ones judge logins.
func (p *planner) bringRADIUS(m *MigrationUser, to platform) []Step {
	for i := range p.cfg.Zones {
		z := &p.cfg.Zones[i]
		if z.Protocol == config.IKEv2 && z.RADIUS == m.RADIUS && to.can(z, func(auth string) bool { return slices.Contains(config.EAPMethods, auth) }) {
			return []Step{{Note: fmt.Sprintf("set the client up by hand for zone %s, which asks the same RADIUS servers: no profile is written for their users", z.Name)}}
		}
	}
	return []Step{{Note: fmt.Sprintf("add radius: %s to a zone of IKEv2 that takes EAP, and set the client up for it by hand", m.RADIUS)}}
}

// newName is a name for a device of IKEv2 that nobody has.
func (p *planner) newName(u Use, to platform, taken []string) string {
	base := u.Device + "-ikev2"
	if name, ok := seatOwner(u.Device); ok {
		base = name + "-" + to.kind
		if to.kind == unknownPlatform.kind {
			base = name + "-ikev2"
		}
	}
	for n := 1; n < 100; n++ {
		name := base
		if n > 1 {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		d, exists := p.devices[name]
		if (!exists || !d.Revoked.IsZero()) && !slices.Contains(taken, name) && checkName("device", name) == nil {
			return name
		}
	}
	return "NAME"
}

// connect writes the profile once more for devices that have not connected.
func (p *planner) connect(m *MigrationUser) (steps []Step) {
	for _, name := range m.Devices {
		to := platformOf(m.L2TP[0].Client)
		steps = append(steps, Step{Command: fmt.Sprintf("sallyport device profile %s --for %s", name, to.kind), Note: to.note})
	}
	return append(steps, Step{Note: "then let the client connect once by IKEv2"})
}

// notice is what a user who has both is given to find out what is missing.
const notice = 30 * 24 * time.Hour

// setEnd proposes a last day for a user who has both.
func (p *planner) setEnd(m *MigrationUser) []Step {
	switch {
	case m.Until != "":
		return nil
	case p.users[m.User].Name == "" || m.RADIUS != "":
		return []Step{{Note: "set cutoff in the zone: the user has no record here that could have an end"}}
	}
	return []Step{{Command: fmt.Sprintf("sallyport user set %s --l2tp-until %s", m.User, p.now.UTC().Add(notice).Format(time.DateOnly))}}
}

// close takes away what nobody uses any more.
func (p *planner) close(m *MigrationUser) (steps []Step) {
	for _, d := range m.Old {
		steps = append(steps, Step{Command: "sallyport device revoke " + d})
	}
	if m.Password && m.OwnUntil == "" {
		steps = append(steps, Step{Command: fmt.Sprintf("sallyport user set %s --l2tp-until %s", m.User, p.now.UTC().Format(time.DateOnly))})
	}
	return steps
}
