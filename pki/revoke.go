package pki

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"time"

	"sallyport/internal/file"
	"sallyport/store"
)

const (
	// crlValidity is how long others may use our CRL; ours is renewed at half.
	crlValidity = 7 * day
	// crlMemory is how long an expired certificate stays in the CRL: clocks
	// differ, and RFC 5280, Section 3.3 wants it on one CRL after its end.
	crlMemory = 7 * day
)

// CRLReason says why a certificate was revoked (RFC 5280, Section 5.3.1).
type CRLReason int

// The reasons in use.
const (
	Unspecified          CRLReason = 0
	KeyCompromise        CRLReason = 1
	AffiliationChanged   CRLReason = 3
	Superseded           CRLReason = 4
	CessationOfOperation CRLReason = 5
	PrivilegeWithdrawn   CRLReason = 9
)

var crlReasons = map[CRLReason]string{
	Unspecified: "unspecified", KeyCompromise: "key compromise", AffiliationChanged: "affiliation changed",
	Superseded: "superseded", CessationOfOperation: "cessation of operation", PrivilegeWithdrawn: "privilege withdrawn",
}

// String is the reason in the RFC's words.
func (r CRLReason) String() string {
	if s, ok := crlReasons[r]; ok {
		return s
	}
	return fmt.Sprintf("reason %d", int(r))
}

// Revoke revokes the certificate with that serial number (hexadecimal) and
// returns the new CRL, which is already on disk. A second revocation keeps the
// time and cause of the first.
func (ca *CA) Revoke(ctx context.Context, now time.Time, serial string, cause CRLReason) (*CRL, error) {
	r, err := ca.Record(ctx, serial)
	if err != nil {
		return nil, err
	}
	if err := ca.revoke(ctx, now, []Record{r}, cause); err != nil {
		return nil, err
	}
	return ca.RenewCRL(ctx, now)
}

// RevokeDevice revokes all certificates of a device that can still be used, and
// returns them with the new CRL.
func (ca *CA) RevokeDevice(ctx context.Context, now time.Time, user, device string, cause CRLReason) ([]Record, *CRL, error) {
	serials, err := ca.deviceSerials(ctx, user, device)
	if err != nil {
		return nil, nil, err
	}
	var records []Record
	for _, serial := range serials {
		r, err := ca.Record(ctx, serial)
		if err != nil {
			return nil, nil, err
		}
		if r.Revoked == nil && now.Before(r.NotAfter) {
			records = append(records, r)
		}
	}
	if err := ca.revoke(ctx, now, records, cause); err != nil {
		return nil, nil, err
	}
	crl, err := ca.RenewCRL(ctx, now)
	return records, crl, err
}

func (ca *CA) revoke(ctx context.Context, now time.Time, records []Record, cause CRLReason) error {
	for _, r := range records {
		b, err := json.Marshal(Revocation{At: now.UTC().Truncate(time.Second), Cause: cause, NotAfter: r.NotAfter})
		if err != nil {
			return fmt.Errorf("pki: %w", err)
		}
		key := RevokedPrefix + r.Serial
		if _, err := ca.txn(ctx, store.Txn{If: []store.Compare{store.Absent(key)}, Then: []store.Op{store.Put{Key: key, Value: b}}}); err != nil {
			return err
		}
	}
	return nil
}

// CRL is the latest one.
func (ca *CA) CRL() *CRL { return ca.crl.Load() }

// CRLDue reports whether half of the CRL's life is over; then call
// [CA.RenewCRL].
func (ca *CA) CRLDue(now time.Time) bool {
	return !now.Before(ca.CRL().ThisUpdate.Add(crlValidity / 2))
}

// RenewCRL signs a CRL of everything revoked and puts it on disk.
func (ca *CA) RenewCRL(ctx context.Context, now time.Time) (*CRL, error) {
	ca.crlMu.Lock()
	defer ca.crlMu.Unlock()
	revoked, err := ca.revocations(ctx, store.Prefix(RevokedPrefix))
	if err != nil {
		return nil, err
	}
	t := &x509.RevocationList{
		Number:     ca.nextNumber(now),
		ThisUpdate: now,
		NextUpdate: now.Add(crlValidity),
	}
	for serial, r := range revoked {
		n, ok := new(big.Int).SetString(serial, 16)
		if !ok {
			return nil, fmt.Errorf("pki: index: %q is no serial number", serial)
		}
		if now.Before(r.NotAfter.Add(crlMemory)) {
			t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: n, RevocationTime: r.At, ReasonCode: int(r.Cause),
			})
		}
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, ca.cert, ca.key)
	if err != nil {
		return nil, fmt.Errorf("pki: CRL: %w", err)
	}
	if err := file.Write(filepath.Join(ca.dir, crlFile), der, file.Private); err != nil {
		return nil, fmt.Errorf("pki: CRL: %w", err)
	}
	return ca.useCRL(der)
}

// nextNumber grows also when the state was restored from a backup, because it
// follows the clock, and when the clock was set back, because it follows the
// last number.
func (ca *CA) nextNumber(now time.Time) *big.Int {
	n := big.NewInt(now.UnixMilli())
	if last := ca.crl.Load(); last != nil && last.Number.Cmp(n) >= 0 {
		n.Add(last.Number, big.NewInt(1))
	}
	return n
}

func (ca *CA) useCRL(der []byte) (*CRL, error) {
	crl, err := parseCRL(der)
	if err != nil {
		return nil, err
	}
	if err := crl.signedBy(ca.cert); err != nil {
		return nil, err
	}
	ca.crl.Store(crl)
	return crl, nil
}

// openCRL takes over the last number and makes a fresh CRL: a crash may have
// come between a revocation and its CRL.
func (ca *CA) openCRL(ctx context.Context, now time.Time) error {
	path := filepath.Join(ca.dir, crlFile)
	der, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		// What is damaged or another's is made anew: the index is the truth.
		ca.useCRL(der)
	}
	_, err = ca.RenewCRL(ctx, now)
	return err
}
