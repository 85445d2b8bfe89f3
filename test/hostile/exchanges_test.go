package hostile

import (
	"encoding/binary"
	"fmt"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// childRequest is a CREATE_CHILD_SA request that can still be bent.
type childRequest struct {
	sa    *ikemsg.SA
	nonce *ikemsg.Nonce
	ke    *ikemsg.KE
	tsi   *ikemsg.TS
	tsr   *ikemsg.TS
	rekey *ikemsg.Notify // nil: a new Child SA

	own suite.KeyExchange
}

// newChildRequest is an honest one; old is the Child SA to rekey, or nil.
func (p *peer) newChildRequest(old *childSA) *childRequest {
	p.w.Helper()
	offer := proposal(suite.ProtocolESP, espProposal)
	own, err := suite.GenerateKE(offer.Of(suite.KE)[0])
	p.w.must(err)
	c := &childRequest{
		sa: saPayload(offer, p.newChildSPI(), false), nonce: &ikemsg.Nonce{Data: octets(32)},
		ke:  &ikemsg.KE{Group: offer.Of(suite.KE)[0].ID, Data: own.Public()},
		tsi: &ikemsg.TS{Selectors: everywhere}, tsr: &ikemsg.TS{Responder: true, Selectors: everywhere}, own: own,
	}
	if old != nil {
		c.rekey = rekeyNotify(ikemsg.ProtoESP, old.spiIn)
	}
	return c
}

func rekeyNotify(protocol ikemsg.ProtocolID, spi uint32) *ikemsg.Notify {
	return &ikemsg.Notify{Type: ikemsg.NotifyRekeySA, Protocol: protocol, SPI: binary.BigEndian.AppendUint32(nil, spi)}
}

func (c *childRequest) payloads() (ps []ikemsg.Payload) {
	if c.rekey != nil {
		ps = append(ps, c.rekey)
	}
	ps = append(ps, c.sa, c.nonce)
	if c.ke != nil {
		ps = append(ps, c.ke)
	}
	return append(ps, c.tsi, c.tsr)
}

// createChild does the exchange. A refusal is the error refusedWith.
func (p *peer) createChild(c *childRequest) (*childSA, []ikemsg.Payload, error) {
	answer, err := p.request(ikemsg.ExchangeCreateChildSA, c.payloads()...)
	if err != nil {
		return nil, nil, err
	}
	if n := notified(answer); n != 0 {
		return nil, answer, refusedWith(n)
	}
	chosen, okSA := ikemsg.Find[*ikemsg.SA](answer)
	nonce, okNonce := ikemsg.Find[*ikemsg.Nonce](answer)
	if !okSA || !okNonce {
		return nil, answer, fmt.Errorf("hostile: CREATE_CHILD_SA was answered by %d payloads without SA or nonce", len(answer))
	}
	var shared []byte
	if ke, ok := ikemsg.Find[*ikemsg.KE](answer); ok {
		if shared, err = c.own.Shared(ke.Data); err != nil {
			return nil, answer, err
		}
	}
	made, err := p.sa.newChild(espSuite(chosen), shared, c.nonce.Data, nonce.Data,
		binary.BigEndian.Uint32(c.sa.Proposals[0].SPI), binary.BigEndian.Uint32(chosen.Proposals[0].SPI))
	return made, answer, err
}

// rekeyIKE replaces the IKE SA; the old one stays until it is deleted.
func (p *peer) rekeyIKE() error {
	offer := proposal(suite.ProtocolIKE, ikeProposal)
	own, err := suite.GenerateKE(offer.Of(suite.KE)[0])
	p.w.must(err)
	spi, nonce := randomSPI(), octets(32)
	answer, err := p.request(ikemsg.ExchangeCreateChildSA,
		saPayload(offer, binary.BigEndian.AppendUint64(nil, uint64(spi)), false), &ikemsg.Nonce{Data: nonce},
		&ikemsg.KE{Group: offer.Of(suite.KE)[0].ID, Data: own.Public()})
	if err != nil {
		return err
	}
	if n := notified(answer); n != 0 {
		return refusedWith(n)
	}
	chosen, okSA := ikemsg.Find[*ikemsg.SA](answer)
	nonceR, okNonce := ikemsg.Find[*ikemsg.Nonce](answer)
	ke, okKE := ikemsg.Find[*ikemsg.KE](answer)
	if !okSA || !okNonce || !okKE || len(chosen.Proposals[0].SPI) != 8 {
		return fmt.Errorf("hostile: the rekey of the IKE SA was answered by %d payloads", len(answer))
	}
	shared, err := own.Shared(ke.Data)
	if err != nil {
		return err
	}
	next := &association{
		initiator: true, spiI: spi, spiR: ikemsg.SPI(binary.BigEndian.Uint64(chosen.Proposals[0].SPI)), suite: ikeSuite(chosen),
	}
	if err := next.derive(p.sa.rekeySeed(shared, nonce, nonceR.Data), nonce, nonceR.Data); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.older = append(p.older, p.sa)
	p.sa = next
	return nil
}

// deleteOldest deletes the IKE SA that was replaced first.
func (p *peer) deleteOldest() error {
	p.mu.Lock()
	now := p.sa
	p.sa, p.older = p.older[0], p.older[1:]
	p.mu.Unlock()
	_, err := p.request(ikemsg.ExchangeInformational, &ikemsg.Delete{Protocol: ikemsg.ProtoIKE})
	p.mu.Lock()
	p.sa = now
	p.mu.Unlock()
	return err
}
