"""The command `ai-sci`, also as `python -m ai_sci`."""

from ai_sci.import_path import forget_current_folder


def main() -> None:
    """Entry point of the console script. Removes the current folder from `sys.path` before it imports anything else."""
    forget_current_folder()
    from ai_sci.agent.cli.app import main as run_command

    run_command()


if __name__ == "__main__":
    main()
