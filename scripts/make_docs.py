"""Write what is generated of `docs/`: drawings and tables, from the rows and figures of the catalogue.

Run it with ``make docs``. Prose is written by hand; generated parts lie between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
A family has a page ``docs/models/FAMILY.md`` with the parts `blocks`, `networks`, `members`, `weights` and `commands`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from row_reference import row_reference

from edgewise.models.catalogue import FAMILIES
from edgewise.models.facts.entry import Entry
from edgewise.models.pretrained import Tag, tags_of
from edgewise.report.diagram.forms import form_of
from edgewise.report.diagram.network import draw_network, stem_place
from edgewise.report.diagram.panels import Panel, draw_panels
from edgewise.report.diagram.parts import Branches, Chain, Lanes, Residual
from edgewise.report.diagram.pieces import Place
from edgewise.report.diagram.table import parts_of
from edgewise.report.formatting import MISSING, format_count, format_percent
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import Row
from edgewise.spec.walk import walk

DOCS: Final = Path(__file__).parents[1] / "docs"
PART: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
DRAWN: Final[Mapping[str, tuple[str, ...]]] = {
    "mobilenetv1": ("mobilenetv1_100",),
    "mobilenetv2": ("mobilenetv2_100",),
    "mobilenetv3": ("mobilenetv3_large_100", "mobilenetv3_small_100"),
    "mobilenetv4": ("mobilenetv4_conv_small", "mobilenetv4_conv_medium", "mobilenetv4_hybrid_medium"),
    "mobileformer": ("mobileformer_294m",),
    "mobileformer_v4": ("mobileformer_v4_200m",),
    "repvit": ("repvit_m1_0",),
    "mobileone": ("mobileone_s0", "mobileone_s4"),
    "repvgg": ("repvgg_a0",),
}
"""Whose whole network a family's page shows; the first one stands in its commands too."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A row of a member, chosen to show its form."""

    member: str
    path: str
    row: Row
    place: Place
    out_chs: int
    in_side: int
    out_side: int

    @property
    def title(self) -> str:
        """Return the form's name, and whether this one halves the map."""
        stride = getattr(self.row, "stride", 1)
        strided = stride > 1 and "down" not in form_of(self.row).title and self.path != "stem"
        return form_of(self.row).title + (f", stride {stride}" if strided else "")

    @property
    def keeps_shape(self) -> bool:
        """Return whether a residual around the row is possible."""
        return self.place.in_chs == self.out_chs and self.in_side == self.out_side


def render(docs: Path = DOCS) -> dict[Path, str]:
    """Return every generated file, and every page with its generated parts renewed, by path within ``docs``.

    Args:
        docs: where the pages with the prose lie.

    Raises:
        FileNotFoundError: a family has no page.
        KeyError: a page asks for a part that is not generated.
    """
    files: dict[Path, str] = {}
    for family, entries in FAMILIES.items():
        drawings, parts = _family(family, entries)
        files |= {Path("models", "img", name): text for name, text in drawings.items()}
        page = Path("models", f"{family}.md")
        files[page] = _renewed((docs / page).read_text(encoding="utf-8"), parts)
    for name, part in (("README.md", {"families": _families(docs)}), ("rows.md", {"rows": row_reference()})):
        files[Path(name)] = _renewed((docs / name).read_text(encoding="utf-8"), part)
    return files


def _renewed(page: str, parts: Mapping[str, str]) -> str:
    return PART.sub(lambda found: f"{found[1]}{parts[found[2]]}{found[3]}", page)


def _families(docs: Path) -> str:
    lines = ["| page | models | MACs | best published top-1 |", "|---|---:|---:|---:|"]
    for family, entries in FAMILIES.items():
        title = (docs / "models" / f"{family}.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        macs = sorted(entry.macs_fused for entry in entries)
        best = max((entry.top1 for entry in entries if entry.top1 is not None), default=None)
        span = " to ".join(dict.fromkeys(format_count(each) for each in (macs[0], macs[-1])))
        lines.append(f"| [{title}](models/{family}.md) | {len(entries)} | {span} | {format_percent(best)} |")
    return "\n".join(lines) + "\n"


def _family(family: str, entries: Sequence[Entry]) -> tuple[dict[str, str], dict[str, str]]:
    """Return a family's drawings by file name, and the parts of its page by name."""
    shown = DRAWN.get(family, (entries[0].name,))
    specs = {entry.name: entry.spec() for entry in entries}
    drawings, blocks = _blocks(family, {name: specs[name] for name in dict.fromkeys((*shown, *specs))})
    networks = []
    for name in shown:
        drawings[f"{name}.svg"] = draw_network(specs[name])
        networks.append(f"`{name}` at {specs[name].img_size} px:\n\n![{name}, stage by stage](img/{name}.svg)\n")
    parts = {
        "blocks": blocks,
        "networks": "\n".join(networks),
        "members": _members(entries),
        "weights": _weights(entries),
        "commands": _commands(shown[0], specs[shown[0]].img_size),
    }
    return drawings, parts


def _blocks(family: str, specs: Mapping[str, ModelSpec]) -> tuple[dict[str, str], str]:
    """Return a drawing for each kind of row, the commonest first, and the text that shows them."""
    drawings, lines = {}, []
    counts = Counter(_kind(each.row) for spec in specs.values() for each in _rows(spec))
    order = [kind for kind, _ in counts.most_common()]
    found = _examples(specs)
    forms = list(dict.fromkeys(form_of(each.row).title for each in found))
    examples = sorted(
        found, key=lambda each: (order.index(_kind(each.row)), forms.index(form_of(each.row).title), each.title)
    )
    for kind, group in groupby(examples, key=lambda each: _kind(each.row)):
        same = list(group)
        name = f"{family}_{kind}.svg"
        summary = (type(same[0].row).__doc__ or "").partition("\n")[0]
        drawings[name] = draw_panels(summary, [list(_panels(each)) for each in same])
        titles = ", ".join(each.title for each in same)
        places = "; ".join(f"{each.title}: `{each.path}` of `{each.member}`" for each in same)
        lines.append(f"### `{kind}`\n\n{summary}\n\n![{titles}](img/{name})\n\n{places}.\n")
    return drawings, "\n".join(lines)


def _kind(row: Row) -> str:
    return str(row.kind)  # type: ignore[attr-defined]


def _examples(specs: Mapping[str, ModelSpec]) -> list[Example]:
    """Return one row for each form, if possible one with a residual; of forms without SE also one that halves the map."""
    found: dict[str, Example] = {}
    for spec in specs.values():
        for each in _rows(spec):
            if getattr(each.row, "se", None) is not None and getattr(each.row, "stride", 1) > 1:
                continue
            known = found.get(each.title)
            if known is None or (each.keeps_shape and not known.keeps_shape):
                found[each.title] = each
    return list(found.values())


def _rows(spec: ModelSpec) -> Iterator[Example]:
    side = -(-spec.img_size // spec.stem.stride)
    if spec.stem.kind == "repvit_stem":
        yield Example(
            member=spec.name,
            path="stem",
            row=spec.stem,
            place=stem_place(spec),
            out_chs=spec.stem.out_chs,
            in_side=spec.img_size,
            out_side=side,
        )
    for step in walk(spec):
        out_side = -(-side // step.stride)
        yield Example(
            member=spec.name,
            path=step.path,
            row=step.row,
            place=Place(spec=spec, in_chs=step.in_chs),
            out_chs=step.out_chs,
            in_side=side,
            out_side=out_side,
        )
        side = out_side


def _panels(example: Example) -> Iterator[Panel]:
    training = parts_of(example.row, example.place)
    fused = Place(spec=example.place.spec, in_chs=example.place.in_chs, fused=True)
    forms = {"": training}
    # squeeze-and-excitation stays as it is: the form without it shows what fusing does
    if _adds_branches(training) and getattr(example.row, "se", None) is None:
        forms = {" (training)": training, " (fused)": parts_of(example.row, fused)}
    tokens = example.place.spec.tokens
    for suffix, drawing in forms.items():
        yield Panel(
            title=example.title + suffix,
            note=example.path,
            drawing=drawing,
            in_map=f"{example.place.in_chs} × {example.in_side} × {example.in_side}",
            out_map=f"{example.out_chs} × {example.out_side} × {example.out_side}",
            tokens=f"{tokens.num_tokens} tokens of {tokens.token_dim}" if tokens else "",
        )


def _adds_branches(drawing: Chain | Lanes) -> bool:
    """Return whether a drawing holds branches that the fused form has merged."""
    if isinstance(drawing, Lanes):
        return False
    return any(
        node.join is None if isinstance(node, Branches) else isinstance(node, Residual) and _adds_branches(node.chain)
        for node in drawing
    )


def _members(entries: Sequence[Entry]) -> str:
    sources = list(dict.fromkeys(entry.source for entry in entries))
    refolds = any(entry.macs != entry.macs_fused for entry in entries)
    macs = "MACs, training | fused" if refolds else "MACs"
    lines = [f"| name | in the paper | px | parameters, training | fused | {macs} | published top-1 | source |"]
    lines.append("|---|---|" + "---:|" * (5 + refolds) + "---:|")
    for entry in entries:
        cells = [f"`{entry.name}`", entry.paper_name or MISSING, str(entry.img_size)]
        cells += [format_count(entry.params), format_count(entry.params_fused), format_count(entry.macs)]
        cells += [format_count(entry.macs_fused)] if refolds else []
        cells += [format_percent(entry.top1, 2), f"[{sources.index(entry.source) + 1}]"]
        lines.append("| " + " | ".join(cells) + " |")
    listed = "\n".join(f"- [{number}] {source}" for number, source in enumerate(sources, 1))
    return (
        "\n".join(lines)
        + "\n\nCounts are for 1000 classes at the size in the third column; `edgewise info NAME` shows them to the unit. "
        + f"Sources:\n\n{listed}\n"
    )


def _weights(entries: Sequence[Entry]) -> str:
    tags = [tag for entry in entries for tag in tags_of(entry.name) if tag.has_weights]
    if not tags:
        return "No trained weights were published for this family in a place that Edgewise knows.\n"
    lines = [
        "| `create_model(NAME, pretrained=True)` | classes | px | crop | filter | normalised with | top-1 | at a larger size | licence |",
        "|---|---:|---:|---:|---|---|---:|---:|---|",
    ]
    lines += ["| " + " | ".join(_tag_cells(tag)) + " |" for tag in tags]
    return "\n".join(lines) + "\n"


def _tag_cells(tag: Tag) -> list[str]:
    larger = f"{format_percent(tag.test_top1, 2)} at {tag.test_img_size}" if tag.test_top1 else ""
    hand = "" if tag.hf_hub_id else " (by hand)"
    return [
        f"`{tag.name}`{hand}",
        f"{tag.num_classes:,}",
        str(tag.img_size),
        f"{tag.crop_pct:g}",
        tag.interpolation,
        _normalisation(tag),
        format_percent(tag.top1, 2),
        larger,
        tag.license or "none stated",
    ]


def _normalisation(tag: Tag) -> str:
    names: dict[tuple[tuple[float, ...], tuple[float, ...]], str] = {
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): "ImageNet's mean and std",
        ((0.5,) * 3, (0.5,) * 3): "0.5 and 0.5",
        ((0.0,) * 3, (1.0,) * 3): "nothing (0 to 1)",
    }
    return names.get((tag.mean, tag.std), f"{tag.mean}, {tag.std}")


def _commands(name: str, img_size: int) -> str:
    return f"""```sh
edgewise info {name}
edgewise train ./photos --model {name} --img-size {img_size}
edgewise export runs/train --precision int8 --data ./photos --out deployed
edgewise bench {name} --threads 1
```

```python
import edgewise

model = edgewise.create_model("{name}", num_classes=10)
backbone = edgewise.create_model("{name}", features_only=True)
print(backbone.feature_info.channels(), backbone.feature_info.reduction())
print(f"{{edgewise.count(edgewise.fuse(model), {img_size}).macs:,}} MACs")
```
"""


def main() -> None:
    """Renew all of it, and remove drawings that nothing shows any more."""
    files = render()
    for path in set((DOCS / "models" / "img").glob("*.svg")) - {DOCS / each for each in files}:
        path.unlink()
    for path, text in files.items():
        (DOCS / path).write_text(text, encoding="utf-8")
    print(f"{len(files)} files in {DOCS}")


if __name__ == "__main__":
    main()
