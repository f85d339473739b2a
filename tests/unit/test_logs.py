"""What a process logs: a neighbour that is away is told, and does not fill the disk."""

from __future__ import annotations

import logging

import pytest

from rec.logs import Sparing, discreet


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Written(logging.Handler):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.addFilter(Sparing(clock=clock))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def said(handler: Written, text: str, *args: object, logger: str = "aiokafka.conn", level: int = logging.ERROR) -> None:
    handler.handle(logging.LogRecord(logger, level, "", 0, text, args, None))


def test_the_same_message_passes_once_in_a_while_and_says_how_many_were_left_out() -> None:
    clock = Clock()
    written = Written(clock)
    for node in range(300):
        said(written, "Unable connect to node with id %s: %s", node, "50 % refused")
    assert written.lines == ["Unable connect to node with id 0: 50 % refused"]
    clock.now += 5
    said(written, "Unable connect to node with id %s: %s", 7, "50 % refused")
    assert written.lines[1:] == ["Unable connect to node with id 7: 50 % refused (299 more like this were left out)"]
    clock.now += 5
    said(written, "Unable connect to node with id %s: %s", 8, "refused")
    assert written.lines[2:] == ["Unable connect to node with id 8: refused"]


def test_messages_that_are_written_out_already_are_the_same_if_they_differ_in_numbers_alone() -> None:
    written = Written(Clock())
    for offset in range(50):
        said(written, f"Timer is late by {offset} s", logger="mode.timers")
    said(written, "Another thing", logger="mode.timers")
    said(written, "Timer is late by 3 s", logger="mode.timers", level=logging.WARNING)
    said(written, "Timer is late by 3 s", logger="mode.worker")
    assert written.lines == ["Timer is late by 0 s", "Another thing", "Timer is late by 3 s", "Timer is late by 3 s"]


@pytest.mark.parametrize("logger", ["agents.app", "web", "faustian", "asyncio"])
def test_what_is_said_by_others_always_passes(logger: str) -> None:
    written = Written(Clock())
    for _ in range(3):
        said(written, "the same", logger=logger)
    assert written.lines == ["the same"] * 3


def test_of_an_error_and_its_cause_the_log_has_class_and_place_and_no_words() -> None:
    def fails(user_id: str, mail: str) -> None:
        try:
            dict[str, str]()[user_id]
        except KeyError as error:
            raise ValueError(mail) from error

    with pytest.raises(ValueError, match="mia") as found:
        fails("".join(["u", "77"]), "@".join(["mia", "example.org"]))  # the stack quotes this line
    said = discreet(found.value)
    assert "ValueError" in said
    assert "KeyError" in said
    assert "in fails" in said
    assert "mia@" not in said
    assert "u77" not in said


def test_ever_new_messages_all_pass_and_no_more_than_so_many_are_remembered() -> None:
    clock = Clock()
    sparing = Sparing(clock=clock)
    for n in range(3_000):
        text = "new " + "".join(chr(97 + int(digit)) for digit in str(n))
        assert sparing.filter(logging.LogRecord("aiokafka", logging.ERROR, "", 0, text, (), None))
        assert len(sparing._kinds) <= 1_000
