"""The console script. Works in a plain install too, as far as to say what is missing."""

from __future__ import annotations

import sys

_INSTALL = "pip install 'taskflow-core[server]'"


def main() -> None:
    """Run `taskflow` with the arguments of this process."""
    from taskflow_cli import streams

    streams.prepare()
    try:
        from taskflow_cli.app import cli

        cli(prog_name="taskflow")
    except KeyboardInterrupt:
        # While the command is still being imported.
        sys.stderr.write("Stopped.\n")
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("taskflow_"):
            raise
        sys.stderr.write(f"The command taskflow needs more than the core ({error.name}): {_INSTALL}\n")
        sys.exit(1)
    except OSError as error:
        # A standard stream has no name; what has one is a file that a command should have answered for.
        if error.filename is not None:
            raise
        sys.exit(streams.failed(error))


if __name__ == "__main__":
    main()
