package ike

import "time"

// Front is the stateless part of a responder: it decides which IKE_SA_INIT
// requests deserve memory. One Front belongs to one goroutine; a peer that
// retries comes from the same address and port, so each reader has its own.
type Front struct{}

// NewFront makes a Front with fresh cookie secrets.
func NewFront(p *Policy) *Front { return &Front{} }

// Load is what the caller knows about half-open exchanges.
type Load struct {
	Cost       int // sum of Verdict.Cost of the half-open exchanges of this gateway
	FromPrefix int // half-open exchanges of the source's /32 or /64
}

// Verdict is what to do with a datagram that belongs to no session.
type Verdict struct {
	Action Action
	Reason DropReason // why, for the counter of that name; zero when accepted
	Reply  []byte     // for Reply: never longer than the request
	Cost   int        // for Accept: what this exchange will cost; 10 is about an ECP-256
}

// Action is one of Drop, Reply, Accept.
type Action uint8

// What to do with a datagram. The caller limits the rate of replies per source.
const (
	Drop Action = iota
	Reply
	Accept // make a session with NewResponder
)

// DropReason names a counter.
type DropReason uint8

// Why a datagram made no session.
const (
	DropMalformed  DropReason = iota + 1
	DropVersion1              // IKEv1 on an IKEv2 listener: no answer, no notify (trap 46)
	DropVersion               // a higher major version: answered INVALID_MAJOR_VERSION
	DropUnknownSPI            // not IKE_SA_INIT and no session: no answer (trap 9)
	DropNotRequest            // an IKE_SA_INIT response, or flags that make no sense
	DropCookie                // no or stale cookie: answered COOKIE
	DropPrefix                // too many half-open exchanges from this prefix
)

// Receive judges one datagram.
func (f *Front) Receive(now time.Time, d Datagram, load Load) Verdict { return Verdict{} }
