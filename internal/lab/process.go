package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a process may take to end after SIGTERM: a daemon
// tells its peers goodbye in that time.
const stopGrace = 3 * time.Second

// Command is a program to run on a host. Program is a path, or a name that is
// looked up as a shell would, but no shell is involved.
type Command struct {
	Program string
	Args    []string
	Dir     string    // working directory; empty: this process's
	Env     []string  // added to this process's environment
	Stdin   io.Reader // nil: empty
	Output  io.Writer // stdout and stderr also go here; nil: nowhere else
	Stdout  io.Writer // stdout alone also goes here; nil: nowhere else

	Files []*os.File // descriptors 3 and up
	Alone bool       // in a process namespace of its own: what it has started ends with it
}

// Process is a running program. Its output is kept (the last outputKept
// octets) and may be read while it runs.
type Process struct {
	Name string

	cmd    *exec.Cmd
	output tail
	done   chan struct{}
	err    error
}

// Start starts a program on the host. It ends when the lab is closed, when
// Stop is called, or when this process dies, however it dies.
func (h *Host) Start(c Command) (*Process, error) {
	path, err := lookPath(c.Program)
	if err != nil {
		return nil, err
	}
	p := &Process{Name: c.Program, done: make(chan struct{})}
	p.cmd = exec.Command(path, c.Args...)
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Dir, p.cmd.Stdin = c.Dir, c.Stdin
	p.cmd.Stderr = io.Writer(&p.output)
	if c.Output != nil {
		p.cmd.Stderr = io.MultiWriter(&p.output, c.Output)
	}
	p.cmd.Stdout = p.cmd.Stderr
	if c.Stdout != nil {
		p.cmd.Stdout = io.MultiWriter(p.cmd.Stderr, c.Stdout)
	}
	p.cmd.ExtraFiles = c.Files
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if c.Alone {
		p.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	p.cmd.WaitDelay = stopGrace

	started := make(chan error, 1)
	go onFreshThread(func() { p.run(h, started) })
	if err := <-started; err != nil {
		return nil, fmt.Errorf("lab: %s: start %s: %w", h.Name, c.Program, err)
	}
	h.lab.mu.Lock()
	h.lab.procs = append(h.lab.procs, p)
	h.lab.mu.Unlock()
	return p, nil
}

// run keeps its thread until the program ends: the parent-death signal is
// bound to the thread that started the program, not to the process.
func (p *Process) run(h *Host, started chan<- error) {
	err := h.enter()
	if err == nil {
		err = p.cmd.Start()
	}
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// PID is the process id as this machine sees it.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Output is what the program wrote so far to stdout and stderr.
func (p *Process) Output() string { return p.output.String() }

// Wait waits for the program's end and returns its error, as [exec.Cmd.Wait].
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Signal sends a signal to the program.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the program to end and kills it when it does not. It returns when
// the program has ended; stopping twice is fine.
func (p *Process) Stop() {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopGrace):
		p.Kill()
	}
}

// Kill ends the program without a goodbye, as a crash or a power cut would.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Run runs a program on the host to its end and returns what it wrote to
// stdout and stderr. A failure's error ends with that text.
func (h *Host) Run(ctx context.Context, program string, args ...string) (string, error) {
	return h.RunCommand(ctx, Command{Program: program, Args: args})
}

// RunCommand is Run with everything a Command can say.
func (h *Host) RunCommand(ctx context.Context, c Command) (string, error) {
	p, err := h.Start(c)
	if err != nil {
		return "", err
	}
	defer h.lab.forget(p)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		return p.Output(), fmt.Errorf("lab: %s: %s %s: %w", h.Name, c.Program, strings.Join(c.Args, " "), ctx.Err())
	}
	if p.err != nil {
		return p.Output(), fmt.Errorf("lab: %s: %s %s: %w\n%s",
			h.Name, c.Program, strings.Join(c.Args, " "), p.err, strings.TrimSpace(p.Output()))
	}
	return p.Output(), nil
}

func (l *Lab) forget(p *Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.procs {
		if q == p {
			l.procs = append(l.procs[:i], l.procs[i+1:]...)
			return
		}
	}
}

// outputKept bounds what is remembered of a chatty program.
const outputKept = 1 << 20

// tail keeps the last outputKept octets written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - outputKept; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
