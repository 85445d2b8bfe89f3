package userspace

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TUNSETOFFLOAD bits (linux/if_tun.h), which x/sys does not name.
const (
	tunFlagChecksum = 0x01
	tunFlagTSO4     = 0x02
	tunFlagTSO6     = 0x04
	tunFlagUSO4     = 0x20
	tunFlagUSO6     = 0x40
)

// tunQueue is one queue of the TUN device, with a virtio-net header on each
// frame. One goroutine reads it; writes are serialised by the file.
type tunQueue struct {
	file *os.File
	raw  syscall.RawConn

	readBuf []byte
	readN   int
	readErr error
	readF   func(fd uintptr) bool
	pollF   func(fd uintptr) bool
}

// openTUN opens a device with that many queues. uso tells whether the kernel
// segments UDP for us (Linux 6.2 and later).
func openTUN(name string, queues int, offload bool) (opened []*tunQueue, ifName string, uso bool, err error) {
	ifName = name
	for range queues {
		var q *tunQueue
		q, ifName, uso, err = openTUNQueue(ifName, queues > 1, offload)
		if err != nil {
			for _, o := range opened {
				o.file.Close()
			}
			return nil, "", false, err
		}
		opened = append(opened, q)
	}
	return opened, ifName, uso, nil
}

func openTUNQueue(name string, multi, offload bool) (q *tunQueue, ifName string, uso bool, err error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", false, fmt.Errorf("userspace: open /dev/net/tun: %w (is the tun module there, and CAP_NET_ADMIN?)", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		unix.Close(fd)
		return nil, "", false, fmt.Errorf("userspace: TUN name %q: %w", name, err)
	}
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if multi {
		flags |= unix.IFF_MULTI_QUEUE
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		unix.Close(fd)
		return nil, "", false, fmt.Errorf("userspace: create TUN %q: %w", name, err)
	}
	uso, err = setOffload(fd, offload)
	if err != nil {
		unix.Close(fd)
		return nil, "", false, fmt.Errorf("userspace: TUN %q: %w", name, err)
	}
	q, err = newTUNQueue(fd, ifr.Name())
	return q, ifr.Name(), uso, err
}

// setOffload tells the kernel which frames we take whole. Each step back gives
// up one thing that old kernels do not have.
func setOffload(fd int, on bool) (uso bool, err error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetSize); err != nil {
		return false, fmt.Errorf("TUNSETVNETHDRSZ: %w", err)
	}
	tso := tunFlagChecksum | tunFlagTSO4 | tunFlagTSO6
	if on && unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tso|tunFlagUSO4|tunFlagUSO6) == nil {
		return true, nil
	}
	if on && unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tso) == nil {
		return false, nil
	}
	_ = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0)
	return false, nil
}

func newTUNQueue(fd int, name string) (*tunQueue, error) {
	q := &tunQueue{file: os.NewFile(uintptr(fd), "tun "+name)}
	raw, err := q.file.SyscallConn()
	if err != nil {
		q.file.Close()
		return nil, err
	}
	q.raw = raw
	q.readF = q.tryRead
	q.pollF = func(fd uintptr) bool {
		if !q.tryRead(fd) {
			q.readN, q.readErr = 0, unix.EAGAIN
		}
		return true
	}
	return q, nil
}

func (q *tunQueue) tryRead(fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&q.readBuf[0])), uintptr(len(q.readBuf)))
		switch errno {
		case 0:
			q.readN, q.readErr = int(n), nil
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		default:
			q.readN, q.readErr = 0, errno
		}
		return true
	}
}

// read takes the next frame. Without wait it returns EAGAIN when there is none.
func (q *tunQueue) read(b []byte, wait bool) (int, error) {
	q.readBuf = b
	f := q.pollF
	if wait {
		f = q.readF
	}
	if err := q.raw.Read(f); err != nil {
		return 0, err
	}
	return q.readN, q.readErr
}

// frameSink takes frames: vnet header and packet, gathered from iov.
type frameSink interface {
	writeFrame(iov []unix.Iovec) error
}

// frameWriter writes frames to a queue; each goroutine that writes has one.
type frameWriter struct {
	queue *tunQueue
	iov   []unix.Iovec
	err   error
	f     func(fd uintptr) bool
}

func newFrameWriter(q *tunQueue) *frameWriter {
	w := &frameWriter{queue: q}
	w.f = w.try
	return w
}

func (w *frameWriter) try(fd uintptr) bool {
	for {
		_, _, errno := unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.iov[0])), uintptr(len(w.iov)))
		switch errno {
		case 0:
			w.err = nil
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		default:
			w.err = errno
		}
		return true
	}
}

// writeFrame implements frameSink.
func (w *frameWriter) writeFrame(iov []unix.Iovec) error {
	w.iov = iov
	if err := w.queue.raw.Write(w.f); err != nil {
		return err
	}
	return w.err
}
