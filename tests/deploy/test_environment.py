"""What .env says reaches the processes that read it, and no other; .env.example lists it all."""

import ast
import json
import re
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
    "HOST": "the command of web names it",
    "PORT": "the command of web names it",
    "RISK_VAR_DIR": "the image sets it",
    "RISK_BUNDLE_DIR": "the image sets it, a volume is mounted there",
    "RISK_ATTACHMENT_DIR": "the image sets it, a volume is mounted there",
}
NOT_IN_SETTINGS = {
    "MALLOC_ARENA_MAX": "the C library",
    "MALLOC_MMAP_THRESHOLD_": "the C library",
    "MALLOC_TRIM_THRESHOLD_": "the C library",
    "OPENBLAS_NUM_THREADS": "numpy",
    "OMP_NUM_THREADS": "OpenMP",
    "MLFLOW_TRACKING_TOKEN": "MLflow's client",
}
STREAMS = ("RISK_KAFKA_", "RISK_MQTT_")
SECRETS = {
    "RISK_METRICS_TOKEN": {"web"},
    "EMAIL_HOST_USER": {"web", "worker"},
    "EMAIL_HOST_PASSWORD": {"web", "worker"},
    "MLFLOW_TRACKING_URI": {"web", "worker"},
    "MLFLOW_TRACKING_TOKEN": {"worker"},
    "RISK_KAFKA_SASL_PASSWORD": {"consumer"},
    "RISK_MQTT_PASSWORD": {"mqtt-consumer"},
}
"""Which services log in with what."""
SHOW = """
import json
import re
from riskplatform import settings
print(json.dumps({name: repr(getattr(settings, name)) for name in dir(settings) if name.isupper()}))
"""
REFUSE = """
import json, os, runpy
from django.core.exceptions import ImproperlyConfigured
found = []
for name, value in json.loads(os.environ.pop("WRONG")):
    os.environ[name] = value
    try:
        runpy.run_path("riskplatform/settings.py")
        found.append((name, value, "accepted"))
    except ImproperlyConfigured as problem:
        found.append((name, value, str(problem)))
    del os.environ[name]
print(json.dumps(found))
"""
WRONG = (
    *(("RISK_DRIFT_KEPT_DAYS", value) for value in ("0", "1000000", "ninety")),
    *(("API_MAX_BODY_BYTES", "-5"), ("API_KEY_CACHE_SECONDS", "nan"), ("WEB_THREADS", "0")),
    *(("EMAIL_PORT", "-1"), ("EMAIL_TIMEOUT", "-1"), ("PORT", "65536"), ("PORT", "http")),
    *(("RISK_NOTIFY_PORTS", "0"), ("RISK_NOTIFY_PORTS", "https"), ("RISK_NOTIFY_SECONDS", "0")),
    *(("RISK_NOTIFY_NETWORKS", "10.0.0.1/8"), ("RISK_METRICS_NETWORKS", "intranet")),
    *(("RISK_PII_KEYS", "junk"), ("LOG_LEVEL", "loud"), ("RISK_FEATURE_STORE", "disk")),
    *(("RISK_ALERT_LOCK_MINUTES", "inf"), ("JWT_SESSION_SECONDS", "99999999999")),
    *(("RISK_RETENTION_DAYS", value) for value in ("-1", "3651", "a year")),
    *(("RISK_WATCHLIST_STALE_DAYS", value) for value in ("-1", "3651", "7d")),
    *(("ALLOWED_HOSTS", ","), ("RISK_SITE_URL", "risk")),
    ("RISK_SITE_URL", "https://*"),
)


def readings() -> Iterator[tuple[str, str]]:
    """(name, kind) of what riskplatform/settings.py reads by `env(...)`, which is of no kind,
    `env.kind(...)` and `os.environ[...]`; a stream's variables are read by their prefix."""
    for node in ast.walk(ast.parse((ROOT / "riskplatform" / "settings.py").read_text())):
        match node:
            case ast.Call(func=ast.Name("env"), args=[ast.Constant(name), *_]):
                yield name, ""
            case ast.Call(
                func=ast.Attribute(ast.Name("env"), kind), args=[ast.Constant(name), *_]
            ) if kind != "beginning":
                yield name, kind
            case ast.Subscript(value=ast.Attribute(ast.Name("os"), "environ"), slice=name):
                yield ast.literal_eval(name), ""


def names_in_settings() -> list[str]:
    return [name for name, _ in readings()]


def refusals_of(folder: Path, *wrong: tuple[str, str]) -> dict[tuple[str, str], str]:
    """What the settings say to each variable that has that value, in an embedded installation."""
    given = machine_environment({"RISK_VAR_DIR": str(folder), "WRONG": json.dumps(wrong)})
    done = run(["python", "-c", REFUSE], given)
    assert done.returncode == 0, done.stderr
    return {(name, value): said for name, value, said in json.loads(done.stdout)}


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


def test_what_compose_does_not_hand_on_is_told_in_the_readme() -> None:
    told = (ROOT / "README.md").read_text()
    assert [name for name in NOT_IN_COMPOSE if not re.search(rf"\b{name}\b", told)] == []


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


def test_a_mistyped_flag_is_refused_and_switches_no_safeguard_off(tmp_path: Path) -> None:
    flags = [name for name, kind in readings() if kind == "flag"]
    assert {"RISK_FOUR_EYES", "SECURE_PROXY", "DEBUG", "RISK_METRICS_OPEN"} <= set(flags)
    assert "RISK_MQTT_TLS" in flags
    said = refusals_of(tmp_path, *((name, text) for name in flags for text in ("ture", '"true"')))
    for (name, text), refusal in said.items():
        assert refusal.startswith(name), text
        assert ("quotes" if '"' in text else "not 'ture'") in refusal


def test_what_is_out_of_range_or_not_what_it_should_be_is_refused_by_name(tmp_path: Path) -> None:
    for (name, text), refusal in refusals_of(tmp_path, *WRONG).items():
        assert name in refusal, (name, text, refusal)


def test_quotes_that_docker_keeps_are_refused_but_around_a_password(tmp_path: Path) -> None:
    quoted = [("RISK_KAFKA_TOPIC", '"cards"'), ("ALLOWED_HOSTS", "'risk.example.com'")]
    password = ("EMAIL_HOST_PASSWORD", "'it-is-so'")
    said = refusals_of(tmp_path, *quoted, password)
    assert all("Leave them out" in said[pair] for pair in quoted)
    assert said[password] == "accepted"


def test_what_is_set_to_nothing_keeps_its_default(tmp_path: Path) -> None:
    names = [name for name, kind in readings() if kind and name != "DATABASE_URL"]
    assert {"PORT", "WEB_THREADS"} <= set(names)
    said = refusals_of(tmp_path, *((name, " ") for name in ("HOST", *names)))
    assert set(said.values()) == {"accepted"}
    found = settings_of({"HOST": "", "PORT": "", "WEB_THREADS": " "}, tmp_path)
    assert (found["HOST"], found["PORT"], found["WEB_THREADS"]) == ("'127.0.0.1'", "8000", "8")


def test_where_all_hosts_of_a_domain_are_allowed_links_lead_to_the_domain(tmp_path: Path) -> None:
    web = load_compose(filled_in() | {"ALLOWED_HOSTS": ".example.com"})["web"]["environment"]
    assert settings_of(web, tmp_path)["SITE_URL"] == "'https://example.com'"


@pytest.mark.parametrize(
    ("hosts", "origins", "home"),
    [
        ("*", "https://risk.example.com", "https://risk.example.com"),
        ("*,risk.example.org", "https://risk.example.com", "https://risk.example.org"),
        ("*", "https://*.example.com", "http://localhost:8000"),
    ],
)
def test_where_every_host_is_allowed_links_lead_to_one_that_is_named(
    hosts: str, origins: str, home: str, tmp_path: Path
) -> None:
    given = {"ALLOWED_HOSTS": hosts, "CSRF_TRUSTED_ORIGINS": origins}
    web = load_compose(filled_in() | given)["web"]["environment"]
    assert settings_of(web, tmp_path)["SITE_URL"] == repr(home)


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
