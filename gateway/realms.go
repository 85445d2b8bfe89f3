package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sallyport/config"
	aaa "sallyport/gateway/radius"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/protocol/radius"
)

// The plan for an Access-Request: a client waits for a minute at the most, and
// a person for less. With three servers that are all down it ends after 24 s.
var loginPlan = radius.Plan{Initial: 2 * time.Second, Max: 8 * time.Second, Count: 3, Patience: 2, Duration: 24 * time.Second}

// servers are the RADIUS servers of one realm, as the gateway uses them.
type servers struct {
	config     *config.Realm
	identifier string
	login      *aaa.Client     // nil: users of its zones are the gateway's own
	accounting *aaa.Accounting // nil: no accounting
	collectors *aaa.Client     // of the accounting
	dynamic    *aaa.Dynamic    // nil: no Disconnect and CoA requests
	unnamed    sync.Once       // of a warning, see relay.nameOf
}

// openRealms opens the clients of all realms. Nothing is sent yet: a server that
// is down does not keep the gateway from starting.
func (g *Gateway) openRealms(cfg *config.Config) error {
	g.realms = make(map[string]*servers)
	for i := range cfg.RADIUS {
		r := &cfg.RADIUS[i]
		s, err := g.openServers(cfg, r)
		if err != nil {
			return fmt.Errorf("gateway: radius.%s: %w", r.Name, err)
		}
		g.realms[r.Name] = s
	}
	return nil
}

func (g *Gateway) openServers(cfg *config.Config, r *config.Realm) (_ *servers, err error) {
	s := &servers{config: r, identifier: r.Identifier}
	if s.identifier == "" {
		s.identifier = cfg.Gateway.Name
	}
	defer func() {
		if err != nil {
			s.close(context.Background())
		}
	}()
	if s.login, err = openClient(r.Servers, loginPlan, s.common(cfg), g.log); err != nil {
		return nil, err
	}
	if s.collectors, err = openClient(r.Accounting, radius.Plan{}, s.common(cfg), g.log); err != nil {
		return nil, err
	}
	if s.collectors != nil {
		file := filepath.Join(cfg.Gateway.State, "accounting-"+r.Name+".json")
		// Room for a Start and a Stop of every session while no server answers.
		room := 2 * cfg.Gateway.Limits.Sessions
		if s.accounting, err = aaa.OpenAccounting(aaa.AccountingConfig{Client: s.collectors, File: file, Capacity: room, Logger: g.log}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// listen begins to take requests of the realm's servers, once there are
// sessions that they could be about.
func (g *Gateway) listenDynamic(cfg *config.Config) error {
	for name, s := range g.realms {
		if !s.config.Dynamic.Listen.IsValid() {
			continue
		}
		var peers []radius.DynamicPeer
		for _, f := range s.config.Dynamic.From {
			key, err := readSecret(f.Secret)
			if err != nil {
				return err
			}
			peers = append(peers, radius.DynamicPeer{From: netip.PrefixFrom(f.Address, f.Address.BitLen()), Secret: key})
		}
		d, err := aaa.ListenDynamic(aaa.DynamicConfig{
			Listen:        s.config.Dynamic.Listen,
			DynamicConfig: radius.DynamicConfig{Peers: peers, Identifier: s.identifier, Addresses: append(addressesOf(cfg), s.config.Dynamic.Listen.Addr())},
			Handle:        func(c *radius.Change) radius.ErrorCause { return g.change(name, c) },
			Logger:        g.log,
		})
		if err != nil {
			return fmt.Errorf("gateway: radius.%s.dynamic: %w", name, err)
		}
		s.dynamic = d
	}
	return nil
}

// common names us in every request (RFC 2865, Section 4.1).
func (s *servers) common(cfg *config.Config) []radius.Attribute {
	return aaa.LocalAttributes(s.identifier, addressesOf(cfg)...)
}

// addressesOf is what we call ourselves beside the identifier.
func addressesOf(cfg *config.Config) []netip.Addr {
	if a, err := netip.ParseAddr(cfg.Gateway.Name); err == nil {
		return []netip.Addr{a}
	}
	return nil
}

// openClient is nil without servers.
func openClient(list []config.RADIUSServer, plan radius.Plan, common []radius.Attribute, log *slog.Logger) (*aaa.Client, error) {
	if len(list) == 0 {
		return nil, nil
	}
	c := aaa.Config{Plan: plan, Common: common, Logger: log}
	for _, s := range list {
		server, err := serverOf(s)
		if err != nil {
			return nil, err
		}
		c.Servers = append(c.Servers, server)
	}
	return aaa.Open(c)
}

func serverOf(s config.RADIUSServer) (out aaa.Server, err error) {
	out = aaa.Server{Address: s.Address, Status: s.Status}
	if s.TLS.CA == "" {
		out.Secret, err = readSecret(s.Secret)
		return out, err
	}
	out.TLS = &aaa.TLS{Name: s.TLS.Name}
	if out.TLS.Name == "" {
		out.TLS.Name, _, _ = net.SplitHostPort(s.Address)
	}
	if out.TLS.Certificate, err = tls.LoadX509KeyPair(s.TLS.Certificate, s.TLS.Key); err != nil {
		return out, err
	}
	trust := pki.Trust{Strict: s.TLS.CRL != ""}
	if trust.Roots, err = pki.LoadCertificates(s.TLS.CA); err != nil {
		return out, err
	}
	if s.TLS.CRL != "" {
		if trust.CRLs, err = pki.LoadCRLs(s.TLS.CRL); err != nil {
			return out, err
		}
	}
	out.TLS.Verifier, err = pki.NewVerifier(trust)
	return out, err
}

// maxSecretFile is more than any shared secret has, in octets.
const maxSecretFile = 4096

// readSecret takes the first line of a file that its owner alone can read.
func readSecret(path string) (secret.Bytes, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o077 != 0:
		return nil, &secretFileError{path, "may be read by others", "chmod 600 " + path}
	case info.Size() > maxSecretFile:
		return nil, &secretFileError{path, "is no file of a secret", "put the shared secret into it, on one line"}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	clear(text)
	return secret.Bytes(strings.TrimSpace(line)), nil
}

// secretFileError says what is wrong with a file that a secret lies in.
type secretFileError struct{ path, what, hint string }

func (e *secretFileError) Error() string { return e.path + " " + e.what }
func (e *secretFileError) Hint() string  { return e.hint }

// closeRealms ends all of them at the same time: each may wait for its servers.
func (g *Gateway) closeRealms(ctx context.Context) {
	done := make(chan struct{})
	for _, s := range g.realms {
		go func() {
			s.close(ctx)
			done <- struct{}{}
		}()
	}
	for range g.realms {
		<-done
	}
}

// close delivers or saves what accounting waits, and ends all.
func (s *servers) close(ctx context.Context) {
	if s.dynamic != nil {
		s.dynamic.Close()
	}
	if s.accounting != nil {
		ctx, cancel := context.WithTimeout(ctx, farewell)
		s.accounting.Close(ctx)
		cancel()
	}
	for _, c := range []*aaa.Client{s.login, s.collectors} {
		if c != nil {
			c.Close()
		}
	}
}

// judges are the servers that judge the EAP logins of a zone; nil: the gateway
// itself does.
func (g *Gateway) judges(z *zone) (*servers, error) {
	s, ok := g.realms[z.config.RADIUS]
	switch {
	case z.config.RADIUS == "", ok && s.login == nil:
		return nil, nil
	case !ok:
		return nil, refusal("restart the gateway", "the RADIUS servers %q were configured while it ran, which takes effect at its next start", z.config.RADIUS)
	}
	return s, nil
}

// interim is the time between two records of a session unless a login says
// otherwise; 0: none.
func (s *servers) interim() time.Duration {
	if s.accounting == nil {
		return 0
	}
	return s.config.Interim
}

// status tells of a realm.
func (s *servers) status() RealmStatus {
	r := RealmStatus{Name: s.config.Name, Servers: serverStatus(s.login), Collectors: serverStatus(s.collectors)}
	if s.accounting != nil {
		q := s.accounting.Status()
		r.Queue = &AccountingBacklog{Waiting: q.Waiting, Delivered: q.Delivered, Lost: q.Lost, Failing: q.Failing}
	}
	return r
}

func serverStatus(c *aaa.Client) (out []RADIUSServer) {
	if c == nil {
		return nil
	}
	for _, s := range c.Status() {
		r := RADIUSServer{Name: s.Name, Dead: s.Dead, Since: s.Since, Trouble: s.Trouble, Heard: s.Heard}
		for _, d := range radius.Drops() {
			if n := s.Drops[d]; n > 0 {
				if r.Drops == nil {
					r.Drops = make(map[string]uint64)
				}
				r.Drops[d.String()] = n
			}
		}
		out = append(out, r)
	}
	return out
}
