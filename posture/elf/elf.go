// Package elf reads how the programs of VPN daemons were built: whether an
// attacker who gets hold of a pointer still has to find out where the code is,
// and whether the stack and the table of addresses can be written and run.
package elf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"

	"sallyport/posture"
	"sallyport/posture/source"
)

// programs are looked for where distributions put them.
var programs = []struct{ path, product string }{
	{"usr/lib/ipsec/charon", "strongSwan"},
	{"usr/libexec/strongswan/charon", "strongSwan"},
	{"usr/libexec/ipsec/charon", "strongSwan"},
	{"usr/sbin/charon-systemd", "strongSwan"},
	{"usr/lib/ipsec/pluto", "Libreswan"},
	{"usr/libexec/ipsec/pluto", "Libreswan"},
	{"usr/sbin/pppd", "pppd"},
	{"usr/sbin/xl2tpd", "xl2tpd"},
	{"usr/sbin/freeradius", "FreeRADIUS"},
	{"usr/sbin/radiusd", "FreeRADIUS"},
	{"usr/sbin/accel-pppd", "accel-ppp"},
	{"usr/sbin/pptpd", "pptpd"},
}

// mostDynamic bounds the dynamic section; a real one has some hundred octets.
const mostDynamic = 64 << 10

// Claims takes no file: programs are where Read looks for them.
func Claims(string, func() []byte) bool { return false }

// Read enters the programs that are there.
func Read(in *source.Input) {
	in = in.For(posture.Linux, nil)
	for _, p := range programs {
		if !in.Exists(p.path) {
			continue
		}
		data := in.Raw(p.path, false)
		if data == nil {
			continue
		}
		at := posture.Pos{File: in.Show(p.path)}
		b, err := inspect(data, at)
		if err != nil {
			in.Note(posture.Malformed, at, "is no program in ELF: %v", source.Quote(err.Error()))
			continue
		}
		b.Subject = posture.Subject{Dialect: posture.Linux, Kind: "program", Name: "/" + p.path, At: at}
		b.Product = p.product
		in.Host.Binaries = append(in.Host.Binaries, b)
	}
}

// inspect reads the headers of a program.
func inspect(data []byte, at posture.Pos) (posture.Binary, error) {
	f, err := elf.NewFile(bytes.NewReader(withoutSections(data)))
	if err != nil {
		return posture.Binary{}, err
	}
	dynamic := dynamicOf(f)
	b := posture.Binary{
		PIE: posture.Written(f.Type == elf.ET_DYN, at, f.Type.String()),
		NX:  posture.Written(false, at, "no PT_GNU_STACK"),
	}
	b.RELRO = posture.Written(posture.Never, at, "no PT_GNU_RELRO")
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_GNU_STACK:
			b.NX = posture.Written(p.Flags&elf.PF_X == 0, at, "PT_GNU_STACK "+p.Flags.String())
		case elf.PT_GNU_RELRO:
			b.RELRO = posture.Written(posture.Optional, at, "PT_GNU_RELRO")
			if bindsNow(dynamic) {
				b.RELRO = posture.Written(posture.Always, at, "PT_GNU_RELRO, BIND_NOW")
			}
		}
	}
	return b, nil
}

// withoutSections is the file without its table of sections: nothing here needs
// it, and a section may be compressed to a fraction of what it becomes.
func withoutSections(data []byte) []byte {
	offset, numbers := [2]int{0x20, 0x24}, [2]int{0x30, 0x34} // of 32 bits
	if len(data) > elf.EI_CLASS && elf.Class(data[elf.EI_CLASS]) == elf.ELFCLASS64 {
		offset, numbers = [2]int{0x28, 0x30}, [2]int{0x3C, 0x40}
	}
	if len(data) < numbers[1] {
		return data
	}
	clear(data[offset[0]:offset[1]])
	clear(data[numbers[0]:numbers[1]])
	return data
}

// dynamicOf is the dynamic section by tag, by the program's headers.
func dynamicOf(f *elf.File) map[elf.DynTag]uint64 {
	tags := map[elf.DynTag]uint64{}
	for _, p := range f.Progs {
		if p.Type != elf.PT_DYNAMIC {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(p.Open(), mostDynamic))
		if err != nil {
			return tags
		}
		for tag, value := range pairs(b, f.Class, f.ByteOrder) {
			if tag == elf.DT_NULL {
				return tags
			}
			tags[tag] |= value
		}
		return tags // there is one; a file with thousands is a trap
	}
	return tags
}

func pairs(b []byte, class elf.Class, order binary.ByteOrder) func(func(elf.DynTag, uint64) bool) {
	return func(yield func(elf.DynTag, uint64) bool) {
		size := 8
		if class == elf.ELFCLASS64 {
			size = 16
		}
		for ; len(b) >= size; b = b[size:] {
			var tag, value uint64
			if class == elf.ELFCLASS64 {
				tag, value = order.Uint64(b), order.Uint64(b[8:])
			} else {
				tag, value = uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
			}
			if !yield(elf.DynTag(tag), value) {
				return
			}
		}
	}
}

// bindsNow tells whether all addresses are found at the start, so that the whole
// table can become read-only.
func bindsNow(dynamic map[elf.DynTag]uint64) bool {
	_, alone := dynamic[elf.DT_BIND_NOW]
	return alone || elf.DynFlag(dynamic[elf.DT_FLAGS])&elf.DF_BIND_NOW != 0 || elf.DynFlag1(dynamic[elf.DT_FLAGS_1])&elf.DF_1_NOW != 0
}
