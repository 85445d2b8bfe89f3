package radius

import (
	"context"

	"sallyport/protocol/radius"
)

// Login is one EAP conversation that RADIUS servers judge. One packet of the
// peer is with the servers at a time.
type Login struct {
	client *Client
	login  *radius.Login
}

// NewLogin begins a conversation.
func (c *Client) NewLogin(cfg radius.LoginConfig) *Login {
	return &Login{c, radius.NewLogin(cfg)}
}

// User is the EAP identity, as the peer claims it.
func (l *Login) User() string { return l.login.User() }

// Respond passes on what the peer has sent; done is called once, as in Do. Any
// error is the end of the conversation, and no access.
func (l *Login) Respond(packet []byte, done func(radius.Step, error)) {
	r, err := l.login.Request(packet)
	if err != nil {
		done(radius.Step{}, err)
		return
	}
	l.client.Do(r, func(reply radius.Reply, err error) {
		if err != nil {
			done(radius.Step{}, err)
			return
		}
		done(l.login.Reply(reply))
	})
}

// Exchange is Respond that waits.
func (l *Login) Exchange(ctx context.Context, packet []byte) (radius.Step, error) {
	r, err := l.login.Request(packet)
	if err != nil {
		return radius.Step{}, err
	}
	reply, err := l.client.Exchange(ctx, r)
	if err != nil {
		return radius.Step{}, err
	}
	return l.login.Reply(reply)
}
