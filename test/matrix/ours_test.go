package matrix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"sallyport/gateway"
	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// Files of our own two programs, on the host's own /run.
const (
	oursConfig  = "/run/etc/sallyport.yaml"
	oursProfile = "/run/etc/profile.yaml"
	oursCA      = "/run/etc/trusted.pem"
	oursCRL     = "/run/etc/list.crl"
	oursCert    = "/run/etc/own.pem"
	oursKey     = "/run/etc/own.key"
	oursUsers   = "/run/etc/users.csv"
	oursPSK     = "/run/etc/own.psk"
)

// ourGateway is "sallyport serve", told everything by its configuration file
// and asked everything by its own command line.
type ourGateway struct {
	host    *lab.Host
	program string
	server  *lab.Process
	log     int      // length of the server's log when the case began
	known   []string // the refusals that it told of then
}

func (e *ourGateway) serve(ctx context.Context, s setup) error {
	if err := e.setUp(ctx, s); err != nil {
		return err
	}
	e.log = len(e.server.Output())
	var err error
	e.known, err = e.refusals(ctx)
	return err
}

func (e *ourGateway) setUp(ctx context.Context, s setup) error {
	if err := e.writeFiles(s); err != nil {
		return err
	}
	if e.server == nil {
		switch err := e.start(ctx); {
		case err == nil && s.auth == authPSK:
			return e.addDevices(ctx)
		case err == nil && s.auth.password():
			return e.addUsers(ctx)
		default:
			return err
		}
	}
	if err := e.kickAll(ctx); err != nil {
		return err
	}
	if s.revoked && s.auth.password() {
		if _, err := e.sallyport(ctx, "user", "revoke", "carol"); err != nil {
			return err
		}
	} else if s.revoked {
		if _, err := e.sallyport(ctx, "device", "revoke", "bob"); err != nil {
			return err
		}
	}
	_, err := e.sallyport(ctx, "reload")
	return err
}

// addDevices gives the clients of a lane their pre-shared keys.
func (e *ourGateway) addDevices(ctx context.Context) error {
	if _, err := e.sallyport(ctx, "user", "add", "example.org"); err != nil {
		return err
	}
	for name, key := range map[string]string{"alice": keyOfAlice, "bob": keyOfBob} {
		if err := e.host.WriteFile(oursPSK, []byte(key), 0o600); err != nil {
			return err
		}
		if _, err := e.sallyport(ctx, "device", "add", name, "--user", "example.org", "--psk", "--psk-file", oursPSK, "--out", "/run/keys"); err != nil {
			return err
		}
	}
	return nil
}

// addUsers gives the clients of a lane their passwords.
func (e *ourGateway) addUsers(ctx context.Context) error {
	list := fmt.Sprintf("user,password\nalice,%s\ncarol,%s\n", keyOfAlice, keyOfBob)
	if err := e.host.WriteFile(oursUsers, []byte(list), 0o600); err != nil {
		return err
	}
	_, err := e.sallyport(ctx, "user", "import", oursUsers, "--format", "csv")
	return err
}

func (e *ourGateway) writeFiles(s setup) error {
	conf := fmt.Sprintf(`gateway: {name: %[1]s, state: /run/lib/sallyport}
zones:
  staff:
    policy: {ike: [%[2]s], esp: [%[3]s]}
    auth: [%[10]s]
    identity: {id: %[1]s, certificate: %[4]s, key: %[5]s}
    trust: {cas: [%[6]s], crls: [%[7]s], strict: false}
    pool: {ipv4: 10.60.0.0/24, ipv6: "fd00:60::/64"}
    routes: [10.9.0.0/24, "fd00:9::/64"]
    dpd: %[8]s
    sessions: 4
    waivers: [%[9]s]
logging: {level: debug}
`, s.gateway.id, s.gatewayIKE, s.gatewayESP, oursCert, oursKey, oursCA, oursCRL, ourDPD(s.gatewayDPD), ourWaivers(s), gatewayAuth(s))
	return errors.Join(
		e.host.WriteFile(oursConfig, []byte(conf), 0o600),
		e.host.WriteFile(oursCert, labtest.CertPEM(s.gateway.chain...), 0o644),
		e.host.WriteFile(oursKey, labtest.KeyPEM(s.gateway.key), 0o600),
		e.host.WriteFile(oursCA, labtest.CertPEM(s.gatewayTrusts.Cert), 0o644),
		e.host.WriteFile(oursCRL, s.crl, 0o644))
}

// gatewayAuth is what our gateway takes: another method where it is to refuse
// the client's.
func gatewayAuth(s setup) string {
	if s.refusesMethod {
		return "eap-tls, eap-ttls"
	}
	return ourAuth(s.auth)
}

func ourAuth(a auth) string {
	switch {
	case a == authPSK:
		return "psk"
	case a.password():
		return string(a)
	case a.eap():
		return "eap-tls"
	}
	return "certificate"
}

// ourWaivers are what this strongSwan (5.9.8) needs.
func ourWaivers(s setup) string {
	var waivers []string
	waive := func(rule, reason string) {
		waivers = append(waivers, fmt.Sprintf("{rule: %s, until: %s, owner: matrix, reason: %q}", rule, time.Now().AddDate(0, 0, 2).Format(time.DateOnly), reason))
	}
	if s.waiveSHA1 {
		waive("CRY-019", "strongSwan without RFC 7427")
	}
	if s.auth == authMSCHAPv2 && !s.refusesMethod {
		waive("PPP-005", "clients that know nothing else")
	}
	if s.auth.eap() {
		waive("PPP-017", "strongSwan's TLS 1.2 has no extended master secret")
	}
	return strings.Join(waivers, ", ")
}

func ourDPD(quick bool) string {
	if quick {
		return "10s" // the least that the configuration takes
	}
	return "10m"
}

func (e *ourGateway) start(ctx context.Context) (err error) {
	if _, err := e.sallyport(ctx, "init"); err != nil {
		return err
	}
	if e.server, err = e.host.Start(lab.Command{Program: e.program, Args: []string{"serve", "--config", oursConfig}}); err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var status struct{ Running bool }
		if err := e.ask(ctx, &status, "status"); err == nil && status.Running {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("sallyport serve does not come up:\n%s", e.server.Output())
		}
	}
}

func (e *ourGateway) sallyport(ctx context.Context, args ...string) (string, error) {
	return e.host.Run(ctx, e.program, append(args, "--config", oursConfig)...)
}

// ask runs a verb with --json and reads its report.
func (e *ourGateway) ask(ctx context.Context, into any, args ...string) error {
	var out bytes.Buffer // stdout alone: warnings go to stderr
	args = append(args, "--json", "--config", oursConfig)
	if _, err := e.host.RunCommand(ctx, lab.Command{Program: e.program, Args: args, Stdout: &out}); err != nil {
		return err
	}
	return json.Unmarshal(out.Bytes(), &struct {
		Data any `json:"data"`
	}{into})
}

// ourSession is what the matrix reads of sessions list --json.
type ourSession struct {
	ID       uint64
	SPI      string
	Remote   netip.AddrPort
	Client   string
	IKE      string
	Children []struct {
		SPIIn    string `json:"spi_in"`
		ESP      string
		Replaced bool
	}
}

func (e *ourGateway) sessions(ctx context.Context) (list []ourSession, err error) {
	return list, e.ask(ctx, &list, "sessions", "list")
}

func (e *ourGateway) kickAll(ctx context.Context) error {
	list, err := e.sessions(ctx)
	for _, s := range list {
		if _, e := e.sallyport(ctx, "sessions", "kick", fmt.Sprint(s.ID)); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (e *ourGateway) tunnel(ctx context.Context) (tunnel, error) {
	list, err := e.sessions(ctx)
	if err != nil {
		return tunnel{}, err
	}
	for _, s := range list {
		if s.Client != "strongSwan" && s.Client != "Sallyport" {
			return tunnel{}, fmt.Errorf("the gateway does not know the client: it lists %q", s.Client)
		}
		for _, c := range s.Children {
			if !c.Replaced {
				return tunnel{up: true, ike: s.SPI, child: c.SPIIn, ikeSuite: ourSuite(s.IKE), espSuite: ourSuite(c.ESP), remote: s.Remote}, nil
			}
		}
	}
	return tunnel{}, nil
}

// ourSuite takes away what goes without saying in cases.txt.
func ourSuite(keywords string) string {
	for _, hash := range []string{"sha256", "sha384", "sha512"} {
		keywords = strings.Replace(keywords, "-"+hash+"-prf"+hash, "-"+hash, 1)
	}
	return strings.TrimSuffix(strings.TrimSuffix(keywords, "-esn"), "-noesn")
}

func (e *ourGateway) rekeyChild(ctx context.Context) error { return e.rekey(ctx) }
func (e *ourGateway) rekeyIKE(ctx context.Context) error   { return e.rekey(ctx, "--ike") }

func (e *ourGateway) rekey(ctx context.Context, flags ...string) error {
	list, err := e.sessions(ctx)
	if err != nil || len(list) != 1 {
		return fmt.Errorf("want one session, have %v, %v", list, err)
	}
	_, err = e.sallyport(ctx, append([]string{"sessions", "rekey", fmt.Sprint(list[0].ID)}, flags...)...)
	return err
}

// refusals are those that status tells of. One that comes again has another
// count and time.
func (e *ourGateway) refusals(ctx context.Context) (list []string, err error) {
	var status struct{ Refusals []gateway.Refusal }
	err = e.ask(ctx, &status, "status")
	for _, r := range status.Refusals {
		list = append(list, fmt.Sprintf("%+v", r))
	}
	return list, err
}

// account is the server's log of the case and the refusals since it began.
func (e *ourGateway) account() string {
	list, err := e.refusals(context.Background())
	if err != nil {
		return err.Error()
	}
	list = slices.DeleteFunc(list, func(r string) bool { return slices.Contains(e.known, r) })
	log := e.server.Output()
	return log[min(e.log, len(log)):] + "\n" + strings.Join(list, "\n")
}

func (e *ourGateway) close() {
	if e.server != nil {
		e.server.Stop()
	}
}

// ourClient is "sallyport connect" with a profile made for the case.
type ourClient struct {
	host    *lab.Host
	program string
	process *lab.Process
	reports *reports
}

// ourReport is one line of connect --json.
type ourReport struct {
	State, Message, IKE, ESP, Remote string
	SPI                              string
	SPIIn                            string `json:"spi_in"`
}

func (e *ourClient) connect(ctx context.Context, s setup) error {
	if err := e.disconnect(ctx); err != nil {
		return err
	}
	if err := e.writeFiles(s); err != nil {
		return err
	}
	e.reports = &reports{}
	var err error
	e.process, err = e.host.Start(lab.Command{
		Program: e.program, Args: []string{"connect", oursProfile, "--json", "--once", "--verbose"}, Output: e.reports,
	})
	if err != nil {
		return err
	}
	for {
		if e.reports.last().State == "connected" {
			return nil
		}
		select {
		case <-e.process.Done():
			return fmt.Errorf("sallyport connect ended: %s", e.process.Output())
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", ctx.Err(), e.process.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (e *ourClient) writeFiles(s setup) error {
	profile := fmt.Sprintf(`device: matrix
remote: "%s"
identity: %s
remote_id: %s
ike: [%s]
esp: [%s]
routes: [10.9.0.0/24, "fd00:9::/64"]
ipv4: true
ipv6: true
mobike: true
auth: %s
eap_identity: "%s"
accept_no_ems: %v
force_encapsulation: true
dpd: %s
`, s.gatewayAddr, s.client.id, s.gatewayName, s.ike, s.esp, ourAuth(s.auth), s.eapIdentity, s.auth.eap(), clientDPD(s.clientDPD))
	if s.auth == authPSK {
		return errors.Join(
			e.host.WriteFile(oursProfile, []byte(profile+"psk: "+oursPSK+"\n"), 0o600),
			e.host.WriteFile(oursPSK, []byte(s.psk+"\n"), 0o600))
	}
	profile += fmt.Sprintf("ca: %s\ncertificate: %s\nkey: %s\ncrl: %s\n", oursCA, oursCert, oursKey, oursCRL)
	return errors.Join(
		e.host.WriteFile(oursProfile, []byte(profile), 0o600),
		e.host.WriteFile(oursCert, labtest.CertPEM(s.client.chain...), 0o644),
		e.host.WriteFile(oursKey, labtest.KeyPEM(s.client.key), 0o600),
		e.host.WriteFile(oursCA, labtest.CertPEM(s.clientTrusts.Cert), 0o644),
		e.host.WriteFile(oursCRL, s.crl, 0o644))
}

func clientDPD(quick bool) string {
	if quick {
		return "2s"
	}
	return "10m"
}

func (e *ourClient) disconnect(context.Context) error {
	if e.process != nil {
		e.process.Stop()
		e.process = nil
	}
	return nil
}

func (e *ourClient) tunnel(context.Context) (tunnel, error) {
	if e.process == nil {
		return tunnel{}, nil
	}
	select {
	case <-e.process.Done():
		return tunnel{}, nil
	default:
	}
	r := e.reports.last()
	switch r.State {
	case "connected", "moved", "rekeyed":
	default:
		return tunnel{}, nil
	}
	up := e.reports.merged()
	remote, _ := netip.ParseAddrPort(up.Remote)
	return tunnel{up: true, ike: up.SPI, child: up.SPIIn, ikeSuite: ourSuite(up.IKE), espSuite: ourSuite(up.ESP), remote: remote}, nil
}

func (e *ourClient) rekeyChild(context.Context) error { return e.process.Signal(syscall.SIGUSR1) }
func (e *ourClient) rekeyIKE(context.Context) error   { return e.process.Signal(syscall.SIGUSR2) }

func (e *ourClient) account() string {
	if e.process == nil {
		return ""
	}
	return e.process.Output()
}

func (e *ourClient) close() { e.disconnect(context.Background()) }

// reports collects the JSON lines that connect writes, between lines of talk.
type reports struct {
	mu   sync.Mutex
	rest []byte
	list []ourReport
}

func (r *reports) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = append(r.rest, b...)
	for {
		line, rest, ok := bytes.Cut(r.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		r.rest = rest
		var document struct{ Data ourReport }
		if json.Unmarshal(line, &document) == nil && document.Data.State != "" {
			r.list = append(r.list, document.Data)
		}
	}
}

func (r *reports) last() ourReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return ourReport{}
	}
	return r.list[len(r.list)-1]
}

// merged is what all reports together say: a later one names only what changed.
func (r *reports) merged() (sum ourReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.list {
		for _, field := range []struct{ to, from *string }{
			{&sum.IKE, &one.IKE}, {&sum.ESP, &one.ESP}, {&sum.Remote, &one.Remote}, {&sum.SPI, &one.SPI}, {&sum.SPIIn, &one.SPIIn},
		} {
			if *field.from != "" {
				*field.to = *field.from
			}
		}
	}
	return sum
}
