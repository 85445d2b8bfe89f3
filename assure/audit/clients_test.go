package audit

import (
	"slices"
	"strings"
	"testing"
	"time"

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

// eapClients is a connection to which clients come by IKEv2 and EAP, as guides have it.
func eapClients(d posture.Dialect, ike, esp string) posture.Connection {
	c := in(d, vpn())
	c.V1, c.V2, c.AnyPeer, c.Role = written(false), written(true), written(true), written(posture.Answers)
	c.Pool = written([]string{"10.9.0.0/24"})
	c.Remote = []posture.Auth{{Method: written(posture.MethodEAP), EAP: written([]string{"mschapv2"})}}
	c.IKE, c.Children[0].ESP = proposals(suite.ProtocolIKE, strings.Split(ike, " ")...), proposals(suite.ProtocolESP, strings.Split(esp, " ")...)
	c.Children[0].PFS = written(posture.Never)
	return c
}

// What Apple offers by itself, and Windows by the profile that is told, gets in after
// any advice, and no exchange is asked of clients that have none.
func TestAdviceForClientsOfIKEv2LocksNobodyOut(t *testing.T) {
	for _, d := range []posture.Dialect{posture.Swanctl, posture.Starter, posture.Libreswan} {
		for _, ike := range []string{"aes256-sha256-modp2048 aes256-sha1-modp1024 3des-sha1-modp1024", "3des-sha1-modp1024"} {
			c := eapClients(d, ike, "aes256-sha1 3des-sha1")
			a := advised(&c, &c.Children[0])
			if !taken(a.ike, "aes256-sha256-ecp384", suite.ProtocolIKE) || !taken(a.ike, "aes256-sha256-modp2048", suite.ProtocolIKE) {
				t.Errorf("%s: %s", d, ikeKeywords(a))
			}
			if len(groups(a.esp)) > 0 {
				t.Errorf("%s: an exchange is asked of clients: %s", d, espKeywords(a))
			}
			for rule, want := range map[string]string{"CRY-008": "Set-VpnConnectionIPsecConfiguration", "CRY-010": "lose the tunnel"} {
				if got := mustFind(t, rule, hostOf(c), High).Fix; !strings.Contains(got, want) {
					t.Errorf("%s, %s: %s", d, rule, got)
				}
			}
		}
	}
	c := eapClients(posture.Swanctl, "3des-sha1-modp1024", "3des-sha1")
	if a := advised(&c, &c.Children[0]); !taken(a.esp, "aes256gcm16", suite.ProtocolESP) {
		t.Errorf("Windows by its profile is locked out: %s", espKeywords(a))
	}
	c.Children[0].Life = written(12 * time.Hour)
	if got := mustFind(t, "KEY-002", hostOf(c), Medium).Fix; !strings.Contains(got, "rekey_time = 3h") {
		t.Error(got)
	}
	site := in(posture.Swanctl, vpn())
	site.IKE = proposals(suite.ProtocolIKE, "aes256-sha256-modp2048")
	if a := advised(&site, &site.Children[0]); taken(a.ike, "aes256-sha256-modp2048", suite.ProtocolIKE) {
		t.Errorf("between sites modp2048 goes: %s", ikeKeywords(a))
	}
}

func TestUsersOfIKEv2AreToldFirst(t *testing.T) {
	c := in(posture.OPNsense, vpn())
	c.IKE, c.Children[0].ESP, c.Children[0].PFS = proposals(suite.ProtocolIKE, "aes256-sha1-modp1024"), proposals(suite.ProtocolESP, "aes256-sha256"), written(posture.Never)
	c.Role, c.AnyPeer, c.V1, c.V2 = written(posture.Answers), written(true), written(false), written(true)
	c.Remote = []posture.Auth{{Method: written(posture.MethodEAP), EAP: written([]string{"mschapv2"})}}
	if got := mustFind(t, "CRY-008", hostOf(c), High).Fix; !strings.HasPrefix(got, "first the clients") || !strings.Contains(got, "; then\nVPN > IPsec") {
		t.Error(got)
	}
	if got := mustFind(t, "CRY-010", hostOf(c), High).Fix; !strings.Contains(got, "Android") {
		t.Error(got)
	}
	c.AnyPeer = written(false)
	if got := mustFind(t, "CRY-008", hostOf(c), High).Fix; strings.Contains(got, "clients") {
		t.Error(got)
	}
}

func TestNetworkdHasItsOwnSections(t *testing.T) {
	h := wireguard(func(w *posture.Tunnel) {
		w.Peers[0].PSK = written(false)
		w.Peers[0].At.File = "etc/systemd/network/wg0.netdev"
	})
	if got := mustFind(t, "CRY-022", h, Info).Fix; !strings.HasPrefix(got, "[WireGuardPeer]\n") {
		t.Error(got)
	}
}

// clientsOfIKEv2 is a connection to which native clients of IKEv2 come.
func clientsOfIKEv2(d posture.Dialect) posture.Connection {
	c := in(d, vpn())
	c.V1, c.V2, c.AnyPeer, c.Role = written(false), written(true), written(true), written(posture.Answers)
	c.IKE, c.Pool = proposals(suite.ProtocolIKE, "aes256gcm16-prfsha384-ecp384", "aes128-sha256-modp2048"), written([]string{"10.9.0.0/24"})
	c.Local, c.Remote = []posture.Auth{{Method: written(posture.MethodPubkey)}}, []posture.Auth{{Method: written(posture.MethodEAP)}}
	return c
}

// TestAProfileForWindowsHasTheForwardSecrecyOfTheGateway: with none it loses the tunnel
// when it renews keys.
func TestAProfileForWindowsHasTheForwardSecrecyOfTheGateway(t *testing.T) {
	for demand, want := range map[posture.Demand]string{posture.Always: "-PfsGroup ECP384\n", posture.Never: "-PfsGroup None\n"} {
		c := clientsOfIKEv2(posture.Windows)
		c.Children[0].PFS = written(demand)
		if r := mustFind(t, "CRY-009", hostOf(c), Low, "modp2048"); !strings.Contains(r.Fix, "# at each Windows PC") || !strings.Contains(r.Fix, want) {
			t.Errorf("forward secrecy %s:\n%s", demand, r.Fix)
		}
	}
}

// TestWhoHasNoMLKEMIsNotLockedOutUnasked: a list in which each proposal has an additional
// exchange is for peers that have one.
func TestWhoHasNoMLKEMIsNotLockedOutUnasked(t *testing.T) {
	if r := mustFind(t, "CRY-022", hostOf(clientsOfIKEv2(posture.Swanctl)), Info, "neither"); !strings.HasPrefix(r.Fix, "# a peer that has nothing of the kind is locked out") {
		t.Error(r.Fix)
	}
	if r := mustFind(t, "CRY-022", hostOf(vpn()), Info, "neither"); strings.Contains(r.Fix, "locked out") {
		t.Error(r.Fix)
	}
}
