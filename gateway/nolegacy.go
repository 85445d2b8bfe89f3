//go:build nolegacy

package gateway

import (
	"fmt"

	"sallyport/config"
	"sallyport/engine"
)

// openLegacy refuses L2TP zones: this build has no code for them.
func (g *Gateway) openLegacy(r *realm) (engine.Legacy, error) {
	for _, z := range r.of(config.L2TP) {
		return nil, fmt.Errorf("gateway: zone %q: this build of Sallyport has no L2TP (build tag nolegacy)", z.config.Name)
	}
	return nil, nil
}
