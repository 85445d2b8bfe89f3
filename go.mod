module sallyport

go 1.26.0

require (
	filippo.io/bigmod v0.1.0
	github.com/gaissmai/bart v0.30.0
	github.com/vishvananda/netlink v1.3.1
	golang.org/x/crypto v0.58.0
	golang.org/x/sys v0.49.0
)

require github.com/vishvananda/netns v0.0.5 // indirect
