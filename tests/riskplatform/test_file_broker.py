"""The broker of installations without Redis: a message that can be seen is whole."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

TRANSPORT = "riskplatform.file_broker:Transport"


@pytest.fixture
def channel(tmp_path):
    """A channel, as every process has one."""
    options = {
        "data_folder_in": str(tmp_path / "messages"),
        "data_folder_out": str(tmp_path / "messages"),
        "control_folder": str(tmp_path / "control"),
    }
    (tmp_path / "messages").mkdir()

    def opened():
        url = "filesystem://localhost"
        return Connection(url, transport=TRANSPORT, transport_options=options).channel()

    return opened


def test_messages_come_in_order_and_once(channel):
    sender, receiver = channel(), channel()
    for number in range(20):
        sender._put("celery", {"number": number})
        sender._put("other", {"number": -number})
    assert receiver._size("celery") == 20
    assert sorted(receiver._get("celery")["number"] for _ in range(20)) == list(range(20))
    with pytest.raises(Empty):
        receiver._get("celery")


def test_a_message_is_not_seen_before_it_is_whole(channel, monkeypatch):
    sender, receiver = channel(), channel()
    write, seen = Path.write_bytes, []

    def slow(path, content):
        path.touch()
        seen.append(receiver._size("celery"))
        with pytest.raises(Empty):
            receiver._get("celery")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", slow)
    sender._put("celery", {"task": "train"})
    assert seen == [0]
    assert receiver._get("celery") == {"task": "train"}


def test_processes_that_bind_at_once_find_all_queues(channel):
    channels = [channel() for _ in range(8)]

    def bind(number):
        channels[number]._queue_bind("all", "", "", f"queue-{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bind, range(8)))
    bound = {one.queue for one in channels[0].get_table("all")}
    assert bound == {f"queue-{number}" for number in range(8)}
    assert [path.name for path in channels[0].control_folder.iterdir()] == ["all.exchange"]


def test_a_table_is_not_seen_before_it_is_whole(channel, monkeypatch):
    first, second = channel(), channel()
    write, seen = Path.write_bytes, []

    def slow(path, content):
        path.touch()
        if "race" not in seen:
            seen.append("race")
            second._queue_bind("all", "", "", "two")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", slow)
    first._queue_bind("all", "", "", "one")
    assert {one.queue for one in first.get_table("all")} == {"one", "two"}
