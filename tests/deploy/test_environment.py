"""What .env says reaches the processes that read it, and no other; .env.example lists it all."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.compose import (
    PROCESSES,
    ROOT,
    example_env,
    filled_in,
    load_compose,
    variables_of_compose,
)
from tests.deploy.processes import machine_environment, run

OURS = ("migrate", *PROCESSES)
NOT_IN_COMPOSE = {
    "DEBUG": "never in production",
    "RISK_VAR_DIR": "the image sets it",
    "RISK_BUNDLE_DIR": "the image sets it, a volume is mounted there",
    "RISK_ATTACHMENT_DIR": "the image sets it, a volume is mounted there",
    "PROMETHEUS_MULTIPROC_DIR": "files of the processes of one container",
}
NOT_IN_SETTINGS = {
    "WEB_THREADS": "riskplatform/server.py",
    "MALLOC_ARENA_MAX": "the C library",
    "MALLOC_MMAP_THRESHOLD_": "the C library",
    "MALLOC_TRIM_THRESHOLD_": "the C library",
    "OPENBLAS_NUM_THREADS": "numpy",
    "OMP_NUM_THREADS": "OpenMP",
}
STREAMS = ("RISK_KAFKA_", "RISK_MQTT_")
SECRETS = {
    "RISK_METRICS_TOKEN": {"web"},
    "EMAIL_HOST_USER": {"web", "worker"},
    "EMAIL_HOST_PASSWORD": {"web", "worker"},
    "MLFLOW_TRACKING_URI": {"web", "worker"},
    "RISK_KAFKA_SASL_PASSWORD": {"consumer"},
}
"""Which services log in with what."""
SHOW = """
import json
from riskplatform import settings
print(json.dumps({name: repr(getattr(settings, name)) for name in dir(settings) if name.isupper()}))
"""


def names_in_settings() -> Iterator[str]:
    """What riskplatform/settings.py reads by `env(...)`, `env.kind(...)` and `os.environ[...]`."""
    for node in ast.walk(ast.parse((ROOT / "riskplatform" / "settings.py").read_text())):
        match node:
            case ast.Call(func=ast.Name("env") | ast.Attribute(ast.Name("env")), args=[name, *_]):
                yield ast.literal_eval(name)
            case ast.Subscript(value=ast.Attribute(ast.Name("os"), "environ"), slice=name):
                yield ast.literal_eval(name)


def names_in_compose() -> set[str]:
    services = load_compose(filled_in())
    return {name for service in OURS for name in services[service]["environment"]}


def settings_of(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Every setting of a process with this environment, as text."""
    given = machine_environment(environment | {"RISK_VAR_DIR": str(folder)})
    done = run(["python", "-c", SHOW], given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_compose_hands_on_every_setting() -> None:
    assert set(names_in_settings()) - names_in_compose() == NOT_IN_COMPOSE.keys()


def test_compose_sets_nothing_that_nobody_reads() -> None:
    others = {name for name in names_in_compose() if not name.startswith(STREAMS)}
    assert others - set(names_in_settings()) == NOT_IN_SETTINGS.keys()


def test_the_example_lists_what_compose_reads() -> None:
    required, optional = example_env()
    assert required | optional.keys() == variables_of_compose()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_goes_to_those_alone_who_need_it(name: str) -> None:
    services = load_compose(filled_in() | {name: "a-secret"})
    told = {service for service in OURS if name in services[service]["environment"]}
    assert told == SECRETS[name]
    assert str(services).count("a-secret") == len(told)


def test_what_is_left_out_or_empty_or_as_in_the_example_is_the_default(tmp_path: Path) -> None:
    secrets, (_, shown) = filled_in(), example_env()
    web = load_compose(secrets)["web"]["environment"]
    default = settings_of({name: value for name, value in web.items() if value}, tmp_path)
    assert settings_of(web, tmp_path) == default
    as_shown = load_compose(secrets | shown)["web"]["environment"]
    assert settings_of(as_shown, tmp_path) == default


def test_what_is_filled_in_reaches_the_web_processes(tmp_path: Path) -> None:
    chosen = {
        "RISK_METRICS_OPEN": "0",
        "RISK_METRICS_TOKEN": "for-prometheus",
        "EMAIL_HOST": "mail.example.com",
        "EMAIL_HOST_PASSWORD": "$for$mail",
        "API_USER_RATE": "7/min",
        "JWT_ACCESS_SECONDS": "60",
        "RISK_FOUR_EYES": "off",
        "RISK_CASE_APPROVAL_LIMIT": "",
    }
    found = settings_of(load_compose(filled_in() | chosen)["web"]["environment"], tmp_path)
    assert found["METRICS_OPEN"] == "False"
    assert found["METRICS_TOKEN"] == "'for-prometheus'"
    assert (found["EMAIL_HOST"], found["EMAIL_HOST_PASSWORD"]) == (
        "'mail.example.com'",
        "'$for$mail'",
    )
    assert (found["API_USER_RATE"], found["JWT_ACCESS_SECONDS"]) == ("'7/min'", "60")
    assert (found["FOUR_EYES"], found["CASE_APPROVAL_LIMIT"]) == ("False", "None")
