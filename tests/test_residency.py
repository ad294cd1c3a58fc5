"""Engines in memory: loaded once, dropped when room is needed, never while somebody uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from gpt2 import Engine
from gpt2.checkpoint import Cancelled, CheckpointError
from gpt2.config import SIZES, ModelSize
from gpt2.inference.torch_executor import TorchExecutor
from gpt2.model import KVCache
from gpt2.precision import weight_bytes
from gpt2.residency import OutOfMemory, Residency, cache_bytes, memory_budget
from tests.small import CONFIG, small_engine, together, until

SIZE = weight_bytes(CONFIG, "float32")


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


def packed_engine() -> Engine:
    """An engine whose readable model is not in memory."""
    whole = small_engine()
    return Engine(whole.source, whole.tokenizer, lambda: whole.model)


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


def test_a_dropped_engine_is_closed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Engine] = []
    monkeypatch.setattr(Engine, "close", lambda engine: closed.append(engine))
    residency = Residency(SIZE, shelf)
    with residency.engine("a", SIZE) as engine:
        pass
    assert closed == []
    use(residency, "b")
    assert closed == [engine]


def test_what_an_engine_takes_is_counted_anew_when_its_precision_changes(shelf: Shelf) -> None:
    """It may start with PyTorch in float32, and change over to packed weights."""
    residency = Residency(10 * SIZE, shelf)
    with residency.engine("a", SIZE // 4) as engine:
        assert residency.loaded() == {"a": SIZE}
        executor = TorchExecutor(engine.model)
        executor.precision = "int8"
        engine.change_to(executor)
        assert residency.loaded() == {"a": weight_bytes(CONFIG, "int8")}


def test_what_measurements_hold_beside_the_weights_is_counted(shelf: Shelf) -> None:
    residency = Residency(2 * SIZE, shelf)
    use(residency, "a")
    with residency.engine("b", SIZE) as engine:
        held = engine.readout.nbytes
        assert 0 < held < SIZE
        assert residency.loaded() == {"b": SIZE + held}  # and "a" made room for it
        assert engine.readout is engine.readout
        assert residency.loaded() == {"b": SIZE + held}
        assert residency.running_bytes() == 0


def test_a_model_that_is_read_for_a_measurement_needs_room_meanwhile(shelf: Shelf) -> None:
    residency = Residency(3 * SIZE // 2, lambda *_: packed_engine())
    with residency.engine("a", SIZE) as engine:
        with pytest.raises(OutOfMemory, match="a needs"):
            _ = engine.readout
        assert residency.loaded() == {"a": SIZE}
    residency = Residency(3 * SIZE, lambda *_: packed_engine())
    with residency.engine("a", SIZE) as engine:
        held = engine.readout.nbytes
        assert residency.loaded() == {"a": SIZE + held}


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
        "xl needs 6.0 GB; of the 1.0 GB this machine has for models, 166 kB are in use. "
        "Choose a smaller size, or try again when other runs have ended."
    )
    assert "xl" not in shelf.loaded


def test_what_runs_need_beside_the_weights_counts_while_they_run(shelf: Shelf) -> None:
    residency = Residency(2 * SIZE + 100, shelf)
    use(residency, "idle")
    with residency.engine("a", SIZE, run_bytes=100):
        assert residency.is_loaded("idle")
        with residency.engine("a", SIZE, run_bytes=SIZE):
            assert not residency.is_loaded("idle")
            with pytest.raises(OutOfMemory), residency.engine("a", SIZE, run_bytes=1):
                pass
        use(residency, "idle")
    with residency.engine("a", SIZE, run_bytes=SIZE + 100):
        assert shelf.loaded == ["idle", "a", "idle"]


def test_sizes_that_never_fit_together_are_refused_before_anything_is_loaded() -> None:
    residency = Residency(8 * 10**9)
    residency.check({"Small": 5 * 10**9, "Tiny": 3 * 10**9})
    with pytest.raises(OutOfMemory) as refusal:
        residency.check({"Tiny": 9_400_000, "Large": 3_200_000_000, "XL": 6_300_000_000})
    assert str(refusal.value) == (
        "Together these need 9.5 GB with their caches (Tiny 9.4 MB, Large 3.2 GB, XL 6.3 GB); this "
        "machine has 8.0 GB for models. Choose fewer or smaller sizes."
    )


def test_a_cache_takes_what_is_said() -> None:
    cache = KVCache(CONFIG, 77)
    assert cache.keys.nbytes + cache.values.nbytes == cache_bytes(CONFIG, 77)


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


def test_the_budget_is_a_share_of_what_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gpt2.runtime.device.memory_limit", lambda: 100_000_000)
    assert memory_budget() == 80_000_000


def test_16_gb_asked_for_all_four_sizes_at_once() -> None:
    budget = int(0.8 * 16e9)
    sizes = [SIZES[name] for name in ("small", "medium", "large", "xl")]
    most = 0

    def engine_of(name: str, _: Callable[[], bool]) -> Engine:
        nonlocal most
        most = max(most, sum(residency.loaded().values()) + SIZES[name].config.num_parameters * 4)
        engine = small_engine()
        # The real shape with nothing behind it: only its size counts here.
        engine.model.config = SIZES[name].config
        return engine

    residency = Residency(budget, engine_of)

    asked: list[str] = []

    def run(size: ModelSize) -> str:
        cache = cache_bytes(size.config, 1024)
        asked.append(size.name)
        with residency.engine(size.name, size.config.num_parameters * 4, run_bytes=cache):
            assert until(lambda: len(asked) >= 16)  # the others want theirs too
        return size.name

    for _ in range(3):
        asked.clear()
        results = together(*(partial(run, size) for size in sizes for _ in range(4)))
        for result in results:
            assert isinstance(result, str | OutOfMemory), result
        assert {size.name for size in sizes} <= {run(size) for size in sizes}
    assert most <= budget
