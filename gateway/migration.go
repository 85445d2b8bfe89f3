package gateway

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"sallyport/config"
)

// MigrationPlan is who still needs L2TP, and what to do about it.
type MigrationPlan struct {
	Zones []MigrationZone `json:"zones"` // those of L2TP
	Users []MigrationUser `json:"users"`

	Needing int `json:"needing"` // users who need L2TP now
	Ready   int `json:"ready"`   // of those, who have IKEv2 beside it
	Late    int `json:"late"`    // of those who need it, whom it is refused by now
	Moved   int `json:"moved"`   // users who use IKEv2, and L2TP no more
	Away    int `json:"away"`    // users who have not come for long
	Unused  int `json:"unused"`  // users who may come by L2TP and never did
}

// MigrationZone is one zone of L2TP.
type MigrationZone struct {
	Name   string `json:"name"`
	Cutoff Date   `json:"cutoff,omitempty"` // its last day
}

// The standings of a MigrationUser.
const (
	OnL2TP    = "l2tp"   // needs it
	OnBoth    = "both"   // needs it, and has used IKEv2 too
	Moved     = "moved"  // has used IKEv2, and L2TP no more
	Away      = "away"   // has not come for long
	NeverCame = "unused" // may come by L2TP and never did
)

// MigrationUser is one user who may come by L2TP or did; or a certificate of an
// outside CA that has no user here.
type MigrationUser struct {
	User     string    `json:"user"`             // for a certificate of an outside CA its identity
	RADIUS   string    `json:"radius,omitempty"` // the realm that knows the user; empty: the gateway
	Standing string    `json:"standing"`
	Needs    bool      `json:"needs"`              // L2TP
	Ready    bool      `json:"ready"`              // has used IKEv2, or has a device for it
	Late     bool      `json:"late,omitempty"`     // needs L2TP, which is refused by now
	L2TP     []Use     `json:"l2tp"`               // newest first
	IKEv2    time.Time `json:"ikev2,omitzero"`     // the last use; zero: none
	Devices  []string  `json:"devices,omitempty"`  // in zones of IKEv2
	Old      []string  `json:"old,omitempty"`      // devices in zones of L2TP
	Password bool      `json:"password,omitempty"` // may log in by one in a zone of L2TP
	Until    Date      `json:"until,omitempty"`    // the last day of L2TP: the user's, or the zone's if that comes first
	OwnUntil Date      `json:"own_until,omitempty"`
	Next     []Step    `json:"next,omitempty"`
}

// Step is one thing to do: a command, or where there is none a sentence.
type Step struct {
	Command string `json:"command,omitempty"`
	Note    string `json:"note,omitempty"`
}

const (
	// atRest is how long a user who has IKEv2 must be without L2TP to count as
	// moved: two weeks, so that a second machine that is on holiday shows.
	atRest = 14 * 24 * time.Hour
	// awayFor is how long a user who has nothing else must be without L2TP to
	// count as gone.
	awayFor = 90 * 24 * time.Hour
)

// MigrationPlan implements the control API.
func (s *State) MigrationPlan(ctx context.Context) (MigrationPlan, error) {
	return s.planMigration(ctx, time.Now())
}

// MigrationPlan implements the control API, with the logins of this moment.
func (g *Gateway) MigrationPlan(ctx context.Context) (MigrationPlan, error) {
	if err := g.flushUses(ctx); err != nil {
		return MigrationPlan{}, err
	}
	return g.State.MigrationPlan(ctx)
}

func (s *State) planMigration(ctx context.Context, now time.Time) (MigrationPlan, error) {
	uses, err := s.storedUses(ctx)
	if err != nil {
		return MigrationPlan{}, err
	}
	p := planner{cfg: s.Config(), devices: s.registry.Devices(), users: s.registry.Users(), now: now, found: map[string]*MigrationUser{}}
	p.addEnrolled(s.userZone)
	for _, u := range uses {
		if !s.staleUse(u, now) {
			p.addUse(u)
		}
	}
	return p.plan(), nil
}

// planner makes a plan of what is on record.
type planner struct {
	cfg     *config.Config
	devices map[string]Device
	users   map[string]User
	now     time.Time
	found   map[string]*MigrationUser // by name, which has a prefix where it is not ours
}

// person finds or makes the entry of a user.
func (p *planner) person(key, name, radius string) *MigrationUser {
	m := p.found[key]
	if m == nil {
		m = &MigrationUser{User: name, RADIUS: radius, L2TP: []Use{}}
		p.found[key] = m
	}
	return m
}

func (p *planner) speaks(zone, protocol string) bool {
	z, ok := p.cfg.Zone(zone)
	return ok && z.Protocol == protocol
}

// addEnrolled adds who may come by L2TP, and all devices for IKEv2.
func (p *planner) addEnrolled(zoneOf func(User) (string, error)) {
	for _, u := range p.users {
		zone, err := zoneOf(u)
		if u.Revoked.IsZero() && u.Password && err == nil && p.speaks(zone, config.L2TP) {
			p.person(u.Name, u.Name, "").Password = true
		}
	}
	for _, d := range sorted(p.devices) {
		if !d.Revoked.IsZero() || !p.users[d.User].Revoked.IsZero() {
			continue
		}
		m := p.person(d.User, d.User, "")
		switch {
		case p.speaks(d.Zone, config.L2TP):
			m.Old = append(m.Old, d.Name)
		case p.speaks(d.Zone, config.IKEv2):
			m.Devices = append(m.Devices, d.Name)
		}
	}
}

// addUse adds a record to its user's.
func (p *planner) addUse(u Use) {
	m := p.of(u)
	if u.Protocol == config.L2TP {
		m.L2TP = append(m.L2TP, u)
	} else if u.Last.After(m.IKEv2) {
		m.IKEv2 = u.Last
	}
}

func (p *planner) of(u Use) *MigrationUser {
	switch {
	case outsider(u.Device):
		return p.person(u.Device, u.Identity, "")
	case foreign(u.Device):
		realm, name, _ := strings.Cut(u.User, ":")
		return p.person(radiusPrefix+u.User, name, realm)
	}
	return p.person(u.User, u.User, "")
}

// plan judges everybody who has to do with L2TP.
func (p *planner) plan() MigrationPlan {
	plan := MigrationPlan{Zones: []MigrationZone{}, Users: []MigrationUser{}}
	for _, z := range p.cfg.Zones.Of(config.L2TP) {
		plan.Zones = append(plan.Zones, MigrationZone{z.Name, dateOf(z.Cutoff)})
	}
	for _, m := range p.found {
		if len(m.L2TP)+len(m.Old) == 0 && !m.Password {
			continue // IKEv2 is all that they know
		}
		p.judge(m)
		plan.Users = append(plan.Users, *m)
		plan.count(m)
	}
	slices.SortFunc(plan.Users, func(a, b MigrationUser) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.RADIUS, b.RADIUS))
	})
	return plan
}

func (p *MigrationPlan) count(m *MigrationUser) {
	add := func(to *int, is bool) {
		if is {
			*to++
		}
	}
	add(&p.Needing, m.Needs)
	add(&p.Ready, m.Needs && m.Ready)
	add(&p.Late, m.Late)
	add(&p.Moved, m.Standing == Moved)
	add(&p.Away, m.Standing == Away)
	add(&p.Unused, m.Standing == NeverCame)
}

// judge says how far a user is.
func (p *planner) judge(m *MigrationUser) {
	slices.SortFunc(m.L2TP, func(a, b Use) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.key(), b.key())) })
	m.Ready = len(m.Devices) > 0 || !m.IKEv2.IsZero()
	m.Standing = p.standing(m)
	m.Needs = m.Standing == OnL2TP || m.Standing == OnBoth
	m.Until = p.until(m)
	m.Late = m.Needs && m.Until.day().Over(p.now)
	m.Next = p.next(m)
}

func (p *planner) standing(m *MigrationUser) string {
	if len(m.L2TP) == 0 {
		return NeverCame
	}
	last := m.L2TP[0].Last
	quiet := p.now.Sub(last)
	switch {
	case m.IKEv2.IsZero() && quiet >= awayFor:
		return Away
	case m.IKEv2.IsZero():
		return OnL2TP
	case quiet >= awayFor, quiet >= atRest && m.IKEv2.After(last):
		return Moved
	}
	return OnBoth
}

// until is the first day among the ends that concern a user.
func (p *planner) until(m *MigrationUser) Date {
	if m.RADIUS == "" {
		m.OwnUntil = p.users[m.User].L2TPUntil
	}
	var zones []string
	for _, u := range m.L2TP {
		zones = append(zones, u.Zone)
	}
	for _, d := range m.Old {
		zones = append(zones, p.devices[d].Zone)
	}
	first := m.OwnUntil
	for _, z := range p.cfg.Zones.Of(config.L2TP) {
		// A date sorts like its text.
		if d := dateOf(z.Cutoff); d != "" && (first == "" || d < first) && slices.Contains(zones, z.Name) {
			first = d
		}
	}
	return first
}
