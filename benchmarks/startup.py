"""Start-up time of the command line and of `import edgewise`, against a bare typer + rich program and bare Python.

Runs are interleaved, one of each a round, so that whatever slows the machine slows all alike; medians are compared.

    python benchmarks/startup.py [--rounds 15] [--out results/startup.json]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from child_process import edgewise_program
from result_file import RESULTS, check, save_result, this_command

BARE_PROGRAM = '''
"""A command line with two commands and nothing behind them."""
from typing import Annotated

import rich.console
import rich.table
import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich")


@app.command()
def first(name: Annotated[str, typer.Argument(help="A name.")]) -> None:
    """Do one thing."""


@app.command()
def second(number: Annotated[int, typer.Option(help="A number.")] = 1) -> None:
    """Do another."""


app()
'''
LIMITS_S = {"edgewise --help": 0.40, "edgewise list": 0.50, "import edgewise": 0.10}
BASELINE = {
    "edgewise --help": "bare typer + rich --help",
    "edgewise list": "bare typer + rich --help",
    "import edgewise": "bare python",
}
NO_TORCH = """
import sys
from edgewise.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
assert "torch" not in sys.modules, "torch was imported"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS / "startup.json")
    given = parser.parse_args()
    for arguments in (["--help"], ["list"], ["list", "--json"]):
        _run([sys.executable, "-c", NO_TORCH.format(arguments=arguments)])
    _run([sys.executable, "-c", "import edgewise, sys; assert 'torch' not in sys.modules, 'torch was imported'"])

    with tempfile.TemporaryDirectory() as temporary:
        samples = _samples(Path(temporary), given.rounds)
    medians = {name: statistics.median(times) for name, times in samples.items()}
    for name, base in BASELINE.items():
        print(
            f"{name}: {medians[name]:.3f} s; {base}: {medians[base]:.3f} s; ratio {medians[name] / medians[base]:.2f}"
        )
    checks = [check(name, medians[name], limit, "s") for name, limit in LIMITS_S.items()]
    print("pass  torch is imported by none of them")
    save_result(
        given.out,
        command=this_command(),
        rounds=given.rounds,
        median_s=medians,
        ratio={name: medians[name] / medians[base] for name, base in BASELINE.items()},
        baseline=BASELINE,
        checks=checks,
        torch_imported=False,
        samples_s=samples,
    )
    raise SystemExit(not all(each["passed"] for each in checks))


def _samples(folder: Path, rounds: int) -> dict[str, list[float]]:
    bare = folder / "bare.py"
    bare.write_text(BARE_PROGRAM)
    edgewise = edgewise_program()
    commands = {
        "edgewise --help": [edgewise, "--help"],
        "edgewise list": [edgewise, "list"],
        "import edgewise": [sys.executable, "-c", "import edgewise"],
        "bare typer + rich --help": [sys.executable, str(bare), "--help"],
        "bare python": [sys.executable, "-c", "pass"],
    }
    for command in commands.values():  # the first run of each compiles byte code and fills the file cache
        _run(command)
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds):
        order = list(commands) if number % 2 == 0 else list(reversed(commands))
        for name in order:
            samples[name].append(_run(commands[name]))
    return samples


def _run(command: list[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    took_s = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{Path(command[0]).name} failed: {done.stderr}")
    return took_s


if __name__ == "__main__":
    main()
