package gateway

import (
	"fmt"
	"slices"
	"time"

	"sallyport/config"
)

// An IKEv1 session lives for hours, and its client may log in over PPP in it any
// number of times: what the machine's proof was worth when it was given must not
// outlive the configuration.

// standing is the zone of a footing as it is now, if the machine's proof still
// counts in it.
func (r *realm) standing(b *footing) (*zone, error) {
	name := b.zone.config.Name
	z, ok := r.zones[name]
	if !ok || !z.speaks(config.L2TP) {
		return nil, refusal("move the client to IKEv2", "the zone %q is not reached by L2TP any more", name)
	}
	if why := z.unproven(b, time.Now()); why != "" {
		return nil, refusal("let the client set up IPsec anew", "zone %q: %s", name, why)
	}
	return z, nil
}

// unproven tells why the zone does not take the way any more in which a machine
// proved itself; empty: it does.
func (z *zone) unproven(b *footing, now time.Time) string {
	switch {
	case b.by != groupPSK && !slices.Contains(z.config.Machine, b.by):
		return fmt.Sprintf("machines do not prove themselves by %s any more", b.by)
	case b.by != groupPSK:
		return ""
	case z.group == nil || !z.config.WaivedForAnyone(config.RulePSKAny, now):
		return "it takes no pre-shared key of a group any more"
	case !z.group.Equal(b.zone.group):
		return "the pre-shared key of its group is another one now"
	}
	return ""
}
