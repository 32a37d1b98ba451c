"""Why a move does not go on, for an operator: what several modules say."""

from sidecar.ports.errors import MoveFailed


def stopped(error: Exception) -> MoveFailed:
    """What a database said, and that nothing is lost by it."""
    return MoveFailed(
        f"the move stopped: {' '.join(str(error).split())}. What was copied stays. See that both databases can be "
        "reached and have room, and run this again: it goes on from there"
    )


def same_place(label: str) -> MoveFailed:
    """Two URLs lead to one outbox."""
    return MoveFailed(f"--from and --to lead to the same outbox, {label}: give another place in --to")
