// Package ikev1 is the IKEv1 machine for one purpose: a transport-mode ESP SA
// for UDP port 1701, under L2TP (RFC 3193). Main mode, quick mode and
// informational exchanges of RFC 2409 with the IPsec DOI (RFC 2407), NAT
// traversal (RFC 3947 and drafts 02 and 03), dead peer detection (RFC 3706),
// ECP groups (RFC 5903), ECDSA (RFC 4754), AES-GCM in ESP (RFC 4106), extended
// sequence numbers (RFC 4304), and the fragments of Cisco and Microsoft.
//
// Never here: aggressive mode, XAUTH, mode config, AH, IPComp, tunnel mode,
// DES, 3DES, MD5 and the groups under 2048 bits. SHA-1 only where the policy
// names it, which takes a waiver.
//
// It is sans I/O, as package ike is: the caller hands a [Session] datagrams, job
// results, commands and the time, and drains an [Out].
//
//	s.Receive(now, datagram, &out)   s.Timeout(now, &out)
//	s.Done(now, result, &out)        s.Do(now, command, &out)
//	s.Deadline()                     s.Dead()
//
// A client replaces its ISAKMP SA by a whole new main mode, which begins like
// that of a stranger. The caller makes a new Session of it, and when it proved
// the same peer, [Session.Adopt] takes over what the older one had.
//
// As responder it never repeats anything to an address that is not proven: a
// copy goes out only for a copy that came in (CVE-2016-5361).
package ikev1
