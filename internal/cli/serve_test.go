package cli

import (
	"fmt"
	"os"
	"time"

	"sallyport/gateway"
)

// awaitServe is a program for scripts: it waits until a gateway serves the
// control socket that is its argument.
func awaitServe() {
	for range 400 {
		if c, ok := gateway.Dial(os.Args[1]); ok {
			c.Close()
			os.Exit(0)
		}
		time.Sleep(25 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "nobody serves", os.Args[1])
	os.Exit(1)
}
