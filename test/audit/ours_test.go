package audit

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// weakClient is strongSwan as a client, which a gateway of ours refuses: of all
// that it proposes, nothing is strong enough.
const weakClient = `connections {
    home {
        version = 0
        remote_addrs = 198.51.100.10
        vips = 0.0.0.0
        proposals = aes256-sha1-modp1024
        local {
            auth = psk
            id = alice@example.org
        }
        remote {
            auth = psk
            id = gw.example.org
        }
        children {
            net {
                remote_ts = 10.9.0.0/24
                esp_proposals = aes128-sha1
                replay_window = 32
            }
        }
    }
}
secrets {
    ike-gw {
        id = gw.example.org
        secret = "` + key + `"
    }
}
`

const gatewayConf = `gateway: {name: gw.example.org, state: /run/lib/sallyport}
zones:
  staff:
    auth: [psk]
    pool: {ipv4: 10.60.0.0/24}
    routes: [10.9.0.0/24]
`

// TestAMendedClientMeetsOurGateway: what the patch writes is what the gateway's
// strong policy takes, and what was there before is not.
func TestAMendedClientMeetsOurGateway(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior, "charon-systemd", "swanctl")
	program := labtest.Sallyport(t)
	s := newSite(t, program, weakClient)
	before := s.conf()
	s.mended([]string{"CRY-005", "CRY-008", "CRY-010", "CRY-012", "RPL-002", "RPL-006"})
	if t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	serve(t, ctx, l.At("gateway"), program)
	client := start(t, ctx, l.At("client"), s.options())
	defer func() {
		if t.Failed() {
			t.Logf("the client says:\n%s", client.Log())
		}
	}()
	load := func(conf string) {
		t.Helper()
		if err := client.Load(ctx, lab.SwanFiles{Conf: conf}); err != nil {
			t.Fatal("the daemon does not take its configuration:", err)
		}
	}
	load(before)
	if _, err := client.Initiate(ctx, "net"); err == nil {
		t.Fatal("the gateway takes what is weak")
	}
	load(s.conf())
	if _, err := client.Initiate(ctx, "net"); err != nil {
		t.Fatal("no tunnel:", err)
	}
	if _, err := l.At("client").AwaitPing(ctx, netip.MustParseAddr("10.9.0.10")); err != nil {
		t.Fatal("no packets:", err)
	}
	sas, err := client.SAs(ctx)
	if err != nil || len(sas) == 0 || len(sas[0].Children) == 0 {
		t.Fatalf("%+v, %v", sas, err)
	}
	t.Logf("IKE %s, ESP %s", sas[0].Suite(), sas[0].Children[0].Suite())
}

// serve starts a gateway that knows alice's pre-shared key.
func serve(t *testing.T, ctx context.Context, h *lab.Host, program string) {
	t.Helper()
	const conf, psk = "/run/etc/sallyport.yaml", "/run/etc/alice.psk"
	run := func(args ...string) (string, error) {
		return h.Run(ctx, program, append(slices.Clone(args), "--config", conf)...)
	}
	done := func(_ string, err error) {
		t.Helper()
		must(t, err)
	}
	must(t, h.WriteFile(conf, []byte(gatewayConf), 0o600))
	must(t, h.WriteFile(psk, []byte(key), 0o600))
	done(run("init"))
	server, err := h.Start(lab.Command{Program: program, Args: []string{"serve", "--config", conf}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Stop()
		if t.Failed() {
			t.Logf("the gateway says:\n%s", server.Output())
		}
	})
	for {
		out, err := run("status", "--json")
		if err == nil && strings.Contains(out, `"running": true`) {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal(fmt.Errorf("sallyport serve does not come up: %w\n%s", err, server.Output()))
		case <-time.After(50 * time.Millisecond):
		}
	}
	done(run("user", "add", "example.org"))
	done(run("device", "add", "alice", "--user", "example.org", "--psk", "--psk-file", psk, "--out", "/run/keys"))
}
