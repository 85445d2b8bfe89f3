package swanctl

import (
	"slices"
	"strconv"

	"sallyport/posture"
	"sallyport/posture/source"
)

// pluginPools are the names by which plugins give addresses that no file has.
var pluginPools = []string{"dhcp", "radius"}

// fromPools reads what clients of a connection are given. A pool that the file
// does not have is one of a plugin: dhcp and radius give addresses and, as they are
// told elsewhere, name servers (dhcp_provider.c).
func (r *reader) fromPools(c *posture.Connection, v, pools view) {
	names := r.list(v, "pools")
	c.Pool = follows[[]string](nil, names)
	if len(names.V) == 0 {
		return
	}
	c.DNS = r.daemonDNS()
	elsewhere := false
	for _, name := range names.V {
		pool := pools.sub(name)
		if !pool.exists() {
			if slices.Contains(pluginPools, name) {
				c.Pool.V, elsewhere = append(c.Pool.V, name), true
				continue
			}
			r.unparsed(names.At, "the pool %q is not defined: unless a plugin such as attr-sql has it, clients get no address", source.Quote(name))
			c.Pool = posture.Value[[]string]{}
			return
		}
		if s, ok := pool.get("addrs"); ok {
			c.Pool.V = append(c.Pool.V, s.value)
			c.Pool.At, c.Pool.Text = s.at, s.value
		}
		if s, ok := pool.get("dns"); ok {
			c.DNS = posture.Written(append(c.DNS.V, split(s.value)...), s.at, s.value)
		}
	}
	if !c.DNS.Known() && !elsewhere {
		c.DNS = follows[[]string](nil, names)
		c.DNS.Text = ""
	}
}

// daemonDNS is what the daemon gives all clients: the plugin attr, and its
// older form.
func (r *reader) daemonDNS() posture.Value[[]string] {
	var all posture.Value[[]string]
	attr := r.charon.path("plugins", "attr")
	for _, from := range []struct {
		v   view
		key string
	}{{r.charon, "dns1"}, {r.charon, "dns2"}, {attr, "dns"}} {
		if s, ok := from.v.get(from.key); ok {
			all = posture.Written(append(all.V, split(s.value)...), s.at, s.value)
		}
	}
	return all
}

// pools notes what is not known.
func (r *reader) pools(v view) {
	r.known(v, nil, "pools")
	for _, name := range v.names() {
		pool := v.sub(name)
		for _, key := range pool.keys() {
			if _, err := strconv.ParseUint(key, 10, 16); err != nil && !poolKnown[key] {
				s, _ := pool.get(key)
				r.unparsed(s.at, "the attribute %q of a pool is not known", key)
			}
		}
	}
}

// authorities says where revocation lists come from, which the judgement of
// certificates needs no word of.
func (r *reader) authorities(v view) {
	r.known(v, nil, "authorities")
	for _, name := range v.names() {
		r.known(v.sub(name), authorityKnown, "an authority")
	}
}
