package tlspump

import (
	"bytes"
	"crypto/tls"
	"testing"
)

// firstFlight is what a server of crypto/tls answers to one of its clients,
// which always uses the extended master secret.
func firstFlight(tb testing.TB, version uint16) []byte {
	tb.Helper()
	client, server := ends(tb, version)
	hello, _, err := client.Flight()
	if err != nil {
		tb.Fatal(err)
	}
	if err := server.Feed(hello); err != nil {
		tb.Fatal(err)
	}
	flight, _, err := server.Flight()
	if err != nil {
		tb.Fatal(err)
	}
	return flight
}

func TestTheServerHelloTellsWhetherKeysAreBound(t *testing.T) {
	flight := firstFlight(t, tls.VersionTLS12)
	if !isBound(flight) {
		t.Fatal("the extension is not found")
	}
	extension := []byte{0, extendedMasterSecret, 0, 0}
	at := bytes.Index(flight, extension)
	other := bytes.Clone(flight)
	other[at+1] = 250
	if isBound(other) {
		t.Error("another extension is taken for it")
	}
	record := 5 + int(flight[3])<<8 + int(flight[4])
	for n := range record {
		if isBound(flight[:n]) {
			t.Errorf("%d octets of %d are enough", n, record)
		}
	}
	for what, b := range map[string][]byte{
		"an alert first": append([]byte{21, 3, 3, 0, 2, 1, 0}, flight...),
		"a ClientHello":  append([]byte{22, 3, 3, 0, 4, 1, 0, 0, 0}, flight...),
		"two records":    append([]byte{22, 3, 3, 0, 1, 2}, flight...),
		"nothing":        nil,
		"no extensions":  {22, 3, 3, 0, 42, 2, 0, 0, 38},
	} {
		if isBound(b) {
			t.Errorf("%s counts as bound", what)
		}
	}
}

func TestBothEndsKnowThatKeysAreBound(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client, server := established(t, version)
		if !client.Bound() || !server.Bound() {
			t.Errorf("%s: client %v, server %v", tls.VersionName(version), client.Bound(), server.Bound())
		}
	}
	client, _ := ends(t, tls.VersionTLS13)
	if client.Bound() {
		t.Error("bound before the handshake")
	}
}

func FuzzServerHello(f *testing.F) {
	f.Add(firstFlight(f, tls.VersionTLS12))
	f.Add([]byte{22, 3, 3, 0, 4, 2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if isBound(b) && !bytes.Contains(b, []byte{0, extendedMasterSecret, 0, 0}) {
			t.Error("bound without the extension")
		}
	})
}
