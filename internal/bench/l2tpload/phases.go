package l2tpload

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/protocol/esp"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/ikev1/isakmp"
)

// A client of a crowd is patient: whoever waits for a second set-up of the same
// client measures its own impatience.
var patience = ikev1.Retransmit{First: time.Second, Max: 4 * time.Second, Tries: 20}

const halfOpen = time.Minute

func (m *member) ikeConfig() *ikev1.Config {
	c := &m.crowd.cfg
	return &ikev1.Config{
		Policy: &ikev1.Policy{
			Phase1: c.Phase1, Phase2: c.Phase2, Retransmit: patience, HalfOpen: halfOpen, DPD: c.DPD,
			Lifetime1: 24 * time.Hour, Lifetime2: 24 * time.Hour, // the gateway's count
		},
		NewCookie: func() uint64 { return random64() | 1 },
		NewSPI:    m.newSPI,
		Heard:     m.heard,
	}
}

func random64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

func (m *member) newSPI() uint32 {
	for {
		spi := uint32(random64())
		if spi >= esp.MinSPI && m.inbound(spi) == nil {
			return spi
		}
	}
}

func (m *member) heard(spi uint32) (at time.Time) {
	if a := m.inbound(spi); a != nil {
		at = a.heard
	}
	return at
}

func (m *member) connect() ikev1.Connect {
	c := &m.crowd.cfg
	return ikev1.Connect{
		Local: netip.AddrPortFrom(c.Private, c.IKE), Remote: netip.AddrPortFrom(c.Gateway, c.IKE),
		NATTLocal: c.NATT, NATTRemote: c.NATT, Port: c.Port, InitialContact: c.Contact,
		Identity: &ikev1.Identity{
			ID:    isakmp.ID{Type: isakmp.IDUserFQDN, Data: []byte(m.person.Name)},
			Chain: m.person.Chain, Public: m.person.Signer.Public(),
		},
	}
}

// receive takes what came to the client's place.
func (m *member) receive(now time.Time, d datagram) {
	b := d.data
	if d.from == m.crowd.cfg.NATT {
		switch {
		case len(b) < esp.HeaderSize: // a keepalive
			return
		case binary.BigEndian.Uint32(b) != esp.NonESPMarker:
			m.receiveESP(now, b)
			return
		}
		b = b[esp.MarkerSize:]
	}
	if m.ike == nil {
		return
	}
	c := &m.crowd.cfg
	m.withIKE(now, func(o *ikev1.Out) {
		m.ike.Receive(now, ikev1.Datagram{Local: netip.AddrPortFrom(c.Private, d.from), Remote: netip.AddrPortFrom(c.Gateway, d.from), Data: b}, o)
	})
	m.settle(now)
}

// withIKE calls the machine of IKEv1 and carries out what it wants.
func (m *member) withIKE(now time.Time, call func(*ikev1.Out)) {
	var o ikev1.Out
	call(&o)
	s := m.ike
	for _, ev := range o.Events {
		m.ikeEvent(ev)
	}
	for _, d := range o.Send {
		m.sendIKE(d)
	}
	for _, j := range o.Jobs {
		v, err := m.ikeJob(j.Task)
		if m.ike == s {
			m.withIKE(now, func(o *ikev1.Out) { s.Done(now, ikev1.Result{ID: j.ID, Value: v, Err: err}, o) })
		}
	}
}

func (m *member) sendIKE(d ikev1.Datagram) {
	c, b := m.crowd, d.Data
	if d.Remote.Port() == c.cfg.NATT && !d.Keepalive {
		c.frame = append(append(c.frame[:0], 0, 0, 0, 0), b...)
		b = c.frame
	}
	m.write(b, d.Remote.Port())
}

func (m *member) ikeEvent(ev ikev1.Event) {
	switch ev := ev.(type) {
	case ikev1.Established:
		m.crowd.report.Suite = ev.Suite.String()
	case ikev1.SAUp:
		m.addSA(ev.SA)
	case ikev1.SAOutbound:
		m.out = m.inbound(ev.SPIIn)
	case ikev1.SADown:
		m.sas = slices.DeleteFunc(m.sas, func(a *sa) bool { return a.spi == ev.SPIIn })
		if m.out != nil && m.out.spi == ev.SPIIn {
			m.out = nil
		}
	case ikev1.Refused:
		m.why = ev.Record.Reason
	case ikev1.Closed:
		if m.why == "" || m.state == up {
			m.why = fmt.Sprintf("IKEv1 is over (%d): %v", ev.Reason, ev.Err)
		}
	}
}

func (m *member) ikeJob(task ikev1.Task) (any, error) {
	switch t := task.(type) {
	case ikev1.GenerateKE:
		return t.Run()
	case ikev1.SharedSecret:
		return t.Run()
	case *ikev1.Sign:
		return t.With(m.person.Signer)
	case *ikev1.Authenticate:
		pub, err := m.crowd.verify(t.Chain)
		if err != nil {
			return nil, err
		}
		return &ikev1.Admission{}, t.Verify(pub)
	}
	return nil, fmt.Errorf("l2tpload: unexpected job %T", task)
}

// verify checks a chain of the gateway, once: a leaf already seen is known. TLS
// calls it from a goroutine of its own, while the loop waits for it.
func (c *Crowd) verify(chain [][]byte) (crypto.PublicKey, error) {
	if len(chain) == 0 {
		return nil, errors.New("l2tpload: the gateway sent no certificate")
	}
	if pub, ok := c.verified[string(chain[0])]; ok {
		return pub, nil
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, err
	}
	between := x509.NewCertPool()
	for _, der := range chain[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: c.cfg.Roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil, err
	}
	c.verified[string(chain[0])] = leaf.PublicKey
	return leaf.PublicKey, nil
}
