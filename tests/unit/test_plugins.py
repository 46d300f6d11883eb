"""Sources in folders of files: found, placed, and reported when they are broken."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from blackboard.errors import ContractError, UsageError
from blackboard.registry import GROUP, find_sources

DATES = """
import re
from collections.abc import AsyncIterator

from blackboard import Each, Level, Page, knowledge_source


class DateMention(Level):
    iso: str
    page: int


@knowledge_source(version="1", cost="free", timeout=10)
async def dates(page: Each[Page]) -> AsyncIterator[DateMention]:
    for hit in re.findall(r"\\d{4}-\\d\\d-\\d\\d", page.text):
        yield DateMention(iso=hit, page=page.number)
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_a_file_is_a_source_of_its_own(tmp_path: Path) -> None:
    before = list(sys.path)
    (source,), broken = find_sources((), plugins=[write(tmp_path, dates=DATES)])
    assert broken == ()
    assert (source.name, source.origin, source.where, source.trusted) == (
        "dates",
        "file",
        str(tmp_path / "dates.py"),
        False,
    )
    assert sys.path == before
    assert "dates" not in sys.modules
    again = find_sources((), plugins=[tmp_path])[0][0]
    assert again.outputs == source.outputs, "an unchanged file is not another module"


def test_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    write(one, plugin=DATES)
    write(two, plugin=DATES.replace("dates(", "other(").replace("DateMention", "Other"))
    found, _ = find_sources((), plugins=[one, two])
    assert [source.name for source in found] == ["dates", "other"]
    assert [source.outputs[0].level for source in found] == ["date_mention", "other"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found' (line 1 of bad.py)"),
        ("def (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero (line 1 of bad.py)"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "defines no knowledge source"),
        ("from blackboard import *", "defines no knowledge source"),
        (
            DATES.replace("page: Each[Page]", "page"),
            "parameter 'page' has no type (line 13 of bad.py); write page: Each",
        ),
    ],
)
def test_a_broken_file_is_told_and_harms_nobody(tmp_path: Path, text: str, said: str) -> None:
    found, broken = find_sources((), plugins=[write(tmp_path, dates=DATES, bad=text)])
    assert [source.name for source in found] == ["dates"]
    ((name, where, origin, error),) = [(each.name, each.where, each.origin, each.error) for each in broken]
    assert (name, where, origin) == ("bad", str(tmp_path / "bad.py"), "file")
    assert said in error


def test_wrong_settings_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOARD_SOURCE_DATES__MOST", "many")
    text = DATES.replace("page: Each[Page]", "page: Each[Page], settings: Own").replace(
        "\n@know", "\nclass Own(SourceSettings):\n    most: int = 1\n\n\n@know"
    )
    text = text.replace("Page, knowledge", "Page, SourceSettings, knowledge")
    found, broken = find_sources((), plugins=[write(tmp_path, dates=text)])
    assert found == ()
    assert "its settings are wrong" in broken[0].error and "most" in broken[0].error


def test_names_taken_twice_are_refused_with_both_places(tmp_path: Path) -> None:
    write(tmp_path, one=DATES, two=DATES)
    with pytest.raises(ContractError) as refused:
        find_sources((), plugins=[tmp_path])
    assert str(tmp_path / "one.py") in str(refused.value) and str(tmp_path / "two.py") in str(refused.value)
    point = EntryPoint("pages", "knowledge_sources.pages:pages", GROUP)
    with pytest.raises(
        ContractError, match=r"two sources are called 'pages': knowledge_sources.pages:pages and .*a\.py"
    ):
        other = tmp_path / "other"
        other.mkdir()
        find_sources([point], plugins=[write(other, a=DATES.replace("dates(", "pages("))])


def test_hidden_files_and_a_folder_given_twice(tmp_path: Path) -> None:
    write(tmp_path, dates=DATES, _helper="1 / 0")
    found, broken = find_sources((), plugins=[tmp_path, tmp_path])
    assert [source.name for source in found] == ["dates"]
    assert broken == ()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist") as refused:
        find_sources((), plugins=[tmp_path / "nowhere"])
    assert "--plugins" in refused.value.hint
    with pytest.raises(UsageError, match="is a file"):
        find_sources((), plugins=[write(tmp_path, dates=DATES) / "dates.py"])
