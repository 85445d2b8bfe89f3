package audit

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"sallyport/assure/policy"
	"sallyport/assure/vulndb"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

func keyIKELife(j *judge) {
	j.connections(func(c *posture.Connection) { j.life(c.Subject, c.IKELife, policy.IKELife, "the IKE SA") })
}

func keyChildLife(j *judge) {
	j.children(func(_ *posture.Connection, c *posture.Child) {
		j.life(c.Subject, c.Life, policy.ChildLife, "the Child SA")
	})
}

// life judges a lifetime; 0 is none.
func (j *judge) life(s posture.Subject, v posture.Value[time.Duration], bound, what string) {
	most := j.policy.Duration(bound)
	switch {
	case !v.Known():
		j.unknown(s, "the files do not tell how long %s lives", what)
	case v.V == 0:
		j.found(s, evidence(v), "%s lives without end", what)
	case most > 0 && v.V > most:
		j.found(s, evidence(v), "%s lives for %s; the most is %s", what, days(v.V), days(most))
	default:
		j.ok(s, evidence(v))
	}
}

// Blocks of 64 bits collide after some 2^32 of them; this is where one is to
// stop, as others do.
const mostSmallBlocks = 32 << 30 // octets

func keyVolume(j *judge) {
	j.children(func(_ *posture.Connection, c *posture.Child) {
		small, counted := j.ciphers(c)
		bounded := c.Bytes.V > 0 || c.Packets.V > 0
		switch {
		case !c.ESP.Known():
			j.unknown(c.Subject, "the files do not tell the ciphers of the Child SA")
		case !small && !counted:
			j.ok(c.Subject, evidence(c.ESP))
		case !c.Bytes.Known() && !c.Packets.Known():
			j.unknown(c.Subject, "the files do not tell whether the Child SA is bounded by volume")
		case small && (!bounded || c.Bytes.V > mostSmallBlocks):
			j.foundAt(j.inCase(High), c.Subject, evidence(c.Bytes), "a cipher with blocks of 64 bits is taken, and the Child SA is not bounded by volume")
		case !bounded && j.countsNoOctets(c.Dialect) && c.Life.V > 0 && c.Life.V <= time.Hour:
			j.ok(c.Subject, evidence(c.Life))
		case !bounded && j.countsNoOctets(c.Dialect):
			j.foundFor(conn("salifetime=1h"), c.Subject, evidence(c.Life), "AEAD with extended sequence numbers, and the Child SA is bounded neither by volume, which this version cannot, nor to an hour")
		case !bounded:
			j.foundFor(volumeOfAEAD[c.Dialect], c.Subject, evidence(c.Bytes), "AEAD with extended sequence numbers, and the Child SA is not bounded by volume")
		default:
			j.ok(c.Subject, evidence(c.Bytes))
		}
	})
}

// countsNoOctets tells of a version that is known to have no bound by volume: Libreswan
// has its ipsec-max-bytes from 5.0 on.
func (j *judge) countsNoOctets(d posture.Dialect) bool {
	return d == posture.Libreswan && slices.ContainsFunc(j.host.Products, func(p posture.Product) bool {
		return p.Dialect == d && p.Version.Known() && vulndb.Older(p.Version.V, "5.0")
	})
}

// volume bounds a Child SA, in octets, kilobytes and Libreswan's words.
func volume(octets, kilobytes, binary string) fixes {
	return fixes{
		posture.Swanctl:   swanChild("rekey_bytes = " + octets),
		posture.Starter:   conn("lifebytes=" + octets),
		posture.Libreswan: conn("ipsec-max-bytes=" + binary + "  # in 5.0 and later; an older one does not load the file"),
		posture.IOS:       "crypto ipsec security-association lifetime kilobytes " + kilobytes + "\n! and where an entry of a crypto map or a profile has its own\n no set security-association lifetime kilobytes",
		posture.FortiOS:   phase2("set keylife-type both\n        set keylifekbs " + kilobytes),
		posture.VyOS:      "set vpn ipsec esp-group {phase2} life-bytes " + octets,
	}
}

// volumeOfAEAD is 2^32 blocks of 128 bits, in which nobody tells AES in counter mode
// from chance. The gigabyte of the small blocks is gone in eight seconds of a fast link.
var volumeOfAEAD = volume("64000000000", "64000000", "64GiB")

// ciphers tells whether a child takes ciphers with blocks of 64 bits (DES to
// 3IDEA are numbers 1 to 9), and counter modes without an end: a plain sequence
// number ends after 2^32 packets, an extended one does not.
func (j *judge) ciphers(c *posture.Child) (small, counted bool) {
	for _, p := range c.ESP.V {
		for _, t := range p.Of(suite.Encr) {
			small = small || t.ID >= 1 && t.ID <= 9
			counted = counted || t.AEAD() && posture.Is(c.ESN, true)
		}
	}
	return small, counted
}

// rekeyOnly is for peers without certificates, of which nothing can be revoked. Those
// that log in by EAP would be cut off: many do not know RFC 4478.
var rekeyOnly = map[posture.Dialect]string{
	posture.Swanctl:   swanConn("rekey_time = 4h"),
	posture.Starter:   conn("rekey=yes\n    reauth=no"),
	posture.Libreswan: conn("rekey=yes"),
}

func keyReauth(j *judge) {
	j.connections(func(c *posture.Connection) {
		certificates, known := usesCertificates(c)
		// To clients anywhere a gateway opens nothing: they begin anew when the SA's
		// life is over, and in IKEv1 that is to prove themselves again. Libreswan
		// ends it there whoever rekeys; strongSwan without rekeying does not.
		begunByClients := c.Dialect == posture.Libreswan && posture.Is(c.V2, false) && posture.Is(c.AnyPeer, true) && c.IKELife.V > 0
		switch {
		case posture.Is(c.Rekey, false) && begunByClients:
			j.ok(c.Subject, evidence(c.Rekey))
		case posture.Is(c.Rekey, false):
			fix := ""
			if known && !certificates {
				fix = rekeyOnly[c.Dialect]
			}
			j.foundFor(fix, c.Subject, evidence(c.Rekey), "this side never rekeys")
		case known && !certificates && c.Rekey.Known():
			j.ok(c.Subject, evidence(c.Rekey))
		case certificates && posture.Is(c.Reauth, 0):
			e := evidence(c.Reauth)
			j.found(c.Subject, e, "a peer with a certificate never proves itself again")
		case c.Reauth.Known():
			j.ok(c.Subject, evidence(c.Reauth))
		default:
			j.unknown(c.Subject, "the files do not tell whether peers are rekeyed and prove themselves again")
		}
	})
}

// keys are those that the rule applies to.
func (j *judge) keys(yield func(*posture.Key) bool) {
	for i := range j.host.Keys {
		if k := &j.host.Keys[i]; j.rule.Applies(k.Dialect) && !yield(k) {
			return
		}
	}
}

// certificateOf is nil where there is none, or none that can be read.
func certificateOf(k *posture.Key) *x509.Certificate {
	c, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		return nil
	}
	return c
}

func keyValidity(j *judge) {
	for k := range j.keys {
		if k.Certificate == nil {
			continue
		}
		if c := certificateOf(k); c != nil {
			j.validity(k, c)
		} else {
			j.unknown(k.Subject, "the certificate cannot be read")
		}
	}
}

func (j *judge) validity(k *posture.Key, c *x509.Certificate) {
	left, most := j.policy.Duration(policy.CertLeft), j.policy.Duration(policy.CertLife)
	e := at(k.At, "valid from "+c.NotBefore.UTC().Format(time.DateOnly)+" to "+c.NotAfter.UTC().Format(time.DateOnly))
	ca := j.issuerOf(c)
	switch {
	case j.now.After(c.NotAfter):
		j.foundAt(j.inCase(High), k.Subject, e, "the certificate has expired")
	case j.now.Before(c.NotBefore):
		j.foundAt(j.inCase(High), k.Subject, e, "the certificate is not valid yet")
	case c.NotAfter.Sub(j.now) < left:
		j.found(k.Subject, e, "the certificate expires in less than %s", days(left))
	case most > 0 && !k.CA && !c.IsCA && c.NotAfter.Sub(c.NotBefore) > most:
		j.found(k.Subject, e, "the certificate lives for more than %s", days(most))
	case ca != nil && ca.NotAfter.Before(c.NotAfter):
		j.found(k.Subject, e, "its authority expires before it, on %s", ca.NotAfter.UTC().Format(time.DateOnly))
	default:
		j.ok(k.Subject, e)
	}
}

// issuerOf finds the authority of a certificate among those of the host: the
// one that lives longest of its name.
func (j *judge) issuerOf(c *x509.Certificate) *x509.Certificate {
	var found *x509.Certificate
	for i := range j.host.Keys {
		if k := &j.host.Keys[i]; k.CA && k.Certificate != nil {
			ca := certificateOf(k)
			if ca != nil && slices.Equal(ca.RawSubject, c.RawIssuer) && (found == nil || ca.NotAfter.After(found.NotAfter)) {
				found = ca
			}
		}
	}
	return found
}

func keyRevocation(j *judge) {
	j.connections(func(c *posture.Connection) {
		certificates, known := usesCertificates(c)
		v := j.revocation(c)
		switch {
		case known && !certificates:
			j.ok(c.Subject, at(c.At, "no certificates of peers"))
		case !known || !v.Known():
			j.unknown(c.Subject, "the files do not tell whether certificates are checked for revocation")
		case v.V == posture.Always:
			j.ok(c.Subject, evidence(v))
		case v.V == posture.Optional:
			j.found(c.Subject, evidence(v), "a certificate is taken when its revocation cannot be checked")
		default:
			j.found(c.Subject, evidence(v), "certificates are not checked for revocation")
		}
	})
	for e := range j.eaps {
		// IKE daemons check certificates of EAP as they do those of connections.
		if e.CRL.Known() || e.OCSP.Known() || !slices.ContainsFunc(j.host.Daemons, func(d posture.Daemon) bool { return d.Dialect == e.Dialect }) {
			j.eapRevocation(e)
		}
	}
}

// revocation is the connection's, or else its daemon's. A daemon that looks for
// neither list nor answer checks nothing.
func (j *judge) revocation(c *posture.Connection) posture.Value[posture.Demand] {
	if c.Revocation.Known() {
		return c.Revocation
	}
	for i := range j.host.Daemons {
		d := &j.host.Daemons[i]
		if d.Dialect != c.Dialect || d.Product != c.Product {
			continue
		}
		if posture.Is(d.CRLFetch, false) && posture.Is(d.OCSP, false) && !posture.Is(d.StrictCRL, posture.Always) {
			return posture.Value[posture.Demand]{V: posture.Never, Origin: d.CRLFetch.Origin, At: d.CRLFetch.At, Text: d.CRLFetch.Text, Why: d.CRLFetch.Why}
		}
		return d.StrictCRL
	}
	return posture.Value[posture.Demand]{}
}

func (j *judge) eapRevocation(e *posture.EAP) {
	switch {
	case posture.Is(e.CRL, true):
		j.ok(e.Subject, evidence(e.CRL))
	case posture.Is(e.OCSP, true):
		j.ok(e.Subject, evidence(e.OCSP))
	case !e.CRL.Known() && !e.OCSP.Known():
		j.unknown(e.Subject, "the files do not tell whether certificates are checked for revocation")
	case e.CRL.Known():
		j.found(e.Subject, evidence(e.CRL), "clients' certificates are not checked for revocation")
	default:
		j.found(e.Subject, evidence(e.OCSP), "clients' certificates are not checked for revocation")
	}
}

func keyCRL(j *judge) {
	each(j, j.host.CRLs, func(c *posture.CRL) *posture.Subject { return &c.Subject }, func(c *posture.CRL) {
		e := at(c.At, "next update "+c.NextUpdate.UTC().Format(time.DateOnly))
		switch {
		case c.NextUpdate.IsZero():
			j.unknown(c.Subject, "the list does not say when the next one comes")
		case j.now.After(c.NextUpdate):
			j.found(c.Subject, e, "the list is past its next update")
		default:
			j.ok(c.Subject, e)
		}
	})
}

// keyOwner is a place where the private half of a key was seen, or who has a
// certificate for it.
type keyOwner struct {
	host    string
	number  int // of the host
	subject posture.Subject
	name    string // of the certificate; empty: a private key alone
	private bool
}

// spki is the hash of a key's public half; false where it cannot be told.
func spki(k *posture.Key) ([sha256.Size]byte, bool) {
	if c := certificateOf(k); c != nil {
		return sha256.Sum256(c.RawSubjectPublicKeyInfo), true
	}
	public := publicOf(k)
	if !whole(public) {
		return [sha256.Size]byte{}, false
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return [sha256.Size]byte{}, false
	}
	return sha256.Sum256(der), true
}

// whole tells whether a key has its numbers: crypto/x509 panics at one without.
func whole(public any) bool {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return p != nil && p.N != nil
	case *ecdsa.PublicKey:
		//lint:ignore SA1019 they are only asked for being there: Bytes panics at a key without
		return p != nil && p.Curve != nil && p.X != nil && p.Y != nil
	}
	return public != nil
}

// publicOf is the public half, which may be in the certificate alone.
func publicOf(k *posture.Key) any {
	if k.Public != nil {
		return k.Public
	}
	if c := certificateOf(k); c != nil {
		return c.PublicKey
	}
	return nil
}

func keyPlaces(j *judge) {
	for k := range j.keys {
		o := keyOwner{host: j.host.Name, number: j.ledger.number, subject: k.Subject, private: k.Private}
		c := certificateOf(k)
		if c != nil {
			o.name = string(c.RawSubject)
		}
		ca := k.CA || c != nil && c.IsCA
		before := j.owned(k, o)
		place := k.At
		if k.PrivateAt.File != "" {
			place = k.PrivateAt
		}
		switch {
		case ca && k.Private && k.Encrypted:
			j.found(k.Subject, at(place, "private key of an authority, under a passphrase"), "the authority's key is on this host")
		case ca && k.Private:
			j.found(k.Subject, at(place, "private key of an authority"), "the authority's key is on this host, and in clear")
		case before != nil:
			j.found(k.Subject, at(place, "a key of two owners"), "the same key is %s", before)
		default:
			j.ok(k.Subject, at(k.At, "a key of one place"))
		}
	}
}

// owned enters a key and returns an earlier owner that is another: the private
// half on another host, or a certificate of another name.
func (j *judge) owned(k *posture.Key, o keyOwner) *keyOwner {
	tag, ok := spki(k)
	if !ok {
		return nil
	}
	list := j.shared.owners[tag]
	if len(j.shared.owners) < mostRemembered && len(list) < 64 {
		j.shared.owners[tag] = append(list, o)
	}
	for i := range list {
		p := &list[i]
		if o.private && p.private && o.number != p.number || o.name != "" && p.name != "" && o.name != p.name && !k.CA {
			return p
		}
	}
	return nil
}

// String is an owner in words.
func (o *keyOwner) String() string {
	words := "that of " + quoted(o.subject.Name)
	if o.subject.At.File != "" {
		words += " in " + o.subject.At.File
	}
	if o.host != "" {
		words += " on " + quoted(o.host)
	}
	return words
}

func keyRNG(j *judge) {
	each(j, j.host.Daemons, func(d *posture.Daemon) *posture.Subject { return &d.Subject }, func(d *posture.Daemon) {
		j.flag(d.Subject, d.StrongRNG, false, "the daemon's source of randomness was replaced or weakened")
	})
}

// keyIdleAccounts needs dates that hardly any file has; without one the rule
// stays a drill's.
func keyIdleAccounts(j *judge) {
	most := j.policy.Duration(policy.IdleAccount)
	for s := range j.secrets(posture.UserPassword) {
		if s.LastLogin.IsZero() {
			continue
		}
		e := at(s.At, "last login "+s.LastLogin.UTC().Format(time.DateOnly))
		if most > 0 && j.now.Sub(s.LastLogin) > most {
			j.found(s.Subject, e, "nobody has used the account for more than %s", days(most))
		} else {
			j.ok(s.Subject, e)
		}
	}
}
