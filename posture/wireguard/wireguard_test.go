package wireguard

import (
	"crypto/ecdh"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/posturetest"
	"sallyport/posture/source"
)

func host(text string) *posture.Host {
	h := &posture.Host{}
	m := fstest.MapFS{"wg0.conf": {Data: []byte(text), Mode: 0o600}}
	Read(source.NewInput(source.New("", m, true), h).For("", []string{"wg0.conf"}))
	return h
}

func notes(h *posture.Host) string {
	var b strings.Builder
	for _, n := range h.Notes {
		fmt.Fprintf(&b, "%d: %s %s\n", n.At.Line, n.Kind, n.Text)
	}
	return b.String()
}

const (
	private = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	public  = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
	shared  = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
)

const client = `# a client
[Interface]
PrivateKey = ` + private + ` # ours
Address = 10.9.0.2/32
dns = 10.9.0.1, corp.example
MTU = 1420
PostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT && ip6tables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT

[Peer]
PublicKey = ` + public + `
PresharedKey = ` + shared + `
AllowedIPs = 0.0.0.0/0
AllowedIPs = ::/0
Endpoint = vpn.example.org:51820
PersistentKeepalive = 25
`

func TestAPrivateKeyIsEnteredByItsPublicHalf(t *testing.T) {
	h := host(client)
	if len(h.Keys) != 1 {
		t.Fatalf("%d keys", len(h.Keys))
	}
	k := h.Keys[0]
	public, ok := k.Public.(*ecdh.PublicKey)
	if !ok || base64.StdEncoding.EncodeToString(public.Bytes()) != "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=" {
		t.Errorf("public half: %v", k.Public)
	}
	if !k.Private || k.At.Line != 3 || strings.Contains(fmt.Sprintf("%+v", k), private) {
		t.Errorf("key: %+v", k)
	}
	if h := host(strings.Replace(client, private, "short", 1)); len(h.Keys) != 0 {
		t.Errorf("what is no key: %+v", h.Keys)
	}
}

func TestAClientIsReadWhole(t *testing.T) {
	h := host(client)
	if len(h.Notes) > 0 || len(h.Tunnels) != 1 || len(h.Tunnels[0].Peers) != 1 {
		t.Fatalf("notes %s, tunnels %+v", notes(h), h.Tunnels)
	}
	w := h.Tunnels[0]
	posturetest.Is(t, "PrivateKey", w.PrivateKeyInFile, true, posture.Explicit)
	posturetest.Is(t, "DNS", w.DNS, []string{"10.9.0.1", "corp.example"}, posture.Explicit)
	posturetest.Is(t, "MTU", w.MTU, 1420, posture.Explicit)
	posturetest.Is(t, "Table", w.Table, "auto", posture.Default)
	posturetest.Is(t, "KillSwitch", w.KillSwitch, true, posture.Explicit)
	posturetest.Is(t, "Routes", w.Routes, []string{"0.0.0.0/0", "::/0"}, posture.Default)
	p := w.Peers[0]
	posturetest.Is(t, "PSK", p.PSK, true, posture.Explicit)
	posturetest.Is(t, "Keepalive", p.Keepalive, 25*time.Second, posture.Explicit)
	posturetest.Is(t, "AllowedIPs", p.AllowedIPs, []string{"0.0.0.0/0", "::/0"}, posture.Explicit)
	if w.Name != "wg0" || w.At.Line != 2 || p.PublicKey != public || p.Endpoint.V != "vpn.example.org:51820" {
		t.Errorf("tunnel %+v, peer %+v", w.Subject, p)
	}
	if len(h.Secrets) != 1 || len(h.Secrets[0].Value) != 32 || !h.Files[0].Secrets {
		t.Errorf("secrets: %d, files %+v", len(h.Secrets), h.Files)
	}
}

func TestWithoutARuleForIPv6ThereIsNoKillSwitch(t *testing.T) {
	posturetest.Is(t, "KillSwitch", host(strings.Replace(client, "ip6tables", "true", 1)).Tunnels[0].KillSwitch, false, posture.Explicit)
	posturetest.Is(t, "KillSwitch", host("[Interface]\n[Peer]\nPublicKey=" + public).Tunnels[0].KillSwitch, false, posture.Default)
}

func TestAScriptMayBeAKillSwitch(t *testing.T) {
	h := host("[Interface]\nPostUp = /etc/wireguard/up.sh %i\n")
	if h.Tunnels[0].KillSwitch.Known() {
		t.Errorf("kill switch: %+v", h.Tunnels[0].KillSwitch)
	}
}

func TestAPrivateKeyMayComeFromElsewhere(t *testing.T) {
	h := host("[Interface]\nListenPort = 51820\nPostUp = wg set %i private-key /etc/wireguard/%i.key\n")
	posturetest.Is(t, "PrivateKey", h.Tunnels[0].PrivateKeyInFile, false, posture.Default)
	if h.Files[0].Secrets {
		t.Error("the file holds no secrets")
	}
}

func TestTableOffSetsNoRoutes(t *testing.T) {
	posturetest.Is(t, "Routes", host("[Interface]\nTable = off\n[Peer]\nPublicKey=" + public + "\nAllowedIPs=0.0.0.0/0").Tunnels[0].Routes, nil, posture.Explicit)
}

func TestWhatIsWrongIsNoted(t *testing.T) {
	h := host("MTU = 1\n[Interface]\nPrivateKey = short\nColor = 4\nMTU = big\nnonsense\n[Peer]\nPublicKey = " + public + "\n[Peer]\nPublicKey = " + public +
		"\n[Peer]\n[Peer]\nPublicKey = x\nPresharedKey = y\nPersistentKeepalive = often\n[Other]\nA = b\n")
	want := `1: unparsed the setting "MTU" stands before any section
4: unparsed the setting "Color" of [interface] is not known
6: unparsed the line has no =
16: unparsed the section "other" is not known
3: malformed PrivateKey is not 32 octets in base64
5: unparsed MTU is not a number of octets
9: malformed the peer ` + public + ` is here twice, first in line 7: the later settings replace the earlier ones
11: malformed the peer has no PublicKey
13: malformed PublicKey is not 32 octets in base64
15: unparsed PersistentKeepalive is not a number of seconds
14: malformed PresharedKey is not 32 octets in base64
`
	if got := notes(h); got != want {
		t.Errorf("notes:\n%s", got)
	}
}

func TestAKeyOfZerosIsNone(t *testing.T) {
	h := host("[Interface]\n[Peer]\nPublicKey=" + public + "\nPresharedKey=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	posturetest.Is(t, "PSK", h.Tunnels[0].Peers[0].PSK, false, posture.Explicit)
}

func TestWhatIsClaimed(t *testing.T) {
	for text, want := range map[string]bool{"[Interface]\nPrivateKey = x": true, "[interface]\n[peer]": true, "[Interface]\nName=eth0": false, "": false} {
		if got := Claims("etc/wireguard/wg0.conf", func() []byte { return []byte(text) }); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(client)
	f.Add("[Interface]\nTable=off\n[Peer]\n[Peer]\nPublicKey = x\n[x]\n=\n")
	f.Add(device)
	f.Fuzz(func(t *testing.T, text string) {
		host(text)
		Read(source.NewInput(source.New("", fstest.MapFS{"x.netdev": {Data: []byte(text)}}, true), &posture.Host{}).For("", []string{"x.netdev"}))
	})
}

func TestAPresharedKeyThatCannotBeReadIsNotNone(t *testing.T) {
	h := host("[Interface]\nListenPort = 51820\n[Peer]\nPublicKey = HAZ1Pj0Mdh8w0uG4mJtR9cVnq3KfZ5yLbE7xXsoTi1A=\nPresharedKey = KEY\n")
	if p := h.Tunnels[0].Peers[0]; p.PSK.Known() {
		t.Errorf("%+v", p.PSK)
	}
}

func TestTheKeysOfAmneziaAreKnown(t *testing.T) {
	h := host("[Interface]\nListenPort = 51820\nJc = 4\nJmin = 40\nS1 = 116\nH4 = 5\n[Peer]\nPublicKey = HAZ1Pj0Mdh8w0uG4mJtR9cVnq3KfZ5yLbE7xXsoTi1A=\n")
	if len(h.Notes) > 0 {
		t.Errorf("%v", h.Notes)
	}
}

func TestAKillSwitchForIPv6StopsIPv6(t *testing.T) {
	const four = "PostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark 0xca6c -j REJECT\n"
	for up, want := range map[string]bool{"": false, four: false, four + "PostUp = ip6tables -I OUTPUT ! -o %i -m mark ! --mark 0xca6c -j REJECT\n": true} {
		h := host("[Interface]\nListenPort = 51820\n" + up + "[Peer]\nPublicKey = HAZ1Pj0Mdh8w0uG4mJtR9cVnq3KfZ5yLbE7xXsoTi1A=\nAllowedIPs = 0.0.0.0/0\n")
		if v := h.Tunnels[0].StopsIPv6; !v.Known() || v.V != want {
			t.Errorf("%q: %+v", up, v)
		}
	}
}

func TestAPlaceholderIsNoKeyThatIsWrong(t *testing.T) {
	h := host("[Interface]\nPrivateKey = ${PRIVATE_KEY}\n[Peer]\nPublicKey = <key of the server>\nPresharedKey = {{ psk }}\nAllowedIPs = 10.0.0.0/8\n")
	for _, n := range h.Notes {
		if n.Kind != posture.Opaque {
			t.Errorf("%+v", n)
		}
	}
	if len(h.Notes) != 3 || h.Tunnels[0].Peers[0].PSK.Known() {
		t.Errorf("%+v, %+v", h.Notes, h.Tunnels[0].Peers)
	}
}

const device = `; of systemd-networkd
[NetDev]
Name=wg7
Kind=wireguard
MTUBytes=1380

[WireGuard]
PrivateKeyFile=/etc/systemd/network/wg7.key
ListenPort=51820

[WireGuardPeer]
# a peer
PublicKey=HAZ1Pj0Mdh8w0uG4mJtR9cVnq3KfZ5yLbE7xXsoTi1A=
PresharedKeyFile=/etc/systemd/network/wg7.psk
AllowedIPs=0.0.0.0/0
AllowedIPs=fd00::/8
Endpoint=192.0.2.1:51820
`

func TestADeviceOfSystemdIsRead(t *testing.T) {
	if !Claims("etc/systemd/network/99-wg7.netdev", func() []byte { return []byte(device) }) || Claims("etc/systemd/network/br0.netdev", func() []byte { return []byte("[NetDev]\nKind=bridge\n") }) {
		t.Error("is not told from other devices")
	}
	h := &posture.Host{}
	const name = "etc/systemd/network/99-wg7.netdev"
	read := func(text string) *posture.Tunnel {
		h = &posture.Host{}
		Read(source.NewInput(source.New("", fstest.MapFS{name: {Data: []byte(text), Mode: 0o640}}, true), h).For("", []string{name}))
		return &h.Tunnels[0]
	}
	w := read(device)
	if w.Name != "wg7" || w.PrivateKeyInFile.V || w.DNS.Known() || w.Table.V != "off" || w.MTU.V != 1380 || w.KillSwitch.Known() || len(h.Notes) > 0 {
		t.Errorf("%+v, %+v", w, h.Notes)
	}
	if p := w.Peers[0]; !p.PSK.V || len(p.AllowedIPs.V) != 2 || p.Endpoint.V != "192.0.2.1:51820" {
		t.Errorf("%+v", p)
	}
	if w = read(strings.Replace(device, "ListenPort=51820", "RouteTable=main\nNew=1", 1)); w.Table.V != "main" || len(h.Notes) != 1 {
		t.Errorf("%+v, %+v", w.Table, h.Notes)
	}
}

func TestACredentialOfSystemdIsAKeyElsewhere(t *testing.T) {
	const name = "wg.netdev"
	h := &posture.Host{}
	text := "[NetDev]\nName=wg7\nKind=wireguard\n[WireGuard]\nPrivateKey=@network.wireguard.own\n[WireGuardPeer]\nPublicKey=@network.wireguard.peer\nPresharedKey=@network.wireguard.psk\nAllowedIPs=0.0.0.0/0\nRouteTable=main\n"
	Read(source.NewInput(source.New("", fstest.MapFS{name: {Data: []byte(text)}}, true), h).For("", []string{name}))
	w := h.Tunnels[0]
	if !posture.Is(w.PrivateKeyInFile, false) || !posture.Is(w.Peers[0].PSK, true) || len(h.Notes) != 0 || len(h.Secrets) != 0 {
		t.Errorf("%+v %+v", w, h.Notes)
	}
	if w.Table.V != "main" || w.Table.At.Line != 10 {
		t.Errorf("the peer's own table: %+v", w.Table)
	}
}
