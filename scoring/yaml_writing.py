"""Stored declarations as YAML that people edit."""

from typing import Any

import yaml

FIRST = (
    *("slug", "name", "description", "source_type", "detector", "type", "config", "event"),
    *("id", "time", "elapsed", "amount", "currency", "entity", "entity_word", "pii"),
    *("undeclared", "links", "label_column", "required", "properties", "schema"),
    *("mapping", "pii_fields"),
    *("labels", "transformations", "immutable", "features"),
    *("code", "version", "when", "parameters", "outcome", "weight", "text", "rules"),
    *("screening", "audit_rate", "costs", "training"),
)
"""Keys in the order in which people read them: a database keeps them in one of its own."""
RANKS = {key: rank for rank, key in enumerate(FIRST)}
NAMED = ("properties", "mapping", "labels", "parameters")
"""Mappings whose keys are names that somebody gave."""
SHORT, LIST, WIDE = 72, 600, 98
"""Characters of a mapping and of a list that take no line for each entry, and of a line."""
BREAKS = "\x85\u2028\u2029"
"""What YAML takes for the end of a line too."""


class _Dumper(yaml.SafeDumper):
    """Small collections in one line, texts of several lines as they read, nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = _fits([part for pair in node.value for part in pair], SHORT)
        return node

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        node = super().represent_sequence(tag, sequence, flow_style)
        # A text with a blank would be broken there.
        spaced = any(" " in part.value for part in node.value if isinstance(part.value, str))
        node.flow_style = _fits(node.value, SHORT if spaced else LIST)
        return node


def _fits(parts: list[yaml.Node], most: int) -> bool:
    """Whether these are plain values, of no more than so many characters together."""
    plain = all(isinstance(part, yaml.ScalarNode) for part in parts)
    return plain and sum(len(part.value) + 2 for part in parts) <= most


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else ""
    if any(mark in text for mark in BREAKS):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def write_yaml(value: Any) -> str:
    """A value of JSON as YAML that `read_yaml` reads as the same value."""
    ordered = _ordered(value)
    return str(yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDE))


def _ordered(value: Any, key: str = "") -> Any:
    """The same value; mappings whose keys are settings begin with those that people read first."""
    if isinstance(value, list):
        return [_ordered(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    pairs = list(value.items())
    if key not in NAMED:
        pairs.sort(key=lambda pair: RANKS.get(pair[0], len(FIRST)))
    return {name: _ordered(inner, name) for name, inner in pairs}
