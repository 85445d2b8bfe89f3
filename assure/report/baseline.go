package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"
)

// Drift is what changed since a baseline.
type Drift struct {
	Since     time.Time `json:"since"` // when the baseline was made
	New       []Finding `json:"new"`
	Gone      []Finding `json:"gone"`
	Unchanged int       `json:"unchanged"`

	fresh []bool // which of the new report's findings are new
}

// Compare tells the findings of two reports apart by their fingerprints. A
// second finding of one fingerprint is new when there was one before. So is one
// that was milder, and one that was waived before and is no more: a baseline must
// not outlast a waiver.
func Compare(before, after *Report) Drift {
	d := Drift{Since: before.Created, New: []Finding{}, Gone: []Finding{}, fresh: make([]bool, len(after.Findings))}
	left := map[string][]*Finding{}
	for i := range before.Findings {
		f := &before.Findings[i]
		left[f.Fingerprint] = append(left[f.Fingerprint], f)
	}
	for i := range after.Findings {
		f := &after.Findings[i]
		rest, known := take(left[f.Fingerprint], f)
		left[f.Fingerprint] = rest
		if known {
			d.Unchanged++
			continue
		}
		d.New, d.fresh[i] = append(d.New, *f), true
	}
	for i := range before.Findings {
		f := &before.Findings[i]
		if rest := left[f.Fingerprint]; len(rest) > 0 && rest[0] == f {
			left[f.Fingerprint] = rest[1:]
			d.Gone = append(d.Gone, *f)
		}
	}
	return d
}

// take finds the finding of before that one of today is, and what is left of
// those of its name. One that covers it goes before one that does not; where
// none does, it is new, and the first is what it was.
func take(before []*Finding, f *Finding) (rest []*Finding, known bool) {
	if len(before) == 0 {
		return nil, false
	}
	i := slices.IndexFunc(before, func(b *Finding) bool { return b.covers(f) })
	known = i >= 0
	return slices.Delete(before, max(i, 0), max(i, 0)+1), known
}

// covers tells whether who knew a finding knows the one of today.
func (f *Finding) covers(today *Finding) bool {
	return f.Severity >= today.Severity && (!f.Waived() || today.Waived())
}

// Since compares the report with a baseline and keeps the answer in Drift.
func (r *Report) Since(baseline *Report) {
	d := Compare(baseline, r)
	r.Drift = &d
}

// New tells whether a finding, by its place in Findings, is not in the
// baseline. Without a baseline all are new.
func (r *Report) New(i int) bool { return r.Drift == nil || r.Drift.fresh[i] }

// mostBaseline bounds what is read of a baseline, in octets; a report of ten
// thousand findings has about ten million.
const mostBaseline = 64 << 20

// fingerprints are hexadecimal, as fingerprint makes them.
var fingerprints = regexp.MustCompile(`^[0-9a-f]{32}$`)

// LoadBaseline reads a JSON report of before. It is strict, because a finding
// that is taken for known by mistake is one that nobody sees.
func LoadBaseline(in io.Reader) (*Report, error) {
	limited := &io.LimitedReader{R: in, N: mostBaseline + 1}
	d := json.NewDecoder(limited)
	d.DisallowUnknownFields()
	var r Report
	err := d.Decode(&r)
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("it has more than %d MiB", mostBaseline>>20)
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty")
	case isSyntax(err):
		return nil, errors.New("it is no report of an audit in JSON")
	case err != nil:
		return nil, fmt.Errorf("it is no report of an audit in JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the report")
	}
	return &r, r.checkBaseline()
}

func (r *Report) checkBaseline() error {
	if r.SchemaVersion != SchemaVersion {
		return fmt.Errorf("its schema_version is %d, and only %d can be compared", r.SchemaVersion, SchemaVersion)
	}
	if r.Created.IsZero() || r.Findings == nil {
		return errors.New("it is no report of an audit: it has no date or no findings")
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Rule == "" || !fingerprints.MatchString(f.Fingerprint) {
			return fmt.Errorf("finding %d has no rule or no fingerprint", i+1)
		}
	}
	return nil
}

// isSyntax tells whether a text is no JSON at all, of which the decoder's words
// about single characters tell nobody anything.
func isSyntax(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF)
}
