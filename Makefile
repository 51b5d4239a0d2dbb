# Everything that a checkout needs, from a bare machine: `make run` and `make test` set up a private environment in .venv
# themselves (packaging/bootstrap.py says how and why) and take no time when it is up to date.
#
#   make run ARGS="--help"     pass arguments to the program
#   make test ARGS="-k gui"    pass arguments to pytest
#   PYTHON=python3.12          choose the Python for a new environment
#   SYSTEM=no                  install no system libraries, only name them
#   TRAINING=yes|no            install PyTorch for the training tests; without it: only where a CPU build is offered

SETUP = @PYTHON='$(PYTHON)' SYSTEM='$(SYSTEM)' TRAINING='$(TRAINING)' sh packaging/bootstrap.sh

.DEFAULT_GOAL := help
.PHONY: help run test lint format doctor screenshots study wheel selftest clean

help: ## list what make can do
	@sed -n 's/^\([a-z]*\): .*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do printf '%-18s %s\n' "$$name" "$$text"; done

run: ## start the program, in a window where there is a screen, otherwise in the terminal
	$(SETUP) run
	@.venv/bin/realtime-ser $(ARGS)

test: ## all checks: ruff, mypy, import contracts, pytest
	$(SETUP) test
	@.venv/bin/python packaging/check.py $(ARGS)

lint: ## ruff, mypy and the import contracts, without the tests
	$(SETUP) test
	@.venv/bin/python packaging/check.py --no-tests

format: ## format the code
	$(SETUP) test
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

doctor: ## say what this machine has and what it lacks
	$(SETUP) doctor

screenshots: ## draw every screen in every state, for the documentation (CLIPS="a.wav b.wav": film these in a virtual microphone)
	$(SETUP) test
	@.venv/bin/python packaging/screenshots.py $(if $(CLIPS),--microphone $(CLIPS))

study: ## run a small study with CLIPS="a.wav b.wav" in a virtual microphone, for the commands' pictures of docs/researchers.md
	$(SETUP) test
	@.venv/bin/python packaging/study.py $(CLIPS)

wheel: ## build the wheel into dist/
	$(SETUP) run
	@.venv/bin/python -m pip wheel --no-deps --wheel-dir dist .

selftest: ## build the wheel, install it in a fresh environment and try it there
	$(SETUP) run
	@.venv/bin/python packaging/selftest.py

clean: ## remove the environment and everything that was built
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
