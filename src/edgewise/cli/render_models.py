"""Models as tables on the terminal, or as JSON: `list` and `info`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from edgewise.cli.render_cost import say_kernels, say_parts, say_totals
from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, notes, print_json
from edgewise.errors import InputError, shown, unknown_name
from edgewise.models.catalogue import CATALOGUE, FAMILIES, list_models
from edgewise.models.facts.costs import COSTS
from edgewise.models.pretrained import Tag, tags_of
from edgewise.report.formatting import format_count, format_percent

if TYPE_CHECKING:
    from rich.console import Console

    from edgewise.models.facts.entry import Entry
    from edgewise.pipeline.describe import Description

Rows = Literal["stages", "blocks", "layers"]

ENTRY_FIELDS = (
    "name",
    "family",
    "paper_name",
    "img_size",
    "params",
    "params_fused",
    "macs",
    "macs_fused",
    "top1",
    "source",
)


def render_list(pattern: str, family: str | None, *, as_json: bool) -> None:
    """Show the catalogue's models that match ``pattern``, family by family, small ones first."""
    if family is not None and family not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)
    matching = set(list_models(pattern))
    groups = {
        name: sorted((entry for entry in entries if entry.name in matching), key=lambda entry: entry.macs_fused)
        for name, entries in FAMILIES.items()
        if family in (None, name)
    }
    if not any(groups.values()):
        raise unknown_name("model", pattern, CATALOGUE)
    if as_json:
        print_json([_as_dict(entry) for entries in groups.values() for entry in entries])
        return
    rows = new_table("name", "px>", "params>", "fused>", "MACs>", "top-1>", "tags>", dense=True)
    for name, entries in groups.items():
        if entries:
            rows.add_row(f"[bold]{name}[/]")
        for entry in entries:
            rows.add_row(*_list_row(entry))
    console().print(rows)
    notes().print(
        "fused: parameters as deployed, where that differs; MACs: as deployed, at px;\n"
        "top-1: published, ImageNet-1k; tags: sets of weights; more: edgewise info NAME",
        style="dim",
    )


def _list_row(entry: Entry) -> tuple[str, ...]:
    known = sum(tag.has_weights for tag in tags_of(entry.name))
    params, fused = format_count(entry.params), format_count(entry.params_fused)
    return (
        entry.name,
        str(entry.img_size),
        params,
        fused if fused != params else "",
        format_count(entry.macs_fused),
        format_percent(entry.top1),
        str(known) if known else "",
    )


def _as_dict(entry: Entry) -> dict[str, Any]:
    weights = [tag.name for tag in tags_of(entry.name) if tag.has_weights]
    cost = COSTS.get(entry.name)
    moved = asdict(cost) if cost else {}
    return {field: getattr(entry, field) for field in ENTRY_FIELDS} | moved | {"weights": weights}


def render_info(
    given: str, img_size: int | None, *, batch: int, dtype: str, fusion: str, rows: Rows, as_json: bool
) -> None:
    """Show one model's cost, and what was published of it."""
    from edgewise.models.resolve import resolve

    source = resolve(given)  # an unknown name is refused before anything heavy is loaded
    from edgewise.pipeline.describe import describe_model

    found = describe_model(source, img_size, batch=batch, dtype=dtype, fusion=fusion)
    if as_json:
        print_json(_info_as_dict(found))
        return
    out = console()
    _say_origin(out, found)
    say_totals(out, found)
    if rows == "layers":
        say_kernels(out, found.deployed)
    else:
        parts = found.deployed.blocks if rows == "blocks" else found.deployed.stages
        say_parts(out, parts, with_kind=rows == "blocks")
    _say_weights(out, found)


def _info_as_dict(found: Description) -> dict[str, Any]:
    known = _as_dict(found.source.entry) if found.source.entry else {}
    weights = [asdict(tag) | {"name": tag.name} for tag in found.tags if tag.has_weights]
    counted = found.report.model_dump(mode="json")
    deployed = found.deployed.model_dump(mode="json", exclude={"ops"})
    forms = {"params_fused": found.deployed.params, "macs_fused": found.deployed.macs, "img_size": found.img_size}
    return known | counted | forms | {"deployed": deployed, "weights": weights}


def _say_origin(out: Console, found: Description) -> None:
    entry = found.source.entry
    if entry is None:
        kind = "of timm's" if found.source.spec is None else "from rows of yours"
        out.print(f"[bold]{plain(found.source.given)}[/]  a network {kind}", soft_wrap=True)
        return
    out.print(f"[bold]{found.source.given}[/]", soft_wrap=True)
    out.print(f"{entry.paper_name}; family {entry.family}, described in docs/models/{entry.family}.md")
    out.print(
        f"published top-1 {format_percent(entry.top1)} at {entry.img_size} px: {plain(entry.source)}", style="dim"
    )


def _say_weights(out: Console, found: Description) -> None:
    known = [tag for tag in found.tags if tag.has_weights]
    if not known:
        if found.source.entry is not None:
            out.print("no published weights", style="dim")
        return
    weights = new_table("published weights", "px>", "top-1>", "images", "licence", dense=True)
    for tag in known:
        images = f"{tag.interpolation} {tag.crop_pct:g}"
        weights.add_row(f".{tag.tag}", _sizes(tag), _accuracies(tag), images, tag.license or "not stated")
    out.print(weights)
    if found.source.tag is not None:
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (known[0].mean, known[0].std))
        out.print(f"mean {mean}, std {std}; from {known[0].hf_hub_id or known[0].url}", soft_wrap=True)
    else:
        out.print("images: interpolation, centre crop; mean, std and origin: edgewise info NAME.TAG", style="dim")


def _sizes(tag: Tag) -> str:
    return f"{tag.img_size}, {tag.test_img_size}" if tag.test_top1 is not None else str(tag.img_size)


def _accuracies(tag: Tag) -> str:
    first = format_percent(tag.top1)
    return f"{first}, {format_percent(tag.test_top1)}" if tag.test_top1 is not None else first


def render_spec(given: str, img_size: int | None, *, as_json: bool) -> None:
    """Print a model's rows, ready to edit."""
    from edgewise.models.resolve import resolve
    from edgewise.spec.scale import fit_resolution
    from edgewise.spec.text import dump_spec, spec_as_yaml

    source = resolve(given)
    if source.spec is None:
        raise InputError(
            f"{shown(given)} is timm's and has no rows to print; accepted: a name of edgewise list or a spec file"
        )
    spec = source.spec if img_size is None else fit_resolution(source.spec, img_size)
    sys.stdout.write(dump_spec(spec) + "\n" if as_json else spec_as_yaml(spec))
