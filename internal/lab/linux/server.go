package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Server is an L2TP/IPsec server of strongSwan, xl2tpd and pppd, which insists
// on EAP-TLS: it shows what a client does when nothing of ours is at the other
// end.
type Server struct {
	CA, Cert, Key []byte // PEM: its machine certificate, and the authority of the machines
	PSK           string // instead
	IKE, ESP      string // as of Client

	Name                    string // in its certificate for EAP-TLS
	UserCA, EAPCert, EAPKey []byte
	Local, First, Last      netip.Addr // its own address in PPP, and the clients'
	DNS                     netip.Addr
}

// Service is a server that runs.
type Service struct{ charon, l2tp *Daemon }

// Serve starts the server on a guest.
func (g *Guest) Serve(ctx context.Context, s Server) (*Service, error) {
	if err := g.writeFiles(ctx, s.files()); err != nil {
		return nil, err
	}
	charon, l2tp, err := g.startDaemons(ctx)
	return &Service{charon, l2tp}, err
}

// Stop ends its daemons; Serve may be called again after it.
func (s *Service) Stop(ctx context.Context) error {
	return errors.Join(s.l2tp.Stop(ctx), s.charon.Stop(ctx))
}

func (s Server) files() []file {
	c := Client{CA: s.CA, Cert: s.Cert, Key: s.Key, PSK: s.PSK, IKE: s.IKE, ESP: s.ESP, Server: netip.IPv4Unspecified(), MoreIPsec: []string{
		"right=%any", "rightprotoport=17/%any",
	}}
	return append(c.ipsecFiles(),
		file{l2tpConf, fmt.Sprintf(serverL2TP, s.First, s.Last, s.Local, pppConf)},
		file{pppConf, fmt.Sprintf(serverPPP, pppLog, s.Name, s.DNS)},
		file{"/etc/ppp/options", ""},
		file{"/etc/ppp/l2tp-secrets", ""},
		file{"/etc/ppp/ca.pem", string(s.UserCA)},
		file{"/etc/ppp/server.pem", string(s.EAPCert)},
		file{"/etc/ppp/server.key", string(s.EAPKey)},
		file{"/etc/ppp/eaptls-server", fmt.Sprintf("* %q - /etc/ppp/server.pem /etc/ppp/ca.pem /etc/ppp/server.key *\n", s.Name)})
}

const serverL2TP = `[global]
port = 1701
access control = no
debug state = yes
debug tunnel = yes
[lns default]
ip range = %v-%v
local ip = %v
length bit = yes
pppoptfile = %s
`

const serverPPP = `debug
logfile %s
auth
require-eap
name %q
ca /etc/ppp/ca.pem
cert /etc/ppp/server.pem
key /etc/ppp/server.key
max-tls-version 1.2
ms-dns %v
noccp
+ipv6
lcp-restart 1
mtu 1400
mru 1400
`
