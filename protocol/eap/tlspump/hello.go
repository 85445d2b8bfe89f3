package tlspump

import "golang.org/x/crypto/cryptobyte"

// Numbers of RFC 5246 and RFC 7627.
const (
	handshakeRecord      = 22
	serverHello          = 2
	extendedMasterSecret = 23 // the extension (RFC 7627, Section 5.1)
)

// isBound reads a server's first flight of TLS 1.2 and tells whether its
// ServerHello agrees to the extended master secret. crypto/tls knows, and does
// not say. What cannot be read, such as a ServerHello in two records, counts as
// no.
func isBound(flight []byte) bool {
	s := cryptobyte.String(flight)
	var kind uint8
	var record, hello cryptobyte.String
	if !s.ReadUint8(&kind) || kind != handshakeRecord || !s.Skip(2) || !s.ReadUint16LengthPrefixed(&record) ||
		!record.ReadUint8(&kind) || kind != serverHello || !record.ReadUint24LengthPrefixed(&hello) {
		return false
	}
	var session, extensions cryptobyte.String
	const versionAndRandom, suiteAndCompression = 2 + 32, 2 + 1
	if !hello.Skip(versionAndRandom) || !hello.ReadUint8LengthPrefixed(&session) || !hello.Skip(suiteAndCompression) ||
		!hello.ReadUint16LengthPrefixed(&extensions) || !hello.Empty() {
		return false
	}
	for bound := false; ; {
		var number uint16
		var body cryptobyte.String
		if extensions.Empty() {
			return bound
		}
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&body) {
			return false
		}
		bound = bound || number == extendedMasterSecret && body.Empty()
	}
}
