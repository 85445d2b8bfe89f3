package checklist

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"sallyport/assure/audit"
	"sallyport/config"
	"sallyport/posture/own"
)

// Audit judges a configuration of the gateway by the default policy, with the
// waivers that it has itself. It reads the secrets that the configuration names,
// for their strength alone, and the file for its lines; what it cannot read is
// not assessable.
func Audit(c *config.Config, file string, now time.Time) *audit.Audit {
	h := own.InForce(c, file, placesOf(file, now), open)
	a := audit.New(audit.Options{Now: now})
	a.Host(&h)
	for i := range h.Secrets {
		h.Secrets[i].Value.Clear()
	}
	return a
}

func placesOf(file string, now time.Time) config.Places {
	b, _ := read(file, mostConfig)
	if b == nil {
		return config.Places{}
	}
	_, places, _ := config.ParseWithPlaces(file, b, now)
	return places
}

// What is read at most: more than any configuration or secret has.
const (
	mostConfig = 4 << 20
	mostSecret = 8 << 10
)

func open(file string) ([]byte, time.Time) { return read(file, mostSecret) }

func read(file string, most int64) ([]byte, time.Time) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, time.Time{}
	}
	b, err := readAll(file, most)
	if err != nil {
		return nil, time.Time{}
	}
	return b, info.ModTime()
}

// readAll reads a regular file up to a bound, so that a device or a huge file
// costs nothing.
func readAll(file string, most int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// Verdict is what the gateway does about the findings of an audit: a critical
// one that nobody answers for refuses the configuration, and what is high, or
// critical and answered for, is said at each start.
func Verdict(c *config.Config, a *audit.Audit, now time.Time) config.Diagnostics {
	var all config.Diagnostics
	for i := range a.Results {
		r := &a.Results[i]
		if r.Outcome != audit.Found || r.Severity < audit.High {
			continue
		}
		d := config.Diagnostic{
			File: r.Evidence.At.File, Line: r.Evidence.At.Line, Col: max(1, r.Evidence.At.Col), Severity: config.Warning,
			Message: fmt.Sprintf("%s (%s): %s %q: %s", r.Rule.ID, r.Severity, r.Subject.Kind, r.Subject.Name, r.Detail), Hint: hint(c, r, now),
		}
		switch {
		case r.WaivedAt(now):
			d.Message += fmt.Sprintf("; waived by %q until %s", r.Waived.Owner, r.Waived.Expires.Format(time.DateOnly))
			d.Hint = ""
		case r.Severity == audit.Critical:
			d.Severity = config.Error
		}
		all = append(all, d)
	}
	return all
}

// shortest is how long a waiver that is written as an example lasts: long enough
// to replace a key everywhere.
const shortest = 30 * 24 * time.Hour

// hint is what to write, and how to be let in until that is done.
func hint(c *config.Config, r *audit.Result, now time.Time) string {
	text := r.Fix
	z, ok := zoneOf(c, r.Subject.Name)
	if ok && config.CanWaive(r.Rule.ID, z.Protocol) {
		text += fmt.Sprintf("\nor, until that is done: zones.%s.waivers: [{rule: %s, until: %s, owner: NAME, reason: TEXT}]",
			z.Name, r.Rule.ID, now.UTC().Add(shortest).Format(time.DateOnly))
	}
	return text
}

// zoneOf finds the zone that a subject is named after.
func zoneOf(c *config.Config, name string) (config.Zone, bool) {
	i := slices.IndexFunc(c.Zones, func(z config.Zone) bool { return z.Name == name })
	if i < 0 {
		return config.Zone{}, false
	}
	return c.Zones[i], true
}
