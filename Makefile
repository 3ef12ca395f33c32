# Two commands do everything: `make app` and `make test`. Both use one virtual environment, made on first use.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
AXE := .tools/axe-core-4.14.1/axe.min.js

.PHONY: app test lint lint-js bench demo teaching screenshots clean

app: $(STAMP)
	$(BIN)/streamlit run app.py

test: lint $(AXE)
	$(BIN)/pytest

lint: lint-js $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# scripts and styles of the pages; a machine without npm goes on without, continuous integration does not
lint-js:
	@if command -v npm >/dev/null; then \
	npm exec --yes --package=@biomejs/biome@2.6.8 -- biome check --error-on-warnings && \
	npm exec --yes --package=typescript@5.9.3 -- tsc --project jsconfig.json; \
	elif [ -n "$$CI" ]; then echo "lint-js: npm is missing, and continuous integration checks scripts and styles" >&2; exit 1; \
	else echo "lint-js: skipped, there is no npm to get the checkers of scripts and styles with"; fi

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# the small finished experiment that the app opens with
demo: $(STAMP)
	$(BIN)/python -m benchmarks.make_demo

# what the page Teach shows at once
teaching: $(STAMP)
	$(BIN)/python -m benchmarks.make_teaching

# pictures of every page, light and dark, for the README
screenshots: $(STAMP)
	$(BIN)/python -m benchmarks.screenshots

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet -r requirements.txt -r requirements-dev.txt
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps torchattacks==3.5.1
	touch $(STAMP)

# the accessibility checker that the browser tests put into pages
$(AXE):
	mkdir -p $(@D)
	cd .tools && npm pack --silent axe-core@4.14.1 >/dev/null && tar -xzf axe-core-4.14.1.tgz -O package/axe.min.js > axe.part
	mv .tools/axe.part $@

clean:
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache
