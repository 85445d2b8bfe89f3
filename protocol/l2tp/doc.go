// Package l2tp is the control connection of L2TP version 2 as a machine: both
// ends of it, as LNS (the gateway) and as LAC (the client, which is its own
// LAC).
//
// Covered: RFC 2661, Sections 4 to 7 and Appendix A: tunnels and incoming
// calls, reliable delivery, slow start, HELLO, tie breakers, tunnel challenges
// and hidden AVPs, sequence numbers in data messages. Not covered: outgoing
// calls, which are refused with CDN; WEN and SLI, which are taken and not used;
// proxy LCP and authentication, which are not believed.
//
// It is for L2TP inside IPsec alone (RFC 3193). Each message comes from a peer
// that ESP has authenticated, and an Endpoint is everything that one such peer
// has: the caller finds it by the security association, never by addresses or
// tunnel ids, which are the same for all Windows clients behind one NAT. What
// arrives without ESP must never reach this package.
//
// An Endpoint has at most one live tunnel. A client that begins anew takes the
// place of its old self. Tunnels that have ended stay for 31 seconds, to
// acknowledge what is repeated, and answer nothing else.
//
// The machine has no goroutine, clock or socket. The caller hands in messages
// and the time, calls Timeout at Deadline, and after every call sends and reads
// what the Out holds. Data messages may bypass the machine: whoever moves them
// elsewhere says so with Heard, and uses what CallUp told.
//
// Every Connect of a LAC without a tunnel, and every SCCRQ that an LNS answers,
// ends in TunnelUp or Refused. Every TunnelUp is followed by one TunnelDown, and
// every CallUp by one CallDown, before the TunnelDown of its tunnel.
package l2tp
