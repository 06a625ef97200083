"""A program of its own beside each exported file, which prepares pictures and answers them without Edgewise."""

from __future__ import annotations

import re
import sys
from importlib import resources

from edgewise.deploy.exporters.registry import get_exporter
from edgewise.deploy.runtimes.registry import get_runtime

PROGRAM = "predict.py"
IMPORT = re.compile(r"^(?:from|import) .+\n", re.MULTILINE)


def python_program(format_: str) -> str:
    """Return the text of ``predict.py`` for a file of ``format_``: ``python predict.py PICTURE…`` prints the top five."""
    parts = [_part(f"open_{format_}"), _part("answer_pictures")]
    imports = {line for part in parts for line in IMPORT.findall(part) if "__future__" not in line}
    own = sorted(line for line in imports if re.split(r"[ .\n]", line)[1] in sys.stdlib_module_names)
    bodies = [IMPORT.sub("", part.partition('"""\n')[2]).strip() for part in parts]
    package = get_runtime(get_exporter(format_).runtime).sdk.package
    head = (
        f'"""Answer pictures with the model in this folder: python {PROGRAM} PICTURE...\n\n'
        f'Needs: pip install numpy pillow {package}\n"""\n\nfrom __future__ import annotations\n\n'
    )
    text = head + "".join(own) + "\n" + "".join(sorted(imports - {*own})) + "\n" + "\n\n\n".join(reversed(bodies))
    return re.sub(r"  # noqa: \w+", "", text) + '\n\n\nif __name__ == "__main__":\n    main(open_model)\n'


def _part(name: str) -> str:
    return resources.files("edgewise.deploy.snippets").joinpath(f"{name}.py").read_text(encoding="utf-8")
