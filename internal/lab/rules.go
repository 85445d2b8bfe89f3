package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
)

// The rules below are one nftables table each, so that one can be replaced or
// removed without touching the others.

// beforeDefrag is a hook priority ahead of connection tracking (-400), which
// would put fragments together before any other chain sees them.
const beforeDefrag = -450

// Masquerade hides everything that leaves through iface behind the host's
// address there, IPv4 and IPv6: the host becomes a NAT router.
func (h *Host) Masquerade(ctx context.Context, iface string) error {
	return h.table(ctx, "nat", fmt.Sprintf(
		"chain out { type nat hook postrouting priority srcnat; oifname %q masquerade; }", iface))
}

// Rebind makes the NAT router forget every mapping, as after a restart, and
// choose other ports for UDP from now on.
func (h *Host) Rebind(ctx context.Context, iface string, firstPort, lastPort uint16) error {
	err := h.table(ctx, "nat", fmt.Sprintf(
		"chain out { type nat hook postrouting priority srcnat;\n"+
			"oifname %[1]q meta l4proto udp masquerade to :%[2]d-%[3]d random;\n"+
			"oifname %[1]q masquerade; }", iface, firstPort, lastPort))
	if err != nil {
		return err
	}
	return h.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

// DropFragments drops every IP fragment that arrives, as many home routers and
// mobile networks do.
func (h *Host) DropFragments(ctx context.Context) error {
	return h.table(ctx, "fragments", fmt.Sprintf(
		"chain in { type filter hook prerouting priority %d;\n"+
			"ip frag-off & 0x3fff != 0 counter drop;\n"+
			"exthdr frag exists counter drop; }", beforeDefrag))
}

// Lose drops a share of what arrives, in thousandths, at random.
func (h *Host) Lose(ctx context.Context, perMille int) error {
	return h.table(ctx, "loss", fmt.Sprintf(
		"chain in { type filter hook prerouting priority %d; numgen random mod 1000 < %d drop; }", beforeDefrag, perMille))
}

// LoseOne drops the first packet that an nftables expression describes.
func (h *Host) LoseOne(ctx context.Context, which string) error {
	return h.table(ctx, "one", fmt.Sprintf(
		"chain in { type filter hook prerouting priority %d; %s limit rate 1/day burst 1 packets counter drop; }", beforeDefrag, which))
}

// DropPort drops what arrives for a port, without a word; network is tcp or
// udp.
func (h *Host) DropPort(ctx context.Context, network string, port uint16) error {
	return h.table(ctx, "port", fmt.Sprintf(
		"chain in { type filter hook prerouting priority %d; %s dport %d drop; }", beforeDefrag, network, port))
}

// Cut drops everything that would pass through the host: its neighbours
// vanish for each other without any sign of it.
func (h *Host) Cut(ctx context.Context) error {
	return h.table(ctx, "cut", fmt.Sprintf(
		"chain in { type filter hook prerouting priority %d; drop; }", beforeDefrag))
}

// Heal removes every rule that was set, also NAT.
func (h *Host) Heal(ctx context.Context) error {
	return h.nft(ctx, "flush ruleset\n")
}

// Uncut ends Cut.
func (h *Host) Uncut(ctx context.Context) error { return h.dropTable(ctx, "cut") }

// KeepFragments ends DropFragments.
func (h *Host) KeepFragments(ctx context.Context) error { return h.dropTable(ctx, "fragments") }

// Deliver ends Lose.
func (h *Host) Deliver(ctx context.Context) error { return h.dropTable(ctx, "loss") }

func (h *Host) table(ctx context.Context, name, chains string) error {
	return h.nft(ctx, fmt.Sprintf("add table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {\n%[2]s\n}\n", name, chains))
}

func (h *Host) dropTable(ctx context.Context, name string) error {
	return h.nft(ctx, fmt.Sprintf("add table inet %[1]s\ndelete table inet %[1]s\n", name))
}

func (h *Host) nft(ctx context.Context, rules string) error {
	if err := Missing("nft"); err != nil {
		return err
	}
	_, err := h.RunCommand(ctx, Command{Program: "nft", Args: []string{"-f", "-"}, Stdin: strings.NewReader(rules)})
	return err
}
