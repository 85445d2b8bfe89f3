package own

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/config"
	"sallyport/posture"
	"sallyport/posture/source"
)

func init() { now = func() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) } }

func host(pairs ...string) *posture.Host {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1]), Mode: 0o600}
	}
	h := &posture.Host{}
	in := source.NewInput(source.New("", m, true), h)
	var claimed []string
	all, _ := in.Walk(".")
	for _, p := range all {
		if Claims(p, func() []byte { return in.Head(p, 8<<10) }) {
			claimed = append(claimed, p)
		}
	}
	Read(in.For("", claimed))
	return h
}

func is[T any](t *testing.T, what string, v posture.Value[T], want T, origin posture.Origin, line int) {
	t.Helper()
	if fmt.Sprint(v.V) != fmt.Sprint(want) || v.Origin != origin || v.At.Line != line {
		t.Errorf("%s is %v (%v, line %d, %s), want %v (%v, line %d)", what, v.V, v.Origin, v.At.Line, v.Why, want, origin, line)
	}
}

const full = `gateway:
  name: vpn.example.org
zones:
  staff:
    auth: [certificate, eap-tls]
    rekey: {child: 30m}
    dns: {servers: [10.0.0.53]}
    trust: {cas: [/etc/sallyport/ca.pem], strict: false}
    policy: compatible
    waivers:
      - {rule: CRY-010, until: 2027-03-31, owner: alice, reason: "old phones", peer: phone.example.org}
  old:
    protocol: l2tp
    auth: [peap]
    machine: [psk]
    radius: corp
    group_psk: /etc/sallyport/group.psk
    waivers:
      - {rule: PSK-003, until: 2027-03-31, owner: bob, reason: "printers"}
      - {rule: CRY-010, until: 2027-03-31, owner: bob, reason: "printers"}
radius:
  corp:
    servers:
      - {address: "192.0.2.9:1812", secret: /etc/sallyport/radius.secret}
`

func TestAZoneIsAConnection(t *testing.T) {
	h := host("etc/sallyport/sallyport.yaml", full)
	if len(h.Notes) > 0 || len(h.Connections) != 2 || h.Name != "vpn.example.org" {
		t.Fatalf("notes %v, connections %d, name %q", h.Notes, len(h.Connections), h.Name)
	}
	c := h.Connections[0]
	is(t, "V2", c.V2, true, posture.Default, 5)
	is(t, "V1", c.V1, false, posture.Default, 5)
	is(t, "Reauth", c.Reauth, 0, posture.Default, 5)
	is(t, "Revocation", c.Revocation, posture.Optional, posture.Explicit, 8)
	is(t, "DNS", c.DNS, []string{"10.0.0.53"}, posture.Explicit, 7)
	is(t, "IKEImplicit", c.IKEImplicit, false, posture.Explicit, 9)
	is(t, "Fragments", c.Fragments, true, posture.Default, 5)
	if len(c.IKE.V) != 2 || c.IKE.V[0].Transforms == nil || c.IKE.Text != "compatible" {
		t.Errorf("proposals: %+v", c.IKE)
	}
	if len(c.Remote) != 2 || c.Remote[0].Method.V != posture.MethodPubkey || fmt.Sprint(c.Remote[1].EAP.V) != "[tls]" || len(c.Local) != 1 {
		t.Errorf("remote %+v, local %+v", c.Remote, c.Local)
	}
	child := c.Children[0]
	is(t, "Life", child.Life, 30*time.Minute, posture.Explicit, 6)
	is(t, "PFS", child.PFS, posture.Optional, posture.Explicit, 9)
	is(t, "Replay", child.Replay, 4096, posture.Default, 4)
	is(t, "ESN", child.ESN, true, posture.Explicit, 9)
	is(t, "LocalTS", child.LocalTS, []string{"0.0.0.0/0", "::/0"}, posture.Default, 5)
}

func TestTheStrongPolicyIsTheDefault(t *testing.T) {
	h := host("sallyport.yaml", "gateway: {name: vpn.example.org}\n")
	c := h.Connections[0]
	is(t, "IKEImplicit", c.IKEImplicit, true, posture.Default, 1)
	is(t, "PFS", c.Children[0].PFS, posture.Always, posture.Default, 1)
	is(t, "Revocation", c.Revocation, posture.Always, posture.Default, 1)
	if len(h.Firewalls) > 0 || len(h.L2TP) > 0 {
		t.Error("without an L2TP zone there is no table of one")
	}
}

func TestAnL2TPZoneHasPPPAndAFirewall(t *testing.T) {
	h := host("etc/sallyport/sallyport.yaml", full)
	if len(h.L2TP) != 1 || len(h.PPP) != 1 || len(h.Firewalls) != 1 {
		t.Fatalf("%d, %d, %d", len(h.L2TP), len(h.PPP), len(h.Firewalls))
	}
	c := h.Connections[1]
	is(t, "V1", c.V1, true, posture.Explicit, 13)
	is(t, "PFS", c.Children[0].PFS, posture.Optional, posture.Default, 13)
	if c.Remote[0].Method.V != posture.MethodPSK || c.Local[0].Method.V != posture.MethodPSK || !c.Children[0].L2TP {
		t.Errorf("connection: %+v", c)
	}
	is(t, "Methods", h.PPP[0].Methods, []posture.PPPMethod{posture.PEAPPPP}, posture.Explicit, 14)
	is(t, "MTU", h.PPP[0].MTU, 1400, posture.Default, 13)
	is(t, "IPsec", h.L2TP[0].IPsec, posture.Always, posture.Default, 12)
	is(t, "L2TPNeedsIPsec", h.Firewalls[0].L2TPNeedsIPsec, true, posture.Default, 12)
	if len(h.EAP) != 1 {
		t.Errorf("RADIUS judges the EAP of the L2TP zone: %+v", h.EAP)
	}
}

func TestSecretsAreReadWhereTheirFilesAre(t *testing.T) {
	h := host("etc/sallyport/sallyport.yaml", full, "etc/sallyport/radius.secret", "sixteen or more octets \nnot this", "etc/other", "")
	if len(h.Secrets) != 2 || len(h.RADIUS) != 1 || h.RADIUS[0].Name != h.Secrets[1].Name {
		t.Fatalf("secrets %+v, servers %+v", h.Secrets, h.RADIUS)
	}
	psk, radius := h.Secrets[0], h.Secrets[1]
	if psk.Storage != posture.Elsewhere || psk.Value != nil || !psk.Anybody.V || psk.At.Line != 17 {
		t.Errorf("group key: %+v", psk)
	}
	if radius.Storage != posture.Clear || string(radius.Value) != "sixteen or more octets" || radius.At.File != "etc/sallyport/radius.secret" || radius.Setting != "/etc/sallyport/radius.secret" {
		t.Errorf("shared secret: %+v", radius)
	}
	for _, f := range h.Files {
		if f.Secrets != (f.Path == "etc/sallyport/radius.secret") {
			t.Errorf("%s: secrets %v", f.Path, f.Secrets)
		}
	}
}

func TestWaiversAreHandedOn(t *testing.T) {
	h := host("sallyport.yaml", full)
	if len(h.Waivers) != 3 {
		t.Fatalf("waivers: %+v", h.Waivers)
	}
	w := h.Waivers[0]
	if w.Rule != "CRY-010" || w.Subject != "staff" || w.Peer != "phone.example.org" || w.Owner != "alice" || w.At.Line != 11 || w.Until.Format(time.DateOnly) != "2027-03-31" {
		t.Errorf("waiver: %+v", w)
	}
}

func TestAWaiverEndsOnTheDayOfTheAudit(t *testing.T) {
	h := &posture.Host{}
	in := source.NewInput(source.New("", fstest.MapFS{"sallyport.yaml": &fstest.MapFile{Data: []byte(full), Mode: 0o600}}, true), h)
	in.Now = time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC)
	Read(in.For("", []string{"sallyport.yaml"}))
	if len(h.Connections) > 0 || len(h.Notes) == 0 || !strings.Contains(h.Notes[0].Text, "EXPIRED") {
		t.Errorf("notes: %v", h.Notes)
	}
}

func TestKeysOfSingleDevicesAreElsewhere(t *testing.T) {
	h := host("sallyport.yaml", "gateway: {name: vpn.example.org}\nzones:\n  staff: {auth: [certificate, psk]}\n")
	if len(h.Secrets) != 1 || h.Secrets[0].Storage != posture.Elsewhere || !posture.Is(h.Secrets[0].Anybody, false) {
		t.Errorf("secrets: %+v, notes %v", h.Secrets, h.Notes)
	}
}

func TestAConfigurationThatIsRefusedIsNoted(t *testing.T) {
	h := host("sallyport.yaml", "gateway: {name: vpn.example.org}\nzones:\n  staff: {psk: hunter2, rekey: {child: 1s}}\n")
	if len(h.Connections) > 0 || len(h.Notes) != 2 {
		t.Fatalf("notes: %v", h.Notes)
	}
	for _, n := range h.Notes {
		if n.Kind != posture.Malformed || n.At.Line != 3 || strings.Contains(n.Text, "hunter2") {
			t.Errorf("note: %+v", n)
		}
	}
}

func TestWhatWasLoadedIsAudited(t *testing.T) {
	c, found := config.Parse("f", []byte(full), now())
	if c == nil {
		t.Fatal(found)
	}
	h := Of(c, "/etc/sallyport/sallyport.yaml")
	if len(h.Connections) != 2 || len(h.Secrets) != 2 || len(h.Waivers) != 3 || len(h.Files) != 1 {
		t.Fatalf("host: %+v", h)
	}
	is(t, "Life", h.Connections[0].Children[0].Life, 30*time.Minute, posture.Explicit, 0)
	is(t, "IKEImplicit", h.Connections[0].IKEImplicit, false, posture.Explicit, 0)
}

func TestWhatIsClaimed(t *testing.T) {
	for _, c := range []struct {
		path, head string
		want       bool
	}{
		{"etc/sallyport/sallyport.yaml", "", true},
		{"gw.yml", "# mine\ngateway:\n  name: x\n", true},
		{"gw.yaml", "gateway: {name: x}", true},
		{"gw.yaml", "gateway: 192.0.2.1\nname: x", false},
		{"compose.yaml", "services:\n  gateway:\n    name: x\n", false},
		{"sallyport.txt", "gateway: {name: x}", false},
	} {
		if got := Claims(c.path, func() []byte { return []byte(c.head) }); got != c.want {
			t.Errorf("%s %q: %v", c.path, c.head, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(full, "secret")
	f.Add("gateway: {name: x}\nzones: {a: {policy: {ike: [x], esp: []}}}\n", "")
	f.Fuzz(func(t *testing.T, text, secret string) {
		host("etc/sallyport/sallyport.yaml", text, "etc/sallyport/radius.secret", secret, "etc/sallyport/group.psk", secret)
	})
}
