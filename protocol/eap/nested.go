package eap

import "time"

// nestedServer is an EAP conversation inside a tunnel. It needs no timers: the
// outer conversation has them.
type nestedServer struct {
	*Server
	out     Out
	pending uint64 // the inner job that the outer one stands for
}

// recordOverhead is what TLS and attributes add to an inner packet, with room
// to spare: most inner packets then fit into one outer packet.
const recordOverhead = 100

// newNestedServer makes the server's end for the inner methods that are EAP;
// nil when none is. Inside the tunnel EAP-MSCHAPv2 is not bare.
func newNestedServer(cfg *ServerConfig, inner []Inner) *nestedServer {
	c := &ServerConfig{TLS: cfg.TLS, Name: cfg.Name, BareMSCHAPv2: true, rand: cfg.rand}
	for _, i := range inner {
		if t := i.eapType(); t != 0 {
			c.Offers = append(c.Offers, Offer{Method: t})
		}
	}
	if len(c.Offers) == 0 {
		return nil
	}
	return &nestedServer{Server: &Server{cfg: c, mtu: nestedMTU(cfg.MTU)}}
}

func nestedMTU(outer int) int {
	if outer == 0 {
		outer = DefaultMTU
	}
	return max(outer-recordOverhead, MinMTU)
}

// nestedStep is what an inner conversation wants: a packet to send or a task;
// and what it reports, once. When it is over, the packet is Success or Failure,
// which no tunnel here carries.
type nestedStep struct {
	packet  []byte
	task    Task
	success *Success
	failure *Failure
}

// clearKeys ends the inner method's keys, which never leave the tunnel.
func (s nestedStep) clearKeys() {
	if s.success != nil {
		s.success.MSK.Clear()
		s.success.EMSK.Clear()
	}
}

func (n *nestedServer) begin() nestedStep {
	n.Start(time.Time{}, &n.out)
	return n.collect()
}

// beginWith takes the peer's first packet, an answer to an Identity request
// that was never sent (RFC 5281, Section 11.2.1).
func (n *nestedServer) beginWith(p Packet) nestedStep {
	n.StartWith(time.Time{}, string(p.Data), p.Identifier, &n.out)
	return n.collect()
}

func (n *nestedServer) receive(packet []byte) nestedStep {
	n.Receive(time.Time{}, packet, &n.out)
	return n.collect()
}

func (n *nestedServer) finish(r Result) nestedStep {
	r.ID = n.pending
	n.Done(time.Time{}, r, &n.out)
	return n.collect()
}

func (n *nestedServer) collect() nestedStep {
	s := collect(&n.out, &n.pending)
	if s.success != nil {
		s.success.Inner = innerOf(s.success.Method)
	}
	if s.failure != nil {
		s.failure.Inner = innerOf(s.failure.Method)
	}
	if s.packet == nil && s.task == nil {
		n.Close()
		s.failure = fail(ReasonProtocol, "an inner EAP packet that answers nothing").failure
		s.failure.Inner = innerOf(n.current)
	}
	return s
}

func (n *nestedServer) about() (string, Inner) {
	user := n.claim
	if n.method != nil {
		if name, _ := n.method.about(); name != "" {
			user = name
		}
	}
	return user, innerOf(n.current)
}

func collect(out *Out, pending *uint64) nestedStep {
	var s nestedStep
	for _, e := range out.Events {
		switch e := e.(type) {
		case Success:
			s.success = &e
		case Failure:
			s.failure = &e
		}
	}
	if len(out.Send) > 0 {
		s.packet = out.Send[len(out.Send)-1]
	}
	if len(out.Jobs) > 0 {
		*pending, s.task = out.Jobs[0].ID, out.Jobs[0].Task
	}
	out.Reset()
	return s
}

// nestedPeer is the peer's end of a conversation inside a tunnel. The tunnel
// looks at ready: no EAP-Success needs to come in it.
type nestedPeer struct {
	*Peer
	out     Out
	pending uint64
}

func newNestedPeer(cfg *PeerConfig, inner []Inner) *nestedPeer {
	c := &PeerConfig{Identity: cfg.user(), TLS: cfg.TLS, User: cfg.User, Password: cfg.Password, BareMSCHAPv2: true, rand: cfg.rand}
	for _, i := range inner {
		if t := i.eapType(); t != 0 {
			c.Offers = append(c.Offers, Offer{Method: t})
		}
	}
	n := &nestedPeer{Peer: &Peer{cfg: c, mtu: nestedMTU(cfg.MTU)}}
	n.Start(time.Time{})
	return n
}

func (n *nestedPeer) receive(packet []byte) nestedStep {
	n.Receive(time.Time{}, packet, &n.out)
	return n.collect()
}

func (n *nestedPeer) finish(r Result) nestedStep {
	r.ID = n.pending
	n.Done(time.Time{}, r, &n.out)
	return n.collect()
}

// Close ends the conversation, and with it the inner method's keys.
func (n *nestedPeer) Close() {
	nestedStep{success: n.ready}.clearKeys()
	n.Peer.Close()
}

func (n *nestedPeer) collect() nestedStep {
	s := collect(&n.out, &n.pending)
	if s.packet == nil && s.task == nil && s.failure == nil {
		s.failure = fail(ReasonProtocol, "an inner EAP packet that asks nothing").failure
	}
	return s
}
