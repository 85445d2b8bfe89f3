package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxPasswordLine is more than any password that is taken.
const maxPasswordLine = 1024

// readPassword reads one line, and nothing of it reaches an error.
func readPassword(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, maxPasswordLine)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", failure("", "the password cannot be read: %v", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", failure("for example: sallyport user password bob --password-stdin < FILE", "no password was given")
	}
	return line, nil
}

// askPassword asks a person twice, and shows nothing of what is typed.
func askPassword(env *Env, user string) (string, error) {
	tty, ok := env.Stdin.(*os.File)
	if !ok {
		return "", errNoTerminal
	}
	restore, err := silence(tty)
	if err != nil {
		return "", errNoTerminal
	}
	defer restore()
	var typed [2]string
	in := bufio.NewReader(io.LimitReader(tty, 2*maxPasswordLine))
	for i, prompt := range []string{"Password of " + user + ": ", "Once more: "} {
		fmt.Fprint(env.Stderr, prompt)
		line, err := in.ReadString('\n')
		fmt.Fprintln(env.Stderr)
		if err != nil {
			return "", failure("", "the password cannot be read: %v", err)
		}
		typed[i] = strings.TrimRight(line, "\r\n")
	}
	if typed[0] != typed[1] {
		return "", failure("type it again", "the two are not the same; nothing was changed")
	}
	return typed[0], nil
}

var errNoTerminal = failure("use --password-stdin or --generate", "there is no terminal to ask for the password")

// silence stops a terminal from showing what is typed.
func silence(tty *os.File) (restore func(), err error) {
	fd := int(tty.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ECHONL
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return nil, err
	}
	return func() { unix.IoctlSetTermios(fd, unix.TCSETS, old) }, nil
}
