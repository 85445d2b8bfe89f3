package people

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestCSV(t *testing.T) {
	got, err := Read("csv", strings.NewReader("\ufeffUser, password,groups,address,zone\nbob,\"a,b\"\"c\",crew night,10.0.0.7 fd00::7,staff\r\neve,secret,,,\n"))
	want := []Entry{
		{Line: 2, Name: "bob", Secret: `a,b"c`, Zone: "staff", Groups: []string{"crew", "night"}, Inner: []netip.Addr{addr("10.0.0.7"), addr("fd00::7")}},
		{Line: 3, Name: "eve", Secret: "secret", Groups: []string{}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	hashed, err := Read("csv", strings.NewReader("user,password_hash\nbob,$argon2id$v=19$m=1\n"))
	if err != nil || hashed[0].Hash != "$argon2id$v=19$m=1" {
		t.Errorf("%+v, %v", hashed, err)
	}
}

func TestChapSecrets(t *testing.T) {
	text := "# Secrets for authentication using CHAP\n# client\tserver\tsecret\tIP addresses\n" +
		"bob * \"pass # word\" *\n\teve\tl2tpd\ts3cr\\\"et\t10.0.0.9\n'with space' * x -\n\n"
	got, err := Read("chap-secrets", strings.NewReader(text))
	want := []Entry{
		{Line: 3, Name: "bob", Secret: "pass # word"},
		{Line: 4, Name: "eve", Secret: `s3cr"et`, Inner: []netip.Addr{addr("10.0.0.9")}},
		{Line: 5, Name: "with space", Secret: "x"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAFaultNamesItsLineAndNoSecret(t *testing.T) {
	for text, line := range map[string]int{
		"csv|":                                                             1,
		"csv|user,hunter2\n":                                               1,
		"csv|password,zone\n":                                              1,
		"csv|user,user\n":                                                  1,
		"csv|user,password\nbob,hunter2,x\n":                               2,
		"csv|user,password\na,b\nbob,\"hunter2\n":                          3,
		"csv|user,password\n,hunter2\n":                                    2,
		"csv|user,password,address\nbob,hunter2,x\n":                       2,
		"csv|user,password,password_hash\nb,hunter2,h":                     2,
		"chap-secrets|bob *\n":                                             1,
		"chap-secrets|\n* * hunter2 *\n":                                   2,
		"chap-secrets|bob * \"hunter2\n":                                   1,
		"chap-secrets|bob * @/etc/hunter2\n":                               1,
		"chap-secrets|bob * hunter2 10.0.0.0/8\n":                          1,
		"chap-secrets|bob * '' *\n":                                        1,
		"chap-secrets|bob * hunter2 *\n" + strings.Repeat("hunter2", 1000): 2,
		"chap-secrets|\n# x\n\n" + strings.Repeat("hunter2", 1000):         4,
		"csv|user,password\nbob,hunter2-m\xfcller\n":                       2,
		"chap-secrets|\n\nbob * hunter2-m\xfcller *\n":                     3,
	} {
		format, file, _ := strings.Cut(text, "|")
		_, err := Read(format, strings.NewReader(file))
		fault, ok := err.(*LineError)
		if !ok || fault.Line != line {
			t.Errorf("%q: %v, want a fault of line %d", file, err, line)
			continue
		}
		if shown := fmt.Sprint(err, fault.Hint); strings.Contains(shown, "hunter2") {
			t.Errorf("%q: the secret is shown: %s", file, shown)
		}
	}
	if _, err := Read("csv", strings.NewReader("user\n"+strings.Repeat("a\n", MaxEntries+1))); err == nil {
		t.Error("more users than are taken")
	}
	if _, err := Read("ldif", strings.NewReader("")); err == nil {
		t.Error("a format that is none")
	}
}

func FuzzRead(f *testing.F) {
	f.Add("csv", "user,password\nbob,x\n")
	f.Add("chap-secrets", "bob * \"x\" 10.0.0.1\n")
	f.Fuzz(func(t *testing.T, format, text string) {
		all, err := Read(format, strings.NewReader(text))
		for _, e := range all {
			if err != nil || e.Name == "" || e.Line < 1 {
				t.Errorf("%+v with %v", e, err)
			}
		}
	})
}
