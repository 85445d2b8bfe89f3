package matrix

import (
	"testing"

	"sallyport/internal/lab/labtest"
)

// people are the identities of a lane: one authority that both ends believe,
// one that nobody does, and certificates, each made when a case first asks.
type people struct {
	ca, stranger *labtest.Authority
	deep         *labtest.Authority // under ca, through certificates that make a chain of 6 KB
	made         map[labtest.Leaf]credentials
}

const (
	clientID    = "alice@example.org"
	gatewayName = "vpn.example.org"

	// Keys of 24 random characters. The names of devices are those of the identities
	// before the @, and their user is what comes after it.
	keyOfAlice = "ZbY2mQ7hXv9KrT4wNc8LfJd3"
	keyOfBob   = "pG6sDk1uVe5RzM0yHj7WxQa8"
	bobID      = "bob@example.org"

	strongIKE = "aes256gcm16-prfsha384-ecp384"
	strongESP = "aes256gcm16-ecp384"
)

func newPeople(t *testing.T) *people {
	p := &people{
		ca:       labtest.NewAuthority(t, "Matrix CA"),
		stranger: labtest.NewAuthority(t, "Somebody else's CA"),
		made:     map[labtest.Leaf]credentials{},
	}
	p.deep = p.ca.Intermediate(t, "Matrix intermediate CA 1", 2000).Intermediate(t, "Matrix intermediate CA 2", 2000)
	return p
}

// setup is who meets in a case, and what is wrong with them, if anything.
func (p *people) setup(t *testing.T, c testCase) setup {
	t.Helper()
	s := setup{
		ike: c.ike, esp: c.esp, gatewayIKE: c.ike, gatewayESP: c.esp, gatewayAddr: gateway4, gatewayName: gatewayName,
		clientTrusts: p.ca, gatewayTrusts: p.ca,
		waiveSHA1:  c.auth == authRSAMethod1 && c.scenario == "traffic",
		clientDPD:  c.scenario == "gateway-vanishes" || c.scenario == "nat-rebinds",
		gatewayDPD: c.scenario == "client-vanishes",
		auth:       c.auth,
		psk:        keyOfAlice,
		revoked:    c.scenario == "key-revoked" || c.scenario == "user-revoked",
		password:   keyOfAlice,

		refusesMethod: c.scenario == "method-not-taken",
	}
	switch c.scenario {
	case "client-has-wrong-password":
		s.password = "not the password"
	case "client-is-unknown":
		s.eapIdentity = "mallory@example.org"
	case "user-revoked":
		s.eapIdentity, s.password = "carol@example.org", keyOfBob
	}
	if c.scenario == "gateway-by-other-means" {
		s.gatewaySigns, s.wantsSigned = c.gateway == swan, c.client == swan
	}
	if c.scenario == "eap-identity-of-somebody-else" {
		s.eapIdentity = "bob@example.org"
	}
	if c.scenario == "ike-identity-is-an-address" {
		s.ikeIdentity, s.eapIdentity = "192.168.1.10", clientID
	}
	if c.ipv6 {
		s.gatewayAddr = gateway6
	}
	client := leafOf(c.auth, "alice", clientID)
	gateway := leafOf(c.auth, "gateway", gatewayName)
	clientCA, gatewayCA := p.ca, p.ca
	switch c.scenario {
	case "client-proposes-weak-ike", "client-proposes-weak-esp":
		s.gatewayIKE, s.gatewayESP = strongIKE, strongESP
	case "gateway-accepts-only-weak-ike":
		s.gatewayIKE = "aes128-sha1-modp1024"
	case "gateway-accepts-only-weak-esp":
		s.gatewayESP = "aes128-sha1"
	case "client-asks-for-other-name":
		s.gatewayName = "other.example.org"
	case "client-expired":
		client.Expired = true
	case "gateway-expired":
		gateway.Expired = true
	case "client-of-wrong-name":
		client = leafOf(c.auth, "mallory", "mallory@example.net")
	case "gateway-of-wrong-name":
		gateway = leafOf(c.auth, "other gateway", "other.example.org")
	case "client-of-wrong-ca":
		clientCA = p.stranger
	case "gateway-of-wrong-ca":
		gatewayCA = p.stranger
	case "client-revoked":
		client.Name = "alice, revoked"
	case "gateway-revoked":
		gateway.Name = "gateway, revoked"
	case "client-has-wrong-key":
		s.psk = "tC3nLq9bWf6XhK2vRy5JmZs8"
	case "client-has-key-of-another":
		s.psk = keyOfBob
	case "key-revoked":
		client, s.psk = leafOf(c.auth, "bob", bobID), keyOfBob
	case "large-chain-without-ip-fragments":
		client.Bulk, gateway.Bulk = 2000, 2000
		clientCA, gatewayCA = p.deep, p.deep
	}
	s.client = p.credentials(t, clientCA, client, c.auth)
	s.gateway = p.credentials(t, gatewayCA, gateway, c.auth)
	switch c.scenario {
	case "client-revoked":
		s.crl = p.ca.CRL(t, s.client.chain[0])
	case "gateway-revoked":
		s.crl = p.ca.CRL(t, s.gateway.chain[0])
	default:
		s.crl = p.ca.CRL(t)
	}
	return s
}

func leafOf(a auth, name, id string) labtest.Leaf {
	return labtest.Leaf{Name: name + " " + string(a), ID: id, Key: authKinds[a].key}
}

// credentials makes a certificate once and remembers it: RSA keys are slow.
func (p *people) credentials(t *testing.T, by *labtest.Authority, leaf labtest.Leaf, a auth) credentials {
	t.Helper()
	key := leaf
	key.Name += ", by " + by.Cert.Subject.CommonName
	c, ok := p.made[key]
	if !ok {
		issued := by.Issue(t, leaf)
		c = credentials{id: leaf.ID, chain: issued.Chain, key: issued.Key, pss: a == authRSAPSS}
		p.made[key] = c
	}
	return c
}
