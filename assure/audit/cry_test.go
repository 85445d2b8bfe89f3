package audit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

func withIKE(texts ...string) *posture.Host {
	c := vpn()
	c.IKE = proposals(suite.ProtocolIKE, texts...)
	return hostOf(c)
}

func withESP(texts ...string) *posture.Host {
	c := vpn()
	c.Children[0].ESP = proposals(suite.ProtocolESP, texts...)
	return hostOf(c)
}

func TestAWeakTransformIsFoundWhereverItStands(t *testing.T) {
	for _, c := range []struct {
		rule     string
		severity Severity
		host     *posture.Host
		words    []string
	}{
		{"CRY-001", Critical, withIKE("des-sha256-ecp384"), []string{"des (explicit)"}},
		{"CRY-001", Critical, withIKE("null-sha256-ecp384"), []string{"null", "encrypts nothing"}},
		{"CRY-001", Critical, withIKE("aes256-noauth-prfsha256-ecp384"), []string{"noauth"}},
		{"CRY-002", High, withIKE("aes256gcm16-prfsha384-ecp384", "aes256-3des-sha256-ecp384"), []string{"IKE takes 3des (explicit)", "64-bit"}},
		{"CRY-002", High, withESP("aes256-blowfish128-sha256-ecp384"), []string{"ESP takes blowfish128"}},
		{"CRY-003", High, withESP("null-sha256-ecp384"), []string{"null"}},
		{"CRY-003", High, withESP("aes128gmac-ecp384"), []string{"aes128gmac"}},
		{"CRY-003", Critical, withESP("aes256-ecp384"), []string{"aes256 without integrity"}},
		{"CRY-003", Critical, withESP("aes256-sha256-noauth-ecp384"), []string{"without integrity"}},
		{"CRY-004", High, withIKE("aes256-sha256-md5-ecp384"), []string{"md5", "prfmd5"}},
		{"CRY-004", Critical, withESP("aes256-kpdkmd5-ecp384"), []string{"kpdkmd5"}},
		{"CRY-005", Medium, withIKE("aes256-sha256-sha1-ecp384"), []string{"sha1 (explicit)"}},
		{"CRY-006", Low, withESP("aes256gcm8-ecp384"), []string{"aes256gcm8"}},
		{"CRY-007", Critical, withIKE("aes256-sha256-modp768"), []string{"modp768"}},
		{"CRY-008", High, withIKE("aes256-sha256-ecp384-modp1024"), []string{"modp1024"}},
		{"CRY-008", Medium, withIKE("aes256-sha256-modp2048s256"), []string{"modp2048s256"}},
		{"CRY-009", Low, withIKE("aes256-sha256-ecp384-modp2048"), []string{"modp2048"}},
		{"CRY-015", Medium, func() *posture.Host { c := vpn(); c.IKEImplicit = written(true); return hostOf(c) }(), []string{"adds its default IKE"}},
		{"CRY-015", Medium, func() *posture.Host { // a template
			c := vpn()
			c.IKE, c.IKEImplicit = posture.Value[[]posture.Proposal]{}, written(true)
			return hostOf(c)
		}(), []string{"default IKE proposals"}},
		{"CRY-016", Medium, withIKE("aes256-aes128-3des-sha256-ecp384"), []string{"3des beside aes256"}},
		{"CRY-025", Low, withIKE("twofish256-sha256-ecp384"), []string{`"twofish256"`}},
	} {
		t.Run(c.rule+" "+c.words[0], func(t *testing.T) { mustFind(t, c.rule, c.host, c.severity, c.words...) })
	}
}

func TestAStrongConnectionKeepsEveryRuleOfAlgorithms(t *testing.T) {
	for _, id := range strings.Fields("CRY-001 CRY-002 CRY-003 CRY-004 CRY-005 CRY-006 CRY-007 CRY-008 CRY-009 CRY-010 CRY-011 CRY-012 CRY-013 CRY-014 CRY-015 CRY-016 CRY-017 CRY-025 CRY-026") {
		mustPass(t, id, hostOf(vpn()))
	}
}

func TestAListThatIsNotKnownIsNotAssessable(t *testing.T) {
	c := vpn()
	c.IKE, c.Children[0].ESP = posture.Value[[]posture.Proposal]{}, posture.Value[[]posture.Proposal]{}
	for _, id := range strings.Fields("CRY-001 CRY-002 CRY-003 CRY-004 CRY-005 CRY-010 CRY-011 CRY-014 CRY-017 CRY-022") {
		mustNotKnow(t, id, hostOf(c))
	}
}

func TestADisabledConnectionIsNotJudged(t *testing.T) {
	h := withIKE("des-md5-modp768")
	h.Connections[0].Disabled = true
	if r := judgedBy(t, "CRY-001", h); len(r) != 0 {
		t.Error(r)
	}
}

func TestOneFindingNamesAllThatIsWeak(t *testing.T) {
	r := mustFind(t, "CRY-008", withIKE("aes256-sha256-ecp384", "aes256-sha256-modp1536-modp1024"), High, "modp1024", "modp1536")
	if r.Evidence.At.Line != 11 || r.Evidence.Value != "aes256-sha256-modp1536-modp1024" {
		t.Errorf("evidence is not the proposal's own: %+v", r.Evidence)
	}
}

func TestADefaultIsCalledOne(t *testing.T) {
	c := vpn()
	list := proposals(suite.ProtocolIKE, "aes256-3des-sha256-ecp384").V
	c.IKE = byDefault(list)
	r := mustFind(t, "CRY-002", hostOf(c), High, "3des (by default)")
	if r.Evidence.Why != "default of a test" {
		t.Error(r.Evidence)
	}
	mustFind(t, "CRY-014", hostOf(c), Medium, "3des")
}

func TestWhatAProductAddsIsCalledADefault(t *testing.T) {
	c := vpn()
	added := proposals(suite.ProtocolIKE, "aes256-sha1-ecp384").V[0]
	added.Default, added.Text = true, ""
	c.IKE.V = append(c.IKE.V, added)
	r := mustFind(t, "CRY-005", hostOf(c), Medium, "sha1 (by default)")
	if r.Evidence.Origin != posture.Default {
		t.Error(r.Evidence)
	}
}

func TestAMixThatNobodyWroteIsNotOneToSplit(t *testing.T) {
	h := withIKE("aes256-sha256-modp1024-ecp384")
	mustFind(t, "CRY-016", h, Medium, "modp1024 beside ecp384")
	h.Connections[0].IKE.V[0].Implied = []suite.TransformType{suite.KE}
	mustPass(t, "CRY-016", h)
}

func TestASoundDefaultIsInformation(t *testing.T) {
	c := vpn()
	c.IKE.Origin, c.IKE.Why = posture.Default, "default"
	mustFind(t, "CRY-014", hostOf(c), Info, "sound today")
}

func TestAHAloneIsWorseThanAHBesideESP(t *testing.T) {
	c := vpn()
	c.Children[0].AH = written(true)
	mustFind(t, "CRY-003", hostOf(c), Medium, "beside ESP")
	c.Children[0].ESP = posture.Value[[]posture.Proposal]{}
	mustFind(t, "CRY-003", hostOf(c), High, "nothing is encrypted")
}

func TestESPThatIsBareIsFoundBesideAH(t *testing.T) {
	h := withESP("aes256-ecp384", "aes256-sha256-ecp384")
	h.Connections[0].Children[0].AH = written(true)
	mustFind(t, "CRY-003", h, Critical, "without integrity")
	h = withESP("null-sha256-ecp384", "aes256-sha256-ecp384")
	h.Connections[0].Children[0].AH = written(true)
	mustFind(t, "CRY-003", h, High, "encrypts nothing")
}

func TestAWordNobodyKnowsMayBeTheIntegrity(t *testing.T) {
	mustPass(t, "CRY-003", withESP("aes256-whirlpool-ecp384"))
}

func TestForwardSecrecyIsNeverOptionalOrAlways(t *testing.T) {
	child := func(pfs posture.Value[posture.Demand], texts ...string) *posture.Host {
		h := withESP(texts...)
		h.Connections[0].Children[0].PFS = pfs
		return h
	}
	var unknown posture.Value[posture.Demand]
	mustFind(t, "CRY-010", child(unknown, "aes256gcm16"), High, "no forward secrecy")
	mustFind(t, "CRY-010", child(unknown, "aes256gcm16-ecp384-modpnone"), Medium, "optional")
	mustFind(t, "CRY-010", child(unknown, "aes256gcm16-ecp384", "aes256gcm16"), Medium, "optional")
	mustFind(t, "CRY-010", child(written(posture.Never), "aes256gcm16-ecp384"), High)
	mustFind(t, "CRY-010", child(written(posture.Optional), "aes256gcm16-ecp384"), Medium)
	mustFind(t, "CRY-010", child(written(posture.Always), "aes256gcm16-ecp384-modpnone"), Medium)
	mustPass(t, "CRY-010", child(written(posture.Always), "aes256gcm16")) // pfs=yes: the IKE SA's group
	mustPass(t, "CRY-010", child(unknown, "aes256gcm16-ecp384"))
}

func TestAChildsGroupIsComparedWithTheIKESAs(t *testing.T) {
	mustFind(t, "CRY-011", withESP("aes256gcm16-ecp256"), Medium, "ecp256", "ecp384")
	mustPass(t, "CRY-011", withESP("aes256gcm16-ecp521"))
	mustPass(t, "CRY-011", withESP("aes256gcm16"))
}

func TestCiphersOfOneLevel(t *testing.T) {
	mustFind(t, "CRY-017", withIKE("aes128gcm16-prfsha256-ecp384"), Low, "the IKE SA takes aes128gcm16")
	mustFind(t, "CRY-017", withESP("aes128gcm16-ecp384"), Low, "the child takes aes128gcm16")
	mustPass(t, "CRY-017", withESP("aes192gcm16-ecp384"))
}

func TestVersionOneAndItsAggressiveMode(t *testing.T) {
	c := vpn()
	c.V1, c.Aggressive = written(true), written(true)
	mustFind(t, "CRY-012", hostOf(c), High, "historic")
	mustFind(t, "CRY-013", hostOf(c), High, "aggressive")
	c.Aggressive = written(false)
	mustPass(t, "CRY-013", hostOf(c))
}

func TestPostQuantumIsAnAxisOfItsOwn(t *testing.T) {
	mustFind(t, "CRY-022", hostOf(vpn()), Info, "neither")
	c := vpn()
	c.PPK = written(posture.Always)
	mustPass(t, "CRY-022", hostOf(c))
	c = vpn()
	c.IKE.V[0].AddKE = transforms("mlkem768")
	mustPass(t, "CRY-022", hostOf(c))
	peer := posture.TunnelPeer{Subject: posture.Subject{Dialect: posture.WireGuard, Kind: "peer", Name: "p", At: here}, PSK: written(false)}
	tunnel := posture.Tunnel{Subject: posture.Subject{Dialect: posture.WireGuard, Kind: "tunnel", Name: "wg0", At: here}, Peers: []posture.TunnelPeer{peer}}
	mustFind(t, "CRY-022", &posture.Host{Tunnels: []posture.Tunnel{tunnel}}, Info, "preshared")
}

func TestAPolicyChoosesTheKEMAndTheAdviceFollowsIt(t *testing.T) {
	cnsa2, _ := policy.Named("cnsa2")
	c := vpn()
	none := judgedUnder(t, cnsa2, "CRY-022", hostOf(c))
	c.IKE.V[0].AddKE = transforms("mlkem768")
	other := judgedUnder(t, cnsa2, "CRY-026", hostOf(c))
	for _, results := range [][]Result{none, other} {
		if r := results[0]; r.Outcome != Found || r.Severity != High || !strings.Contains(r.Fix, "mlkem1024") || strings.Contains(r.Fix, "mlkem768") {
			t.Errorf("%+v", r)
		}
	}
	c.IKE.V[0].AddKE = transforms("mlkem1024")
	if r := judgedUnder(t, cnsa2, "CRY-026", hostOf(c)); r[0].Outcome != OK {
		t.Errorf("%+v", r[0])
	}
	mustFind(t, "CRY-022", hostOf(vpn()), Info)
}

func TestSHA1Signatures(t *testing.T) {
	c := vpn()
	c.SHA1Sig = written(true)
	mustFind(t, "CRY-019", hostOf(c), Medium, "SHA-1")
	c.Local = []posture.Auth{{Method: written(posture.MethodPSK)}}
	c.Remote = c.Local
	mustPass(t, "CRY-019", hostOf(c))
	h := hostOf(vpn())
	h.Daemons = []posture.Daemon{{Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "daemon", Name: "charon", At: here}, Product: "strongSwan", SHA1Sig: written(false)}}
	mustPass(t, "CRY-019", h) // the daemon's word is enough for its connections
	h.Daemons[0].SHA1Sig, h.Connections[0].SHA1Sig = written(true), written(true)
	mustFind(t, "CRY-019", h, Medium) // and is said once, where readers give it to both
}

func TestManualKeysAndNullAuthentication(t *testing.T) {
	ios := posture.Subject{Dialect: posture.IOS, Kind: "manual", Name: "MAP", At: here}
	mustFind(t, "CRY-023", &posture.Host{Manual: []posture.Manual{{Subject: ios}}}, High)
	mustPass(t, "CRY-023", &posture.Host{Files: []posture.File{{Path: "router.cfg", Dialect: posture.IOS}}})

	c := in(posture.Libreswan, vpn())
	mustNotKnow(t, "CRY-024", hostOf(c))
	c.Remote = []posture.Auth{{Method: written(posture.MethodPubkey)}}
	mustPass(t, "CRY-024", hostOf(c))
	c.Local = []posture.Auth{{Method: written(posture.MethodNull)}}
	mustFind(t, "CRY-024", hostOf(c), High, "anybody")
}

func TestCompressionIsFound(t *testing.T) {
	c := vpn()
	c.Children[0].IPComp = written(true)
	mustFind(t, "CRY-018", hostOf(c), Low, "IPComp")
}

func TestKeysAreLongEnough(t *testing.T) {
	key := func(pub any) *posture.Host {
		return &posture.Host{Keys: []posture.Key{{Subject: posture.Subject{Dialect: posture.X509, Kind: "key", Name: "gw.pem", At: here}, Public: pub}}}
	}
	modulus := func(bits uint) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int), int(bits)-1, 1), E: 65537}
	}
	mustFind(t, "CRY-020", key(modulus(1024)), Critical, "1024")
	mustPass(t, "CRY-020", key(modulus(2048)))
	mustFind(t, "CRY-020", key(&ecdsa.PublicKey{Curve: elliptic.P224()}), Low, "224")
	mustPass(t, "CRY-020", key(&ecdsa.PublicKey{Curve: elliptic.P256()}))
	mustNotKnow(t, "CRY-020", key(nil))
}

// certificate makes one, self-signed but for the issuer's name.
func certificate(t *testing.T, change func(*x509.Certificate)) posture.Key {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gw"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"vpn.example.org"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return posture.Key{Subject: posture.Subject{Dialect: posture.X509, Kind: "certificate", Name: "gw.pem", At: posture.Pos{File: "etc/x509/gw.pem"}}, Certificate: der, Public: &key.PublicKey}
}

func TestCertificatesAreSignedNamedAndLimited(t *testing.T) {
	served := func(k posture.Key) *posture.Host {
		c := vpn()
		c.Role = written(posture.Answers)
		c.Local = []posture.Auth{{CertFile: "gw.pem", ID: written("vpn.example.org")}}
		h := hostOf(c)
		h.Keys = []posture.Key{k}
		return h
	}
	mustPass(t, "CRY-021", served(certificate(t, func(*x509.Certificate) {})))
	mustFind(t, "CRY-021", served(certificate(t, func(c *x509.Certificate) { c.IsCA = true })), Medium, "CA:TRUE")
	mustFind(t, "CRY-021", served(certificate(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil })), Medium, "subjectAltName")
	mustFind(t, "CRY-021", served(certificate(t, func(c *x509.Certificate) { c.DNSNames = []string{"other.example.org"} })), Medium, "identity")
	mustFind(t, "CRY-021", served(certificate(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })), Low, "serverAuth")
	root := certificate(t, func(c *x509.Certificate) { c.IsCA, c.DNSNames, c.IPAddresses = true, nil, nil })
	root.CA, root.At.File = true, "etc/x509ca/ca.pem"
	mustPass(t, "CRY-021", served(root))
	mustNotKnow(t, "CRY-021", served(posture.Key{Subject: root.Subject, Certificate: []byte{0x30}}))
}

func TestAPolicysSeverityMovesTheCases(t *testing.T) {
	j := &judge{rule: &Rule{ID: "X", Severity: High}, policy: policy.Default()}
	if j.scaled(Medium) != Medium || j.scaled(Critical) != Critical {
		t.Error("a case is not at its own severity under a policy without an opinion")
	}
}

func TestRulesAreWhole(t *testing.T) {
	for _, r := range append(append(append(append([]Rule{}, cryRules...), natRules...), rplRules...), leakRules...) {
		if r.Title == "" || r.Why == "" || len(r.Refs) == 0 || len(r.Checks) == 0 || len(r.Fix) == 0 || r.Risk == "" || r.Needs == "" {
			t.Errorf("%s lacks a part", r.ID)
		}
		if (r.Needs == Config) != (r.judge != nil) {
			t.Errorf("%s needs %s and its judge is not as that asks", r.ID, r.Needs)
		}
		for d, text := range r.Fix {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s says nothing for %s", r.ID, d)
			}
		}
	}
}

func TestTheCatalogueHasEveryNumber(t *testing.T) {
	for _, area := range []struct {
		rules []Rule
		count int
	}{{cryRules, 26}, {natRules, 9}, {rplRules, 12}, {leakRules, 15}} {
		if len(area.rules) != area.count {
			t.Errorf("%s has %d rules, not %d", area.rules[0].Area(), len(area.rules), area.count)
		}
	}
}
