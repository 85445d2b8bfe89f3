package config

import (
	"testing"
	"time"
)

func TestPlacesAreThoseOfTheFile(t *testing.T) {
	const text = `gateway: {name: vpn.example.org}
zones:
  staff:
    auth: [certificate,
      eap-tls]
    rekey:
      child: 30m
`
	_, places, found := ParseWithPlaces("f", []byte(text), time.Now())
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][2]int{
		"gateway.name": {1, 17}, "zones.staff": {3, 3}, "zones.staff.auth[1]": {5, 7}, "zones.staff.rekey.child": {7, 14},
		"zones.staff.rekey.ike": {7, 7}, "zones.staff.pool.ipv4": {4, 5}, "radius": {1, 1}, "": {0, 0},
	} {
		if line, col := places.At(key); line != want[0] || col != want[1] {
			t.Errorf("%s is at %d:%d, want %v", key, line, col, want)
		}
	}
	if !places.Written("zones.staff.rekey.child") || places.Written("zones.staff.rekey.ike") {
		t.Error("rekey.child is written, and rekey.ike is not")
	}
	if line, _ := (Places{}).At("gateway"); line != 0 {
		t.Error("no places know no line")
	}
}
