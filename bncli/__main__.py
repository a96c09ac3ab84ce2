"""The program: ``bncli``, and ``python -m bncli``."""

from bncli import supervised


def main() -> None:
    """Run the command line in a process that is supervised; it ends in SystemExit."""
    supervised.run(_command_line)


def _command_line() -> None:
    from bncli.cli import main  # in the second process: the first one needs none of it

    main()


if __name__ == "__main__":
    main()
