# Everything here needs Go, git and make; `make check` also a C compiler, for
# the race detector. `make` without a word lists the words.

GO         ?= go
PKGS       ?= ./...
# Ten minutes on two quiet cores is the budget of the whole; on a busy machine a
# package may take that alone.
TESTFLAGS  ?= -timeout 900s
FUZZTIME   ?= 10s
SOAKCHECKS ?= 20000
SOAKTIME   ?= 30m
# How long a node of a million messages is used in make soak-memory, after a
# quarter of an hour in which those are written.
USETIME    ?= 1h
# Random histories of groups in make soak: about twenty minutes on two cores.
HISTORIES  ?= 100000
# Members of the large group in make soak: three quarters of an hour of processor
# time with 500, 14 GB of memory and 4 of homes in /dev/shm. Two minutes with 100.
CROWD      ?= 500
# Processes killed at random moments in make soak, and a tenth as many power cuts.
KILLS      ?= 200
# Pinned and kept out of go.mod: checking the code is no part of the product.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION    ?= $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS     = -s -w -X main.version=$(VERSION)

.PHONY: help run demo build test check bench bench-quick bench-rooms test-net test-disks fuzz fuzz-long soak soak-memory fmt clean mutants

help:
	@echo 'make run          build and start a node in the foreground (Ctrl-C ends it)'
	@echo 'make demo         three nodes in a temporary folder act out the main story'
	@echo 'make build        both programs, into bin/'
	@echo 'make test         all tests; at most ten minutes on two cores'
	@echo 'make check        format, vet, staticcheck, layout, tests with the race detector'
	@echo 'make test-net     the tests on networks of namespaces; needs Linux, root, ip and nft'
	@echo 'make test-disks   the tests that mount disks and fill them; needs Linux and root'
	@echo 'make mutants      a mistake for each rule of groups; the tests must catch each'
	@echo 'make bench        the benchmark suite, beside its limits; bench-quick: under three minutes'
	@echo 'make bench-rooms  the benchmarks inside each package'
	@echo 'make fuzz         every fuzz target for FUZZTIME ($(FUZZTIME)); fuzz-long: an hour each'
	@echo 'make soak         the randomized tests, long'
	@echo 'make soak-memory  a node used for USETIME ($(USETIME)); fails if its memory grows'
	@echo 'make fmt          gofmt'

run: build
	@exec ./bin/mutuals up --foreground

demo: build
	@exec sh cmd/mutuals/demo.sh bin

build:
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/mutuals ./cmd/mutualsd

test:
	$(GO) vet $(PKGS)
	$(GO) test $(TESTFLAGS) $(PKGS)

# The same tests run in make test too, and are skipped there without the rights;
# but for the slow ones.
test-net:
	MUTUALS_NETLAB_MUST=1 $(GO) test -count=1 $(TESTFLAGS) ./node/nodetest/netlab
	MUTUALS_NETLAB_MUST=1 MUTUALS_NETLAB_SLOW=1 $(GO) test -count=1 $(TESTFLAGS) ./cmd/mutuals -run TestNetScripts

# So do these.
test-disks:
	MUTUALS_DISKS_MUST=1 $(GO) test -count=1 $(TESTFLAGS) ./cmd/mutuals -run TestDiskScripts
	MUTUALS_DISKS_MUST=1 $(GO) test -count=1 $(TESTFLAGS) ./node -run TestPowerCut

check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet $(PKGS)
	$(GO) run $(STATICCHECK) $(PKGS)
	$(GO) test -run Layout -count=1 .
	$(GO) test -race -timeout 30m $(PKGS)

# Whole daemons beside their limits; the JSON goes into bench/, which git does
# not keep, and the table of a full run into BENCHMARKS.md, which it does.
bench:
	$(GO) run ./node/nodetest/bench -doc BENCHMARKS.md

bench-quick:
	$(GO) run ./node/nodetest/bench -quick

# The benchmarks inside the packages.
bench-rooms:
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m $(PKGS)

# go test fuzzes one target of one package at a time. What is interesting is
# shortened for a second, not for the minute that is the default: meanwhile
# nothing is fuzzed.
fuzz:
	@set -e; for p in $$($(GO) list $(PKGS)); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$p; \
	  done; done

fuzz-long:
	@$(MAKE) --no-print-directory fuzz FUZZTIME=1h

# The packages that draw random histories take the number of them as a flag.
soak:
	@set -e; for p in $$($(GO) list -f '{{$$p := .ImportPath}}{{range .TestImports}}{{if eq . "pgregory.net/rapid"}}{{$$p}} {{end}}{{end}}{{range .XTestImports}}{{if eq . "pgregory.net/rapid"}}{{$$p}} {{end}}{{end}}' $(PKGS) | tr ' ' '\n' | sort -u); do \
	  $(GO) test -count=1 -timeout 0 $$p -rapid.checks=$(SOAKCHECKS); done
	$(GO) test -count=1 -timeout 0 -v ./groups -run '^TestRandomHistories$$' -histories $(HISTORIES)
	$(GO) test -count=1 -timeout 0 -v ./groups -run '^TestModelOfHistories$$' -modelled $(HISTORIES)
	$(GO) test -count=1 -timeout 0 -v ./groups -run '^TestEveryOrder$$' -everyorder 8
	$(GO) test -count=1 -timeout 0 -v ./node -run '^(TestKilledAtRandom|TestPowerCut)$$' -kills $(KILLS)
	$(GO) test -count=1 -timeout 0 -v ./node -run '^TestSiege$$' -siegetime 2m -siegefoes 200
	GOGC=50 GOMEMLIMIT=15GiB $(GO) test -count=1 -timeout 0 -v ./node/nodetest -soak -soaktime $(SOAKTIME) -size $(CROWD)

# Prints what memory a node takes after each round of a day's use.
soak-memory:
	$(GO) run ./node/nodetest/bench -soak $(USETIME)

# One deliberate mistake for each numbered rule of groups/SPEC.md; each must be
# caught by some test. About ten minutes.
mutants:
	$(GO) test -count=1 -timeout 0 -v ./groups -run '^TestMutants$$' -mutants .

fmt:
	gofmt -w $$(git ls-files '*.go')

clean:
	rm -rf bin
