package config

import (
	"fmt"
	"io/fs"
	"net"
	"os"
)

// checkHost looks for what the configuration names on this host.
func (d *decoder) checkHost(c *Config) {
	if c == nil {
		return
	}
	d.checkInterfaces("gateway.listen", c.Gateway.Listen)
	for _, r := range c.RADIUS {
		d.checkRADIUSFiles(&r)
	}
	for _, z := range c.Zones {
		key := "zones." + z.Name
		d.checkInterfaces(key+".listen", z.Listen)
		d.checkFile(key+".identity.certificate", z.Identity.Certificate)
		d.checkKeyFile(key+".identity.key", z.Identity.Key)
		d.checkKeyFile(key+".group_psk", z.GroupPSK)
		for i, file := range z.Trust.CAs {
			d.checkFile(fmt.Sprintf("%s.trust.cas[%d]", key, i), file)
		}
		for i, file := range z.Trust.CRLs {
			d.checkFile(fmt.Sprintf("%s.trust.crls[%d]", key, i), file)
		}
	}
}

func (d *decoder) checkInterfaces(key string, listen []Listen) {
	for i, l := range listen {
		if l.Interface == "" {
			continue
		}
		if _, err := net.InterfaceByName(l.Interface); err != nil {
			d.warnAt(fmt.Sprintf("%s[%d]", key, i), "ip link lists the interfaces", "this host has no interface %q now", l.Interface)
		}
	}
}

// checkRADIUSFiles looks for the secrets and certificates of RADIUS servers.
func (d *decoder) checkRADIUSFiles(r *Realm) {
	for what, list := range map[string][]RADIUSServer{"servers": r.Servers, "accounting": r.Accounting} {
		for i, s := range list {
			key := fmt.Sprintf("radius.%s.%s[%d]", r.Name, what, i)
			d.checkKeyFile(key+".secret", s.Secret)
			d.checkFile(key+".tls.ca", s.TLS.CA)
			d.checkFile(key+".tls.crl", s.TLS.CRL)
			d.checkFile(key+".tls.certificate", s.TLS.Certificate)
			d.checkKeyFile(key+".tls.key", s.TLS.Key)
		}
	}
	for i, f := range r.Dynamic.From {
		d.checkKeyFile(fmt.Sprintf("radius.%s.dynamic.from[%d].secret", r.Name, i), f.Secret)
	}
}

// checkFile returns what the file is, or nil when it cannot be seen.
func (d *decoder) checkFile(key, file string) fs.FileInfo {
	if file == "" {
		return nil
	}
	info, err := os.Stat(file)
	if err != nil {
		d.warnAt(key, "the gateway will not start without it", "%q: %s", file, reason(err))
		return nil
	}
	if !info.Mode().IsRegular() {
		d.errorAt(key, "name a plain file, not a directory or a device", "%q is not a file", file)
		return nil
	}
	return info
}

// checkKeyFile also refuses a private key that others may read.
func (d *decoder) checkKeyFile(key, file string) {
	if info := d.checkFile(key, file); info != nil && info.Mode().Perm()&0o077 != 0 {
		d.errorAt(key, "chmod 600 "+quote(file), "%q may be read by others (mode %04o)", file, info.Mode().Perm())
	}
}
