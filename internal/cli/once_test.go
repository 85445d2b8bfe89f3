package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/gateway"
	"sallyport/internal/lab/labtest"
)

// handing is a hand-over in progress with a client that trusts its certificate.
type handing struct {
	url    string
	client *http.Client
	tls    *tls.Config
	print  string // fingerprint
	result chan error
}

// startOnce hands over a file on the loopback.
func startOnce(t *testing.T, f gateway.File, limit time.Duration) handing {
	t.Helper()
	cert, print, err := onceCertificate("", "", "127.0.0.1", time.Now().Add(limit))
	if err != nil {
		t.Fatal(err)
	}
	o, err := openOnce("127.0.0.1:0", cert, f)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	h := handing{url: o.url("127.0.0.1"), print: print, tls: &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}, result: make(chan error, 1)}
	h.client = &http.Client{Transport: &http.Transport{TLSClientConfig: h.tls}, Timeout: 10 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() { h.result <- o.serve(ctx, limit) }()
	return h
}

func (h handing) ask(t *testing.T, method, link string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

// stillOpen fails when the hand-over has ended.
func (h handing) stillOpen(t *testing.T, after string) {
	t.Helper()
	select {
	case err := <-h.result:
		t.Fatalf("%s: the hand-over has ended: %v", after, err)
	case <-time.After(50 * time.Millisecond):
	}
}

func (h handing) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-h.result:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the hand-over does not end")
		return nil
	}
}

func TestAFileIsHandedOverOnce(t *testing.T) {
	h := startOnce(t, gateway.File{Name: "sallyport-phone.mobileconfig", Content: "<plist/>\n"}, time.Minute)
	if path := strings.SplitN(h.url, "/", 4)[3]; len(path) != 22 {
		t.Errorf("the path %q is not 128 bits", path)
	}
	if res, body := h.ask(t, "HEAD", h.url); res.StatusCode != 200 || len(body) != 0 || res.ContentLength != 9 {
		t.Errorf("HEAD: %s, %d octets announced", res.Status, res.ContentLength)
	}
	if res, _ := h.ask(t, "POST", h.url); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", res.Status)
	}
	h.stillOpen(t, "HEAD and POST")
	res, body := h.ask(t, "GET", h.url)
	if res.StatusCode != 200 || string(body) != "<plist/>\n" {
		t.Errorf("%s: %q", res.Status, body)
	}
	for name, want := range map[string]string{
		"Content-Type":           "application/x-apple-aspen-config",
		"Content-Disposition":    "attachment; filename=sallyport-phone.mobileconfig",
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if err := h.wait(t); err != nil {
		t.Errorf("after the download: %v", err)
	}
	if _, err := h.client.Get(h.url); err == nil {
		t.Error("the link works twice")
	}
}

// TestOfTwoWhoComeTogetherOneGetsTheFile: a link that was seen by another must
// not serve both.
func TestOfTwoWhoComeTogetherOneGetsTheFile(t *testing.T) {
	h := startOnce(t, gateway.File{Name: "a.sswan", Content: "{}"}, time.Minute)
	got := make(chan int, 8)
	for range cap(got) {
		go func() {
			res, err := h.client.Get(h.url)
			if err != nil {
				got <- 0
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			got <- res.StatusCode
		}()
	}
	taken := 0
	for range cap(got) {
		if code := <-got; code == http.StatusOK {
			taken++
		}
	}
	if err := h.wait(t); taken != 1 || err != nil {
		t.Errorf("%d got the file: %v", taken, err)
	}
}

// dial asks for the file on a connection of its own, and reads nothing yet.
func (h handing) dial(t *testing.T) *tls.Conn {
	t.Helper()
	link, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", link.Host, h.tls)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", link.Path, link.Host)
	return conn
}

// TestAPreviewThatBreaksOffLeavesTheLink: chat programs fetch the head of what a
// link leads to.
func TestAPreviewThatBreaksOffLeavesTheLink(t *testing.T) {
	big := gateway.File{Name: "big.mobileconfig", Content: strings.Repeat("0123456789abcdef", 512<<10)}
	h := startOnce(t, big, time.Minute)
	conn := h.dial(t)
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q: %v", line, err)
	}
	conn.NetConn().Close()
	h.stillOpen(t, "a preview")
	if _, body := h.ask(t, "GET", h.url); string(body) != big.Content {
		t.Errorf("%d octets of %d arrived", len(body), len(big.Content))
	}
	if err := h.wait(t); err != nil {
		t.Error(err)
	}
}

// TestWhoHangsUpAtTheLastOctetHasTakenTheFile: an answer that goes on after it, if
// only with the goodbye of TLS, would be answered by a reset, as if the client had
// broken off.
func TestWhoHangsUpAtTheLastOctetHasTakenTheFile(t *testing.T) {
	for _, polite := range []bool{true, false} {
		for range 100 {
			h := startOnce(t, gateway.File{Name: "a.conf", Content: "0123456789abcdef"}, 5*time.Second)
			conn := h.dial(t)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != "0123456789abcdef" {
				t.Fatalf("%q: %v", body, err)
			}
			if polite {
				conn.Close()
			} else {
				conn.NetConn().Close()
			}
			if err := h.wait(t); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhoGuessesThePathEndsTheHandOver(t *testing.T) {
	h := startOnce(t, gateway.File{Name: "a.conf", Content: "x"}, time.Minute)
	base := strings.TrimSuffix(h.url, h.url[strings.LastIndex(h.url, "/"):])
	for i, path := range []string{"/", "/favicon.ico", "/" + strings.Repeat("A", 22), h.url[len(base):] + "x", h.url[len(base) : len(h.url)-1]} {
		if res, body := h.ask(t, "GET", base+path); res.StatusCode != http.StatusNotFound || strings.Contains(string(body), "x") {
			t.Errorf("%d: %s: %s %q", i, path, res.Status, body)
		}
	}
	h.stillOpen(t, "5 wrong paths")
	for i := 5; i < onceWrong; i++ {
		h.ask(t, "GET", base+"/guess")
	}
	if err := h.wait(t); err == nil || !strings.Contains(err.Error(), "20 requests for other paths") {
		t.Errorf("after %d wrong paths: %v", onceWrong, err)
	}
}

func TestALinkThatNobodyTakesEnds(t *testing.T) {
	h := startOnce(t, gateway.File{Name: "a.conf"}, 100*time.Millisecond)
	if err := h.wait(t); err == nil || !strings.Contains(err.Error(), "nobody took a.conf within 100ms") {
		t.Errorf("got %v", err)
	}
	if _, err := h.client.Get(h.url); err == nil {
		t.Error("the link works after its time")
	}
}

func TestCurlTakesTheFile(t *testing.T) {
	labtest.Need(t, "curl")
	h := startOnce(t, gateway.File{Name: "sallyport-pc.sswan", Content: `{"type": "ikev2-cert"}`}, time.Minute)
	out := filepath.Join(t.TempDir(), "got")
	if text, err := exec.CommandContext(t.Context(), "curl", "-sS", "--insecure", "--fail", "-o", out, "-w", "%{content_type}", h.url).CombinedOutput(); err != nil || string(text) != "application/vnd.strongswan.profile" {
		t.Errorf("%v: %s", err, text)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != `{"type": "ikev2-cert"}` {
		t.Errorf("%q: %v", got, err)
	}
	if err := h.wait(t); err != nil {
		t.Error(err)
	}
}

func TestEachFormatHasItsMediaType(t *testing.T) {
	for name, want := range map[string]string{
		"a.mobileconfig": "application/x-apple-aspen-config", "a.sswan": "application/vnd.strongswan.profile", "a-android.p12": "application/x-pkcs12",
		"a.xml": "application/xml", "a.yaml": "application/yaml", "a.txt": "text/plain; charset=utf-8", "a.ps1": "text/plain; charset=utf-8",
	} {
		if got := (gateway.File{Name: name}).MediaType(); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// scan reads a QR code of half blocks as a phone would: it paints the characters
// and asks zbar.
func scan(t *testing.T, text string) string {
	t.Helper()
	labtest.Need(t, "zbarimg")
	const scale = 6
	rows := strings.Split(strings.Trim(text, "\n"), "\n")
	img := image.NewGray(image.Rect(0, 0, scale*len([]rune(rows[0])), 2*scale*len(rows)))
	for row, line := range rows {
		for column, r := range []rune(line) {
			for i, light := range []bool{r == '█' || r == '▀', r == '█' || r == '▄'} {
				for y := range scale {
					for x := range scale {
						c := color.Gray{}
						if light {
							c = color.Gray{Y: 255}
						}
						img.SetGray(column*scale+x, (2*row+i)*scale+y, c)
					}
				}
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "qr.png")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "zbarimg", "--quiet", "--raw", path).Output()
	if err != nil {
		t.Fatalf("zbarimg sees no code: %v in\n%s", err, text)
	}
	return strings.TrimSuffix(string(out), "\n")
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestAScannerReadsTheCodeOnTheTerminal(t *testing.T) {
	for _, text := range []string{"https://192.0.2.1:8443/AAAAAAAAAAAAAAAAAAAAAA", "https://" + strings.Repeat("a-long-label.", 18) + "example:65535/abcdefghijklmnopqrstuv"} {
		for _, colours := range []bool{true, false} {
			code, err := qrCode(text, colours)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(code, "\x1b") != colours {
				t.Errorf("colours %v", colours)
			}
			if got := scan(t, sgr.ReplaceAllString(code, "")); got != text {
				t.Errorf("%q came back as %q", text, got)
			}
		}
	}
}

// terminal is a pseudo-terminal: what a person sees comes out of screen.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return screen, tty
}

// vpnState is a gateway's state with a laptop of alice's, and its directory.
func vpnState(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	conf := fmt.Sprintf("gateway:\n  name: vpn.example.org\n  state: %s/state\n  control: {socket: %[1]s/control.sock}\n", dir)
	if err := os.WriteFile(dir+"/s.yaml", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"init", "user add alice", "device add laptop --user alice --out " + dir} {
		if out, code := runVerb(t, nil, append(strings.Fields(args), "--config", dir+"/s.yaml")...); code != ExitOK {
			t.Fatalf("%s: %s", args, out)
		}
	}
	return dir
}

// runVerb runs a verb with stdout to a file, or to the text that it returns.
func runVerb(t *testing.T, stdout io.Writer, args ...string) (text string, code int) {
	t.Helper()
	var out bytes.Buffer
	env := System()
	env.Stdout, env.Stderr = &out, &out
	if stdout != nil {
		env.Stdout = stdout
	}
	code = Main(t.Context(), env, args)
	return out.String(), code
}

// TestAPhoneScansTheCodeAndTakesTheFile is the whole way: the verb on a
// terminal, the code read from the screen, the certificate compared by its
// fingerprint, one download.
func TestAPhoneScansTheCodeAndTakesTheFile(t *testing.T) {
	dir := vpnState(t)
	screen, tty := terminal(t)
	shown := make(chan string, 1)
	go func() {
		var b strings.Builder
		buf := make([]byte, 4096)
		for !regexp.MustCompile(`(?:[0-9A-F]{2}:){31}[0-9A-F]{2}`).MatchString(b.String()) {
			n, err := screen.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		shown <- b.String()
	}()
	ended := make(chan string, 1)
	go func() {
		text, code := runVerb(t, tty, "device", "profile", "laptop", "--for", "strongswan-android", "--once", "--listen", "127.0.0.1:0", "--minutes", "1", "--out", dir, "--config", dir+"/s.yaml")
		tty.Close()
		ended <- fmt.Sprint(code, " ", text)
	}()
	var text string
	select {
	case text = <-shown:
	case end := <-ended:
		t.Fatalf("the verb ended: %s", end)
	}
	text = strings.ReplaceAll(sgr.ReplaceAllString(text, ""), "\r", "")
	var code []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "████") {
			code = append(code, line)
		}
	}
	link := scan(t, strings.Join(code, "\n"))
	if !strings.Contains(text, "  "+link+"\n") || !strings.HasPrefix(link, "https://127.0.0.1:") {
		t.Errorf("the code says %q, the text\n%s", link, text)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // by its fingerprint, as the person does
		VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			if !strings.Contains(text, fingerprint(sum[:])) {
				return errors.New("another fingerprint is shown")
			}
			return nil
		},
	}}}
	res, err := client.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	want, _ := os.ReadFile(filepath.Join(dir, "sallyport-laptop.sswan"))
	if err != nil || !bytes.Equal(got, want) || len(want) == 0 {
		t.Errorf("%d octets of %d arrived: %v", len(got), len(want), err)
	}
	if end := <-ended; !strings.HasPrefix(end, "0 ") || !strings.Contains(end, "sallyport-laptop.sswan was taken") {
		t.Errorf("the verb ended with %s", end)
	}
}

// TestJSONHasTheLinkAndNoCode: a script reads one document and then waits; with
// a certificate of its own there is nothing to compare.
func TestJSONHasTheLinkAndNoCode(t *testing.T) {
	dir := vpnState(t)
	cert, _, err := onceCertificate("", "", "127.0.0.1", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, "tls.key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		_, code := runVerb(t, w, "device", "profile", "laptop", "--for", "sallyport", "--once", "--json", "--listen", "127.0.0.1:0",
			"--tls-certificate", dir+"/tls.crt", "--tls-key", dir+"/tls.key", "--out", dir, "--config", dir+"/s.yaml")
		w.Close()
		ended <- code
	}()
	var d struct{ Data profileWritten }
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	if d.Data.Once == nil || d.Data.Once.Fingerprint != "" || d.Data.Auth != "certificate" || time.Until(d.Data.Once.Until) < 9*time.Minute {
		t.Fatalf("got %+v", d.Data)
	}
	leaf, _ := x509.ParseCertificate(cert.Certificate[0])
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}).Get(d.Data.Once.URL)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if code := <-ended; code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestWhatAHandOverDoesNotTake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := vpnState(t)
	for flags, want := range map[string]string{
		"--listen :8443":                         "--listen is for a hand-over",
		"--once --minutes 0":                     "give 1 to 60",
		"--once --minutes 61":                    "give 1 to 60",
		"--once --tls-key x":                     "belong together",
		"--once --listen 8443":                   "--listen",
		"--once --listen " + l.Addr().String():   "no place to hand the file over",
		"--once --tls-certificate x --tls-key y": "x and y",
	} {
		args := append(strings.Fields("device profile laptop --for sallyport "+flags), "--out", dir, "--config", dir+"/s.yaml")
		if out, code := runVerb(t, nil, args...); code != ExitError || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d and %s", flags, code, out)
		}
	}
}
