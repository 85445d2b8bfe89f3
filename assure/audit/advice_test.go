package audit

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/protocol/suite"
)

// classes are one good algorithm of each kind, into which a weak one is put.
func classes(p suite.Protocol, weak suite.Transform) posture.Proposal {
	good := transforms("aes256", "sha256", "ecp384")
	if p == suite.ProtocolIKE {
		good = append(good, transform("prfsha256"))
	}
	out := posture.Proposal{Text: "written", At: here}
	for _, t := range good {
		if t.Type != weak.Type {
			out.Transforms = append(out.Transforms, t)
		}
	}
	out.Transforms = append(out.Transforms, weak)
	return out
}

// weakOnes are all transforms that a rule objects to in a protocol.
func weakOnes(p suite.Protocol) []suite.Transform {
	var out []suite.Transform
	for _, a := range suite.All() {
		if a.Type == suite.ESN || a.Type == suite.PRF && p == suite.ProtocolESP {
			continue
		}
		if !verdictOf(a.Transform, p).ok() || a.Transform == noIntegrity || a.Transform == noGroup {
			out = append(out, a.Transform)
		}
	}
	return out
}

// versions are the three kinds of connections.
var versions = []struct {
	name   string
	v1, v2 bool
}{{"v2", false, true}, {"v1", true, false}, {"both", true, true}}

// everyWeakConnection visits, for all dialects, versions and weak transforms, a
// connection whose IKE SA or child has nothing but that one of its kind.
func everyWeakConnection(visit func(name string, c posture.Connection, weak suite.Transform, proto suite.Protocol)) {
	for d := range notations {
		for _, v := range versions {
			for _, proto := range []suite.Protocol{suite.ProtocolIKE, suite.ProtocolESP} {
				for _, weak := range weakOnes(proto) {
					c := in(d, vpn())
					c.V1, c.V2 = written(v.v1), written(v.v2)
					if proto == suite.ProtocolIKE {
						c.IKE = written([]posture.Proposal{classes(proto, weak)})
					} else {
						c.Children[0].ESP = written([]posture.Proposal{classes(proto, weak)})
					}
					visit(fmt.Sprintf("%s %s %s %s", d, v.name, proto, weak), c, weak, proto)
				}
			}
		}
	}
}

// applied is the connection after its advice was followed.
func applied(c posture.Connection) posture.Connection { return appliedFor("", c) }

// appliedFor is the same for one rule.
func appliedFor(rule string, c posture.Connection) posture.Connection {
	a := newAdviser(policy.Default(), &c, "").about(rule, &c).advise(&c, &c.Children[0])
	c.IKE = written(asProposals(a.ike))
	c.Children = slices.Clone(c.Children)
	c.Children[0].ESP = written(asProposals(a.esp))
	return c
}

func advised(c *posture.Connection, child *posture.Child) advice {
	return newAdviser(policy.Default(), c, clientsOf(hostOf(*c), c)).advise(c, child)
}

func asProposals(list []hardened) []posture.Proposal {
	var out []posture.Proposal
	for _, h := range list {
		out = append(out, posture.Proposal{Transforms: slices.Concat(h.encr, h.integ, h.prf, h.ke, h.esn), AddKE: h.addKE, Text: "advised", At: here})
	}
	return out
}

var algorithmRules = strings.Fields("CRY-001 CRY-002 CRY-003 CRY-004 CRY-005 CRY-006 CRY-007 CRY-008 CRY-009 CRY-010 CRY-011 CRY-014 CRY-015 CRY-016 CRY-017 CRY-025")

// Whatever weak thing is the only one of its kind, the advice names something
// usable in its place, and who follows it has no finding left.
func TestAdviceNeverLeavesNothing(t *testing.T) {
	everyWeakConnection(func(name string, c posture.Connection, weak suite.Transform, _ suite.Protocol) {
		a := advised(&c, &c.Children[0])
		for _, h := range slices.Concat(a.ike, a.esp) {
			whole := len(h.encr) > 0 && len(h.ke) > 0 && aead(h.encr[0]) == (len(h.integ) == 0)
			if !whole || slices.Contains(slices.Concat(h.encr, h.integ, h.prf, h.ke), weak) {
				t.Errorf("%s: advice %+v", name, h)
			}
		}
		for _, h := range a.ike {
			if len(h.prf) == 0 {
				t.Errorf("%s: no PRF in %+v", name, h)
			}
		}
		if len(a.ike) == 0 || len(a.esp) == 0 {
			t.Fatalf("%s: no advice", name)
		}
		if c.V1.V && !slices.ContainsFunc(a.ike, func(h hardened) bool { return !aead(h.encr[0]) }) {
			t.Errorf("%s: nothing is left for peers of IKEv1", name)
		}
		followed := hostOf(applied(c))
		audit := New(Options{})
		audit.Host(followed)
		for _, r := range audit.Results {
			if r.Outcome == Found && slices.Contains(algorithmRules, r.Rule.ID) {
				t.Errorf("%s: after the advice there is still %s: %s", name, r.Rule.ID, r.Detail)
			}
		}
	})
}

// A fix about lists says what to write: a cipher and a group in the dialect's
// own words, and not the weak thing.
func TestAFixNamesWhatTakesThePlace(t *testing.T) {
	everyWeakConnection(func(name string, c posture.Connection, weak suite.Transform, proto suite.Protocol) {
		audit := New(Options{})
		audit.Host(hostOf(c))
		n := notations[c.Dialect]
		for _, r := range audit.Results {
			if r.Outcome != Found || r.Rule.Fix[c.Dialect] != "{proposals}" {
				continue
			}
			of := suite.ProtocolIKE
			if r.Subject.Kind == "child" {
				of = suite.ProtocolESP
			}
			if !names(n, of, suite.Encr, r.Fix) || c.Dialect != posture.Libreswan && !names(n, of, suite.KE, r.Fix) {
				t.Errorf("%s: %s names no cipher or no group:\n%s", name, r.Rule.ID, r.Fix)
			}
			if strings.Contains(strings.ToLower(r.Fix), "remove") || strings.Contains(r.Fix, "{") && c.Dialect != posture.Sallyport {
				t.Errorf("%s: %s: %s", name, r.Rule.ID, r.Fix)
			}
		}
	})
}

// names tells whether a text has the word of a good transform of a type.
func names(n notation, p suite.Protocol, typ suite.TransformType, text string) bool {
	for _, a := range suite.All() {
		if w := n.words(p, a.Transform); a.Type == typ && verdictOf(a.Transform, p).ok() && a.Transform != noGroup && w != "" && mentions(text, w) {
			return true
		}
	}
	return false
}

// mentions: IOS writes "aes 256" for IKEv1.
func mentions(text, word string) bool {
	return strings.Contains(text, word) || strings.Contains(text, strings.Replace(word, "aes-cbc-", "aes ", 1))
}

func TestEveryPlaceholderIsReplaced(t *testing.T) {
	for _, rule := range Rules() {
		for d := range rule.Fix {
			c := in(d, vpn())
			for _, s := range []posture.Subject{c.Subject, c.Children[0].Subject, {Dialect: d, Kind: "daemon", Name: "charon"}} {
				got := newBook(policy.Default(), hostOf(c)).fix(&Result{Rule: &rule, Subject: s})
				for _, word := range []string{"{name}", "{conn}", "{id}", "{ike}", "{esp}", "{proposals}"} {
					if strings.Contains(got, word) {
						t.Errorf("%s for %s leaves %s:\n%s", rule.ID, d, word, got)
					}
				}
			}
		}
	}
}

func TestAdviceKeepsWhatIsGoodInWhatIsWritten(t *testing.T) {
	for _, c := range []struct {
		name     string
		v1, v2   bool
		ike, esp []string
		wantIKE  string
		wantESP  string
	}{
		{"the weak ones go", false, true, []string{"aes256-3des-sha256-sha1-ecp384-modp1024"}, []string{"aes256-3des-sha256-md5-ecp384"}, "aes256-sha256-ecp384", "aes256-sha256-ecp384"},
		{"nothing is left", false, true, []string{"3des-md5-modp1024"}, []string{"3des-md5"}, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384"},
		{"nothing is left for IKEv1", true, false, []string{"3des-md5-modp1024"}, []string{"3des-md5"}, "aes256-sha256-ecp256-modp3072", "aes256-sha256-ecp256-modp3072"},
		{"no AEAD in phase 1 of IKEv1", true, false, []string{"aes256gcm16-aes256-prfsha256-sha256-ecp256"}, []string{"aes256gcm16-ecp256"}, "aes256-sha256-ecp256", "aes256gcm16-ecp256"},
		{"both versions", true, true, []string{"aes256gcm16-prfsha384-ecp384", "3des-sha1-modp1024"}, []string{"aes256gcm16-ecp384"},
			"aes256gcm16-prfsha384-ecp384,aes256-sha256-ecp384", "aes256gcm16-ecp384"},
		{"the last choice of peers without AEAD", false, true, []string{"aes256gcm16-prfsha384-ecp384", "3des-sha1-modp1024"}, []string{"aes256gcm16-ecp384"},
			"aes256gcm16-prfsha384-ecp384,aes256-sha256-ecp384", "aes256gcm16-ecp384"},
		{"AEAD and CBC are split", false, true, []string{"aes256gcm16-aes256-sha256-prfsha384-ecp384"}, []string{"aes256gcm16-ecp384-esn"},
			"aes256gcm16-prfsha384-ecp384,aes256-sha256-prfsha384-ecp384", "aes256gcm16-ecp384-esn"},
		{"a group is missing", false, true, []string{"aes256gcm16-prfsha384-ecp384"}, []string{"aes256gcm16-modpnone"}, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384"},
		{"levels", false, true, []string{"aes128gcm16-prfsha256-ecp384"}, []string{"aes256gcm16-ecp384"}, "aes256gcm16-prfsha256-ecp384", "aes256gcm16-ecp384"},
		{"a sound cipher beside", false, true, []string{"aes256-aes128-3des-sha256-ecp384"}, []string{"aes256gcm16-ecp384"}, "aes256-aes128-sha256-ecp384", "aes256gcm16-ecp384"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := vpn()
			conn.V1, conn.V2 = written(c.v1), written(c.v2)
			conn.IKE, conn.Children[0].ESP = proposals(suite.ProtocolIKE, c.ike...), proposals(suite.ProtocolESP, c.esp...)
			a := advised(&conn, &conn.Children[0])
			if got := ikeKeywords(a); got != c.wantIKE {
				t.Errorf("IKE: %s, not %s", got, c.wantIKE)
			}
			if got := espKeywords(a); got != c.wantESP {
				t.Errorf("ESP: %s, not %s", got, c.wantESP)
			}
		})
	}
}

func TestAdviceKeepsThePostQuantumExchange(t *testing.T) {
	c := vpn()
	c.IKE = proposals(suite.ProtocolIKE, "aes256gcm16-prfsha384-ecp384-modp1024")
	c.IKE.V[0].AddKE = transforms("mlkem768")
	if got := ikeKeywords(advised(&c, nil)); got != "aes256gcm16-prfsha384-ecp384-ke1_mlkem768" {
		t.Error(got)
	}
}

func TestADefaultIsReplacedByAShortList(t *testing.T) {
	c := vpn()
	c.IKE = byDefault(proposals(suite.ProtocolIKE, "aes256-3des-sha256-ecp384").V)
	if got := ikeKeywords(advised(&c, nil)); got != "aes256gcm16-prfsha384-ecp384" {
		t.Error(got)
	}
}

func TestATransformSetKeepsItsMode(t *testing.T) {
	c := in(posture.IOS, vpn())
	c.Children[0].ESP, c.Children[0].Transport = proposals(suite.ProtocolESP, "3des-md5"), written(true)
	h := hostOf(c)
	r := Result{Rule: &Rule{ID: "CRY-002", Fix: setProposals(posture.IOS)}, Subject: h.Connections[0].Children[0].Subject}
	if got := newBook(policy.Default(), h).fix(&r); !strings.Contains(got, "esp-gcm 256\n mode transport\n") {
		t.Error(got)
	}
}

func TestEachDialectHasItsOwnWords(t *testing.T) {
	want := map[posture.Dialect][2]string{
		posture.Swanctl:   {"# in connections.gw\nproposals = aes256gcm16-prfsha384-ecp384", "# in connections.gw.children.net\nesp_proposals = aes256gcm16-ecp384"},
		posture.Starter:   {"conn gw\n    ike=aes256gcm16-prfsha384-ecp384!", "conn net\n    esp=aes256gcm16-ecp384!"},
		posture.Libreswan: {"conn gw\n    ike=aes_gcm256-sha2_384;dh20", "conn net\n    esp=aes_gcm256\n    pfs=yes"},
		posture.RouterOS: {`/ip ipsec profile set [find name="ike"] enc-algorithm=aes-256 hash-algorithm=sha256 dh-group=ecp384`,
			`/ip ipsec proposal set [find name="esp"] enc-algorithms=aes-256-gcm auth-algorithms=null pfs-group=ecp384`},
		posture.IOS: {"crypto ikev2 proposal gw-1\n encryption aes-gcm-256\n prf sha384\n group 20\ncrypto ikev2 policy gw\n proposal gw-1\n! and each other one goes: no crypto ikev2 policy NAME",
			"crypto ipsec transform-set gw-esp-1 esp-gcm 256\n! in the crypto map entry or the ipsec profile net\n set transform-set gw-esp-1\n set pfs group20"},
		posture.FortiOS: {"config vpn ipsec phase1-interface\n    edit \"gw\"\n        set proposal aes256gcm-prfsha384\n        set dhgrp 20\n    next\nend",
			"config vpn ipsec phase2-interface\n    edit \"net\"\n        set proposal aes256gcm\n        set dhgrp 20\n        set pfs enable\n    next\nend"},
		posture.PfSense: {"VPN > IPsec > Tunnels > gw > Edit Phase 1: Encryption Algorithm AES256-GCM (128 bits); Hash SHA384; DH Group 20 (nist ecp384)",
			"VPN > IPsec > Tunnels > gw > Phase 2 net > Edit: Encryption Algorithm AES256-GCM (128 bits); PFS key group 20 (nist ecp384)"},
		posture.OPNsense: {`VPN > IPsec > Connections > gw > Proposals: aes256gcm16-sha384-ecp384, and not "default"`, `VPN > IPsec > Connections > gw > Children > net > ESP proposals: aes256gcm16-ecp384, and not "default"`},
		posture.VyOS: {"delete vpn ipsec ike-group ike proposal\nset vpn ipsec ike-group ike proposal 1 encryption aes256gcm128\nset vpn ipsec ike-group ike proposal 1 hash sha384\nset vpn ipsec ike-group ike proposal 1 prf prfsha384\nset vpn ipsec ike-group ike proposal 1 dh-group 20",
			"delete vpn ipsec esp-group esp proposal\nset vpn ipsec esp-group esp proposal 1 encryption aes256gcm128\nset vpn ipsec esp-group esp proposal 1 hash sha256\nset vpn ipsec esp-group esp pfs dh-group20"},
		posture.Windows: {`Set-VpnConnectionIPsecConfiguration -ConnectionName "gw" -EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP384 -CipherTransformConstants GCMAES256 -AuthenticationTransformConstants GCMAES256 -PfsGroup ECP384 -Force`,
			`Set-VpnConnectionIPsecConfiguration -ConnectionName "gw" -EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP384 -CipherTransformConstants GCMAES256 -AuthenticationTransformConstants GCMAES256 -PfsGroup ECP384 -Force`},
	}
	rule := &Rule{ID: "CRY-001", Fix: setProposals(ikeDialects...)}
	for d, w := range want {
		c := in(d, vpn())
		c.IKE, c.Children[0].ESP = proposals(suite.ProtocolIKE, "3des-md5-modp1024"), proposals(suite.ProtocolESP, "3des-md5")
		c.Phase1, c.Children[0].Phase2 = "ike", "esp"
		h := hostOf(c)
		if got := newBook(policy.Default(), h).fix(&Result{Rule: rule, Subject: c.Subject}); got != w[0] {
			t.Errorf("%s: IKE:\n%s\nwant:\n%s", d, got, w[0])
		}
		if got := newBook(policy.Default(), h).fix(&Result{Rule: rule, Subject: c.Children[0].Subject}); got != w[1] {
			t.Errorf("%s: ESP:\n%s\nwant:\n%s", d, got, w[1])
		}
	}
}

func TestAChildIsCalledAsInTheFile(t *testing.T) {
	c := vpn()
	c.Children[0].Name = "gw/net"
	c.Children[0].ESP = proposals(suite.ProtocolESP, "3des-sha256-ecp384")
	if got := mustFind(t, "CRY-002", hostOf(c), High).Fix; !strings.HasPrefix(got, "# in connections.gw.children.net\n") {
		t.Error(got)
	}
}

func TestWhatIsNewlyMadeHasOneWordForAName(t *testing.T) {
	c := in(posture.IOS, vpn())
	c.Name = "MAP 10"
	c.IKE = proposals(suite.ProtocolIKE, "3des-sha256-ecp384")
	if got := mustFind(t, "CRY-002", hostOf(c), High).Fix; !strings.HasPrefix(got, "crypto ikev2 proposal MAP-10-1\n") {
		t.Error(got)
	}
}

func TestAServerOfWindowsHasItsOwnCommand(t *testing.T) {
	c := in(posture.Windows, vpn())
	c.Role = written(posture.Answers)
	c.IKE = proposals(suite.ProtocolIKE, "3des-md5-modp1024")
	got := mustFind(t, "CRY-002", hostOf(c), High).Fix
	if !strings.HasPrefix(got, "Set-VpnServerConfiguration -CustomPolicy -EncryptionMethod GCMAES256") {
		t.Error(got)
	}
}

func TestAHostileNameDoesNotReachALineToPaste(t *testing.T) {
	c := in(posture.RouterOS, vpn())
	c.Name = `x"] ; /system reset-configuration ; [`
	c.IKE = proposals(suite.ProtocolIKE, "3des-sha256-ecp384")
	if got := mustFind(t, "CRY-002", hostOf(c), High).Fix; strings.Contains(got, "reset") || !strings.Contains(got, `name="NAME"`) {
		t.Error(got)
	}
}

func TestSallyportIsToldOnlyWhatItTakes(t *testing.T) {
	c := in(posture.Sallyport, vpn())
	c.IKE = proposals(suite.ProtocolIKE, "aes256-sha256-modp2048")
	a := advised(&c, &c.Children[0])
	for _, text := range strings.Split(sallyportIKE(a), ", ") {
		if _, err := suite.ParseProposal(suite.ProtocolIKE, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range strings.Split(sallyportESP(a), ", ") {
		if _, err := suite.ParseProposal(suite.ProtocolESP, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The peer may not have extended sequence numbers, and then has no tunnel.
func TestSequenceNumbersAreBoundWithoutThePeersHelp(t *testing.T) {
	c := vpn()
	c.Children[0].ESP = proposals(suite.ProtocolESP, "aes256gcm16-ecp384-noesn")
	c.Children[0].ESN = written(false)
	if got := mustFind(t, "RPL-003", hostOf(c), Low).Fix; got != "# in connections.gw.children.net\nrekey_packets = 3500000000" {
		t.Error(got)
	}
}

// The advice, in keywords, is read back as what it was.
func TestKeywordsAreReadBack(t *testing.T) {
	c := vpn()
	c.IKE = proposals(suite.ProtocolIKE, "3des-md5-modp1024", "aes256gcm16-aes256-sha512-x25519")
	a := advised(&c, nil)
	for _, text := range strings.Split(ikeKeywords(a), ",") {
		if p := proposal.New(suite.ProtocolIKE, text, here, strings.Split(text, "-")...); len(p.Unknown) > 0 {
			t.Errorf("%s: %q", text, p.Unknown)
		}
	}
}

// Lists of any make: following the advice leaves no finding.
func TestAdviceForAnyListLeavesNoFinding(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := suite.All()
	random := func() posture.Value[[]posture.Proposal] {
		var list []posture.Proposal
		for range 1 + r.IntN(4) {
			p := posture.Proposal{At: here, Text: "written", Default: r.IntN(5) == 0}
			for range r.IntN(9) {
				p.Transforms = append(p.Transforms, all[r.IntN(len(all))].Transform)
			}
			list = append(list, p)
		}
		return written(list)
	}
	dialects := slices.Sorted(maps.Keys(notations))
	for range 5000 {
		c := in(dialects[r.IntN(len(dialects))], vpn())
		v := versions[r.IntN(len(versions))]
		c.V1, c.V2 = written(v.v1), written(v.v2)
		c.IKE, c.Children[0].ESP = random(), random()
		for _, rule := range []string{"", "CRY-017"} {
			after := New(Options{})
			after.Host(hostOf(appliedFor(rule, c)))
			for _, f := range after.Results {
				if f.Outcome == Found && slices.Contains(algorithmRules, f.Rule.ID) && (rule != "" || f.Rule.ID != "CRY-017") {
					t.Fatalf("%s %s, IKE %s, ESP %s: still %s: %s", c.Dialect, v.name, text(c.IKE.V), text(c.Children[0].ESP.V), f.Rule.ID, f.Detail)
				}
			}
		}
	}
}

// Children of different levels are raised together.
func TestChildrenAreBroughtToOneLevel(t *testing.T) {
	c := vpn()
	second := c.Children[0]
	second.Name, second.ESP = "other", proposals(suite.ProtocolESP, "aes128gcm16-ecp384")
	c.Children = append(c.Children, second)
	if got := espKeywords(newAdviser(policy.Default(), &c, "").about("CRY-017", &c).advise(&c, &c.Children[1])); got != "aes256gcm16-ecp384" {
		t.Error(got)
	}
}

func TestAFixStandsInTheVirtualDomainOfItsConnection(t *testing.T) {
	c := in(posture.FortiOS, vpn())
	c.Name, c.NATT = "edge/lyon", written(false)
	r := mustFind(t, "NAT-006", hostOf(c), Medium)
	if want := "# in the virtual domain edge\nconfig vpn ipsec phase1-interface\n    edit \"lyon\"\n"; !strings.HasPrefix(r.Fix, want) {
		t.Errorf("%s", r.Fix)
	}
}

func TestAFixStandsInTheTableOfItsConnection(t *testing.T) {
	c := in(posture.FortiOS, vpn())
	c.Table, c.NATT = "vpn ipsec phase1", written(false)
	h := hostOf(c)
	r := mustFind(t, "NAT-006", h, Medium)
	if want := "config vpn ipsec phase1\n    edit"; !strings.HasPrefix(r.Fix, want) {
		t.Errorf("%s", r.Fix)
	}
	h = &posture.Host{Secrets: []posture.Secret{{Subject: subject(posture.FortiOS, "secret", "lyon"), Kind: posture.PSK, Storage: posture.Clear, Value: []byte("a"), Setting: "vpn ipsec phase1"}}}
	if r := mustFind(t, "PSK-001", h, High); !strings.HasPrefix(r.Fix, "config vpn ipsec phase1\n") {
		t.Errorf("%s", r.Fix)
	}
}

func TestAPasswordThatIsOddlyWrittenIsNotToBecomeAKey(t *testing.T) {
	for _, d := range []posture.Dialect{posture.Swanctl, posture.Starter, posture.Libreswan} {
		h := &posture.Host{Secrets: []posture.Secret{{Subject: subject(d, "secret", "carol"), Kind: posture.UserPassword, Storage: posture.Clear, Value: []byte("a"), Traps: []string{"odd"}}}}
		r := judgedBy(t, "PSK-009", h)[0]
		if got := newBook(policy.Default(), h).fix(&r); strings.Contains(got, "PSK") || !strings.Contains(got, `"SECRET"`) {
			t.Errorf("%s: %s", d, got)
		}
	}
}

func TestPeersWithoutCertificatesAreNotMadeToProveThemselvesAgain(t *testing.T) {
	for d, want := range map[posture.Dialect]string{posture.Swanctl: "rekey_time = 4h", posture.Starter: "reauth=no", posture.Libreswan: "rekey=yes"} {
		c := in(d, vpn())
		c.Rekey, c.Remote = written(false), []posture.Auth{{Method: written(posture.MethodEAP), EAP: written([]string{"mschapv2"})}}
		h := hostOf(c)
		r := judgedBy(t, "KEY-004", h)[0]
		if got := newBook(policy.Default(), h).fix(&r); !strings.Contains(got, want) || strings.Contains(got, "reauth=yes") || strings.Contains(got, "reauth_time") {
			t.Errorf("%s: %s", d, got)
		}
	}
}

func TestAProposalOfIKEv1HasOneAlgorithmOfAKindForStrongSwan(t *testing.T) {
	h := hardened{encr: transforms("aes256", "aes128"), integ: transforms("sha256"), prf: transforms("prfsha256"), ke: transforms("ecp256", "modp3072")}
	a := advice{ike: []hardened{h}}
	if got := strongSwanIKE(a); got != "aes256-aes128-sha256-ecp256-modp3072" {
		t.Errorf("IKEv2: %s", got)
	}
	a.v1 = true
	if got := strongSwanIKE(a); got != "aes256-sha256-ecp256,aes256-sha256-modp3072,aes128-sha256-ecp256,aes128-sha256-modp3072" {
		t.Errorf("IKEv1: %s", got)
	}
	a.ike[0].encr = transforms("aes256", "aes192", "aes128", "camellia256", "camellia128")
	if got := strongSwanIKE(a); strings.Contains(got, ",") {
		t.Errorf("too many: %s", got)
	}
}

func TestAFormIsToldOfAProposalOnce(t *testing.T) {
	c := in(posture.OPNsense, vpn())
	c.IKE = proposals(suite.ProtocolIKE, "aes256-sha256-ecp256", "aes256-3des-sha256-ecp256-ecp384")
	if got := mustFind(t, "CRY-002", hostOf(c), High).Fix; strings.Count(got, "aes256-sha256-ecp256,") != 1 || !strings.Contains(got, "aes256-sha256-ecp384") {
		t.Error(got)
	}
}

func TestAPoolOfIPv6LeavesTheSelectorsAlone(t *testing.T) {
	c := in(posture.VyOS, vpn())
	c.Pool, c.Children[0].LocalTS = written([]string{"10.9.0.0/24"}), byDefault([]string{"0.0.0.0/0", "::/0"})
	if got := mustFind(t, "LEAK-006", hostOf(c), High).Fix; strings.Contains(got, "local prefix") || !strings.Contains(got, "connection gw pool IPV6-POOL") {
		t.Error(got)
	}
}

// TestNobodyIsToldOfSeccompUnwarned: a pluto that is built without it, such as that
// of Debian 12 and 13, does not read a file with the word.
func TestNobodyIsToldOfSeccompUnwarned(t *testing.T) {
	rule, _ := ByID("CVE-008")
	if fix := rule.Fix[posture.Libreswan]; !strings.Contains(fix, "pluto --version") || !strings.Contains(fix, "\nconfig setup\n    seccomp=enabled") {
		t.Error(fix)
	}
}
