package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"sallyport/gateway"
)

// Bounds of a hand-over. It waits for one client, of which anybody may know the
// address and only one the path.
const (
	onceMinutes    = 10               // a person takes a phone out in less
	maxOnceMinutes = 60               // a link that lives longer is found in a mailbox
	onceToken      = 16               // octets of the path: 128 bits are not guessed
	onceWrong      = 20               // wrong paths that end it: a browser asks for its icon, a scanner for more
	onceConns      = 16               // connections at a time
	onceHeaders    = 10 * time.Second // for a request to arrive
	onceSlow       = 30 * time.Second // for a phone to take the file
	onceHeaderSize = 8 << 10
)

// once hands one file to one client over HTTPS, and nothing else to anybody.
type once struct {
	file     gateway.File
	path     string // with the leading slash
	listener net.Listener
	ended    chan error // what ended it; nil: the file was taken
	wrong    atomic.Int32

	handing sync.Mutex // one download at a time
	handed  bool       // under handing
}

// onceOffer is what the person at the phone must know.
type onceOffer struct {
	File        string    `json:"file"`
	URL         string    `json:"url"`
	Until       time.Time `json:"until"`
	Fingerprint string    `json:"fingerprint,omitempty"` // SHA-256 of the certificate that nobody vouches for
}

// openOnce listens at an address and makes the secret path.
func openOnce(address string, cert tls.Certificate, f gateway.File) (*once, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, failure("choose another address and port with --listen", "no place to hand the file over: %v", err)
	}
	var token [onceToken]byte
	rand.Read(token[:])
	return &once{
		file: f, path: "/" + base64.RawURLEncoding.EncodeToString(token[:]), ended: make(chan error, 1),
		listener: tls.NewListener(netutil.LimitListener(l, onceConns), &tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, // Hijack needs it
		}),
	}, nil
}

// url is the link on a host.
func (o *once) url(host string) string {
	_, port, _ := net.SplitHostPort(o.listener.Addr().String())
	return "https://" + net.JoinHostPort(host, port) + o.path
}

// serve waits until the file was taken, the time is over or ctx ends.
func (o *once) serve(ctx context.Context, limit time.Duration) error {
	server := &http.Server{
		Handler: o, ErrorLog: log.New(io.Discard, "", 0), // strangers write what is in it
		ReadHeaderTimeout: onceHeaders, ReadTimeout: onceHeaders, WriteTimeout: onceSlow, MaxHeaderBytes: onceHeaderSize,
	}
	go func() { o.end(server.Serve(o.listener)) }()
	defer server.Close()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-o.ended:
		// The last answer goes out before the server does.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		server.Shutdown(ctx)
		return err
	case <-timer.C:
		return failure("the files are written; run the command again for a new link", "nobody took %s within %v", o.file.Name, limit)
	case <-ctx.Done():
		return failure("the files are written; run the command again for a new link", "interrupted before anybody took %s", o.file.Name)
	}
}

// end says what ended it; the first one counts.
func (o *once) end(err error) {
	select {
	case o.ended <- err:
	default:
	}
}

// ServeHTTP answers the one path. Which part of a wrong one was right, the time
// does not tell.
func (o *once) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.URL.Path), []byte(o.path)) != 1 {
		http.NotFound(w, r)
		if o.wrong.Add(1) == onceWrong {
			o.end(failure("somebody looks for the file: run the command again, with --listen on another address or port", "%d requests for other paths: the hand-over is ended", onceWrong))
		}
		return
	}
	o.headers(w.Header())
	switch r.Method {
	case http.MethodHead:
	case http.MethodGet:
		o.hand(w, r)
	default:
		w.Header().Del("Content-Length")
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// headers let the client open the file with what it is for. Text that a person
// reads is shown, the rest is saved.
func (o *once) headers(h http.Header) {
	how := "attachment"
	if path.Ext(o.file.Name) == ".txt" {
		how = "inline"
	}
	h.Set("Content-Type", o.file.MediaType())
	h.Set("Content-Disposition", mime.FormatMediaType(how, map[string]string{"filename": o.file.Name}))
	h.Set("Content-Length", fmt.Sprint(len(o.file.Bytes())))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Connection", "close")
}

// hand gives the file away. Others wait meanwhile: this one may break off.
func (o *once) hand(w http.ResponseWriter, r *http.Request) {
	o.handing.Lock()
	defer o.handing.Unlock()
	if o.handed {
		clear(w.Header())
		http.NotFound(w, r)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if o.send(conn, w.Header()) == nil {
		o.handed = true
		o.end(nil)
	}
}

// send writes the answer and waits for the client to close: who breaks off in the
// middle has not taken the file, as far as TCP can tell, and resets the connection.
// One who took all octets and stays silent has. Nothing is sent after the last
// octet, the goodbye of TLS neither: to a client that has closed it would look like
// the middle.
func (o *once) send(conn net.Conn, h http.Header) error {
	data := o.file.Bytes()
	conn.SetDeadline(time.Now().Add(onceSlow))
	answer := http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: h, ContentLength: int64(len(data)), Body: io.NopCloser(bytes.NewReader(data)), Close: true}
	if err := answer.Write(conn); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, io.LimitReader(conn, onceHeaderSize))
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) { // closed without a goodbye
		return nil
	}
	return err
}

// write shows the offer, with a QR code where a phone can see one.
func (o onceOffer) write(env *Env, w io.Writer) {
	fmt.Fprintf(w, "\nTo fetch %s, once and until %s:\n\n  %s\n", o.File, o.Until.Local().Format(time.TimeOnly), o.URL)
	if isTerminal(env.Stdout) {
		if code, err := qrCode(o.URL, env.colourful(env.Stdout)); err == nil {
			fmt.Fprintf(w, "\n%s", code)
		}
	}
	if o.Fingerprint != "" {
		fmt.Fprintf(w, `
The browser will warn: nobody vouches for this certificate. Go on only if it shows
this SHA-256 fingerprint; one that shows none (most phones) needs a certificate that
it knows, with --tls-certificate and --tls-key.
  %s
`, o.Fingerprint)
	}
}

// fingerprint is a SHA-256 as browsers show it.
func fingerprint(sum []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}
