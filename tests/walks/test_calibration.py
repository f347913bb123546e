"""What a corpus answers is told from the corpus itself, in whatever language it is written."""

import re
from contextlib import aclosing
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.chat.events import Completed
from app.chat.turn_engine import Turn
from app.retrieval.calibration import Calibrator
from app.retrieval.relevance import Relevance
from app.settings import Settings
from app.wiring import Services, open_services
from storage.domain import Calibration
from storage.sql.repositories.corpora import Corpora
from tests.doubles.services import Doubles
from tests.library import PAGES
from tests.walks.test_ingesting import record_embedded

CORPUS = "beacons"
_PLACES = re.findall(
    "..",
    "北岛南湾东礁西港白石黑崖长滩短桥高山深谷红松青竹金沙银河古城新村石门风口"
    "雨林雪原云台月湖星岩日坪鹰嘴鹤川鹿原虎坡龙潭凤溪梅岭兰洲菊园荷塘桃源杏坞",
)
_CHORES = re.findall(
    "....",
    "擦亮镜片添加煤油修理钟表记录潮汐粉刷外墙检查绳索"
    "打扫楼梯敲响雾钟升起旗帜喂养山羊修补渔网劈开木柴",
)
ANSWERED = ["北岛灯塔多久闪光一次", "鹿原灯塔的守塔人晚上做什么", "桃源灯塔有多高"]
NEAR_MISSES = ["守塔人的工资是多少", "守塔人周末可以休假吗"]
"""What keepers earn, and whether they have weekends: of keepers there is much, of these nothing."""
FAR_OFF = ["国际象棋的冠军住在哪座城市", "如何安装数据库"]


def page(number: int) -> str:
    place = _PLACES[number]
    morning, evening = _CHORES[number % 12], _CHORES[(5 * number + 3) % 12]
    return (
        f"# {place}灯塔\n\n{place}灯塔每{number + 3}秒闪光一次。"
        f"守塔人每天早上{morning}、晚上{evening}。塔高{20 + number}米。\n"
    )


async def ingest_beacons(services: Services, folder: Path) -> Path:
    """A page for each of three dozen lighthouses, in Chinese."""
    folder.mkdir()
    for number in range(len(_PLACES)):
        (folder / f"{number}.md").write_text(page(number), encoding="utf-8")
    await services.library.create(CORPUS, None, "zh")
    await services.ingestion.run([folder], CORPUS)
    return folder


@pytest.fixture
async def beacons(services: Services, tmp_path: Path) -> Path:
    """Them, ingested."""
    return await ingest_beacons(services, tmp_path / "beacons")


async def are_answered(services: Services, questions: list[str]) -> list[bool]:
    told: list[bool] = []
    for question in questions:
        turn = Turn(question, await services.search.scope([CORPUS]))
        async with aclosing(services.turns.engine.stream(turn)) as events:
            last = [event async for event in events][-1]
        assert isinstance(last, Completed)
        told.append(last.answer.status == "answered")
    return told


async def calibrations(services: Services) -> dict[str, Calibration]:
    scope = await services.search.scope([CORPUS])
    return {release: one for (_, release), one in scope.calibrations.items()}


@pytest.mark.usefixtures("beacons")
async def test_what_is_near_to_a_corpus_and_not_in_it_is_declined_in_any_language(
    services: Services,
) -> None:
    assert await are_answered(services, ANSWERED) == [True] * len(ANSWERED)
    assert not any(await are_answered(services, NEAR_MISSES))
    assert not any(await are_answered(services, FAR_OFF))


async def test_a_release_from_before_there_were_calibrations_answers_by_what_is_usual(
    services: Services, beacons: Path
) -> None:
    async with services.database.transaction() as session:
        (await Corpora(session).get(CORPUS)).calibrations = None
    assert await are_answered(services, ANSWERED) == [True] * len(ANSWERED)
    assert not any(await are_answered(services, FAR_OFF))
    assert await are_answered(services, NEAR_MISSES) == [True] * len(NEAR_MISSES)
    assert (await services.ingestion.run([beacons], CORPUS)).unchanged == len(_PLACES)
    assert not any(await are_answered(services, NEAR_MISSES))


async def test_a_corpus_is_measured_anew_once_a_tenth_of_it_has_changed(
    services: Services, beacons: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await calibrations(services)
    embedded = record_embedded(monkeypatch)
    await services.ingestion.run([beacons], CORPUS)
    assert (await calibrations(services), embedded) == (first, [])
    (beacons / "0.md").write_text(page(0) + "\n塔边有一口井。\n", encoding="utf-8")
    await services.ingestion.run([beacons], CORPUS)
    assert await calibrations(services) == first
    assert len(embedded) == 1
    for number in range(1, 4):  # gone, which is a change as well
        (beacons / f"{number}.md").unlink()
    await services.ingestion.run([beacons], CORPUS)
    assert (await calibrations(services)).keys() == first.keys()
    assert await calibrations(services) != first


@pytest.mark.usefixtures("beacons")
async def test_each_release_has_a_calibration_of_its_own(services: Services) -> None:
    first = await calibrations(services)
    built = await services.reindexing.reindex()
    both = await calibrations(services)
    assert both.keys() == {built.before, built.release}
    assert both[built.before] == first[built.before]
    assert not any(await are_answered(services, NEAR_MISSES))
    await services.reindexing.rollback()
    assert await calibrations(services) == both
    for _ in range(4):
        await services.reindexing.reindex()
    assert built.before not in await calibrations(services)


async def test_too_small_a_corpus_is_not_measured(services: Services, docs: Path) -> None:
    assert (await services.ingestion.run([docs])).added == len(PAGES)
    assert (await services.search.scope([])).calibrations == {}


async def test_an_ingestion_does_not_fail_for_want_of_a_calibration(
    services: Services, docs: Path
) -> None:
    await services.ingestion.run([docs])
    calibrate = Calibrator(services.database, services.indexes, Relevance())
    await calibrate("gone", await services.indexes.serving())
    assert (await services.search.scope([])).calibrations == {}


async def test_a_hosted_embedding_is_called_once_more(doubles: Doubles, tmp_path: Path) -> None:
    settings = Settings(
        ibid_home=tmp_path / "home",
        embedding="cohere",
        cohere_api_key=SecretStr("sk-secret-0451"),
        cohere_base_url=doubles.cohere,
    )
    async with open_services(settings) as services:
        await ingest_beacons(services, tmp_path / "beacons")
        calls = [seen.body for seen in doubles.log if seen.path == "/v2/embed"]
        assert len(calls) == 2
        assert (await calibrations(services)).keys() == {"ibid-1"}
        assert await are_answered(services, ANSWERED) == [True] * len(ANSWERED)
        assert not any(await are_answered(services, NEAR_MISSES + FAR_OFF))
