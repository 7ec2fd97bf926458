"""`make gpu-check`: what it writes, and what it leaves alone. The run itself takes minutes."""

from __future__ import annotations

import pytest
import torch

from benchmarks import gpu_check

PAGE = f"before\n{gpu_check.BEGIN}\nnot run yet\n{gpu_check.END}\nafter\n"


def test_what_was_measured_is_told_in_a_row():
    found = gpu_check.Measured("sft", "a GPU, 1 process", 0.5, 1000.0, 2.25, 3.5, 3.25)
    assert found.row == ("| sft | a GPU, 1 process | 0.50 | 2,000.0 | 2.2 GiB | 3.5000 to 3.2500 |")


def test_results_stand_between_the_marks_and_can_be_written_again(tmp_path):
    page = tmp_path / "results.md"
    page.write_text(PAGE)
    for table in ("| one |", r"| \1 two |"):
        gpu_check.write_results(table, page)
        assert page.read_text() == PAGE.replace("not run yet", table)
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="lacks the marks"):
        gpu_check.write_results("| one |", page)
    assert page.read_text() == "no marks"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_changes_nothing(monkeypatch, capsys):
    before = gpu_check.RESULTS.read_bytes()
    monkeypatch.setattr("sys.argv", ["gpu_check"])
    assert gpu_check.main() == 1
    assert "nothing was run" in capsys.readouterr().out
    assert gpu_check.RESULTS.read_bytes() == before
