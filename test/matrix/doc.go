// Package matrix is the proof that Sallyport and strongSwan understand each
// other: cases.txt lists what is tried, the tests try it, with real packets
// between network namespaces.
//
//	go test ./test/matrix                    every case
//	go test ./test/matrix -run /ed25519      those with Ed25519
//	go test ./test/matrix -control           with strongSwan on both ends
//
// The control run proves the harness: what fails there is no fault of ours.
package matrix
