package radius

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"sallyport/protocol/radius"
)

// dialTime is how long a connection may take to be made, TLS handshake
// included.
const dialTime = 5 * time.Second

// maxQueued is the number of packets that wait for a connection: a path has 256
// identifiers, so there are no more.
const maxQueued = 256

// link is an open path: a UDP socket or a TLS connection. The socket is
// connected, so the kernel lets only the server's address through.
type link struct {
	path   radius.Path
	queue  chan []byte
	ctx    context.Context
	close  context.CancelFunc
	failed error // why it was of no use; set before it is reported lost
}

// open begins to make a link. Packets may be sent at once; they wait.
func (c *Client) open(p radius.Path) *link {
	l := &link{path: p, queue: make(chan []byte, maxQueued)}
	l.ctx, l.close = context.WithCancel(c.ctx)
	c.readers.Go(func() { c.serve(l) })
	return l
}

// send never blocks. What does not fit is lost, as packets are.
func (l *link) send(b []byte) {
	select {
	case l.queue <- b:
	default:
	}
}

// serve makes a link's connection, moves packets both ways, and reports its
// end.
func (c *Client) serve(l *link) {
	s := c.cfg.Servers[l.path.Server]
	conn, err := dial(l.ctx, s)
	if err == nil {
		// Not by the loop: the end of a TLS connection may take its time.
		context.AfterFunc(l.ctx, func() { conn.Close() })
		c.readers.Go(func() { l.write(conn) })
		err = c.read(l, conn, s.TLS != nil)
	}
	if l.ctx.Err() == nil {
		l.failed = err
	}
	l.close()
	select {
	case c.lost <- l:
	case <-c.ctx.Done():
	}
}

// read is nil when the connection has been of use. In TLS 1.3 a server that
// refuses our certificate says so after the handshake.
func (c *Client) read(l *link, conn net.Conn, stream bool) error {
	if !stream {
		return c.readPackets(l, conn)
	}
	n, err := c.readStream(l, conn)
	if n > 0 {
		return nil
	}
	return fmt.Errorf("radius: the server ended the connection before it answered anything: check that it trusts our certificate and lists us as a client: %w", err)
}

func dial(ctx context.Context, s Server) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if s.TLS != nil {
		return s.TLS.dial(ctx, s.Address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "udp", s.Address)
}

// write takes packets off the queue. A write that hangs is ended by the close
// that follows when the watchdog hears nothing.
func (l *link) write(conn net.Conn) {
	for {
		select {
		case b := <-l.queue:
			if _, err := conn.Write(b); err != nil && !transient(err) {
				l.close()
				return
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// transient errors of a UDP socket tell of packets before: the port is closed,
// the network away. They can be forged and will pass; timers decide.
func transient(err error) bool {
	for _, e := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENOBUFS, syscall.EPERM, syscall.EMSGSIZE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (c *Client) readPackets(l *link, conn net.Conn) error {
	b := make([]byte, radius.MaxPacket+1)
	for {
		n, err := conn.Read(b)
		switch {
		case err == nil:
			c.deliver(l, bytes.Clone(b[:n]))
		case !transient(err):
			return err
		}
	}
}

// readStream takes packets off a connection by their Length field (RFC 6613,
// Section 2.1), and counts them. One whose length cannot be is the end of the
// connection, for the next one cannot be found any more.
func (c *Client) readStream(l *link, conn net.Conn) (n int, err error) {
	for {
		b, err := readPacket(conn)
		if err != nil {
			return n, err
		}
		n++
		if answer := radius.Unsupported(b, radsecSecret); answer != nil {
			l.send(answer)
			continue
		}
		c.deliver(l, b)
	}
}

// readPacket reads one packet from a stream.
func readPacket(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if n < radius.HeaderSize || n > radius.MaxPacket {
		return nil, fmt.Errorf("radius: length %d on a connection is not within %d to %d", n, radius.HeaderSize, radius.MaxPacket)
	}
	b := make([]byte, n)
	copy(b, head[:])
	_, err := io.ReadFull(r, b[len(head):])
	return b, err
}

// deliver hands a packet to the loop, and holds the reader back while it is
// busy.
func (c *Client) deliver(l *link, b []byte) {
	select {
	case c.received <- arrival{l, b}:
	case <-l.ctx.Done():
	}
}
