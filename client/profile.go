package client

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"sallyport/internal/file"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// The ways to prove who we are, as the profile names them.
const (
	authCertificate = "certificate"
	authEAPTLS      = "eap-tls"
	authPSK         = "psk"
)

// Profile is what `sallyport device profile NAME --for sallyport` writes and
// [Load] reads. File names are relative to the profile.
type Profile struct {
	Device      string         `yaml:"device"`    // name of the device, for messages
	Remote      string         `yaml:"remote"`    // name or address of the gateway
	Identity    string         `yaml:"identity"`  // ours: the one in the certificate
	RemoteID    string         `yaml:"remote_id"` // the gateway's, insisted on
	Ports       []uint16       `yaml:"ports"`     // the gateway's for IKE and NAT traversal; empty: 500, 4500
	CA          string         `yaml:"ca"`
	Certificate string         `yaml:"certificate"`
	Key         string         `yaml:"key"`           // mode 0600
	Auth        string         `yaml:"auth"`          // certificate (the default), eap-tls or psk
	PSK         string         `yaml:"psk"`           // for psk in place of ca, certificate and key: the file of the key, mode 0600
	EAPIdentity string         `yaml:"eap_identity"`  // for EAP-Identity, in the clear; empty: identity
	AcceptNoEMS bool           `yaml:"accept_no_ems"` // take a gateway whose TLS 1.2 has no extended master secret (RFC 7627)
	IKE         []string       `yaml:"ike"`           // proposals, best first
	ESP         []string       `yaml:"esp"`
	Routes      []netip.Prefix `yaml:"routes"` // what to ask for; the gateway may narrow it
	IPv4        bool           `yaml:"ipv4"`   // ask for an address
	IPv6        bool           `yaml:"ipv6"`
	MOBIKE      bool           `yaml:"mobike"`
	ForceEncap  bool           `yaml:"force_encapsulation"`
	DPD         time.Duration  `yaml:"dpd"` // silence before the gateway is asked whether it lives; 0: 20 s
	CRL         string         `yaml:"crl"` // revoked certificates of CA; optional

	identity *pki.Issued
	psk      secret.Bytes
	roots    []*x509.Certificate
	crls     []*pki.CRL
	ike, esp []suite.Proposal
}

// Load reads a profile strictly and the files it names.
func Load(path string) (*Profile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("client: profile: %w", err)
	}
	p := new(Profile)
	if err := yaml.UnmarshalWithOptions(text, p, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("client: profile %s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("client: profile %s: %w", path, err)
	}
	return p, p.load(filepath.Dir(path))
}

// check holds the profile against what the client needs.
func (p *Profile) check() (err error) {
	type field struct{ name, value string }
	wanted := []field{{"remote", p.Remote}, {"identity", p.Identity}, {"remote_id", p.RemoteID}}
	certified, keyed := []field{{"ca", p.CA}, {"certificate", p.Certificate}, {"key", p.Key}}, []field{{"psk", p.PSK}}
	var useless []field
	switch p.Auth {
	case "":
		p.Auth = authCertificate
		fallthrough
	case authCertificate, authEAPTLS:
		wanted, useless = append(wanted, certified...), keyed
	case authPSK:
		wanted, useless = append(wanted, keyed...), append(certified, field{"crl", p.CRL})
	default:
		return fmt.Errorf("auth: %q is none of %s, %s and %s", p.Auth, authCertificate, authEAPTLS, authPSK)
	}
	for _, f := range wanted {
		if f.value == "" {
			return fmt.Errorf("%s is missing", f.name)
		}
	}
	for _, f := range useless {
		if f.value != "" {
			return fmt.Errorf("%s has no meaning with auth %s", f.name, p.Auth)
		}
	}
	if len(p.EAPIdentity) > eap.MaxIdentity {
		return fmt.Errorf("eap_identity: longer than %d octets", eap.MaxIdentity)
	}
	switch len(p.Ports) {
	case 0:
		p.Ports = []uint16{500, 4500}
	case 2:
	default:
		return errors.New("ports: give two, for IKE and for NAT traversal")
	}
	if len(p.Routes) == 0 {
		return errors.New("routes: nothing to send into the tunnel")
	}
	if p.ike, err = proposals(suite.ProtocolIKE, p.IKE); err != nil {
		return fmt.Errorf("ike: %w", err)
	}
	if p.esp, err = proposals(suite.ProtocolESP, p.ESP); err != nil {
		return fmt.Errorf("esp: %w", err)
	}
	return nil
}

func proposals(protocol suite.Protocol, texts []string) (out []suite.Proposal, err error) {
	if len(texts) == 0 {
		return nil, errors.New("no proposal")
	}
	for _, t := range texts {
		p, err := suite.ParseProposal(protocol, t)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// load reads the key, refusing one that others can read, and the certificates.
func (p *Profile) load(dir string) error {
	at := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	if p.Auth == authPSK {
		return p.loadPSK(at(p.PSK))
	}
	if err := file.CheckPrivate(at(p.Key)); err != nil {
		return fmt.Errorf("client: private key: %w", err)
	}
	key, err := os.ReadFile(at(p.Key))
	if err != nil {
		return fmt.Errorf("client: private key: %w", err)
	}
	cert, err := os.ReadFile(at(p.Certificate))
	if err != nil {
		return fmt.Errorf("client: certificate: %w", err)
	}
	if p.identity, err = pki.ParseIdentity(append(append(key, '\n'), cert...)); err != nil {
		return fmt.Errorf("client: %s and %s: %w", p.Key, p.Certificate, err)
	}
	id := identityOf(p.Identity, false)
	if err := pki.MatchID(p.identity.Cert, &id); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if p.CRL != "" {
		if p.crls, err = pki.LoadCRLs(at(p.CRL)); err != nil {
			return fmt.Errorf("client: %w", err)
		}
	}
	p.roots, err = pki.LoadCertificates(at(p.CA))
	return err
}

// loadPSK reads the pre-shared key: the whole file, but for a line end that an
// editor has put there.
func (p *Profile) loadPSK(path string) error {
	if err := file.CheckPrivate(path); err != nil {
		return fmt.Errorf("client: pre-shared key: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("client: pre-shared key: %w", err)
	}
	if p.psk = bytes.TrimRight(text, "\r\n"); len(p.psk) == 0 {
		return fmt.Errorf("client: pre-shared key: %s is empty", path)
	}
	return nil
}

// identityOf makes the IKE identity of a name as a person writes it
// (RFC 7296, Section 3.5).
func identityOf(name string, responder bool) ikemsg.ID {
	id := ikemsg.ID{Responder: responder, Kind: ikemsg.IDFQDN, Data: []byte(name)}
	if a, err := netip.ParseAddr(name); err == nil {
		id.Kind, id.Data = ikemsg.IDIPv6Addr, a.AsSlice()
		if a.Is4() {
			id.Kind = ikemsg.IDIPv4Addr
		}
	} else if strings.Contains(name, "@") {
		id.Kind = ikemsg.IDRFC822Addr
	}
	return id
}
