# make run        the main job: the paper's claim, live (recipes/quickstart.py; RUN_ARGS="--seed 2 --force")
# make test       the tests on TensorFlow, without the slow ones
# make test-slow  these: runs in processes of their own that are killed, programs that XLA compiles, the README's snippets
# make test-jax   the tests that need no particular backend, on JAX, in an environment of their own
# make test-torch the same on Torch
# make serve      serves the bundle of `make run`, in an environment without Keras and TensorFlow
# make test-serve the tests of the server, in the same
# Each builds its environment when it is missing or when setup.cfg changed. PYTHON=... names the interpreter.

.PHONY: run test test-slow test-jax test-torch serve test-serve lint clean
.DELETE_ON_ERROR:

# A worker a processor; each takes about 1 GB.
WORKERS = -n auto --maxprocesses 4 --dist worksteal
# What knows no backend is tested once: scores, results and serving are NumPy, figures ask a model for codes alone, and
# searches call what the other tests cover.
NO_BACKEND = metrics tuning serving plots report analysis perception/test_audit.py \
  test_imports.py cli/test_arguments.py cli/test_encode.py cli/test_experiment.py cli/test_report.py
WITH_A_BACKEND = $(NO_BACKEND:%=--ignore=tests/%)

run: .venv/installed
	.venv/bin/python recipes/quickstart.py $(RUN_ARGS)

test: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/python -m pytest $(WORKERS) -m "not slow" $(TEST_ARGS)

test-slow: .venv/installed
	.venv/bin/python -m pytest $(WORKERS) -m slow $(TEST_ARGS)

# XLA takes longer to optimize these programs than they run, and compiles the same ones again and again.
test-jax: .venv-jax/installed
	KERAS_BACKEND=jax XLA_FLAGS=--xla_backend_optimization_level=0 JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.venv-jax/compiled \
	  JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 \
	  .venv-jax/bin/python -m pytest $(WORKERS) $(WITH_A_BACKEND) $(TEST_ARGS)

test-torch: .venv-torch/installed
	KERAS_BACKEND=torch .venv-torch/bin/python -m pytest $(WORKERS) $(WITH_A_BACKEND) $(TEST_ARGS)

serve: .venv-serve/installed
	@test -f runs/quickstart/bundle/bundle.json || { \
	  echo "There is no runs/quickstart/bundle yet: make run writes it." >&2; exit 1; }
	.venv-serve/bin/kerasvae serve runs/quickstart/bundle $(SERVE_ARGS)

test-serve: .venv-serve/installed
	.venv-serve/bin/python -m pytest tests/serving/test_server*.py tests/serving/test_bundle.py \
	  tests/serving/test_manifest.py $(TEST_ARGS)

lint: .venv/installed
	.venv/bin/ruff check .

clean:
	rm -rf .venv .venv-jax .venv-torch .venv-serve

.venv/installed: EXTRAS = test,export
.venv-jax/installed: EXTRAS = test,jax
.venv-torch/installed: EXTRAS = test,torch

# A name on the path proves little (version managers leave stubs), so each candidate is run.
.venv/installed .venv-jax/installed .venv-torch/installed: setup.cfg pyproject.toml
	@python=; for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; \
	  then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "kerasvae needs Python 3.11, 3.12 or 3.13 and found none; name one with: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; fi; \
	echo "Building $(@D) with $$("$$python" --version) for kerasvae[$(EXTRAS)]: some minutes and about 2 GB, once."; \
	rm -rf $(@D) && "$$python" -m venv $(@D) && \
	$(@D)/bin/python -m pip install --disable-pip-version-check --progress-bar on -e '.[$(EXTRAS)]' && \
	touch $@

# The requirements of the extras alone, without those of the package, which bring TensorFlow.
.venv-serve/installed: setup.cfg pyproject.toml
	@python=; for candidate in $(PYTHON) python3 python3.12 python3.11 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' >/dev/null 2>&1; \
	  then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "kerasvae serve needs Python 3.11 or 3.12 and found none; name one with: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; fi; \
	echo "Building $(@D) with $$("$$python" --version) for kerasvae serve: minutes and about 500 MB, once."; \
	rm -rf $(@D) && "$$python" -m venv $(@D) && \
	$(@D)/bin/python -c 'import configparser; setup = configparser.ConfigParser(); setup.read("setup.cfg"); \
	extras = setup["options.extras_require"]; print(extras["serve"], extras["serve-test"])' > $(@D)/requirements.txt && \
	$(@D)/bin/python -m pip install --disable-pip-version-check --progress-bar on -r $(@D)/requirements.txt && \
	$(@D)/bin/python -m pip install --disable-pip-version-check --no-deps -e . && \
	touch $@
