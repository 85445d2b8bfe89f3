package config

import (
	"fmt"
	"testing"
	"time"
)

var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestTry(t *testing.T) {
	for _, text := range []string{"gateway: {name: vpn.example.org}", example, "gateway:\n  nmae: x\n  name: 12\n  names: foo\n  listen: [a/b]\nzones:\n  a:\n    policy: strnog\n    dpd: 30\n    psk: hunter2\n    fragment: 12\n    mobike: maybe\n    pool: {ipv4: 10.60.1.0/16}\n    routes: [10.0.0.0]\n    rekey: {child: 1y, bytes: 4GB}\n    dpd: 3s\n    waivers: [{rule: CRY-5, until: 2026-01-01, owner: al, reason: x}]\n  b:\n  c: {auth: [eap-tls, psk, certifcate]}\n"} {
		c, ds := Parse("test.yaml", []byte(text), today)
		for _, d := range ds {
			fmt.Println(d, "=>", d.Hint)
		}
		if c != nil {
			fmt.Println(string(c.Effective()))
		}
	}
}
