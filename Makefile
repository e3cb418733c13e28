# Verbs for people and for CI. `make help` lists them.
GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da
MODULES := $(shell find . -name go.mod -not -path '*/node_modules/*' -exec dirname {} \; | sort)
GOBIN := $(shell go env GOPATH)/bin
HTTP ?= 127.0.0.1:8080

.PHONY: help demo test check bench baseline fuzz lint tools clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: node_modules/.package-lock.json ## start the broker with the stock list, chat and portfolio (HTTP=host:port changes the address)
	@mkdir -p bin && go build -o bin/lsgo ./cmd/lsgo
	@bin/lsgo demo --http $(HTTP)

test: node_modules/.package-lock.json ## run every test, the official clients and the browser included
	@bash .ci/browser
	@for m in $(MODULES); do echo "# $$m"; (cd $$m && go test -race -shuffle=on ./...) || exit 1; done

check: tools ## format, vet, lint, tidy and test every module
	@bash .ci/checks
	@$(MAKE) --no-print-directory test

lint: tools ## run the linters alone
	@for m in $(MODULES); do (cd $$m && $(GOBIN)/golangci-lint run --allow-parallel-runners ./...) || exit 1; done

# The page is only written with all of the official SDKs in it.
bench: $(GOBIN)/benchstat-$(BENCHSTAT_VERSION) ## run the Go benchmarks, then the SDKs side by side into docs/performance.md (QUICK=1: briefly; PEERS="java node": these; neither writes the page)
	@BENCHSTAT=$(GOBIN)/benchstat bash bench/benchmarks $(if $(QUICK),--quick)
	@bash bench/compare $(if $(QUICK),--quick,$(if $(filter undefined,$(origin PEERS)),--page docs/performance.md))

baseline: ## run the Go benchmarks, and make the outcome their baseline
	@bash bench/benchmarks --save

.PHONY: bench-broker
bench-broker: ## measure the broker with 1,000 sessions, and write the figures into docs/performance-broker.md (10 minutes)
	cd bench && go run ./broker -page ../docs/performance-broker.md

fuzz: ## run every fuzz target for FUZZTIME (10s) each
	@bash .ci/fuzz $(or $(FUZZTIME),10s)

# Not part of CI: what it says depends on the day, and it needs the database of vulnerabilities.
.PHONY: vuln
vuln: $(GOBIN)/govulncheck-$(GOVULNCHECK_VERSION) ## look for known vulnerabilities in what every module calls (GOVULNDB=url: another database than https://vuln.go.dev)
	@GOVULNCHECK=$(GOBIN)/govulncheck-$(GOVULNCHECK_VERSION) bash .ci/vuln

tools: $(GOBIN)/golangci-lint-$(GOLANGCI_VERSION)

$(GOBIN)/golangci-lint-$(GOLANGCI_VERSION):
	go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@touch $@

$(GOBIN)/govulncheck-$(GOVULNCHECK_VERSION):
	go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@mv $(GOBIN)/govulncheck $@

$(GOBIN)/benchstat-$(BENCHSTAT_VERSION):
	go install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

.PHONY: release release-check
release: ## prepare a release in this clone: commits and tags, nothing pushed (VERSION=v1.2.3; see RELEASE.md)
	@bash .ci/release "$(VERSION)"

release-check: ## rehearse a release in a clone, and install it as a stranger would (about a minute and a half)
	@bash .ci/release-check

clean: ## remove what was installed and built here
	rm -rf node_modules bin bench/.cache

.PHONY: interop
interop: ## run the interoperability lab with the official SDKs and clients (PEER=python, node, java, web or page runs one)
	@PEER="$(PEER)" bash .ci/interop

.PHONY: chaos chaos-short
chaos: node_modules/.package-lock.json ## play faults and attacks on real processes, and count what nobody told to be lost (15 minutes; ONLY=row,row; SOAK=10m: mixed churn instead; JSON=1; ARGS=-help)
	@mkdir -p bin && cd interop && go build -o ../bin/chaos ./chaos
	@bin/chaos $(if $(ONLY),-only $(ONLY)) $(if $(SOAK),-soak $(SOAK)) $(if $(JSON),-json) $(ARGS)

chaos-short: node_modules/.package-lock.json ## the part of it that CI plays, in less than a minute: counts decide, times do not
	@mkdir -p bin && cd interop && go build -o ../bin/chaos ./chaos
	@bin/chaos -short $(ARGS)
