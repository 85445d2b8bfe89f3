package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"strings"
	"time"
)

// StrongSwan is a charon daemon on a host, alone with its own /run and
// /etc/swanctl. ESP runs in user space (kernel-libipsec, TUN device ipsec0),
// so that the kernel needs no IPsec.
type StrongSwan struct {
	Host *Host

	proc *Process
	log  int // length of the log at the last MarkLog
}

// SwanFiles is everything a daemon is configured with. File names are free;
// swanctl.conf refers to certificates and keys by them.
type SwanFiles struct {
	Conf    string            // swanctl.conf
	X509    map[string][]byte // end-entity certificates, PEM or DER
	X509CA  map[string][]byte
	X509CRL map[string][]byte
	Private map[string][]byte // private keys of any kind, PKCS#1, PKCS#8 or SEC 1
}

const (
	swanDir     = "/etc/swanctl"
	swanLog     = "/run/charon.log"
	swanVici    = "/run/charon.vici"
	swanOptions = "/run/strongswan.conf"

	// swanReady bounds the wait for a daemon that has just been started.
	swanReady = 10 * time.Second
)

// swanConf loads plugins by name, because the default set probes hardware and
// databases; kernel-libipsec must come before kernel-netlink to be the one
// that handles ESP.
const swanConf = `charon-systemd {
	load_modular = no
	load = random nonce openssl curve25519 pem pkcs1 pkcs8 x509 revocation constraints pubkey sha1 sha2 aes gcm hmac kdf kernel-libipsec kernel-netlink socket-default eap-identity eap-tls eap-ttls eap-mschapv2 vici
	filelog {
		lab {
			path = /run/charon.log
			default = 1
			ike = 2
			knl = 1
			esp = 1
			flush_line = yes
			time_format = %%H:%%M:%%S
		}
	}
	%s
}
`

// StartStrongSwan starts a daemon with no connection configured. options are
// further lines for the daemon's section of strongswan.conf.
func (h *Host) StartStrongSwan(ctx context.Context, options ...string) (*StrongSwan, error) {
	if err := Missing("charon-systemd", "swanctl"); err != nil {
		return nil, err
	}
	if err := h.Mount(swanDir); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(swanConf, strings.Join(options, "\n\t"))
	if err := h.WriteFile(swanOptions, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	proc, err := h.Start(Command{Program: "charon-systemd", Env: []string{"STRONGSWAN_CONF=" + swanOptions}})
	if err != nil {
		return nil, err
	}
	s := &StrongSwan{Host: h, proc: proc}
	if err := s.awaitReady(ctx); err != nil {
		proc.Stop()
		return nil, err
	}
	return s, nil
}

func (s *StrongSwan) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, swanReady)
	defer cancel()
	for {
		err := s.Host.Do(func() error {
			c, err := net.Dial("unix", swanVici)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err == nil {
			return nil
		}
		select {
		case <-s.proc.Done():
			return fmt.Errorf("lab: %s: charon-systemd ended: %v\n%s\n%s", s.Host.Name, s.proc.err, s.proc.Output(), s.Log())
		case <-ctx.Done():
			return fmt.Errorf("lab: %s: charon-systemd does not answer on %s: %w\n%s", s.Host.Name, swanVici, err, s.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Load replaces the daemon's whole configuration: connections, certificates,
// keys and CRLs. Established tunnels stay.
func (s *StrongSwan) Load(ctx context.Context, files SwanFiles) error {
	err := s.Host.Do(func() error {
		return errors.Join(
			os.WriteFile(path.Join(swanDir, "swanctl.conf"), []byte(files.Conf), 0o600),
			replaceDir("x509", files.X509),
			replaceDir("x509ca", files.X509CA),
			replaceDir("x509crl", files.X509CRL),
			replaceDir("private", files.Private),
			// swanctl complains of each directory it does not find.
			replaceDir("x509ocsp", nil), replaceDir("x509aa", nil), replaceDir("x509ac", nil),
			replaceDir("pubkey", nil), replaceDir("rsa", nil), replaceDir("ecdsa", nil),
			replaceDir("bliss", nil), replaceDir("pkcs8", nil), replaceDir("pkcs12", nil))
	})
	if err != nil {
		return err
	}
	// A CRL stays in the credential cache after its file is gone.
	if _, err := s.swanctl(ctx, "--flush-certs"); err != nil {
		return err
	}
	_, err = s.swanctl(ctx, "--load-all", "--clear", "--noprompt")
	return err
}

func replaceDir(name string, files map[string][]byte) error {
	dir := path.Join(swanDir, name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for file, data := range files {
		if err := os.WriteFile(path.Join(dir, file), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Initiate sets up a child (and its IKE SA when there is none) and waits for
// it. The returned text is the daemon's account of the exchange.
func (s *StrongSwan) Initiate(ctx context.Context, child string) (string, error) {
	return s.swanctl(ctx, "--initiate", "--child", child, "--timeout", "20")
}

// Terminate closes an IKE SA by its connection's name, with a DELETE.
func (s *StrongSwan) Terminate(ctx context.Context, ike string) error {
	_, err := s.swanctl(ctx, "--terminate", "--ike", ike, "--timeout", "5")
	return err
}

// Forget drops an IKE SA without telling the peer.
func (s *StrongSwan) Forget(ctx context.Context, ike string) error {
	_, err := s.swanctl(ctx, "--terminate", "--ike", ike, "--force", "--timeout", "1")
	return err
}

// RekeyChild starts the rekeying of a child by its name; it does not wait.
func (s *StrongSwan) RekeyChild(ctx context.Context, child string) error {
	_, err := s.swanctl(ctx, "--rekey", "--child", child)
	return err
}

// RekeyIKE starts the rekeying of an IKE SA by its connection's name.
func (s *StrongSwan) RekeyIKE(ctx context.Context, ike string) error {
	_, err := s.swanctl(ctx, "--rekey", "--ike", ike)
	return err
}

// Reauthenticate starts a new IKE SA in place of one, by its connection's name;
// it does not wait.
func (s *StrongSwan) Reauthenticate(ctx context.Context, ike string) error {
	_, err := s.swanctl(ctx, "--rekey", "--ike", ike, "--reauth")
	return err
}

// SAs lists the daemon's IKE SAs and their children.
func (s *StrongSwan) SAs(ctx context.Context) ([]SwanSA, error) {
	out, err := s.swanctl(ctx, "--list-sas", "--raw", "--pretty")
	if err != nil {
		return nil, err
	}
	return parseSAs(out)
}

// AwaitSAs waits until the list of SAs satisfies want, and returns it.
func (s *StrongSwan) AwaitSAs(ctx context.Context, want func([]SwanSA) bool) ([]SwanSA, error) {
	for {
		sas, err := s.SAs(ctx)
		if err != nil {
			return nil, err
		}
		if want(sas) {
			return sas, nil
		}
		select {
		case <-ctx.Done():
			return sas, fmt.Errorf("lab: %s: the SAs did not become as awaited: %w\nthey are %+v", s.Host.Name, ctx.Err(), sas)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Log is the daemon's log since it started.
func (s *StrongSwan) Log() string {
	data, err := s.Host.ReadFile(swanLog)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// MarkLog makes the present end of the log the place where LogSince starts.
func (s *StrongSwan) MarkLog() { s.log = len(s.Log()) }

// LogSince is the daemon's log since MarkLog.
func (s *StrongSwan) LogSince() string {
	text := s.Log()
	return text[min(s.log, len(text)):]
}

// Process is the daemon itself, for a case that kills it.
func (s *StrongSwan) Process() *Process { return s.proc }

// Stop ends the daemon; it sends DELETE for what is established.
func (s *StrongSwan) Stop() { s.proc.Stop() }

func (s *StrongSwan) swanctl(ctx context.Context, args ...string) (string, error) {
	return s.Host.RunCommand(ctx, Command{
		Program: "swanctl", Args: args,
		Env: []string{"STRONGSWAN_CONF=" + swanOptions},
	})
}
