// Package l2tpload is a crowd of L2TP/IPsec clients in one process and without
// a kernel: IKEv1 (RFC 2409) as initiator, ESP in transport mode in UDP
// (RFC 3948), L2TP (RFC 2661, RFC 3193) as LAC, and PPP (RFC 1661) with EAP-TLS
// or PEAP, over real UDP sockets. It puts load on a gateway, and tries what many
// clients behind one NAT do to it, who all come with the same private address
// and the same inner port.
//
// Each client has a source address and port of its own, as a NAT would give it.
// Clients with different addresses and the same port share a socket.
//
// One goroutine owns all clients and does their work, the signatures and TLS
// handshakes too, so that the generator takes one core at the most. Further
// goroutines only read the sockets.
package l2tpload
