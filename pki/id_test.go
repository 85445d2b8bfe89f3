package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"strings"
	"testing"

	"sallyport/protocol/ike/ikemsg"
)

func TestMatchID(t *testing.T) {
	root := newRoot(t, "root")
	device := root.under(t, "laptop.alice", func(c *x509.Certificate) {
		c.DNSNames = []string{"laptop.alice", "192.0.2.7", "2001:db8::7"}
		c.EmailAddresses = []string{"laptop@alice"}
		c.IPAddresses = []net.IP{net.IPv4(198, 51, 100, 1), net.ParseIP("2001:db8::1")}
	}).cert
	wild := root.under(t, "*.example.org").cert
	onlyCN := root.under(t, "cn.example.org", func(c *x509.Certificate) { c.DNSNames = nil }).cert
	nameless := root.under(t, "x", func(c *x509.Certificate) { c.Subject = pkix.Name{}; c.DNSNames = []string{"k.example"} }).cert
	other := root.under(t, "laptop.alice").cert
	other.RawSubject = bytes.Replace(other.RawSubject, []byte{0x13}, []byte{0x0c}, 1) // the same text as UTF8String

	for _, c := range []struct {
		name string
		cert *x509.Certificate
		kind ikemsg.IDType
		data string
		want bool
	}{
		{"a host name", device, ikemsg.IDFQDN, "laptop.alice", true},
		{"a host name in capitals", device, ikemsg.IDFQDN, "LAPTOP.Alice", true},
		{"an Apple identifier with @ as a host name", device, ikemsg.IDFQDN, "laptop@alice", true},
		{"an address as a host name, as for Windows", device, ikemsg.IDFQDN, "192.0.2.7", true},
		{"another host name", device, ikemsg.IDFQDN, "laptop.bob", false},
		{"a part of a name", device, ikemsg.IDFQDN, "laptop", false},
		{"a name with more behind it", device, ikemsg.IDFQDN, "laptop.alice\x00.example", false},
		{"an empty name", device, ikemsg.IDFQDN, "", false},
		{"a name under a wildcard", wild, ikemsg.IDFQDN, "a.example.org", false},
		{"the wildcard itself", wild, ikemsg.IDFQDN, "*.example.org", true},
		{"the common name", onlyCN, ikemsg.IDFQDN, "cn.example.org", false},
		{"a Kelvin sign for k", nameless, ikemsg.IDFQDN, "\u212a.example", false},
		{"a mail address", device, ikemsg.IDRFC822Addr, "laptop@alice", true},
		{"a mail address in capitals", device, ikemsg.IDRFC822Addr, "Laptop@ALICE", true},
		{"another mail address", device, ikemsg.IDRFC822Addr, "root@alice", false},
		{"a host name as a mail address", device, ikemsg.IDRFC822Addr, "laptop.alice", false},
		{"an IPv4 address", device, ikemsg.IDIPv4Addr, "\xc6\x33\x64\x01", true},
		{"an IPv4 address among the dNSNames", device, ikemsg.IDIPv4Addr, "\xc0\x00\x02\x07", true},
		{"another IPv4 address", device, ikemsg.IDIPv4Addr, "\xc0\x00\x02\x08", false},
		{"an IPv4 address of three octets", device, ikemsg.IDIPv4Addr, "\xc0\x00\x02", false},
		{"an IPv6 address", device, ikemsg.IDIPv6Addr, "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01", true},
		{"an IPv6 address among the dNSNames", device, ikemsg.IDIPv6Addr, "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x07", true},
		{"an IPv4 address in an IPv6 identity", device, ikemsg.IDIPv6Addr, "\xc6\x33\x64\x01", false},
		{"the subject", device, ikemsg.IDDERASN1DN, string(device.RawSubject), true},
		{"the subject in another encoding", device, ikemsg.IDDERASN1DN, string(other.RawSubject), false},
		{"another subject", device, ikemsg.IDDERASN1DN, string(onlyCN.RawSubject), false},
		{"an empty subject", nameless, ikemsg.IDDERASN1DN, string(nameless.RawSubject), false},
		{"a key id", device, ikemsg.IDKeyID, "laptop.alice", false},
		{"an unknown type", device, ikemsg.IDType(99), "laptop.alice", false},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			err := MatchID(c.cert, &ikemsg.ID{Kind: c.kind, Data: []byte(c.data)})
			if (err == nil) != c.want {
				t.Errorf("matches: %v, want %v", err, c.want)
			}
			var e *IDError
			if err != nil && (!errors.As(err, &e) || e.Hint() == "" || strings.ContainsAny(err.Error(), "\x00\n")) {
				t.Errorf("error %q", err)
			}
		})
	}
}

func TestADeviceProvesTheIdentitiesItsProfileUses(t *testing.T) {
	id := issueDevice(t, newCA(t), DeviceRequest{User: "alice@example.org", Device: "laptop"})
	for _, c := range []struct {
		client string
		id     ikemsg.ID
	}{
		{"strongSwan with '@'", ikemsg.ID{Kind: ikemsg.IDRFC822Addr, Data: []byte("laptop@alice.example.org")}},
		{"strongSwan by default", ikemsg.ID{Kind: ikemsg.IDDERASN1DN, Data: id.Cert.RawSubject}},
		{"Apple LocalIdentifier", ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte("laptop@alice.example.org")}},
		{"Android", ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte("laptop.alice.example.org")}},
		{"Windows user certificate, CN", ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte(id.Cert.Subject.CommonName)}},
		{"Windows machine certificate", ikemsg.ID{Kind: ikemsg.IDDERASN1DN, Data: id.Cert.RawSubject}},
	} {
		if err := MatchID(id.Cert, &c.id); err != nil {
			t.Errorf("%s: %v", c.client, err)
		}
	}
}

func FuzzMatchID(f *testing.F) {
	root := newRoot(f, "root")
	for _, kind := range []ikemsg.IDType{ikemsg.IDFQDN, ikemsg.IDRFC822Addr, ikemsg.IDIPv4Addr, ikemsg.IDDERASN1DN} {
		f.Add(root.under(f, "laptop.alice").cert.Raw, uint8(kind), []byte("laptop.alice"))
	}
	f.Fuzz(func(t *testing.T, der []byte, kind uint8, data []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if err := MatchID(c, &ikemsg.ID{Kind: ikemsg.IDType(kind), Data: data}); err == nil && len(data) == 0 {
			t.Error("an empty identity was proved")
		} else if err != nil && strings.ContainsAny(err.Error(), "\x00\n\x1b") {
			t.Errorf("unquoted peer text in %q", err)
		}
	})
}
