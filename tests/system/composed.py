"""Services of docker-compose.yml, started on this machine with the commands and settings that stand there.

Only what a container gives is put in: where mounted files lie, which ports are free, and names of other containers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.ports import free_port
from tests.system.deployed import PLACES
from tests.system.running import PATIENCE

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
PORTS = ("8882", "8883", "8884", "8443", "3443", "8081", "8000", "3000")
"""Inside containers."""
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")


def variables(env: Path) -> dict[str, str]:
    """What a file ``.env`` sets."""
    return dict(line.split("=", 1) for line in env.read_text().splitlines() if "=" in line)


def document(values: dict[str, str]) -> dict[str, Any]:
    """docker-compose.yml with its variables filled in, as compose does; KeyError for one that must be set and is not."""

    def fill(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        if name is None:
            return "$"
        return values.get(name, default) if kind == "-" else values[name]

    return _mapped(yaml.safe_load(FILE.read_text()), lambda text: _VARIABLE.sub(fill, text))  # type: ignore[no-any-return]


def _mapped(node: Any, change: Any) -> Any:
    if isinstance(node, dict):
        return {key: _mapped(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [_mapped(value, change) for value in node]
    return change(node) if isinstance(node, str) else node


class Composition:
    """The services of an installation on one machine, each with files and ports of its own."""

    def __init__(self, installation: Path, state: Path) -> None:
        self.installation, self.state = installation, state
        self.ports = {port: str(free_port()) for port in PORTS}
        self.document = document(variables(installation / ".env"))

    def service(self, name: str) -> Service:
        return Service(self, name)


class Service:
    """One service; as a context manager it runs."""

    def __init__(self, composition: Composition, name: str) -> None:
        self._composition = composition
        self.name = name
        self.description: dict[str, Any] = composition.document["services"][name]
        self.folder = composition.state / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log"
        self._places = self._mounts()

    def _mounts(self) -> dict[str, str]:
        """Path in the container → path here."""
        places = {"/run/secrets": str(self.folder / "secrets")}
        (self.folder / "secrets").mkdir(exist_ok=True)
        for secret in self.description.get("secrets", []):
            source, target = (secret, secret) if isinstance(secret, str) else (secret["source"], secret["target"])
            file = self._composition.document["secrets"][source]["file"]
            shutil.copy(self._composition.installation / file, self.folder / "secrets" / target)
        for mount in self.description.get("volumes", []):
            source, target = mount.split(":")[:2]
            here = self._composition.installation / source
            if not source.startswith("."):
                here = self._composition.state / "volumes" / source
                here.mkdir(parents=True, exist_ok=True)
            places[target] = str(here)
        for mount in self.description.get("tmpfs", []):
            here = self.folder / "tmpfs" / mount.split(":")[0].strip("/")
            here.mkdir(parents=True, exist_ok=True)
            places[mount.split(":")[0]] = str(here)
        return places

    def here(self, text: str) -> str:
        """A text of the container as it reads on this machine."""
        changes = {
            **{rf"(?<![\w/.]){re.escape(place)}(?![\w-])": path for place, path in self._places.items()},
            **{rf"\b{port}\b": ours for port, ours in self._composition.ports.items()},
            r"\b0\.0\.0\.0\b": "127.0.0.1",
            r"http://(api|grafana)\b": "http://127.0.0.1",
            r"^broker$": "localhost",
        }
        if os.geteuid() == 0:
            changes |= {r"^user mosquitto$": "user root", "daemon off;": "daemon off; user root;"}
        # At one go, longest place first: what was put in is not changed again.
        patterns = sorted(changes, key=len, reverse=True)
        pattern = re.compile(
            "|".join(f"({each})" for each in patterns).replace("(api|grafana)", "(?:api|grafana)"), re.MULTILINE
        )
        return pattern.sub(lambda match: changes[patterns[(match.lastindex or 1) - 1]], text)

    def localise(self, container: str) -> None:
        """Put a configuration file, as it reads on this machine, in a place of the container's file system of its own."""
        text = self.here((Path(self.here(container))).read_text())
        ours = self.folder / Path(container).name
        ours.write_text(text)
        self._places[container] = str(ours)

    @property
    def environment(self) -> dict[str, str]:
        """Of the process: nothing of the developer's own settings."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GREENMINE_")}
        places = os.pathsep.join((str(Path(sys.executable).parent), PLACES))
        described = {name: self.here(value) for name, value in self.description.get("environment", {}).items()}
        image = {"GREENMINE_DATA": self._places.get("/data", str(self.folder))} if "build" in self.description else {}
        return {**clean, "PATH": places, **image, **described}

    @property
    def command(self) -> list[str]:
        """The image's entry point where the description has none, and the command."""
        entry = self.description.get("entrypoint", ["greenmine"] if "build" in self.description else [])
        return [self.here(part) for part in (*entry, *self.description["command"])]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in place of the service's own."""
        command = ["greenmine", *arguments] if arguments else self.command
        return self._finish(command)

    def check(self) -> subprocess.CompletedProcess[str]:
        """Do the health check once."""
        kind, *test = self.description["healthcheck"]["test"]
        test = [self.here(part) for part in test]
        return self._finish(["sh", "-c", *test] if kind == "CMD-SHELL" else test)

    def _finish(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
