"""The commands of `edgewise device`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

device = typer.Typer(
    name="device",
    help="What processors can do at most: measure this one, or look at the profiles of others.",
    epilog="Example: edgewise device measure",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@device.command(epilog="Example: edgewise device measure --out my_board.yaml")
def measure(
    out: Annotated[
        Path | None,
        typer.Option(help="File for the profile, .yaml or .json; default in Edgewise's cache, where bench finds it."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure this machine's peaks (MAC/s by precision) and memory bandwidths, for one thread and for all; about a minute."""
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render_device import render_device
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.device_job import measure_and_keep

    with TerminalListener(notes(), quiet=json) as listener:
        profile, path = measure_and_keep(out, listener)
    render_device(profile, as_json=json, kept=path)


@device.command("list", epilog="Example: edgewise device list")
def list_(json: Json = False) -> None:
    """List the device profiles that come with Edgewise, and this machine's."""
    from edgewise.cli.render_device import render_devices

    render_devices(as_json=json)


@device.command(epilog="Example: edgewise device show pixel6_cpu_big")
def show(
    name: Annotated[
        str, typer.Argument(help="A name that 'edgewise device list' shows, this-cpu, or your own FILE.yaml.")
    ],
    json: Json = False,
) -> None:
    """Show all that is known of a device, with sources."""
    from edgewise.cli.render_device import render_device
    from edgewise.cost.device_files import find_device

    render_device(find_device(name), as_json=json)
