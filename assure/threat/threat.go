// Package threat makes the threat model of a deployment out of what an audit
// read and found: what is worth attacking, where it can be reached and by whom,
// which boundaries lie between, and for each threat whether it is open, somebody
// answers for it, nothing can be said, or it is closed and by what evidence.
//
// It judges nothing itself. The table of threats names the rules that answer
// each of them, and everything said of an asset or a boundary follows from that
// table and the results of the rules.
package threat

import (
	"time"

	"sallyport/assure/audit"
)

// SchemaVersion is the version of the JSON document. It grows when a field
// changes its meaning or goes away; new fields do not change it.
const SchemaVersion = 1

// Model is the threat model of one deployment. Texts that came from files are
// short and printable in it.
type Model struct {
	SchemaVersion int          `json:"schema_version"`
	Created       time.Time    `json:"created"`
	Counts        Counts       `json:"counts"`
	Hosts         []Host       `json:"hosts"`
	Actors        []Actor      `json:"actors"`
	Assets        []Asset      `json:"assets"`
	EntryPoints   []EntryPoint `json:"entry_points"`
	Boundaries    []Boundary   `json:"trust_boundaries"`
	Threats       []Threat     `json:"threats"`
	Absent        []Absent     `json:"absent"`   // threats of the table that do not arise here
	Gaps          []Gap        `json:"gaps"`     // what could not be read, and may hide more
	LeftOut       int          `json:"left_out"` // hosts and facts beyond the bounds of a model
}

// Status is what is known of a threat.
type Status string

// From the worst to the best. What opens a threat and what merely makes it easier
// is told apart by the table.
const (
	Open        Status = "open"         // a rule found what the threat needs
	Accepted    Status = "accepted"     // so it did, and somebody answers for it until a day
	NotAssessed Status = "not assessed" // something is missing to tell
	Closed      Status = "closed"       // the rules that answer it passed
)

var statuses = []Status{Open, Accepted, NotAssessed, Closed}

// Counts are how many threats there are of each status.
type Counts struct {
	Open        int `json:"open"`
	Accepted    int `json:"accepted"`
	NotAssessed int `json:"not_assessed"`
	Closed      int `json:"closed"`
	Absent      int `json:"absent"`
}

// Host is one host of the deployment.
type Host struct {
	Name     string   `json:"name"`
	Products []string `json:"products"`
}

// ActorID names an attacker.
type ActorID string

// Actor is somebody who may attack.
type Actor struct {
	ID    ActorID `json:"id"`
	Title string  `json:"title"`
	Can   string  `json:"can"`
	Marks []Mark  `json:"threats"`
}

// Mark is a threat and its status, where something else is told of.
type Mark struct {
	Threat string `json:"threat"`
	Status Status `json:"status"`
}

// AssetKind is what sort of thing is worth attacking.
type AssetKind string

// Asset is something worth attacking on one host.
type Asset struct {
	ID     string    `json:"id"`
	Kind   AssetKind `json:"kind"`
	Host   string    `json:"host"`
	Name   string    `json:"name"`
	Detail string    `json:"detail"`
	File   string    `json:"file,omitempty"`
	Line   int       `json:"line,omitempty"`
	Marks  []Mark    `json:"threats"` // as they stand on this host
}

// EntryKind is what sort of thing can be reached.
type EntryKind string

// Reach is who can send something to an entry point.
type Reach string

// From the widest to the narrowest.
const (
	Anyone   Reach = "anyone"
	NotKnown Reach = "not known"
	Known    Reach = "known peers"
	InIPsec  Reach = "peers inside IPsec"
	Local    Reach = "local users"
	Nobody   Reach = "nobody"
)

var reaches = []Reach{Anyone, NotKnown, Known, InIPsec, Local, Nobody}

// EntryPoint is where something can be sent to a host.
type EntryPoint struct {
	ID      string    `json:"id"`
	Kind    EntryKind `json:"kind"`
	Host    string    `json:"host"`
	Name    string    `json:"name"`
	Address string    `json:"address"` // empty: the files do not tell
	Reach   Reach     `json:"reach"`
	Because string    `json:"because"`
	File    string    `json:"file,omitempty"`
	Line    int       `json:"line,omitempty"`
}

// BoundaryID names a trust boundary.
type BoundaryID string

// Boundary is a line at which one side must not trust the other. Its status is
// that of the worst threat across it.
type Boundary struct {
	ID      BoundaryID `json:"id"`
	From    string     `json:"from"`
	To      string     `json:"to"`
	Status  Status     `json:"status"`
	Holders []Holder   `json:"held_by"`
	Marks   []Mark     `json:"threats"`
}

// Holder is one fact about what holds a boundary.
type Holder struct {
	Host string `json:"host"`
	Text string `json:"text"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Threat is one thing that may be done to this deployment.
type Threat struct {
	ID         string         `json:"id"`
	Title      string         `json:"title"`
	Stride     Stride         `json:"stride"`
	Risk       string         `json:"risk"`
	Actors     []ActorID      `json:"actors"`
	Assets     []AssetKind    `json:"assets"`
	Entries    []EntryKind    `json:"entry_points"`
	Boundaries []BoundaryID   `json:"trust_boundaries"`
	Status     Status         `json:"status"`
	Severity   audit.Severity `json:"severity"` // of the worst finding that opens it, waived or not
	Hosts      []HostStatus   `json:"hosts"`
	Open       []Finding      `json:"open"`
	Accepted   []Finding      `json:"accepted"`
	Weaknesses []Finding      `json:"weaknesses"` // make it easier, and do not open it
	Evidence   []Evidence     `json:"evidence"`   // rules that passed
	Missing    []Missing      `json:"missing"`    // without it the threat cannot be called closed
	Further    []Missing      `json:"further"`    // with it the verdict would be more certain
	LeftOut    int            `json:"left_out"`   // findings beyond the bounds
}

// Stride is the class of a threat.
type Stride string

// The letters of STRIDE.
const (
	Spoofing    Stride = "S"
	Tampering   Stride = "T"
	Repudiation Stride = "R"
	Disclosure  Stride = "I"
	Denial      Stride = "D"
	Elevation   Stride = "E"
)

var strides = map[Stride]string{
	Spoofing: "spoofing", Tampering: "tampering", Repudiation: "repudiation", Disclosure: "disclosure", Denial: "denial of service", Elevation: "elevation of privilege",
}

// Title is the letter's word.
func (s Stride) Title() string { return strides[s] }

// HostStatus is how a threat stands on one host.
type HostStatus struct {
	Host   string `json:"host"`
	Status Status `json:"status"`
}

// Finding is one finding that a threat makes use of.
type Finding struct {
	Rule     string         `json:"rule"`
	Title    string         `json:"title"`
	Severity audit.Severity `json:"severity"`
	Host     string         `json:"host"`
	Dialect  string         `json:"dialect"`
	Kind     string         `json:"kind"`
	Subject  string         `json:"subject"`
	File     string         `json:"file"`
	Line     int            `json:"line"`
	Detail   string         `json:"detail"`
	Waiver   *Waiver        `json:"waiver,omitempty"`
}

// Waiver says who answers for a finding.
type Waiver struct {
	Until   string `json:"until"` // last day
	Owner   string `json:"owner"`
	Reason  string `json:"reason"`
	Expired bool   `json:"expired"`
}

// Evidence is a rule that held for so many subjects.
type Evidence struct {
	Rule     string `json:"rule"`
	Title    string `json:"title"`
	Subjects int    `json:"subjects"`
}

// Missing is what would have to be known.
type Missing struct {
	Rule     string `json:"rule,omitempty"` // empty: no rule answers
	Host     string `json:"host,omitempty"` // empty: all
	Reason   string `json:"reason"`
	Subjects int    `json:"subjects,omitempty"`
}

// Absent is a threat that does not arise, because nothing that it needs was seen.
type Absent struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Reason string `json:"reason"`
}

// Gap is what could not be read of a host.
type Gap struct {
	Host  string `json:"host"`
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	First string `json:"first"` // the first of them
}
