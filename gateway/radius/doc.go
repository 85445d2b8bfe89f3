// Package radius is the running part of RADIUS in the gateway: sockets and TLS
// connections to servers, fail-over, the queue of accounting records, and the
// listener for Disconnect and CoA requests. What the packets mean is decided in
// package protocol/radius.
package radius
