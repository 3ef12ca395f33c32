"""The errors a user sees: each carries one sentence that says what was wrong and what to do."""


class RurkError(Exception):
    """Something failed at run time. The message is shown to the user as it is (command line: exit code 1)."""


class UsageError(RurkError):
    """What was asked for is not possible as it stands (command line: exit code 2)."""


class Cancelled(RurkError):
    """The user stopped the work; everything finished so far is kept in the store."""
