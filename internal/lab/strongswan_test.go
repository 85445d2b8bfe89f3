package lab_test

import (
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

const swanGateway = `
connections {
	staff {
		version = 2
		local_addrs = %any
		encap = yes
		proposals = aes256gcm16-prfsha384-ecp384
		pools = v4, v6
		local {
			auth = pubkey
			certs = gateway.pem
			id = vpn.example.org
		}
		remote {
			auth = pubkey
		}
		children {
			staff {
				local_ts = 10.9.0.0/24, fd00:9::/64
				esp_proposals = aes256gcm16-ecp384
			}
		}
	}
}
pools {
	v4 {
		addrs = 10.60.0.0/24
	}
	v6 {
		addrs = fd00:60::/112
	}
}
`

const swanClient = `
connections {
	home {
		version = 2
		remote_addrs = 198.51.100.10
		vips = 0.0.0.0, ::
		encap = yes
		proposals = aes256gcm16-prfsha384-ecp384
		local {
			auth = pubkey
			certs = alice.pem
			id = alice@example.org
		}
		remote {
			auth = pubkey
			id = vpn.example.org
		}
		children {
			home {
				remote_ts = 10.9.0.0/24, fd00:9::/64
				esp_proposals = aes256gcm16-ecp384
			}
		}
	}
}
`

func TestStrongSwanToStrongSwanThroughNAT(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior, "nft", "charon-systemd", "swanctl")
	ctx := within(t, 40*time.Second)
	if err := l.At("router").Masquerade(ctx, "gateway"); err != nil {
		t.Fatal(err)
	}
	gateway, err := l.At("gateway").StartStrongSwan(ctx)
	if err != nil {
		t.Fatal(err)
	}
	client, err := l.At("client").StartStrongSwan(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ca := labtest.NewAuthority(t, "Lab CA")
	load := func(s *lab.StrongSwan, conf, name string, leaf labtest.Issued) {
		t.Helper()
		err := s.Load(ctx, lab.SwanFiles{
			Conf:    conf,
			X509CA:  map[string][]byte{"ca.pem": labtest.CertPEM(ca.Cert)},
			X509:    map[string][]byte{name: labtest.CertPEM(leaf.Chain...)},
			Private: map[string][]byte{name: labtest.KeyPEM(leaf.Key)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	load(gateway, swanGateway, "gateway.pem", ca.Issue(t, labtest.Leaf{Name: "gateway", ID: "vpn.example.org", Key: labtest.P256}))
	load(client, swanClient, "alice.pem", ca.Issue(t, labtest.Leaf{Name: "alice", ID: "alice@example.org", Key: labtest.P384}))

	if out, err := client.Initiate(ctx, "home"); err != nil {
		t.Fatalf("%v\n%s\nclient: %s\ngateway: %s", err, out, client.Log(), gateway.Log())
	}
	sas, err := client.SAs(ctx)
	if err != nil || len(sas) != 1 || len(sas[0].Children) != 1 {
		t.Fatalf("want one IKE SA with one child, have %+v, %v", sas, err)
	}
	if got, want := sas[0].Suite(), "AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384"; got != want {
		t.Errorf("negotiated %s, want %s", got, want)
	}
	for _, dst := range []string{"10.9.0.10", "fd00:9::10"} {
		if _, err := l.At("client").AwaitPing(within(t, 5*time.Second), parse(dst)); err != nil {
			t.Errorf("through the tunnel: %v", err)
		}
	}
	if tr, err := l.At("client").SendTCP(ctx, l.At("inside"), parse("10.9.0.10"), 4<<20); err != nil {
		t.Error(err)
	} else {
		t.Logf("%.0f Mbit/s", tr.MbitPerSecond())
	}
}
