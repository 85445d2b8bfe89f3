package elf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/source"
)

// program makes an ELF file of 64 bits with the given type, a stack with flags,
// and, if they are wanted, a read-only table and the flag that binds it at once.
func program(typ elf.Type, stack elf.ProgFlag, relro, now bool) []byte {
	var progs []elf.Prog64
	progs = append(progs, elf.Prog64{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(stack)})
	if relro {
		progs = append(progs, elf.Prog64{Type: uint32(elf.PT_GNU_RELRO), Flags: uint32(elf.PF_R)})
	}
	if now {
		progs = append(progs, elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Off: uint64(64 + 56*(len(progs)+1)), Filesz: 32, Memsz: 32})
	}
	h := elf.Header64{Type: uint16(typ), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(len(progs)), Shentsize: 64}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, progs)
	binary.Write(&b, binary.LittleEndian, []uint64{uint64(elf.DT_FLAGS), uint64(elf.DF_BIND_NOW), 0, 0})
	return b.Bytes()
}

func read(path string, data []byte) *posture.Host {
	h := &posture.Host{}
	Read(source.NewInput(source.New("", fstest.MapFS{path: {Data: data}}, true), h))
	return h
}

func TestTheHeadersOfAProgramTellHowItWasBuilt(t *testing.T) {
	for _, c := range []struct {
		why     string
		data    []byte
		pie, nx bool
		relro   posture.Demand
	}{
		{"all of it", program(elf.ET_DYN, elf.PF_R|elf.PF_W, true, true), true, true, posture.Always},
		{"a table that is filled in later", program(elf.ET_DYN, elf.PF_R|elf.PF_W, true, false), true, true, posture.Optional},
		{"none of it", program(elf.ET_EXEC, elf.PF_R|elf.PF_W|elf.PF_X, false, false), false, false, posture.Never},
	} {
		h := read("usr/sbin/pppd", c.data)
		if len(h.Binaries) != 1 {
			t.Errorf("%s: %v", c.why, h.Notes)
			continue
		}
		if b := h.Binaries[0]; b.PIE.V != c.pie || b.NX.V != c.nx || b.RELRO.V != c.relro || b.Product != "pppd" || b.Name != "/usr/sbin/pppd" {
			t.Errorf("%s: %+v", c.why, b)
		}
	}
}

func TestWhatIsNoProgramIsNoted(t *testing.T) {
	for _, text := range []string{"#!/bin/sh\n", "\x7fELF", ""} {
		h := read("usr/lib/ipsec/charon", []byte(text))
		if len(h.Binaries) != 0 || len(h.Notes) != 1 || h.Notes[0].Kind != posture.Malformed {
			t.Errorf("%q: %+v, %v", text, h.Binaries, h.Notes)
		}
	}
}

func TestOtherProgramsAreNotRead(t *testing.T) {
	if h := read("usr/bin/ls", program(elf.ET_DYN, elf.PF_R, true, true)); len(h.Binaries)+len(h.Files)+len(h.Notes) != 0 {
		t.Errorf("%+v", h)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(program(elf.ET_DYN, elf.PF_R|elf.PF_W, true, true))
	f.Add(program(elf.ET_EXEC, elf.PF_X, false, false))
	f.Add([]byte("\x7fELF\x01\x02\x01"))
	f.Fuzz(func(t *testing.T, data []byte) { read("usr/sbin/pppd", bytes.Clone(data)) })
}
