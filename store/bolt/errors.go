package bolt

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// MissingError says that there is no state file.
type MissingError struct{ File string }

// Error names the file.
func (e *MissingError) Error() string { return fmt.Sprintf("store: there is no state file %s", e.File) }

// Hint says how to come to one.
func (e *MissingError) Hint() string {
	return "sallyport init makes one; if the gateway has run before, restore it from a backup"
}

// CorruptError says that a state file is damaged. It has not been changed.
type CorruptError struct{ File, Detail string }

// Error names the file and the first damage found.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("store: state file %s is damaged: %s", e.File, e.Detail)
}

// Hint says what to do; the damaged file is kept.
func (e *CorruptError) Hint() string {
	return fmt.Sprintf("nothing was written to it; keep it (mv %[1]s %[1]s.damaged), check the disk, and restore a backup to %[1]s", e.File)
}

// NewerError says that a later version made the file.
type NewerError struct {
	File   string
	Format uint64
}

// Error names the file and both formats.
func (e *NewerError) Error() string {
	return fmt.Sprintf("store: state file %s has format %d, this sallyport knows format %d", e.File, e.Format, format)
}

// Hint says what to do.
func (e *NewerError) Hint() string { return "run the sallyport that made it, or a later one" }

// InUseError says that another process has the file open.
type InUseError struct {
	File    string
	PID     int    // 0 when it cannot be known
	Command string // its short name
}

// Error names the file and, if it can, the process.
func (e *InUseError) Error() string {
	switch {
	case e.PID == 0:
		return fmt.Sprintf("store: another sallyport is using %s", e.File)
	case e.Command == "sallyport":
		return fmt.Sprintf("store: another sallyport (process %d) is using %s", e.PID, e.File)
	}
	return fmt.Sprintf("store: process %d (%q) is using %s", e.PID, e.Command, e.File)
}

// Hint says what to do.
func (e *InUseError) Hint() string {
	if e.PID == 0 {
		return "stop it, or talk to it through its control socket"
	}
	return fmt.Sprintf("stop process %d, or talk to it through its control socket", e.PID)
}

// inUse looks up who holds the lock. The kernel lists locks by inode; the
// process is believed when the file is among its open ones.
func inUse(path string) error {
	e := &InUseError{File: path}
	mine, err := os.Stat(path)
	if err != nil {
		return e
	}
	for _, pid := range lockHolders(mine) {
		if pid != os.Getpid() && hasOpen(pid, mine) {
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			e.PID, e.Command = pid, strings.TrimSpace(string(comm))
			break
		}
	}
	return e
}

// lockHolders reads lines like
//
//	1: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF
func lockHolders(i fs.FileInfo) (pids []int) {
	st, ok := i.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return nil
	}
	defer f.Close()
	suffix := ":" + strconv.FormatUint(st.Ino, 10)
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		if len(w) < 6 || w[1] != "FLOCK" || !strings.HasSuffix(w[5], suffix) {
			continue
		}
		if pid, err := strconv.Atoi(w[4]); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

func hasOpen(pid int, want fs.FileInfo) bool {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if i, err := os.Stat(fd); err == nil && os.SameFile(i, want) {
			return true
		}
	}
	return false
}
