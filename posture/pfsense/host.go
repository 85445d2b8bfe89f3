package pfsense

import (
	"cmp"
	"encoding/base64"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/source"
)

// daemon is strongSwan as the product sets it up (ipsec_setup_strongswan). Where
// nothing uses IPsec there is none.
func (r *reader) daemon() {
	used := slices.ContainsFunc(r.in.Host.Connections, func(c posture.Connection) bool { return c.Dialect == r.dialect && !c.Disabled })
	ipsec := r.root.get("ipsec")
	if !used || r.racoon() {
		return
	}
	at := r.root.where("ipsec")
	d := posture.Daemon{Subject: r.subject("daemon", "strongSwan", at), Product: r.product}
	d.HalfOpenLimit = byDefault(r, 1000, at, "init_limit_half_open=1000")
	d.Cookies = byDefault(r, true, at, "default of strongSwan: dos_protection=yes")
	d.BlockLimit = byDefault(r, 5, at, "default of strongSwan")
	d.FragmentSize = byDefault(r, 1280, at, "default of strongSwan")
	d.SendsVID = byDefault(r, false, at, "default of strongSwan")
	d.PrivateAlg = byDefault(r, false, at, "default of strongSwan")
	d.Keepalive = byDefault(r, 20*time.Second, at, "default of strongSwan")
	d.UnencryptedV1 = byDefault(r, false, at, "default of strongSwan")
	if e := ipsec.get("acceptunencryptedmainmode"); e != nil {
		d.UnencryptedV1 = posture.Written(true, e.at, "acceptunencryptedmainmode")
	}
	d.StrictCRL = byDefault(r, posture.Optional, at, "default of strongSwan: revocation=relaxed")
	if e := ipsec.get("strictcrlpolicy"); e != nil {
		d.StrictCRL = posture.Written(posture.Always, e.at, "strictcrlpolicy")
	}
	d.Accounting = r.accounting()
	r.charon(&d)
	r.daemonLog(&d)
	if !d.Accounting.Known() {
		d.Accounting = d.LogsAuth // between sites, the end of an SA is a line with its octets
	}
	r.in.Host.Daemons = append(r.in.Host.Daemons, d)
}

// accounting is that of mobile clients. It is not known
// where there are none.
func (r *reader) accounting() posture.Value[bool] {
	client := r.root.get("ipsec", "client")
	if e := client.get("radiusaccounting"); e != nil {
		return posture.Written(e.text == "enabled", e.at, e.text)
	}
	for i := range r.in.Host.Connections {
		if c := &r.in.Host.Connections[i]; c.Dialect == r.dialect && !c.Disabled && c.Pool.Known() && len(c.Pool.V) > 0 {
			return byDefault(r, false, c.At, "no radiusaccounting")
		}
	}
	return posture.Value[bool]{}
}

// charon is OPNsense's page of advanced settings.
func (r *reader) charon(d *posture.Daemon) {
	e := r.root.get("OPNsense", "IPsec", "charon")
	if n, err := strconv.Atoi(e.value("init_limit_half_open")); err == nil {
		d.HalfOpenLimit = posture.Written(n, e.where("init_limit_half_open"), e.value("init_limit_half_open"))
	}
}

// daemonLog: levels from -1 to 4 for each subsystem; from 1 on a failed log-in
// has its reason, and 4 has keys.
func (r *reader) daemonLog(d *posture.Daemon) {
	levels := r.root.get("ipsec", "logging")
	if l := r.root.get("OPNsense", "IPsec", "charon", "syslog", "daemon"); l != nil {
		levels = l
	}
	d.LogsID = byDefault(r, true, d.At, "ike_name=yes")
	d.LogsAuth = byDefault(r, true, d.At, "default of the product: level 1 of ike and cfg")
	d.LogsSecrets = byDefault(r, false, d.At, "default of the product: level 1")
	if e := levels.get("ike"); e != nil && e.text != "" {
		n, _ := strconv.Atoi(strings.TrimPrefix(e.text, "_"))
		d.LogsAuth = posture.Written(n >= 1, e.at, e.text)
	}
	if levels == nil {
		return
	}
	for _, e := range levels.children {
		if strings.TrimPrefix(e.text, "_") == "4" {
			d.LogsSecrets = posture.Written(true, e.at, e.name+" "+e.text)
		}
	}
}

// logging is where the host's records go, and its clock.
func (r *reader) logging() {
	e, system := r.root.get("syslog"), r.root.get("system")
	l := posture.Logging{Subject: r.subject("logging", r.product, cmp.Or(r.root.where("syslog"), r.root.at))}
	l.OffHost = byDefault(r, false, l.At, "no remote server")
	for _, name := range []string{"remoteserver", "remoteserver2", "remoteserver3"} {
		s := e.get(name)
		if s == nil || s.text == "" || !e.set("enable") || l.OffHost.V {
			continue
		}
		l.OffHost = posture.Written(true, s.at, s.text)
		l.Protected = posture.Written(false, s.at, s.text+" over UDP")
		if tunnel := r.through(s.text); tunnel != "" {
			l.Protected = posture.Written(true, s.at, s.text+" through the tunnel "+tunnel)
		}
	}
	r.destinations(&l)
	r.syslogNG(&l)
	l.TimeSync = r.timeSync(system)
	if zone := system.get("timezone"); zone != nil {
		l.UTC = posture.Written(slices.Contains([]string{"Etc/UTC", "UTC", "Etc/GMT", "Etc/UCT", "GMT"}, zone.text), zone.at, zone.text)
	}
	l.Auth = byDefault(r, true, l.At, "log-ins are in system.log and the log of the VPN")
	l.Readable = byDefault(r, false, l.At, "logs are root's")
	r.in.Host.Logs = append(r.in.Host.Logs, l)
}

// timeSync: pfSense has a switch beside the servers.
func (r *reader) timeSync(system *element) posture.Value[bool] {
	servers := system.get("timeservers")
	if e := r.root.get("ntpd", "enable"); e != nil && e.text == "disabled" {
		return posture.Written(false, e.at, e.text)
	}
	if servers == nil {
		return byDefault(r, false, system.where("timeservers"), "no timeservers")
	}
	return posture.Written(servers.text != "", servers.at, servers.text)
}

// syslogNG is a package of pfSense: its objects are pieces of syslog-ng.conf in
// base64.
func (r *reader) syslogNG(l *posture.Logging) {
	for _, o := range capped(r.root.get("installedpackages", "syslogngadvanced").all("config")) {
		text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(o.value("objectparameters")), ""))
		if err != nil || o.value("objecttype") != "destination" {
			continue
		}
		line, name := string(text), source.Quote(o.value("objectname"))
		if !slices.ContainsFunc([]string{"network(", "syslog(", "tcp(", "udp("}, func(w string) bool { return strings.Contains(line, w) }) {
			continue
		}
		tls := strings.Contains(line, "tls(")
		l.Protected = posture.Written(tls && (!l.OffHost.V || l.Protected.V), o.at, name)
		l.OffHost = posture.Written(true, o.at, name)
	}
}

// through is the child whose networks an address, with or without a port, is in.
func (r *reader) through(server string) string {
	if host, _, err := net.SplitHostPort(server); err == nil {
		server = host
	}
	addr, err := netip.ParseAddr(server)
	for _, c := range r.in.Host.Connections {
		for _, ch := range c.Children {
			for _, ts := range ch.RemoteTS.V {
				n, bad := netip.ParsePrefix(ts)
				if err == nil && bad == nil && !c.Disabled && n.Bits() > 0 && n.Contains(addr) {
					return ch.Name
				}
			}
		}
	}
	return ""
}

// destinations are those of OPNsense's model of syslog-ng.
func (r *reader) destinations(l *posture.Logging) {
	for _, d := range r.root.get("OPNsense", "Syslog", "destinations").all("destination") {
		if !d.on("enabled", true) {
			continue
		}
		transport := cmp.Or(d.value("transport"), "udp4")
		tls := strings.HasPrefix(transport, "tls")
		l.Protected = posture.Written(tls && (!l.OffHost.V || l.Protected.V), d.where("transport"), transport)
		l.OffHost = posture.Written(true, d.at, d.value("hostname"))
	}
}
