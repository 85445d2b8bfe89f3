package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"sallyport/internal/lab"
)

// startStrongSwan joins both hosts with strongSwan's user-space ESP
// (kernel-libipsec), under the suite that our own ends use.
func startStrongSwan(ctx context.Context, r *running, _ options) error {
	if err := joinStrongSwan(ctx, r.b, outerB, innerB, outerA, innerA, false); err != nil {
		return err
	}
	return joinStrongSwan(ctx, r.a, outerA, innerA, outerB, innerB, true)
}

func joinStrongSwan(ctx context.Context, h *lab.Host, outer, inner, peer, peerInner string, initiate bool) error {
	if err := h.AddAddr("lo", netip.MustParsePrefix(inner+"/32")); err != nil {
		return err
	}
	daemon, err := h.StartStrongSwan(ctx)
	if err != nil {
		return err
	}
	conf := strings.NewReplacer("OUTER", outer, "PEERINNER", peerInner, "INNER", inner, "PEER", peer).Replace(`
connections {
	bench {
		version = 2
		local_addrs = OUTER
		remote_addrs = PEER
		encap = yes
		proposals = aes256gcm16-prfsha256-ecp256
		local {
			auth = psk
			id = OUTER
		}
		remote {
			auth = psk
			id = PEER
		}
		children {
			bench {
				local_ts = INNER/32
				remote_ts = PEERINNER/32
				esp_proposals = aes256gcm16
			}
		}
	}
}
secrets {
	ike-bench {
		secret = "this traffic is worth nothing"
	}
}
`)
	if err := daemon.Load(ctx, lab.SwanFiles{Conf: conf}); err != nil {
		return err
	}
	if !initiate {
		return nil
	}
	if _, err := daemon.Initiate(ctx, "bench"); err != nil {
		return fmt.Errorf("%w\n%s", err, daemon.Log())
	}
	return nil
}
