// Package legacy tries the zone for L2TP/IPsec with a real Linux client, whose
// kernel has IPsec, L2TP and PPP of its own: strongSwan, xl2tpd and pppd in
// user-mode-linux, between network namespaces.
package legacy
