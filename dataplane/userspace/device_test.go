package userspace

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"sallyport/dataplane"
)

func TestDevicesDoNotKnowEachOther(t *testing.T) {
	o := newOffline(t, "vpn1")
	legacy, _ := pairOf(gcm128, 2, false)
	overL2TP()(&legacy, &dataplane.ChildSA{})
	legacy.Device = "vpn1"
	o.apply(dataplane.Add{SA: legacy})
	o.out(vnetHeader{}, tcpAB4.build())
	o.wantCount("no_route", 1)
	if len(o.wire.datagrams) != 0 {
		t.Fatal("a packet of one device left through a Child SA of another")
	}
	second := newSender(o.Plane, o.lanes[0], o.devices[1], o.others[0])
	second.batch.sinks = o.sender.batch.sinks
	o.sender = second
	o.out(vnetHeader{}, tcpAB4.build())
	if len(o.wire.datagrams) != 1 {
		t.Fatal("a packet of its own device did not leave")
	}
	// With a Child SA of the first device to the same place, each goes its way.
	staff, _ := pairOf(gcm128, 3, false)
	o.apply(dataplane.Add{SA: staff})
	o.wire.datagrams = nil
	o.out(vnetHeader{}, tcpAB4.build())
	if spi := o.wire.packets()[0][:4]; !bytes.Equal(spi, []byte{0, 0, 0x20, 2}) {
		t.Errorf("the second device's packet left with SPI %x", spi)
	}
	legacy.Device = "vpn2"
	legacy.SPIIn = 0x4444
	if err := o.Apply(dataplane.Add{SA: legacy}); err == nil {
		t.Error("a Child SA was put on a device that does not exist")
	}
}

func TestWhatComesInGoesToItsDeviceAlone(t *testing.T) {
	a, b := newOffline(t), newOffline(t, "vpn1")
	staffA, staffB := pairOf(gcm128, 1, false)
	legacyA, legacyB := pairOf(gcm128, 2, false)
	overL2TP()(&legacyA, &legacyB)
	legacyB.Device, staffB.Device = "vpn1", "vpn0"
	a.apply(dataplane.Add{SA: staffA})
	b.apply(dataplane.Add{SA: staffB}, dataplane.Add{SA: legacyB})
	h, pkt, want := superPacket(tcpAB4, 5000, 1000)
	a.out(h, pkt)
	b.inTrains(a.wire.datagrams)
	wantPackets(t, b.singles(), want)
	if n := len(b.others[0].frames); n != 0 {
		t.Errorf("%d frames for the other device", n)
	}
	a.apply(dataplane.Add{SA: legacyA})
	a.wire.datagrams, b.frames.frames = nil, nil
	a.out(h, pkt)
	b.inTrains(a.wire.datagrams)
	if n := len(b.frames.frames); n != 0 {
		t.Errorf("%d frames for the first device", n)
	}
	b.frames = b.others[0]
	wantPackets(t, b.singles(), want)
}

func TestConfigNamesItsDevices(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no name":             {Devices: []Device{{}}},
		"the first one's":     {Name: "vpn0", Devices: []Device{{Name: "vpn0"}}},
		"twice the same":      {Devices: []Device{{Name: "vpn1"}, {Name: "vpn1"}}},
		"an MTU out of range": {Devices: []Device{{Name: "vpn1", MTU: 100}}},
	} {
		if err := cfg.fill(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	cfg := Config{Queues: 2, Devices: []Device{{Name: "a"}, {Name: "b", Queues: 1}, {Name: "c", Queues: 9}}}
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	if want := []Device{{"a", defaultMTU, 2}, {"b", defaultMTU, 1}, {"c", defaultMTU, 2}}; !slices.Equal(cfg.Devices, want) {
		t.Errorf("devices %+v, want %+v", cfg.Devices, want)
	}
}

// TestTwoRealDevicesCarryTraffic has one queue in the second device, and two
// lanes.
func TestTwoRealDevicesCarryTraffic(t *testing.T) {
	l := newLink(t, Config{Devices: []Device{{Name: "vpn1", Queues: 1}}})
	for _, e := range []*end{l.a, l.b} {
		mine, other := "10.11.0.1", "10.12.0.1"
		if e == l.b {
			mine, other = other, mine
		}
		e.ip("link set vpn1 mtu 1400 up")
		e.ip("addr add " + mine + "/32 dev vpn1")
		e.ip("route add " + other + "/32 dev vpn1 src " + mine)
	}
	l.connect(gcm128, false)
	a, b := pairOf(gcm128, 2, false)
	a.TSLocal, a.TSRemote = hosts("10.11.0.1"), hosts("10.12.0.1")
	b.TSLocal, b.TSRemote = a.TSRemote, a.TSLocal
	overL2TP()(&a, &b)
	a.Device, b.Device = "vpn1", "vpn1"
	l.a.apply(dataplane.Add{SA: a})
	l.b.apply(dataplane.Add{SA: b})
	l.wantPing(innerB4)
	l.wantPing("10.12.0.1")
	l.wantTransfer(innerB4, 4<<20)
	l.wantTransfer("10.12.0.1", 4<<20)
	if st, _ := l.b.plane.Stats(0x2002); st.BytesIn < 4<<20 {
		t.Errorf("the call carried %+v", st)
	}
	// What the kernel sends by the wrong device ends there.
	l.a.ip("route replace " + innerB4 + "/32 dev vpn1")
	before := l.a.counter("no_route")
	l.a.exec("ping -c 1 -W 1 " + innerB4)
	if l.a.counter("no_route") == before {
		t.Errorf("a packet of vpn1 for a peer of vpn0 was not dropped\n%s", l.counters())
	}
	start := time.Now()
	if err := l.a.plane.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 500*time.Millisecond {
		t.Errorf("Close took %v", d)
	}
	if out, err := l.a.exec("ip link show vpn1"); err == nil {
		t.Errorf("the device is still there: %s", out)
	}
}
