# Two commands do everything: `make app` and `make test`. Both use one virtual environment, made on first use.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: app test lint bench demo screenshots clean

app: $(STAMP)
	$(BIN)/streamlit run app.py

test: lint
	$(BIN)/pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# the small finished experiment that the app opens with
demo: $(STAMP)
	$(BIN)/python -m benchmarks.make_demo

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet -r requirements.txt -r requirements-dev.txt
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps torchattacks==3.5.1
	touch $(STAMP)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
