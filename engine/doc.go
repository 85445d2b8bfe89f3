// Package engine drives IKE machines: it is everything between the sockets and
// [ike.Session], for gateways and clients alike.
//
// A few event loops, the shards, each own their sessions and one timer heap.
// The number of its shard is in the low bits of every SPI we choose, so a
// datagram finds its loop without a table, and nothing a shard owns is locked.
// Before the shards stands the front: first requests are judged without memory
// (cookies, versions, half-open limits). What is slow or needs a private key
// leaves a shard as a job for a small pool of workers.
//
// Who may come in, which key signs and which address a peer gets is the
// [Backend]'s to say; where packets go is the data plane's.
//
// A panic in a machine, a job or a hook ends the session that caused it, is
// counted and logged, and touches nothing else.
package engine
