package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/config"
	aaa "sallyport/gateway/radius"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/radius"
)

// relay is an EAP conversation that a realm's servers judge (RFC 3579). It
// implements [ike.Conversation]: a step is done when the servers have answered,
// and holds no worker meanwhile.
type relay struct {
	l       *login
	zone    *zone
	servers *servers
	session string // Acct-Session-Id, the same in the accounting

	mu     sync.Mutex
	closed bool
	login  *aaa.Login
	method eap.Type // of the servers' last request
	id     byte     // its Identifier

	declined bool // a method, in place of the peer
}

// firstID is the Identifier of our request for the identity. Servers go on from
// there as they like.
const firstID = 1

func newRelay(l *login, z *zone, s *servers) *relay {
	r := &relay{l: l, zone: z, servers: s, session: newSessionID(), id: firstID}
	r.login = s.login.NewLogin(radius.LoginConfig{Attributes: r.attributes()})
	return r
}

// attributes describe the client to the servers.
func (c *relay) attributes() []radius.Attribute {
	return append(nasPort(c.zone, station(c.l.t.Remote), station(c.l.t.Local)), radius.TextAttr(radius.AcctSessionID, c.session),
		radius.Uint32Attr(radius.FramedMTU, eap.DefaultMTU)) // what an IKE message carries (RFC 3579, Section 2.4)
}

var errRelayClosed = errors.New("gateway: the EAP conversation is closed")

// Step implements [ike.Conversation].
func (c *relay) Step(t *ike.EAP, done func(ike.EAPStep, error)) {
	c.mu.Lock()
	closed, id := c.closed, c.id
	c.mu.Unlock()
	switch {
	case closed:
		done(ike.EAPStep{}, errRelayClosed)
	case t.Packet == nil:
		const request, identity = 1, 1 // RFC 3748, Sections 4.1 and 5.1
		done(ike.EAPStep{Packet: []byte{request, firstID, 0, 5, identity}}, nil)
	case (len(t.Packet) < 2 || t.Packet[1] != id) && t.Lossy:
		done(ike.EAPStep{}, nil)
	case len(t.Packet) < 2 || t.Packet[1] != id: // RFC 3748, Section 4.1 leaves that to us
		done(c.fail(nil, refusal("", "EAP: a packet came that does not belong to the conversation")), nil)
	default:
		c.respond(t.Packet, done)
	}
}

// respond gives the servers a packet.
func (c *relay) respond(packet []byte, done func(ike.EAPStep, error)) {
	c.login.Respond(packet, func(s radius.Step, err error) {
		switch {
		case err != nil:
			// The client's own goroutine, which this is, also tells of its servers.
			go func() { done(c.answered(s, c.unanswered(err)), nil) }()
		case s.Outcome == radius.Continue && c.declines(s.EAP):
			go c.respond(c.nak(s.EAP), done) // not from the client's own goroutine
		default:
			done(c.answered(s, nil), nil)
		}
	})
}

// declines tells whether a method is to be declined in place of the peer, once:
// servers begin with the default of all their NASes (FreeRADIUS has EAP-MD5).
func (c *relay) declines(packet []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	const identity, notification = 1, 2 // RFC 3748, Section 5
	if c.declined || c.method != 0 || len(packet) < 5 || packet[4] == identity || packet[4] == notification {
		return false
	}
	auth := authOf(eap.Type(packet[4]))
	c.declined = auth == "" || !c.zone.takes(auth)
	return c.declined
}

// nak asks for the zone's methods (RFC 3748, Section 5.3.1).
func (c *relay) nak(request []byte) []byte {
	const response, nak = 2, 3 // RFC 3748, Sections 4.1 and 5.3
	out := []byte{response, request[1], 0, 0, nak}
	for _, auth := range c.zone.config.Auth {
		if o, ok := offers[auth]; ok {
			out = append(out, byte(o.Method))
		}
	}
	out[3] = byte(len(out))
	return out
}

// unanswered is why nobody was let in: where no server answered, the trouble
// with each of them.
func (c *relay) unanswered(err error) error {
	var troubles []string
	if errors.Is(err, radius.ErrTimeout) || errors.Is(err, radius.ErrLost) {
		for _, s := range c.servers.login.Status() {
			troubles = append(troubles, s.Name+": "+cmp.Or(s.Trouble, "it has answered others, and not this login"))
		}
	}
	if troubles == nil {
		return err
	}
	return errors.New("no server answers (" + strings.Join(troubles, "; ") + ")")
}

// Close implements [ike.Conversation].
func (c *relay) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// answered turns the servers' answer into a step. It may run on the client's own
// goroutine, does not wait, and contains a panic: one login is not worth all.
func (c *relay) answered(s radius.Step, err error) (step ike.EAPStep) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			c.l.g.log.Error("a RADIUS login ended in a panic: please report it", "panic", fmt.Sprint(p))
			step = c.fail(nil, refusal("please report it", "a fault of the gateway ended the login"))
		}
	}()
	switch {
	case err != nil:
		return c.fail(nil, refusal("see the servers in: sallyport status", "the RADIUS servers of %q did not let in %q: %v", c.servers.config.Name, c.login.User(), err))
	case s.Outcome == radius.Rejected:
		return c.fail(s.EAP, refusal("ask whoever runs the RADIUS server", "the RADIUS servers of %q rejected %q%s", c.servers.config.Name, c.login.User(), said(s.Messages)))
	case s.Outcome == radius.Continue:
		return c.proposed(s.EAP)
	}
	a, err := c.accepted(s.Grant)
	if err != nil {
		s.Grant.MSK.Clear()
		return c.fail(nil, err)
	}
	return ike.EAPStep{Packet: s.EAP, Success: &ike.EAPSuccess{MSK: s.Grant.MSK, Admission: a}}
}

// said is what a server told the user, quoted.
func said(messages []string) string {
	if len(messages) == 0 {
		return ""
	}
	text := strings.Join(messages, " ")
	return fmt.Sprintf(", saying %q", text[:min(len(text), 200)])
}

// fail ends the conversation. The peer hears EAP-Failure, the server's or ours.
func (c *relay) fail(packet []byte, err error) ike.EAPStep {
	if packet == nil {
		const failure = 4 // RFC 3748, Section 4.2
		packet = []byte{failure, c.id, 0, 4}
	}
	r, _ := errors.AsType[*ike.Refusal](err)
	return ike.EAPStep{Packet: packet, Failure: r}
}

// proposed holds the servers' request against what the zone takes: they judge
// who comes in, and not by which proof.
func (c *relay) proposed(packet []byte) ike.EAPStep {
	const identity, notification = 1, 2 // RFC 3748, Section 5
	if len(packet) < 5 {
		return c.fail(nil, refusal("", "the RADIUS servers of %q sent an EAP request without a type", c.servers.config.Name))
	}
	c.id = packet[1]
	if packet[4] == identity || packet[4] == notification {
		return ike.EAPStep{Packet: packet}
	}
	c.method = eap.Type(packet[4])
	auth := authOf(c.method)
	switch {
	case auth == "" || !c.zone.takes(auth):
		return c.fail(nil, refusal(fmt.Sprintf("let the server begin with one of %q, or add the method to the zone's auth", c.zone.config.Auth),
			"the RADIUS servers of %q want %s from %q, which zone %q does not take", c.servers.config.Name, c.method, c.login.User(), c.zone.config.Name))
	case auth == config.EAPMSCHAPv2 && c.l.t.Unsigned:
		return c.fail(nil, refusal("let the client check the gateway's certificate", "the client wants the gateway to prove itself inside EAP (RFC 5998), which EAP-MSCHAPv2 does not"))
	}
	return ike.EAPStep{Packet: packet}
}

// accepted turns a grant into an admission.
func (c *relay) accepted(g *radius.Grant) (*ike.Admission, error) {
	gw, z := c.l.g, c.zone
	name := c.nameOf(g)
	switch auth := authOf(c.method); {
	case auth == "":
		return nil, refusal("", "the RADIUS servers of %q accepted %q before any proof", c.servers.config.Name, name)
	case auth == config.EAPMSCHAPv2 && !z.config.Waived(config.RuleMSCHAPv2, "", time.Now()):
		return nil, refusal("waive "+config.RuleMSCHAPv2+" in the zone", "zone %q does not waive EAP-MSCHAPv2 without TLS any more", z.config.Name)
	case !printableName(name):
		return nil, refusal("let the server send a User-Name that can be printed", "the RADIUS servers of %q call the user %q", c.servers.config.Name, name)
	}
	who := peer{identity: name, user: c.servers.config.Name + ":" + name, zone: z.config.Name}
	if _, err := c.l.zoneOf(who); err != nil {
		return nil, err
	}
	var err error
	if who.groups, err = z.groupsOf(c.l.r, g.FilterIDs); err != nil {
		return nil, err
	}
	if who.fixed, err = z.framed(g, c.l.r.termsOf(z, who.user, who.groups)); err != nil {
		return nil, err
	}
	// Escaped, a name does not hold the mark of a seat.
	owner := radiusPrefix + c.servers.config.Name + ":" + url.PathEscape(name)
	if who.device, err = gw.seat(owner, c.l.r.termsOf(z, who.user, who.groups), c.l.t.PeerID, c.l.t.Remote); err != nil {
		return nil, err
	}
	a, err := gw.admission(c.l.r, who, z, c.l.local)
	a, err = proving(a, err, c.proof())
	if err != nil {
		return nil, err
	}
	c.grant(a, g)
	if text := said(g.Messages); text != "" {
		gw.log.Info("RADIUS server let a user in"+text, "realm", c.servers.config.Name, "user", fmt.Sprintf("%+q", name))
	}
	return a, nil
}

// nameOf is whom the server let in. Outside of its method EAP proves no name: a
// user of a tunnel may call itself like another one unless the server looks, and
// it shows in User-Name that it did.
func (c *relay) nameOf(g *radius.Grant) string {
	if g.UserName == "" {
		c.servers.unnamed.Do(func() {
			c.l.g.log.Warn("the RADIUS servers do not say whom they let in, so users are known by the name they give themselves: let them send User-Name in Access-Accept, and refuse an outer identity that is not the user's own",
				"radius", c.servers.config.Name)
		})
	}
	return cmp.Or(g.UserName, c.login.User())
}

// grant adds to the terms what only a server says.
func (c *relay) grant(a *ike.Admission, g *radius.Grant) {
	t := a.Value.(*terms)
	t.granted = &granted{
		session: c.session, user: c.nameOf(g), class: g.Class, cui: g.CUI, interim: g.Interim, idle: g.IdleTimeout,
	}
	if len(g.DNS) > 0 {
		t.resolvers = g.DNS
	}
	switch {
	case g.SessionTimeout == 0:
	case g.Reauthenticate && c.zone.speaks(config.IKEv2): // RFC 2865, Section 5.29; IKEv1 has no such notify, and PPP proves itself anew by a new session
		if a.AuthLifetime == 0 || g.SessionTimeout < a.AuthLifetime {
			a.AuthLifetime = g.SessionTimeout
		}
	default:
		t.granted.timeout = g.SessionTimeout
	}
}

// groupsOf are the groups of a zone that Filter-Id names. One that names none is
// no access: whoever filters by it expects it to be honoured.
func (z *zone) groupsOf(r *realm, filters []string) ([]string, error) {
	for _, f := range filters {
		if t, ok := r.groups[f]; !ok || t.zone.config.Name != z.config.Name {
			return nil, refusal(fmt.Sprintf("add a group of that name to the configuration, with zone: %s, or let the server leave Filter-Id out", z.config.Name),
				"the RADIUS server's Filter-Id %q names no group of zone %q", f, z.config.Name)
		}
	}
	return slices.Clone(filters), nil
}

// framed are the addresses that a server chooses. They must be the zone's, of
// the group's part and nobody's own: a firewall knows its clients by them.
func (z *zone) framed(g *radius.Grant, t *terms) (f InnerAddrs, err error) {
	if g.Addressing == radius.AddressFixed {
		f.IPv4 = g.IPv4
	}
	var one bool
	if f.IPv6, one = framedIPv6(g); !one && z.speaks(config.L2TP) && len(g.IPv6) == 0 && len(g.IPv6Prefix) == 1 && g.IPv6Prefix[0].Bits() == unit6(&z.config) {
		f.IPv6, one = g.IPv6Prefix[0].Addr(), true // the link's, in which the client chooses (RFC 3162, Section 2.3)
	}
	f.IPv6 = z.pool.v6.base(f.IPv6)
	if !one {
		return f, refusal("let the server send one Framed-IPv6-Address, a Framed-IPv6-Prefix of /128, or one of /64 with Framed-Interface-Id",
			"the RADIUS server chooses IPv6 by addresses %v, prefixes %v and the interface %x, which are not one address", g.IPv6, g.IPv6Prefix, g.InterfaceID)
	}
	own := addressing{within: t.within, not: t.not}
	if f.IPv4.IsValid() && !z.pool.grants(&z.pool.v4, f.IPv4, own.v4()) || f.IPv6.IsValid() && !z.pool.grants(&z.pool.v6, f.IPv6, own.v6()) {
		return f, refusal("let the server choose addresses of the zone's pool that are not set apart for others, or none",
			"the RADIUS server gives the address %v, which zone %q cannot: its pool is %v and %v", f, z.config.Name, z.config.Pool.IPv4, z.config.Pool.IPv6)
	}
	return f, nil
}

// framedIPv6 is the one IPv6 address of a grant, by any of the attributes for it
// (RFC 3162, Sections 2.2 and 2.3; RFC 6911, Section 3.1); an invalid one means
// that there is none. A prefix that the address lies in is its link's.
func framedIPv6(g *radius.Grant) (a netip.Addr, one bool) {
	all := slices.Clone(g.IPv6)
	for _, p := range g.IPv6Prefix {
		switch {
		case p.IsSingleIP():
			all = append(all, p.Addr())
		case p.Bits() == 64 && len(g.InterfaceID) == 8:
			b := p.Addr().As16()
			copy(b[8:], g.InterfaceID)
			all = append(all, netip.AddrFrom16(b))
		case len(g.IPv6) == 0 || !p.Contains(g.IPv6[0]):
			return a, false
		}
	}
	switch all = slices.Compact(all); {
	case len(all) > 1, len(all) == 0 && g.InterfaceID != nil:
		return a, false
	case len(all) == 0:
		return a, true
	}
	return all[0], true
}

// String shows the addresses that there are.
func (f InnerAddrs) String() string {
	var texts []string
	for _, a := range []fmt.Stringer{f.IPv4, f.IPv6} {
		if s := a.String(); s != "invalid IP" {
			texts = append(texts, s)
		}
	}
	return strings.Join(texts, " and ")
}

func printableName(s string) bool {
	return s != "" && len(s) <= eap.MaxIdentity && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
