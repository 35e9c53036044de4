"""Which alerts hold the words that somebody types, however many do.

Words that few alerts hold are looked up in an index, and their alerts named one by one: whatever
else is asked about them is asked about these alone. Words that many hold are read, alert after
alert in the order that is asked for, until enough are found, and only the first are counted.
"""

from typing import Any, Final

from django.db.models import BooleanField, F, Func, QuerySet, Value

from accounts import vault
from cases.queue_models import AlertText
from cases.words import asked_words, whole_word
from scoring.core.reader import SpecError
from scoring.models import Detector

FEW: Final = 1000
"""So many alerts are named one by one; of more, the first so many are counted."""

Holding = list[int] | QuerySet[AlertText, Any]
"""Ids of alerts, or the query that tells them: both stand on the right of `pk__in`."""


def entity_fields() -> list[str]:
    """The fields that name an entity, of all detectors."""
    found = set()
    for detector in Detector.objects.all():
        try:
            found.add(detector.spec().entity_field or detector.slug)
        except SpecError:
            found.add(detector.slug)
    return sorted(found)


def tokens_of(name: str) -> list[str]:
    """What an entity of this whole name is stored as.

    Personal data is stored encrypted: it is found by its whole name or not at all.
    """
    return [vault.token(field, name) for field in entity_fields()]


def holding(text: str, tokens: list[str]) -> Holding:
    """Alerts with words that begin as typed, all of them, or of exactly that entity. One query."""
    asked, whole = asked_words(text), [whole_word(token) for token in tokens]
    found = AlertText.objects.filter(HasWords(asked, whole)).values_list("alert", flat=True)
    few = list(found[: FEW + 1])
    if len(few) <= FEW:
        return few
    return AlertText.objects.filter(WordsRead(asked, whole)).values("alert")


def newest_holding(text: str, tokens: list[str], *, most: int) -> list[int]:
    """The newest alerts that hold these words, at most so many."""
    found = holding(text, tokens)
    if isinstance(found, list):
        return sorted(found, reverse=True)[:most]
    return [row["alert"] for row in found.order_by("-alert")[:most]]


class HasWords(Func):
    """Whether `words` holds a word that begins with each of `asked`, or one of `whole`.

    On PostgreSQL by the GIN index of migration 0013; elsewhere by reading the words.
    """

    output_field = BooleanField()
    conditional = True

    def __init__(self, asked: list[str], whole: list[str]) -> None:
        self.asked, self.whole = asked, whole
        wanted = " & ".join(f"'{word}':*" for word in asked)
        exact = [f"'{word}'" for word in whole]
        query = " | ".join([f"({wanted})", *exact] if wanted else exact)
        super().__init__(F("words"), Value(query))

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """The very expression of the index."""
        words, query = self.get_source_expressions()
        words_sql, words_params = compiler.compile(words)
        query_sql, query_params = compiler.compile(query)
        sql = f"words_as_tsvector({words_sql}) @@ ({query_sql})::tsquery"
        return sql, (*words_params, *query_params)

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        """Every word by LIKE; they hold letters and digits only."""
        words_sql, params = compiler.compile(self.get_source_expressions()[0])
        begins = [f"% {word}%" for word in self.asked]
        whole = [f"% {word} %" for word in self.whole]
        every = " AND ".join([f"{words_sql} LIKE %s"] * len(begins)) or "1 = 0"
        some = "".join(f" OR {words_sql} LIKE %s" for _ in whole)
        count = len(begins) + len(whole)
        return f"(({every}){some})", (*tuple(params) * count, *begins, *whole)


class WordsRead(HasWords):
    """The same by reading: little work for one row, where the index would tell of most rows."""

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Each word stands behind a blank, a whole one between two. LIKE takes several times as
        long."""
        words, given = compiler.compile(self.get_source_expressions()[0])
        held = f"strpos({words}, %s) > 0"
        every = " AND ".join([held] * len(self.asked)) or "false"
        some = "".join(f" OR {held}" for _ in self.whole)
        sought = [f" {word}" for word in self.asked] + [f" {word} " for word in self.whole]
        return f"(({every}){some})", tuple(p for text in sought for p in (*given, text))
