"""`ibid plan`: what it says is what the ingestion then does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.ingestion.estimate import Fit, Plan
from tests.app.cli.commands import assert_refused, environment, run_ibid
from tests.library import PAGES, write_docs


def run_plan(home: Path, docs: Path, **settings: str) -> dict:
    done = run_ibid(home, "plan", docs, "--json", **settings)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_plan_counts_what_is_then_ingested_and_keeps_nothing(tmp_path: Path) -> None:
    home, docs = tmp_path / "home", write_docs(tmp_path / "docs")
    (docs / "broken.pdf").write_bytes(b"no pdf")
    (docs / "draft.md").write_text("---\ndraft: true\n---\n# Draft\n")
    plan = run_plan(home, docs)
    assert not home.exists()
    report = json.loads(run_ibid(home, "ingest", docs, "--json").stdout)
    assert (plan["sources"], plan["passages"]) == (report["added"], report["passages"])
    assert plan["sources"] == len(PAGES)
    assert plan["failed"] == report["failed"]
    text = sum(len(page) for page in PAGES.values())
    assert 0.1 * text < plan["tokens"] < text
    assert plan["is_free"]


def test_a_plan_follows_the_embedding_and_needs_no_key(tmp_path: Path) -> None:
    docs = write_docs(tmp_path / "docs")
    local = run_plan(tmp_path / "home", docs)
    hosted = run_plan(tmp_path / "home", docs, EMBEDDING="cohere", COHERE_EMBED_MODEL="embed-v4.0")
    assert (local["dimension"], hosted["dimension"]) == (256, 1536)
    assert hosted["memory_float32"] > local["memory_float32"] > local["memory_int8"]
    assert hosted["embedding_calls"] == local["embedding_calls"] == 1


def test_a_plan_for_a_person_names_the_free_plans(tmp_path: Path) -> None:
    told = run_ibid(tmp_path / "home", "plan", write_docs(tmp_path / "docs")).stdout
    for name in ("Qdrant Cloud", "Neon", "Cohere trial key", "It fits the free plans."):
        assert name in told


def test_what_is_too_much_for_a_free_plan_is_told() -> None:
    fits = (
        Fit(plan="Qdrant Cloud", what="bytes of memory, float32", needed=2, limit=1),
        Fit(plan="Qdrant Cloud", what="bytes of memory, int8", needed=1, limit=1),
    )
    plan = Plan(
        sources=1, failed=(), passages=1, tokens=1, embedding_calls=1, dimension=1, points=1,
        memory_float32=2, memory_int8=1, disk=1, sql=1, fits=fits,
    )  # fmt: skip
    assert plan.is_free
    dear = Fit(plan="Neon", what="bytes of SQL", needed=2, limit=1)
    assert not plan.model_copy(update={"fits": (*fits, dear)}).is_free
    assert not plan.model_copy(update={"fits": fits[:1]}).is_free


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert_refused(run_ibid(tmp_path / "home", "plan", tmp_path / "nowhere"), "There is no file")
    model = {"EMBEDDING": "cohere", "COHERE_EMBED_MODEL": "embed-v9"}
    assert_refused(run_ibid(tmp_path / "home", "plan", tmp_path, **model), "embed-v9")


@pytest.mark.slow
def test_what_runs_no_job_does_not_import_the_queue(tmp_path: Path) -> None:
    """DBOS takes two seconds: an ingestion, and a list of no jobs, do without."""
    docs = write_docs(tmp_path / "docs")
    program = """
import sys
from app.cli import main
main(sys.argv[1:], standalone_mode=False)
sys.exit("dbos" in sys.modules)
"""
    for arguments in (("ingest", docs), ("jobs",)):
        command = [sys.executable, "-c", program, *arguments]
        home = tmp_path / "home"
        done = subprocess.run(command, env=environment(home), cwd=tmp_path, check=False)
        assert done.returncode == 0
