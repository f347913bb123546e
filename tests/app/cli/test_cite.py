"""`ibid cite`, `ibid gaps` and `ibid eval` at a terminal."""

import json
from pathlib import Path
from uuid import uuid4

from tests.app.cli.commands import CHESS, FUEL, assert_refused, run_ibid


def test_an_answer_is_cited_and_a_gap_is_shown(home: Path) -> None:
    assert (
        run_ibid(home, "gaps").stdout
        == "No question was declined, and every claim was supported.\n"
    )
    answer = json.loads(run_ibid(home, "ask", FUEL, "--verify", "strict", "--json").stdout)
    assert "[^1]: “" in run_ibid(home, "cite", answer["message_id"]).stdout
    bibtex = run_ibid(home, "cite", answer["message_id"], "--format", "bibtex").stdout
    assert bibtex.startswith("@misc{ibid-1,")
    assert_refused(run_ibid(home, "cite", str(uuid4())), "no answer")
    assert run_ibid(home, "ask", CHESS).exit_code == 0
    assert f"      {CHESS}\n" in run_ibid(home, "gaps").stdout
    (gap,) = json.loads(run_ibid(home, "gaps", "--json").stdout)["gaps"]
    assert (gap["declined"], gap["unsupported"]) == (1, 0)


def test_labelled_claims_are_measured(home: Path, tmp_path: Path) -> None:
    rows = [
        {"claim": "The lamp burns oil.", "evidence": ["The lamp burns oil."], "label": "supported"},
        {"claim": "The lamp burns gas.", "evidence": ["It never rains."], "label": "contradicted"},
    ]
    claims = tmp_path / "claims.jsonl"
    claims.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    measured = json.loads(run_ibid(home, "eval", "claims", claims, "--json").stdout)
    assert measured["metrics"]["auroc"] == 1.0
    assert "supported" in run_ibid(home, "eval", "claims", claims).stdout
    claims.write_text("{}", encoding="utf-8")
    assert_refused(run_ibid(home, "eval", "claims", claims), "line 1")
