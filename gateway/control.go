package gateway

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Bounds of the control API: its users are local and trusted, but a stuck
// script must not take the gateway with it.
const (
	maxBody        = 64 << 10
	requestTimeout = 30 * time.Second
)

// openAPI describes the control API; a test holds it against the routes.
//
//go:embed openapi.json
var openAPI []byte

// controller is what the control API acts on: the running gateway, or the
// state on disk when none runs.
type controller interface {
	Status(context.Context) (Status, error)
	Users(context.Context) ([]User, error)
	AddUser(context.Context, NewUser) (UserAdded, error)
	ImportUsers(context.Context, Import) (Imported, error)
	SetUser(ctx context.Context, name string, n SetUser) (User, error)
	SetPassword(ctx context.Context, name string, n SetPassword) (UserAdded, error)
	RevokeUser(ctx context.Context, name string, r Revocation) (Revoked, error)
	Devices(context.Context) ([]Device, error)
	AddDevice(context.Context, NewDevice) (Enrolled, error)
	RevokeDevice(ctx context.Context, name string, r Revocation) (Revoked, error)
	Profile(ctx context.Context, device string, r ProfileRequest) (Profile, error)
	UserProfile(ctx context.Context, user string, r ProfileRequest) (Profile, error)
	Sessions(context.Context) ([]SessionInfo, error)
	Kick(context.Context, Kick) (Kicked, error)
	Rekey(context.Context, Rekey) (Rekeyed, error)
	Reload(context.Context) (Reloaded, error)
	Refusals(context.Context) ([]Refusal, error)
	MigrationPlan(context.Context) (MigrationPlan, error)
}

// route is one row of the API. In and out are values of the types of its
// bodies, for the description; nil means none.
type route struct {
	method, path, summary string
	in, out               any
	serve                 func(controller, *http.Request) (any, error)
}

// routes are the whole API.
var routes = []route{
	{"GET", "/v1/status", "The gateway at one look", nil, Status{},
		func(c controller, r *http.Request) (any, error) { return c.Status(r.Context()) }},
	{"GET", "/v1/users", "All users", nil, []User{},
		func(c controller, r *http.Request) (any, error) { return c.Users(r.Context()) }},
	{"POST", "/v1/users", "Add a user; the answer holds a password that was made, this once", NewUser{}, UserAdded{},
		func(c controller, r *http.Request) (any, error) { return withBody(r, c.AddUser) }},
	{"POST", "/v1/users/import", "Add many users; each is taken or refused by itself", Import{}, Imported{},
		func(c controller, r *http.Request) (any, error) { return withBody(r, c.ImportUsers) }},
	{"PATCH", "/v1/users/{name}", "Change a user's zone, groups, inner addresses or end of L2TP; live sessions end", SetUser{}, User{},
		func(c controller, r *http.Request) (any, error) {
			return withBody(r, func(ctx context.Context, v SetUser) (User, error) { return c.SetUser(ctx, r.PathValue("name"), v) })
		}},
	{"POST", "/v1/users/{name}/password", "Set, make or remove a user's password", SetPassword{}, UserAdded{},
		func(c controller, r *http.Request) (any, error) {
			return withBody(r, func(ctx context.Context, v SetPassword) (UserAdded, error) {
				return c.SetPassword(ctx, r.PathValue("name"), v)
			})
		}},
	{"POST", "/v1/users/{name}/revoke", "Revoke a user and all devices, and cut their sessions", Revocation{}, Revoked{},
		func(c controller, r *http.Request) (any, error) {
			return withBody(r, func(ctx context.Context, v Revocation) (Revoked, error) {
				return c.RevokeUser(ctx, r.PathValue("name"), v)
			})
		}},
	{"POST", "/v1/users/{name}/profile", "A client's profile for a user who logs in by password", ProfileRequest{}, Profile{},
		func(c controller, r *http.Request) (any, error) {
			return withBody(r, func(ctx context.Context, v ProfileRequest) (Profile, error) {
				return c.UserProfile(ctx, r.PathValue("name"), v)
			})
		}},
	{"GET", "/v1/devices", "All devices", nil, []Device{},
		func(c controller, r *http.Request) (any, error) { return c.Devices(r.Context()) }},
	{"POST", "/v1/devices", "Enrol a device; the answer holds its key, this once", NewDevice{}, Enrolled{},
		func(c controller, r *http.Request) (any, error) { return withBody(r, c.AddDevice) }},
	{"POST", "/v1/devices/{name}/revoke", "Revoke a device and cut its sessions", Revocation{}, Revoked{},
		func(c controller, r *http.Request) (any, error) {
			return withBody(r, func(ctx context.Context, v Revocation) (Revoked, error) {
				return c.RevokeDevice(ctx, r.PathValue("name"), v)
			})
		}},
	{"GET", "/v1/devices/{name}/profile", "A client's profile; query: for, address, dir", nil, Profile{},
		func(c controller, r *http.Request) (any, error) {
			q := r.URL.Query()
			return c.Profile(r.Context(), r.PathValue("name"), ProfileRequest{For: q.Get("for"), Address: q.Get("address"), Dir: q.Get("dir")})
		}},
	{"POST", "/v1/devices/{name}/profile", "A client's profile, with options, or with the device's key inside", ProfileRequest{}, Profile{},
		func(c controller, r *http.Request) (any, error) {
			return withBody(r, func(ctx context.Context, v ProfileRequest) (Profile, error) {
				return c.Profile(ctx, r.PathValue("name"), v)
			})
		}},
	{"GET", "/v1/sessions", "Live sessions", nil, []SessionInfo{},
		func(c controller, r *http.Request) (any, error) { return c.Sessions(r.Context()) }},
	{"POST", "/v1/sessions/kick", "Disconnect a session, a device's or a user's", Kick{}, Kicked{},
		func(c controller, r *http.Request) (any, error) { return withBody(r, c.Kick) }},
	{"POST", "/v1/sessions/rekey", "Replace the keys of a session now", Rekey{}, Rekeyed{},
		func(c controller, r *http.Request) (any, error) { return withBody(r, c.Rekey) }},
	{"POST", "/v1/reload", "Read the configuration again and swap it whole", nil, Reloaded{},
		func(c controller, r *http.Request) (any, error) { return c.Reload(r.Context()) }},
	{"GET", "/v1/refusals", "The last refused exchanges and why", nil, []Refusal{},
		func(c controller, r *http.Request) (any, error) { return c.Refusals(r.Context()) }},
	{"GET", "/v1/migration", "Who still needs L2TP, and what to do about it", nil, MigrationPlan{},
		func(c controller, r *http.Request) (any, error) { return c.MigrationPlan(r.Context()) }},
	{"POST", "/v1/memory", "Collect garbage and tell what memory is in use", struct{}{}, Memory{},
		func(_ controller, r *http.Request) (any, error) {
			return withBody(r, func(context.Context, struct{}) (Memory, error) { return measureMemory(), nil })
		}},
	{"GET", "/v1/openapi.json", "This description", nil, map[string]any{},
		func(controller, *http.Request) (any, error) { return json.RawMessage(openAPI), nil }},
}

// handler serves the API on c.
func handler(c controller) http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes {
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
			defer cancel()
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			answer, err := rt.serve(c, r.WithContext(ctx))
			if err != nil {
				writeProblem(w, err)
				return
			}
			writeJSON(w, http.StatusOK, answer)
		})
	}
	return mux
}

// withBody reads a request strictly: one JSON object, no unknown field.
func withBody[In, Out any](r *http.Request, act func(context.Context, In) (Out, error)) (any, error) {
	var in In
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, &InvalidError{Reason: "the request is not what this call takes: " + strings.TrimPrefix(err.Error(), "json: ")}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &InvalidError{Reason: "the request has something after its JSON object"}
	}
	return act(r.Context(), in)
}

// NotRunningError is the answer to what needs live sessions, from the state
// alone.
type NotRunningError struct{}

func (NotRunningError) Error() string { return "the gateway is not running" }

// ConfigError is a configuration that cannot be used.
type ConfigError struct{ Reloaded }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("the configuration has errors, the one in force stays:\n%v", e.Diagnostics.Err())
}

func writeProblem(w http.ResponseWriter, err error) {
	p, status := Problem{Error: err.Error()}, http.StatusInternalServerError
	if e, ok := errors.AsType[*NotFoundError](err); ok {
		status, p.Hint = http.StatusNotFound, e.Hint
	} else if _, ok := errors.AsType[*ExistsError](err); ok {
		status = http.StatusConflict
	} else if e, ok := errors.AsType[*InvalidError](err); ok {
		status, p.Hint = http.StatusBadRequest, e.Hint
	} else if e, ok := errors.AsType[*ConfigError](err); ok {
		status, p.Diagnostics = http.StatusUnprocessableEntity, e.Diagnostics
		p.Hint = "see them with: sallyport config check; and with: sallyport audit FILE"
	} else if _, ok := errors.AsType[NotRunningError](err); ok {
		status, p.Hint = http.StatusConflict, "start it with: sallyport serve"
	}
	if p.Hint == "" {
		p.Hint = hintOf(err)
	}
	writeJSON(w, status, p)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v)
}
