package matrix

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/lab/labtest"
)

//go:embed cases.txt
var casesText string

// testCase is one line of cases.txt.
type testCase struct {
	client, gateway kind
	auth            auth
	ike, esp        string // the client's one proposal each, in keywords
	ipv6            bool   // between the two gateways
	nat             bool
	scenario        string
	cannot          string // why the case cannot run; empty when it can
}

// kind is an implementation.
type kind string

const (
	ours kind = "ours"
	swan kind = "swan"
)

// auth is a kind of key and of signature.
type auth string

const (
	authRSA     auth = "rsa"
	authRSAPSS  auth = "rsa-pss"
	authP256    auth = "ecdsa-p256"
	authP384    auth = "ecdsa-p384"
	authEd25519 auth = "ed25519"

	// With a peer that does not know RFC 7427: the methods 1, 9 and 10.
	authRSAMethod1   auth = "rsa-m1"
	authP256Method9  auth = "ecdsa-m9"
	authP384Method10 auth = "ecdsa-m10"

	// The client proves itself by EAP-TLS, the gateway by a signature in IKE;
	// or both inside EAP-TLS alone (RFC 5998).
	authEAPTLS  auth = "eap-tls"
	authEAPOnly auth = "eap-only"

	// The client proves a password, inside TLS or, by waiver, without.
	authTTLS     auth = "eap-ttls"
	authMSCHAPv2 auth = "eap-mschapv2"

	// Both by one pre-shared key.
	authPSK auth = "psk"
)

// auths are what every cipher, group and network is tried with.
var auths = []auth{authRSA, authRSAPSS, authP256, authP384, authEd25519}

// authKinds tells about each auth.
var authKinds = map[auth]struct {
	key       labtest.KeyKind
	classic   bool   // strongSwan is told to forget RFC 7427
	signature string // in strongSwan's log, for both signatures of a set-up
}{
	authRSA:          {labtest.RSA, false, "RSA_EMSA_"},
	authRSAPSS:       {labtest.RSA, false, "RSA_EMSA_PSS_SHA2_256"},
	authP256:         {labtest.P256, false, "ECDSA_WITH_SHA256_DER"},
	authP384:         {labtest.P384, false, "ECDSA_WITH_SHA384_DER"},
	authEd25519:      {labtest.Ed25519, false, "ED25519"},
	authRSAMethod1:   {labtest.RSA, true, "RSA signature"},
	authP256Method9:  {labtest.P256, true, "ECDSA-256 signature"},
	authP384Method10: {labtest.P384, true, "ECDSA-384 signature"},
	authEAPTLS:       {labtest.P256, false, "EAP"},
	authEAPOnly:      {labtest.P256, false, "EAP"},
	authTTLS:         {labtest.P256, false, "EAP"},
	authMSCHAPv2:     {labtest.P256, false, "EAP"},
	authPSK:          {labtest.P256, false, "pre-shared key"},
}

// eap tells a client that logs in by EAP.
func (a auth) eap() bool { return a == authEAPTLS || a == authEAPOnly || a.password() }

// password tells one that proves a password.
func (a auth) password() bool { return a == authTTLS || a == authMSCHAPv2 }

// name is unique, so that -run finds the one case.
func (c testCase) name() string {
	outer, way := "ipv4", "direct"
	if c.ipv6 {
		outer = "ipv6"
	}
	if c.nat {
		way = "nat"
	}
	return fmt.Sprintf("%s/%s_%s_%s_%s_%s", c.scenario, c.auth, c.ike, c.esp, outer, way)
}

func parseCases(text string) ([]testCase, error) {
	var cases []testCase
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		c, err := parseCase(line)
		if err != nil {
			return nil, fmt.Errorf("cases.txt:%d: %w", n+1, err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func parseCase(line string) (c testCase, err error) {
	line, c.cannot, _ = strings.Cut(line, "cannot:")
	c.cannot = strings.TrimSpace(c.cannot)
	words := strings.Fields(line)
	if len(words) != 7 {
		return c, fmt.Errorf("%d columns, want 7", len(words))
	}
	client, gateway, _ := strings.Cut(words[0], ">")
	c.client, c.gateway = kind(client), kind(gateway)
	c.auth, c.ike, c.esp = auth(words[1]), words[2], words[3]
	c.ipv6, c.nat, c.scenario = words[4] == "ipv6", words[5] == "nat", words[6]
	switch {
	case words[0] != "ours>swan" && words[0] != "swan>ours":
		return c, fmt.Errorf("direction %q", words[0])
	case authKinds[c.auth].key == "":
		return c, fmt.Errorf("auth %q", words[1])
	case !c.ipv6 && words[4] != "ipv4":
		return c, fmt.Errorf("outer family %q", words[4])
	case !c.nat && words[5] != "direct":
		return c, fmt.Errorf("way %q", words[5])
	}
	if _, ok := scenarios[c.scenario]; !ok {
		return c, fmt.Errorf("no scenario %q", c.scenario)
	}
	return c, nil
}

func mustParseCases(t *testing.T) []testCase {
	t.Helper()
	cases, err := parseCases(casesText)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestTheCasesCoverEveryPair holds the file to what the matrix promises.
func TestTheCasesCoverEveryPair(t *testing.T) {
	var (
		ciphers = []string{"aes256gcm16", "aes128gcm16", "chacha20poly1305", "aes128-sha256", "aes256-sha384", "aes256-sha512"}
		groups  = []string{"ecp256", "ecp384", "ecp521", "x25519", "modp2048", "modp3072"}
		nets    = []string{"ipv4 direct", "ipv4 nat", "ipv6 direct", "ipv6 nat"}
		methods []string
	)
	for _, a := range auths {
		methods = append(methods, string(a))
	}
	dimensions := [][]string{methods, ciphers, groups, nets}
	for _, direction := range []string{"swan>ours", "ours>swan"} {
		have := map[string]bool{}
		for _, c := range mustParseCases(t) {
			if c.scenario != "traffic" || c.cannot != "" || string(c.client+">"+c.gateway) != direction {
				continue
			}
			values := c.dimensions(ciphers)
			for i := range values {
				for j := range i {
					have[values[j]+" with "+values[i]] = true
				}
			}
		}
		for i := range dimensions {
			for j := range i {
				for _, a := range dimensions[j] {
					for _, b := range dimensions[i] {
						if pair := a + " with " + b; !have[pair] {
							t.Errorf("%s: no traffic case of %s", direction, pair)
						}
					}
				}
			}
		}
	}
}

// dimensions are the case's auth, cipher, group and network.
func (c testCase) dimensions(ciphers []string) []string {
	cut := strings.LastIndex(c.esp, "-")
	cipher, group := c.esp[:cut], c.esp[cut+1:]
	if !slices.Contains(auths, c.auth) || !slices.Contains(ciphers, cipher) || !strings.HasPrefix(c.ike, cipher) || !strings.HasSuffix(c.ike, group) {
		return nil // such as the worked suite, which mixes groups
	}
	net := "ipv4 "
	if c.ipv6 {
		net = "ipv6 "
	}
	if c.nat {
		return []string{string(c.auth), cipher, group, net + "nat"}
	}
	return []string{string(c.auth), cipher, group, net + "direct"}
}

func TestEveryScenarioHasACase(t *testing.T) {
	have := map[string]bool{}
	for _, c := range mustParseCases(t) {
		have[string(c.client)+" "+c.scenario] = true
	}
	for name := range scenarios {
		for _, k := range []kind{ours, swan} {
			if !have[string(k)+" "+name] {
				t.Errorf("no case with client %s of scenario %s", k, name)
			}
		}
	}
}

func TestCaseNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range mustParseCases(t) {
		name := string(c.client) + " " + c.name()
		if seen[name] {
			t.Errorf("%s stands twice in cases.txt", name)
		}
		seen[name] = true
	}
}
