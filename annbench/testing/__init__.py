"""The conformance suite: what the harness relies on in every adapter, registered or one's own.

In the tests of an adapter's package, one line asks for everything:

    from annbench.testing import check_adapter

    def test_my_adapter() -> None:
        check_adapter("my_index.py:MyIndex")  # or the name of its entry point

The adapter's own `trials` say with which parameters, and which recall they must reach. `CHECKS` lists what is asked;
a check that a library cannot pass is named in a trial's `exceptions`, with the one of `known_limits` that says so: then
it must fail.
"""

from annbench.testing.suite import CHECKS, NonConformanceError, cases_of, check_adapter, run_check

__all__ = ["CHECKS", "NonConformanceError", "cases_of", "check_adapter", "run_check"]
