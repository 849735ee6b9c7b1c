"""Recomputes the whole ledger from its transfers and tells every difference. It reads in chunks and mends nothing."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from halley.db import Row, Tx
from halley.ledger import rules
from halley.ledger.model import LedgerAccount, OpenHold, Transfer, TransferKind, VerifyReport
from halley.ledger.queries import account_of, open_hold_of, transfer_of

CHUNK_ROWS = 5_000
DIFFERENCES_MAX = 1_000
"""More are counted and not told one by one."""

Progress = Callable[[int, int], None]
"""Hears how many rows were read, and of how many."""

_MOVES_MONEY = frozenset(TransferKind) - {TransferKind.HOLD, TransferKind.VOID}


def verify(tx: Tx, *, progress: Progress | None = None, keys: bool = False) -> VerifyReport:
    """Recompute everything. Run it as a read: on PostgreSQL it needs a transaction that has done nothing yet.

    `keys`: also hold what each key says that it holds against the open holds that name it.
    """
    if tx.kind == "postgresql":
        # The same snapshot for each statement; else a transfer that comes meanwhile looks like a difference.
        tx.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    return _Verification(tx, progress, keys=keys).run()


class _Verification:
    """One recomputation: what it has summed so far, and what it found."""

    def __init__(self, tx: Tx, progress: Progress | None, *, keys: bool) -> None:
        self._tx = tx
        self._with_keys = keys
        self._progress = progress
        self._read = 0
        self._total = 0
        self._differences: list[str] = []
        self._more = 0
        self._kinds: Counter[TransferKind] = Counter()
        self._callers: dict[str, Counter[str]] = defaultdict(Counter)
        self._system: Counter[str] = Counter()
        self._sums: Counter[str] = Counter(dict.fromkeys(rules.MODES.values(), 0))
        self._open = 0
        self._children = 0

    def run(self) -> VerifyReport:
        self._total = (
            _count(self._tx, "transfers") + _count(self._tx, "open_holds") + _count(self._tx, "ledger_accounts")
        )
        self._transfers()
        self._holds()
        self._strays()
        self._corrections()
        accounts = self._accounts()
        self._close_the_books()
        if self._with_keys:
            self._keys()
        if self._more:
            self._differences.append(f"and {self._more} more differences")
        return VerifyReport(
            differences=tuple(self._differences),
            transfers=self._kinds.total(),
            holds_open=self._open,
            accounts=accounts,
            sums=dict(self._sums),
        )

    def _transfers(self) -> None:
        """Check each transfer by itself and sum what was posted."""
        for chunk in _chunks(self._tx, "SELECT * FROM transfers WHERE id > :after ORDER BY id LIMIT :limit", "id"):
            for transfer in map(transfer_of, chunk):
                self._tell(rules.check_shape(transfer))
                self._sum(transfer)
            self._passed(len(chunk))

    def _sum(self, transfer: Transfer) -> None:
        self._kinds[transfer.kind] += 1
        if transfer.kind not in _MOVES_MONEY:
            return
        for name, column, sign in (
            (transfer.debit_account, "debits_posted", -1),
            (transfer.credit_account, "credits_posted", 1),
        ):
            if ":" in name:
                self._system[name] += sign * transfer.amount_nanos
            else:
                self._callers[name][column] += transfer.amount_nanos

    def _holds(self) -> None:
        """Check what became of each hold, and sum those that are open."""
        sql = "SELECT * FROM transfers WHERE kind = 'hold' AND id > :after ORDER BY id LIMIT :limit"
        for chunk in _chunks(self._tx, sql, "id"):
            holds = [transfer_of(row) for row in chunk]
            children = _children(self._tx, holds)
            listed = _listed(self._tx, holds)
            for hold in holds:
                own = children.get(hold.id, ())
                self._children += len(own)
                self._tell(rules.check_hold(hold, own, listed.get(hold.id)))
                if not any(child.kind in rules.RESOLVING for child in own):
                    self._callers[hold.debit_account]["debits_pending"] += hold.amount_nanos
            self._open += len(listed)
            self._passed(len(listed))

    def _strays(self) -> None:
        """Find rows that name a hold which is not there; the joins run only when the counts say that there are some."""
        belonging = self._kinds.total() - self._kinds[TransferKind.HOLD] - self._kinds[TransferKind.CREDIT]
        if self._children != belonging - self._kinds[TransferKind.ADJUST]:
            self._tell(f"{row['id']}: its hold is not there" for row in self._tx.all(_STRAY_CHILDREN, _TOLD))
        if self._open != _count(self._tx, "open_holds"):
            self._tell(f"{row['hold_id']}: listed as open, but not there" for row in self._tx.all(_STRAY_OPEN, _TOLD))

    def _corrections(self) -> None:
        """Hold corrections against what they correct; the joins run only when there are some."""
        if not self._kinds[TransferKind.ADJUST]:
            return
        self._tell(
            f"{row['id']}: it corrects `{row['hold_id']}`, which is no credit, post or excess between the same accounts"
            for row in self._tx.all(_STRAY_CORRECTIONS, _TOLD)
        )
        self._tell(
            f"{row['id']}: its corrections reverse {-int(row['standing'])} more than it came to"
            for row in self._tx.all(_OVERCORRECTED, _TOLD)
        )

    def _accounts(self) -> int:
        """Check the columns of each account; give how many there are."""
        count = 0
        sql = "SELECT * FROM ledger_accounts WHERE id > :after ORDER BY id LIMIT :limit"
        for chunk in _chunks(self._tx, sql, "id"):
            for stored in map(account_of, chunk):
                self._tell(rules.check_account(stored, self._callers.pop(stored.id, Counter())))
                self._sums[rules.MODES[stored.livemode]] += _balance(stored)
            count += len(chunk)
            self._passed(len(chunk))
        self._tell(f"{name}: it has transfers, but is not there" for name in self._callers)
        return count

    def _close_the_books(self) -> None:
        for name, balance in self._system.items():
            self._sums[name.partition(":")[0]] += balance
        self._tell(f"{mode}: the sum of all accounts is {total}, not 0" for mode, total in self._sums.items() if total)

    def _keys(self) -> None:
        self._tell(
            f"{row['id']}: held_nanos is {row['stored']}, its open holds come to {int(row['held'])}"
            for row in self._tx.all(_KEYS, _TOLD)
        )

    def _tell(self, differences: Iterable[str]) -> None:
        for difference in differences:
            if len(self._differences) < DIFFERENCES_MAX:
                self._differences.append(difference)
            else:
                self._more += 1

    def _passed(self, rows: int) -> None:
        self._read += rows
        if self._progress:
            self._progress(self._read, self._total)


_TOLD = {"limit": DIFFERENCES_MAX}
_STRAY_CHILDREN = """
    SELECT child.id FROM transfers AS child
    LEFT JOIN transfers AS hold ON hold.id = child.hold_id AND hold.kind = 'hold'
    WHERE child.kind IN ('post', 'void', 'excess', 'shortfall') AND hold.id IS NULL ORDER BY child.id LIMIT :limit
"""
_STRAY_OPEN = """
    SELECT open_holds.hold_id FROM open_holds
    LEFT JOIN transfers ON transfers.id = open_holds.hold_id AND transfers.kind = 'hold'
    WHERE transfers.id IS NULL ORDER BY open_holds.hold_id LIMIT :limit
"""
_STRAY_CORRECTIONS = """
    SELECT adjust.id, adjust.hold_id FROM transfers AS adjust
    LEFT JOIN transfers AS corrected ON corrected.id = adjust.hold_id
        AND corrected.kind IN ('credit', 'post', 'excess')
        AND adjust.debit_account IN (corrected.debit_account, corrected.credit_account)
        AND adjust.credit_account IN (corrected.debit_account, corrected.credit_account)
    WHERE adjust.kind = 'adjust' AND corrected.id IS NULL ORDER BY adjust.id LIMIT :limit
"""
_OVERCORRECTED = """
    SELECT corrected.id, corrected.amount_nanos + SUM(CASE WHEN adjust.credit_account = corrected.credit_account
        THEN adjust.amount_nanos ELSE -adjust.amount_nanos END) AS standing
    FROM transfers AS adjust JOIN transfers AS corrected ON corrected.id = adjust.hold_id
    WHERE adjust.kind = 'adjust' GROUP BY corrected.id, corrected.amount_nanos
    HAVING corrected.amount_nanos + SUM(CASE WHEN adjust.credit_account = corrected.credit_account
        THEN adjust.amount_nanos ELSE -adjust.amount_nanos END) < 0
    ORDER BY corrected.id LIMIT :limit
"""
_KEYS = """
    SELECT keys.id, keys.held_nanos AS stored, COALESCE(SUM(open_holds.amount_nanos), 0) AS held
    FROM keys LEFT JOIN open_holds ON open_holds.key_id = keys.id
    GROUP BY keys.id, keys.held_nanos
    HAVING keys.held_nanos <> COALESCE(SUM(open_holds.amount_nanos), 0)
    ORDER BY keys.id LIMIT :limit
"""
_COUNTS = {
    "transfers": "SELECT count(*) AS n FROM transfers",
    "open_holds": "SELECT count(*) AS n FROM open_holds",
    "ledger_accounts": "SELECT count(*) AS n FROM ledger_accounts",
}


def _chunks(tx: Tx, sql: str, column: str) -> Iterator[Sequence[Row]]:
    after = ""
    while rows := tx.all(sql, {"after": after, "limit": CHUNK_ROWS}):
        yield rows
        after = rows[-1][column]


def _children(tx: Tx, holds: Sequence[Transfer]) -> dict[str, list[Transfer]]:
    sql = (
        "SELECT * FROM transfers WHERE hold_id >= :first AND hold_id <= :last AND kind <> 'adjust' ORDER BY hold_id, id"
    )
    rows = tx.all(sql, {"first": holds[0].id, "last": holds[-1].id})
    return {str(name): list(own) for name, own in groupby(map(transfer_of, rows), key=lambda child: child.hold_id)}


def _listed(tx: Tx, holds: Sequence[Transfer]) -> dict[str, OpenHold]:
    sql = "SELECT * FROM open_holds WHERE hold_id >= :first AND hold_id <= :last"
    wanted = {hold.id for hold in holds}
    rows = map(open_hold_of, tx.all(sql, {"first": holds[0].id, "last": holds[-1].id}))
    return {row.hold_id: row for row in rows if row.hold_id in wanted}


def _balance(stored: LedgerAccount) -> int:
    return stored.credits_posted - stored.debits_posted


def _count(tx: Tx, table: str) -> int:
    row = tx.one(_COUNTS[table])
    assert row is not None
    return row["n"]
