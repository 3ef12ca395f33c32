# Two commands do everything: `make app` and `make test`. They need Python 3.11 or newer with venv, and nothing else.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS := .venv-docs
TOOLS := .venv-tools
# a process a core, with a thread each: threads of several processes wait for one another
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto
PIP := -m pip install --disable-pip-version-check --quiet

.PHONY: app test check lint types lint-js docs floors mutants bench demo teaching screenshots sbom audit clean

# `make app ARGS="--port 8600"`: what `rurk app --help` lists
app: $(STAMP)
	$(BIN)/rurk app $(ARGS)

test: lint
	$(PYTEST)

# what to run before every commit, a minute and a half of two cores: the tests that are not marked slow, and no browser
check: lint
	$(PYTEST) -m "not slow and not e2e"

lint: types lint-js
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# scripts and styles of the pages; a machine without npm goes on without, continuous integration does not
lint-js:
	@if command -v npm >/dev/null; then \
	npm exec --yes --package=@biomejs/biome@2.6.8 -- biome check --error-on-warnings && \
	npm exec --yes --package=typescript@5.9.3 -- tsc --project jsconfig.json; \
	elif [ -n "$$CI" ]; then echo "lint-js: npm is missing, and continuous integration checks scripts and styles" >&2; exit 1; \
	else echo "lint-js: skipped, there is no npm to get the checkers of scripts and styles with"; fi

# the site in docs/_build/html; a dead link or a broken reference fails it
docs: $(DOCS)/.installed
	$(DOCS)/bin/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# the picture in docs/architecture.md, from the imports
floors: $(STAMP)
	$(BIN)/python -m benchmarks.floors

# hours: changes one thing at a time in what decides, and lists the changes that no test notices;
# `make mutants ARGS="rurk_core.measure.roc.*"` takes a part
mutants: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/mutmut run $(ARGS)
	$(BIN)/mutmut results

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# the small finished experiment that the app opens with
demo: $(STAMP)
	$(BIN)/python -m benchmarks.make_demo

# what the page Teach shows at once
teaching: $(STAMP)
	$(BIN)/python -m benchmarks.make_teaching

# pictures of every page and a recording of the stage, light and dark, for the README
screenshots: $(STAMP)
	$(BIN)/python -m benchmarks.screenshots

# what is installed, with versions and licences, as CycloneDX: sbom.json
sbom: $(STAMP) $(TOOLS)/.installed
	$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json

# known vulnerabilities of what is pinned; asks the advisory service, and says so where it cannot be reached;
# `make audit ADVISORIES=all.zip` asks a file: OSV's database for PyPI
audit: $(TOOLS)/.installed
	grep -v '^-e' requirements.txt > $(TOOLS)/pinned.txt
ifdef ADVISORIES
	$(TOOLS)/bin/python -m benchmarks.advisories $(ADVISORIES) $(TOOLS)/bin/pip-audit $(TOOLS)/pinned.txt
else
	$(TOOLS)/bin/pip-audit -r $(TOOLS)/pinned.txt --no-deps --disable-pip
endif

$(TOOLS)/.installed: Makefile
	test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python $(PIP) cyclonedx-bom==7.5.0 pip-audit==2.10.1
	touch $@

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) -r requirements.txt -r requirements-dev.txt
	$(BIN)/python $(PIP) --no-deps torchattacks==3.5.1
	touch $(STAMP)

$(DOCS)/.installed: requirements-docs.txt
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python $(PIP) -r requirements-docs.txt
	touch $@

clean:
	rm -rf $(VENV) $(DOCS) $(TOOLS) sbom.json docs/_build docs/api mutants .mypy_cache .ruff_cache .pytest_cache
