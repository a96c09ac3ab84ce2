"""The program: ``bncli``, and ``python -m bncli``."""

import sys


def main() -> None:
    """Run the command line in a process that is supervised; it ends in SystemExit."""
    try:
        from bncli import supervised  # here, where Ctrl-C is caught

        supervised.run(_command_line)
    except KeyboardInterrupt:  # it came before there were handlers
        from bncli import signals

        sys.stderr.write(signals.LINE)
        sys.exit(signals.INTERRUPTED)


def _command_line() -> None:
    from bncli.cli import main  # in the second process: the first one needs none of it

    main()


if __name__ == "__main__":
    main()
