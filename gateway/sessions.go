package gateway

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"sallyport/engine"
	"sallyport/protocol/ike/ikemsg"
)

// Sessions implements the control API: every established session, by id.
func (g *Gateway) Sessions(ctx context.Context) ([]SessionInfo, error) {
	list := []SessionInfo{}
	err := g.engine.Each(ctx, func(s *engine.Session, m engine.Machine) {
		if l, ok := s.Data.(*live); ok {
			list = append(list, g.describe(l, m))
		}
	})
	slices.SortFunc(list, func(a, b SessionInfo) int { return cmp.Compare(a.ID, b.ID) })
	return list, err
}

// describe runs on the session's event loop.
func (g *Gateway) describe(l *live, m engine.Machine) SessionInfo {
	_, remote := m.Path()
	_, nat := m.NAT()
	spi, _ := m.SPIs()
	leased := m.Leased()
	info := SessionInfo{
		ID: l.id, Device: l.admission.Device, User: l.user(), Identity: l.admission.Identity, Zone: l.admission.Zone,
		Remote: remote.String(), Client: fmt.Sprint(m.PeerKind()), Since: l.since, SPI: fmt.Sprintf("%016x", uint64(spi)), IKE: m.Suite().String(),
		IPv4: leased.IPv4, IPv6: leased.IPv6.Addr(), BehindNAT: nat,
	}
	info.Protocol = l.terms.zone.config.Protocol
	info.Waivers, info.WaiversUnknown = g.waivers(l, m)
	for _, c := range m.Children(nil) {
		st, _ := g.plane.Stats(c.SPIIn)
		info.Children = append(info.Children, ChildInfo{
			SPIIn: fmt.Sprintf("%08x", c.SPIIn), SPIOut: fmt.Sprintf("%08x", c.SPIOut), ESP: c.Suite.String(),
			Local: texts(c.TSLocal), Remote: texts(c.TSRemote), Created: c.Created,
			BytesIn: st.BytesIn, BytesOut: st.BytesOut, Replaced: c.Replaced,
		})
	}
	return info
}

func texts(selectors []ikemsg.TrafficSelector) []string {
	out := make([]string, 0, len(selectors))
	for _, s := range selectors {
		out = append(out, s.String())
	}
	return out
}
