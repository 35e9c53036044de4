"""The forms of a page: where each is sent to and how, with its fields as they stand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

SENDING = ("hx-post", "hx-get", "hx-delete")
HTMX = {"HX-Request": "true"}
LEADING = ("href", "hx-get", "hx-push-url")


@dataclass
class Form:
    """What a browser would send, untouched: `fields` by name; `files` are names of files.
    `is_sent`: whether the page has something to press for it, or sends it by itself."""

    method: str
    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    headers: dict[str, str] = field(default_factory=dict)
    is_sent: bool = True

    @property
    def path(self) -> str:
        return urlsplit(self.action).path

    @property
    def kind(self) -> tuple[str, ...]:
        """The same for the same form over another row."""
        steps = ("#" if any(map(str.isdigit, step)) else step for step in self.path.split("/"))
        return self.method, "/".join(steps), *sorted({*self.fields, *self.files})


class _Reader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.found: list[Form] = []
        self.form: Form | None = None
        self.named: dict[str, Form] = {}
        self.options: list[str] | None = None
        self.text: list[str] | None = None
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._note_link(given)
        if tag == "form":
            self._begin(given)
        elif sent := next((name for name in SENDING if name in given), ""):
            own = {given["name"]: [given.get("value", "")]} if given.get("name") else {}
            action = self._at(given[sent])
            self.found.append(Form(sent.removeprefix("hx-"), action, own, headers=HTMX))
        if tag in ("input", "button"):
            self._note_press(tag, given)
            off = given.get("type") in ("checkbox", "radio") and "checked" not in given
            self._hold(given, [] if off else [given.get("value", "")])
        elif tag == "select":
            self.options = self._hold(given, [])
        elif tag == "option" and self.options is not None:
            if "selected" in given or not self.options:
                self.options[:] = [given.get("value", "")]
        elif tag == "textarea":
            self.text = self._hold(given, [""])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = None
        elif tag == "select":
            self.options = None
        elif tag == "textarea":
            self.text = None

    def handle_data(self, data: str) -> None:
        if self.text is not None:
            self.text[0] += data

    def _note_press(self, tag: str, given: dict[str, str]) -> None:
        kinds = ("submit", "image") if tag == "input" else ("submit", "")
        form = self.named.get(given["form"]) if "form" in given else self.form
        if form is None or given.get("type", "") not in kinds or "disabled" in given:
            return
        if "formaction" in given:
            action = self._at(given["formaction"])
            self.found.append(Form(form.method, action, form.fields, form.files, form.headers))
        else:
            form.is_sent = True

    def _note_link(self, given: dict[str, str]) -> None:
        if given.get("href", "").startswith("/"):
            self.links.append(given["href"])
        for name in LEADING:
            split = urlsplit(self._at(given.get(name, "")))
            if split.query and not split.netloc:
                asked = parse_qs(split.query, keep_blank_values=True)
                self.found.append(Form("get", split.path, asked))

    def _begin(self, given: dict[str, str]) -> None:
        sent = next((name for name in SENDING if name in given), "hx-get")
        method = given.get("method", sent.removeprefix("hx-")).lower()
        action = self._at(given.get(sent) or given.get("action", ""))
        self.form = Form(
            method, action, headers=HTMX if sent in given else {}, is_sent="hx-trigger" in given
        )
        self.named[given.get("id", "")] = self.form
        self.found.append(self.form)

    def _at(self, address: str) -> str:
        return address if address.startswith("/") else self.address + address

    def _hold(self, given: dict[str, str], values: list[str]) -> list[str]:
        form = self.named.get(given["form"]) if "form" in given else self.form
        name = given.get("name", "")
        if form is None or not name:
            return values
        if given.get("type") == "file":
            form.files.add(name)
            return values
        return form.fields.setdefault(name, values)


def forms_of(address: str, page: str) -> Iterator[Form]:
    """Every form of the page at `address`, every element that htmx sends by itself, and every
    address with a query that it leads to, as the form that would ask for it."""
    reader = _Reader(address)
    reader.feed(page)
    return iter(reader.found)


def links_of(address: str, page: str) -> list[str]:
    """Every path of this platform that the page at `address` links to."""
    reader = _Reader(address)
    reader.feed(page)
    return reader.links
