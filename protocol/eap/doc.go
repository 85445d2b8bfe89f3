// Package eap holds both ends of an EAP conversation as machines: Server is
// the authenticator with its EAP server, Peer is the one who logs in.
//
// Covered: RFC 3748 (Identity, Notification, Nak, Expanded Nak, duplicates),
// RFC 5216 and RFC 9190 (EAP-TLS over TLS 1.2 and 1.3), MS-PEAP version 0 with
// inner EAP-TLS or EAP-MSCHAPv2, RFC 5281 (EAP-TTLS version 0) with inner
// EAP-TLS, EAP-MSCHAPv2, MSCHAPv2 or PAP, and RFC 9427 (the keys of PEAP and
// TTLS over TLS 1.3). Not covered: fast reconnect and session tickets, PEAP
// versions 1 and 2, inner CHAP, MS-CHAP and EAP-GTC, TEAP, EAP-FAST, and the
// methods of mobile networks.
//
// The machines have no goroutine, clock or socket. The caller hands in packets
// and the time, and drains an Out: packets to send, jobs to run, and one event
// at the end. A job is slow or needs a store: the TLS handshake (with the
// signature and the judgement of certificates in it), and questions about
// passwords. One job is outstanding at most.
//
// A carrier makes a machine, calls Start, hands each EAP packet to Receive and
// each finished job to Done, and after every call sends, runs and reads what
// the Out holds. Success carries the keys. Failure comes as soon as the reason
// is known; whoever wants the other end to learn of it goes on until Over.
// Timeout is due at Deadline, and Close releases a conversation at any time.
//
// What is claimed and what is proven stay apart: the EAP-Identity is a claim
// that may route a request, and Success.Identity comes from the certificate or
// from the account whose password was proven. A Peer proves a password only
// inside TLS to a server whose certificate was accepted; EAP-MSCHAPv2 outside
// of TLS needs BareMSCHAPv2, for IKEv2 clients that know nothing better, after
// IKEv2 itself has authenticated the server.
package eap
