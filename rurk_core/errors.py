"""The errors a user sees: each carries one sentence that says what was wrong and what to do."""

from importlib.util import find_spec


class RurkError(Exception):
    """Something failed at run time. The message is shown to the user as it is (command line: exit code 1).

    It is one line whatever was quoted in it: a name with line breaks cannot pose as a second message.
    """

    def __str__(self) -> str:
        return " ".join(str(self.args[0] if self.args else "").split())


class Damaged(RurkError):
    """A stored entry is not what was written; ``key`` names it. Made anew it has the same name and content."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message, key)
        self.key = key


class UsageError(RurkError):
    """What was asked for is not possible as it stands (command line: exit code 2)."""


class Cancelled(RurkError):
    """The user stopped the work; everything finished so far is kept in the store."""


def need(module: str, what: str, package: str = "") -> None:
    """Say what to install where a package is missing that only ``what`` needs.

    Args:
        module: its name in Python; ``package``: its name for pip, where that is another.

    Raises:
        UsageError: it is missing.
    """
    if not find_spec(module):
        name = package or module
        raise UsageError(f"{what} needs the package {name}, which is not installed: pip install {name}")
