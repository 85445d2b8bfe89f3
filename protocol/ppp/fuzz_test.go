package ppp

import (
	"encoding/binary"
	"testing"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// stage brings a script into one of the phases in which frames are fed to it.
func stage(t testing.TB, n uint8) *script {
	switch n % 6 {
	case 0:
		return newScript(t)
	case 1:
		s := newScript(t)
		s.openLCP("0506 11223344")
		return s
	case 2:
		s, _ := assigning(t)
		return s
	case 3:
		return ready(t)
	case 4:
		s := ready(t)
		s.openIPCP()
		return s
	default:
		s := ready(t)
		s.openIPCP()
		s.do(Close{Text: "fuzz"})
		return s
	}
}

// FuzzServerFrames feeds frames, each with a length before it, to a server link
// in every phase. "??" as an Identifier, that is 0xee, becomes the one that the
// link waits for. Nothing may panic; the answers stay bounded; a link that is
// not up ends; and nobody is let in by noise.
func FuzzServerFrames(f *testing.F) {
	frames := func(list ...string) []byte {
		var b []byte
		for _, text := range list {
			frame := octets(text)
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(frame))), frame...)
		}
		return b
	}
	for n := range uint8(6) {
		f.Add(n, frames("ff03 c021 01 00 0015 0104 0578 0506 4c5a1e2b 0702 0802 0d03 06", "ff03 c021 01 00 0012 0104 0578 0506 4c5a1e2b 0702 0802"))
		f.Add(n, frames("c021 02 ee 0012 0104 0578 0304 c227 0506 00000000", "c021 03 ee 0009 0305 c22381", "c021 04 ee 0008 0304 c227"))
		f.Add(n, frames("c021 05 01 0004", "c021 06 01 0004", "c021 07 01 0005 09", "c021 08 01 0006 8021", "c021 09 01 0008 00000000", "c021 0c 01 0008 00000000"))
		f.Add(n, frames("c227 02 ee 0006 0d00", "c227 02 ee 0006 0315", "c227 02 ee 0005 01"))
		f.Add(n, frames("8021 01 01 0022 0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000", "8021 02 ee 000a 0306 0a460001"))
		f.Add(n, frames("8057 01 01 000e 010a 0000000000000001", "8057 03 ee 000e 010a 0000000000000002", "80fd 01 01 000a 1206 01000040", "0021 45", "45"))
	}
	f.Fuzz(func(t *testing.T, phase uint8, data []byte) {
		s := stage(t, phase)
		before, logins, count, size := len(s.sent), s.logins, 0, 0
		for len(data) >= 2 && count < 200 {
			n := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
			frame := data[2 : 2+n]
			data = data[2+n:]
			count++
			size += n
			s.receive(s.aim(frame))
			if count%8 == 0 {
				s.wait(time.Second)
			}
		}
		if sent := len(s.sent) - before; sent > 4*count+200 {
			t.Errorf("%d frames answer %d", sent, count)
		}
		if s.logins > logins && phase%6 != 1 && phase%6 != 0 {
			t.Errorf("a login in stage %d", phase%6)
		}
		s.later = nil
		s.wait(30 * time.Minute)
		if s.down == nil {
			t.Errorf("a silent link lives in %v", s.link.phase)
		}
	})
}

// aim gives a frame the Identifier that the link waits for.
func (s *script) aim(frame []byte) []byte {
	f, err := pppmsg.ParseFrame(frame)
	if err != nil || len(f.Data) < 2 || f.Data[1] != 0xee {
		return frame
	}
	switch {
	case f.Protocol == pppmsg.LCP:
		f.Data[1] = s.link.lcp.id
	case f.Protocol == pppmsg.IPCP:
		f.Data[1] = s.link.ipcp.id
	case f.Protocol == pppmsg.IPV6CP:
		f.Data[1] = s.link.ipv6cp.id
	case f.Protocol == pppmsg.EAP && s.link.eap != nil:
		f.Data[1] = s.link.eap.id
	}
	return f.Append(nil)
}

// FuzzClientFrames feeds frames to a client, whose server is not authenticated
// either.
func FuzzClientFrames(f *testing.F) {
	f.Add([]byte("\x00\x0c\xc0\x21\x01\x01\x00\x08\x03\x04\xc2\x27"))
	f.Add([]byte("\x00\x06\xc2\x27\x03\x01\x00\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t, 1)
		w.client.start()
		for count := 0; len(data) >= 2 && count < 200; count++ {
			n := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
			w.client.receive(data[2 : 2+n])
			data = data[2+n:]
		}
		w.run(30 * time.Minute)
		if w.client.down == nil {
			t.Errorf("a client of nobody lives in %v", w.client.link.phase)
		}
	})
}
