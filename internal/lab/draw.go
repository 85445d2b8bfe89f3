package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// RoadWarrior is the network of most cases: a client behind a router, the
// gateway on the public side, and a host behind the gateway. Nobody but the
// gateway knows the way to the inside, so what arrives there came through a
// tunnel.
const RoadWarrior = `
	client   192.168.77.2/24 fd00:77::2/64        --  192.168.77.1/24 fd00:77::1/64          router
	router   198.51.100.1/24 2001:db8:51::1/64    --  198.51.100.10/24 2001:db8:51::10/64    gateway
	gateway  10.9.0.1/24 fd00:9::1/64             --  10.9.0.10/24 fd00:9::10/64             inside

	client  default  router
	gateway default  router
	inside  default  gateway
`

// Draw builds hosts and cables from a drawing, one cable or route a line:
//
//	client 192.168.77.2/24 fd00:77::2/64 -- 192.168.77.1/24 fd00:77::1/64 router
//	client default router
//
// Interfaces carry the name of the neighbour they lead to. A host with more
// than one cable forwards. There are no routes but to the neighbours and the
// defaults that the drawing names.
func (l *Lab) Draw(drawing string) error {
	d := diagram{lab: l, cables: map[string]int{}, ends: map[[2]string][]netip.Prefix{}}
	for n, line := range strings.Split(drawing, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := d.line(line); err != nil {
			return fmt.Errorf("lab: drawing, line %d: %w", n+1, err)
		}
	}
	return nil
}

type diagram struct {
	lab    *Lab
	cables map[string]int
	ends   map[[2]string][]netip.Prefix // {host, neighbour} -> the host's addresses on that cable
}

func (d *diagram) line(line string) error {
	words := strings.Fields(line)
	if len(words) == 3 && words[1] == "default" {
		return d.defaultRoute(words[0], words[2])
	}
	left, right, ok := strings.Cut(line, "--")
	if !ok {
		return fmt.Errorf("%q is neither a cable (a -- b) nor a default route", strings.TrimSpace(line))
	}
	nameA, addrsA, _ := strings.Cut(strings.TrimSpace(left), " ")
	right = strings.TrimSpace(right)
	cut := strings.LastIndexAny(right, " \t")
	if cut < 0 {
		return fmt.Errorf("the right end needs addresses and a name")
	}
	return d.cable(nameA, addrsA, right[cut+1:], right[:cut])
}

func (d *diagram) cable(nameA, textA, nameB, textB string) error {
	a, err := d.lab.Host(nameA)
	if err != nil {
		return err
	}
	b, err := d.lab.Host(nameB)
	if err != nil {
		return err
	}
	if err := wire(a, b); err != nil {
		return err
	}
	if err := d.end(a, nameB, textA); err != nil {
		return err
	}
	return d.end(b, nameA, textB)
}

func (d *diagram) end(h *Host, neighbour, text string) error {
	addrs, err := parsePrefixes(text)
	if err != nil {
		return err
	}
	d.ends[[2]string{h.Name, neighbour}] = addrs
	if err := h.SetUp(neighbour, true); err != nil {
		return err
	}
	for _, p := range addrs {
		if err := h.AddAddr(neighbour, p); err != nil {
			return err
		}
	}
	if d.cables[h.Name]++; d.cables[h.Name] == 2 {
		return h.Forward()
	}
	return nil
}

func (d *diagram) defaultRoute(name, via string) error {
	addrs, ok := d.ends[[2]string{via, name}]
	if !ok {
		return fmt.Errorf("no cable from %s to %s", name, via)
	}
	h, err := d.lab.Host(name)
	if err != nil {
		return err
	}
	if a, ok := address(addrs, false); ok {
		if err := h.Route(netip.MustParsePrefix("0.0.0.0/0"), a); err != nil {
			return err
		}
	}
	if a, ok := address(addrs, true); ok {
		return h.Route(netip.MustParsePrefix("::/0"), a)
	}
	return nil
}
