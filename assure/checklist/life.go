package checklist

import (
	"fmt"
	"time"

	"sallyport/gateway"
)

// uses are the uses of certificates for a person.
var uses = map[string]string{gateway.UseCA: "own CA", gateway.UseServer: "certificate of zone", gateway.UseAnchor: "outside CA of zone"}

// caLeft is when a new authority should be planned: all devices must follow.
const caLeft = 365 * aDay

// certificates tells how long those of the gateway last.
func certificates(s *Seen) []Fact {
	if len(s.Status.Certificates) == 0 {
		return []Fact{{What: "certificates", Value: "not told", Standing: Unassessable, Source: Live}}
	}
	var facts []Fact
	for _, c := range s.Status.Certificates {
		f := Fact{What: uses[c.Use], Value: left(c.NotAfter, s.Now) + ", " + names([]string{c.Subject}), Standing: OK, Source: Live}
		if c.Zone != "" {
			f.What += " " + c.Zone
		}
		few := certLeft()
		if c.Use == gateway.UseCA {
			few = caLeft
		}
		switch {
		case c.Renews && c.Due:
			f.Standing = Problem
			f.Value += ", and should have been renewed by now"
			f.Do = []string{"sallyport reload"}
		case c.Renews:
			f.Value += ", renewed by itself"
		case c.NotAfter.Sub(s.Now) < few:
			f.Standing = Problem
			f.Do = renewal(c)
		}
		facts = append(facts, f)
	}
	return facts
}

func renewal(c gateway.CertificateStatus) []string {
	switch c.Use {
	case gateway.UseCA:
		return []string{"make a second gateway with sallyport init, and move its devices there"}
	case gateway.UseAnchor:
		return []string{fmt.Sprintf("add the authority's next certificate to zones.%s.trust.cas", c.Zone), "sallyport reload"}
	}
	return []string{fmt.Sprintf("put a new certificate into the file of zones.%s.identity.certificate", c.Zone), "sallyport reload"}
}

// crls tells how old the lists of revoked certificates are.
func crls(s *Seen) []Fact {
	var facts []Fact
	for _, l := range s.Status.CRLs {
		f := Fact{What: "own CRL", Standing: OK, Source: Live, Value: fmt.Sprintf("%s old, %s", plural(int(max(0, s.Now.Sub(l.ThisUpdate))/aDay), "day"), plural(l.Revoked, "certificate"))}
		if l.Zone != "" {
			f.What = "CRL of zone " + l.Zone
			f.Value += ", of " + names([]string{l.Issuer})
		}
		if !l.NextUpdate.IsZero() && s.Now.After(l.NextUpdate) {
			f.Standing = Problem
			f.Value += fmt.Sprintf(", stale since %s", l.NextUpdate.Format(time.DateOnly))
			f.Do = []string{"sallyport reload"}
			if l.Zone != "" {
				f.Do = []string{fmt.Sprintf("fetch a new one into the file of zones.%s.trust.crls", l.Zone), "sallyport reload"}
			}
		}
		facts = append(facts, f)
	}
	if facts == nil {
		facts = []Fact{{What: "CRL", Value: "not told", Standing: Unassessable, Source: Live}}
	}
	return facts
}

// deviceCertificates are not renewed by themselves.
func deviceCertificates(s *Seen) []Fact {
	certs := s.usable(false)
	if len(certs) == 0 {
		return nil // said in C1
	}
	var over, soon []gateway.Device
	for _, d := range certs {
		switch {
		case d.NotAfter.IsZero():
		case !s.Now.Before(d.NotAfter):
			over = append(over, d)
		case d.NotAfter.Sub(s.Now) < certLeft():
			soon = append(soon, d)
		}
	}
	facts := []Fact{{What: "device certificates", Value: fmt.Sprintf("%d, enrolled anew by hand: this version does not renew them", len(certs)), Standing: NotMet, Source: Product}}
	for _, c := range []struct {
		what string
		list []gateway.Device
	}{{"expired", over}, {fmt.Sprintf("with less than %d days left", int(certLeft()/aDay)), soon}} {
		if len(c.list) == 0 {
			continue
		}
		var list []string
		for _, d := range c.list {
			list = append(list, d.Name)
		}
		d := c.list[0]
		facts = append(facts, Fact{What: "device certificates", Value: fmt.Sprintf("%d %s: %s", len(list), c.what, names(list)), Standing: Problem, Source: Live,
			Do: []string{"sallyport device revoke " + d.Name, fmt.Sprintf("sallyport device add %s --user %s --zone %s", d.Name, d.User, d.Zone)}})
	}
	return facts
}

// rekeys tells whether the keys of live Child SAs are replaced in time. A client
// may be the one who begins, so that a little later than our own limit is fine.
func rekeys(s *Seen) []Fact {
	var newest time.Time
	var late []string
	id := uint64(0)
	for _, v := range s.Sessions {
		z, ok := zoneOf(s.Config, v.Zone)
		for _, c := range current(v) {
			if c.Created.After(newest) {
				newest = c.Created
			}
			if ok && z.Rekey.Child > 0 && s.Now.Sub(c.Created) > z.Rekey.Child+z.Rekey.Child/4 {
				late, id = append(late, v.Device), v.ID
			}
		}
	}
	if newest.IsZero() {
		return []Fact{{What: "rekeys", Value: "no session is up", Standing: Unassessable, Source: Live}}
	}
	f := Fact{What: "rekeys", Value: fmt.Sprintf("the newest key of %s is of %s; none is older than its zone allows", plural(len(s.Sessions), "session"), newest.UTC().Format(time.DateTime)), Standing: OK, Source: Live}
	if len(late) > 0 {
		f.Standing = Problem
		f.Value = fmt.Sprintf("%s with keys older than the zone allows: %s", plural(len(late), "session"), names(late))
		f.Do = []string{fmt.Sprintf("sallyport sessions rekey %d", id)}
	}
	return []Fact{f}
}

// patches: nothing here knows what was fixed after this build. An audit of the
// host compares the other VPN software on it with known flaws.
func patches(s *Seen) []Fact {
	return []Fact{{What: "patches", Value: fmt.Sprintf("version %s runs since %s; this version neither looks for a newer one nor knows its own flaws", s.Status.Version, s.Status.Since.UTC().Format(time.DateOnly)), Standing: NotMet, Source: Product,
		Do: []string{"sallyport audit"}}}
}
