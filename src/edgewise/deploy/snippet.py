"""Programs of their own beside each exported file, which prepare pictures and answer them without Edgewise."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from edgewise.deploy.exporters.registry import get_exporter
from edgewise.deploy.runtimes.registry import get_runtime

PYTHON_PROGRAM = "predict.py"
MORE_PROGRAMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "onnx": ("predict.mjs", "predict.html", "answer.mjs", "preprocess.mjs", "predict.cpp"),
        "tflite": ("Predict.kt", "Preprocess.kt"),
        "mlpackage": ("predict.swift", "Preprocess.swift"),
    }
)
"""Files for other languages by format. They are copied as they are: what differs from model to model stands in artifact.json."""
IMPORT = re.compile(r"^(?:from|import) .+\n", re.MULTILINE)


def program_names(format_: str) -> tuple[str, ...]:
    """Return the names of all files that `programs` gives for ``format_``."""
    return PYTHON_PROGRAM, *MORE_PROGRAMS.get(format_, ())


def programs(format_: str) -> dict[str, str]:
    """Return the text of each program for a file of ``format_`` by its name."""
    return {PYTHON_PROGRAM: python_program(format_)} | {name: _text(name) for name in MORE_PROGRAMS.get(format_, ())}


def python_program(format_: str) -> str:
    """Return the text of ``predict.py`` for a file of ``format_``: ``python predict.py PICTURE…`` prints the top five."""
    parts = [_text(f"open_{format_}.py"), _text("answer_pictures.py")]
    imports = {line for part in parts for line in IMPORT.findall(part) if "__future__" not in line}
    own = sorted(line for line in imports if re.split(r"[ .\n]", line)[1] in sys.stdlib_module_names)
    bodies = [IMPORT.sub("", part.partition('"""\n')[2]).strip() for part in parts]
    package = get_runtime(get_exporter(format_).runtime).sdk.package
    head = (
        f'"""Answer pictures with the model in this folder: python {PYTHON_PROGRAM} PICTURE...\n\n'
        f'Needs: pip install numpy pillow {package}\n"""\n\nfrom __future__ import annotations\n\n'
    )
    text = head + "".join(own) + "\n" + "".join(sorted(imports - {*own})) + "\n" + "\n\n\n".join(reversed(bodies))
    return re.sub(r"  # noqa: \w+", "", text) + '\n\n\nif __name__ == "__main__":\n    main(open_model)\n'


def _text(name: str) -> str:
    return resources.files("edgewise.deploy.snippets").joinpath(name).read_text(encoding="utf-8")
