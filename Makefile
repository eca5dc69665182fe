# Everything a newcomer types. `make demo` and `make test` need Python 3.11+, make and, on rare platforms, a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 10000
PIP := install --quiet --disable-pip-version-check

.PHONY: setup dev wide wide-lab demo test check scenarios bench attack fuzz soak clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    four peers co-train on this machine, then an auditor recomputes their model"
	@echo "make test    the test suite (ARGS=--hypothesis-profile=thorough: far more orders and seeds, for a release)"
	@echo "make wide-lab  two homes behind routers of their own without ICE, through a js-libp2p relay that ends circuits"
	@echo "make check   format, lint, types, import contracts"
	@echo "make scenarios  every scenario of the simulator once, and what changed since the figures in docs/simulated.json"
	@echo "make bench   figures and ratios, printed"
	@echo "make attack  what hostile members cost, attack by attack, up to half an hour (ARGS=--quick: minutes)"
	@echo "make fuzz    every decoder under a fuzzer that follows what inputs reach, a minute each (ARGS=frame: one)"
	@echo "make soak    kills and power cuts by the hundred, a few minutes (ARGS=--quick: one); then memory over"
	@echo "             10,000 updates of a machine that is killed now and then, minutes; then simulated"
	@echo "             swarms with random troubles, SEEDS=10000 of them: a day (SEEDS=20: minutes)"
	@echo "make setup   only make $(VENV)"
	@echo "make dev     the same with what tests need; libp2p (the extra named wide) where it can be had or built"
	@echo "make wide    install libp2p in $(VENV), to go beyond one network, or say why not: it may want a C compiler and GMP"

setup: $(VENV)/.peer

dev: $(VENV)/.dev
	@.ci/wide $(VENV)

wide: $(VENV)/.dev
	@.ci/wide $(VENV) again

demo: $(VENV)/.peer
	@$(BIN)/gossip demo $(ARGS)

test: dev
	@.ci/test $(ARGS)

wide-lab: dev
	@$(BIN)/python -m pytest -m long -s $(or $(ARGS),tests/wide)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

scenarios: $(VENV)/.dev
	@$(BIN)/python -m tests.scenarios $(ARGS)

bench: $(VENV)/.dev
	@$(BIN)/python -m tests.bench $(ARGS)

attack: $(VENV)/.dev
	@$(BIN)/python -m tests.attack $(ARGS)

fuzz: $(VENV)/.dev
	@$(BIN)/python -m pip $(PIP) -e '.[fuzz]'
	@$(BIN)/python -m tests.fuzz.atheris $(or $(ARGS),all)

soak: $(VENV)/.dev
	@$(BIN)/python -m tests.soak $(ARGS)
	@$(BIN)/python -m tests.soak_memory
	@$(BIN)/python -m tests.soak_seeds --seeds $(SEEDS)

$(VENV)/.peer: .ci/peer.lock pyproject.toml
	@echo "installing into $(VENV): about 185 MB to download, 815 MB on disk (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gossip needs Python 3.11 or newer: make PYTHON=python3.12 demo"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip $(PIP) --require-hashes -r .ci/peer.lock
	@$(BIN)/pip $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.peer .ci/dev.lock
	@$(BIN)/pip $(PIP) --require-hashes -r .ci/dev.lock
	@touch $@

clean:
	rm -rf $(VENV) .venv-3.12 .venv-3.13
