# make verify   set up, then run the main job (2 to 4 minutes on 2 cores)
# make test     set up, then run the tests in two processes (WORKERS=0: in one, as plain pytest does)
# make docs     set up, then build the site into docs/_build/html (offline, warnings are errors)
# make setup    set up alone: .venv with everything in it

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup verify test docs lint clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "looprate needs Python >= 3.11; try: make setup PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $(STAMP)

verify: setup
	@$(BIN)/looprate verify

test: setup
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		-m "not slow and not gpu"

docs: setup $(VENV)/.docs
	@MPLBACKEND=Agg $(BIN)/python -m sphinx -W --keep-going -q -j 2 docs docs/_build/html
	@echo "open docs/_build/html/index.html"

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/types/looprate
	ln -sfn $(CURDIR)/looprate/* $(CURDIR)/theory $(CURDIR)/approx $(CURDIR)/experiments \
		$(CURDIR)/figures build/types/looprate
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		docs/_build docs/api docs/gallery docs/lessons/built docs/lessons/[0-9]*.md
