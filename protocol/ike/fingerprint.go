package ike

// PeerKind is the fingerprint of the peer's software; quirks hang on it.
type PeerKind uint8

// The peers we can tell apart.
const (
	UnknownPeer PeerKind = iota
	Windows
	Apple
	Android // built in, Android 11 and later
	StrongSwanApp
	StrongSwan // charon on a desktop or server, NetworkManager
)
