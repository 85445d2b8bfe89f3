package profile

import (
	"encoding/json"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/micromdm/plist"

	"sallyport/config"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// offered is what a client with a profile puts on the wire.
type offered struct {
	ike, esp []ikemsg.Proposal
	pfs      bool // its child rekeys carry a KE payload
}

// wire makes a proposal of keywords, whatever they are.
func wire(t testing.TB, number int, protocol suite.Protocol, keywords string) ikemsg.Proposal {
	t.Helper()
	p := ikemsg.Proposal{Number: uint8(number), Protocol: ikemsg.ProtocolID(protocol)}
	for word := range strings.SplitSeq(keywords, "-") {
		a, ok := suite.ByKeyword(word)
		if !ok {
			t.Fatalf("no keyword %q in %q", word, keywords)
		}
		p.Transforms = append(p.Transforms, ikemsg.Transform{Transform: a.Transform})
	}
	return p
}

// fromText makes the proposals of a client that takes ours as text.
func fromText(t testing.TB, protocol suite.Protocol, texts []string) (out []ikemsg.Proposal) {
	t.Helper()
	for i, text := range texts {
		p, err := suite.ParseProposal(protocol, strings.TrimSpace(text))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, wire(t, i+1, protocol, p.String()))
	}
	return out
}

func texts(t testing.TB, ikes, esps []string) offered {
	o := offered{ike: fromText(t, suite.ProtocolIKE, ikes), esp: fromText(t, suite.ProtocolESP, esps)}
	o.pfs = slices.ContainsFunc(o.esp[0].Transforms, func(tr ikemsg.Transform) bool { return tr.Type == suite.KE && tr.ID != 0 })
	return o
}

// What a client sends for each word of its settings: the tests' own table, so
// that a wrong word in words.go cannot prove itself.
var (
	windowsSends = map[string]string{
		"GCMAES256": "aes256gcm16", "GCMAES128": "aes128gcm16", "AES_GCM_256": "aes256gcm16", "AES_GCM_128": "aes128gcm16",
		"AES256": "aes256", "AES192": "aes192", "AES128": "aes128", "SHA256128": "sha256",
		"SHA256": "sha256", "SHA384": "sha384", "Group14": "modp2048", "ECP256": "ecp256", "ECP384": "ecp384", "PFS2048": "modp2048",
	}
	appleSends = map[string]string{
		"AES-256-GCM": "aes256gcm16", "AES-128-GCM": "aes128gcm16", "ChaCha20Poly1305": "chacha20poly1305", "AES-256": "aes256", "AES-128": "aes128",
		"SHA2-256": "sha256", "SHA2-384": "sha384", "SHA2-512": "sha512",
		"14": "modp2048", "15": "modp3072", "16": "modp4096", "19": "ecp256", "20": "ecp384", "21": "ecp521", "31": "x25519",
	}
	routerOSSends = map[string]string{
		"aes-256": "aes256", "aes-192": "aes192", "aes-128": "aes128", "aes-256-cbc": "aes256", "aes-128-cbc": "aes128",
		"aes-256-gcm": "aes256gcm16", "aes-128-gcm": "aes128gcm16",
		"sha256": "sha256", "sha384": "sha384", "sha512": "sha512",
		"ecp256": "ecp256", "ecp384": "ecp384", "ecp521": "ecp521", "modp2048": "modp2048", "modp3072": "modp3072", "modp4096": "modp4096",
	}
)

// one makes the offer of a client with one proposal. hash is both integrity and
// PRF, the latter alone with an AEAD.
func one(t testing.TB, sends map[string]string, encr, hash, group, cipher, auth, pfs string) offered {
	t.Helper()
	say := func(word string) string {
		keyword, ok := sends[word]
		if !ok {
			t.Fatalf("the client has no setting %q", word)
		}
		return keyword
	}
	aead := func(keyword string) bool {
		return strings.Contains(keyword, "gcm") || strings.HasPrefix(keyword, "chacha")
	}
	i := say(encr) + "-prf" + say(hash) + "-" + say(group)
	if !aead(say(encr)) {
		i += "-" + say(hash)
	}
	e := say(cipher) + "-noesn"
	if !aead(say(cipher)) {
		e += "-" + say(auth)
	}
	o := offered{pfs: pfs != ""}
	if o.pfs {
		e += "-" + say(pfs)
	}
	o.ike = []ikemsg.Proposal{wire(t, 1, suite.ProtocolIKE, i)}
	o.esp = []ikemsg.Proposal{wire(t, 1, suite.ProtocolESP, e)}
	return o
}

// readers read each kind of profile as its client does, and tell what it then
// offers. Windows has one offer for each version.
var readers = map[string]func(testing.TB, Profile) []offered{
	"windows":            readWindows,
	"windows-xml":        readWindowsXML,
	"macos":              readApple,
	"ios":                readApple,
	"android":            readCard,
	"strongswan-android": readSswan,
	"networkmanager":     readKeyfile,
	"swanctl":            readSwanctl,
	"mikrotik":           readRouterOS,
	"sallyport":          readSallyport,
}

func readWindows(t testing.TB, p Profile) (out []offered) {
	script := parsePowerShell(t, p.Files[0].Content)
	for _, s := range script.suites {
		pfs := s["PfsGroup"]
		if pfs == "None" {
			pfs = ""
		}
		if strings.HasPrefix(s["CipherTransformConstants"], "GCM") && s["CipherTransformConstants"] != s["AuthenticationTransformConstants"] {
			t.Errorf("with GCM, Windows wants the same word for cipher and authentication: %v", s)
		}
		out = append(out, one(t, windowsSends, s["EncryptionMethod"], s["IntegrityCheckMethod"], s["DHGroup"], s["CipherTransformConstants"], s["AuthenticationTransformConstants"], pfs))
	}
	return out
}

func readWindowsXML(t testing.TB, p Profile) []offered {
	var v struct {
		Native struct {
			Suite struct {
				AuthenticationTransformConstants, CipherTransformConstants, EncryptionMethod, IntegrityCheckMethod, DHGroup, PfsGroup string
			} `xml:"CryptographySuite"`
		} `xml:"NativeProfile"`
	}
	if err := xml.Unmarshal([]byte(p.Files[0].Content), &v); err != nil {
		t.Fatal(err)
	}
	s := v.Native.Suite
	if s.PfsGroup == "None" {
		s.PfsGroup = ""
	}
	return []offered{one(t, windowsSends, s.EncryptionMethod, s.IntegrityCheckMethod, s.DHGroup, s.CipherTransformConstants, s.AuthenticationTransformConstants, s.PfsGroup)}
}

// applePlist reads a configuration profile into maps, by payload type.
func applePlist(t testing.TB, text []byte) map[string]map[string]any {
	t.Helper()
	var top map[string]any
	if err := plist.Unmarshal(text, &top); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	out := map[string]map[string]any{"": top}
	for _, p := range top["PayloadContent"].([]any) {
		m := p.(map[string]any)
		out[m["PayloadType"].(string)] = m
	}
	return out
}

func readApple(t testing.TB, p Profile) []offered {
	v := applePlist(t, p.Files[0].Bytes())["com.apple.vpn.managed"]["IKEv2"].(map[string]any)
	ikeSA, child := v["IKESecurityAssociationParameters"].(map[string]any), v["ChildSecurityAssociationParameters"].(map[string]any)
	word := func(m map[string]any, key string) string {
		switch x := m[key].(type) {
		case string:
			return x
		case uint64:
			return strconv.FormatUint(x, 10)
		case int64:
			return strconv.FormatInt(x, 10)
		}
		t.Fatalf("%s is a %T", key, m[key])
		return ""
	}
	pfs := ""
	if word(v, "EnablePFS") == "1" {
		pfs = word(child, "DiffieHellmanGroup")
	}
	return []offered{one(t, appleSends, word(ikeSA, "EncryptionAlgorithm"), word(ikeSA, "IntegrityAlgorithm"), word(ikeSA, "DiffieHellmanGroup"),
		word(child, "EncryptionAlgorithm"), word(child, "IntegrityAlgorithm"), pfs)}
}

// readCard: nothing on the card changes what Android offers.
func readCard(t testing.TB, p Profile) []offered {
	if !strings.Contains(p.Files[0].Content, "IKEv2/IPSec ") {
		t.Errorf("the card does not name the type:\n%s", p.Files[0].Content)
	}
	n := nativeByName(t, "Android 11 and later, built in")
	return []offered{{ike: n.ikeOffer(t), esp: n.espOffer(t, n.esp), pfs: false}}
}

func readSswan(t testing.TB, p Profile) []offered {
	var v struct {
		IKE    string `json:"ike-proposal"`
		ESP    string `json:"esp-proposal"`
		Remote struct{ Addr, ID, Cert string }
	}
	if err := json.Unmarshal([]byte(p.Files[0].Content), &v); err != nil {
		t.Fatal(err)
	}
	if v.Remote.ID == "" || v.Remote.Cert == "" {
		t.Errorf("something is missing in %+v", v)
	}
	return []offered{texts(t, []string{v.IKE}, []string{v.ESP})}
}

func readKeyfile(t testing.TB, p Profile) []offered {
	vpn := parseKeyfile(t, p.Files[0].Content)["vpn"]
	return []offered{texts(t, strings.Split(vpn["ike"], ";"), strings.Split(vpn["esp"], ";"))}
}

func readSwanctl(t testing.TB, p Profile) []offered {
	c := parseSwanctl(t, p.Files[0].Content)
	var o offered
	for key := range c {
		if name, ok := strings.CutSuffix(key, "/version"); ok {
			child := strings.TrimPrefix(name, "connections/")
			o = texts(t, strings.Split(c[name+"/proposals"], ","), strings.Split(c[name+"/children/"+child+"/esp_proposals"], ","))
		}
	}
	return []offered{o}
}

func readRouterOS(t testing.TB, p Profile) []offered {
	v := parseRouterOS(t, p.Files[0].Content)
	pfs := v["spESPGroup"]
	if pfs == "none" {
		pfs = ""
	}
	return []offered{one(t, routerOSSends, v["spIKEEnc"], v["spIKEHash"], v["spIKEGroup"], v["spESPEnc"], v["spESPAuth"], pfs)}
}

func readSallyport(t testing.TB, p Profile) []offered {
	var v struct{ IKE, ESP []string }
	if err := yaml.Unmarshal([]byte(p.Files[0].Content), &v); err != nil {
		t.Fatal(err)
	}
	return []offered{texts(t, v.IKE, v.ESP)}
}

// groupOf is the group of the KE payload a client sends: the first of its
// first proposal that has one.
func groupOf(ps []ikemsg.Proposal) uint16 {
	for _, p := range ps {
		for _, t := range p.Transforms {
			if t.Type == suite.KE && t.ID != 0 {
				return t.ID
			}
		}
	}
	return 0
}

func parsed(t testing.TB, protocol suite.Protocol, lines []string) (out []suite.Proposal) {
	t.Helper()
	for _, line := range lines {
		p, err := suite.ParseProposal(protocol, line)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestEveryProfileIsWhatItsZoneWants is trap 25: it reads each profile back and
// negotiates it as the gateway does, at set-up and at the rekeys, where a
// difference in PFS would show for the first time.
func TestEveryProfileIsWhatItsZoneWants(t *testing.T) {
	for _, policy := range suite.PolicyNames() {
		zone := testZone(t, policy, "")
		for _, k := range Kinds() {
			if _, refuse := cannot[k.Name][policy]; refuse {
				continue
			}
			for _, auth := range ways[k.Name] {
				p := mustMake(t, k.Name, inputBy(t, zone, k.Name, auth))
				for i, o := range readers[k.Name](t, p) {
					wantNegotiated(t, k.Name+" under "+policy+" with "+auth, k.Name, i, zone, o)
				}
			}
		}
	}
}

// wantNegotiated negotiates the offer of a client, the i-th of its versions.
func wantNegotiated(t *testing.T, what, kind string, i int, zone *config.Zone, o offered) {
	ikes, esps := parsed(t, suite.ProtocolIKE, zone.Policy.IKE), parsed(t, suite.ProtocolESP, zone.Policy.ESP)
	c, ok := ike.Negotiate(ikes, o.ike, ike.Terms{Group: groupOf(o.ike), PeerOrder: i == 0 && strings.Contains("macos ios", kind)})
	if !ok || c.Of(suite.KE).ID != groupOf(o.ike) {
		t.Errorf("%s: IKE_SA_INIT: chosen is %v, its KE payload is of group %d", what, c.IKE(), groupOf(o.ike))
	}
	first, ok := ike.Negotiate(esps, o.esp, ike.Terms{NoKE: true})
	if !ok {
		t.Errorf("%s: IKE_AUTH: no proposal is chosen", what)
	}
	rekey, ok := ike.Negotiate(esps, o.esp, ike.Terms{Group: groupOf(o.esp)})
	if !ok || (rekey.Of(suite.KE).ID != 0) != o.pfs || rekey.Of(suite.KE).ID != groupOf(o.esp) {
		t.Errorf("%s: child rekey: chosen is %v, the client's PFS is %v with group %d", what, rekey.ESP(), o.pfs, groupOf(o.esp))
	}
	if o.pfs && rekey.Of(suite.KE) != c.Of(suite.KE) {
		t.Errorf("%s: the child is rekeyed with %v, the IKE SA has %v", what, rekey.Of(suite.KE), c.Of(suite.KE))
	}
	if rekey.Of(suite.Encr) != first.Of(suite.Encr) || rekey.Of(suite.Integ) != first.Of(suite.Integ) {
		t.Errorf("%s: the rekey makes %v of %v", what, rekey.ESP(), first.ESP())
	}
	wantFirstLine(t, what, kind, i, c, first)
}

// wantFirstLine: the client's first proposal is chosen, and it is the cipher
// that the zone names first, unless the client has no word for it.
func wantFirstLine(t *testing.T, what, kind string, version int, ikeChoice, espChoice ike.Choice) {
	t.Helper()
	second := map[string]uint8{"android": 2}[kind] // its first proposal is AES-CBC; the gateway prefers its second
	if want := max(second, 1); ikeChoice.Number != want || espChoice.Number != want {
		t.Errorf("%s: proposals %d and %d are chosen, not %d", what, ikeChoice.Number, espChoice.Number, want)
	}
	wantIKE := "aes256gcm16"
	if kind == "mikrotik" || kind == "windows" && version == 1 {
		wantIKE = "aes256" // no GCM for IKE
	}
	if got := ikeChoice.Of(suite.Encr).String(); got != wantIKE {
		t.Errorf("%s: IKE with %s, want %s", what, got, wantIKE)
	}
	if got := espChoice.Of(suite.Encr).String(); got != "aes256gcm16" {
		t.Errorf("%s: ESP with %s", what, got)
	}
}
