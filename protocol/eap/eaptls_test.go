package eap

import (
	"crypto/tls"
	"testing"
)

func tlsConfigs(version uint16) (*ServerConfig, *PeerConfig) {
	p := thePKI()
	return &ServerConfig{Offers: []Offer{{Method: TypeTLS}}, TLS: p.serverTLS(version), Name: "sallyport"},
		&PeerConfig{Identity: "anonymous@example.org", Offers: []Offer{{Method: TypeTLS}}, TLS: p.peerTLS(0)}
}

func TestEAPTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			l := newLink(t, first(tlsConfigs(version)), second(tlsConfigs(version)))
			l.run()
			s, p := l.wantSuccess()
			if s.TLS != version {
				t.Errorf("TLS version %x", s.TLS)
			}
			if s.Identity != clientName || s.Claim != "anonymous@example.org" || p.Identity != serverName {
				t.Errorf("server sees %q claiming %q, peer sees %q", s.Identity, s.Claim, p.Identity)
			}
			if len(s.EMSK) != 64 || s.EMSK.Equal(s.MSK) {
				t.Error("the EMSK is not 64 octets of its own")
			}
			t.Logf("%d packets", l.packets)
		})
	}
}

func first[A, B any](a A, _ B) A  { return a }
func second[A, B any](_ A, b B) B { return b }
