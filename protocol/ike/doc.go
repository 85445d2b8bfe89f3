// Package ike is the IKEv2 machine: both roles of RFC 7296, with RFC 7383
// (fragmentation), RFC 4555 (MOBIKE), RFC 4478 (AUTH_LIFETIME), RFC 7427 and
// RFC 8420 (signatures), RFC 5998 (EAP-only) and RFC 8598 (split DNS).
//
// It is sans I/O: no goroutine, lock, clock, socket or logger. A [Session] is
// one peer. The caller hands it datagrams, job results, commands and the time,
// and drains an [Out]: datagrams to send, jobs to run, events to act upon.
// The same inputs give the same outputs.
//
//	s.Receive(now, datagram, &out)   s.Timeout(now, &out)
//	s.Done(now, result, &out)        s.Do(now, command, &out)
//	s.Deadline()                     s.Dead()
//
// Each exchange has its file, and the top function of each lists its steps.
// Of EAP it knows the packets' way and the key at the end; the methods are
// behind [Conversation]. Pre-shared keys it never sees: see
// [Authenticate.VerifySharedKey]. Not here: RFC 9370 multiple key exchanges,
// RFC 5685 redirect, RFC 5723 resumption, transport mode.
package ike
