package gateway

import (
	"sallyport/config"
	"sallyport/dataplane"
	"sallyport/engine"
)

// shape gives a Child SA the rate of its session. It runs on the session's
// event loop, after established. A session keeps its Rate over every rekey.
func (g *Gateway) shape(s *engine.Session, sa *dataplane.ChildSA) {
	if l, ok := s.Data.(*live); ok {
		sa.Rate = l.rate
	}
}

// shapeCall does the same for the call of a session of an L2TP zone, whose Child
// SA is older than the session.
func (g *Gateway) shapeCall(s *engine.Session, c *dataplane.Call) {
	if l, ok := s.Data.(*live); ok && l.rate != nil { // the plane may read a call that it has
		c.Rate = l.rate
	}
}

// rateOf is the rate of a user's session; nil where nothing is limited, which
// costs nothing on the packet path.
func rateOf(u config.User) *dataplane.Rate {
	if u.Download == 0 && u.Upload == 0 {
		return nil
	}
	r := new(dataplane.Rate)
	r.Set(octets(u.Upload), octets(u.Download)) // in is from the peer
	return r
}

// octets per second; the least is one, for 0 would be no limit.
func octets(r config.Bitrate) uint64 {
	if r == 0 {
		return 0
	}
	return max(1, uint64(r)/8)
}
