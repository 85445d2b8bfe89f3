package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"sallyport/internal/lab"
)

// Flow is a [lab.Flow] that a guest sends.
type Flow struct {
	g   *Guest
	far *lab.Mirror
	id  int
}

// StartFlow sends perSecond datagrams a second, of size octets, from the guest
// to dst on the host to, which sends each back.
func (g *Guest) StartFlow(ctx context.Context, to *lab.Host, dst netip.Addr, perSecond, size int) (*Flow, error) {
	far, err := to.Mirror(dst)
	if err != nil {
		return nil, err
	}
	id, err := startFlow.On(ctx, g, flowArg{far.Addr(), perSecond, size})
	if err != nil {
		return nil, errors.Join(err, far.Close())
	}
	return &Flow{g, far, id}, nil
}

// Stop ends the flow, waits up to patience for what is still under way, and
// returns the report. It is called once.
func (f *Flow) Stop(ctx context.Context, patience time.Duration) (lab.FlowReport, error) {
	r, err := stopFlow.On(ctx, f.g, stopFlowArg{f.id, patience})
	r.Reached = f.far.Reached()
	return r, errors.Join(err, f.far.Close())
}

type flowArg struct {
	Far       netip.AddrPort
	PerSecond int
	Size      int
}

type stopFlowArg struct {
	ID       int
	Patience time.Duration
}

// flows are those of this guest, in the order in which they were started.
var flows struct {
	sync.Mutex
	list []*lab.Flow
}

var startFlow = Inside("start a flow", func(ctx context.Context, a flowArg) (int, error) {
	f, err := here.StartFlowTo(ctx, a.Far, a.PerSecond, a.Size)
	if err != nil {
		return 0, err
	}
	flows.Lock()
	defer flows.Unlock()
	flows.list = append(flows.list, f)
	return len(flows.list) - 1, nil
})

var stopFlow = Inside("stop a flow", func(_ context.Context, a stopFlowArg) (lab.FlowReport, error) {
	flows.Lock()
	defer flows.Unlock()
	if a.ID < 0 || a.ID >= len(flows.list) {
		return lab.FlowReport{}, fmt.Errorf("no flow has the number %d", a.ID)
	}
	return flows.list[a.ID].Stop(a.Patience), nil
})
