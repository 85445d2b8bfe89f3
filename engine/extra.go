package engine

import (
	"time"

	"sallyport/dataplane"
)

// extra carries out what a machine of the legacy zone says beside the events of
// IKE; true means that the backend hears of it too.
func (sh *shard) extra(s *Session, value any) bool {
	switch v := value.(type) {
	case InnerMessage:
		sh.engine.sendInner(v)
	case Join:
		sh.join(s, v.Key)
	case dataplane.Add:
		sh.byChild[v.SA.SPIIn] = s
		if shape := sh.engine.shape; shape != nil {
			shape(s, &v.SA)
		}
		sh.apply(s, v.SA.SPIIn, v)
		return true
	case dataplane.SetCall:
		if shape := sh.engine.shapeCall; shape != nil && v.Call != nil && v.Call.Rate == nil { // once: the plane reads it
			shape(s, v.Call)
		}
		sh.apply(s, v.SPIIn, v)
		return true
	default:
		return true
	}
	return false
}

// join files s under the key of its peer, or lets the session take it over that
// is filed there. A session that was filed before has moved.
func (sh *shard) join(s *Session, key string) {
	older, ok := sh.peers[key]
	if !ok || older == s || older.gone || s.joined != "" {
		sh.file(s, key)
		return
	}
	sh.owed = append(sh.owed, func() { sh.absorb(older, s, key) })
}

// absorb makes older go on with what s has agreed on, as if nothing had
// happened; s ends without a word. An older one that is about to end, or that
// has moved away, is left alone, and s goes on by itself.
func (sh *shard) absorb(older, s *Session, key string) {
	if s.gone {
		return
	}
	done := false
	if a, ok := older.machine.(absorber); ok {
		sh.step(older, func() {
			if done = a.Absorb(time.Now(), s.machine, &sh.out); done {
				sh.inherit(older, s)
			}
		})
	}
	if !done {
		sh.file(s, key)
		return
	}
	s.machine = nil
	sh.drop(s)
}

// inherit leads everything to older that led to s.
func (sh *shard) inherit(older, s *Session) {
	for spi, owner := range sh.bySPI {
		if owner == s {
			sh.bySPI[spi] = older
			older.spis++
		}
	}
	for spi, owner := range sh.byChild {
		if owner == s {
			sh.byChild[spi] = older
		}
	}
	s.heir, s.spis = older, 0
}

func (sh *shard) file(s *Session, key string) {
	if sh.peers[s.joined] == s {
		delete(sh.peers, s.joined)
	}
	sh.peers[key], s.joined = s, key
}
