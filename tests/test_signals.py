"""Signals end a command as Ctrl-C does, and those that are ignored end nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from aaff.signals import interrupts, stopping_raises

React = Callable[[signal.Signals, signal.Handlers], None]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_one_raises_and_the_cleaning_up_is_not_disturbed(number: signal.Signals, react: React) -> None:
    react(number, signal.SIG_DFL)
    react(signal.SIGHUP, signal.SIG_DFL)
    with stopping_raises() as stopped:
        assert not stopped()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGHUP)
        assert stopped()
    assert signal.getsignal(number) is signal.SIG_DFL


def test_an_ignored_signal_stays_ignored(react: React) -> None:
    react(signal.SIGHUP, signal.SIG_IGN)
    with stopping_raises() as stopped, interrupts() as interrupted:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stopped()
        assert not interrupted()


def test_another_thread_changes_nothing() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def run() -> None:
        with stopping_raises():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
