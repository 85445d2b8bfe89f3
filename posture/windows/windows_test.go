package windows

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"sallyport/posture"
	"sallyport/posture/posturetest"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// host reads one file as one host.
func host(name, text string) *posture.Host {
	h := &posture.Host{}
	m := fstest.MapFS{name: {Data: []byte(text), Mode: 0o600}}
	Read(source.NewInput(source.New("", m, true), h).For("", []string{name}))
	return h
}

func notes(h *posture.Host) string {
	var b strings.Builder
	for _, n := range h.Notes {
		fmt.Fprintf(&b, "%d:%d: %s %s\n", n.At.Line, n.At.Col, n.Kind, n.Text)
	}
	return b.String()
}

// keywords are a proposal in words.
func keywords(p posture.Proposal) string {
	var out []string
	for _, t := range p.Transforms {
		a, _ := suite.Lookup(t)
		out = append(out, a.Keyword)
	}
	return strings.Join(append(out, p.Unknown...), "-")
}

const eapTLS = `<EapHostConfig xmlns=\"http://www.microsoft.com/provisioning/EapHostConfig\"><EapMethod><Type xmlns=\"http://www.microsoft.com/provisioning/EapCommon\">13</Type><VendorId>0</VendorId></EapMethod><Config><Eap xmlns=\"http://www.microsoft.com/provisioning/BaseEapConnectionPropertiesV1\"><Type>13</Type><EapType xmlns=\"http://www.microsoft.com/provisioning/EapTlsConnectionPropertiesV1\"><ServerValidation><DisableUserPromptForServerValidation>true</DisableUserPromptForServerValidation><ServerNames>vpn.example.org</ServerNames><TrustedRootCA>aa bb</TrustedRootCA></ServerValidation></EapType></Eap></Config></EapHostConfig>`

const clients = `[
  {
    "Name": "Office",
    "ServerAddress": "vpn.example.org",
    "AllUserConnection": true,
    "TunnelType": "Ikev2",
    "AuthenticationMethod": ["Eap"],
    "EncryptionLevel": "Maximum",
    "L2tpIPsecAuth": null,
    "EapConfigXmlStream": "` + eapTLS + `",
    "SplitTunneling": true,
    "Routes": [{"DestinationPrefix": "10.0.0.0/8", "Metric": 1}],
    "IPSecCustomPolicy": [{"AuthenticationTransformConstants": "GCMAES256", "CipherTransformConstants": "GCMAES256", "DHGroup": "ECP384",
      "IntegrityCheckMethod": "SHA384", "PfsGroup": "ECP384", "EncryptionMethod": "AES256"}],
    "CimClass": {"CimClassName": "VpnConnection"}
  },
  {
    "Name": "Old",
    "ServerAddress": "192.0.2.1",
    "TunnelType": "L2tp",
    "AuthenticationMethod": "Pap, MsChapv2",
    "EncryptionLevel": "Optional",
    "L2tpIPsecAuth": "Psk",
    "SplitTunneling": false
  }
]`

func TestAProfileWithACustomPolicyIsReadAsWritten(t *testing.T) {
	h := posturetest.Quiet(t, host("vpn.json", clients))
	if len(h.Connections) != 2 {
		t.Fatalf("connections: %+v", h.Connections)
	}
	c := h.Connections[0]
	posturetest.Is(t, "V2", c.V2, true, posture.Explicit)
	posturetest.Is(t, "V1", c.V1, false, posture.Explicit)
	posturetest.Is(t, "Role", c.Role, posture.Initiates, posture.Default)
	posturetest.Is(t, "Address", c.Address, []string{"vpn.example.org"}, posture.Explicit)
	posturetest.Is(t, "PFS", c.Children[0].PFS, posture.Always, posture.Explicit)
	posturetest.Is(t, "RemoteTS", c.Children[0].RemoteTS, []string{"10.0.0.0/8"}, posture.Explicit)
	if got := keywords(c.IKE.V[0]); got != "aes256-sha384-ecp384-prfsha384" {
		t.Errorf("IKE: %s", got)
	}
	if got := keywords(c.Children[0].ESP.V[0]); got != "aes256gcm16-ecp384-noesn" {
		t.Errorf("ESP: %s", got)
	}
	if c.At.Line != 2 || c.IKE.At.Line != 14 {
		t.Errorf("lines %d, %d", c.At.Line, c.IKE.At.Line)
	}
	if c.Local[0].Method.V != posture.MethodEAP || fmt.Sprint(c.Local[0].EAP.V) != "[tls]" {
		t.Errorf("local: %+v", c.Local)
	}
	posturetest.Is(t, "ServerNamed", h.EAP[0].ServerNamed, true, posture.Explicit)
}

func TestAProfileForL2TPHasPPPAndTheDefaults(t *testing.T) {
	h := posturetest.Quiet(t, host("vpn.json", clients))
	c := h.Connections[1]
	posturetest.Is(t, "V1", c.V1, true, posture.Explicit)
	posturetest.Is(t, "PFS", c.Children[0].PFS, posture.Never, posture.Inferred)
	posturetest.Is(t, "IKELife", c.IKELife, 8*time.Hour, posture.Inferred)
	posturetest.Is(t, "method", c.Remote[0].Method, posture.MethodPSK, posture.Explicit)
	if c.IKE.Origin != posture.Inferred || keywords(c.IKE.V[4]) != "3des-sha1-modp1024-prfsha1" {
		t.Errorf("IKE: %v %s", c.IKE.Origin, keywords(c.IKE.V[4]))
	}
	if len(h.PPP) != 1 || len(h.L2TP) != 1 || len(h.Secrets) != 1 || h.Secrets[0].Storage != posture.Elsewhere {
		t.Fatalf("PPP %+v, L2TP %+v, secrets %+v", h.PPP, h.L2TP, h.Secrets)
	}
	posturetest.Is(t, "Methods", h.PPP[0].Methods, []posture.PPPMethod{posture.PAP, posture.MSCHAPv2}, posture.Explicit)
	posturetest.Is(t, "MPPE", h.PPP[0].MPPE, posture.AnyMPPE, posture.Explicit)
	posturetest.Is(t, "Split", h.PPP[0].Split, false, posture.Explicit)
	posturetest.Is(t, "IPsecForced", h.PPP[0].IPsecForced, true, posture.Inferred)
	posturetest.Is(t, "IPsec", h.L2TP[0].IPsec, posture.Always, posture.Inferred)
}

func TestNoProposalHasAnUnknownWord(t *testing.T) {
	lists := [][]string{ikev2Weak, ikev2Strong, ikev1, ikev1Weak}
	for _, p := range defaults(suite.ProtocolIKE, posture.Pos{}, lists...) {
		if len(p.Unknown) > 0 {
			t.Errorf("%s: %v", p.Text, p.Unknown)
		}
	}
	for _, p := range defaults(suite.ProtocolESP, posture.Pos{}, espMaximum, espRequired, espNone) {
		if len(p.Unknown) > 0 {
			t.Errorf("%s: %v", p.Text, p.Unknown)
		}
	}
	for _, e := range []enum{encryptionMethod, integrityMethod, dhGroup, cipherTransform, authTransform, pfsGroup} {
		for word, keyword := range e.keyword {
			if _, ok := suite.ByKeyword(keyword); keyword != "" && !ok {
				t.Errorf("%s: no keyword %q", word, keyword)
			}
		}
	}
}

const server = `{
  "ComputerName": "GW1",
  "OSVersion": "10.0.20348",
  "VpnServerConfiguration": {
    "CustomPolicy": true,
    "AuthenticationTransformConstants": 5, "CipherTransformConstants": 8, "DHGroup": 3,
    "IntegrityCheckMethod": 2, "PfsGroup": 0, "EncryptionMethod": 1,
    "Ikev2Ports": 128, "L2tpPorts": 0, "SstpPorts": 5, "IdleDisconnectSeconds": 300,
    "SALifeTimeSeconds": 3600, "MMSALifeTimeSeconds": 28800, "SADataSizeForRenegotiationKilobytes": 1024
  },
  "VpnAuthProtocol": {"UserAuthProtocolAccepted": ["EAP", "Certificate", "PreSharedKey"], "TunnelAuthProtocolsAdvertised": "Certificates", "RootCertificateNameToAccept": null},
  "RemoteAccessRadius": [{"ServerName": "192.0.2.9", "Purpose": "Authentication", "Port": 1812, "MsgAuthenticator": "Disabled"}],
  "Registry": {"HKLM:\\SYSTEM\\CurrentControlSet\\Services\\RemoteAccess\\Parameters": {"ServerFlags": 8398338}}
}`

func TestAServerIsReadByWordsAndNumbers(t *testing.T) {
	h := posturetest.Quiet(t, host("gw.json", server))
	if h.Name != "GW1" || len(h.Products) != 1 || h.Products[0].Version.V != "10.0.20348" {
		t.Errorf("host %q, products %+v", h.Name, h.Products)
	}
	c := h.Connections[0]
	posturetest.Is(t, "Role", c.Role, posture.Answers, posture.Default)
	posturetest.Is(t, "PFS", c.Children[0].PFS, posture.Never, posture.Explicit)
	posturetest.Is(t, "Life", c.Children[0].Life, time.Hour, posture.Explicit)
	posturetest.Is(t, "IKELife", c.IKELife, 8*time.Hour, posture.Explicit)
	posturetest.Is(t, "Bytes", c.Children[0].Bytes, uint64(1<<20), posture.Explicit)
	if c.IKE.Text != "DES3/SHA256/Group14" || keywords(c.Children[0].ESP.V[0]) != "aes256gcm16-noesn" {
		t.Errorf("IKE %s, ESP %s", c.IKE.Text, keywords(c.Children[0].ESP.V[0]))
	}
	if len(c.Remote) != 3 || c.Remote[2].Method.V != posture.MethodPSK || len(c.Local) != 1 || !h.Secrets[0].Anybody.V {
		t.Errorf("remote %+v, local %+v", c.Remote, c.Local)
	}
	if !h.Connections[1].Disabled || posture.Is(h.L2TP[0].Enabled, true) {
		t.Error("without ports for L2TP nothing listens")
	}
	posturetest.Is(t, "PPP", h.PPP[0].Methods, []posture.PPPMethod{posture.MSCHAPv2}, posture.Explicit)
	posturetest.Is(t, "Message-Authenticator", h.RADIUS[0].MessageAuth, posture.Optional, posture.Explicit)
	if len(h.Services) != 1 || h.Services[0].Protocol != "sstp" || !h.Services[0].Enabled.V {
		t.Errorf("services: %+v", h.Services)
	}
}

func TestWithoutAPolicyTheRegistryDecides(t *testing.T) {
	for number, want := range map[string]string{"0": "modp1024", "1": "modp2048", "2": "modp2048"} {
		h := posturetest.Quiet(t, host("c.json", `{"VpnConnection": {"Name": "x", "TunnelType": "Ikev2", "L2tpIPsecAuth": null}, "Registry": {"NegotiateDH2048_AES256": `+number+`}}`))
		ike := h.Connections[0].IKE
		last := ike.V[len(ike.V)-1]
		if !strings.Contains(keywords(last), want) || (number == "2") != (len(ike.V) == 1) {
			t.Errorf("%s: %s of %d", number, keywords(last), len(ike.V))
		}
	}
}

const export = `Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\RasMan\Parameters]
"ProhibitIPSec"=dword:00000001
"ServiceDll"=hex(2):25,00,53,00,\
  79,00,00,00
@="x"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\PolicyAgent]
"AssumeUDPEncapsulationContextOnSendRule"=dword:00000002

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\RemoteAccess\Parameters]
"ServerFlags"=dword:00834602

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\RemoteAccess\Parameters\IKEV2]
"saLifeTime"=hex(b):10,0e,00,00,00,00,00,00

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Class\{4D36E972-E325-11CE-BFC1-08002bE10318}\0003]
"ComponentId"="ms_pptpminiport"
"EnableForRas"=dword:00000001
`

func TestAnExportOfTheRegistryIsAServer(t *testing.T) {
	h := host("rras.reg", export)
	if got := notes(h); got != "0:0: unparsed 2 values of the registry that bear on nothing known here\n" {
		t.Errorf("notes: %s", got)
	}
	posturetest.Is(t, "Methods", h.PPP[0].Methods, []posture.PPPMethod{posture.PAP, posture.CHAPMD5, posture.MSCHAPv2}, posture.Explicit)
	posturetest.Is(t, "AuthNeeded", h.PPP[0].AuthNeeded, false, posture.Explicit)
	posturetest.Is(t, "IPsec", h.L2TP[0].IPsec, posture.Never, posture.Explicit)
	posturetest.Is(t, "Life", h.Connections[0].Children[0].Life, time.Hour, posture.Explicit)
	if len(h.Services) != 1 || h.Services[0].Protocol != "pptp" || !h.Services[0].Enabled.V {
		t.Errorf("services: %+v", h.Services)
	}
	if len(h.Kernel) != 1 || h.Kernel[0].Value.V != "2" || h.L2TP[0].IPsec.At.Line != 4 {
		t.Errorf("registry: %+v", h.Kernel)
	}
}

func TestAnOlderExportIsReadAsWell(t *testing.T) {
	const old = "REGEDIT4\r\n\r\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\RasMan\\Parameters]\r\n\"ProhibitIpSec\"=dword:1\r\n"
	if !Claims("vpn.reg", func() []byte { return []byte(old) }) {
		t.Fatal("not told")
	}
	h := posturetest.Quiet(t, host("vpn.reg", old))
	posturetest.Is(t, "IPsec", h.L2TP[0].IPsec, posture.Never, posture.Explicit)
}

func TestWeakL2TPIsOfAllProfiles(t *testing.T) {
	for number, want := range map[string]int{"0": 0, "1": 1} {
		h := posturetest.Quiet(t, host("vpn.reg", "Windows Registry Editor Version 5.00 \n[HKEY_LOCAL_MACHINE\\System\\CurrentControlSet\\Services\\Rasman\\Parameters]\n\"AllowL2TPWeakCrypto\"=dword:"+number+"\n"))
		if len(h.Connections) != want {
			t.Fatalf("%s: %+v", number, h.Connections)
		}
		for _, c := range h.Connections {
			var all []string
			for _, p := range c.IKE.V {
				all = append(all, keywords(p))
			}
			if words := strings.Join(all, " "); !strings.Contains(words, "md5") || c.IKE.At.Line != 3 || len(c.Children) != 0 {
				t.Errorf("%s: %+v", words, c)
			}
		}
	}
}

func TestUTF16IsRead(t *testing.T) {
	b := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(export)) {
		b = append(b, byte(u), byte(u>>8))
	}
	if h := host("rras.reg", string(b)); len(h.PPP) != 1 {
		t.Errorf("PPP: %+v", h.PPP)
	}
}

func TestASiteIsReadWithBothSidesProofs(t *testing.T) {
	h := posturetest.Quiet(t, host("s2s.json", `[{"Name":"edge1","Destination":["131.107.0.2"],"AdminStatus":true,"IPv4Subnet":["10.0.0.0/24:100"],"Protocol":"Ikev2",
		"EncryptionType":"RequireEncryption","AuthenticationMethod":"PSKOnly","ResponderAuthenticationMethod":"MachineCertificates","SALifeTime(s)":3600,"CustomPolicy":null}]`))
	c := h.Connections[0]
	posturetest.Is(t, "Address", c.Address, []string{"131.107.0.2"}, posture.Explicit)
	posturetest.Is(t, "RemoteTS", c.Children[0].RemoteTS, []string{"10.0.0.0/24"}, posture.Explicit)
	posturetest.Is(t, "local", c.Local[0].Method, posture.MethodPSK, posture.Explicit)
	posturetest.Is(t, "remote", c.Remote[0].Method, posture.MethodPubkey, posture.Explicit)
	posturetest.Is(t, "Life", c.Children[0].Life, time.Hour, posture.Explicit)
}

func TestAServerMustBePinnedByNameAndAuthority(t *testing.T) {
	plain := strings.ReplaceAll(eapTLS, `\"`, `"`)
	for _, c := range []struct {
		from, to string
		names    bool
		roots    int
		skips    bool
	}{
		{"", "", true, 1, false},
		{"<ServerNames>vpn.example.org</ServerNames>", "<ServerNames></ServerNames>", false, 1, false},
		{"<TrustedRootCA>aa bb</TrustedRootCA>", "", true, 0, false},
		{"<ServerNames>", "<PerformServerValidation>false</PerformServerValidation><ServerNames>", true, 1, true},
	} {
		got, err := parseEAP(strings.Replace(plain, c.from, c.to, 1))
		if err != nil || got.names != c.names || got.roots != c.roots || got.skips != c.skips || fmt.Sprint(got.types) != "[tls]" {
			t.Errorf("%q: %+v, %v", c.to, got, err)
		}
	}
}

func TestWhatIsWrongIsNoted(t *testing.T) {
	for text, want := range map[string]string{
		`{"VpnConnection": [{"Name": "x", "TunnelType": "Carrier", "L2tpIPsecAuth": 7, "Odd": 1}]}`: "1:79: unparsed the property \"Odd\" is not known\n1:34: unparsed TunnelType has a value that is not known: \"Carrier\"\n",
		`{"VpnConnection": [`: "1:20: malformed is not read: it is no JSON, or ends too early\n",
		`{"VpnConnection": [{"Name": "x", "TunnelType": "Ikev2", "IPSecCustomPolicy": "System.Object[]"}]}`: "1:57: opaque IPSecCustomPolicy was cut off or left out: write it with ConvertTo-Json -Depth 5\n",
		`{"Something": 1}`:       "1:2: unparsed the property \"Something\" is not known\n",
		strings.Repeat(`[`, 100): "1:34: limit is not read: objects are nested too deep\n",
	} {
		if got := notes(host("x.json", text)); got != want {
			t.Errorf("%.60s:\n%s", text, got)
		}
	}
}

func TestWhatIsClaimed(t *testing.T) {
	for _, c := range []struct {
		path, head string
		want       bool
	}{
		{"a.json", clients, true},
		{"a.json", `{"name": "package"}`, false},
		{"a.json", `{"Name": "Office", "ServerAddress": "vpn.example.org", "TunnelType": "Automatic", "SplitTunneling": true}`, true},
		{"a.json", `{"ServerAddress": "vpn.example.org", "TunnelType": "gre"}`, false},
		{"rras.reg", export, true},
		{"rras.txt", export, true},
		{"other.txt", "Windows Registry Editor Version 5.00\n[HKEY_CURRENT_USER\\x]", false},
		{"a.conf", clients, false},
	} {
		if got := Claims(c.path, func() []byte { return []byte(c.head) }); got != c.want {
			t.Errorf("%s: %v", c.path, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(clients)
	f.Add(server)
	f.Add(export)
	f.Add(listing)
	f.Add(`{"Registry":[{"Path":"x","Name":"ServerFlags","Value":1}],"RemoteAccessAccounting":{"InboxStatus":"Enabled"},"NetIPsecMainModeCryptoSet":[{}]}`)
	f.Fuzz(func(t *testing.T, text string) { host("x.json", text) })
}

func TestAPolicyThatCannotBeReadIsNotTheDefault(t *testing.T) {
	const whole = `"AuthenticationTransformConstants": "GCMAES256", "CipherTransformConstants": "GCMAES256", "IntegrityCheckMethod": "SHA384", "PfsGroup": "ECP384", "EncryptionMethod": "AES256"`
	for _, properties := range []string{
		`"IPSecCustomPolicy": "VpnConnectionIPsecConfiguration"`,
		`"IPSecCustomPolicy": null, "EncryptionLevel": "Custom"`,
		`"IPSecCustomPolicy": {` + whole + `, "DHGroup": "of the future"}`,
		`"IPSecCustomPolicy": {` + whole + `}`,
	} {
		for _, tunnel := range []string{"Ikev2", "L2tp"} {
			h := host("vpn.json", `{"Name": "x", "ServerAddress": "192.0.2.1", "L2tpIPsecAuth": "Psk", "TunnelType": "`+tunnel+`", `+properties+`}`)
			c := h.Connections[0]
			if c.IKE.Known() || c.IKEImplicit.Known() || c.Children[0].ESP.Known() || c.Children[0].PFS.Known() || len(h.Notes) == 0 {
				t.Errorf("%s by %s: %+v", properties, tunnel, c)
			}
		}
	}
	h := host("server.json", `{"VpnServerConfiguration": {"CustomPolicy": true, "Ikev2Ports": 5, "L2tpPorts": 0}}`)
	if c := h.Connections[0]; c.IKE.Known() || c.Children[0].ESP.Known() {
		t.Errorf("server: %+v", c)
	}
}

func TestWithoutAPolicyTheLineIsWhereItWouldBe(t *testing.T) {
	h := host("vpn.json", "{\"Name\": \"x\", \"TunnelType\": \"Ikev2\",\n\"L2tpIPsecAuth\": null,\n\"IPSecCustomPolicy\": null}")
	if c := h.Connections[0]; c.IKE.At.Line != 3 || c.Children[0].ESP.At.Line != 3 || c.Children[0].PFS.At.Line != 3 {
		t.Errorf("%+v", c)
	}
	h = host("server.json", "{\"Ikev2Ports\": 5,\n\"L2tpPorts\": 5,\n\"CustomPolicy\": false}")
	for _, c := range h.Connections {
		if c.IKE.At.Line != 3 || c.IKEImplicit.At.Line != 3 {
			t.Errorf("%+v", c)
		}
	}
}

func TestSelectedPropertiesOfServersAreTold(t *testing.T) {
	h := host("server.json", `[{"AuthenticationTransformConstants": "SHA196", "CipherTransformConstants": "AES256", "DHGroup": "Group2", "EncryptionMethod": "AES256",
		"IntegrityCheckMethod": "SHA1", "PfsGroup": "None", "SALifeTimeSeconds": 43200},
		{"Name": "azure", "Destination": ["192.0.2.1"], "Protocol": "IKEv2", "AuthenticationMethod": "PSKOnly", "CustomPolicy": false}]`)
	if len(h.Connections) != 3 || h.Connections[0].Name != "azure" || h.Connections[1].Children[0].Life.V != 12*time.Hour || len(h.Notes) > 0 {
		t.Errorf("%+v, %s", h.Connections, notes(h))
	}
}

func TestAServerTakesMSCHAPv2InsideEAP(t *testing.T) {
	h := host("server.json", `{"UserAuthProtocolAccepted": ["EAP", "MsChapv2"], "TunnelAuthProtocolsAdvertised": "Certificates"}`)
	if r := h.Connections[0].Remote; len(r) != 2 || !posture.Is(r[1].Method, posture.MethodEAP) || len(r[1].EAP.V) != 1 || r[1].EAP.V[0] != "mschapv2" || len(h.Notes) > 0 {
		t.Errorf("%+v, %s", r, notes(h))
	}
}

const listing = `PS C:\> Get-VpnConnection

Name                  : Office
ServerAddress         : vpn.example.org
TunnelType            : L2tp
AuthenticationMethod  : {Chap, MsChapv2}
EncryptionLevel       : Optional
L2tpIPsecAuth         : Psk
DnsSuffix             :
SplitTunneling        : True
Routes                : {}

Name                  : Always On
ServerAddress         : a-very-long-name-of-a-server.
                        example.org
TunnelType            : Ikev2
AuthenticationMethod  : {MachineCertificate}
EncryptionLevel       : Maximum
L2tpIPsecAuth         :
SplitTunneling        : False

PS C:\> Get-VpnServerConfiguration

Ikev2Ports                     : 5
IdleDisconnect(s)              : 300
L2tpPorts                      : 0
SALifeTime(s)                  : 86400

Name   : Ethernet
Status : Up
`

func TestAListingIsReadLikeJSON(t *testing.T) {
	if !Claims("vpn.txt", func() []byte { return []byte(listing) }) || Claims("notes.txt", func() []byte { return []byte("Name : x\nTunnels : y\n") }) {
		t.Error("is not told from other texts")
	}
	h := host("vpn.txt", strings.ReplaceAll(listing, "\n", "\r\n"))
	if len(h.Connections) != 4 || len(h.Notes) != 1 {
		t.Fatalf("%+v\n%s", h.Connections, notes(h))
	}
	office, always, server := h.Connections[0], h.Connections[1], h.Connections[2]
	if office.At.Line != 3 || !office.V1.V || len(office.Children[0].RemoteTS.V) > 0 || len(h.PPP[0].Methods.V) != 2 || h.PPP[0].Methods.At.Line != 6 {
		t.Errorf("%+v, %+v", office, h.PPP)
	}
	if always.Address.V[0] != "a-very-long-name-of-a-server.example.org" || !always.V2.V || always.Local[0].Method.V != posture.MethodPubkey {
		t.Errorf("%+v", always)
	}
	if server.Children[0].Life.V != 24*time.Hour || !h.Connections[3].Disabled {
		t.Errorf("%+v", h.Connections[2:])
	}
}
