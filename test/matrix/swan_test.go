package matrix

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// swanEnd is strongSwan in either role.
type swanEnd struct {
	daemon *lab.StrongSwan
}

// Quick retransmissions let a vanished peer be given up within some seconds:
// 1 + 1.5 + 2.3 s after the first DPD request.
var swanOptions = []string{
	"retransmit_timeout = 1", "retransmit_base = 1.5", "retransmit_tries = 2",
	"delete_rekeyed_delay = 1",
}

func startSwan(ctx context.Context, h *lab.Host, options []string) (*swanEnd, error) {
	daemon, err := h.StartStrongSwan(ctx, append(options, swanOptions...)...)
	if err != nil {
		return nil, err
	}
	return &swanEnd{daemon}, nil
}

func (e *swanEnd) serve(ctx context.Context, s setup) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	conf := block("connections", block("tunnel",
		"version = 2", "encap = yes", "fragmentation = yes", "send_cert = always", "unique = replace",
		"proposals = "+s.gatewayIKE, "pools = v4, v6", dpd(s.gatewayDPD),
		block("local", swanGatewayAuth(s), "id = "+s.gateway.id),
		block("remote", swanClientAuth(s.auth), "id = *@example.org", "revocation = relaxed"),
		block("children", block("tunnel", "local_ts = 10.9.0.0/24, fd00:9::/64", "esp_proposals = "+s.gatewayESP)))) +
		block("pools", block("v4", "addrs = 10.60.0.0/24"), block("v6", "addrs = fd00:60::/112")) +
		swanSecrets(s, map[string]string{clientID: keyOfAlice, bobID: keyOfBob})
	return e.daemon.Load(ctx, swanFiles(conf, s.gateway, s.gatewayTrusts, s.crl))
}

func (e *swanEnd) connect(ctx context.Context, s setup) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	conf := block("connections", block("tunnel",
		"version = 2", "encap = yes", "fragmentation = yes", "send_cert = always",
		"remote_addrs = "+s.gatewayAddr.String(), "vips = 0.0.0.0, ::",
		"proposals = "+s.ike, dpd(s.clientDPD),
		swanCertReq(s.auth),
		block("local", swanLocalAuth(s), "id = "+cmp.Or(s.ikeIdentity, s.client.id)),
		block("remote", swanRemoteAuth(s), "id = "+s.gatewayName, "revocation = relaxed"),
		block("children", block("tunnel", "remote_ts = 10.9.0.0/24, fd00:9::/64", "esp_proposals = "+s.esp)))) +
		swanSecrets(s, map[string]string{s.gatewayName: s.psk})
	if err := e.daemon.Load(ctx, swanFiles(conf, s.client, s.clientTrusts, s.crl)); err != nil {
		return err
	}
	_, err := e.daemon.Initiate(ctx, "tunnel")
	return err
}

// begin forgets what an earlier case left behind.
func (e *swanEnd) begin(ctx context.Context) error {
	e.daemon.MarkLog()
	sas, err := e.daemon.SAs(ctx)
	if err != nil {
		return err
	}
	if len(sas) == 0 {
		return nil
	}
	e.daemon.Forget(ctx, "tunnel") // its exit status tells of the SA's own end
	_, err = e.daemon.AwaitSAs(ctx, func(sas []lab.SwanSA) bool { return len(sas) == 0 })
	return err
}

func (e *swanEnd) disconnect(ctx context.Context) error { return e.daemon.Terminate(ctx, "tunnel") }
func (e *swanEnd) rekeyChild(ctx context.Context) error { return e.daemon.RekeyChild(ctx, "tunnel") }
func (e *swanEnd) rekeyIKE(ctx context.Context) error   { return e.daemon.RekeyIKE(ctx, "tunnel") }
func (e *swanEnd) account() string                      { return e.daemon.LogSince() }
func (e *swanEnd) close()                               { e.daemon.Stop() }

func (e *swanEnd) tunnel(ctx context.Context) (tunnel, error) {
	sas, err := e.daemon.SAs(ctx)
	if err != nil {
		return tunnel{}, err
	}
	for _, sa := range sas {
		if sa.Values["state"] != "ESTABLISHED" {
			continue
		}
		children := slices.Clone(sa.Children)
		// The newest first: the old one lingers for late packets.
		slices.SortFunc(children, func(a, b lab.SwanChild) int {
			return cmp.Compare(number(b.Values["uniqueid"]), number(a.Values["uniqueid"]))
		})
		for _, child := range children {
			if state := child.Values["state"]; state == "INSTALLED" || state == "REKEYED" {
				return swanTunnel(sa, child), nil
			}
		}
	}
	return tunnel{}, nil
}

func swanTunnel(sa lab.SwanSA, child lab.SwanChild) tunnel {
	remote, _ := netip.ParseAddr(sa.Values["remote-host"])
	return tunnel{
		up:       true,
		ike:      sa.Values["initiator-spi"] + "/" + sa.Values["responder-spi"],
		child:    child.Values["spi-in"] + "/" + child.Values["spi-out"],
		ikeSuite: keywords(sa.Suite()),
		espSuite: keywords(child.Suite()),
		remote:   netip.AddrPortFrom(remote, uint16(number(sa.Values["remote-port"]))),
	}
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func swanFiles(conf string, own credentials, trusts *labtest.Authority, crl []byte) lab.SwanFiles {
	files := lab.SwanFiles{
		Conf:    conf,
		X509:    map[string][]byte{"own.pem": labtest.CertPEM(own.chain[0])},
		X509CA:  map[string][]byte{"trusted.pem": labtest.CertPEM(trusts.Cert)},
		X509CRL: map[string][]byte{"list.crl": crl},
		Private: map[string][]byte{"own.pem": labtest.KeyPEM(own.key)},
	}
	for i, c := range own.chain[1:] {
		files.X509CA[fmt.Sprintf("intermediate%d.pem", i)] = labtest.CertPEM(c)
	}
	return files
}

func swanAuth(c credentials) string {
	if c.pss {
		return "certs = own.pem\nauth = rsa/pss-sha256"
	}
	return "certs = own.pem\nauth = pubkey"
}

// swanSecrets are pre-shared keys by the peer's identity, or the client's
// password.
func swanSecrets(s setup, keys map[string]string) string {
	if s.auth.password() {
		return block("secrets", block("eap-client", "id = "+cmp.Or(s.eapIdentity, s.client.id), "secret = \""+s.password+"\""))
	}
	if s.auth != authPSK {
		return ""
	}
	var blocks []string
	for id, key := range keys {
		blocks = append(blocks, block(fmt.Sprintf("ike-%d", len(blocks)), "id = "+id, "secret = \""+key+"\""))
	}
	return block("secrets", blocks...)
}

// swanLocalAuth is how strongSwan as a client proves itself.
func swanLocalAuth(s setup) string {
	switch {
	case s.auth == authPSK:
		return "auth = psk"
	case s.auth.password():
		return "auth = " + string(s.auth) + "\neap_id = " + cmp.Or(s.eapIdentity, s.client.id) + "\naaa_id = " + s.gatewayName
	case !s.auth.eap():
		return swanAuth(s.client)
	case s.eapIdentity != "":
		return "certs = own.pem\nauth = eap-tls\neap_id = " + s.eapIdentity
	}
	return "certs = own.pem\nauth = eap-tls"
}

// swanRemoteAuth is what strongSwan wants of a gateway.
func swanRemoteAuth(s setup) string {
	switch {
	case s.auth == authEAPOnly:
		return "auth = eap-tls"
	case s.auth == authPSK && !s.wantsSigned:
		return "auth = psk"
	}
	return "auth = pubkey"
}

// swanCertReq: a client that names no trust anchors and knows EAP-only gets it.
func swanCertReq(a auth) string {
	if a == authEAPOnly {
		return "send_certreq = no"
	}
	return "send_certreq = yes"
}

// swanClientAuth is what strongSwan as a gateway wants of a client.
func swanClientAuth(a auth) string {
	switch {
	case a == authPSK:
		return "auth = psk"
	case a.eap():
		return "auth = eap-tls\neap_id = %any"
	}
	return "auth = pubkey"
}

// swanGatewayAuth is how strongSwan as a gateway proves itself.
func swanGatewayAuth(s setup) string {
	switch {
	case s.auth == authEAPOnly:
		return "certs = own.pem\nauth = eap-tls"
	case s.auth == authPSK && !s.gatewaySigns:
		return "auth = psk"
	}
	return swanAuth(s.gateway)
}

func dpd(quick bool) string {
	if quick {
		return "dpd_delay = 2s"
	}
	return "dpd_delay = 0s"
}

// block is a section of swanctl.conf.
func block(name string, lines ...string) string {
	return name + " {\n" + strings.Join(lines, "\n") + "\n}\n"
}

// swanNames are strongSwan's names of what cases.txt calls by keyword.
var swanNames = strings.NewReplacer(
	"AES_GCM_16-256", "aes256gcm16", "AES_GCM_16-128", "aes128gcm16",
	"CHACHA20_POLY1305-256", "chacha20poly1305", "CHACHA20_POLY1305", "chacha20poly1305",
	"AES_CBC-256", "aes256", "AES_CBC-128", "aes128",
	"HMAC_SHA2_256_128", "sha256", "HMAC_SHA2_384_192", "sha384", "HMAC_SHA2_512_256", "sha512",
	"PRF_HMAC_SHA2_256", "prfsha256", "PRF_HMAC_SHA2_384", "prfsha384", "PRF_HMAC_SHA2_512", "prfsha512",
	"ECP_256", "ecp256", "ECP_384", "ecp384", "ECP_521", "ecp521", "CURVE_25519", "x25519",
	"MODP_2048", "modp2048", "MODP_3072", "modp3072", "MODP_4096", "modp4096",
	"/", "-",
)

// keywords turns a suite in strongSwan's words into the keywords of cases.txt,
// where the PRF goes without saying when it follows from the integrity.
func keywords(suite string) string {
	text := swanNames.Replace(suite)
	for _, hash := range []string{"sha256", "sha384", "sha512"} {
		text = strings.Replace(text, "-"+hash+"-prf"+hash, "-"+hash, 1)
	}
	return text
}
