package dataplane

import "sync"

// Null accepts every change, remembers it, and moves nothing. Tests read SAs.
type Null struct {
	mu  sync.Mutex
	sas map[uint32]ChildSA
}

// Apply implements [Plane].
func (n *Null) Apply(changes ...Change) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sas == nil {
		n.sas = make(map[uint32]ChildSA)
	}
	for _, c := range changes {
		switch c := c.(type) {
		case Add:
			n.sas[c.SA.SPIIn] = c.SA
		case Remove:
			delete(n.sas, c.SPIIn)
		case UseOutbound:
			if sa, ok := n.sas[c.SPIIn]; ok {
				sa.Outbound = true
				n.sas[c.SPIIn] = sa
			}
		case Move:
			if sa, ok := n.sas[c.SPIIn]; ok {
				sa.Local, sa.Remote = c.Local, c.Remote
				n.sas[c.SPIIn] = sa
			}
		case SetCall:
			if sa, ok := n.sas[c.SPIIn]; ok {
				sa.Call = c.Call
				n.sas[c.SPIIn] = sa
			}
		}
	}
	return nil
}

// Stats implements [Plane]; every counter is zero.
func (n *Null) Stats(spiIn uint32) (Stats, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.sas[spiIn]
	return Stats{}, ok
}

// SAs returns a copy of what is installed.
func (n *Null) SAs() map[uint32]ChildSA {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make(map[uint32]ChildSA, len(n.sas))
	for k, v := range n.sas {
		out[k] = v
	}
	return out
}

// Close implements [Plane].
func (n *Null) Close() error { return nil }
