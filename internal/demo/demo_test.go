package demo_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/demo"
	"sallyport/internal/lab/labtest"
)

func TestTheDemoRunsToItsEnd(t *testing.T) {
	labtest.Open(t, "", "nft", "charon-systemd", "swanctl")
	program := labtest.Sallyport(t)
	for _, client := range demo.Clients {
		t.Run(client, func(t *testing.T) {
			var out bytes.Buffer
			err := demo.Run(t.Context(), demo.Options{Program: program, Client: client, Out: &out})
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			for _, want := range []string{"behind NAT: true", "intranet.corp.example is fd00:9::10", "Mbit/s", "the tunnel is cut", "revoked since", "Removed everything"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the demo does not say %q:\n%s", want, out.String())
				}
			}
			wantNoProcess(t, program)
		})
	}
}

// TestAnInterruptedDemoLeavesNothing interrupts the demo after each of its
// headlines.
func TestAnInterruptedDemoLeavesNothing(t *testing.T) {
	labtest.Open(t, "", "nft")
	program := labtest.Sallyport(t)
	for _, headline := range []string{"Building the network", "Starting the gateway", "Connecting the laptop", "Sending 32 MB", "tries again"} {
		t.Run(headline, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out := &trigger{word: headline, pull: interrupt}
			err := demo.Run(ctx, demo.Options{Program: program, Client: "sallyport", Out: out})
			if err == nil || !strings.Contains(err.Error(), "interrupted") {
				t.Errorf("the interrupted demo ended with %v:\n%s", err, out.text.String())
			}
			if !strings.Contains(out.text.String(), "Removed everything") {
				t.Errorf("the demo does not say that it removed everything:\n%s", out.text.String())
			}
			wantNoProcess(t, program)
		})
	}
}

// TestADemoWhoseProgramFailsSaysSo lets the program be one that ends at once.
func TestADemoWhoseProgramFailsSaysSo(t *testing.T) {
	labtest.Open(t, "", "nft")
	var out bytes.Buffer
	err := demo.Run(t.Context(), demo.Options{Program: "/bin/false", Client: "sallyport", Out: &out})
	if err == nil || !strings.Contains(err.Error(), "/bin/false init") {
		t.Errorf("error %v does not name what failed", err)
	}
	if !strings.Contains(out.String(), "Removed everything") {
		t.Errorf("the demo does not say that it removed everything:\n%s", out.String())
	}
}

// trigger pulls when its word is written.
type trigger struct {
	mu   sync.Mutex
	text bytes.Buffer
	word string
	pull func()
}

func (g *trigger) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if strings.Contains(string(b), g.word) {
		g.pull()
	}
	return g.text.Write(b)
}

// wantNoProcess looks for processes that still run the program.
func wantNoProcess(t *testing.T, program string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := running(t, program)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("processes %v outlived the demo", left)
		}
	}
}

func running(t *testing.T, program string) (left []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		// An error means that it ended while we looked.
		if target, err := os.Readlink(link); err == nil && target == program {
			left = append(left, link)
		}
	}
	return left
}
