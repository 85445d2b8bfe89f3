package gateway

import (
	"net/netip"
	"time"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/guard"
)

// The values that the control API carries. Their JSON is versioned by the path
// prefix /v1 and stable: fields may be added, none is renamed or removed.

// Status is one look at the gateway.
type Status struct {
	Running  bool          `json:"running"` // false: read from the state by a command
	Name     string        `json:"name"`
	Version  string        `json:"version,omitempty"`
	Since    time.Time     `json:"since,omitzero"`
	Config   string        `json:"config"` // path
	State    string        `json:"state"`  // directory
	Users    int           `json:"users"`
	Devices  int           `json:"devices"`
	Revoked  int           `json:"revoked"` // devices
	Sessions int           `json:"sessions"`
	Zones    []ZoneStatus  `json:"zones"`
	Engine   *engine.Stats `json:"engine,omitempty"`
	// Plane counts what the data plane dropped and handed up, by the names of
	// its counters; only those that are not zero.
	Plane map[string]uint64 `json:"plane,omitempty"`
	// TurnedAway counts first messages of IKE version 1 that were not let in, by
	// reason.
	TurnedAway map[string]uint64 `json:"turned_away,omitempty"`
	RADIUS     []RealmStatus     `json:"radius,omitempty"`
	Refusals   []Refusal         `json:"refusals,omitempty"` // the last ones, newest last
	Warnings   []string          `json:"warnings,omitempty"`
	// Findings are what the audit of the configuration in force found, and did
	// not refuse.
	Findings config.Diagnostics `json:"findings,omitempty"`
	// Loaded is when the configuration in force was read; Certificates and CRLs
	// are what it rests on. Of a running gateway.
	Loaded       time.Time           `json:"loaded,omitzero"`
	Certificates []CertificateStatus `json:"certificates,omitempty"`
	CRLs         []CRLStatus         `json:"crls,omitempty"`
}

// ZoneStatus is one zone in a Status.
type ZoneStatus struct {
	Name     string       `json:"name"`
	Protocol string       `json:"protocol"`
	IPv4     netip.Prefix `json:"ipv4,omitzero"`
	IPv6     netip.Prefix `json:"ipv6,omitzero"`
	Devices  int          `json:"devices"`
	Sessions int          `json:"sessions"`
	Leases   int          `json:"leases"`
	L2TP     *L2TPStatus  `json:"l2tp,omitempty"` // of L2TP zones
}

// L2TPStatus is what there is to know of an L2TP zone beside that.
type L2TPStatus struct {
	Cutoff   Date           `json:"cutoff,omitempty"` // its last day
	Firewall FirewallStatus `json:"firewall"`
}

// FirewallStatus tells whether a zone is held to what it may reach.
type FirewallStatus struct {
	InForce bool          `json:"in_force"`
	Trouble string        `json:"trouble,omitempty"` // why not
	Counts  []guard.Count `json:"counts,omitempty"`  // of its rules, since they were applied
}

// RealmStatus is one organisation's RADIUS servers.
type RealmStatus struct {
	Name       string             `json:"name"`
	Servers    []RADIUSServer     `json:"servers,omitempty"`
	Collectors []RADIUSServer     `json:"accounting,omitempty"`
	Queue      *AccountingBacklog `json:"queue,omitempty"`
}

// RADIUSServer is one of them.
type RADIUSServer struct {
	Name    string            `json:"name"`
	Dead    bool              `json:"dead"` // it does not answer, and is not asked before it does
	Since   time.Time         `json:"since,omitzero"`
	Trouble string            `json:"trouble,omitempty"` // why, and what to look at
	Heard   time.Time         `json:"heard,omitzero"`
	Drops   map[string]uint64 `json:"drops,omitempty"` // answers that were discarded, by reason
}

// AccountingBacklog is what accounting has not delivered.
type AccountingBacklog struct {
	Waiting   int       `json:"waiting"`
	Delivered uint64    `json:"delivered"`
	Lost      uint64    `json:"lost"`
	Failing   time.Time `json:"failing,omitzero"` // since when no server answers
}

// SessionInfo is one live session.
type SessionInfo struct {
	ID        uint64      `json:"id"`
	Device    string      `json:"device"`
	User      string      `json:"user,omitempty"`
	Identity  string      `json:"identity"`
	Zone      string      `json:"zone"`
	Protocol  string      `json:"protocol"` // ikev2 or l2tp
	Remote    string      `json:"remote"`
	Client    string      `json:"client"` // kind of software
	Since     time.Time   `json:"since"`
	SPI       string      `json:"spi"` // our SPI of the IKE SA; a rekey changes it
	IKE       string      `json:"ike"` // suite in keywords
	IPv4      netip.Addr  `json:"ipv4,omitzero"`
	IPv6      netip.Addr  `json:"ipv6,omitzero"`
	BehindNAT bool        `json:"behind_nat"`
	Children  []ChildInfo `json:"children"`

	// Waivers are the rules of the catalogue that the session breaks, by a waiver
	// of its zone or by its policy. Of WaiversUnknown the gateway cannot tell:
	// PPP-017 where a RADIUS server judged the login, and CRY-010 of an IKEv2
	// session before its first rekey.
	Waivers        []string `json:"waivers,omitempty"`
	WaiversUnknown []string `json:"waivers_unknown,omitempty"`
}

// ChildInfo is one Child SA of a session.
type ChildInfo struct {
	SPIIn    string    `json:"spi_in"`
	SPIOut   string    `json:"spi_out"`
	ESP      string    `json:"esp"`
	Local    []string  `json:"local"`  // traffic selectors, our side
	Remote   []string  `json:"remote"` // and the peer's
	Created  time.Time `json:"created"`
	BytesIn  uint64    `json:"bytes_in"`
	BytesOut uint64    `json:"bytes_out"`
	Replaced bool      `json:"replaced,omitempty"` // by a rekey, kept for late packets
}

// NewDevice asks for a device with a certificate of the gateway's own CA, or
// with a pre-shared key. Zone may be empty when there is one; Days 0 and Key ""
// mean the CA's defaults.
type NewDevice struct {
	Name string `json:"name"`
	User string `json:"user"`
	Zone string `json:"zone,omitempty"`
	Key  string `json:"key,omitempty"`
	Days int    `json:"days,omitempty"`

	Inner []netip.Addr `json:"inner,omitempty"` // inner addresses of the device's own

	PSK       bool         `json:"psk,omitempty"`
	SharedKey string       `json:"shared_key,omitempty"` // with PSK: one that exists; empty: a new one of 160 bits
	Address   netip.Prefix `json:"address,omitzero"`     // with PSK: the device may come from there only
}

// Enrolled is a new device with its key material, which is shown this once: the
// pre-shared key, or all the rest. A private key is kept nowhere, and a
// pre-shared one so that nothing shows it again.
type Enrolled struct {
	Device      Device `json:"device"`
	Certificate string `json:"certificate,omitempty"` // PEM
	CA          string `json:"ca,omitempty"`          // PEM
	Key         string `json:"key,omitempty"`         // PEM, PKCS#8
	PKCS12      []byte `json:"pkcs12,omitempty"`
	Password    string `json:"password,omitempty"` // of PKCS12
	PSK         string `json:"psk,omitempty"`
}

// Revocation says why.
type Revocation struct {
	Reason string `json:"reason,omitempty"`
}

// Revoked tells what a revocation did.
type Revoked struct {
	Devices []string `json:"devices"` // revoked now
	Cut     int      `json:"cut"`     // live sessions that were told to end
}

// Kick names what to disconnect: exactly one field.
type Kick struct {
	Session uint64 `json:"session,omitempty"`
	Device  string `json:"device,omitempty"`
	User    string `json:"user,omitempty"`
}

// Kicked tells how many sessions were ended.
type Kicked struct {
	Cut int `json:"cut"`
}

// Reloaded tells what a reload changed. With errors nothing was changed.
type Reloaded struct {
	Changes     []config.Change    `json:"changes"`
	Diagnostics config.Diagnostics `json:"diagnostics,omitempty"`
	Closed      int                `json:"closed"` // sessions whose zone or address is gone
}

// Problem is the body of every answer that is not 2xx.
type Problem struct {
	Error       string             `json:"error"`
	Hint        string             `json:"hint,omitempty"`
	Diagnostics config.Diagnostics `json:"diagnostics,omitempty"`
}
