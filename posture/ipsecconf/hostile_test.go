package ipsecconf

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/posture/source"
)

func TestHostileFilesEndInNotes(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, strings.ReplaceAll(format, "%d", "%[1]d"), i)
		}
		return b.String()
	}
	chain := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "conn c%d\n auto=add\n also=c%d\n", i, i+1)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		f    files
		note string
	}{
		"many settings": {files{"ipsec.conf": "conn a\n" + strings.Repeat(" also=b\n", mostSettings+1)}, "more than 100000 settings"},
		"many sections": {files{"ipsec.conf": many(mostSections+1, "conn c%d\n")}, "more than 5000 sections"},
		"a long chain":  {files{"ipsec.conf": chain(300)}, "takes more than 32 sections"},
		"a long line":   {files{"ipsec.conf": "conn a\n leftid=" + strings.Repeat("x", source.MostLine+1)}, "the line has"},
		"a long value":  {files{"ipsec.conf": "conn a\n leftid=" + strings.Repeat("x", mostValue+1)}, "more than 8192: left out"},
		"a long list":   {files{"ipsec.conf": "conn a\n rightsubnet=" + strings.Repeat("x,", mostList+1)}, "more than 256 parts"},
		"many words":    {files{"ipsec.conf": "conn a\n ike=" + strings.Repeat("x,", mostAlgs)}, "more than 2048: not read"},
		"one bad line":  {files{"ipsec.conf": "conn %default\n rekey=perhaps\n" + many(500, "conn c%d\n auto=add\n")}, "perhaps"},
		"binary":        {files{"ipsec.conf": "conn a\x00\n"}, "is binary"},
		"many secrets":  {files{"ipsec.secrets": strings.Repeat(": PSK \"x\"\n", mostSecrets+1)}, "more than 50000 secrets"},
		"long entry":    {files{"ipsec.secrets": strings.Repeat("a ", 1000) + "\n" + strings.Repeat(" b\n", 10000)}, "no colon"},
		"an open key":   {files{"ipsec.secrets": ": RSA {\n" + strings.Repeat(" x\n", 1000)}, "cannot be told apart"},
	} {
		h := readAll(t, c.f)
		if name == "one bad line" && len(h.Notes) != 2 {
			t.Errorf("%s: %d notes", name, len(h.Notes))
		}
		if !strings.Contains(noteTexts(h), c.note) {
			t.Errorf("%s: no note %q in\n%.2000s", name, c.note, noteTexts(h))
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(installer["etc/ipsec.conf"], installer["etc/ipsec.secrets"], "Libreswan 4.12")
	f.Add("config setup\n charondebug=\"ike 4\"\nca x\n cacert=y\nconn a\n also=a\n esp=aes256gcm16!\n rightauth2=xauth\n", ": RSA {\n}\n: PSK 0xabc\n", "strongSwan 5.9.8")
	f.Add("include *\ninclude ipsec.secrets\n", "include *.conf\n\"", "")
	f.Fuzz(func(t *testing.T, conf, secrets, product string) {
		var products []string
		if product == "Libreswan 4.12" || product == "strongSwan 5.9.8" {
			products = []string{product}
		}
		h := readAll(t, files{"etc/ipsec.conf": conf, "etc/ipsec.secrets": secrets, "etc/ipsec.d/a.conf": conf, "etc/ipsec.d/passwd": secrets}, products...)
		for _, c := range h.Connections {
			if c.Dialect == "" || c.At.File == "" || len(c.Children) != 1 {
				t.Fatalf("%+v", c)
			}
		}
	})
}
