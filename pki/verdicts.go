package pki

import (
	"crypto/x509"
	"sync"
)

// maxVerdicts bounds what is remembered: at about 4 KiB each, 64 MiB. Only
// chains that lead to a trusted root get in, so a stranger cannot fill it.
const maxVerdicts = 1 << 14

// verdicts remembers chains that were found good. When it is full an arbitrary
// one goes: a map's order is as good as any for devices that come and go.
type verdicts struct {
	mu    sync.Mutex
	paths map[[32]byte][][]*x509.Certificate
}

func newVerdicts() *verdicts {
	return &verdicts{paths: make(map[[32]byte][][]*x509.Certificate)}
}

func (v *verdicts) get(key [32]byte) [][]*x509.Certificate {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.paths[key]
}

func (v *verdicts) put(key [32]byte, paths [][]*x509.Certificate) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for old := range v.paths {
		if len(v.paths) < maxVerdicts {
			break
		}
		delete(v.paths, old)
	}
	v.paths[key] = paths
}
