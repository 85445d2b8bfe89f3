package profile

import (
	"testing"

	"sallyport/config"
)

// ExampleInput is testInput for the tests outside the package.
func ExampleInput(t testing.TB, zone *config.Zone) Input { return testInput(t, zone, "ecdsa") }
