"""The commands, one file per group. At import each needs Typer alone; what a command works with it imports when it runs."""
