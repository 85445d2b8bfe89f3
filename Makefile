# make demo   see it work, in at most a minute     make test   prove it, in at most a quarter of an hour
# Both need root (network namespaces) and install the Debian packages they need.

export PATH := $(PATH):/usr/local/go/bin
export CGO_ENABLED := 0

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

.PHONY: build demo test fuzz bench lint clean

build:
	go build -trimpath -ldflags '-X sallyport/internal/cli.version=$(VERSION)' -o bin/sallyport ./cmd/sallyport

demo: build
	test/install-debian demo
	bin/sallyport demo

test: build
	test/install-debian test
	npm ci --prefix profile/testdata/powershell --ignore-scripts --no-audit --no-fund --loglevel=error
	npm ci --prefix assure/report/testdata/schemas --ignore-scripts --no-audit --no-fund --loglevel=error
	go run ./test/run vet tests fuzz

fuzz:
	go run ./test/run -fuzztime 60s fuzz

bench: build
	test/install-debian bench
	go run ./test/bench/throughput
	go run ./test/bench/setups
	go run ./test/bench/audit

lint:
	go run ./test/run vet staticcheck vulnerabilities

clean:
	rm -rf bin
