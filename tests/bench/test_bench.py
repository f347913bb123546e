"""Tests of the benchmarks: the generated pages do not change, and the benchmarks run."""

import asyncio
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from tests.bench import capacity, generator, loop, peers, report, reviewed, turn, users
from tests.bench.__main__ import BENCHES, COMPARED, main
from tests.bench.baseline import compare
from tests.bench.figures import Result, as_json
from tests.bench.homes import Options
from tests.bench.machine import describe
from tests.bench.meters import process_ids
from tests.bench.simulation import Demand, Deployment, max_sustained_rate, simulate
from tests.bench.ticking import Clock
from tests.bench.timing import Samples


def test_a_seed_gives_the_same_pages_and_another_seed_others() -> None:
    pages = [*generator.pages(200, seed=1)]

    assert pages == [*generator.pages(200, seed=1)]
    assert pages != [*generator.pages(200, seed=2)]
    assert generator.questions(pages, 20) == generator.questions(pages, 20)
    assert sum(len(page.passages) for page in pages) == pytest.approx(200, rel=0.1)


def test_words_are_as_common_as_in_real_documentation() -> None:
    words = " ".join(page.markdown for page in generator.pages(1_000)).lower().split()
    commonest = sorted((words.count(word) for word in set(generator.FUNCTION)), reverse=True)

    assert 0.1 < sum(commonest[:10]) / len(words) < 0.3


def test_pages_become_files(tmp_path: Path) -> None:
    pages = [*generator.pages(60)]

    generator.write(pages, tmp_path)

    assert len([*tmp_path.rglob("*.md")]) == len(pages)


async def test_a_bench_says_what_it_measured_and_whether_that_is_too_much(tmp_path: Path) -> None:
    result = await turn.run(Options(tmp_path, passages=60, rounds=2))

    said = json.loads(as_json(describe(), [result]))
    assert said["machine"]["cores"] >= 1
    figures = {figure["name"]: figure for figure in said["benches"]["turn"]["figures"]}
    overhead = figures["overhead, 200 messages of history"]
    assert overhead["unit"] == "ms"
    assert overhead["limit"] == turn.LIMIT
    assert overhead["verdict"] in ("ok", "over")


async def test_the_weight_of_peer_review_is_measured_on_a_golden_set(tmp_path: Path) -> None:
    golden = tmp_path / "golden"
    (golden / "qrels").mkdir(parents=True)
    things = ["lamp", "horn", "bell", "boat", "rope", "sail"]
    documents = [
        (f"{thing}-{store}", thing, store) for thing in things for store in ("north", "south")
    ]
    for name, lines in {
        "corpus.jsonl": [
            json.dumps({"_id": key, "text": f"The {thing} is kept in the {store} store."})
            for key, thing, store in documents
        ],
        "queries.jsonl": [
            json.dumps({"_id": thing, "text": f"Where is the {thing} kept?"}) for thing in things
        ],
        "qrels/test.tsv": [f"{thing}\t{key}\t1" for key, thing, _ in documents],
    }.items():
        (golden / name).write_text("\n".join(lines))

    result = await reviewed.run(Options(tmp_path / "scratch", folder=golden, rounds=2))

    values = {figure.name: figure.value for figure in result.figures}
    assert values["weight 0.2: reviewed first"] == 100 > values["weight 0.0: reviewed first"]
    assert values["weight 0.2: ndcg@10"] == values["weight 0.0: ndcg@10"] == 1


def build_result(bench: str, **values: float) -> Result:
    """Return a result with the given values: a ratio, a time with a limit, or times without one."""
    result = Result(bench, "one lamp")
    for name, value in values.items():
        unit = "x" if name == "ratio" else "ms"
        result.add(name, value, unit, 5.0 if name == "limited" else None)
    return result


def test_what_got_slower_is_told_and_no_time_that_another_machine_explains() -> None:
    stored = as_json({}, [build_result("lamp", ratio=2, limited=2, unlimited=2)])
    now = build_result("lamp", ratio=2.6, limited=2.4, unlimited=9, new=1)

    comparison = compare([now, build_result("horn", ratio=1)], stored)

    assert comparison.slower == ["lamp, ratio: 2.6 x, was 2 x"]
    assert comparison.skipped == ["horn"]
    assert compare([build_result("lamp", limited=2.6)], stored).slower
    assert "no other times" in comparison.to_text()


@pytest.mark.parametrize(
    ("count", "ratio", "limited", "status"), [(4, 2, 2, 0), (3, 9, 9, 0), (5, 2, 2, 1)]
)
def test_only_counts_fail_a_comparison(
    count: int,
    ratio: float,
    limited: float,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stored = tmp_path / "before.json"
    stored.write_text(as_json({}, [build_result("lamp", ratio=2, limited=2)]))
    counts = Result("counts", "one lamp")
    counts.add_count("lighting: matches", count, 4)
    results = [counts, Result("cpu", ""), build_result("lamp", ratio=ratio, limited=limited)]
    for result in results:
        monkeypatch.setitem(BENCHES, result.bench, replay(result))

    assert main(["lamp", "--against", str(stored)]) == status
    told = capsys.readouterr()
    assert [told.out.index(f"{name}: ") for name in (*COMPARED, "lamp")]
    assert ("Warning: slower than before" in told.err) == (ratio > 2)
    assert main(["lamp"]) == (limited > 5)


def replay(result: Result) -> Callable[[Options], Awaitable[Result]]:
    """Return a benchmark with this result."""

    async def run(_: Options) -> Result:
        return result

    return run


def test_another_size_is_not_compared() -> None:
    stored = as_json({}, [Result("lamp", "two lamps")])

    assert compare([build_result("lamp", ratio=1)], stored).skipped == ["lamp"]


def test_what_grows_is_plotted_by_size() -> None:
    result = Result("growth", "lamps & horns")
    for size, seconds in (("1 lamp", 0.01), ("10 lamps", 0.04)):
        result.add_times(f"{size}: lighting", Samples([seconds]), 20)
    result.add("all", 2, "s")

    html = report.build_report("a machine", [result])

    widths = re.findall(r'<rect x="\d+" y="\d+" width="([\d.]+)"', html)
    assert float(widths[1]) == pytest.approx(4 * float(widths[0]))
    assert html.count("<svg") == 1
    assert "<td>10 lamps: lighting</td><td>40 ms</td><td>40 ms</td><td>20 ms</td><td>over" in html
    assert "<td>all</td><td>2 s</td>" in html
    assert "lamps &amp; horns" in html


@pytest.mark.skipif(sys.platform != "linux", reason="children are told by /proc")
def test_a_family_is_found_while_threads_and_children_come_and_go() -> None:
    with (
        ThreadPoolExecutor(1) as other,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child,
    ):
        busy = other.submit(start_and_end_threads, 100)
        seen = 0
        while not busy.done():
            assert {os.getpid(), child.pid} <= {*process_ids(os.getpid())[0]}
            seen += 1
        child.communicate(b"\n")
    assert seen


def start_and_end_threads(times: int) -> None:
    for _ in range(times):
        threads = [Thread(target=time.sleep, args=(0.001,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_a_queue_is_as_long_as_queueing_theory_says() -> None:
    """50 requests of 10 ms per second on one core take 1 / (100 - 50) s on average (M/M/1 queue)."""
    taken = simulate(Deployment(1, 1), Demand(1e-9, 0.01), rate=50, seconds=600)

    assert taken.p95 == pytest.approx(math.log(20) / 50, rel=0.1)


def test_what_is_full_is_what_limits() -> None:
    searches = Demand(process=0.002, engine=0.005)
    one, processes, cores = (
        max_sustained_rate(site, searches, 0.2, seconds=30)
        for site in (Deployment(1, 1), Deployment(4, 1), Deployment(1, 4))
    )
    assert one == pytest.approx(processes, rel=0.1)
    assert 2 * one < cores < 500, "with four cores the one process is full"
    assert (
        max_sustained_rate(Deployment(1, 1), Demand(0.002, 0.005, 0.001, 40), 0.2, seconds=30) < one
    )


@pytest.mark.slow
async def test_what_a_request_takes_says_what_more_processes_carry(tmp_path: Path) -> None:
    load = capacity.CapacityLoad(seconds=2, searches=10, turns=4, simulated=2)

    result = await capacity.run(Options(tmp_path, passages=60), load)

    values = {figure.name: figure.value for figure in result.figures}
    for what in ("searches", "turns"):
        few, many = (
            values[f"{what} a second; processes: {p}, cores of the engine: {c}"]
            for p, c in ((1, 1), (16, 8))
        )
        assert 0 < 4 * few < many


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["counts", "cpu", "ingest", "search", "cold", "first_token", "idle"]
)
async def test_every_bench_runs(name: str, tmp_path: Path) -> None:
    result = await BENCHES[name](Options(tmp_path, passages=60, rounds=1))

    assert result.bench == name
    assert any(figure.limit for figure in result.figures) == (name != "cpu")


@pytest.mark.slow
async def test_a_crowd_may_be_small(tmp_path: Path) -> None:
    crowd = users.UserLoad(users=10, think=0.2, ramp=0.2, seconds=1, turns=5)

    result = await users.run(Options(tmp_path, passages=60), crowd)

    values = {figure.name: figure.value for figure in result.figures}
    assert values["searches that failed"] == values["turns that failed"] == 0
    assert values["searches a second"] > 1
    assert values["streams open at most"] > 1
    assert values["memory of the server at most"] >= values["memory of the server before"] > 50


@pytest.mark.slow
async def test_a_peer_is_asked_what_ibid_is_asked(tmp_path: Path) -> None:
    load = peers.PeerLoad(seconds=1, turns=4)

    result = await peers.run(Options(tmp_path, passages=60, rounds=1), load)

    assert [figure.limit for figure in result.figures if figure.unit == "x"] == [
        peers.RATIO_LIMIT,
        peers.INGEST_LIMIT,
        peers.SEARCH_LIMIT,
        peers.CHAT_LIMIT,
    ]
    assert all(figure.value > 0 for figure in result.figures if figure.unit == "x")


@pytest.mark.slow
async def test_a_loop_that_is_blocked_ticks_late(tmp_path: Path) -> None:
    clock = Clock()
    clock.start()
    await asyncio.sleep(0.02)
    time.sleep(0.05)  # noqa: ASYNC251 - it is to block
    await asyncio.sleep(0.02)
    assert max(clock.read().late) > 0.04

    result = await loop.run(Options(tmp_path, passages=60), loop.LoopLoad(1, searches=2, turns=3))

    assert [figure.limit for figure in result.figures if figure.limit] == [loop.LIMIT] * 4
    assert all(figure.value > 0 for figure in result.figures)
