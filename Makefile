# Each target does all of its own set-up and, the second time, only what is left to do.
# make retrain | make test | make up [PORT=4200] [ELSEWHERE=gpu] | make down | make worker [POOL=gpu]
PYTHON ?= python3
POOL ?= gpu
INSTALL := .venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: retrain test up down worker
.DELETE_ON_ERROR:

retrain: .venv/flows.installed
	@.venv/bin/python -m flows retrain

up: .venv/flows.installed
	@.venv/bin/python -m flows up $(if $(PORT),--port $(PORT)) --elsewhere=$(ELSEWHERE)

down: .venv/flows.installed
	@.venv/bin/python -m flows down

worker: .venv/flows.installed
	@.venv/bin/python -m flows worker --pool $(POOL)

# Two files of tests at once: half of their time is waiting for servers. Threads that spin would wait for each other.
test: .venv/test.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	OMP_WAIT_POLICY=passive .venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 14) and "Handful needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.11" % v[:2])'
	$(PYTHON) -m venv .venv

# The plain requirement: any range of torch versions would bring gigabytes of CUDA.
.venv/%.installed: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "Installing into .venv (some minutes, once) ..."
	$(INSTALL) "$$(grep '^torch==' constraints.txt)"
	$(INSTALL) --editable '.[$*]'
	@touch $@ $(if $(filter test,$*),.venv/flows.installed)
