# The list of tasks: `make help`. Each is a call of .ci/run, which decides whether a change lands, or of go.
.DEFAULT_GOAL := help
.PHONY: help demo local test check lint race fuzz bench newest e2e vuln api release

# What `make api` compares with.
BASE ?= origin/main

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a small app with sample traffic and a local Klime
	go run ./examples/gin

local: ## a local Klime for your own app
	go run ./cmd/klime-local

test: ## the tests, as quick as they go
	go test ./...

check: ## all that must hold before a change lands
	.ci/run

lint: ## format, vet, linters, import rules, tidy modules
	.ci/run gofmt vet lint tidy

race: ## the tests under the race detector
	.ci/run race

fuzz: ## every fuzz target, a few seconds each
	.ci/run fuzz

bench: ## do the benchmarks still run
	.ci/run bench

newest: ## the suite with the lowest and the newest frameworks
	.ci/run newest

e2e: ## foreign clients, and the pages in a browser
	.ci/run e2e

vuln: ## known holes in what is linked, in every module
	@git ls-files go.mod '*/go.mod' | xargs -n 1 dirname | while read -r module; do \
		echo "module $$module"; (cd $$module && go run golang.org/x/vuln/cmd/govulncheck@latest ./...) || exit 1; done

api: ## what changes in the API since BASE (a branch, tag or commit)
	@base=$$(mktemp -d) && git worktree add -q --detach "$$base/tree" $(BASE) && \
		(cd "$$base/tree" && go run golang.org/x/exp/cmd/apidiff@latest -m -w "$$base/api" github.com/klimeapp/klime-go) && \
		go run golang.org/x/exp/cmd/apidiff@latest -m "$$base/api" github.com/klimeapp/klime-go; \
		code=$$?; git worktree remove --force "$$base/tree"; rm -rf "$$base"; exit $$code

release: ## does VERSION follow from what has changed since the last release
	go run golang.org/x/exp/cmd/gorelease@latest -version=$(VERSION)
