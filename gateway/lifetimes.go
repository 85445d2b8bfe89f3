package gateway

import (
	"cmp"
	"crypto/x509"
	"slices"
	"time"

	"sallyport/pki"
)

// The uses of certificates in a Status.
const (
	UseCA     = "ca"     // the gateway's own authority
	UseServer = "server" // what a zone shows to its clients
	UseAnchor = "anchor" // an outside authority that a zone believes
)

// CertificateStatus is a certificate that the gateway cannot do without.
type CertificateStatus struct {
	Use      string    `json:"use"`            // ca, server or anchor
	Zone     string    `json:"zone,omitempty"` // empty: of all zones
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
	// Renews tells that the gateway renews it by itself, and Due that it should
	// have by now.
	Renews bool `json:"renews"`
	Due    bool `json:"due,omitempty"`
}

// CRLStatus is a list of revoked certificates in force.
type CRLStatus struct {
	Zone       string    `json:"zone,omitempty"` // empty: the own CA's
	Issuer     string    `json:"issuer"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update,omitzero"` // zero: it promises none
	Revoked    int       `json:"revoked"`
}

// addLifetimes tells how long certificates and CRLs last.
func (g *Gateway) addLifetimes(st *Status, now time.Time) {
	ca := g.ca.Certificate()
	st.Certificates = append(st.Certificates, CertificateStatus{Use: UseCA, Subject: ca.Subject.String(), NotAfter: ca.NotAfter.UTC()})
	st.CRLs = append(st.CRLs, crlStatus("", g.ca.CRL()))
	for _, z := range g.realm.Load().order {
		st.Certificates = append(st.Certificates, z.certificates(now)...)
		for _, l := range z.crls {
			st.CRLs = append(st.CRLs, crlStatus(z.config.Name, l))
		}
	}
}

// certificates are those that a zone shows and believes, each once.
func (z *zone) certificates(now time.Time) []CertificateStatus {
	var all []CertificateStatus
	for _, id := range z.identities {
		if len(id.Chain) == 0 {
			continue // it proves itself by a pre-shared key
		}
		c, err := x509.ParseCertificate(id.Chain[0])
		if err != nil {
			continue // it was read before
		}
		renews := z.config.Identity.Certificate == ""
		all = append(all, CertificateStatus{
			Use: UseServer, Zone: z.config.Name, Subject: cmp.Or(c.Subject.String(), id.ID.String()), NotAfter: c.NotAfter.UTC(),
			Renews: renews, Due: renews && pki.RenewalDue(c, now),
		})
	}
	for _, a := range z.anchors {
		all = append(all, CertificateStatus{Use: UseAnchor, Zone: z.config.Name, Subject: a.Subject.String(), NotAfter: a.NotAfter.UTC()})
	}
	slices.SortStableFunc(all, func(a, b CertificateStatus) int { return a.NotAfter.Compare(b.NotAfter) })
	return slices.Compact(all)
}

func crlStatus(zone string, l *pki.CRL) CRLStatus {
	return CRLStatus{Zone: zone, Issuer: l.Issuer(), ThisUpdate: l.ThisUpdate.UTC(), NextUpdate: l.NextUpdate.UTC(), Revoked: l.Len()}
}
