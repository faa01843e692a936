# The front door. Each target is one line of work, so that people and CI run the same thing.
.DEFAULT_GOAL := help
.PHONY: help setup build run test unit scenario deploy asan tsan fuzz golden bench soak image deb tarball sbom lint format clean
MAKEFLAGS += --no-print-directory

# Debian's meson by path: a python3 shim earlier in PATH must not get in between.
MESON := $(firstword $(wildcard /usr/bin/meson) meson)
VENV := .venv/bin
T ?= cgroup
N ?= 100000
S ?= 60

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

setup: ## install what is missing for building and testing (Debian packages, .venv, .tools)
	@scripts/setup.sh build test deploy

build: ## release build: build/gpu-sessions and build/libnvidia-ml.so.1
	@scripts/setup.sh build
	@scripts/build.sh release

run: build ## show the sessions of this machine, or of a simulated node, and the textfile
	@scripts/demo.sh

test: ## everything: builds, unit, corpus, scenario, deployment, sanitizers, lint
	@scripts/setup.sh build test deploy
	@$(VENV)/python scripts/run_tests.py

unit: ## unit tests and fuzz corpus only
	@scripts/setup.sh build test
	@$(VENV)/python scripts/run_tests.py unit

scenario: ## whole-program tests only
	@scripts/setup.sh build test
	@$(VENV)/python scripts/run_tests.py scenario

deploy: ## tests of chart, script, rules, dashboards, image and packages only
	@scripts/setup.sh build test deploy
	@$(VENV)/python scripts/run_tests.py deploy

asan: ## unit, corpus and scenario tests under the address and undefined-behaviour sanitizers
	@scripts/setup.sh build test
	@$(VENV)/python scripts/run_tests.py asan

tsan: ## what has threads, under the thread sanitizer
	@scripts/setup.sh build test
	@$(VENV)/python scripts/run_tests.py tsan

fuzz: ## fuzz one parser: make fuzz T=cgroup S=60
	@scripts/setup.sh build test
	@scripts/fuzz.sh $(T) $(S)

golden: ## rewrite the golden files; look at the difference before you commit it
	@scripts/setup.sh build test deploy
	@scripts/build.sh check
	@UPDATE_GOLDEN=1 GPU_SESSIONS_BUILD=build-check $(VENV)/pytest -q tests/scenario/test_golden.py tests/scenario/test_readme.py tests/deploy/test_rules.py tests/deploy/test_chart_golden.py
	@$(VENV)/python scripts/dashboards
	@git --no-pager diff --stat -- tests/scenario/golden tests/deploy/golden README.md README.ko.md deploy

bench: ## measure, and write docs/benchmarks.md
	@scripts/setup.sh build bench image
	@scripts/build.sh bench
	@/usr/bin/python3 scripts/bench/bench.py

soak: ## let the daemon live through N=100000 collections, and write docs/soak.md
	@scripts/setup.sh build test
	@scripts/build.sh release
	@$(VENV)/python tests/scenario/soak.py build/gpu-sessions $(N)

image: ## build the container image: make image IMAGE=registry/gpu-sessions:1.0 ARCH=amd64|arm64|both
	@scripts/setup.sh image
	@scripts/image.sh

deb: ## Debian package, in build-deb/
	@scripts/setup.sh build package
	@scripts/package/build_deb.sh

tarball: ## archive that runs from any folder, in build-tarball/
	@scripts/setup.sh build package
	@scripts/package/build_tarball.sh

sbom: build ## bill of materials of the program and its libraries, build-sbom/gpu-sessions.cdx.json
	@scripts/setup.sh test package
	@mkdir -p build-sbom
	@$(VENV)/python scripts/package/make_sbom.py build/gpu-sessions >build-sbom/gpu-sessions.cdx.json
	@echo build-sbom/gpu-sessions.cdx.json

lint: ## formatting, static analysis, house rules
	@scripts/setup.sh build test
	@scripts/lint.sh

format: ## apply clang-format
	@scripts/setup.sh build test
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

clean: ## remove all build folders
	@rm -rf build build-*
