package checklist

import (
	"slices"
	"time"

	"sallyport/assure/audit"
	"sallyport/config"
	"sallyport/gateway"
)

// Standing is where an item, or one fact of it, stands.
type Standing string

// From good to bad. A problem is what nobody answers for. Not met yet is what
// the item asks for and is not there: the product cannot do it, or a waiver, or a
// legacy zone with a last day, says that it is known.
const (
	OK           Standing = "ok"
	Unassessable Standing = "not assessable"
	NotMet       Standing = "not met yet"
	Problem      Standing = "problem"
)

// Source is where a fact was seen.
type Source string

// The sources, and what the product itself cannot do.
const (
	Live    Source = "gateway"
	File    Source = "configuration"
	Audited Source = "audit"
	Product Source = "product"
)

// Fact is one figure that an item rests on.
type Fact struct {
	What     string   `json:"what"`  // "devices"
	Value    string   `json:"value"` // "3 with certificates, 1 with a pre-shared key: router7"
	Standing Standing `json:"standing"`
	Source   Source   `json:"source"`
	Do       []string `json:"do,omitempty"` // commands, or what to write
}

// Item is one line of the checklist.
type Item struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Standing Standing  `json:"standing"`
	Open     int       `json:"open"` // facts that are a problem or not met
	Facts    []Fact    `json:"facts"`
	Trend    Trend     `json:"trend"`
	Since    time.Time `json:"since"` // it has stood so since
}

// Seen is everything that the items are judged by. It is plain data: what was
// not seen is zero.
type Seen struct {
	Now      time.Time
	Config   *config.Config // of the file
	File     string
	Written  time.Time // when the file was changed last
	Status   gateway.Status
	Sessions []gateway.SessionInfo
	Devices  []gateway.Device
	Users    []gateway.User
	Refusals []gateway.Refusal
	Results  []audit.Result // of the configuration
}

// row is an item with what it looks at.
type row struct {
	id, title string
	looks     []func(*Seen) []Fact
}

// rows is the checklist of docs/threats.md.
var rows = []row{
	{"C1", "certificates instead of pre-shared keys", []func(*Seen) []Fact{devices, sharedKeyZones, sharedKeySessions}},
	{"C2", "MS-CHAPv2 and PAP off, EAP-TLS on", []func(*Seen) []Fact{logins, passwords, weakLogins}},
	{"C3", "AEAD and SHA-2 enforced", []func(*Seen) []Fact{policies, suites, oldProtocol}},
	{"C4", "strong groups, forward secrecy", []func(*Seen) []Fact{groups, forwardSecrecy}},
	{"C5", "endpoints hardened, firewall", []func(*Seen) []Fact{listening, control, legacyFirewall, knownPeers, floods}},
	{"C6", "leak prevention and kill switch", []func(*Seen) []Fact{resolvers, routes, killSwitch}},
	{"C7", "patching, rotation and renewal by themselves", []func(*Seen) []Fact{certificates, crls, deviceCertificates, sharedKeyAge, rekeys, patches}},
	{"C8", "testing and monitoring without a pause", []func(*Seen) []Fact{selfAudit, unread, refusals, health, servers, export, intrusion}},
}

// Judge looks at every item. The trend is added by [History.Add].
func Judge(s *Seen) []Item {
	var items []Item
	for _, r := range rows {
		it := Item{ID: r.id, Title: r.title}
		for _, look := range r.looks {
			it.Facts = append(it.Facts, look(s)...)
		}
		it.Facts = append(it.Facts, waivers(s, r.id)...)
		it.Facts = append(it.Facts, audited(s, r.id)...)
		it.stand()
		items = append(items, it)
	}
	return items
}

// stand makes the item's standing of its facts: the worst, but what could not be
// assessed hides nothing that was.
func (it *Item) stand() {
	it.Standing = Unassessable
	has := func(s Standing) bool {
		return slices.ContainsFunc(it.Facts, func(f Fact) bool { return f.Standing == s })
	}
	for _, s := range []Standing{OK, NotMet, Problem} {
		if has(s) {
			it.Standing = s
		}
	}
	for _, f := range it.Facts {
		if f.Standing == Problem || f.Standing == NotMet {
			it.Open++
		}
	}
}

// Worst is the standing of all items together.
func Worst(items []Item) Standing {
	all := Item{}
	for _, it := range items {
		all.Facts = append(all.Facts, Fact{Standing: it.Standing})
	}
	all.stand()
	return all.Standing
}
