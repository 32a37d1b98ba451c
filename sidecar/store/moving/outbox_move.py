"""A move from one side to the other, in pages: it can end at any point, and the next run goes on from there.

The order of the marks is in `store.sql.move_marks`. Nothing of the source changes but its marks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sidecar.core.instant import UnixMillis
from sidecar.ports.errors import MoveFailed
from sidecar.store.moving.beginning import begun
from sidecar.store.moving.end import MoveEnd
from sidecar.store.moving.progress import MoveProgress
from sidecar.store.moving.report import MovedTable, MoveReport
from sidecar.store.moving.transfer import Transfer, transfers
from sidecar.store.moving.verifying import verified_states, verified_table
from sidecar.store.sql import move_marks
from sidecar.store.sql.move_marks import MoveMark

Watch = Callable[[str, int, int], None]
"""Called with the step (`copy`, `index`, `verify`), how many rows are done, and how many there are."""


@dataclass(slots=True)
class OutboxMove:
    """Both sides, open and owned by this process."""

    source: MoveEnd
    target: MoveEnd
    now: Callable[[], UnixMillis]
    new_id: Callable[[], str]
    watch: Watch = lambda step, done, total: None
    _copied: int = 0

    def run(self) -> MoveReport:
        """Move what is not over yet, verify all of it, and hand over. MoveFailed or OutboxRefused say what to do."""
        self.source.refuse_in_use()
        self.target.refuse_in_use()
        if self._was_handed_over():
            return MoveReport(self.source.label, self.target.label, (), {}, 0, was_done=True)
        tables = transfers(self.source, self.target)
        mark = begun(self.source, self.target, tables, self.new_id(), self.now())
        self._copy(tables, mark)
        verified = self._verify(tables)
        states = verified_states(self.source.db, self.target.db)
        self._hand_over(mark)
        return MoveReport(self.source.label, self.target.label, verified, states, self._copied)

    def _was_handed_over(self) -> bool:
        """Whether the source was left before; the target is then released, if that is still to be done."""
        gone = move_marks.read_mark(self.source.db, move_marks.MOVED_TO)
        if gone is None:
            return False
        arriving = move_marks.read_mark(self.target.db, move_marks.MOVING_FROM)
        if arriving is not None and arriving.id == gone.id:
            self._release(gone)
            return True
        arrived = move_marks.read_mark(self.target.db, move_marks.MOVED_FROM)
        if arrived is not None and arrived.id == gone.id:
            return True
        raise MoveFailed(
            f"{self.source.label} was moved to {gone.other} before, and what has happened since is there: move from "
            "there. To use the old one again, see docs/moving.md, The way back"
        )

    def _copy(self, tables: tuple[Transfer, ...], mark: MoveMark) -> None:
        progress = MoveProgress.read(self.target.db)
        total = sum(one.pages.count(self.source.db) for one in tables)
        done = sum(progress.rows.values())
        self.watch("copy", done, total)
        for transfer in tables:
            if transfer.table in progress.complete:
                continue
            for page in transfer.pages.after(self.source.db, progress.last.get(transfer.table)):
                self._require_unchanged(mark)
                with self.target.transaction():
                    self.target.append(transfer.table, transfer.pages.columns, page)
                    progress.came(transfer.pages, page)
                    progress.write(self.target.db)
                self._copied += len(page)
                self.watch("copy", done + self._copied, total)
            self._complete(transfer, progress)
        self._make_indexes(progress)
        self.target.make_ready()

    def _complete(self, transfer: Transfer, progress: MoveProgress) -> None:
        """All rows of a table are over: its sequence goes on beyond them, and beyond those that were pruned."""
        with self.target.transaction():
            if transfer.is_numbered:
                self.target.set_last_number(transfer.table, self.source.last_number(transfer.table))
            progress.complete.append(transfer.table)
            progress.write(self.target.db)

    def _make_indexes(self, progress: MoveProgress) -> None:
        total = len(progress.indexes)
        for done, index in enumerate(list(progress.indexes)):
            self.watch("index", done, total)
            with self.target.transaction():
                self.target.db.execute(index)
                progress.indexes.remove(index)
                progress.write(self.target.db)
        self.watch("index", total, total)

    def _require_unchanged(self, mark: MoveMark) -> None:
        """A sidecar that starts on the source removes the mark."""
        if move_marks.read_mark(self.source.db, move_marks.MOVING_TO) != mark:
            raise self._was_used()

    def _was_used(self) -> MoveFailed:
        return MoveFailed(
            f"a sidecar was started on {self.source.label} during the move: stop it, and run this again. It then "
            "begins from the start"
        )

    def _verify(self, tables: tuple[Transfer, ...]) -> tuple[MovedTable, ...]:
        total = sum(one.pages.count(self.source.db) + one.pages.count(self.target.db) for one in tables)
        done = 0

        def watch(rows: int) -> None:
            nonlocal done
            done += rows
            self.watch("verify", done, total)

        try:
            return tuple(verified_table(one.pages, self.source.db, self.target.db, watch) for one in tables)
        except MoveFailed:
            with self.source.transaction():  # the next run must not build on it
                move_marks.remove_mark(self.source.db, move_marks.MOVING_TO)
            raise

    def _hand_over(self, mark: MoveMark) -> None:
        with self.source.transaction():
            self._require_unchanged(mark)
            if not move_marks.remove_mark(self.source.db, move_marks.MOVING_TO):
                raise self._was_used()
            gone = replace(mark, at=self.now())
            move_marks.put_mark(self.source.db, move_marks.MOVED_TO, gone)
        self._release(gone)

    def _release(self, gone: MoveMark) -> None:
        """Let a sidecar start on the target."""
        with self.target.transaction():
            move_marks.remove_mark(self.target.db, move_marks.MOVING_FROM)
            move_marks.remove_mark(self.target.db, move_marks.PROGRESS)
            move_marks.put_mark(self.target.db, move_marks.MOVED_FROM, replace(gone, other=self.source.label))
