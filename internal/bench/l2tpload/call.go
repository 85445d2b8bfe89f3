package l2tpload

import (
	"crypto/tls"
	"fmt"
	"time"

	"sallyport/protocol/eap"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/ppp"
	"sallyport/protocol/ppp/pppmsg"
)

func (m *member) l2tpConfig() *l2tp.Config {
	return &l2tp.Config{Role: l2tp.LAC, HostName: fmt.Sprintf("pc-%d", m.number), VendorName: "load", Hello: m.crowd.cfg.Hello}
}

// withL2TP calls the endpoint and carries out what it wants.
func (m *member) withL2TP(now time.Time, call func(*l2tp.Out)) {
	var o l2tp.Out
	call(&o)
	for _, ev := range o.Events {
		m.l2tpEvent(now, ev)
	}
	for _, msg := range o.Send {
		m.sendMessage(msg)
	}
}

func (m *member) l2tpEvent(now time.Time, ev l2tp.Event) {
	switch ev := ev.(type) {
	case l2tp.CallUp:
		m.call = ev.Session
		m.withPPP(now, func(o *ppp.Out) { m.link = ppp.New(m.pppConfig(), now, o) })
	case l2tp.Frame:
		if ev.Session == m.call && m.link != nil {
			m.receiveFrame(now, ev.PPP)
		}
	case l2tp.CallDown:
		m.hungUp(now, ev.Reason)
	case l2tp.TunnelDown:
		m.hungUp(now, ev.Reason)
	case l2tp.Refused:
		m.why = ev.Reason
	}
}

func (m *member) pppConfig() *ppp.Config {
	return &ppp.Config{Role: ppp.Client, DNS: true, NoIPv6: true, Echo: m.crowd.cfg.Echo}
}

// receiveFrame takes a PPP frame: IP packets are the client's own.
func (m *member) receiveFrame(now time.Time, frame []byte) {
	if f, err := pppmsg.ParseFrame(frame); err == nil && f.Protocol == pppmsg.IPv4 {
		m.link.Heard(now)
		m.packet(now, f.Data)
		return
	}
	m.withPPP(now, func(o *ppp.Out) { m.link.Receive(now, frame, o) })
}

// sendFrame sends one.
func (m *member) sendFrame(frame []byte) {
	if m.l2tp == nil {
		return
	}
	if msg, ok := m.l2tp.AppendFrame(nil, m.call, frame); ok {
		m.sendMessage(msg)
	}
}

// sendPacket sends an IPv4 packet.
func (m *member) sendPacket(packet []byte) {
	m.sendFrame(pppmsg.Frame{Protocol: pppmsg.IPv4, Data: packet}.Append(nil))
}

// withPPP calls the link and carries out what it wants.
func (m *member) withPPP(now time.Time, call func(*ppp.Out)) {
	var o ppp.Out
	call(&o)
	l := m.link
	for _, frame := range o.Send { // before the events: its last words before its end
		m.sendFrame(frame)
	}
	for _, ev := range o.Events {
		m.pppEvent(now, ev)
	}
	for _, j := range o.Jobs {
		t, ok := j.Task.(ppp.EAP)
		if !ok || m.link != l {
			continue
		}
		step, err := m.step(now, t)
		m.withPPP(now, func(o *ppp.Out) { l.Done(now, ppp.Result{ID: j.ID, Value: step, Err: err}, o) })
	}
}

func (m *member) pppEvent(now time.Time, ev ppp.Event) {
	switch ev := ev.(type) {
	case ppp.Opened:
		m.beginLogin(now)
	case ppp.NetworkUp:
		m.arrived(now, ev)
	case ppp.Refused:
		m.why = ev.Reason
	case ppp.Down:
		m.hungUp(now, ev.Reason)
	}
}

// beginLogin prepares for the requests of EAP.
func (m *member) beginLogin(now time.Time) {
	if m.login != nil {
		m.login.Close()
		m.login = nil
	}
	p, c := m.person, m.crowd
	cfg := &eap.PeerConfig{
		Identity: p.Name,
		Offers:   []eap.Offer{{Method: eap.TypeTLS}},
		TLS: &eap.TLS{
			MaxVersion:   c.cfg.TLS,
			Certificates: []tls.Certificate{{Certificate: p.Chain, PrivateKey: p.Signer}},
			Verify: func(chain [][]byte) (eap.Verified, error) {
				_, err := c.verify(chain)
				return eap.Verified{Identity: "gateway"}, err
			},
		},
	}
	if len(p.Password) > 0 {
		cfg.Identity, cfg.User, cfg.Password = p.User, p.User, p.Password
		cfg.Offers = []eap.Offer{{Method: eap.TypePEAP, Inner: []eap.Inner{eap.InnerEAPMSCHAPv2}}}
	}
	login, err := eap.NewPeer(cfg)
	if err != nil {
		m.why = err.Error()
		return
	}
	m.login = login
	m.login.Start(now)
}

// step takes a packet of EAP.
func (m *member) step(now time.Time, t ppp.EAP) (ppp.EAPStep, error) {
	var s ppp.EAPStep
	if m.login == nil {
		return s, &ppp.Refusal{Reason: "there is no login: " + m.why}
	}
	var o eap.Out
	m.login.Receive(now, t.Packet, &o)
	for len(o.Jobs) > 0 {
		j := o.Jobs[0]
		o.Jobs = o.Jobs[1:]
		r := eap.Result{ID: j.ID, Err: &eap.Refusal{Reason: eap.ReasonBackend, Text: "a client has no such task"}}
		if h, ok := j.Task.(*eap.Handshake); ok {
			r.Value, r.Err = h.Run()
		}
		m.login.Done(now, r, &o)
	}
	if n := len(o.Send); n > 0 {
		s.Packet = o.Send[n-1]
	}
	for _, ev := range o.Events {
		switch ev := ev.(type) {
		case eap.Success:
			ev.MSK.Clear()
			ev.EMSK.Clear()
			s.Success = true
			m.login = nil
		case eap.Failure:
			s.Failure = &ppp.Refusal{Reason: ev.Text}
		}
	}
	return s, nil
}
