package cli

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/bench"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

func newBench(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "bench",
		GroupID: groupTools,
		Short:   "Put load on a gateway and measure it",
		Long: `Puts load on a gateway, this one or another maker's, and says what it bore.
Only ever point it at a gateway of your own.`,
	}
	asGroup(c)
	c.AddCommand(newBenchIKE(env))
	return c
}

// benchFlags are the flags of bench ike.
type benchFlags struct {
	ca, cert, key, id string
	clients           string
	remoteID          string
	ike, esp          string
	port              uint16
	count, parallel   int
	eapTLS            string
	hold              time.Duration
}

func newBenchIKE(env *Env) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "ike ADDRESS",
		Short: "Set up many IKEv2 sessions and time them",
		Long: `Sets up IKEv2 sessions with a certificate, shown in IKE or with --eap-tls in EAP,
closes each as soon as its Child SA is up, and reports how many a second the
gateway made and how long each took. With --hold the sessions stay up for that
long instead, to measure memory.`,
		Example: `  sallyport bench ike 192.0.2.1 --ca ca.pem --cert device.pem --key device.key --count 1000`,
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			load, err := f.load(args[0])
			if err != nil {
				return err
			}
			said := env.Now()
			load.Progress = func(done, failed int) {
				if now := env.Now(); isTerminal(env.Stderr) || now.Sub(said) >= 10*time.Second {
					said = now
					env.Say("%d of %d sessions up, %d failed", done, load.Total, failed)
				}
			}
			report, err := f.run(c.Context(), load)
			if err != nil {
				return err
			}
			if err := env.report(c, report, func(w io.Writer) { writeBench(w, report) }); err != nil {
				return err
			}
			if report.Failed > 0 || report.Done == 0 {
				return silent(ExitFailures)
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.ca, "ca", "", "PEM `FILE` with the CA that the gateway's certificate leads to")
	flags.StringVar(&f.cert, "cert", "", "PEM `FILE` with our certificate, leaf first")
	flags.StringVar(&f.key, "key", "", "PEM `FILE` with our private key")
	flags.StringVar(&f.clients, "clients", "", "`DIRECTORY` of pairs NAME.crt and NAME.key, taken in turn instead of --cert and --key; NAME is the identity")
	flags.StringVar(&f.id, "id", "", "our `IDENTITY`, a domain name or mail address (default: the certificate's subject)")
	flags.StringVar(&f.remoteID, "remote-id", "", "the gateway's `NAME`, sent as IDr (default: none)")
	flags.StringVar(&f.ike, "ike", "aes128gcm16-prfsha256-ecp256", "IKE `PROPOSAL`")
	flags.StringVar(&f.esp, "esp", "aes128gcm16-noesn", "ESP `PROPOSAL`")
	flags.Uint16Var(&f.port, "port", 500, "the gateway's IKE port")
	flags.IntVar(&f.count, "count", 1000, "sessions in all")
	flags.IntVar(&f.parallel, "parallel", 16, "set-ups under way at a time")
	flags.StringVar(&f.eapTLS, "eap-tls", "", "log in by EAP-TLS with the same certificate, over TLS `VERSION` 1.2 or 1.3 (default: by certificate in IKE)")
	flags.DurationVar(&f.hold, "hold", 0, "keep all sessions up for this long after the last set-up")
	c.MarkFlagRequired("ca")
	c.MarkFlagsRequiredTogether("cert", "key")
	c.MarkFlagsOneRequired("cert", "clients")
	c.MarkFlagsMutuallyExclusive("cert", "clients")
	withJSON(c)
	return c
}

// run ends a held load by time: Run itself ends with its context only.
func (f *benchFlags) run(ctx context.Context, load bench.IKE) (bench.Report, error) {
	if f.hold == 0 {
		return load.Run(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	load.Held = func() { time.AfterFunc(f.hold, cancel) }
	return load.Run(ctx)
}

func (f *benchFlags) load(address string) (bench.IKE, error) {
	target, err := netip.ParseAddr(address)
	if err != nil {
		return bench.IKE{}, failure("give the gateway's IPv4 or IPv6 address", "%q is not an address", address)
	}
	clients, err := f.identities()
	if err != nil {
		return bench.IKE{}, err
	}
	roots, err := readRoots(f.ca)
	if err != nil {
		return bench.IKE{}, err
	}
	ikeProposal, err := suite.ParseProposal(suite.ProtocolIKE, f.ike)
	if err != nil {
		return bench.IKE{}, err
	}
	espProposal, err := suite.ParseProposal(suite.ProtocolESP, f.esp)
	if err != nil {
		return bench.IKE{}, err
	}
	load := bench.IKE{
		Target:  netip.AddrPortFrom(target, f.port),
		Clients: clients, Roots: roots,
		IKE: []suite.Proposal{ikeProposal}, ESP: []suite.Proposal{espProposal},
		Total: f.count, Parallel: f.parallel, Hold: f.hold > 0,
	}
	switch f.eapTLS {
	case "":
	case "1.2":
		load.EAPTLS = tls.VersionTLS12
	case "1.3":
		load.EAPTLS = tls.VersionTLS13
	default:
		return bench.IKE{}, failure("write --eap-tls 1.2 or --eap-tls 1.3", "%q is not a version of TLS that EAP-TLS has here", f.eapTLS)
	}
	if f.remoteID != "" {
		load.RemoteID = &ikemsg.ID{Responder: true, Kind: ikemsg.IDFQDN, Data: []byte(f.remoteID)}
	}
	return load, nil
}

// identities are the one of --cert and --key, or all pairs of --clients.
func (f *benchFlags) identities() ([]bench.Client, error) {
	if f.clients == "" {
		c, err := readClient(f.cert, f.key, f.id)
		return []bench.Client{c}, err
	}
	certs, err := filepath.Glob(filepath.Join(f.clients, "*.crt"))
	if err != nil || len(certs) == 0 {
		return nil, failure("each client is a pair NAME.crt and NAME.key", "%s holds no certificates", f.clients)
	}
	var all []bench.Client
	for _, cert := range certs {
		stem := strings.TrimSuffix(cert, ".crt")
		c, err := readClient(cert, stem+".key", filepath.Base(stem))
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// readClient reads one identity; without an id it is the certificate's subject.
func readClient(cert, key, id string) (bench.Client, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return bench.Client{}, failure("both files are PEM, the certificate leaf first", "%w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return bench.Client{}, fmt.Errorf("%s: the key cannot sign", key)
	}
	name := ikemsg.ID{Kind: ikemsg.IDDERASN1DN, Data: pair.Leaf.RawSubject}
	if id != "" {
		name = textID(id)
	}
	return bench.Client{
		Identity: &ike.Identity{ID: name, Chain: pair.Certificate, Key: cert, Public: signer.Public()},
		Signer:   signer,
	}, nil
}

// textID reads an identity as people write it (RFC 7296, Section 3.5).
func textID(text string) ikemsg.ID {
	kind := ikemsg.IDFQDN
	if strings.Contains(text, "@") {
		kind = ikemsg.IDRFC822Addr
	}
	return ikemsg.ID{Kind: kind, Data: []byte(text)}
}

func readRoots(file string) (*x509.CertPool, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	found := false
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		roots.AddCert(cert)
		found = true
	}
	if !found {
		return nil, errors.New(file + ": no certificate in it")
	}
	return roots, nil
}

func writeBench(w io.Writer, r bench.Report) {
	fmt.Fprintf(w, "%d sessions up, %d failed, in %v: %.0f a second\n", r.Done, r.Failed, r.Elapsed.Round(time.Millisecond), r.PerSecond)
	if r.Done > 0 {
		fmt.Fprintf(w, "%s, child %s\n", r.Suite, r.Child)
		fmt.Fprintf(w, "%d requests were sent again\n", r.Repeated)
		fmt.Fprintf(w, "set-up took %v in the middle, %v at the 99th of 100\n", r.P50.Round(time.Microsecond), r.P99.Round(time.Microsecond))
	}
	if r.LastError != "" {
		fmt.Fprintf(w, "last failure: %s\n", r.LastError)
	}
}
