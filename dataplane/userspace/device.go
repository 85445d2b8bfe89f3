package userspace

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// Device is a TUN device beside a plane's first one. Zones that must not meet
// have one each: a packet read from a device leaves only through a Child SA of
// that device, and what a Child SA brings goes to its device alone.
type Device struct {
	Name   string // must be given: Child SAs name their device
	MTU    int    // in octets; default 1400
	Queues int    // default and most: as many as the plane has lanes
}

// device is one open TUN device, and the routes of what is read from it.
type device struct {
	index   int // in the plane's list
	name    string
	queues  []*tunQueue // by lane; a device may have fewer than there are lanes
	routes  *routes
	uso     bool        // the kernel segments UDP for us
	segment atomic.Bool // it takes joined frames
}

func newDevice(name string, offload bool) *device {
	d := &device{name: name, routes: newRoutes()}
	d.segment.Store(offload)
	return d
}

// queue is the one that a lane writes to.
func (d *device) queue(l *lane) *tunQueue { return d.queues[l.index%len(d.queues)] }

// fillDevices checks the further devices, and sets what they leave open.
func (c *Config) fillDevices() error {
	seen := map[string]bool{c.Name: true}
	c.Devices = slices.Clone(c.Devices) // the caller's stay as they are
	for i := range c.Devices {
		d := &c.Devices[i]
		if d.Name == "" {
			return errors.New("userspace: a device beside the first one needs a name")
		}
		if seen[d.Name] {
			return fmt.Errorf("userspace: two devices are named %q", d.Name)
		}
		seen[d.Name] = true
		if d.Queues == 0 || d.Queues > c.Queues {
			d.Queues = c.Queues
		}
		if err := fillMTU(&d.MTU); err != nil {
			return err
		}
	}
	return nil
}

func fillMTU(mtu *int) error {
	if *mtu == 0 {
		*mtu = defaultMTU
	}
	if *mtu < 576 || *mtu > 9216 {
		return fmt.Errorf("userspace: MTU %d is outside 576 to 9216", *mtu)
	}
	return nil
}

func (p *Plane) openDevices() error {
	first := Device{Name: p.cfg.Name, Queues: p.cfg.Queues}
	for _, c := range append([]Device{first}, p.cfg.Devices...) {
		queues, name, uso, err := openTUN(c.Name, c.Queues, !p.cfg.NoTUNOffload)
		if err != nil {
			return err
		}
		d := newDevice(name, !p.cfg.NoTUNOffload)
		d.index, d.queues, d.uso = len(p.devices), queues, uso
		p.devices = append(p.devices, d)
	}
	return nil
}

// device finds a device by the name that a Child SA gives.
func (p *Plane) device(name string) (*device, error) {
	if name == "" {
		return p.devices[0], nil
	}
	for _, d := range p.devices {
		if d.name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("userspace: this plane has no device %q", name)
}

// sinks are where a worker of lane l writes frames: one for each device.
func (p *Plane) sinks(l *lane) []frameSink {
	out := make([]frameSink, len(p.devices))
	for i, d := range p.devices {
		out[i] = newFrameWriter(d.queue(l))
	}
	return out
}
