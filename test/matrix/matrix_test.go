package matrix

import (
	"context"
	"flag"
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

var control = flag.Bool("control", false, "put strongSwan on both ends of every case")

// The addresses of the drawing.
var (
	gateway4 = netip.MustParseAddr("198.51.100.10")
	gateway6 = netip.MustParseAddr("2001:db8:51::10")
	inside4  = netip.MustParseAddr("10.9.0.10")
	inside6  = netip.MustParseAddr("fd00:9::10")
)

// caseTime bounds one case; the slowest waits for a dead peer to be noticed.
const caseTime = 3 * time.Minute

// TestMatrix runs the lanes side by side and the cases of a lane one after the
// other, on one network with the same two processes.
func TestMatrix(t *testing.T) {
	program := ""
	if !*control {
		program = labtest.Sallyport(t)
	}
	lanes := map[string][]testCase{}
	var order []string
	for _, c := range mustParseCases(t) {
		lane := string(c.client) + "_to_" + string(c.gateway)
		if scenarios[c.scenario].slow {
			lane += "_slow"
		}
		if authKinds[c.auth].classic {
			lane += "_without_rfc7427"
		}
		if c.auth.password() {
			lane += "_password"
		} else if c.auth.eap() {
			lane += "_eap"
		}
		if c.auth == authPSK {
			lane += "_psk"
		}
		if lanes[lane] == nil {
			order = append(order, lane)
		}
		lanes[lane] = append(lanes[lane], c)
	}
	for _, lane := range order {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			runLane(t, lanes[lane], program)
		})
	}
}

func runLane(t *testing.T, cases []testCase, program string) {
	client, gateway := cases[0].client, cases[0].gateway
	if *control {
		client, gateway = swan, swan
	}
	var options []string // of strongSwan
	if authKinds[cases[0].auth].classic {
		options = append(options, "signature_authentication = no")
	}
	w := newWorld(t, client, gateway, program, options)
	for _, c := range cases {
		t.Run(c.name(), func(t *testing.T) {
			if c.cannot != "" {
				t.Skip(c.cannot)
			}
			if *control && scenarios[c.scenario].ours {
				t.Skip("needs a rule of ours on both sides, and strongSwan has none like it")
			}
			w.run(t, c)
		})
	}
}

// world is the network of a lane, its two ends, and who they are.
type world struct {
	lab     *lab.Lab
	client  clientEnd
	gateway gatewayEnd
	people  *people
}

func newWorld(t *testing.T, client, gateway kind, program string, options []string) *world {
	t.Helper()
	w := &world{lab: labtest.Open(t, lab.RoadWarrior, "nft", "charon-systemd", "swanctl"), people: newPeople(t)}
	var err error
	if w.gateway, err = startGateway(t, w.lab.At("gateway"), gateway, program, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.gateway.close)
	if w.client, err = startClient(t, w.lab.At("client"), client, program, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.close)
	return w
}

func startGateway(t *testing.T, h *lab.Host, k kind, program string, options []string) (gatewayEnd, error) {
	if k == ours {
		return &ourGateway{host: h, program: program}, nil
	}
	return startSwan(t.Context(), h, options)
}

func startClient(t *testing.T, h *lab.Host, k kind, program string, options []string) (clientEnd, error) {
	if k == ours {
		return &ourClient{host: h, program: program}, nil
	}
	return startSwan(t.Context(), h, options)
}

func (w *world) run(t *testing.T, c testCase) {
	ctx, cancel := context.WithTimeout(t.Context(), caseTime)
	defer cancel()
	s := w.people.setup(t, c)
	if err := w.weather(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := w.gateway.serve(ctx, s); err != nil {
		t.Fatal("the gateway does not take its configuration:", err)
	}
	defer func() {
		if t.Failed() {
			t.Logf("the client says:\n%s\nthe gateway says:\n%s", w.client.account(), w.gateway.account())
		}
	}()
	scenarios[c.scenario].play(&play{T: t, ctx: ctx, world: w, c: c, s: s})
}

// weather sets the network as the case wants it.
func (w *world) weather(ctx context.Context, c testCase) error {
	router := w.lab.At("router")
	if err := router.Heal(ctx); err != nil {
		return err
	}
	if c.nat {
		return router.Masquerade(ctx, "gateway")
	}
	return nil
}
