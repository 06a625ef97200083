"""The entry point: runs the app, and turns every error into one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edgewise.errors import EdgewiseError, shown, suggestion


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 bad input, 130 or 143 stopped by a signal."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--version"], ["-V"]):
        from edgewise import __version__

        sys.stdout.write(f"edgewise {__version__}\n")
        raise SystemExit(0)
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    import typer

    from edgewise.cli.app import app, with_key_values
    from edgewise.cli.terminal import say_error

    command = typer.main.get_command(app)
    try:
        result = command.main(args=with_key_values(command, arguments), prog_name="edgewise", standalone_mode=False)
    except EdgewiseError as error:
        say_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say_error("stopped by SIGINT")
        return 130
    except MemoryError:
        say_error("out of memory; give a smaller --batch or --img-size")
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        say_error(f"{shown(error.filename) + ': ' if error.filename else ''}{error.strerror or error}")
        return 1
    except Exception as error:
        # click's own errors: wrong usage. Typer may carry a copy of click, so they are known by their surface.
        if not hasattr(error, "format_message"):
            raise
        if arguments:  # without any, the help was shown, and there is nothing to complain of
            say_error(usage_line(error))
        return int(getattr(error, "exit_code", 2))
    return result if isinstance(result, int) else 0


def usage_line(error: Exception) -> str:
    """Return click's message in one line, with the command and where to read on."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "edgewise"
    text = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    near = getattr(error, "possibilities", None)
    if near and "did you mean" not in text.lower():
        text += suggestion(getattr(error, "option_name", ""), near)
    return f"{command}: {text} (see {command} --help)"
