package cli

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/lab/labtest"
)

// TestAnAbortedPromptLeavesTheTerminalAsItWas: Ctrl-C where a password is asked
// for.
func TestAnAbortedPromptLeavesTheTerminalAsItWas(t *testing.T) {
	dir := vpnState(t)
	screen, tty := terminal(t)
	defer tty.Close()
	echo := func() bool {
		t.Helper()
		state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return state.Lflag&unix.ECHO != 0
	}
	if !echo() {
		t.Fatal("a new terminal shows nothing")
	}
	cmd := exec.CommandContext(t.Context(), "sallyport", "user", "password", "alice", "--config", dir+"/s.yaml")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said labtest.Transcript
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := screen.Read(b)
			if err != nil {
				return
			}
			said.Write(b[:n])
		}
	}()
	for begun := time.Now(); !strings.Contains(said.String(), "Password of alice: "); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("it does not ask: %s", said.String())
		}
	}
	if echo() {
		t.Error("the password is shown while it is typed")
	}
	screen.WriteString("\x03")
	if err := cmd.Wait(); err == nil {
		t.Error("it ends as if nothing had happened")
	}
	if !echo() {
		t.Error("the terminal shows nothing any more")
	}
}
