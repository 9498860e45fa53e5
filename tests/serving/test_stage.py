"""The second step: in order, one at a time, beside the first where that has something to do."""

from __future__ import annotations

from threading import Event, Thread, get_ident

from headwater.serving.stage import Stage


def test_alone_it_is_done_by_whoever_gives() -> None:
    seen: list[int] = []
    stage: Stage[int] = Stage("beside", lambda _one: seen.append(get_ident()))
    stage.start()
    stage.give(1, more=False)
    assert seen == [get_ident()]
    stage.close()


def test_beside_more_it_is_done_meanwhile_and_in_order() -> None:
    go, seen = Event(), list[int]()

    def work(one: int) -> None:
        assert go.wait(10)
        seen.append(one)

    stage = Stage("beside", work)
    stage.start()
    stage.give(0, more=True)  # comes back at once, though nothing can be done
    stage.give(1, more=False)  # and so does this: another is at work
    last = Thread(target=lambda: stage.give(2, more=False))
    last.start()
    last.join(0.1)
    assert last.is_alive()  # one is worked on and one is next: the third waits
    go.set()
    last.join(10)
    stage.drain()
    assert seen == [0, 1, 2]
    stage.close()


def test_what_was_given_is_done_before_the_end() -> None:
    seen: list[int] = []
    stage: Stage[int] = Stage("beside", seen.append)
    stage.start()
    for one in range(50):
        stage.give(one, more=True)
    stage.close()
    assert seen == list(range(50))
