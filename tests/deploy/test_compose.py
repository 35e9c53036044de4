"""docker-compose.yml and the Dockerfile are honest: their very commands run here, healthy."""

import json
import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis

from accounts.roles import PERMISSIONS_BY_ROLE as ROLES
from riskplatform.web import GRACE_SECONDS
from tests.deploy.compose import (
    PROCESSES,
    ROOT,
    MissingVariable,
    command_of,
    example_env,
    exec_form,
    filled_in,
    healthcheck_of,
    load_compose,
    load_dockerfile,
)
from tests.deploy.processes import free_port, machine_environment, run, started, wait_for

POSTGRES_URL = os.environ.get("RISK_TEST_POSTGRES_URL", "")
REDIS_URL = os.environ.get("RISK_TEST_REDIS_URL", "")
KAFKA = os.environ.get("RISK_TEST_KAFKA", "")
MQTT = os.environ.get("RISK_TEST_MQTT", "")
SHIPPED = ["anomaly", "cards", "credit_card_fraud", "creditcard", "fraud", "payments"]
SHOWN = """
import json
from django.contrib.auth.models import Group
from scoring.models import Detector
detectors = Detector.objects.order_by("slug").values_list("slug", flat=True)
roles = Group.objects.order_by("name").values_list("name", flat=True)
print(json.dumps({"detectors": list(detectors), "roles": list(roles)}))
"""
# Other tests use the first databases of the shared Redis.
REDIS_DATABASE = 13

real_services = [
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("compose"),
    pytest.mark.skipif(
        not (POSTGRES_URL and REDIS_URL),
        reason="needs RISK_TEST_POSTGRES_URL and RISK_TEST_REDIS_URL",
    ),
]


def at_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


# --- What can be read ------------------------------------------------------------------------
@pytest.mark.parametrize("name", filled_in())
def test_compose_refuses_to_start_without(name: str) -> None:
    with pytest.raises(MissingVariable, match=name):
        load_compose(filled_in() | {name: ""})


def test_the_example_env_names_what_compose_requires() -> None:
    assert example_env()[0] == filled_in().keys()


def test_every_long_running_service_has_a_health_check() -> None:
    services = load_compose(filled_in())
    one_shot = {"migrate"}
    assert all(services[name]["healthcheck"]["test"] for name in services.keys() - one_shot)


@pytest.mark.parametrize("name", PROCESSES)
def test_nothing_starts_before_the_migrations_are_done(name: str) -> None:
    waits_for = load_compose(filled_in())[name]["depends_on"]
    assert waits_for["migrate"]["condition"] == "service_completed_successfully"


def test_the_first_service_prepares_everything_but_what_the_image_has() -> None:
    command = ["python", "manage.py", "prepare", "--no-static"]
    assert command_of(load_compose(filled_in())["migrate"]) == command
    assert any("collectstatic" in argument for name, argument in load_dockerfile() if name == "RUN")


def test_web_and_worker_share_the_bundles() -> None:
    services = load_compose(filled_in())
    assert {services[name]["volumes"][0] for name in PROCESSES} == {"bundles:/srv/bundles"}


def test_the_web_port_is_not_open_to_the_network() -> None:
    assert load_compose(filled_in())["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_no_container_s_log_fills_the_disk() -> None:
    for name, service in load_compose(filled_in()).items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name


def test_postgres_has_room_for_queries_that_run_in_parallel() -> None:
    """Docker gives 64 MB; one query takes work_mem times hash_mem_multiplier for each process."""
    room = int(load_compose(filled_in())["postgres"]["shm_size"].removesuffix("mb"))
    one_query = 4 * 2 * 3
    assert room >= 8 * one_query, "as many at once as a web process has threads"


@pytest.mark.parametrize("name", [*PROCESSES, "migrate"])
def test_measurements_end_with_their_container(name: str) -> None:
    service = load_compose(filled_in())[name]
    assert service["tmpfs"] == service["environment"]["PROMETHEUS_MULTIPROC_DIR"]


@pytest.mark.parametrize("address", ["", "https://user:secret@mlflow.example"])
def test_the_image_has_the_client_of_mlflow_where_it_is_used(address: str) -> None:
    services = load_compose(filled_in() | {"MLFLOW_TRACKING_URI": address})
    given = services["worker"]["build"]["args"]
    assert "secret" not in json.dumps(given)  # An image tells its arguments to whoever has it.
    [install] = [what for name, what in load_dockerfile() if what.startswith("uv pip install")]
    told = run(["sh", "-c", f"echo {install}"], {"PATH": os.environ["PATH"], **given}).stdout
    words = told.split()
    assert ("requirements-mlflow.lock" in words) == bool(address)
    assert "requirements.lock" in words


def test_requests_under_way_are_answered_before_the_web_container_is_killed() -> None:
    # Left out, it is Docker's 10 s.
    grace = load_compose(filled_in())["web"].get("stop_grace_period", "10s")
    assert int(grace.removesuffix("s")) > GRACE_SECONDS + 5


def test_the_image_runs_as_an_ordinary_user() -> None:
    last_stage = load_dockerfile()[::-1]
    stage = last_stage[: next(i for i, (name, _) in enumerate(last_stage) if name == "FROM")]
    assert ("USER", "risk") in stage


def test_the_image_installs_hashed_packages_only() -> None:
    runs = [argument for name, argument in load_dockerfile() if name == "RUN"]
    assert any("--require-hashes" in run and "-r requirements.lock" in run for run in runs)
    assert all("--require-hashes" in run for run in runs if "pip install" in run)


def test_make_installs_hashed_packages_only() -> None:
    installs = re.findall(r"^.*\bpip install .*$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)


def test_every_base_image_is_pinned() -> None:
    bases = [argument.split()[0] for name, argument in load_dockerfile() if name == "FROM"]
    images = [*bases, *(load_compose(filled_in())[name]["image"] for name in ("postgres", "redis"))]
    assert all(":" in image and not image.endswith(":latest") for image in images)


def test_the_image_starts_what_compose_starts() -> None:
    instructions = dict(load_dockerfile())
    web = load_compose(filled_in())["web"]
    assert exec_form(instructions["CMD"]) == command_of(web)
    assert exec_form(instructions["HEALTHCHECK"]) == healthcheck_of(web)


def test_what_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    copied = [argument.split()[0] for name, argument in load_dockerfile() if name == "COPY"]
    local = [source for source in copied if not source.startswith("--from")]
    assert all((ROOT / source).exists() and source not in ignored for source in local)
    assert not {"manage.py", "deploy", "static", "templates", "CHANGELOG.md"} & ignored


def test_the_programs_are_in_the_locked_environment() -> None:
    services = load_compose(filled_in())
    programs = {command_of(services[name])[0] for name in (*PROCESSES, "migrate")}
    folder = str(Path(sys.executable).parent)
    assert all(shutil.which(program, path=folder) for program in programs)


# --- What can be run -------------------------------------------------------------------------
@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict]]:
    """The services of docker-compose.yml, aimed at an empty database and Redis of this machine."""
    folder = tmp_path_factory.mktemp("platform")
    database = f"compose_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f'create database "{database}"')
    cache = redis.Redis.from_url(at_path(REDIS_URL, str(REDIS_DATABASE)))
    cache.flushdb()
    services = load_compose(filled_in())
    for name in ("migrate", *PROCESSES):
        services[name]["environment"] |= {
            "DATABASE_URL": at_path(POSTGRES_URL, database),
            "REDIS_URL": at_path(REDIS_URL, str(REDIS_DATABASE)),
            "RISK_VAR_DIR": str(folder),
            "RISK_BUNDLE_DIR": str(folder / "bundles"),
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "measured"),
        }
    environment = machine_environment(services["migrate"]["environment"])
    for command in (
        ["python", "manage.py", "collectstatic", "--noinput"],
        command_of(services["migrate"]),
    ):
        done = run(command, environment)
        assert done.returncode == 0, done.stderr
    yield services
    cache.flushdb()
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f'drop database "{database}" with (force)')


class TestRealProcesses:
    pytestmark = real_services

    def test_the_first_service_leaves_detectors_and_roles(self, platform: dict[str, dict]) -> None:
        environment = machine_environment(platform["migrate"]["environment"])
        done = run(["python", "manage.py", "shell", "-v", "0", "-c", SHOWN], environment)
        assert json.loads(done.stdout) == {"detectors": SHIPPED, "roles": sorted(ROLES)}

    def test_web_becomes_healthy(self, platform: dict[str, dict], tmp_path: Path) -> None:
        web, port = platform["web"], str(free_port())
        command = [port if word == "8000" else word for word in command_of(web)]
        environment = machine_environment(web["environment"] | {"PORT": port})
        check = healthcheck_of(web)
        assert run(check, environment).returncode == 1
        with started(command, environment, tmp_path / "log") as read_log:
            wait_for(lambda: run(check, environment).returncode == 0, read_log)

    def test_worker_becomes_healthy(self, platform: dict[str, dict], tmp_path: Path) -> None:
        worker = platform["worker"]
        environment = machine_environment(worker["environment"])
        check = healthcheck_of(worker)
        check[-1] = check[-1].replace("$(hostname)", socket.gethostname())
        with started(command_of(worker), environment, tmp_path / "log") as read_log:
            wait_for(lambda: run(check, environment).returncode == 0, read_log)

    def test_beat_becomes_healthy(self, platform: dict[str, dict], tmp_path: Path) -> None:
        beat = platform["beat"]
        environment = machine_environment(beat["environment"])
        check = healthcheck_of(beat)
        assert run(check, environment).returncode == 1
        with started(command_of(beat), environment, tmp_path / "log") as read_log:
            wait_for(lambda: run(check, environment).returncode == 0, read_log, seconds=90)

    @pytest.mark.kafka
    @pytest.mark.skipif(not KAFKA, reason="needs RISK_TEST_KAFKA")
    def test_consumer_becomes_healthy(self, platform: dict[str, dict], tmp_path: Path) -> None:
        consumer = platform["consumer"]
        environment = machine_environment(
            consumer["environment"] | {"RISK_KAFKA_BOOTSTRAP": KAFKA, "RISK_VAR_DIR": str(tmp_path)}
        )
        check = healthcheck_of(consumer)
        assert run(check, environment).returncode == 1
        with started(command_of(consumer), environment, tmp_path / "log") as read_log:
            wait_for(lambda: run(check, environment).returncode == 0, read_log)

    @pytest.mark.mqtt
    @pytest.mark.skipif(not MQTT, reason="needs RISK_TEST_MQTT")
    def test_mqtt_consumer_becomes_healthy(self, platform: dict[str, dict], tmp_path: Path) -> None:
        consumer = platform["mqtt-consumer"]
        environment = machine_environment(
            consumer["environment"] | {"RISK_MQTT_BROKER": MQTT, "RISK_VAR_DIR": str(tmp_path)}
        )
        check = healthcheck_of(consumer)
        assert run(check, environment).returncode == 1
        with started(command_of(consumer), environment, tmp_path / "log") as read_log:
            wait_for(lambda: run(check, environment).returncode == 0, read_log)
