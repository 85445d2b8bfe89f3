// Package hostile attacks the real programs: "sallyport serve" and "sallyport
// connect" in the hosts of a lab, by a peer that does whatever RFC 7296
// forbids. What must hold is said by the names of the tests: nothing is
// answered at length before a cookie, nothing panics, nothing is logged per
// packet, memory stays bounded, a hostile session ends alone, what the
// administrator was told is done survives a crash, and a revoked device is out.
//
//	go test ./test/hostile                  everything
//	go test ./test/hostile -run Truncated   one attack
//
// Where an attack is known from another product, the test names its CVE.
package hostile
