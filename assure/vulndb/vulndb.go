// Package vulndb holds what is known of flaws in VPN software: an embedded file
// with a date, which a site can replace by a newer one that is signed.
//
// A record is judged against a package that is installed here, and never against
// what a remote host says of itself: distributions fix flaws without changing the
// version that a daemon shows.
package vulndb

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	_ "embed" // the data
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/posture"
)

//go:embed data.json
var embedded []byte

// Schema is the version of the file's form.
const Schema = 1

// What a file may be at most; the embedded one has a tenth of it.
const (
	mostOctets  = 8 << 20
	mostRecords = 20_000
)

// Data is one edition of the records. It is not changed after it was read.
type Data struct {
	Schema  int      `json:"schema"`
	Date    Date     `json:"date"` // on which it was put together
	Records []Record `json:"records"`
}

// Record is one flaw in one component.
type Record struct {
	ID         string            `json:"id"`                   // "CVE-2026-78135"
	Component  string            `json:"component"`            // a word of Components
	Ranges     []Range           `json:"ranges,omitempty"`     // of upstream's versions; none: they are not in one line
	Distro     map[string]string `json:"distro,omitempty"`     // first version with the fix, by Package.Distro: "debian 12"
	Reach      [][]string        `json:"reach,omitempty"`      // one of these lists must hold as a whole; none: always within reach
	Severity   string            `json:"severity"`             // low, medium, high, critical: our judgement
	KEV        bool              `json:"kev,omitempty"`        // known to be exploited, by the list of CISA
	Summary    string            `json:"summary"`              // one sentence, in our words
	Source     string            `json:"source"`               // where to read more
	Date       Date              `json:"date"`                 // of publication
	Confidence string            `json:"confidence,omitempty"` // "low": the range was not checked against the advisory
}

// Range is a part of upstream's versions, from the one that brought the flaw to
// the one before the fix.
type Range struct {
	Introduced string `json:"introduced,omitempty"` // empty: from the beginning
	Fixed      string `json:"fixed,omitempty"`      // the first without the flaw
	Last       string `json:"last,omitempty"`       // the last with it, where no fix is named
}

// Date is a day in UTC, as "2026-11-26".
type Date struct{ begin time.Time }

// MarshalText writes the day.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a day.
func (d *Date) UnmarshalText(text []byte) (err error) {
	d.begin, err = time.Parse(time.DateOnly, string(text))
	return err
}

// String is the day.
func (d Date) String() string { return d.begin.Format(time.DateOnly) }

// Time is the day's beginning.
func (d Date) Time() time.Time { return d.begin }

// IsZero tells whether there is no day.
func (d Date) IsZero() bool { return d.begin.IsZero() }

// Components are what records are about: source packages of distributions, and
// the families of appliances.
var Components = []string{
	"strongswan", "networkmanager-strongswan", "libreswan", "openswan", "ppp", "xl2tpd", "softether", "freeradius", "accel-ppp", "openssl", "linux",
	"fortios", "ios", "ios-xe", "routeros", "pfsense", "opnsense", "vyos", "windows", "watchguard", "zyxel", "checkpoint",
}

// Name is what a package is filed under: its source package, or the title of the
// appliance.
func Name(p *posture.Package) string {
	name := p.Source
	if name == "" {
		name = p.Name
	}
	return Source(name)
}

// Source is what a product's packages are filed under.
func Source(product string) string {
	name := strings.ReplaceAll(strings.ToLower(product), " ", "-")
	switch {
	case name == "pppd":
		return "ppp"
	case strings.HasPrefix(name, "softether"):
		return "softether"
	}
	return name
}

// Component is the package's name if records may be about it, and empty for all
// others.
func Component(p *posture.Package) string {
	if name := Name(p); slices.Contains(Components, name) {
		return name
	}
	return ""
}

// Load is the embedded data.
func Load() *Data { return load() }

var load = sync.OnceValue(func() *Data {
	d, err := Parse(embedded)
	if err != nil {
		panic("vulndb: " + err.Error()) // a test reads it
	}
	return d
})

// LoadFile is the data of a file, if the signature beside it is of the key.
func LoadFile(path, signature string, key ed25519.PublicKey) (*Data, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	sig, err := read(signature)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if err := verify(text, sig, key); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostOctets+1))
	if err == nil && len(b) > mostOctets {
		err = fmt.Errorf("%s has more than %d octets", path, mostOctets)
	}
	return b, err
}

// ErrSignature is for data that was not signed with the key, or changed after
// it was.
var ErrSignature = errors.New("the signature is not of this file and this key")

// verify takes the 64 octets of Ed25519 (RFC 8032) as they are or in base64.
func verify(text, sig []byte, key ed25519.PublicKey) error {
	if len(sig) != ed25519.SignatureSize {
		plain, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(sig)))
		if err != nil || len(plain) != ed25519.SignatureSize {
			return errors.New("the signature is not one of Ed25519: 64 octets, or the same in base64")
		}
		sig = plain
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, text, sig) {
		return ErrSignature
	}
	return nil
}

// PublicKey reads the key that a site signs its own data with: PEM, as
// "openssl pkey -pubout" writes it.
func PublicKey(text []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New(`is no public key in PEM ("-----BEGIN PUBLIC KEY-----")`)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	k, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("is a key of type %T, not one of Ed25519", key)
	}
	return k, nil
}

// Parse reads and checks the JSON of an edition.
func Parse(text []byte) (*Data, error) {
	d := new(Data)
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(d); err != nil {
		return nil, err
	}
	switch {
	case d.Schema != Schema:
		return nil, fmt.Errorf("the data has schema %d, not %d", d.Schema, Schema)
	case len(d.Records) == 0:
		return nil, errors.New("the data has no records")
	case len(d.Records) > mostRecords:
		return nil, fmt.Errorf("the data has more than %d records", mostRecords)
	case d.Date.IsZero():
		return nil, errors.New("the data has no date")
	}
	for i := range d.Records {
		if err := d.Records[i].check(); err != nil {
			return nil, fmt.Errorf("record %d, %q: %w", i+1, d.Records[i].ID, err)
		}
	}
	return d, nil
}

func (r *Record) check() error {
	switch {
	case r.ID == "":
		return errors.New("has no id")
	case !slices.Contains(Components, r.Component):
		return fmt.Errorf("component %q is not known", r.Component)
	case !slices.Contains([]string{"low", "medium", "high", "critical"}, r.Severity):
		return fmt.Errorf("severity %q is not low, medium, high or critical", r.Severity)
	case r.Summary == "" || !strings.HasPrefix(r.Source, "https://") || r.Date.IsZero():
		return errors.New("lacks a summary, a source or a date")
	case r.Confidence != "" && r.Confidence != "low":
		return fmt.Errorf("confidence %q is not low", r.Confidence)
	}
	for _, all := range r.Reach {
		for _, word := range all {
			if !knownCondition(word) {
				return fmt.Errorf("condition %q is not known", word)
			}
		}
	}
	for _, x := range r.Ranges {
		if x.Fixed != "" && x.Last != "" {
			return errors.New("a range has a last version and a fixed one")
		}
		for _, v := range []string{x.Introduced, x.Fixed, x.Last} {
			if v != "" && parts(v) == nil {
				return fmt.Errorf("%q is no version", v)
			}
		}
	}
	return nil
}

// Local tells whether only users of the host itself reach the flaw. Who has an
// account, no configuration of a VPN tells.
func (r *Record) Local() bool {
	return len(r.Reach) > 0 && !slices.ContainsFunc(r.Reach, func(all []string) bool { return !slices.Contains(all, "local") })
}

// Of are the records of a package's component.
func (d *Data) Of(p *posture.Package) []*Record {
	var of []*Record
	name := Name(p)
	for i := range d.Records {
		if d.Records[i].Component == name {
			of = append(of, &d.Records[i])
		}
	}
	return of
}

// Age is how old the data is.
func (d *Data) Age(now time.Time) time.Duration { return max(0, now.Sub(d.Date.begin)) }
