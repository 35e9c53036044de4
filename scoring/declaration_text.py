"""A detector's declaration as a text: read and checked with lines; what a new one starts from."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scoring.core.bundle import compile_rules
from scoring.core.json_values import with_nul
from scoring.core.reader import SpecError
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.vocabulary import RuleError
from scoring.watchlist_files import TITLES
from scoring.yaml_lines import read_yaml, with_lines

INDEX = re.compile(r"\.(\d+)(?=\.|$)")
MOST_TEXT = 100_000
"""Characters of a declaration that is edited on a page."""
MOST_WRONG = 20
"""Rules that are told as wrong at once: what each may have meant is looked for among all names."""
SKETCH = """\
slug: my_detector                  # a-z, 0-9, _; part of the API's address, and stays
name: My detector
description: What it looks for, in a sentence.
event:
  id: transaction_id               # makes scoring idempotent
  time: timestamp                  # without one: the time of arrival
  amount: amount                   # what is at risk
  entity: customer_id              # alerts are grouped by it
  entity_word: customer
  pii: [customer_id]               # encrypted at rest, masked on pages
  schema:
    type: object
    required: [transaction_id, customer_id, amount]
    properties:
      transaction_id: {type: string, minLength: 1, maxLength: 100}
      timestamp: {type: string, format: date-time}
      customer_id: {type: string, minLength: 1, maxLength: 100}
      amount: {type: number, minimum: 0, maximum: 1000000}
      channel: {type: string, enum: [web, app, branch]}
features:
  transformations:
    - {type: numeric, config: {fields: [amount]}}
    - {type: category, config: {fields: [channel]}}
    - {type: calendar, config: {parts: [hour, weekend]}}
    - type: time_window_aggregation
      config:
        entity_key: customer_id
        windows: [1h, 24h, 7d]
        aggregations: [count, mean]
        value: amount
rules:
  - code: MANY_WITHIN_AN_HOUR
    when: customer_id_count_1h > most
    parameters: {most: 10}
    outcome: REVIEW                # or BLOCK; or a weight in its place
    text: More than 10 events within an hour.
costs: {review_cost: 5, false_block_cost: 20}
training: {learner: lightgbm, label_delay: 7d}
"""


def base_of(text: str) -> str:
    """By what it is known that the text which somebody edits still stands."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_text(text: str) -> tuple[dict[str, Any], dict[str, int]]:
    """(the declaration, checked; line by place). Raises SpecError: all problems, with lines."""
    config, lines = read_yaml(text)
    try:
        check_config(config)
    except SpecError as error:
        raise SpecError(with_lines(error.problems, lines)) from error
    return config, lines


def check_config(config: Mapping[str, Any]) -> DetectorSpec:
    """The parsed declaration, which a database can keep; its rules compile. Raises SpecError."""
    _check_storable(config)
    spec = parse_spec(config)
    _check_lists(spec)
    check_rules(spec)
    return spec


def _check_storable(config: Any) -> None:
    """PostgreSQL holds no NUL in a text. Raises SpecError naming each place with one."""
    places = [INDEX.sub(r"[\1]", place) for place in with_nul(config)]
    if places:
        raise SpecError([(place, "must not hold the character U+0000") for place in places])


def _check_lists(spec: DetectorSpec) -> None:
    """Names are screened against lists that there are. Raises SpecError naming each other one."""
    lists = spec.screening.lists if spec.screening else ()
    known = ", ".join(TITLES)
    problems = [
        ("screening.lists", f"'{name}' is none of {known}") for name in lists if name not in TITLES
    ]
    if problems:
        raise SpecError(problems)


def check_rules(spec: DetectorSpec) -> None:
    """Compile every rule. Raises SpecError naming those that cannot be, at most MOST_WRONG."""
    problems: list[tuple[str, str]] = []
    for i, rule in enumerate(spec.rules):
        if len(problems) == MOST_WRONG:
            said = f"{MOST_WRONG} are wrong; those from rules[{i}] on were not looked at yet"
            problems.append(("rules", said))
            break
        try:
            compile_rules(replace(spec, rules=(rule,)))
        except RuleError as error:
            problems.append((f"rules[{i}].{error.part}", str(error)))
    if problems:
        raise SpecError(problems)
