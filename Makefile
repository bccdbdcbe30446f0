# make book   builds the book into _build/html
# make test   runs all tests
# Both set up .venv first, which takes a few minutes the first time only.
# Rarely needed: `make colab` runs two chapters as Colab would, `make publish REPO=owner/name` sets
# the repository of the book.

SHELL := /bin/sh
.PHONY: book test colab publish setup setup-browser songs clean

# The first suitable interpreter; in an activated environment the one that made it, so that .venv is
# never built from itself. A path may contain spaces: it is quoted wherever it is used.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
    "$$p" -c 'import sys; fits = (3, 11) <= sys.version_info[:2] <= (3, 13); \
    print(sys._base_executable if fits else ""); sys.exit(not fits)' 2>/dev/null && break; done)
BIN := .venv/bin

# `make test NEWEST=1` takes the newest versions that pyproject.toml allows instead of the pinned.
NEWEST ?=

# Where the shell sets this, each of many processes would compile all of PyTorch again.
unexport PYTHONDONTWRITEBYTECODE

# The environment is made again if its path, the Python version or the packages change.
STAMP := .venv/.ready-$(shell (pwd; echo $(NEWEST); \
    "$(PYTHON)" -c 'import sys; print(sys.base_prefix, sys.version)'; \
    cat requirements.txt pyproject.toml) 2>/dev/null | cksum | cut -d' ' -f1)

# Tests run at the smoke scale, two at a time, one thread each, since CI has two cores.
SMOKE := BOOK_SCALE=smoke OMP_NUM_THREADS=1
# The smoke book shows the notebooks that nbval has executed, so figures are drawn inline.
INLINE := MPLBACKEND=module://matplotlib_inline.backend_inline
NODE_STAMP := tests/browser/node_modules/.ready-$(shell \
    cat tests/browser/package*.json 2>/dev/null | cksum | cut -d' ' -f1)

book: setup songs
	@$(BIN)/python .ci/build-book .

test: setup-browser
	@BOOK_SCALE=smoke $(MAKE) --no-print-directory songs
	$(SMOKE) $(BIN)/pytest -n 2 --dist loadfile --ignore=tests/test_browser.py
	$(SMOKE) $(INLINE) EXECUTED="$$($(SMOKE) $(BIN)/python .ci/build-book --cache)" $(BIN)/pytest \
	    notebooks tests/conftest.py --nbval-lax --nbval-cell-timeout=300 -n 2 --dist loadscope
	@$(SMOKE) $(BIN)/python .ci/build-book _build/smoke
	$(SMOKE) BOOK_HTML=_build/smoke/_build/html $(BIN)/pytest tests/test_browser.py

# Downloads the packages that Colab has installed, over a gigabyte, and runs at the reader's scale.
colab: setup
	@$(BIN)/python .ci/colab_edition.py
	@$(BIN)/python .ci/colab_run.py 01_listening 14_unet

publish: setup
	@[ -n "$(REPO)" ] || { echo "Say where: make publish REPO=owner/name"; exit 1; }
	@$(BIN)/python tests/setup_cell.py --write "$(REPO)"

setup: $(STAMP)

$(STAMP):
	@[ -n "$(PYTHON)" ] || { echo "The book needs Python 3.11, 3.12 or 3.13: install one of them," \
	    "or name it with  make PYTHON=/path/to/python3"; exit 1; }
	@.ci/system-packages "$(PYTHON)"
	@echo "Setting up .venv with $$("$(PYTHON)" --version): a few minutes, once ..."
	@.ci/environment "$(PYTHON)" $(NEWEST)
	@touch $@

setup-browser: setup $(NODE_STAMP)

$(NODE_STAMP):
	@.ci/system-packages "$(PYTHON)" browser
	@cd tests/browser && npm ci --silent --no-audit --no-fund </dev/null
	@rm -f tests/browser/node_modules/.ready-*
	@touch $@

# The songs are rendered once, before several notebooks need them at the same time.
songs: setup
	@$(BIN)/python -c 'from common.data import embedded_songs; print("Songs:", embedded_songs())'

clean:
	rm -rf _build .venv tests/browser/node_modules
