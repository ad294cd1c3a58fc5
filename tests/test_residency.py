"""Engines in memory: loaded once, dropped when room is needed, never while somebody uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from gpt2 import Engine
from gpt2.checkpoint import Cancelled, CheckpointError
from gpt2.residency import OutOfMemory, Residency, memory_budget
from tests.small import CONFIG, small_engine, together, until

SIZE = CONFIG.num_parameters * 4


class Shelf:
    """A loader that counts; `hold` makes loads wait, `trouble` makes them fail."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.trouble: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()

    def __call__(self, name: str, cancelled: Callable[[], bool]) -> Engine:
        self.loaded.append(name)
        while not self.hold.wait(0.01):
            if cancelled():
                raise Cancelled
        if self.trouble:
            raise self.trouble
        return small_engine()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def use(residency: Residency, *names: str) -> None:
    for name in names:
        with residency.engine(name, SIZE):
            assert residency.is_loaded(name)


def test_an_engine_is_loaded_once_and_kept(shelf: Shelf) -> None:
    residency = Residency(10 * SIZE, shelf)
    assert not residency.is_loaded("a")
    with residency.engine("a", SIZE) as first, residency.engine("a", SIZE) as again:
        assert first is again
    with residency.engine("a", SIZE) as later:
        assert later is first
    assert shelf.loaded == ["a"]


def test_threads_that_want_one_engine_share_one_load(shelf: Shelf) -> None:
    residency = Residency(10 * SIZE, shelf)

    def task() -> int:
        with residency.engine("a", SIZE) as engine:
            return id(engine)

    assert len(set(together(*[task] * 8))) == 1
    assert shelf.loaded == ["a"]


def test_one_load_does_not_wait_for_another(shelf: Shelf) -> None:
    residency = Residency(10 * SIZE, shelf)
    use(residency, "b")
    shelf.hold.clear()
    slow = threading.Thread(target=use, args=(residency, "a"), daemon=True)
    slow.start()
    assert until(lambda: shelf.loaded == ["b", "a"])
    use(residency, "b")
    assert not residency.is_loaded("a")
    shelf.hold.set()
    slow.join(10)
    assert residency.is_loaded("a")


def test_the_least_recently_used_makes_room(shelf: Shelf) -> None:
    residency = Residency(3 * SIZE, shelf)
    use(residency, "a", "b", "c", "a", "d")
    assert [residency.is_loaded(name) for name in "abcd"] == [True, False, True, True]
    use(residency, "b")
    assert shelf.loaded == ["a", "b", "c", "d", "b"]


def test_an_engine_in_use_is_never_dropped(shelf: Shelf) -> None:
    residency = Residency(2 * SIZE, shelf)
    with residency.engine("a", SIZE) as engine:
        use(residency, "b", "c", "d")
        with residency.engine("a", SIZE) as again:
            assert again is engine
    assert shelf.loaded == ["a", "b", "c", "d"]


def test_what_does_not_fit_is_refused_with_the_numbers_and_drops_nothing(shelf: Shelf) -> None:
    residency = Residency(10**9 + SIZE, shelf)
    use(residency, "idle")
    with residency.engine("a", SIZE):
        with pytest.raises(OutOfMemory) as refusal, residency.engine("xl", 6 * 10**9):
            pass
        assert residency.is_loaded("idle")
    assert str(refusal.value) == (
        "xl needs 6.0 GB; of the 1.0 GB this machine has for models, 0.0 GB are in use. "
        "Choose a smaller size, or try again when other runs have ended."
    )
    assert "xl" not in shelf.loaded


def test_a_refused_engine_loads_when_others_have_ended(shelf: Shelf) -> None:
    residency = Residency(SIZE, shelf)
    with residency.engine("a", SIZE), pytest.raises(OutOfMemory):
        use(residency, "b")
    use(residency, "b")
    assert not residency.is_loaded("a")


def test_two_loads_do_not_take_the_same_room(shelf: Shelf) -> None:
    residency = Residency(SIZE, shelf)
    shelf.hold.clear()
    loading = threading.Thread(target=use, args=(residency, "a"), daemon=True)
    loading.start()
    assert until(lambda: shelf.loaded == ["a"])
    with pytest.raises(OutOfMemory):
        use(residency, "b")
    shelf.hold.set()
    loading.join(10)


@pytest.mark.parametrize("trouble", [CheckpointError("no line"), Cancelled(), RuntimeError("x")])
def test_a_failed_load_leaves_nothing_and_the_next_try_works(
    shelf: Shelf, trouble: Exception
) -> None:
    residency = Residency(SIZE, shelf)
    shelf.trouble = trouble
    with pytest.raises(type(trouble)), residency.engine("a", SIZE):
        pytest.fail("there is no engine")
    assert not residency.is_loaded("a")
    shelf.trouble = None
    use(residency, "b")
    use(residency, "a")


def test_who_waits_for_a_load_that_fails_tries_himself(shelf: Shelf) -> None:
    residency = Residency(SIZE, shelf)
    shelf.trouble = CheckpointError("no line")
    shelf.hold.clear()

    def release() -> None:
        assert until(lambda: [r.users for r in residency._residents.values()] == [3])
        shelf.hold.set()

    results = together(release, *[lambda: use(residency, "a")] * 3)
    assert [str(result) for result in results[1:]] == ["no line"] * 3
    assert shelf.loaded == ["a"] * 3
    shelf.trouble = None
    use(residency, "a")


def test_an_error_in_the_block_gives_the_engine_back(shelf: Shelf) -> None:
    residency = Residency(SIZE, shelf)
    with pytest.raises(KeyError), residency.engine("a", SIZE):
        raise KeyError
    use(residency, "b")


def test_who_waits_for_a_load_may_leave(shelf: Shelf) -> None:
    residency = Residency(SIZE, shelf)
    shelf.hold.clear()
    loading = threading.Thread(target=use, args=(residency, "a"), daemon=True)
    loading.start()
    assert until(lambda: shelf.loaded == ["a"])
    with pytest.raises(Cancelled), residency.engine("a", SIZE, cancelled=lambda: True):
        pytest.fail("there is no engine")
    shelf.hold.set()
    loading.join(10)
    assert residency.is_loaded("a")


def test_cancelling_reaches_the_loader(shelf: Shelf) -> None:
    residency = Residency(SIZE, shelf)
    shelf.hold.clear()
    with pytest.raises(Cancelled), residency.engine("b", SIZE, cancelled=lambda: True):
        pytest.fail("there is no engine")


def test_the_budget_is_a_share_of_this_machine(monkeypatch, tmp_path) -> None:
    whole = memory_budget()
    assert whole > 100_000_000
    limit = tmp_path / "memory.max"
    monkeypatch.setattr("gpt2.residency._CGROUP_LIMIT", limit)
    limit.write_text("100000000\n")
    assert memory_budget() == 80_000_000
    limit.write_text("max\n")
    assert memory_budget() >= whole
