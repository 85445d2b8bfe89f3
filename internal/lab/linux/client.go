package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/internal/lab"
)

// Client is an L2TP/IPsec connection as a person would configure it with
// strongSwan, xl2tpd and pppd. Only Server and one of Key and PSK must be set.
type Client struct {
	Server netip.Addr

	// Phase 1: an RSA machine certificate, or a secret that is shared.
	CA, Cert, Key []byte // PEM: the authority of the server, and what the machine shows
	PSK           string
	ID            string // ours; empty: the certificate's subject, or the address
	ServerID      string // empty: any that the authority vouches for
	IKE           string // proposals in strongSwan's words; empty: aes256-sha256-modp2048
	ESP           string // empty: aes256-sha256

	Encap       bool          // behave as if there were a NAT on the way
	Fragments   bool          // IKE fragments; strongSwan's own choice is yes, and other clients have none
	IKELife     time.Duration // phase 1; 0: 3 h
	ESPLife     time.Duration // phase 2; 0: 1 h. Both are renewed a fifth of the shorter before their end
	DPD         time.Duration // how often the server is asked for life; 0: never
	MoreIPsec   []string      // further lines for the connection in ipsec.conf
	LogIPsecAll bool          // also the keys, as Secrets needs them

	// L2TP.
	Port      uint16   // UDP source port; 0: 1701
	MoreL2TP  []string // further lines for the lac section of xl2tpd.conf
	Userspace bool     // let xl2tpd carry the packets, and not the kernel

	// PPP: EAP-TLS with a user's certificate, or a password.
	User     string
	EAP      *EAPTLS  // nil: EAP is refused
	Password string   // for the methods that are not refused
	Refuse   []string // of pap, chap, mschap and mschap-v2
	MRU, MTU int      // 0: 1400
	DNS      bool     // ask for name servers; they end in /etc/ppp/resolv.conf
	IPv6     bool
	CCP      bool           // negotiate compression and MPPE, as pppd does by itself
	Echo     time.Duration  // LCP echo; three without an answer end the link; 0: none
	Routes   []netip.Prefix // what goes through the tunnel
	MorePPP  []string       // further options for pppd
}

// EAPTLS is what a user proves herself with, PEM.
type EAPTLS struct {
	CA, Cert, Key []byte
	Server        string // the name of the server in its certificate
	MaxTLS        string // empty: 1.2, as pppd itself has it
}

// VPN is a configured connection of a guest.
type VPN struct {
	Guest *Guest

	c       Client
	charon  *Daemon
	l2tp    *Daemon
	pppMark int // where the log of the present attempt begins
	tunMark int
}

// Link is a PPP link that is up.
type Link struct {
	Local, Peer netip.Addr
	LinkLocal   netip.Addr // IPv6; invalid without
	MTU         int
	DNS         []netip.Addr
}

const (
	connection = "lab" // in ipsec.conf and xl2tpd.conf
	pppDevice  = "ppp0"

	charonLog = "/run/log/charon.log"
	l2tpLog   = "/run/log/xl2tpd.log"
	pppLog    = "/run/log/pppd.log"
	control   = "/run/xl2tpd/l2tp-control"

	// charonPatience bounds the start of strongSwan: half a second without
	// other work.
	charonPatience = 30 * time.Second

	// logPatience bounds the reading of logs, also from a guest that is stuck.
	logPatience = 5 * time.Second
)

// Configure writes the files of a connection and starts strongSwan and xl2tpd
// with them. Nothing is sent yet.
func (g *Guest) Configure(ctx context.Context, c Client) (*VPN, error) {
	if !c.Server.Is4() {
		return nil, fmt.Errorf("linux: %s: L2TP of this client needs an IPv4 server, not %v", g.Name, c.Server)
	}
	if err := g.writeFiles(ctx, append(c.ipsecFiles(), c.pppFiles()...)); err != nil {
		return nil, err
	}
	charon, l2tp, err := g.startDaemons(ctx)
	return &VPN{Guest: g, c: c, charon: charon, l2tp: l2tp}, err
}

func (g *Guest) writeFiles(ctx context.Context, files []file) error {
	// Those of a daemon that ran before would be taken for the new one's.
	files = append(files, file{charonLog, ""}, file{l2tpLog, ""}, file{pppLog, ""}, file{"/run/xl2tpd/pid", ""})
	for _, f := range files {
		if err := g.WriteFile(ctx, f.name, []byte(f.text), f.mode()); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guest) startDaemons(ctx context.Context) (charon, l2tp *Daemon, err error) {
	if charon, err = g.startCharon(ctx); err != nil {
		return nil, nil, err
	}
	l2tp, err = g.startL2TPD(ctx)
	return charon, l2tp, err
}

// startCharon runs strongSwan with the files of ipsec.conf, and waits until it
// can be asked for something.
func (g *Guest) startCharon(ctx context.Context) (*Daemon, error) {
	d, err := g.Start(ctx, Command{Program: "ipsec", Args: []string{"start", "--nofork"}, Env: swanEnv, Log: "/run/log/starter.log"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, charonPatience)
	defer cancel()
	// The starter loads the connections when charon runs, and says nothing.
	if _, err = g.Await(ctx, charonLog, "added configuration '"+connection+"'"); err != nil {
		talk, _ := d.Log(ctx)
		return nil, fmt.Errorf("%w\nthe starter: %s", err, talk)
	}
	return d, nil
}

var swanEnv = []string{"STRONGSWAN_CONF=" + swanConf}

func (g *Guest) startL2TPD(ctx context.Context) (*Daemon, error) {
	d, err := g.Start(ctx, Command{Program: "xl2tpd", Log: l2tpLog,
		Args: []string{"-D", "-c", l2tpConf, "-s", "/etc/ppp/l2tp-secrets", "-p", "/run/xl2tpd/pid", "-C", control}})
	if err != nil {
		return nil, err
	}
	_, err = g.Await(ctx, l2tpLog, "Listening on IP address")
	return d, err
}

// Up brings the connection up: IPsec, then L2TP and PPP, then the routes. A
// failure's error has the ends of the logs.
func (v *VPN) Up(ctx context.Context) (Link, error) {
	if _, err := v.UpIPsec(ctx); err != nil {
		return Link{}, err
	}
	return v.Dial(ctx)
}

// UpIPsec sets up phase 1 and phase 2, and returns strongSwan's account of it.
func (v *VPN) UpIPsec(ctx context.Context) (string, error) {
	out, err := v.ipsec(ctx, "up", connection)
	if err == nil && !strings.Contains(out, "established successfully") {
		err = fmt.Errorf("linux: %s: ipsec up: no success\n%s", v.Guest.Name, out)
	}
	return out, err
}

// DownIPsec deletes the phase 2 SAs and then the phase 1 SA, and tells the
// server so.
func (v *VPN) DownIPsec(ctx context.Context) error {
	_, err := v.ipsec(ctx, "down", connection)
	return err
}

// RekeyESP renews the phase 2 SA by a new quick mode, and waits for it.
func (v *VPN) RekeyESP(ctx context.Context) error {
	return v.renew(ctx, connection+"{*}", "CHILD_SA "+connection+"{")
}

// RekeyIKE renews the phase 1 SA by a new main mode, and waits for it.
func (v *VPN) RekeyIKE(ctx context.Context) error {
	return v.renew(ctx, connection+"[*]", "IKE_SA "+connection+"[")
}

// renew orders a rekey and waits until strongSwan says that one more of them
// is established.
func (v *VPN) renew(ctx context.Context, which, what string) error {
	log, err := v.IKELog(ctx)
	if err != nil {
		return err
	}
	if _, err := v.ipsec(ctx, "stroke", "rekey", which); err != nil {
		return err
	}
	_, err = awaitSA.On(ctx, v.Guest, saArg{len(log), what})
	return err
}

// Dial brings up L2TP and PPP. Without IPsec it does so in the clear, which no
// server should answer.
func (v *VPN) Dial(ctx context.Context) (Link, error) {
	if err := v.Call(ctx); err != nil {
		return Link{}, err
	}
	return v.AwaitLink(ctx)
}

// Call asks xl2tpd to bring up L2TP and PPP, and does not wait for it. It waits
// for the pppd of an earlier call to end, which would hold the device and whose
// last words would be taken for those of the new one.
func (v *VPN) Call(ctx context.Context) error {
	if _, err := awaitNoPPPD.On(ctx, v.Guest, struct{}{}); err != nil {
		return err
	}
	ppp, err := v.PPPLog(ctx)
	if err != nil {
		return err
	}
	tunnel, err := v.L2TPLog(ctx)
	if err != nil {
		return err
	}
	v.pppMark, v.tunMark = len(ppp), len(tunnel)
	// What carries the tunnel must not go into it.
	if slices.ContainsFunc(v.c.Routes, func(r netip.Prefix) bool { return r.Contains(v.c.Server) }) {
		if err := v.routeAround(ctx); err != nil {
			return err
		}
	}
	return v.order(ctx, "connect-lac")
}

// AwaitLink waits until PPP has an address and its routes. It fails at once when
// pppd or the tunnel ends.
func (v *VPN) AwaitLink(ctx context.Context) (Link, error) {
	return awaitLink.On(ctx, v.Guest, linkArg{v.pppMark, v.tunMark, v.c.IPv6, v.c.DNS, v.c.Routes})
}

// AwaitIPv6 waits for a global address that a router announced on the link.
func (v *VPN) AwaitIPv6(ctx context.Context) (netip.Addr, error) {
	return awaitIPv6.On(ctx, v.Guest, struct{}{})
}

// routeAround keeps the way to the server when the rest goes into the tunnel.
func (v *VPN) routeAround(ctx context.Context) error {
	_, err := routeAround.On(ctx, v.Guest, v.c.Server)
	return err
}

// Hangup ends PPP and L2TP; IPsec stays. It returns when the link is gone.
func (v *VPN) Hangup(ctx context.Context) error {
	if err := v.order(ctx, "disconnect-lac"); err != nil {
		return err
	}
	return v.AwaitDown(ctx)
}

// Down ends everything, as a person does who disconnects.
func (v *VPN) Down(ctx context.Context) error { return errors.Join(v.Hangup(ctx), v.DownIPsec(ctx)) }

// AwaitDown waits until the PPP link is gone, whoever ended it.
func (v *VPN) AwaitDown(ctx context.Context) error {
	_, err := awaitDown.On(ctx, v.Guest, struct{}{})
	return err
}

// Stop ends the daemons: strongSwan says its goodbyes. Configure may be called
// again after it.
func (v *VPN) Stop(ctx context.Context) error {
	return errors.Join(v.l2tp.Stop(ctx), v.charon.Stop(ctx))
}

// Status is what ipsec statusall says.
func (v *VPN) Status(ctx context.Context) (string, error) { return v.ipsec(ctx, "statusall") }

// IKELog is strongSwan's log since the guest booted.
func (v *VPN) IKELog(ctx context.Context) (string, error) { return v.Guest.ReadText(ctx, charonLog) }

// L2TPLog is xl2tpd's log.
func (v *VPN) L2TPLog(ctx context.Context) (string, error) { return v.Guest.ReadText(ctx, l2tpLog) }

// PPPLog is pppd's log, with every packet of the negotiations.
func (v *VPN) PPPLog(ctx context.Context) (string, error) { return v.Guest.ReadText(ctx, pppLog) }

// Logs are the ends of all logs of a guest, client or server, for a test that
// fails.
func Logs(ctx context.Context, g *Guest) string {
	ctx, cancel := context.WithTimeout(ctx, logPatience)
	defer cancel()
	var b strings.Builder
	for _, f := range []string{charonLog, l2tpLog, pppLog} {
		text, err := g.ReadText(ctx, f)
		if err != nil {
			text = err.Error()
		}
		fmt.Fprintf(&b, "--- %s %s\n%s\n", g.Name, f, lastLines([]byte(text), 60))
	}
	return b.String()
}

// Secrets are the keys of phase 1 and of the ESP SAs that the kernel has now,
// for [lab.Decode]. The phase 1 keys need LogIPsecAll.
func (v *VPN) Secrets(ctx context.Context) (lab.Secrets, error) {
	log, err := v.IKELog(ctx)
	if err != nil {
		return lab.Secrets{}, err
	}
	sas, err := v.Guest.Run(ctx, "ip", "-d", "xfrm", "state")
	if err != nil {
		return lab.Secrets{}, err
	}
	esp, err := espSecrets(sas)
	return lab.Secrets{IKEv1: ikeSecrets(log), ESP: esp}, err
}

func (v *VPN) ipsec(ctx context.Context, args ...string) (string, error) {
	r, err := v.Guest.RunCommand(ctx, Command{Program: "ipsec", Args: args, Env: swanEnv})
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("linux: %s: ipsec %s: exit code %d\n%s", v.Guest.Name, strings.Join(args, " "), r.Exit, r.Output)
	}
	return r.Output, err
}

func (v *VPN) order(ctx context.Context, what string) error {
	_, err := v.Guest.Run(ctx, "xl2tpd-control", "-c", control, what, connection)
	return err
}
