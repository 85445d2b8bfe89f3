package demo

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// A host inside that only the inside's own name server knows.
const intranet = "intranet.corp.example."

// serveNames answers for the intranet host on the inside host until the demo
// ends: its socket closes with the namespaces' last user, this process.
func (s *show) serveNames() error {
	conn, err := s.inside.ListenPacket("udp", netip.AddrPortFrom(inside4, 53).String())
	if err != nil {
		return err
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(answer)}
	go server.ActivateAndServe()
	return nil
}

func answer(w dns.ResponseWriter, ask *dns.Msg) {
	reply := new(dns.Msg).SetReply(ask)
	reply.Authoritative = true
	head := dns.RR_Header{Name: intranet, Class: dns.ClassINET, Ttl: 60}
	switch q := ask.Question[0]; {
	case q.Name != intranet:
		reply.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA:
		head.Rrtype = dns.TypeA
		reply.Answer = []dns.RR{&dns.A{Hdr: head, A: inside4.AsSlice()}}
	case q.Qtype == dns.TypeAAAA:
		head.Rrtype = dns.TypeAAAA
		reply.Answer = []dns.RR{&dns.AAAA{Hdr: head, AAAA: inside6.AsSlice()}}
	}
	w.WriteMsg(reply)
}

// lookUp asks the name server inside, from the client.
func (s *show) lookUp(kind uint16) (string, error) {
	conn, err := s.client.Dial(s.ctx, "udp", netip.AddrPortFrom(inside4, 53).String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	c := &dns.Conn{Conn: conn}
	if err := c.WriteMsg(new(dns.Msg).SetQuestion(intranet, kind)); err != nil {
		return "", err
	}
	reply, err := c.ReadMsg()
	if err != nil {
		return "", fmt.Errorf("demo: no answer from the name server inside: %w", err)
	}
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			return rr.A.String(), nil
		case *dns.AAAA:
			return rr.AAAA.String(), nil
		}
	}
	return "", fmt.Errorf("demo: the name server inside does not know %s", intranet)
}
