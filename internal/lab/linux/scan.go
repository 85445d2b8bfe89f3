package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Scan is what a guest learns of the ports of an address.
type Scan struct {
	Open   []uint16 // TCP: a connection came about; UDP: something came back
	Closed []uint16 // refused: a reset, or ICMP port unreachable
	Silent []uint16 // no answer in the time that was given; with UDP: perhaps open
}

// scanAtOnce bounds the sockets that a scan has open at once.
const scanAtOnce = 64

// Scan tries ports of an address from the guest, each for wait. The network is
// tcp or udp; with UDP, payload is sent to every port.
func (g *Guest) Scan(ctx context.Context, network string, dst netip.Addr, ports []uint16, payload []byte, wait time.Duration) (Scan, error) {
	return scan.On(ctx, g, scanArg{network, dst, ports, payload, wait})
}

type scanArg struct {
	Network string
	Dst     netip.Addr
	Ports   []uint16
	Payload []byte
	Wait    time.Duration
}

var scan = Inside("scan", func(ctx context.Context, a scanArg) (Scan, error) {
	var try func(context.Context, scanArg, uint16) error
	switch a.Network {
	case "tcp":
		try = tryTCP
	case "udp":
		try = tryUDP
	default:
		return Scan{}, fmt.Errorf("%q is neither tcp nor udp", a.Network)
	}
	var s Scan
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, scanAtOnce)
	for _, port := range a.Ports {
		slots <- struct{}{}
		all.Go(func() {
			err := try(ctx, a, port)
			mu.Lock()
			defer mu.Unlock()
			s.note(port, err)
			<-slots
		})
	}
	all.Wait()
	for _, list := range [][]uint16{s.Open, s.Closed, s.Silent} {
		slices.Sort(list)
	}
	return s, ctx.Err()
})

func (s *Scan) note(port uint16, err error) {
	switch {
	case err == nil:
		s.Open = append(s.Open, port)
	case errors.Is(err, syscall.ECONNREFUSED):
		s.Closed = append(s.Closed, port)
	default:
		s.Silent = append(s.Silent, port)
	}
}

func tryTCP(ctx context.Context, a scanArg, port uint16) error {
	ctx, cancel := context.WithTimeout(ctx, a.Wait)
	defer cancel()
	c, err := here.Dial(ctx, "tcp", netip.AddrPortFrom(a.Dst, port).String())
	if err == nil {
		c.Close()
	}
	return err
}

func tryUDP(ctx context.Context, a scanArg, port uint16) error {
	c, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(a.Dst, port).String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(a.Payload); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(a.Wait)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 2048))
	return err
}

// Ports are all ports from first to last.
func Ports(first, last uint16) []uint16 {
	var list []uint16
	for p := int(first); p <= int(last); p++ {
		list = append(list, uint16(p))
	}
	return list
}
