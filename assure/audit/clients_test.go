package audit

import (
	"slices"
	"strings"
	"testing"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

// l2tp is a connection to which native clients of L2TP come, as guides have it.
func l2tp(d posture.Dialect) posture.Connection {
	c := in(d, vpn())
	c.V1, c.V2, c.AnyPeer, c.Role = written(true), written(false), written(true), written(posture.Answers)
	c.IKE, c.Phase1 = proposals(suite.ProtocolIKE, "aes256-sha1-modp2048", "3des-sha1-modp1024"), "ike"
	child := &c.Children[0]
	child.L2TP, child.Transport, child.PFS, child.Phase2 = true, written(true), written(posture.Never), "esp"
	child.ESP = proposals(suite.ProtocolESP, "aes256-sha1", "3des-sha1")
	c.Local, c.Remote = []posture.Auth{{Method: written(posture.MethodPSK)}}, []posture.Auth{{Method: written(posture.MethodPSK)}}
	return c
}

// taken tells whether an offer of one of each kind is within a list; of a child no
// group is one, too.
func taken(list []hardened, offer string, proto suite.Protocol) bool {
	var want hardened
	for _, word := range strings.Split(offer, "-") {
		switch t := transform(word); t.Type {
		case suite.Encr:
			want.encr = append(want.encr, t)
		case suite.Integ:
			want.integ = append(want.integ, t)
		case suite.KE:
			want.ke = append(want.ke, t)
		}
	}
	return covered(list, want)
}

// What a profile makes Windows offer and what Apple offers first has to get in
// after any advice, and it is what our own zones take.
func TestAdviceForClientsOfL2TPLocksNobodyOut(t *testing.T) {
	for d := range notations {
		c := l2tp(d)
		a := advised(&c, &c.Children[0])
		if !taken(a.ike, "aes256-sha256-ecp384", suite.ProtocolIKE) && d != posture.Windows || !taken(a.esp, "aes256gcm16", suite.ProtocolESP) {
			t.Errorf("%s: Windows by a profile is locked out: %s; %s", d, ikeKeywords(a), espKeywords(a))
		}
		if d != posture.Windows && !taken(a.ike, "aes256-sha256-modp2048", suite.ProtocolIKE) {
			t.Errorf("%s: Apple is locked out: %s", d, ikeKeywords(a))
		}
		for _, h := range singles(a.ike) {
			text := inKeywords([]hardened{h}, suite.ProtocolIKE)
			if _, err := suite.ParseL2TPProposal(suite.ProtocolIKE, text, false); err != nil {
				t.Errorf("%s: our own zones refuse %s: %v", d, text, err)
			}
		}
	}
}

// One list of proposals in all findings of a connection, without a word that IKEv1
// has not, and forward secrecy on a condition only.
func TestFindingsOfAConnectionForL2TPAgree(t *testing.T) {
	for d, n := range notations {
		c := l2tp(d)
		h := hostOf(c)
		a := New(Options{})
		a.Host(h)
		book := newBook(policy.Default(), h)
		at, by := book.find(h.Connections[0].Subject)
		list := n.ike(by.advise(at.conn, nil))
		for _, r := range a.Results {
			if r.Outcome != Found {
				continue
			}
			fix := r.Fix
			if strings.Contains(strings.ToLower(fix), "mlkem") || strings.Contains(fix, "ml_kem") {
				t.Errorf("%s, %s: no IKEv1 has ML-KEM:\n%s", d, r.Rule.ID, fix)
			}
			if isList(r.Rule, d) && r.Subject.Kind == "connection" && r.Rule.ID != "CRY-017" {
				filled := strings.NewReplacer("{id}", "gw", "{phase1}", "ike").Replace(list)
				if !strings.Contains(fix, filled) {
					t.Errorf("%s, %s has another list than\n%s\n%s", d, r.Rule.ID, filled, fix)
				}
				if !strings.Contains(fix, "first the clients of L2TP") {
					t.Errorf("%s, %s: nobody is told what clients need:\n%s", d, r.Rule.ID, fix)
				}
			}
			demands := slices.ContainsFunc([]string{"pfs=yes", "set pfs group", "pfs dh-group", "pfs enable", "pfs-group=ecp"}, func(s string) bool { return strings.Contains(fix, s) })
			if demands && r.Rule.ID != "CRY-010" {
				t.Errorf("%s, %s demands forward secrecy:\n%s", d, r.Rule.ID, fix)
			}
			if r.Rule.ID == "CRY-010" && !strings.Contains(fix, "offer no forward secrecy") {
				t.Errorf("%s, CRY-010 has no condition:\n%s", d, fix)
			}
			if endsV1[r.Rule.ID] && r.Rule.ID != "CRY-013" && !strings.Contains(fix, "move them to IKEv2") {
				t.Errorf("%s, %s locks clients out without a word:\n%s", d, r.Rule.ID, fix)
			}
		}
	}
}

func TestClientsOfXAUTHAreThoughtOf(t *testing.T) {
	c := l2tp(posture.Starter)
	c.Children[0].L2TP, c.Children[0].Transport = false, written(false)
	c.Remote = append(c.Remote, posture.Auth{Method: written(posture.MethodXAUTH), XAUTH: true})
	if got := mustFind(t, "CRY-012", hostOf(c), High).Fix; !strings.Contains(got, "clients of XAUTH have IKEv1 alone") {
		t.Error(got)
	}
}

func TestAProposalOfIKEv1HasOneAlgorithmOfAKindForESP(t *testing.T) {
	h := hardened{encr: transforms("aes256gcm16"), ke: transforms("ecp256", "modp3072")}
	a := advice{v1: true, esp: []hardened{h}}
	if got := strongSwanESP(a); got != "aes256gcm16-ecp256,aes256gcm16-modp3072" {
		t.Error(got)
	}
	a.esp = []hardened{{encr: transforms("aes256", "aes128"), integ: transforms("sha256"), ke: transforms("ecp256")}}
	if got := libreswanESP(a); got != "aes256-sha2_256,aes128-sha2_256" {
		t.Error(got)
	}
}

func TestTheServerOfRouterOSIsChangedWhereItIs(t *testing.T) {
	c := l2tp(posture.RouterOS)
	c.Name = routerOSServer
	r := mustFind(t, "CRY-012", hostOf(c), High)
	c.Obeys = written(true)
	if got := mustFind(t, "RPL-011", hostOf(c), Medium).Fix; strings.Contains(got, "=strict") {
		t.Error(got)
	}
	if !strings.HasSuffix(r.Fix, "\n/interface l2tp-server server set enabled=no") || strings.Contains(r.Fix, "/ip ipsec peer") {
		t.Error(r.Fix)
	}
}

func TestVyOSIsNotToldOfASiteThatIsNone(t *testing.T) {
	for _, name := range []string{vyosL2TP, vyosDMVPN + "SPOKES"} {
		c := l2tp(posture.VyOS)
		c.Name, c.Children[0].Name = name, name
		c.Children[0].Replay = written(32)
		for _, rule := range []string{"RPL-002", "CRY-022", "PSK-011"} {
			if got := judgedBy(t, rule, hostOf(c))[0].Fix; got == "" || strings.Contains(got, "set vpn ipsec site-to-site peer") {
				t.Errorf("%s of %s:\n%s", rule, name, got)
			}
		}
	}
}

// What takes a sound cipher away is told apart from what the other findings say.
func TestOnlyTheRuleOfLevelsTakesASoundCipherAway(t *testing.T) {
	c := vpn()
	c.IKE = proposals(suite.ProtocolIKE, "aes256-aes128-3des-sha256-ecp384")
	c.Children[0].ESP = proposals(suite.ProtocolESP, "aes256gcm16-ecp384")
	if got := mustFind(t, "CRY-016", hostOf(c), Medium).Fix; !strings.HasSuffix(got, "proposals = aes256-aes128-sha256-ecp384") {
		t.Error(got)
	}
	if got := mustFind(t, "CRY-017", hostOf(c), Low).Fix; !strings.HasPrefix(got, "# where every peer") || strings.Contains(got, "aes128") {
		t.Error(got)
	}
}

// A truncation is NAT-008's, and a switch that is off by default needs no line.
func TestATruncatedHashIsOneFinding(t *testing.T) {
	c := vpn()
	c.Children[0].ESP = proposals(suite.ProtocolESP, "aes256-ecp384")
	c.Children[0].ESP.V[0].Unknown, c.Children[0].SHA256Trunc = []string{shortSHA256}, written(true)
	h := hostOf(c)
	if got := mustFind(t, "NAT-008", h, Medium).Fix; strings.Contains(got, "accept_private_algs") {
		t.Error(got)
	}
	for _, r := range judgedBy(t, "CRY-025", h) {
		if r.Outcome == Found {
			t.Errorf("%s: %s", r.Subject.Name, r.Detail)
		}
	}
	h.Connections[0].IKE.V[0].Unknown = []string{"sm4"}
	if got := mustFind(t, "CRY-025", h, Low).Fix; strings.Contains(got, "accept_private_algs") {
		t.Error(got)
	}
}

// One key of three findings is to be made anew once.
func TestANewKeyIsAdvisedOnce(t *testing.T) {
	s := posture.Secret{Subject: subject(posture.Starter, "secret", "%any"), Kind: posture.PSK, Storage: posture.Clear, Value: []byte("vpn"), Anybody: written(true)}
	a := New(Options{})
	a.Host(&posture.Host{Secrets: []posture.Secret{s}})
	fixes := map[string]string{}
	for _, r := range a.Results {
		if r.Outcome == Found {
			fixes[r.Rule.ID] = r.Fix
		}
	}
	if !strings.Contains(fixes["PSK-002"], "openssl rand") || fixes["PSK-001"] != sameAs+"PSK-002" || fixes["PSK-003"] != sameAs+"PSK-002" {
		t.Errorf("%+v", fixes)
	}
}
