package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"sallyport/internal/bench"
	"sallyport/protocol/suite"
)

// TestAThousandEAPTLSLoginsAtOnceAllSucceed: as many devices connect in the
// same moment, as after a power cut in an office, and none may be lost. Only
// the bound on one source is raised, for here all come from one address.
func TestAThousandEAPTLSLoginsAtOnceAllSucceed(t *testing.T) {
	const devices = 1000
	g := newGateway(t, fmt.Sprintf("  limits: {per_source: %d}\n", devices)+
		"zones: {staff: {auth: [eap-tls], pool: {ipv4: 10.60.0.0/20}}}\n")
	call[User](t, g.Client(), "POST", "/v1/users", NewUser{Name: "alice"})
	load := bench.IKE{
		Target: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), g.Config().Gateway.Ports.IKE), NATT: g.Config().Gateway.Ports.NATT,
		Roots: x509.NewCertPool(), EAPTLS: tls.VersionTLS13,
		IKE:   mustProposals(t, suite.ProtocolIKE, "aes256gcm16-prfsha256-ecp256"),
		ESP:   mustProposals(t, suite.ProtocolESP, "aes256gcm16-ecp256"),
		Total: devices, Parallel: devices, Hold: true,
	}
	enrolled, errs := make([]Enrolled, devices), make([]error, devices)
	const desks = 16 // the store writes together what comes together
	var enrolling sync.WaitGroup
	for desk := range desks {
		enrolling.Go(func() {
			for i := desk; i < devices; i += desks {
				errs[i] = g.Client().Call(t.Context(), "POST", "/v1/devices", NewDevice{Name: fmt.Sprint("laptop", i), User: "alice"}, &enrolled[i])
			}
		})
	}
	enrolling.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, e := range enrolled {
		c := newCredential(t, e.Key+e.Certificate, e.CA, e.Device.Identity)
		load.Clients = append(load.Clients, bench.Client{Identity: c.identity, Signer: c.key})
	}
	load.Roots.AppendCertsFromPEM([]byte(enrolled[0].CA))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	up := 0
	load.Held = func() {
		up = len(sessionsOf(t, g))
		cancel()
	}
	report, err := load.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f logins a second, the slowest percent after %v, %d requests sent again", report.PerSecond, report.P99, report.Repeated)
	if report.Failed > 0 || report.Done != devices || up != devices {
		t.Errorf("%d logins done, %d failed (%s), %d sessions listed; want %d", report.Done, report.Failed, report.LastError, up, devices)
	}
	if g.engine.Stats().Dropped["no cookie yet"] == 0 {
		t.Error("so many strangers, and nobody was asked for a cookie")
	}
	if n := g.logins.Open(); n != 0 {
		t.Errorf("%d EAP conversations are left over", n)
	}
}
