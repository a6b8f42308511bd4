"""Steps that work ahead of each other: order, errors, early ends.  Nothing may hang."""

import threading

import pytest

from aaff.errors import OptionError
from aaff.video.flow import Channel, Closed, Flow
from tests.video.numbered import within, workers


def test_steps_keep_the_order():
    def run():
        with Flow() as flow:
            squares = flow.ahead(number * number for number in flow.ahead(range(500), 3))
            return list(flow.ahead(squares, 1))

    assert within(30, run) == [number * number for number in range(500)]
    assert not workers()


def test_a_step_is_only_a_little_ahead():
    taken = []

    def source():
        for number in range(100):
            taken.append(number)
            yield number

    def run():
        with Flow() as flow:
            channel = flow.ahead(source(), 3)
            next(channel)
            full = threading.Event()
            full.wait(0.2)  # as long as it likes to run ahead
            return len(taken)

    assert within(30, run) <= 1 + 3 + 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_comes_after_what_was_done_before_it(place):
    def step(items, at):
        for number in items:
            if number == 7 and at == place:
                raise ZeroDivisionError("seven")
            yield number

    got = []

    def run():
        with Flow() as flow:
            items = range(100)
            for at in range(3):
                items = flow.ahead(step(items, at))
            for item in items:
                got.append(item)

    with pytest.raises(ZeroDivisionError, match="seven"):
        within(30, run)
    assert got == list(range(7))
    assert not workers()


def test_leaving_early_ends_every_step_in_its_own_thread():
    ended = []

    def source():
        try:
            yield from range(10**9)
        finally:
            ended.append(threading.current_thread().name)

    def run():
        with Flow() as flow:
            for item in flow.ahead(item + 1 for item in flow.ahead(source())):
                if item == 5:
                    return

    within(30, run)
    assert ended == ["aaff-video"]
    assert not workers()


def test_a_taker_that_waits_is_woken_when_the_flow_is_left():
    never = threading.Event()

    def source():
        never.wait(20)
        yield 1

    def run():
        flow = Flow()
        channel = flow.ahead(source())
        threading.Timer(0.1, channel.close).start()
        got = list(channel)
        never.set()
        flow.close()
        return got

    assert within(30, run) == []


def test_an_error_while_a_step_lets_go_is_not_lost():
    def source():
        yield 1
        raise OSError("the device is gone")

    class Letting:
        def __iter__(self):
            return self

        def __next__(self):
            raise StopIteration

        def close(self):
            raise OSError("cannot let go")

    def run(items):
        with Flow() as flow:
            return list(flow.ahead(items))

    for items, words in ((source(), "gone"), (Letting(), "let go")):
        with pytest.raises(OSError, match=words):
            within(30, run, items)


def test_the_newest_item_wins_and_the_others_are_counted():
    channel = Channel(1, newest=True)
    for number in range(10):
        channel.put(number)
    assert (next(channel), channel.dropped) == (9, 9)
    channel.put(10)
    channel.end()
    assert list(channel) == [10]
    assert channel.dropped == 9


def test_nothing_can_be_put_into_a_closed_channel():
    channel = Channel(1)
    channel.put(1)
    blocked = threading.Timer(0.1, channel.close)
    blocked.start()
    with pytest.raises(Closed):
        within(30, channel.put, 2)
    assert list(channel) == []


def test_a_channel_without_room_is_refused():
    with pytest.raises(OptionError, match="give 1 or more"):
        Channel(0)
