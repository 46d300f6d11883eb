"""A stranger's package beside ours: wheels built, installed in a fresh environment, found, tested, contributing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "dates-source"


@dataclass(frozen=True)
class Place:
    """A fresh virtual environment that holds our wheel, and our dependencies where they are."""

    folder: Path

    def run(self, *words: str | Path, cwd: Path | None = None, code: int = 0) -> str:
        """What a program of the environment says on stdout."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BLACKBOARD_", "PYTHON"))}
        there = self.folder / "bin" / str(words[0])
        done = subprocess.run(
            [there, *words[1:]],
            env={**kept, "BLACKBOARD_DATA_DIR": str(self.folder / "data"), "NO_COLOR": "1"},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=28,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *words: str | Path) -> Any:
        """The same as one JSON value."""
        return orjson.loads(self.run(*words))

    def install(self, *wheels: Path) -> None:
        """Put wheels there, and nothing else."""
        pip(f"--python={self.folder / 'bin' / 'python'}", "install", "--no-index", "--no-deps", *wheels)


def pip(*words: str | Path) -> None:
    """Our own pip, with no index to ask."""
    quiet = ["--quiet", "--disable-pip-version-check"]
    done = subprocess.run([sys.executable, "-m", "pip", *quiet, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def wheel(project: Path, into: Path) -> Path:
    """The wheel of a project, built where it is with what is installed here."""
    into.mkdir()
    pip("wheel", "--no-build-isolation", "--no-index", "--no-deps", "--wheel-dir", into, project)
    (built,) = into.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Our wheel in an environment of its own; the packages it needs are those of this one."""
    pytest.importorskip("hatchling", reason="wheels are built with hatchling: pip install -e '.[dev]'")
    top = tmp_path_factory.mktemp("third")
    place = Place(top / "venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place.folder], check=True)
    (packages,) = place.folder.glob("lib/python*/site-packages")
    # A plain path: a source tree installed here for development is not taken along.
    (packages / "beside.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    place.install(wheel(ROOT, top / "ours"))
    return place


@pytest.fixture(scope="module")
def installed(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The stranger's wheel beside it."""
    place.install(wheel(EXAMPLE, tmp_path_factory.mktemp("wheels") / "theirs"))
    return place


@pytest.mark.long
def test_it_is_found_and_contributes(installed: Place, tmp_path: Path) -> None:
    (source,) = [
        each for each in installed.json("blackboard", "sources", "list", "--json")["sources"] if each["name"] == "dates"
    ]
    assert (source["origin"], source["where"]) == ("installed", "dates_source:dates")
    where = installed.run("python", "-c", "import blackboard; print(blackboard.__file__)").strip()
    assert where.startswith(str(installed.folder)), "the wheel runs, not the source tree"
    (tmp_path / "note.txt").write_text("Signed on 2025-03-12, due on 2025-04-12.\n")
    ran = installed.json("blackboard", "analyze", tmp_path / "note.txt", "--json")
    assert ran["status"] == "completed"
    assert ran["outcome"]["coverage"]["dates"] == {"1": "done"}
    entry = orjson.loads(installed.run("blackboard", "show", ran["board"], "date_mention/0001-2"))
    assert entry == {"iso": "2025-04-12", "page": 1}


@pytest.mark.long
def test_its_own_tests_pass_with_the_fixtures_of_our_wheel(installed: Place, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    (tmp_path / "pyproject.toml").write_text(
        (EXAMPLE / "pyproject.toml").read_text().replace('pythonpath = ["src"]\n', "")
    )
    said = installed.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "3 passed" in said


@pytest.mark.long
def test_what_new_writes_passes_its_tests_and_checks(place: Place, tmp_path: Path) -> None:
    folder = Path(place.run("blackboard", "sources", "new", "iban-numbers", "--into", tmp_path).strip())
    assert folder == tmp_path / "iban-numbers-source"
    assert "4 passed" in place.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    checked = place.json("blackboard", "sources", "check", folder, "--json")
    assert checked["ok"] and [source["name"] for source in checked["sources"]] == ["iban-numbers"]
    assert {each["state"] for each in checked["sources"][0]["findings"]} == {"ok"}


def test_a_suite_that_does_not_use_the_fixtures_is_left_alone(place: Place, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    (tmp_path / "test_own.py").write_text(
        "import sys\n\n\ndef test_own(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.get_plugin('blackboard') is not None\n"
        "    assert not {'blackboard', 'redis', 'pydantic'} & sys.modules.keys()\n"
    )
    asked: Sequence[str] = ("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    assert "1 passed" in place.run("python", "-W", "error", "-m", "pytest", *asked, cwd=tmp_path)
