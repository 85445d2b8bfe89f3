package load

import (
	"slices"
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/source"
)

func read(t *testing.T, name, text string) *posture.Host {
	t.Helper()
	for h := range Hosts(source.New("", fstest.MapFS{name: {Data: []byte(text)}}, false), Options{}) {
		return h
	}
	t.Fatal("no host was read")
	return nil
}

const (
	filled = "# by RouterOS 7.14\n/ip ipsec profile\nadd name=p enc-algorithm=aes-256 hash-algorithm=sha256 dh-group=ecp256\n" +
		"/ip ipsec peer\nadd name=site address=192.0.2.1 profile=p exchange-mode=ike2\n/ip ipsec identity\nadd peer=site secret=x\n"
	unfilled = "# by RouterOS 7.14\n/ip ipsec profile\nadd name=p enc-algorithm=<cipher> hash-algorithm=sha256 dh-group=ecp256\n" +
		"/ip ipsec peer\nadd name=site address=192.0.2.1 profile=p exchange-mode=ike2\n/ip ipsec identity\nadd peer=site secret=x\n"
	forti = "config vpn ipsec phase1-interface\n    edit \"site\"\n        set proposal ${PROPOSAL}\n        set remote-gw 192.0.2.1\n    next\nend\n" +
		"config vpn ipsec phase2-interface\n    edit \"site\"\n        set phase1name \"site\"\n        set proposal @ESP@\n    next\nend\n"
	vyosSet = "set vpn ipsec ike-group I proposal 1 encryption '{{ cipher }}'\nset vpn ipsec ike-group I proposal 1 hash 'sha256'\n" +
		"set vpn ipsec site-to-site peer site ike-group I\nset vpn ipsec site-to-site peer site remote-address '192.0.2.1'\nset vpn ipsec site-to-site peer site authentication mode pre-shared-secret\n"
)

func TestAlgorithmsThatATemplateLeavesOutAreNotKnown(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		known bool
	}{"a.rsc": {unfilled, false}, "b.rsc": {filled, true}, "c.conf": {forti, false}, "d.set": {vyosSet, false}} {
		h := read(t, name, c.text)
		if len(h.Connections) != 1 {
			t.Fatalf("%s: %+v", name, h.Connections)
		}
		conn := h.Connections[0]
		if conn.IKE.Known() != c.known || conn.IKEImplicit.Known() != c.known {
			t.Errorf("%s: IKE is %+v", name, conn.IKE)
		}
		for _, child := range conn.Children {
			if name == "c.conf" && child.ESP.Known() {
				t.Errorf("%s: ESP is %+v", name, child.ESP)
			}
		}
		if opaque := slices.ContainsFunc(h.Notes, func(n posture.Note) bool { return n.Kind == posture.Opaque }); opaque == c.known {
			t.Errorf("%s: notes are %+v", name, h.Notes)
		}
	}
}

func TestAnAlgorithmThatNobodyKnowsIsNoted(t *testing.T) {
	text := "# by RouterOS 7.14\n/ip ipsec profile\nadd name=p enc-algorithm=aes-256 hash-algorithm=whirlpool dh-group=ecp256\n" +
		"/ip ipsec peer\nadd name=a address=192.0.2.1 profile=p exchange-mode=ike2\nadd name=b address=192.0.2.2 profile=p exchange-mode=ike2\n"
	n := 0
	for _, note := range read(t, "a.rsc", text).Notes {
		if note.Text == `"whirlpool" is an algorithm that is in no registry` {
			n++
		}
	}
	if n != 1 {
		t.Errorf("noted %d times", n)
	}
}

func TestSelectorsAndResolversThatATemplateLeavesOutAreNotKnown(t *testing.T) {
	h := read(t, "etc/ipsec.conf", "conn rw\n\tkeyexchange=ikev2\n\tleft=%any\n\tright=%any\n\tleftsubnet=$NETWORKS\n\trightsubnet=%dynamic\n\trightsourceip=10.9.0.0/24\n\trightdns=__DNS__\n\tauto=add\n")
	if len(h.Connections) != 1 || len(h.Connections[0].Children) != 1 {
		t.Fatalf("%+v", h.Connections)
	}
	c := h.Connections[0]
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Opaque {
		t.Errorf("notes are %+v", h.Notes)
	}
	if c.DNS.Known() || c.Children[0].LocalTS.Known() || !c.Children[0].RemoteTS.Known() || !c.Pool.Known() {
		t.Errorf("%+v", c)
	}
}
