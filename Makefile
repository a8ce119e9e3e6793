# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
APT := mosquitto chromium fonts-noto-cjk docker-compose influxdb mosquitto-clients nginx-light openssl postgresql

.PHONY: demo test test-postgresql check bench install lock audit sbom pin-images release clean

demo: install
	$(BIN)/greenmine demo --port $(PORT) $(if $(GRAFANA),--grafana $(GRAFANA))

# Compiled tests are kept, whatever the environment says: four processes need not each compile all of them.
test: install
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

# The tests start a server of their own on a free port.
test-postgresql: install
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --record=postgresql

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

bench: install
	$(BIN)/python -m bench

install: .venv/installed

# The packages of the tests and of the demo's broker are installed where we may; elsewhere tests say what they miss.
.venv/installed: pyproject.toml requirements-dev.lock
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=; for p in $(APT); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
		$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
		if [ -n "$$missing" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; fi; \
		case "$$missing" in *mosquitto*) service mosquitto stop >/dev/null 2>&1 || true;; esac; \
		case "$$missing" in *influxdb*) service influxdb stop >/dev/null 2>&1 || true;; esac; \
		case "$$missing" in *postgresql*) service postgresql stop >/dev/null 2>&1 || true;; esac; \
		case "$$missing" in *nginx*) service nginx stop >/dev/null 2>&1 || true;; esac; \
	fi
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		pyproject.toml --extra server --group dev -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		pyproject.toml --extra server -c requirements-dev.lock -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		pyproject.toml -c requirements-dev.lock -o requirements-verify.lock

audit: install
	.ci/audit

sbom: install
	.ci/sbom

pin-images:
	.ci/pin-images

release: install
	.ci/release

clean:
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
