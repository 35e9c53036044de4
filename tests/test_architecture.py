"""What the import contracts in pyproject.toml cannot say."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import grimp
import pytest

from tests.dialects import TRIED_BY

ROOT = Path(__file__).resolve().parent.parent
APPS = (
    *("accounts", "jobs", "notifications", "scoring", "cases"),
    *("models_registry", "riskplatform"),
)
PURE = ("scoring/core", "scoring/simulation", "models_registry/core", "cases/workflow.py")
FOR_FEW_REQUESTS = {
    *("scipy", "fpdf", "fontTools", "PIL", "xlsxwriter", "redis", "plotly", "numpy.random"),
    *("requests", "pygments", "jinja2"),
}
TRAINING_LIBRARIES = {"sklearn", "lightgbm", "shap", "onnx", "pandas", "xgboost", "imblearn"}
LINES_PER_FILE = 400
DIALECT = re.compile(
    r"\.vendor\b|vendor == |\.select_for_update\(|\.cursor\(\)"
    r"|(import|from) psycopg|\bpostgres\.(?!py\b)[a-z]"
)
"""How modules speak to a database in ways in which SQLite and PostgreSQL differ."""
# What an app shows to the apps above it; its pages, tasks and commands are its own affair.
MEETING_PLACES = {
    *("services", "selectors", "models", "signals", "deployment", "workflow", "core"),
    "labelling",  # labels, and the windows that learn them
    "erasing",  # personal data taken out of what is stored of a person
    "feature_store",  # stored events read again, where a dataset lacks a feature
    "policies",  # for how long a model may serve is part of the policy in force
    "shortfalls",  # what is in force and does not do what it says, for the integrity page
    "rebuilding",  # windows learnt anew, where a promotion changes what they track
    # What a page shows of a prediction, for the pages of every app.
    *("presenting", "prediction_reasons", "screened", "figures", "knowing", "usual"),
    *("side_by_side", "timeline_figure", "standing_orders"),
    # A backtest: rules as rows and texts, what they read of stored events, and the editor, which it
    # gives back with what was typed when that cannot be tried.
    *("policy_models", "rule_editing", "rule_reports", "rule_forms", "rule_views"),
    # How a job is announced, and how it says how far it is and what its end is foretold from.
    *("dispatch", "progress", "remaining"),
}


def python_files(*places: str) -> list[Path]:
    found: list[Path] = []
    for place in places:
        path = ROOT / place
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    # What a benchmark leaves behind is not ours: the yardstick's own packages.
    return [path for path in found if not {"migrations", "results"} & set(path.parts)]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def loaded_by(*modules: str) -> set[str]:
    """Packages and modules in a fresh interpreter after importing `modules`."""
    code = "import importlib, sys\n"
    code += "".join(f"importlib.import_module({name!r})\n" for name in modules)
    code += "print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.split())


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph(*APPS, exclude_type_checking_imports=True, cache_dir=None)


def modules_in_cycles(graph: grimp.ImportGraph) -> set[str]:
    """Modules that can reach themselves: peel off what imports nothing left, until none goes."""
    ahead = {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
    while True:
        free = {name for name, targets in ahead.items() if not targets & ahead.keys()}
        if not free:
            return trim_importers(ahead)
        for name in free:
            del ahead[name]


def trim_importers(ahead: dict[str, set[str]]) -> set[str]:
    """Drop what merely leads into a cycle: modules that nothing left imports."""
    while True:
        imported = {target for targets in ahead.values() for target in targets}
        outside = ahead.keys() - imported
        if not outside:
            return set(ahead)
        for name in outside:
            del ahead[name]


def test_the_pure_places_load_without_django() -> None:
    modules = [module_name(path) for path in python_files(*PURE) if "learners" not in path.parts]
    assert not loaded_by(*modules) & {"django", "rest_framework", "celery"}


def test_scoring_core_loads_no_training_library() -> None:
    modules = [module_name(path) for path in python_files("scoring/core")]
    assert not loaded_by(*modules) & TRAINING_LIBRARIES


def test_a_web_process_loads_no_training_library_and_nothing_large_that_few_requests_need() -> None:
    views = ("riskplatform.urls", "scoring.api.views", "scoring.core.surrogate")
    loaded = loaded_by("riskplatform.wsgi", *views)
    assert not loaded & (TRAINING_LIBRARIES | FOR_FEW_REQUESTS)


def test_no_module_is_in_an_import_cycle() -> None:
    assert modules_in_cycles(import_graph()) == set()


def test_a_cycle_would_be_seen() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")):
        graph.add_import(importer=importer, imported=imported)
    assert modules_in_cycles(graph) == {"b", "c"}


@pytest.mark.parametrize("app", ["jobs", "notifications", "scoring", "cases"])
def test_other_apps_meet_it_at_services_and_rows_only(app: str) -> None:
    graph = import_graph()
    others = [name for name in graph.modules if name.partition(".")[0] not in {app, "riskplatform"}]
    met = {target for name in others for target in graph.find_modules_directly_imported_by(name)}
    places = {name.split(".")[1] for name in met if name.startswith(f"{app}.")}
    assert places <= MEETING_PLACES


def test_every_file_is_short_enough_to_read() -> None:
    files = python_files(*APPS, "tests", "benchmarks", "deploy", "manage.py")
    lengths = {module_name(path): len(path.read_text().splitlines()) for path in files}
    assert {name: n for name, n in lengths.items() if n >= LINES_PER_FILE} == {}


def test_what_differs_between_databases_is_tried_on_both_at_every_landing() -> None:
    speaking = [path for path in python_files(*APPS) if DIALECT.search(path.read_text())]
    named = {module for modules in TRIED_BY.values() for module in modules}
    assert {module_name(path) for path in speaking} == named
    for place in TRIED_BY:
        file, _, test = place.partition("::")
        assert not test or f"def {test}(" in (ROOT / file).read_text(), place
        assert (ROOT / file).is_file(), place


def test_init_files_are_empty() -> None:
    inits = [path for path in python_files(*APPS) if path.name == "__init__.py"]
    assert [module_name(path) for path in inits if path.read_text().strip()] == []


def test_nothing_loads_a_pickle() -> None:
    forbidden = {"pickle", "joblib", "cloudpickle", "dill", "marshal", "shelve"}
    for path in python_files(*APPS, "benchmarks", "deploy"):
        if path.parent.name == "peer":
            continue  # The yardstick that we measure against; nothing of ours imports it.
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            tops = {name.partition(".")[0] for name in names}
            assert not tops & forbidden, module_name(path)


def required_packages(name: str) -> set[str]:
    found = re.findall(r"^([A-Za-z][\w.-]*)", (ROOT / name).read_text(), re.M)
    return {package.lower().replace("_", "-") for package in found}


@pytest.mark.parametrize(
    "name",
    [
        *("requirements", "requirements-streaming", "requirements-mlflow", "requirements-dev"),
        "requirements-uv",
    ],
)
def test_the_lock_holds_every_requirement(name: str) -> None:
    locked = re.findall(r"^([a-z0-9][\w.-]*)==", (ROOT / f"{name}.lock").read_text(), re.M)
    assert required_packages(f"{name}.txt") <= set(locked)


def test_whoever_is_told_what_to_install_is_given_a_lock() -> None:
    # pip refuses a requirements file whose constraints have hashes: it then wants all of them.
    paths = [
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        *(ROOT / "models_registry").rglob("*.py"),
        *(ROOT / "scoring").rglob("*.py"),
    ]
    told = [
        file
        for path in paths
        for file in re.findall(r"pip install [^\n`]*?-r (requirements[-.a-z]*)", path.read_text())
    ]
    assert {"requirements-mlflow.lock", "requirements-streaming.lock"} <= set(told)
    assert not [name for name in told if not name.endswith(".lock")]


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.lock")), ids=lambda path: path.name)
def test_the_lock_names_no_registry_and_no_machine(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "index-url" not in text
