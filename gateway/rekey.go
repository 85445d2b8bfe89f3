package gateway

import (
	"context"
	"fmt"

	"sallyport/engine"
	"sallyport/protocol/ike"
)

// Rekey names the session whose keys are to be replaced now: those of its
// traffic, or those of its IKE SA.
type Rekey struct {
	Session uint64 `json:"session"`
	IKE     bool   `json:"ike,omitempty"`
}

// Rekeyed tells how many exchanges were started; they end some time later.
type Rekeyed struct {
	Started int `json:"started"`
}

// Rekey implements the control API.
func (g *Gateway) Rekey(ctx context.Context, r Rekey) (Rekeyed, error) {
	var of *engine.Session
	var commands []ike.Command
	err := g.engine.Each(ctx, func(s *engine.Session, m engine.Machine) {
		if l, ok := s.Data.(*live); ok && l.id == r.Session {
			of, commands = s, rekeyCommands(m, r.IKE)
		}
	})
	if err != nil {
		return Rekeyed{}, err
	}
	if of == nil {
		return Rekeyed{}, &NotFoundError{What: "session", Name: fmt.Sprint(r.Session), Hint: "see them with: sallyport sessions list"}
	}
	for _, c := range commands {
		of.Do(c)
	}
	return Rekeyed{Started: len(commands)}, nil
}

func rekeyCommands(m engine.Machine, ikeSA bool) []ike.Command {
	if ikeSA {
		return []ike.Command{ike.RekeyIKE{}}
	}
	var commands []ike.Command
	for _, c := range m.Children(nil) {
		if !c.Replaced {
			commands = append(commands, ike.RekeyChild{SPIIn: c.SPIIn})
		}
	}
	return commands
}
