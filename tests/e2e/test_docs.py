"""The pages of `docs/`: what is generated is up to date, what can be copied runs, what is linked exists."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import typer

import edgewise
from edgewise.cli.app import app
from edgewise.models.catalogue import FAMILIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SAVED_AS = re.compile(r"Save this as `([\w./-]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: ``python file=src/x.py`` has the language python and the mark ``file=src/x.py``."""

    language: str
    mark: str
    text: str
    before: str
    """The page's text between the last block and this one."""


def blocks_of(page: Path) -> list[Block]:
    text, end, found = page.read_text(encoding="utf-8"), 0, []
    for match in BLOCK.finditer(text):
        found.append(Block(match[1], match[2] or "", match[3], text[end : match.start()]))
        end = match.end()
    return found


@pytest.fixture
def make_docs(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import make_docs

    yield make_docs
    for name in ("make_docs", "row_reference"):
        del sys.modules[name]


def test_generated_parts_are_up_to_date(make_docs: ModuleType) -> None:
    files = make_docs.render(DOCS)
    stale = [str(path) for path, text in files.items() if not _same(DOCS / path, text)]
    assert not stale, "run: make docs"
    drawings = {path.relative_to(DOCS) for path in DOCS.rglob("*.svg")}
    assert drawings == {path for path in files if path.suffix == ".svg"}, "run: make docs"


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def test_every_family_has_its_page() -> None:
    assert {page.stem for page in (DOCS / "models").glob("*.md")} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_family_pages_show_everything(family: str) -> None:
    text = (DOCS / "models" / f"{family}.md").read_text(encoding="utf-8")
    parts = re.findall(r"<!-- generated: (\w+) -->", text)
    assert parts == ["blocks", "networks", "members", "weights", "commands"]
    assert "\n## Traps\n" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("family", FAMILIES)
def test_commands_of_families_are_accepted(family: str) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    (shell,) = (block for block in blocks_of(DOCS / "models" / f"{family}.md") if block.language == "sh")
    for line in shell.text.splitlines():
        program, command, *arguments = shlex.split(line)
        assert program == "edgewise"
        commands[command].make_context(command, arguments)


@pytest.mark.parametrize("family", FAMILIES)
def test_python_of_families_runs(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    (python,) = (block for block in blocks_of(DOCS / "models" / f"{family}.md") if block.language == "python")
    exec(compile(python.text, f"{family}.md", "exec"), {"__name__": "docs"})
    assert re.search(r"[\d,]{6,} MACs", capsys.readouterr().out)


def test_weights_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    blocks = [
        block for block in blocks_of(DOCS / "weights.md") if block.language == "python" and block.mark != "network"
    ]
    for block in blocks:
        exec(compile(block.text, "weights.md", "exec"), {"__name__": "docs"})
    printed = capsys.readouterr().out
    assert "is not in the cache" in printed
    difference = re.search(r"largest difference: (\S+) of the largest logit", printed)
    assert difference is not None
    assert float(difference[1]) < 1e-5


class Clone:
    """A copy of the package in a folder of its own, in which a page's blocks are done one after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = os.environ | {"PYTHONPATH": str(folder / "src"), "PATH": path}

    def do(self, block: Block) -> str:
        """Do what the block says; returns what it printed."""
        if block.mark.startswith("file="):
            self._write(block.mark.removeprefix("file="), block.text)
        elif block.language == "yaml":
            self._write(SAVED_AS.findall(block.before)[-1], block.text)
        elif block.language == "diff":
            self._patch(block.text)
        elif block.language == "sh":
            return "".join(self._run(["bash", "-e", "-c", line]) for line in block.text.splitlines())
        elif block.language == "python":
            return self._run([sys.executable, "-W", "error", "-c", block.text])
        else:
            raise AssertionError(f"what to do with {block.language}?")
        return ""

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        assert not path.exists()
        path.write_text(text, encoding="utf-8")

    def _patch(self, diff: str) -> None:
        for part in re.split(r"^--- ", diff, flags=re.MULTILINE)[1:]:
            name, _, hunks = part.partition("\n")
            path = self.folder / name
            text = path.read_text(encoding="utf-8")
            for hunk in re.split(r"^@@\n", hunks, flags=re.MULTILINE):
                lines = hunk.splitlines(keepends=True)
                old = "".join(line[1:] for line in lines if line[0] in " -")
                assert text.count(old) == 1, f"{name}: {old}"
                text = text.replace(old, "".join(line[1:] for line in lines if line[0] in " +"))
            path.write_text(text, encoding="utf-8")

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def joined(blocks: list[Block]) -> Iterator[Block]:
    """Join blocks of Python that follow one another: a process for each takes longer than what is in them."""
    for kind, group in groupby(blocks, key=lambda block: (block.language, block.mark)):
        same = list(group)
        yield from [Block(*kind, "".join(block.text for block in same), "")] if kind == ("python", "") else same


@pytest.mark.timeout(600)
def test_extending_page_runs(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    printed = [clone.do(block) for block in joined(blocks_of(DOCS / "extending.md"))]
    assert "expand_ratio is 0; must be > 0" in "".join(printed)
    assert "ghostly_s" in "".join(printed)
    check = """
import edgewise
from edgewise.models.catalogue import find

entry, model = find("ghostly_s"), edgewise.create_model("ghostly_s")
training, fused = edgewise.count(model, entry.img_size), edgewise.count(edgewise.fuse(model), entry.img_size)
print((training.params, fused.params, training.macs, fused.macs))
print((entry.params, entry.params_fused, entry.macs, entry.macs_fused))
"""
    counted, stated = clone.do(Block("python", "", check, "")).splitlines()
    assert counted == stated
    assert not hasattr(edgewise, "ghostly")
