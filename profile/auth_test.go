package profile

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sallyport/internal/secret"
)

// allWays are the words of a zone's auth.
var allWays = []string{"certificate", "eap-tls", "peap", "eap-ttls", "eap-mschapv2", "psk"}

// ways are what each platform can by its maker's documents: the tests' own
// table.
var ways = map[string][]string{
	"windows":            {"certificate", "eap-tls", "peap", "eap-ttls", "eap-mschapv2"},
	"windows-xml":        {"certificate", "eap-tls", "peap", "eap-ttls", "eap-mschapv2"},
	"macos":              {"certificate", "eap-tls", "eap-mschapv2", "psk"},
	"ios":                {"certificate", "eap-tls", "eap-mschapv2", "psk"},
	"android":            {"certificate", "eap-mschapv2", "psk"},
	"strongswan-android": {"certificate", "eap-tls", "eap-mschapv2"},
	"networkmanager":     {"certificate", "eap-tls", "peap", "eap-ttls", "eap-mschapv2", "psk"},
	"swanctl":            {"certificate", "eap-tls", "peap", "eap-ttls", "eap-mschapv2", "psk"},
	"mikrotik":           {"certificate", "eap-tls", "peap", "eap-ttls", "eap-mschapv2", "psk"},
	"sallyport":          {"certificate", "eap-tls", "psk"},
}

// proof is how a client proves itself, read from its profile as the client
// reads it.
type proof struct {
	way    string // "eap" where the client takes what the gateway offers
	user   string // whose password is asked for
	psk    string
	values int // how many values the profile has: a name must not become one
}

// proofs read each kind of profile.
var proofs = map[string]func(testing.TB, Profile) proof{
	"windows": func(t testing.TB, p Profile) proof {
		s := parsePowerShell(t, p.Files[0].Content)
		n := proof{way: "certificate", values: len(s.strings) + len(s.lists) + len(s.suites)}
		if s.strings["EapXml"] != "" {
			n.way = wayOfEAPHost(t, s.strings["EapXml"])
		}
		if store := map[string]string{"certificate": `LocalMachine\My`, "eap-tls": `CurrentUser\My`}[n.way]; s.strings["MyStore"] != store || (s.strings["DeviceBase64"] == "") != (store == "") {
			t.Errorf("%s: the store is %q", n.way, s.strings["MyStore"])
		}
		return n
	},
	"windows-xml": func(t testing.TB, p Profile) proof {
		lines := xmlLines(t, p.Files[0].Content)
		n := proof{way: "certificate", values: len(lines)}
		if !slices.Contains(lines, "MachineMethod=Certificate") {
			_, rest, _ := strings.Cut(p.Files[0].Content, "<Configuration>")
			host, _, _ := strings.Cut(rest, "</Configuration>")
			n.way = wayOfEAPHost(t, host)
			if !slices.Contains(lines, "UserMethod=Eap") {
				t.Errorf("the method is nobody's:\n%s", p.Files[0].Content)
			}
		}
		return n
	},
	"macos": proofOfApple, "ios": proofOfApple,
	"android": func(t testing.TB, p Profile) proof {
		n := proof{values: strings.Count(p.Files[0].Content, "\n")}
		for line := range strings.SplitSeq(p.Files[0].Content, "\n") {
			name, value := strings.TrimSpace(line[:min(31, len(line))]), line[min(31, len(line)):]
			switch name {
			case "Type":
				n.way = map[string]string{"IKEv2/IPSec RSA": "certificate", "IKEv2/IPSec MSCHAPv2": "eap-mschapv2", "IKEv2/IPSec PSK": "psk"}[value]
			case "Username":
				n.user = value
			case "IPSec pre-shared key":
				n.psk = value
			}
		}
		return n
	},
	"strongswan-android": func(t testing.TB, p Profile) proof {
		var v struct {
			Type  string
			Local map[string]any
		}
		if err := json.Unmarshal([]byte(p.Files[0].Content), &v); err != nil {
			t.Fatal(err)
		}
		n := proof{way: map[string]string{"ikev2-cert": "certificate", "ikev2-eap-tls": "eap-tls", "ikev2-eap": "eap-mschapv2"}[v.Type], values: strings.Count(p.Files[0].Content, "\n")}
		n.user, _ = v.Local["eap_id"].(string)
		if _, hasKey := v.Local["p12"]; hasKey != (n.user == "") {
			t.Errorf("%s: the key is there: %v", v.Type, hasKey)
		}
		return n
	},
	"networkmanager": func(t testing.TB, p Profile) proof {
		f := parseKeyfile(t, p.Files[0].Content)
		n := proof{way: map[string]string{"key": "certificate", "eap-tls": "eap-tls", "eap": "eap", "psk": "psk"}[f["vpn"]["method"]], user: f["vpn"]["user"], psk: f["vpn-secrets"]["password"]}
		for _, group := range f {
			n.values += len(group)
		}
		return n
	},
	"swanctl": func(t testing.TB, p Profile) proof {
		c := parseSwanctl(t, p.Files[0].Content)
		n := proof{values: len(c)}
		for key, value := range c {
			switch {
			case strings.HasSuffix(key, "/local/auth"):
				n.way = map[string]string{"pubkey": "certificate", "eap-tls": "eap-tls", "eap-peap": "peap", "eap-ttls": "eap-ttls", "eap-mschapv2": "eap-mschapv2", "psk": "psk"}[value]
			case strings.HasSuffix(key, "/eap_id"):
				n.user = value
			case strings.HasPrefix(key, "secrets/ike-") && strings.HasSuffix(key, "/secret"):
				n.psk = octetsOfBase64(t, strings.TrimPrefix(value, "0s"))
			case strings.HasPrefix(key, "secrets/eap-") && strings.HasSuffix(key, "/secret") && value != "":
				t.Errorf("a password stands in the profile: %q", value)
			}
		}
		return n
	},
	"mikrotik": func(t testing.TB, p Profile) proof {
		v, remove := parseRouterOS(t, p.Files[0].Content), parseRouterOS(t, p.Files[1].Content)
		if remove["spSecret"] != "" {
			t.Error("the key stands in the script that needs none")
		}
		n := proof{user: v["spUser"], psk: v["spSecret"], values: len(v)}
		n.way = map[string]string{"digital-signature": "certificate", "pre-shared-key": "psk"}[v["spAuth"]]
		if v["spAuth"] == "eap" {
			n.way = map[string]string{"eap-tls": "eap-tls", "eap-peap": "peap", "eap-ttls": "eap-ttls", "eap-mschapv2": "eap-mschapv2"}[v["spEAP"]]
		}
		return n
	},
	"sallyport": func(t testing.TB, p Profile) proof {
		var v map[string]any
		if err := yaml.Unmarshal([]byte(p.Files[0].Content), &v); err != nil {
			t.Fatal(err)
		}
		n := proof{way: "certificate", values: len(v)}
		if v["auth"] != nil {
			n.way = v["auth"].(string)
		}
		if n.way == "psk" && (v["key"] != nil || v["psk"] == nil) || n.way != "psk" && (v["key"] == nil || v["psk"] != nil) {
			t.Errorf("the files are not those of %s: %v", n.way, v)
		}
		return n
	},
}

func proofOfApple(t testing.TB, p Profile) proof {
	payloads := applePlist(t, p.Files[0].Bytes())
	v := payloads["com.apple.vpn.managed"]["IKEv2"].(map[string]any)
	text := func(key string) string { s, _ := v[key].(string); return s }
	n := proof{user: text("AuthName"), psk: text("SharedSecret"), values: len(v)}
	eap, _ := v["ExtendedAuthEnabled"].(uint64)
	switch text("AuthenticationMethod") {
	case "Certificate":
		n.way = "certificate"
	case "SharedSecret":
		n.way = "psk"
	case "None":
		n.way = "eap-mschapv2"
		if text("PayloadCertificateUUID") != "" {
			n.way = "eap-tls"
		}
	}
	if (eap == 1) != (text("AuthenticationMethod") == "None") {
		t.Errorf("%s with ExtendedAuthEnabled %d", text("AuthenticationMethod"), eap)
	}
	if _, hasKey := payloads["com.apple.security.pkcs12"]; hasKey != (text("PayloadCertificateUUID") != "") {
		t.Error("the key and what refers to it are not both there")
	}
	if text("AuthPassword") != "" {
		t.Error("a password stands in the profile")
	}
	return n
}

func octetsOfBase64(t testing.TB, s string) string {
	var out []byte
	if err := json.Unmarshal([]byte(`"`+s+`"`), &out); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return string(out)
}

// xmlLines flattens a document: each element that holds text as
// "namespace:Name=text", the namespace without Microsoft's prefix, in order.
func xmlLines(t testing.TB, text string) (lines []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	name, value := "", ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name, value = token.Name.Local, ""
			if space := token.Name.Space; space != "" {
				name = strings.TrimPrefix(space, "http://www.microsoft.com/provisioning/") + ":" + name
			}
		case xml.CharData:
			value += string(token)
		case xml.EndElement:
			if name != "" {
				lines = append(lines, name+"="+value)
			}
			name = ""
		}
	}
}

// eapHostLines are Windows' configurations as its own export writes them, in
// the order of the schemas. %s are the server's names and the CA.
var eapHostLines = map[string][]string{
	"eap-tls": {
		"EapCommon:Type=13", "EapCommon:VendorId=0", "EapCommon:VendorType=0", "EapCommon:AuthorId=0",
		"BaseEapConnectionPropertiesV1:Type=13",
		"EapTlsConnectionPropertiesV1:SimpleCertSelection=true",
		"EapTlsConnectionPropertiesV1:DisableUserPromptForServerValidation=true", "EapTlsConnectionPropertiesV1:ServerNames=NAMES", "EapTlsConnectionPropertiesV1:TrustedRootCA=CA",
		"EapTlsConnectionPropertiesV1:DifferentUsername=false",
		"EapTlsConnectionPropertiesV2:PerformServerValidation=true", "EapTlsConnectionPropertiesV2:AcceptServerName=true",
	},
	"peap": {
		"EapCommon:Type=25", "EapCommon:VendorId=0", "EapCommon:VendorType=0", "EapCommon:AuthorId=0",
		"BaseEapConnectionPropertiesV1:Type=25",
		"MsPeapConnectionPropertiesV1:DisableUserPromptForServerValidation=true", "MsPeapConnectionPropertiesV1:ServerNames=NAMES", "MsPeapConnectionPropertiesV1:TrustedRootCA=CA",
		"MsPeapConnectionPropertiesV1:FastReconnect=false", "MsPeapConnectionPropertiesV1:InnerEapOptional=false",
		"BaseEapConnectionPropertiesV1:Type=26", "MsChapV2ConnectionPropertiesV1:UseWinLogonCredentials=false",
		"MsPeapConnectionPropertiesV1:EnableQuarantineChecks=false", "MsPeapConnectionPropertiesV1:RequireCryptoBinding=true",
		"MsPeapConnectionPropertiesV2:PerformServerValidation=true", "MsPeapConnectionPropertiesV2:AcceptServerName=true",
	},
	"eap-ttls": {
		"EapCommon:Type=21", "EapCommon:VendorId=0", "EapCommon:VendorType=0", "EapCommon:AuthorId=311",
		"EapTtlsConnectionPropertiesV1:ServerNames=NAMES", "EapTtlsConnectionPropertiesV1:TrustedRootCAHash=CA", "EapTtlsConnectionPropertiesV1:DisablePrompt=true",
		"EapTtlsConnectionPropertiesV1:UseWinlogonCredentials=false", "EapTtlsConnectionPropertiesV1:IdentityPrivacy=false",
	},
	"eap-mschapv2": {
		"EapCommon:Type=26", "EapCommon:VendorId=0", "EapCommon:VendorType=0", "EapCommon:AuthorId=0",
		"BaseEapConnectionPropertiesV1:Type=26", "MsChapV2ConnectionPropertiesV1:UseWinLogonCredentials=false",
	},
}

// wayOfEAPHost finds the method whose configuration it is, the server's names
// and CA apart.
func wayOfEAPHost(t testing.TB, text string) string {
	t.Helper()
	lines := xmlLines(t, strings.ReplaceAll(text, "\r\n", "\n"))
	for way, want := range eapHostLines {
		if slices.EqualFunc(lines, want, func(got, want string) bool {
			stem, wild := strings.CutSuffix(want, "NAMES")
			if !wild {
				stem, wild = strings.CutSuffix(want, "=CA")
			}
			return got == want || wild && strings.HasPrefix(got, stem)
		}) {
			return way
		}
	}
	t.Fatalf("no method that Windows knows:\n%s", strings.Join(lines, "\n"))
	return ""
}

func TestEachClientIsToldOfEveryWayThatItCan(t *testing.T) {
	zone := testZone(t, "compatible", "")
	for _, k := range Kinds() {
		for _, auth := range allWays {
			p, err := Make(k.Name, inputBy(t, zone, k.Name, auth))
			if !slices.Contains(ways[k.Name], auth) {
				if r, ok := errors.AsType[*RefusedError](err); !ok || !strings.Contains(r.Reason, auth+" is nothing that this client can") || !strings.Contains(r.Hint, "use ") {
					t.Errorf("%s with %s: got %v, want a refusal and who can", k.Name, auth, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s with %s: %v", k.Name, auth, err)
				continue
			}
			wantProof(t, k.Name, auth, "alice", testPSK, p)
			for _, f := range p.Files {
				if strings.Contains(string(f.Bytes()), testPSK) && !f.Secret {
					t.Errorf("%s: the key stands in %s, which others may read", k.Name, f.Name)
				}
			}
		}
	}
}

func wantProof(t testing.TB, kind, auth, user, psk string, p Profile) proof {
	t.Helper()
	got, want := proofs[kind](t, p), auth
	if kind == "networkmanager" && ByPassword(auth) {
		want = "eap"
	}
	if got.way != want || p.Auth != auth {
		t.Errorf("%s with %s: the client would prove itself by %q, and the profile says %q", kind, auth, got.way, p.Auth)
	}
	if asks := ByPassword(auth) && !strings.HasPrefix(kind, "windows"); asks && got.user != user || !asks && got.user != "" {
		t.Errorf("%s with %s: the user is %q", kind, auth, got.user)
	}
	if holds := auth == "psk" && kind != "sallyport"; holds && got.psk != psk || !holds && got.psk != "" {
		t.Errorf("%s with %s: the key is %q", kind, auth, got.psk)
	}
	return got
}

func TestHostileUsersAndKeysStayWhatTheyAre(t *testing.T) {
	for _, name := range hostile {
		for _, k := range Kinds() {
			for _, auth := range ways[k.Name] {
				p := mustMake(t, k.Name, namedBy(t, k.Name, auth, name))
				got := wantProof(t, k.Name, auth, name, hostilePSK(name), p)
				tame := proofs[k.Name](t, mustMake(t, k.Name, namedBy(t, k.Name, auth, strings.Repeat("x", len(name)))))
				if got.values != tame.values && name != "." {
					t.Errorf("%s with %s: %q makes %d values of %d", k.Name, auth, name, got.values, tame.values)
				}
			}
		}
	}
}

// hostilePSK is long enough for every client, and typed by none.
func hostilePSK(name string) string { return "k" + name + "-0123456789abcdefghij" }

func namedBy(t testing.TB, kind, auth, name string) Input {
	in := named(t, kind, name)
	by := inputBy(t, in.Zone, kind, auth)
	in.Zone, in.Certificate, in.PKCS12 = by.Zone, by.Certificate, by.PKCS12
	if auth == "psk" {
		in.PSK = secret.Bytes(hostilePSK(name))
	}
	return in
}

// TestWindowsKnowsTheServerBeforeItShowsAPassword: by its names, which end
// nowhere else, and by the thumbprint of its CA.
func TestWindowsKnowsTheServerBeforeItShowsAPassword(t *testing.T) {
	in := inputBy(t, testZone(t, "strong", ""), "windows", "peap")
	der, err := parseLeaf(in.CA)
	if err != nil {
		t.Fatal(err)
	}
	thumbprint := fmt.Sprintf("% x", sha1.Sum(der.Raw))
	for _, auth := range []string{"eap-tls", "peap", "eap-ttls"} {
		for _, kind := range []string{"windows", "windows-xml"} {
			p := mustMake(t, kind, inputBy(t, testZone(t, "strong", ""), kind, auth))
			text := p.Files[0].Content
			if kind == "windows" {
				text = parsePowerShell(t, text).strings["EapXml"]
			}
			var names, cas int
			for _, line := range xmlLines(t, text) {
				if strings.HasSuffix(line, ":ServerNames=vpn.example.org;192.0.2.1") {
					names++
				}
				if strings.HasSuffix(line, "="+thumbprint) {
					cas++
				}
			}
			if names != 1 || cas != 1 {
				t.Errorf("%s with %s: %d names and %d CAs in\n%s", kind, auth, names, cas, text)
			}
		}
	}
}

// TestProfileXMLKeepsTheOrderOfItsSchema: Windows takes the elements of VPNv2 in
// one order alone.
func TestProfileXMLKeepsTheOrderOfItsSchema(t *testing.T) {
	order := map[string][]string{
		"VPNProfile":     {"RememberCredentials", "AlwaysOn", "DnsSuffix", "DeviceTunnel", "RegisterDNS", "DomainNameInformation", "NativeProfile", "Route"},
		"NativeProfile":  {"Servers", "RoutingPolicyType", "NativeProtocolType", "DisableClassBasedDefaultRoute", "CryptographySuite", "Authentication"},
		"Authentication": {"UserMethod", "MachineMethod", "Eap"},
	}
	zone := testZone(t, "strong", "    dns: {servers: [10.0.0.53], search: [corp.example]}\n    routes: [0.0.0.0/0]\n")
	for _, auth := range ways["windows-xml"] {
		text := mustMake(t, "windows-xml", inputBy(t, zone, "windows-xml", auth)).Files[0].Content
		d := xml.NewDecoder(bytes.NewReader([]byte(text)))
		var path []string
		at, seen := map[string]int{}, 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				if len(path) > 0 {
					parent := path[len(path)-1]
					if want, ok := order[parent]; ok {
						i := slices.Index(want, token.Name.Local)
						if i < at[parent] {
							t.Errorf("%s: %s stands at the wrong place of %s", auth, token.Name.Local, parent)
						}
						at[parent] = i
						seen++
					}
				}
				path = append(path, token.Name.Local)
			case xml.EndElement:
				path = path[:len(path)-1]
			}
		}
		if seen < 12 {
			t.Errorf("%s: %d elements seen", auth, seen)
		}
		tunnel := auth == "certificate"
		if strings.Contains(text, "<DeviceTunnel>true") != tunnel || strings.Contains(text, "ForceTunnel") == tunnel {
			t.Errorf("%s: a device tunnel is by certificate alone, and knows no ForceTunnel:\n%s", auth, text)
		}
	}
}

func TestTheBestWayThatWillDoIsTaken(t *testing.T) {
	zone := testZone(t, "strong", "")
	both := testInput(t, zone, "ecdsa")
	both.PSK = secret.Bytes(testPSK)
	user := testInput(t, zone, "ecdsa")
	user.Device, user.Certificate, user.PKCS12 = Device{User: "alice"}, "", nil
	for _, c := range []struct {
		name, kind string
		in         Input
		zone       []string
		auth, want string
	}{
		{"a zone that says nothing", "swanctl", both, nil, "", "certificate"},
		{"the zone's first", "swanctl", both, []string{"eap-tls", "certificate"}, "", "eap-tls"},
		{"the first that the client can", "android", user, []string{"peap", "eap-mschapv2"}, "", "no ESP proposal"}, // it got as far as the policy
		{"the first that there are credentials for", "windows", user, []string{"certificate", "eap-ttls", "peap"}, "", "eap-ttls"},
		{"as it is wished", "swanctl", both, []string{"certificate", "psk"}, "psk", "psk"},
		{"a wish that the zone does not grant", "swanctl", both, []string{"certificate"}, "psk", `does not take "psk"`},
		{"a wish that the client cannot meet", "ios", user, []string{"certificate", "peap"}, "peap", "peap is nothing that this client can"},
		{"a wish without credentials", "swanctl", user, []string{"certificate", "psk"}, "psk", "psk needs a pre-shared key, which is not here"},
		{"a wish that is no word", "swanctl", both, []string{"certificate"}, "md5", `does not take "md5"`},
		{"a device is no user", "swanctl", both, []string{"peap"}, "", "peap needs a user with a password"},
		{"nothing that will do", "macos", user, []string{"certificate", "peap"}, "", "certificate needs a certificate, which is not here; peap is nothing"},
	} {
		z := *zone
		z.Auth, c.in.Zone, c.in.Auth = c.zone, &z, c.auth
		p, err := Make(c.kind, c.in)
		if !slices.Contains(ways[c.kind], c.want) && err != nil && strings.Contains(err.Error(), c.want) && err.(*RefusedError).Hint != "" {
			continue
		}
		if err != nil || p.Auth != c.want {
			t.Errorf("%s: got %q, %v; want %s", c.name, p.Auth, err, c.want)
		}
	}
}

func TestAKeyThatCannotBeTypedIsRefusedWhereItMustBe(t *testing.T) {
	zone := testZone(t, "compatible", "")
	for _, k := range Kinds() {
		if !slices.Contains(ways[k.Name], "psk") {
			continue
		}
		for psk, want := range map[string]string{"\x00\x01binary of some length": "cannot be typed", " leading blanks and enough": "cannot be typed", "short": "less than 20 characters"} {
			in := inputBy(t, zone, k.Name, "psk")
			in.PSK = secret.Bytes(psk)
			_, err := Make(k.Name, in)
			typed := k.Name != "swanctl" && k.Name != "sallyport" && (psk != "short" || k.Name == "networkmanager")
			if typed && (err == nil || !strings.Contains(err.Error(), want)) || !typed && err != nil {
				t.Errorf("%s with %q: %v", k.Name, psk, err)
			}
		}
	}
}
