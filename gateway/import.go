package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
)

// Import asks for many users at once: at most maxImport, each of which is taken
// or refused by itself.
type Import struct {
	Users  []NewUser `json:"users"`
	Update bool      `json:"update,omitempty"`  // set the password of users who exist
	DryRun bool      `json:"dry_run,omitempty"` // judge, and change nothing
}

// Imported tells what became of each user, in the order of the request.
type Imported struct {
	Results []ImportResult `json:"results"`
}

// ImportResult is what became of one user.
type ImportResult struct {
	User    string `json:"user"`
	Outcome string `json:"outcome"` // added, updated, skipped or refused
	Reason  string `json:"reason,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Outcomes of an import.
const (
	ImportAdded   = "added"
	ImportUpdated = "updated"
	ImportSkipped = "skipped"
	ImportRefused = "refused"
)

// maxImport keeps one request within its time: a hash takes 30 ms.
const maxImport = 100

// ImportUsers implements the control API.
func (s *State) ImportUsers(ctx context.Context, in Import) (Imported, error) {
	if len(in.Users) > maxImport {
		return Imported{}, &InvalidError{Reason: fmt.Sprintf("%d users in one request; the limit is %d", len(in.Users), maxImport)}
	}
	out := Imported{Results: make([]ImportResult, len(in.Users))}
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // argon2id, one on each processor
		workers.Go(func() {
			for i := range next {
				out.Results[i] = s.importUser(ctx, in.Users[i], in)
			}
		})
	}
	for i := range in.Users {
		next <- i
	}
	close(next)
	workers.Wait()
	return out, ctx.Err()
}

func (s *State) importUser(ctx context.Context, n NewUser, in Import) ImportResult {
	outcome, err := s.importOne(ctx, n, in)
	if err == nil {
		return ImportResult{User: n.Name, Outcome: outcome}
	}
	r := ImportResult{User: n.Name, Outcome: ImportRefused, Reason: err.Error(), Hint: hintOf(err)}
	if e, ok := errors.AsType[*InvalidError](err); ok {
		r.Hint = e.Hint
	}
	if e, ok := errors.AsType[*NotFoundError](err); ok {
		r.Hint = e.Hint
	}
	return r
}

func (s *State) importOne(ctx context.Context, n NewUser, in Import) (outcome string, err error) {
	_, exists := s.registry.User(n.Name)
	switch {
	case exists && !in.Update:
		return ImportSkipped, nil
	case exists:
		return ImportUpdated, s.updateUser(ctx, n, in.DryRun)
	case in.DryRun:
		return ImportAdded, s.judgeUser(n)
	}
	_, err = s.AddUser(ctx, n)
	return ImportAdded, err
}

// judgeUser is newUser without the work of hashing.
func (s *State) judgeUser(n NewUser) error {
	password := n.Password
	n.Password = ""
	if _, _, err := s.newUser(n); err != nil || password == "" {
		return err
	}
	err := s.judgePassword(n.Name, []byte(password), n.AllowWeak)
	if e, ok := errors.AsType[*InvalidError](err); ok {
		e.Hint = "leave it out of the list, and afterwards let a good one be made: sallyport user password " + n.Name + " --generate"
	}
	return err
}

// updateUser gives a user who exists what an import says, and leaves the rest: a
// list of passwords takes nobody out of a group, whose rules may be stricter
// than the zone's.
func (s *State) updateUser(ctx context.Context, n NewUser, dryRun bool) error {
	u, was, err := s.activeUser(ctx, n.Name)
	if err != nil {
		return err
	}
	n = n.over(u)
	if dryRun {
		return s.judgeUser(n)
	}
	next, ops, err := s.newUser(n)
	if err != nil {
		return err
	}
	next.Created, next.L2TPUntil = u.Created, u.L2TPUntil
	if len(ops) == 0 { // the list says nothing of a password
		next.Password, next.MSCHAPv2 = u.Password, u.MSCHAPv2
	}
	return s.placed(next.User, func() error { return s.rewrite(ctx, next.User, was, ops...) })
}

// over is what a user is to be whom a request changes: what it does not say
// stays.
func (n NewUser) over(u User) NewUser {
	n.Zone = cmp.Or(n.Zone, u.Zone)
	if len(n.Groups) == 0 {
		n.Groups = u.Groups
	}
	if len(n.Inner) == 0 {
		n.Inner = slices.DeleteFunc([]netip.Addr{u.Inner.IPv4, u.Inner.IPv6}, func(a netip.Addr) bool { return !a.IsValid() })
	}
	return n
}
