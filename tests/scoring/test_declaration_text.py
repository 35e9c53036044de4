"""A declaration as a text: each mistake is told at its line, in words that say what to write."""

import pytest

from scoring.core.reader import MOST_HINTS, SpecError
from scoring.core.spec import parse_spec
from scoring.declaration_text import MOST_WRONG, SKETCH, read_text

SCREENED = SKETCH.replace(
    "costs:", "screening: {name: channel, lists: [un], embargoed: [KP]}\ncosts:"
)


def mistakes(text):
    with pytest.raises(SpecError) as caught:
        read_text(text)
    return [f"{place}: {said}" for place, said in caught.value.problems]


def in_sketch(old, new, text=SCREENED):
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[un]", "[un, ofac]", "line 37: screening.lists: 'ofac' is none of ofac_sdn, un"),
        ("[KP]", "[NO]", 'line 37: screening.embargoed: has a false: Norway is written "NO", in'),
        ("name: channel", "name: amount", "line 37: screening.name: 'amount' must be declared as"),
        ("[un],", "[un], birth_date: amount,", "line 37: screening.birth_date: 'amount' must be"),
        ("    outcome:", "    stage: shadow\n    outcome:", "line 35: rules[0].stage: is live: a"),
        ("  time:", "  label_column: channel\n  time:", "line 6: event.label_column: 'channel' is"),
        ("        entity_key: customer_id\n", "",
         "line 26: features.transformations[3].config.entity_key: is missing: name a property"),
    ],
)  # fmt: skip
def test_what_would_silently_not_count_is_a_mistake_with_its_line(old, new, says):
    assert any(said.startswith(says) for said in mistakes(in_sketch(old, new)))


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("{type: encoding, config: {fields: [amount]}}", "'amount' is a number: encoding takes"),
        ("{type: scaling, config: {fields: [channel]}}", "'channel' is a category: scaling takes"),
    ],
)
def test_a_step_that_cannot_take_a_feature_says_what_it_takes(step, says):
    [said] = mistakes(in_sketch("rules:\n", f"    - {step}\nrules:\n"))
    assert says in said and said.startswith("line 31: features.transformations[4].config.fields")


def test_a_live_rule_may_say_so():
    config, _ = read_text(in_sketch("    outcome:", "    stage: live\n    outcome:"))
    assert parse_spec(config).rules[0].code == "MANY_WITHIN_AN_HOUR"


def test_what_was_taken_in_before_stays_readable():
    config, _ = read_text(SCREENED)
    config["rules"][0]["stage"] = "draft"
    config["event"]["label_column"] = "channel"
    config["screening"] |= {"name": "amount", "lists": ["gone"]}
    assert parse_spec(config, stored=True).screening.lists == ("gone",)


def test_of_very_many_wrong_rules_the_first_are_told():
    """Looking for what each may have meant took 3 s where there are 400, while somebody writes."""
    rules = "".join(
        f"  - {{code: R{n}, when: amont > {n}, outcome: REVIEW, text: x}}\n" for n in range(400)
    )
    said = mistakes(in_sketch("rules:\n", f"rules:\n{rules}"))
    assert len(said) == MOST_WRONG + 1
    assert sum("did you mean amount?" in one for one in said) == MOST_WRONG
    assert said[0].endswith("rules: 20 are wrong; those from rules[20] on were not looked at yet")


def test_of_very_many_wrong_labels_few_are_looked_for():
    labels = "".join(f"    amont_{n:04d}: x\n" for n in range(300))
    said = mistakes(in_sketch("rules:\n", f"  labels:\n{labels}rules:\n"))
    assert len(said) == 300
    assert [n for n, one in enumerate(said) if "did you mean" in one] == list(range(MOST_HINTS))
