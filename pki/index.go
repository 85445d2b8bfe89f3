package pki

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"sallyport/store"
)

// Keys in the state store. Serials are in lower-case hexadecimal.
const (
	// IssuedPrefix + serial: a [Record] in JSON.
	IssuedPrefix = "/pki/issued/"
	// RevokedPrefix + serial: a [Revocation] in JSON. Watch it to cut tunnels.
	RevokedPrefix = "/pki/revoked/"
	// ownerPrefix + FQDN: the user who owns the name.
	ownerPrefix = "/pki/owner/"
	// devicePrefix + FQDN + "/" + serial: the device's certificates.
	devicePrefix = "/pki/device/"
)

// Record is the index entry of a certificate that was issued.
type Record struct {
	Serial      string    `json:"serial"` // hexadecimal
	User        string    `json:"user,omitempty"`
	Device      string    `json:"device,omitempty"` // both empty: a server's
	Name        string    `json:"name"`             // the first SAN
	Key         KeyKind   `json:"key"`
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the certificate, hexadecimal

	Revoked *Revocation `json:"-"` // nil unless revoked; read from its own key
}

// Revocation is the fact that a certificate was revoked.
type Revocation struct {
	At       time.Time `json:"at"`
	Cause    CRLReason `json:"cause"`
	NotAfter time.Time `json:"notAfter"` // of the certificate: when the CRL may forget it
}

// NotIssuedError says that the index does not know a serial number or a device.
type NotIssuedError struct{ What string }

// Error names what was looked for.
func (e *NotIssuedError) Error() string {
	return "pki: this CA has issued no certificate for " + e.What
}

// Hint says where to look.
func (e *NotIssuedError) Hint() string {
	return "sallyport device list shows devices and serial numbers"
}

// NameTakenError says that a device name is another user's.
type NameTakenError struct{ Name, Owner string }

// Error names both.
func (e *NameTakenError) Error() string {
	return fmt.Sprintf("pki: the name %q belongs to a device of user %q", e.Name, e.Owner)
}

// Hint says what to do.
func (e *NameTakenError) Hint() string { return "choose another name for the device" }

func newRecord(c *x509.Certificate, user, device string) Record {
	sum := sha256.Sum256(c.Raw)
	return Record{
		Serial:      SerialText(c.SerialNumber),
		User:        user,
		Device:      device,
		Name:        c.DNSNames[0],
		Key:         KindOf(c.PublicKey),
		NotBefore:   c.NotBefore,
		NotAfter:    c.NotAfter,
		Fingerprint: hex.EncodeToString(sum[:]),
	}
}

// SerialText is a serial number as the index and the command line write it.
func SerialText(n *big.Int) string { return fmt.Sprintf("%x", n) }

// record writes the index before anybody gets the certificate: one that is not
// in the index could not be revoked by name.
func (ca *CA) record(ctx context.Context, r Record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("pki: %w", err)
	}
	issued := IssuedPrefix + r.Serial
	if r.Device == "" {
		_, err = ca.txn(ctx, store.Txn{Then: []store.Op{store.Put{Key: issued, Value: b}}})
		return err
	}
	owner := store.Put{Key: ownerPrefix + r.Name, Value: []byte(r.User)}
	puts := []store.Op{store.Put{Key: issued, Value: b}, store.Put{Key: devicePrefix + r.Name + "/" + r.Serial}}
	first, err := ca.txn(ctx, store.Txn{
		If:   []store.Compare{store.Absent(owner.Key)},
		Then: append(puts, owner),
		Else: []store.Range{store.Key(owner.Key)},
	})
	if err != nil || first.Succeeded {
		return err
	}
	kv, _ := first.Else[0].First()
	again, err := ca.txn(ctx, store.Txn{If: []store.Compare{store.ValueIs(owner.Key, []byte(r.User))}, Then: puts})
	if err == nil && !again.Succeeded {
		return &NameTakenError{Name: r.Name, Owner: string(kv.Value)}
	}
	return err
}

func (ca *CA) txn(ctx context.Context, t store.Txn) (store.Result, error) {
	r, err := ca.index.Txn(ctx, t)
	if err != nil {
		err = fmt.Errorf("pki: index: %w", err)
	}
	return r, err
}

// Lookup finds the record of a certificate of this CA, for example a verified
// peer's: it says whose device it is. The certificate must be the recorded one
// octet for octet; another CA's with the same serial number is not.
func (ca *CA) Lookup(ctx context.Context, c *x509.Certificate) (Record, error) {
	r, err := ca.Record(ctx, SerialText(c.SerialNumber))
	if err != nil {
		return Record{}, err
	}
	if sum := sha256.Sum256(c.Raw); r.Fingerprint != hex.EncodeToString(sum[:]) {
		return Record{}, &NotIssuedError{What: fmt.Sprintf("%q with serial number %s", c.Subject.String(), r.Serial)}
	}
	return r, nil
}

// Record finds a record by serial number.
func (ca *CA) Record(ctx context.Context, serial string) (Record, error) {
	records, err := ca.records(ctx, store.Key(IssuedPrefix+serial), store.Key(RevokedPrefix+serial))
	if err != nil {
		return Record{}, err
	}
	if len(records) == 0 {
		return Record{}, &NotIssuedError{What: fmt.Sprintf("serial number %q", serial)}
	}
	return records[0], nil
}

// Records lists all that was issued, oldest first.
func (ca *CA) Records(ctx context.Context) ([]Record, error) {
	records, err := ca.records(ctx, store.Prefix(IssuedPrefix), store.Prefix(RevokedPrefix))
	slices.SortStableFunc(records, func(a, b Record) int { return a.NotBefore.Compare(b.NotBefore) })
	return records, err
}

func (ca *CA) records(ctx context.Context, issued, revoked store.Range) ([]Record, error) {
	page, err := ca.index.Get(ctx, issued)
	if err != nil {
		return nil, fmt.Errorf("pki: index: %w", err)
	}
	revocations, err := ca.revocations(ctx, revoked)
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, kv := range page.KVs {
		var r Record
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			return nil, fmt.Errorf("pki: index: %s: %w", kv.Key, err)
		}
		r.Revoked = revocations[r.Serial]
		records = append(records, r)
	}
	return records, nil
}

// revocations reads the revoked set by serial number.
func (ca *CA) revocations(ctx context.Context, r store.Range) (map[string]*Revocation, error) {
	page, err := ca.index.Get(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("pki: index: %w", err)
	}
	set := make(map[string]*Revocation, len(page.KVs))
	for _, kv := range page.KVs {
		v := new(Revocation)
		if err := json.Unmarshal(kv.Value, v); err != nil {
			return nil, fmt.Errorf("pki: index: %s: %w", kv.Key, err)
		}
		set[kv.Key[len(RevokedPrefix):]] = v
	}
	return set, nil
}

// deviceSerials lists the certificates of a device.
func (ca *CA) deviceSerials(ctx context.Context, user, device string) ([]string, error) {
	id, err := NewDeviceID(user, device)
	if err != nil {
		return nil, err
	}
	prefix := devicePrefix + id.FQDN + "/"
	owner, err := ca.index.Get(ctx, store.Key(ownerPrefix+id.FQDN))
	page, err2 := ca.index.Get(ctx, store.Prefix(prefix))
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("pki: index: %w", err)
	}
	if kv, ok := owner.First(); !ok || string(kv.Value) != user {
		return nil, &NotIssuedError{What: fmt.Sprintf("device %q of user %q", device, user)}
	}
	var serials []string
	for _, kv := range page.KVs {
		serials = append(serials, kv.Key[len(prefix):])
	}
	return serials, nil
}
