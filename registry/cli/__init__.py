"""The command line: one module per noun. Heavy libraries load only inside the commands.

Exit codes: 0 ok, 1 checks failed, 2 usage, 3 integrity broken, 4 consent or licence refusal,
130 interrupted. Messages go to standard error, results to standard output.
"""

from __future__ import annotations

import sys

import typer

from registry.cli import (
    adopting,
    asking,
    cards,
    demo,
    keys,
    leaving,
    lineage,
    making,
    objecting,
    profiles,
    project,
    quality,
    reading,
    recipes,
    releasing,
    remotes,
    reporting,
    reproducing,
    runs,
    site,
    stages,
    stewarding,
    testing,
    tracing,
)
from registry.errors import ChorusError, ExitCode, refused_by_machine

EPILOG = """
Examples:  chorus status  |  chorus make --all  |  chorus make community-sft@age-22-34 --upstream  |
chorus ask community-sft@age-22-34 "How important is voting?" --options "Very" "Not at all"  |
chorus release community-rl@age-22-34 --version 1.0.0  |
chorus lineage verify community-rl/age-22-34@v1.0.0
"""

app = typer.Typer(
    name="chorus",
    help="A declarative registry of datasets and models, aligned with many communities.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for module in (
    project,
    demo,
    reading,
    quality,
    runs,
    making,
    recipes,
    asking,
    cards,
    releasing,
    stages,
    keys,
    lineage,
    tracing,
    reproducing,
    remotes,
    reporting,
    profiles,
    leaving,
    objecting,
    adopting,
    testing,
    site,
    stewarding,
):
    module.register(app)


def main() -> None:
    """Runs the command line; every failure becomes a message and an exit code."""
    try:
        code = app(standalone_mode=False)
        if code == ExitCode.INTERRUPTED:  # typer makes an exit code of Ctrl-C
            raise KeyboardInterrupt
    except ChorusError as error:
        sys.stderr.write(f"{error}\n")
        code = error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was being made is kept beside its target\n")
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        code = ExitCode.OK
    except OSError as error:
        refused = refused_by_machine(error)
        if refused is None:
            raise
        sys.stderr.write(f"{refused}\n")
        code = ExitCode.CHECKS_FAILED
    except Exception as error:  # noqa: BLE001 - usage errors are shown, others raised again
        code = _usage(error)
    sys.exit(int(code or 0))


def _usage(error: Exception) -> int:
    """Shows a mistake on the command line; anything else keeps its traceback."""
    show = getattr(error, "show", None)
    if type(error).__name__ == "Abort":
        sys.stderr.write("interrupted\n")
        return ExitCode.INTERRUPTED
    if show is None:
        raise error
    show()
    return int(getattr(error, "exit_code", ExitCode.USAGE))
