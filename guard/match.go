package guard

import (
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// register is the one that every expression here works in.
const register = 1

// match is a condition, or what is done where those before it hold. Each stands
// for the words of nft in its comment.
type match []expr.Any

func meta(key expr.MetaKey, op expr.CmpOp, value []byte) match {
	return match{&expr.Meta{Key: key, Register: register}, &expr.Cmp{Op: op, Register: register, Data: value}}
}

// iifname NAME
func from(device string) match { return meta(expr.MetaKeyIIFNAME, expr.CmpOpEq, ifname(device)) }

// oifname NAME
func to(device string) match { return meta(expr.MetaKeyOIFNAME, expr.CmpOpEq, ifname(device)) }

// ifname is a name as the kernel compares it: with its closing zeros.
func ifname(name string) []byte {
	var b [unix.IFNAMSIZ]byte
	copy(b[:], name)
	return b[:]
}

// oifname @SET
func toOneOf(set string) match {
	return match{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register}, lookup(set, false)}
}

func lookup(set string, invert bool) expr.Any {
	return &expr.Lookup{SourceRegister: register, SetName: set, Invert: invert}
}

// meta nfproto ipv4|ipv6
func family(v6 bool) match {
	if v6 {
		return meta(expr.MetaKeyNFPROTO, expr.CmpOpEq, []byte{unix.NFPROTO_IPV6})
	}
	return meta(expr.MetaKeyNFPROTO, expr.CmpOpEq, []byte{unix.NFPROTO_IPV4})
}

// end is one of the two addresses of a packet.
type end uint8

const (
	source end = iota
	destination
)

// in is "ip saddr @SET" and its like, with the family before it; out is "!=".
func (e end) in(set string, v6 bool) match  { return e.compare(set, v6, false) }
func (e end) out(set string, v6 bool) match { return e.compare(set, v6, true) }

func (e end) compare(set string, v6, invert bool) match {
	load := &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4} // RFC 791, Section 3.1
	if v6 {
		load.Offset, load.Len = 8, 16 // RFC 8200, Section 3
	}
	if e == destination {
		load.Offset += load.Len
	}
	return append(family(v6), load, lookup(set, invert))
}

// meta l4proto NUMBER
func protocol(number byte) match {
	return meta(expr.MetaKeyL4PROTO, expr.CmpOpEq, []byte{number})
}

// th dport PORT
func port(number uint16) match {
	return match{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: binaryutil.BigEndian.PutUint16(number)},
	}
}

// icmp type NUMBER
func icmpType(number byte) match {
	return match{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{number}},
	}
}

// ct state BITS
func state(bits uint32) match {
	return match{
		&expr.Ct{Key: expr.CtKeySTATE, Register: register},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: binaryutil.NativeEndian.PutUint32(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: binaryutil.NativeEndian.PutUint32(0)},
	}
}

// tcp flags syn
func syn() match {
	return append(protocol(unix.IPPROTO_TCP),
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 1, Mask: []byte{0x02}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: []byte{0}})
}

// tcp option maxseg size set OCTETS, which the kernel does only to make it less
func maxSegment(octets uint16) match {
	const maxseg = 2 // RFC 9293, Section 3.2
	return match{
		&expr.Immediate{Register: register, Data: binaryutil.BigEndian.PutUint16(octets)},
		&expr.Exthdr{SourceRegister: register, Type: maxseg, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	}
}

// limit rate 10/minute log prefix TEXT
func logged(prefix string) match {
	return match{
		&expr.Limit{Type: expr.LimitTypePkts, Rate: logsAMinute, Unit: expr.LimitTimeMinute, Burst: logsAMinute},
		&expr.Log{Key: 1 << unix.NFTA_LOG_PREFIX, Data: []byte(prefix)},
	}
}

// logsAMinute keeps a client from filling the host's log.
const logsAMinute = 10

func counted() expr.Any { return &expr.Counter{} }

func verdict(kind expr.VerdictKind) expr.Any { return &expr.Verdict{Kind: kind} }

func jump(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictJump, Chain: chain} }
