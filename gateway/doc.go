// Package gateway is the server: zones, admission of identities and devices,
// address leases, the session table, the control API, reload and shutdown.
//
// It is the [engine.Backend] of the responder side: the engine drives the IKE
// machines and asks here who may come in, which key signs and which address a
// device gets. What it remembers (users, devices, leases, revocations) is in
// the store; live sessions are in memory only and die with the process.
package gateway
