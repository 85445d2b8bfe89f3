// Command sallyport is a VPN gateway for IKEv2/IPsec clients, and the tools
// around it.
package main

import (
	"context"
	"os"

	"sallyport/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), cli.System(), os.Args[1:]))
}
