package config

import (
	"crypto/sha256"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// defaultZone is the zone of a file that names none.
const defaultZone = "staff"

// derive works out the defaults that depend on other keys.
func (d *decoder) derive(c *Config) {
	if len(c.Zones) == 0 && !d.broken["zones"] {
		at, kind := d.places["zones"], nameds[reflect.TypeFor[Zones]()]
		one := &node{kind: kindMap, pairs: []pair{{defaultZone, at, &node{kind: kindNull}}}}
		d.decodeNamed(one, reflect.ValueOf(&c.Zones).Elem(), kind.top(), kind)
	}
	for i := range c.Zones {
		z := &c.Zones[i]
		base := "zones." + z.Name
		d.deriveForProtocol(base, z)
		switch key := base + ".pool.ipv6"; {
		case z.Protocol == L2TP || d.written[key]:
		default:
			z.Pool.IPv6 = localPrefix(c.Gateway.Name, z.Name)
			d.broken[key] = d.broken["gateway.name"] // one fault, one message
		}
		if z.Protocol == IKEv2 && !d.written[base+".dns.servers"] {
			z.DNS.Servers = []Server{}
			if z.takesAll() { // the resolver of the client's network is out of reach, or sees every name
				z.DNS.Servers = []Server{{Gateway: true}}
			}
		}
		if z.Protocol == L2TP && !d.written[base+".routes"] {
			z.Routes = slices.Clone(z.Reach)
			d.broken[base+".routes"] = d.broken[base+".reach"]
		}
	}
}

// takesAll tells whether all traffic of the clients goes through the tunnel, of
// one family of addresses at least.
func (z *Zone) takesAll() bool {
	return slices.ContainsFunc(z.Routes, func(p netip.Prefix) bool { return p.Bits() == 0 })
}

// deriveForProtocol gives a zone the defaults of its protocol, and takes away
// what its protocol has not.
func (d *decoder) deriveForProtocol(base string, z *Zone) {
	if z.Protocol == "" {
		return // it could not be read
	}
	for i := range keys {
		k := &keys[i]
		rest, ok := strings.CutPrefix(k.Path, "zones.ZONE.")
		if !ok || k.L2TP == "" && k.Only == "" {
			continue
		}
		p := path{base + "." + rest, k.Path}
		switch v := fieldAt(reflect.ValueOf(z).Elem(), rest); {
		case k.Only != "" && k.Only != z.Protocol:
			v.SetZero()
		case k.L2TP != "" && z.Protocol == L2TP && !d.written[p.full]:
			d.decode(k.l2tpNode(), v, p)
		}
	}
}

// fieldAt finds a field by the rest of its path.
func fieldAt(v reflect.Value, rest string) reflect.Value {
	for name := range strings.SplitSeq(rest, ".") {
		v, _ = fieldOf(v, name)
	}
	return v
}

// localPrefix works out a unique local /64 (RFC 4193, Section 3.2.2): the
// global id from the gateway's name, the subnet from the zone's. The same
// names give the same prefix on every gateway and after every restart.
func localPrefix(gateway, zone string) netip.Prefix {
	global := sha256.Sum256([]byte("sallyport unique local prefix of " + gateway))
	subnet := sha256.Sum256([]byte("sallyport subnet of zone " + zone))
	var a [16]byte
	a[0] = 0xfd
	copy(a[1:6], global[:5])
	copy(a[6:8], subnet[:2])
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}
