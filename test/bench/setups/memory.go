package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"sallyport/gateway"
)

// memory is what established sessions keep in our gateway. Heap is what lives
// after a collection.
type memory struct {
	Sessions     int     `json:"sessions"`
	HeapBefore   float64 `json:"heap_before_bytes"`
	Heap         float64 `json:"heap_bytes"`
	HeapEach     float64 `json:"heap_bytes_per_session"`
	ResidentEach float64 `json:"resident_bytes_per_session"`
}

func (m *memory) print(what string) {
	if m != nil {
		fmt.Printf("memory: %d %s, %.1f KB of live heap each (%.1f MB in all, %.1f MB before), %.1f KB of resident memory each\n",
			m.Sessions, what, m.HeapEach/1024, m.Heap/(1<<20), m.HeapBefore/(1<<20), m.ResidentEach/1024)
	}
}

// holdTime is long enough to look at the sessions; the generator ends sooner
// when it is stopped.
const holdTime = 10 * time.Minute

// hold keeps sessions up and measures.
func (b *bench) hold(ctx context.Context) (*memory, error) {
	g, err := b.startOurs(ctx)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	c, ok := gateway.Dial(b.socket)
	if !ok {
		return nil, errors.New("the control socket does not answer")
	}
	defer c.Close()
	before, err := liveHeap(ctx, c)
	if err != nil {
		return nil, err
	}
	residentBefore := resident(g.pid)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := b.generate(ctx, b.clients(), b.Sessions, "--hold", holdTime.String())
		ended <- err
	}()
	defer func() { cancel(); <-ended }()
	if err := b.awaitSessions(ctx, c, ended); err != nil {
		return nil, err
	}
	after, err := liveHeap(ctx, c)
	if err != nil {
		return nil, err
	}
	n := float64(b.Sessions)
	return &memory{
		Sessions: b.Sessions, HeapBefore: before, Heap: after, HeapEach: (after - before) / n,
		ResidentEach: (resident(g.pid) - residentBefore) / n,
	}, nil
}

func (b *bench) awaitSessions(ctx context.Context, c *gateway.Client, ended <-chan error) error {
	for {
		var st gateway.Status
		if err := c.Call(ctx, "GET", "/v1/status", nil, &st); err != nil {
			return err
		}
		if st.Sessions >= b.Sessions {
			return nil
		}
		fmt.Fprintf(os.Stderr, "memory: %d of %d sessions\n", st.Sessions, b.Sessions)
		select {
		case err := <-ended:
			return fmt.Errorf("the generator ended with %d of %d sessions up: %w", st.Sessions, b.Sessions, err)
		case <-time.After(5 * time.Second):
		}
	}
}

func liveHeap(ctx context.Context, c *gateway.Client) (float64, error) {
	var m gateway.Memory
	err := c.Call(ctx, "POST", "/v1/memory", struct{}{}, &m)
	return float64(m.LiveHeap), err
}

// resident is the process's resident set in octets (proc(5), VmRSS).
func resident(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return float64(kb) * 1024
}
