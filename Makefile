# netlab: run `make` to see what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := bin/netlab
FUZZTIME ?= 20s
BENCH ?= .
ROUNDS ?= 3
SIZE ?= full
LOOP ?= pcaps/samples
PEERS ?=

# libpcap's headers decide whether its capture engine is built beside our own. This is
# looked at anew in each recipe, for setup may have installed them.
HAS_PCAP = $(shell printf '\#include <pcap.h>\n' | $${CC:-cc} -E - >/dev/null 2>&1 && echo yes)
# urfave_cli_no_docs leaves man pages out of the cli library, which nobody asks for here: the
# Markdown parser behind them takes a millisecond of each start.
comma := ,
TAGS = -tags urfave_cli_no_docs$(if $(HAS_PCAP),$(comma)libpcap)

FUZZ_TARGETS = $(shell grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed -E 's|^(.*)/[^/]+:func (.*)|\1:\2|' | sort)

.PHONY: help setup build test test-go test-plain race lint fuzz cover bench bench-peers bench-replay bench-capture bench-serve loop profile golden samples demo check clean

help: ## print this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## install libpcap's headers, for the second capture engine, when they are missing
	@if [ -z "$(HAS_PCAP)" ]; then \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		if command -v apt-get >/dev/null; then install="$$sudo apt-get update && $$sudo apt-get install -y --no-install-recommends libpcap-dev"; \
		elif command -v dnf >/dev/null; then install="$$sudo dnf install -y libpcap-devel"; \
		elif command -v apk >/dev/null; then install="$$sudo apk add libpcap-dev"; \
		elif command -v pacman >/dev/null; then install="$$sudo pacman -S --noconfirm libpcap"; \
		elif command -v zypper >/dev/null; then install="$$sudo zypper install -y libpcap-devel"; \
		else install=; fi; \
		if [ -z "$$install" ]; then \
			echo "libpcap's headers are missing, and this system's package manager is not known: install them (often named libpcap-dev) and run make again" >&2; exit 1; \
		fi; \
		echo "libpcap's headers are missing; installing them: $$install"; \
		if [ -n "$$sudo" ] && ! { command -v sudo >/dev/null && sudo -n true 2>/dev/null || [ -t 0 ]; }; then \
			echo "that needs a right that is not here. Run: $$install" >&2; exit 1; \
		fi; \
		DEBIAN_FRONTEND=noninteractive bash -c "$$install" || { echo "that failed. Run: $$install" >&2; exit 1; }; \
	fi

build: ## build bin/netlab, with libpcap's capture engine too where its headers are
	go build $(TAGS) -o $(BIN) ./cmd/netlab

# A profile-guided build compiles every package anew for each program; a test gains nothing by it.
test test-go test-plain race lint fuzz cover: export GOFLAGS += -pgo=off

test: lint test-go test-plain ## run all tests

test-go:
	go test -race $(TAGS) ./...

test-plain: # what works without libpcap and without cgo must keep working; other rooms than these are the same with them
	CGO_ENABLED=0 go build ./...
	CGO_ENABLED=0 go test ./capture/... ./cmd/...

race: ## run the tests with the race detector, twice
	go test -race -count 2 $(TAGS) ./...

lint: ## gofmt, go vet and staticcheck
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "gofmt these:"; echo "$$files"; exit 1; fi
	go vet ./...
	for os in darwin windows; do echo "go vet for $$os"; GOOS=$$os CGO_ENABLED=0 go vet ./...; done
	$(if $(HAS_PCAP),go vet $(TAGS) ./...)
	go tool staticcheck $(TAGS) ./...

fuzz: ## run each fuzz target for FUZZTIME (20s)
	@for t in $(FUZZ_TARGETS); do \
		echo "fuzz $${t#*:} in $${t%:*} for $(FUZZTIME)"; \
		go test $${t%:*} -run '^$$' -fuzz "^$${t#*:}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x; \
	done

cover: ## test coverage, by function
	go test $(TAGS) -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -n 1

bench: ## run the benchmarks; BENCH picks some
	go test $(TAGS) -run '^$$' -bench '$(BENCH)' -benchmem ./...

bench-peers: build ## measure netlab beside other programs, ROUNDS (3) times; SIZE=quick takes a tenth
	go build -o bin/netlab-bench ./cmd/netlab-bench
	./bin/netlab-bench make -size $(SIZE)
	./bin/netlab-bench peers -size $(SIZE) -rounds $(ROUNDS) -netlab $(BIN) $(PEERS)

bench-replay: build ## measure how exactly replay keeps time, and how fast it is, ROUNDS (3) times; it takes tcpdump, nginx and wrk
	go build -o bin/netlab-bench ./cmd/netlab-bench
	for network in udp tcp; do ./bin/netlab-bench pace -network $$network -rounds $(ROUNDS) -netlab $(BIN); done
	./bin/netlab-bench rush -rounds $(ROUNDS) -netlab $(BIN)

bench-capture: build ## measure what a capture loses and costs beside tcpdump and dumpcap, ROUNDS (3) times, on loopback in a network of its own
	go build -o bin/netlab-bench ./cmd/netlab-bench
	./bin/netlab-bench capture -rounds $(ROUNDS) -netlab $(BIN)

bench-serve: build ## measure how many requests a second serve answers, beside nginx, ROUNDS (3) times; it takes nginx and wrk
	go build -o bin/netlab-bench ./cmd/netlab-bench
	./bin/netlab-bench serve -rounds $(ROUNDS) -netlab $(BIN)

loop: build ## serve and replay the captures in LOOP (the samples) on loopback: which are the same?
	go build -o bin/netlab-bench ./cmd/netlab-bench
	./bin/netlab-bench loop -netlab $(BIN) $(LOOP)

profile: ## measure anew what guides the build: cmd/netlab/default.pgo
	dir=$$(mktemp -d) && go test ./decode -run '^$$' -bench Decode -benchtime 2s -o $$dir/decode.test -cpuprofile $(CURDIR)/cmd/netlab/default.pgo && rm -r $$dir

golden: ## refresh the golden files; look at the difference before you commit it
	go test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' decode replay cmd | xargs -n 1 dirname | sort -u | sed 's|^|./|') -update

samples: ## make the sample captures again from their recipes
	go test ./pcaps/samples -run TestRecipes -update

demo: build ## capture, decode and replay on loopback, in one go
	./$(BIN) demo

check: test fuzz ## what has to pass before a change lands

clean: ## remove what was built
	rm -rf bin cover.out netlab-demo.pcap
