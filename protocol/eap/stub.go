package eap
func newPEAPServer(cfg *ServerConfig, in []Inner, e *tlsEnd) tunneled {return nil}
type ttlsServer struct { cfg *ServerConfig; allowed []Inner; outer *tlsEnd; tunneled }
type peapPeer struct { cfg *PeerConfig; allowed []Inner; outer *tlsEnd; tunneledPeer }
func newTTLSPeer(cfg *PeerConfig, i Inner, e *tlsEnd) tunneledPeer {return nil}
