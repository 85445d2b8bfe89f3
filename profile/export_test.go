package profile

import (
	"testing"

	"sallyport/config"
)

// Laptop is testInput for the tests outside the package.
func Laptop(t testing.TB, zone *config.Zone) Input { return testInput(t, zone, "ecdsa") }

// LaptopBy is inputBy for the tests outside the package.
func LaptopBy(t testing.TB, zone *config.Zone, auth string) Input {
	return inputBy(t, zone, "swanctl", auth)
}
