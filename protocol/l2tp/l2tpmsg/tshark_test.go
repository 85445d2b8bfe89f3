package l2tpmsg

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/lab/labtest"
	"sallyport/protocol/wire"
)

// TestTsharkReadsTheVectors has another reader's opinion of our vectors, which
// is one of what we write too.
func TestTsharkReadsTheVectors(t *testing.T) {
	labtest.Need(t, "tshark")
	var messages [][]byte
	for _, v := range vectors {
		messages = append(messages, fromHex(t, v.hex))
	}
	file := capture(t, messages)
	var fields []string
	column := map[string]int{}
	for _, v := range vectors {
		for _, want := range v.tshark {
			field, _, _ := strings.Cut(want, "=")
			if _, ok := column[field]; !ok {
				column[field] = len(fields)
				fields = append(fields, field)
			}
		}
	}
	malformed := len(fields)
	rows := tshark(t, file, append(fields, "_ws.malformed")...)
	if len(rows) != len(vectors) {
		t.Fatalf("tshark sees %d messages, not %d", len(rows), len(vectors))
	}
	for i, v := range vectors {
		if rows[i][malformed] != "" {
			t.Errorf("%s: tshark says %q", v.name, rows[i][malformed])
		}
		for _, want := range v.tshark {
			field, value, _ := strings.Cut(want, "=")
			if got := rows[i][column[field]]; got != value {
				t.Errorf("%s: tshark reads %s as %q, not %q", v.name, field, got, value)
			}
		}
	}
}

func TestTsharkReadsDataMessages(t *testing.T) {
	labtest.Need(t, "tshark")
	const lcp = "\xff\x03\xc0\x21\x09\x01\x00\x08\x00\x00\x00\x00" // Echo-Request
	var messages [][]byte
	for _, flags := range bitsOfData() {
		messages = append(messages, dataMessage(flags, 4, lcp))
	}
	messages = append(messages, append(DataHeader{Tunnel: 0x1234, Session: 0x0102, Sequenced: true, Ns: 9}.Append(nil), lcp...))
	rows := tshark(t, capture(t, messages), "l2tp.tunnel", "l2tp.session", "l2tp.Ns", "ppp.protocol")
	if len(rows) != len(messages) {
		t.Fatalf("tshark sees %d messages, not %d", len(rows), len(messages))
	}
	for i, m := range messages {
		ns := ""
		switch h, _, _ := ParseData(m); {
		case h.Ns == 9:
			ns = "9"
		case h.Sequenced:
			ns = "65534"
		}
		if got := strings.Join(rows[i], " "); got != "4660 258 "+ns+" 0xc021" {
			t.Errorf("%x: tshark reads %q", m, got)
		}
	}
}

// tshark reads fields of every packet of a file.
func tshark(t *testing.T, file string, fields ...string) (rows [][]string) {
	t.Helper()
	args := []string{"-r", file, "-T", "fields", "-E", "separator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	c := exec.Command("tshark", args...)
	c.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := c.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
	}
	return rows
}

// capture writes a file in the format of tcpdump: a head of 24 octets, and 16
// before each packet. Packets are raw IPv4, between two ports 1701.
func capture(t *testing.T, messages [][]byte) string {
	t.Helper()
	const rawIPv4 = 228
	b := wire.AppendU32(nil, 0xa1b2c3d4)
	b = append(b, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)
	b = wire.AppendU32(b, rawIPv4)
	for _, m := range messages {
		size := 28 + len(m)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
		b = wire.AppendU32(wire.AppendU32(b, uint32(size)), uint32(size))
		ip := []byte{0x45, 0, byte(size >> 8), byte(size), 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
		b = append(b, ip...)
		b = append(b, 1701>>8, 1701&0xff, 1701>>8, 1701&0xff, byte((size-20)>>8), byte(size-20), 0, 0)
		b = append(b, m...)
	}
	file := filepath.Join(t.TempDir(), "l2tp.pcap")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// checksum is RFC 791's.
func checksum(b []byte) uint16 {
	sum := 0
	for i := 0; i < len(b); i += 2 {
		sum += int(b[i])<<8 | int(b[i+1])
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}
