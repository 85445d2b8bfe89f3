package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"unicode/utf8"

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
	return utf8Password(line)
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
	return utf8Password(typed[0])
}

// utf8Password refuses what JSON would quietly change on its way to the gateway.
func utf8Password(p string) (string, error) {
	if !utf8.ValidString(p) {
		return "", failure("convert it, for example: iconv -f latin1 -t utf-8", "the password is not UTF-8")
	}
	return p, nil
}

var errNoTerminal = failure("use --password-stdin or --generate", "there is no terminal to ask for the password")

// silence stops a terminal from showing what is typed, until restore or until a
// signal ends the process.
func silence(tty *os.File) (restore func(), err error) {
	fd := int(tty.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	go func() {
		if s, ok := <-signals; ok {
			unix.IoctlSetTermios(fd, unix.TCSETS, old)
			signal.Reset(s)
			unix.Kill(os.Getpid(), s.(unix.Signal))
		}
	}()
	restore = func() {
		signal.Stop(signals) // after it nothing is sent any more
		close(signals)
		unix.IoctlSetTermios(fd, unix.TCSETS, old)
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ECHONL
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		restore()
		return nil, err
	}
	return restore, nil
}
