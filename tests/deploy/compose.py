"""Read docker-compose.yml and the Dockerfile as their engines do, without the engines."""

import json
import re
import shlex
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<word>[^}]*))?\})")


class MissingVariable(Exception):
    """A `${NAME:?message}` whose variable is unset or empty."""


def interpolate(text: str, environment: dict[str, str]) -> str:
    """Compose's variable substitution: `$$`, `${NAME}`, `${NAME:-word}`, `${NAME:?message}`."""

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        given = environment.get(found["name"], "")
        if not given and found["kind"] == "?":
            raise MissingVariable(f"{found['name']}: {found['word']}")
        return given or (found["word"] or "")

    return VARIABLE.sub(value, text)


def load_compose(environment: dict[str, str]) -> dict[str, dict]:
    """The services, anchors merged and variables filled in.

    Raises MissingVariable as compose does.
    """

    def fill(node: object) -> object:
        if isinstance(node, dict):
            return {key: fill(child) for key, child in node.items()}
        if isinstance(node, list):
            return [fill(child) for child in node]
        return interpolate(node, environment) if isinstance(node, str) else node

    parsed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return fill(parsed)["services"]


def command_of(service: dict) -> list[str]:
    """The service's command as a list of words."""
    command = service["command"]
    return shlex.split(command) if isinstance(command, str) else list(command)


def healthcheck_of(service: dict) -> list[str]:
    """The service's health check as a command to run."""
    kind, *words = service["healthcheck"]["test"]
    return ["sh", "-c", words[0]] if kind == "CMD-SHELL" else words


def load_dockerfile() -> list[tuple[str, str]]:
    """(instruction, argument) in order; comments dropped, continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name.upper(), argument) for name, argument in found]


def exec_form(argument: str) -> list[str]:
    """The JSON array of a CMD, also behind HEALTHCHECK's options."""
    return json.loads(argument[argument.index("[") :])
