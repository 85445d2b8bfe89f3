// Package client is the Linux initiator: one tunnel to one gateway, with its
// TUN device, addresses and routes, kept up until it is told to stop.
package client
