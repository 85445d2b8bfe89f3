package main

import (
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime/pprof"
	"strings"
	"syscall"

	"golang.org/x/crypto/curve25519"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"sallyport/dataplane"
	"sallyport/dataplane/userspace"
	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// mtu of the TUN devices, the same for every contestant.
const mtu = 1400

// runEnd is one end of a tunnel: "end KIND SIDE [flags]".
func runEnd(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("end needs a kind and a side")
	}
	kind, side := args[0], args[1]
	fs := flag.NewFlagSet("end", flag.ContinueOnError)
	profile := fs.String("profile", "", "write a CPU profile")
	noOffload := fs.Bool("no-offload", false, "")
	if err := fs.Parse(args[2:]); err != nil {
		return err
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var stop func()
	var err error
	switch kind {
	case "wireguard":
		stop, err = wireguardEnd(side)
	case "sallyport", "sallyport-l2tp", "sallyport-cbc", "sallyport-l2tp-cbc":
		stop, err = sallyportEnd(side, strings.HasSuffix(kind, "cbc"), strings.HasPrefix(kind, "sallyport-l2tp"), *noOffload)
	default:
		err = fmt.Errorf("unknown kind %q", kind)
	}
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println("ready")
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	return nil
}

// ends are our inner and outer address and the peer's.
func ends(side string) (inner, peerInner, outer, peerOuter string) {
	if side == "a" {
		return innerA, innerB, outerA, outerB
	}
	return innerB, innerA, outerB, outerA
}

func host(s string) netip.Prefix { return netip.PrefixFrom(netip.MustParseAddr(s), 32) }

func setUp(name, inner, peer string) error {
	return userspace.SetUp(name, mtu, []netip.Prefix{host(inner)}, []netip.Prefix{host(peer)})
}

// key is a fixed key: this traffic is worth nothing.
func key(seed byte, n int) secret.Bytes {
	k := make(secret.Bytes, n)
	for i := range k {
		k[i] = seed + byte(i)*7
	}
	return k
}

// Suites of our ends: what is fastest, and what L2TP clients mostly have. IKEv1
// has no extended sequence numbers here, so L2TP does without.
var (
	gcm = suite.ESP{Encr: suite.Transform{Type: suite.Encr, ID: 20, KeyBits: 256}}                                                    // AES-256-GCM-16
	cbc = suite.ESP{Encr: suite.Transform{Type: suite.Encr, ID: 12, KeyBits: 256}, Integ: suite.Transform{Type: suite.Integ, ID: 12}} // AES-256-CBC, HMAC-SHA2-256-128
)

func sallyportEnd(side string, useCBC, l2tp, noOffload bool) (func(), error) {
	inner, peerInner, outer, peerOuter := ends(side)
	p, err := userspace.Open(userspace.Config{Name: "vpn0", MTU: mtu, NoTUNOffload: noOffload, NoUDPSegment: noOffload, NoUDPCoalesce: noOffload})
	if err != nil {
		return nil, err
	}
	if err := setUp(p.Name(), inner, peerInner); err != nil {
		return nil, err
	}
	// in and out name both directions: keys, SPIs, tunnels and sessions.
	in, out := uint16(1), uint16(2)
	if side == "b" {
		in, out = out, in
	}
	e := gcm
	if useCBC {
		e = cbc
	}
	e.ESN = !l2tp
	n, m := suite.CipherKeySizes(e.Encr, e.Integ)
	ts := func(s string) []ikemsg.TrafficSelector {
		a := netip.MustParseAddr(s)
		return []ikemsg.TrafficSelector{{EndPort: 65535, Start: a, End: a}}
	}
	sa := dataplane.ChildSA{
		SPIIn: 0x1110 + uint32(in), SPIOut: 0x1110 + uint32(out), Suite: e, KeyIn: key(byte(in), n+m), KeyOut: key(byte(out), n+m),
		Local:   netip.AddrPortFrom(netip.MustParseAddr(outer), 4500),
		Remote:  netip.AddrPortFrom(netip.MustParseAddr(peerOuter), 4500),
		TSLocal: ts(inner), TSRemote: ts(peerInner), Outbound: true,
	}
	if l2tp {
		sa.Call = &dataplane.Call{
			LocalPort: 1701, RemotePort: 1701, Tunnel: in, Session: in, PeerTunnel: out, PeerSession: out,
			MTU: mtu, Local: sa.TSLocal, Remote: sa.TSRemote,
		}
		sa.Transport, sa.TSLocal, sa.TSRemote = true, nil, nil
	}
	err = p.Apply(dataplane.Add{SA: sa})
	return func() { printCounters(side, p); p.Close() }, err
}

func printCounters(side string, p *userspace.Plane) {
	for _, c := range p.Counters() {
		if c.Value > 0 {
			fmt.Fprintf(os.Stderr, "end %s: %s %d\n", side, c.Name, c.Value)
		}
	}
}

func wireguardEnd(side string) (func(), error) {
	inner, peerInner, _, peerOuter := ends(side)
	t, err := tun.CreateTUN("vpn0", mtu)
	if err != nil {
		return nil, err
	}
	dev := device.NewDevice(t, conn.NewDefaultBind(), device.NewLogger(device.LogLevelError, ""))
	own, peer := key(10, 32), key(20, 32)
	if side == "b" {
		own, peer = peer, own
	}
	peerPublic, err := curve25519.X25519(peer, curve25519.Basepoint)
	if err != nil {
		return nil, err
	}
	err = dev.IpcSet(fmt.Sprintf("private_key=%s\nlisten_port=51820\npublic_key=%s\nendpoint=%s:51820\nallowed_ip=%s/32\n",
		hex.EncodeToString(own), hex.EncodeToString(peerPublic), peerOuter, peerInner))
	if err != nil {
		return nil, err
	}
	if err := dev.Up(); err != nil {
		return nil, err
	}
	return dev.Close, setUp("vpn0", inner, peerInner)
}
