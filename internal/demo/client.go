package demo

import (
	"fmt"
	"path"
	"strings"

	"sallyport/internal/lab"
)

// client is the software that the demo's laptop runs.
type client interface {
	// connect brings the tunnel up; it may return before it is.
	connect(s *show) error
	// refused tells how another connection attempt ends: the reason in the
	// client's own words, or an error when the gateway lets it in.
	refused(s *show) (string, error)
}

// home is where the laptop keeps its profile, in memory.
const home = "/run/home/alice"

// ownClient is Sallyport's own IKEv2 client.
type ownClient struct{ process *lab.Process }

func (c *ownClient) connect(s *show) error { return c.start(s) }

func (c *ownClient) start(s *show, flags ...string) (err error) {
	args := append([]string{"connect", path.Join(home, device+".yaml")}, flags...)
	s.note("laptop$ sallyport %s", strings.Join(args, " "))
	c.process, err = s.client.Start(lab.Command{Program: s.Program, Args: args})
	return err
}

func (c *ownClient) refused(s *show) (string, error) {
	c.process.Stop()
	if err := c.start(s, "--once"); err != nil {
		return "", err
	}
	if err := c.process.Wait(s.ctx); err == nil || s.ctx.Err() != nil {
		return "", fmt.Errorf("demo: the revoked device was not refused:\n%s", c.process.Output())
	}
	return strings.TrimSpace(c.process.Output()), nil
}

// swanClient is strongSwan, configured by the swanctl profile.
type swanClient struct{ daemon *lab.StrongSwan }

func (c *swanClient) connect(s *show) (err error) {
	if c.daemon, err = s.client.StartStrongSwan(s.ctx); err != nil {
		return err
	}
	files, err := s.swanFiles()
	if err != nil {
		return err
	}
	if err := c.daemon.Load(s.ctx, files); err != nil {
		return err
	}
	s.note("laptop$ swanctl --load-all && swanctl --initiate --child sallyport-%s", device)
	_, err = c.daemon.Initiate(s.ctx, "sallyport-"+device)
	return err
}

// swanFiles sorts the profile's files into the directories of swanctl.
func (s *show) swanFiles() (lab.SwanFiles, error) {
	files := lab.SwanFiles{X509: map[string][]byte{}, X509CA: map[string][]byte{}, Private: map[string][]byte{}}
	for name, into := range map[string]map[string][]byte{device + ".crt": files.X509, "sallyport-ca.crt": files.X509CA, device + ".key": files.Private} {
		data, err := s.client.ReadFile(path.Join(home, name))
		if err != nil {
			return files, err
		}
		into[name] = data
	}
	conf, err := s.client.ReadFile(path.Join(home, "sallyport-"+device+".conf"))
	files.Conf = string(conf)
	return files, err
}

func (c *swanClient) refused(s *show) (string, error) {
	out, err := c.daemon.Initiate(s.ctx, "sallyport-"+device)
	if err == nil {
		return "", fmt.Errorf("demo: the revoked device was not refused:\n%s", out)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "AUTHENTICATION_FAILED") {
			return strings.TrimSpace(line), nil
		}
	}
	return strings.TrimSpace(out), nil
}
