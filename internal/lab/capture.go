package lab

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Capture writes the packets of one interface, of both directions, to a file
// that Wireshark reads.
type Capture struct {
	File string // its path

	socket  *os.File
	out     *os.File
	frames  *bufio.Writer
	stopped sync.WaitGroup
	count   int
	err     error // of the writer
}

// The file format is the classic one, in microseconds:
// https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html
const (
	pcapMagic    = 0xa1b2c3d4
	pcapLength   = 128 << 10 // octets kept of a frame: more than segmentation offload makes
	pcapEthernet = 1
	pcapRaw      = 101 // IP without a link layer: TUN devices

	captureBuffer = 32 << 20 // holds what comes while a busy machine lets the writer wait
)

// Capture records an interface of the host into a new file until Stop. It sees
// frames as the interface does: with offloads, longer than its MTU and without
// transport checksums.
func (h *Host) Capture(iface, file string) (*Capture, error) {
	c := &Capture{File: file}
	var layer uint32
	err := h.onLink(iface, func(link netlink.Link) (err error) {
		layer = pcapEthernet
		if link.Attrs().EncapType == "none" {
			layer = pcapRaw
		}
		c.socket, err = packetSocket(link.Attrs().Index)
		return err
	})
	if err != nil {
		return nil, err
	}
	if c.out, err = os.Create(file); err != nil {
		c.socket.Close()
		return nil, err
	}
	c.frames = bufio.NewWriterSize(c.out, 1<<20)
	head := binary.NativeEndian.AppendUint32(nil, pcapMagic)
	head = binary.NativeEndian.AppendUint16(head, 2)
	head = binary.NativeEndian.AppendUint16(head, 4)
	head = append(head, make([]byte, 8)...)
	head = binary.NativeEndian.AppendUint32(head, pcapLength)
	head = binary.NativeEndian.AppendUint32(head, layer)
	c.frames.Write(head)
	c.stopped.Go(c.read)
	return c, nil
}

// packetSocket hears every frame of an interface.
func packetSocket(index int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everyProtocol, Ifindex: index}))
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	return os.NewFile(uintptr(fd), "packet socket"), nil
}

// everyProtocol is ETH_P_ALL in network byte order.
const everyProtocol = unix.ETH_P_ALL << 8

func (c *Capture) read() {
	frame := make([]byte, pcapLength)
	for {
		n, err := c.socket.Read(frame)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				c.err = err
			}
			return
		}
		now := time.Now()
		head := binary.NativeEndian.AppendUint32(nil, uint32(now.Unix()))
		head = binary.NativeEndian.AppendUint32(head, uint32(now.Nanosecond()/1000))
		head = binary.NativeEndian.AppendUint32(head, uint32(n))
		head = binary.NativeEndian.AppendUint32(head, uint32(n))
		c.frames.Write(head)
		c.frames.Write(frame[:n])
		c.count++
	}
}

// captureLag is how long Stop waits for frames that the writer has not seen.
const captureLag = 50 * time.Millisecond

// Stop ends the recording and returns the number of frames. It fails when any
// could not be kept.
func (c *Capture) Stop() (int, error) {
	time.Sleep(captureLag)
	lost, err := c.lost()
	err = errors.Join(err, c.socket.Close())
	c.stopped.Wait()
	err = errors.Join(err, c.err, c.frames.Flush(), c.out.Close())
	if err == nil && lost > 0 {
		err = fmt.Errorf("lab: capture %s: %d frames came too fast", c.File, lost)
	}
	return c.count, err
}

// lost is how many frames found the socket's buffer full.
func (c *Capture) lost() (n uint32, err error) {
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var stats *unix.TpacketStats
	cause := raw.Control(func(fd uintptr) {
		stats, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err = errors.Join(cause, err); err != nil {
		return 0, err
	}
	return stats.Drops, nil
}
