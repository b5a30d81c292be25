# demo and test install everything they need; check is what a change must pass besides the tests.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
LINKED := $(VENV)/.linked
# Type checkers see through this editable install, unlike through the default one.
STRICT := --config-settings editable_mode=strict --editable
FOLDERS := $(shell find nuthatch agent tools mllm training examples -type d ! -name __pycache__)
EXTRAS := vision,audio,imagine,train,langchain,dev

.PHONY: demo test test-all check docs bench clean

demo: $(LINKED)
	$(VENV)/bin/nuthatch ask "How many cups are there, and which object makes this sound?" \
		--image examples/kitchen.png --audio examples/kitchen.wav
	$(VENV)/bin/nuthatch verify --image examples/kitchen.png \
		--answer "There are two cups and a giraffe."

test: $(LINKED)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n 2 --dist loadfile

test-all: $(LINKED)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n 2 --dist loadfile -m "slow or not slow"

check: $(LINKED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(LINKED)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict
	@echo "open build/docs/index.html"

bench: $(READY)
	for file in tests/benchmarks/bench_*.py; do \
		$(VENV)/bin/python -m tests.benchmarks.$$(basename $$file .py) || exit 1; done

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis

$(READY): pyproject.toml setup.py constraints.txt scripts/install_system_packages.sh
	@echo "Installing into $(VENV): Python packages of about 3 GB are downloaded once (several"
	@echo "minutes), most of it PyTorch; weights and example media are part of this folder."
	sh scripts/install_system_packages.sh
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --no-compile -c constraints.txt $(STRICT) '.[$(EXTRAS)]'
	touch $(READY) $(LINKED)

# It links file by file, so a new file needs it again: two seconds, and nothing is downloaded.
$(LINKED): $(READY) $(FOLDERS)
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation $(STRICT) .
	touch $(LINKED)
