"""Read docker-compose.yml and the Dockerfile as their engines do, without the engines."""

import base64
import json
import re
import secrets
import shlex
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<kind>:\?|:-|:\+|-)(?P<word>[^}]*))?\})"
)
# As compose reads a line: a comment begins after a blank and #.
ENV_LINE = re.compile(r"(# )?([A-Z_]+)=(.*?)(?:\s+#.*)?")
PROCESSES = ("web", "worker", "beat", "consumer", "mqtt-consumer")


class MissingVariable(Exception):
    """A `${NAME:?message}` whose variable is unset or empty."""


def interpolate(text: str, environment: dict[str, str]) -> str:
    """Compose's substitution: `$$`, `${NAME}`, `${NAME:-word}`, `${NAME:?message}`,
    `${NAME-word}`, whose word stands for an unset variable and not for an empty one, and
    `${NAME:+word}`, whose word stands for any value."""

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        given = environment.get(found["name"], "")
        if not given and found["kind"] == ":?":
            raise MissingVariable(f"{found['name']}: {found['word']}")
        if found["kind"] == ":+":
            return found["word"] if given else ""
        if found["kind"] == "-" and found["name"] in environment:
            return given
        return given or (found["word"] or "")

    return VARIABLE.sub(value, text)


def filled_in() -> dict[str, str]:
    """A complete .env file."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "RISK_PII_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "ALLOWED_HOSTS": "risk.example.com",
        "CSRF_TRUSTED_ORIGINS": "https://risk.example.com",
        "POSTGRES_PASSWORD": secrets.token_hex(16),
        "REDIS_PASSWORD": secrets.token_hex(16),
    }


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


def variables_of_compose() -> set[str]:
    """The names that docker-compose.yml substitutes."""
    found = VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())
    return {match["name"] for match in found if match["name"]}


def example_env() -> tuple[set[str], dict[str, str]]:
    """.env.example: the names to fill in, and the optional ones with the value shown."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = [found.groups() for found in map(ENV_LINE.fullmatch, lines) if found]
    required = {name for optional, name, value in pairs if not optional and not value}
    return required, {name: value.strip("'") for optional, name, value in pairs if optional}


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
