"""Generated files are written or checked in one way, whoever generates them."""

from pathlib import Path

import pytest

from controller.cli import main
from controller.schema.crd import FILE_NAME, render
from controller.schema.generated import write_or_check


def test_files_are_written_with_their_folders_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {tmp_path / "deep" / "a.yaml": "ä: 1\n", tmp_path / "b.md": "b\n"}
    assert write_or_check(files, check=False, command="make generate") == 0
    assert {path: path.read_text(encoding="utf-8") for path in files} == files
    assert capsys.readouterr().out.splitlines() == [str(path) for path in files]


def test_files_in_step_pass_the_check_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {tmp_path / "a.yaml": "a: 1\n"}
    write_or_check(files, check=False, command="make generate")
    capsys.readouterr()
    assert write_or_check(files, check=True, command="make generate") == 0
    assert capsys.readouterr() == ("", "")


def test_a_check_names_each_file_that_is_not_in_step_and_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, gone, good = tmp_path / "old.md", tmp_path / "gone.md", tmp_path / "good.md"
    old.write_text("yesterday\n", encoding="utf-8")
    good.write_text("today\n", encoding="utf-8")
    assert write_or_check(dict.fromkeys((old, gone, good), "today\n"), check=True, command="make generate") == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{old} is out of date; run: make generate",
        f"{gone} is missing; run: make generate",
    ]


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    write_or_check({tmp_path / "deep" / "a.yaml": "a: 1\n"}, check=True, command="make generate")
    assert list(tmp_path.iterdir()) == []


def test_crd_is_printed_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crd"]) == 0
    assert capsys.readouterr().out == render()
    assert main(["crd", str(tmp_path), "--check"]) == 1
    assert f"{tmp_path / FILE_NAME} is missing; run: edgeplan crd {tmp_path}\n" == capsys.readouterr().err
    assert main(["crd", str(tmp_path)]) == 0
    assert main(["crd", str(tmp_path), "--check"]) == 0
