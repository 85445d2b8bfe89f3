package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/config"
)

// controlServer serves the control API on a Unix socket.
type controlServer struct {
	http *http.Server
	done chan struct{}
}

// serveControl opens the socket: mode 0600, or 0660 for a group.
func serveControl(cfg config.Control, h http.Handler, log *slog.Logger) (*controlServer, error) {
	gid, err := groupID(cfg.Group)
	if err != nil {
		return nil, err
	}
	l, err := listenUnix(cfg.Socket, gid)
	if err != nil {
		return nil, err
	}
	s := &controlServer{done: make(chan struct{}), http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      2 * requestTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(checkedListener{l, gid, log}); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the control socket stopped", "err", err)
		}
	}()
	return s, nil
}

func (s *controlServer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.http.Shutdown(ctx)
	s.http.Close()
	<-s.done
}

// groupID is -1 without a group.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("gateway: gateway.control.group: %w", err)
	}
	return strconv.Atoi(g.Gid)
}

// listenUnix replaces a socket that nobody serves any more.
func listenUnix(path string, gid int) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("gateway: control socket: %w", err)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("gateway: another gateway serves %s already", path)
	} else if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() == os.ModeSocket {
		os.Remove(path)
	}
	old := unix.Umask(0o177) // nobody may connect before the mode is right
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("gateway: control socket: %w", err)
	}
	if gid >= 0 {
		if err := errors.Join(os.Chown(path, -1, gid), os.Chmod(path, 0o660)); err != nil {
			l.Close()
			return nil, fmt.Errorf("gateway: control socket: %w", err)
		}
	}
	return l, nil
}

// checkedListener admits root, our own user and the group, whatever became of
// the socket's mode.
type checkedListener struct {
	net.Listener
	gid int
	log *slog.Logger
}

func (l checkedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		cred, err := peerOf(c)
		if err == nil && l.admits(cred) {
			return c, nil
		}
		l.log.Warn("control connection refused", "credentials", fmt.Sprintf("%+v", cred), "err", err)
		c.Close()
	}
}

func (l checkedListener) admits(cred *unix.Ucred) bool {
	if cred.Uid == 0 || int(cred.Uid) == os.Geteuid() {
		return true
	}
	if l.gid < 0 {
		return false
	}
	if int(cred.Gid) == l.gid {
		return true
	}
	u, err := user.LookupId(strconv.Itoa(int(cred.Uid)))
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.Itoa(l.gid))
}

// peerOf asks the kernel who is at the other end (SO_PEERCRED, unix(7)).
func peerOf(c net.Conn) (cred *unix.Ucred, err error) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return cred, errors.Join(ctlErr, err)
}

// Client calls the control API.
type Client struct {
	http http.Client
	end  func() error
}

// Dial returns a client of the gateway that serves a socket; false when none
// does.
func Dial(socket string) (*Client, bool) {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return nil, false
	}
	c.Close()
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	return &Client{http: http.Client{Transport: t, Timeout: 2 * requestTimeout}, end: func() error { t.CloseIdleConnections(); return nil }}, true
}

// Close ends the client and, for one in process, the state it opened.
func (c *Client) Close() error { return c.end() }

// ProblemError is an answer that is not 2xx.
type ProblemError struct {
	Status int
	Problem
}

func (e *ProblemError) Error() string { return e.Problem.Error }

// Call sends in (nil: no body) and reads the answer into out (nil: not read).
// Path elements and query values must be escaped by [Path] and url.Values.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://sallyport"+path, body)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if res.StatusCode/100 != 2 {
		e := &ProblemError{Status: res.StatusCode}
		if json.Unmarshal(answer, &e.Problem) != nil || e.Problem.Error == "" {
			e.Problem.Error = fmt.Sprintf("control: %s %s: %s", method, path, res.Status)
		}
		return e
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// Path joins a fixed path and one escaped name, such as Path("/v1/devices/", name, "/revoke").
func Path(before, name, after string) string { return before + url.PathEscape(name) + after }

// direct runs requests on a handler in process: the offline CLI and the
// running gateway are the same code.
type direct struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := &memoryResponse{header: make(http.Header), status: http.StatusOK}
	d.handler.ServeHTTP(w, r)
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header,
		Body: io.NopCloser(&w.body), Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

type memoryResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *memoryResponse) Header() http.Header         { return w.header }
func (w *memoryResponse) WriteHeader(status int)      { w.status = status }
func (w *memoryResponse) Write(b []byte) (int, error) { return w.body.Write(b) }
