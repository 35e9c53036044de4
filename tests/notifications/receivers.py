"""Real servers on this machine that receive what is sent: HTTP that answers as told, SMTP."""

import email
import email.policy
import http.server
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any


@dataclass
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP receiver. `answers` are used up one by one; the last one stays."""

    port: int = 0
    answers: list[dict[str, Any]] = field(default_factory=lambda: [{"status": 200}])
    requests: list[Received] = field(default_factory=list)

    def url(self, path: str = "/hook/verysecretpart", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


class HttpHandler(http.server.BaseHTTPRequestHandler):
    """Answers as its server's receiver says."""

    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        receiver.requests.append(Received(self.path, dict(self.headers.items()), body))
        answers = receiver.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        time.sleep(answer.get("hangs", 0))
        try:
            self._answer(answer)
        except OSError:
            return  # The sender had enough of it.

    def _answer(self, answer: dict[str, Any]) -> None:
        if answer.get("drips"):
            self._drip(answer["drips"])
            return
        self.send_response(answer["status"])
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        for _ in range(answer.get("floods", 0)):
            self.wfile.write(b"." * 65536)

    def _drip(self, count: int) -> None:
        """A header that comes byte by byte, for as long as it likes."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        for _ in range(count):
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *args: Any) -> None:
        """The test says what it saw."""


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HttpHandler)
    server.receiver = receiver  # type: ignore[attr-defined]
    server.daemon_threads = True
    server.block_on_close = False
    receiver.port = server.server_address[1]
    with _running(server):
        yield receiver


@dataclass
class MailSink:
    """An SMTP server that keeps what it gets. `refuses`: the answer to every recipient."""

    port: int = 0
    refuses: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)


class MailHandler(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs."""

    def handle(self) -> None:
        sink: MailSink = self.server.sink  # type: ignore[attr-defined]
        self._say("220 sink")
        for raw in self.rfile:
            line = raw.decode().strip()
            verb = line[:4].upper()
            if verb == "DATA":
                self._say("354 go on")
                sink.mails.append(self._take())
            if verb == "RCPT" and not sink.refuses:
                sink.recipients.append(line.partition(":")[2].strip("<> "))
            self._say(sink.refuses if verb == "RCPT" and sink.refuses else "250 ok")
            if verb == "QUIT":
                return

    def _take(self) -> EmailMessage:
        lines = []
        for raw in self.rfile:
            if raw == b".\r\n":
                break
            lines.append(raw.removeprefix(b".") if raw.startswith(b"..") else raw)
        return email.message_from_bytes(b"".join(lines), policy=email.policy.default)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    """A mail server on a free port of this machine."""
    sink = MailSink()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailHandler)
    server.sink = sink  # type: ignore[attr-defined]
    server.daemon_threads = True
    server.block_on_close = False
    sink.port = server.server_address[1]
    with _running(server):
        yield sink


@contextmanager
def mail_server(settings: Any) -> Iterator[MailSink]:
    """A mail server on this machine that the settings (of pytest-django) name."""
    with mail_sink() as found:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", found.port
        settings.DEFAULT_FROM_EMAIL = "Risk platform <risk@bank.example>"
        settings.SITE_URL = "https://risk.bank.example"
        yield found


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
