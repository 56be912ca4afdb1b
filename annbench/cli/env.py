"""`annbench env`: what this machine is and what state it is in."""

from __future__ import annotations

from annbench.cli.options import AsJson


def env(as_json: AsJson = False) -> None:
    """Show the environment as it is recorded with every result."""
    from annbench.cli.output import print_json, print_mapping
    from annbench.runner.environment import capture_environment

    facts = capture_environment()
    if as_json:
        print_json(facts)
    else:
        print_mapping(facts)
