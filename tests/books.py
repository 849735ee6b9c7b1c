"""What tests of money share: an account with a key and a ledger account, and the ledger's operations in one line."""

from typing import Any

from tests.database import FakeIds

from halley.accounts import store as accounts
from halley.accounts.model import BudgetPeriod, Key, NewKey
from halley.accounts.rules import new_key_text
from halley.db import Database, Tx
from halley.kernel.money import Nanos
from halley.ledger import store as ledger
from halley.ledger.model import AccountKind, HoldRequest, LedgerAccount, Posted, Transfer, Voided
from halley.ledger.verify import verify
from halley.testing.clock import FakeClock

CALLER = "acct_one"
LEDGER = f"{CALLER}.live"


class Books:
    """The ledger of one database, driven as the pipeline drives it."""

    def __init__(self, db: Database, ids: FakeIds, clock: FakeClock) -> None:
        self.db = db
        self.ids = ids
        self.clock = clock

    async def open(self, account_id: str = CALLER, *, credit: int = 0, livemode: bool = True, **terms: Any) -> str:
        """Open an account with a default project, credit on it, and give its ledger account's id."""

        def unit(tx: Tx) -> str:
            if accounts.find_account(tx, account_id) is None:
                accounts.create_account(
                    tx, account_id=account_id, project_id=f"proj_{account_id}", name=account_id, now=self.clock.now()
                )
            opened = ledger.open_account(
                tx,
                account_id=account_id,
                livemode=livemode,
                kind=terms.get("kind", AccountKind.PREPAID),
                limit_nanos=terms.get("limit_nanos"),
                now=self.clock.now(),
            )
            if credit:
                self.credit_in(tx, f"credit_{opened.id}", credit, opened.id)
            return opened.id

        return await self.db.write("open", unit)

    def credit_in(self, tx: Tx, transfer_id: str, amount: int, account: str = LEDGER, note: str = "") -> Transfer:
        return ledger.credit(
            tx,
            transfer_id=transfer_id,
            ledger_account_id=account,
            amount=Nanos(amount),
            note=note,
            now=self.clock.now(),
        )

    def request(self, hold_id: str, amount: int, **changed: Any) -> HoldRequest:
        values: dict[str, Any] = {
            "ledger_account_id": LEDGER,
            "account_id": CALLER,
            "livemode": True,
            "order_id": f"order_of_{hold_id}",
            "order_kind": "task",
            "key_id": "key_one",
            "boot_id": "boot_one",
        }
        return HoldRequest(id=hold_id, amount=Nanos(amount), now=self.clock.now(), **{**values, **changed})

    async def credit(self, transfer_id: str, amount: int, ledger_account_id: str = LEDGER, note: str = "") -> Transfer:
        return await self.db.write(
            "credit", lambda tx: self.credit_in(tx, transfer_id, amount, ledger_account_id, note)
        )

    async def hold(self, hold_id: str, amount: int, **changed: Any) -> Transfer:
        return await self.db.write("hold", lambda tx: ledger.hold(tx, self.request(hold_id, amount, **changed)))

    async def post(self, hold_id: str, amount: int) -> Posted:
        return await self.db.write("post", lambda tx: self.post_in(tx, hold_id, amount))

    def post_in(self, tx: Tx, hold_id: str, amount: int) -> Posted:
        return ledger.post(tx, hold_id=hold_id, amount=Nanos(amount), ids=self.ids, now=self.clock.now())

    async def void(self, hold_id: str) -> Voided:
        return await self.db.write("void", lambda tx: self.void_in(tx, hold_id))

    def void_in(self, tx: Tx, hold_id: str) -> Voided:
        return ledger.void(tx, hold_id=hold_id, ids=self.ids, now=self.clock.now())

    async def left(self, ledger_account_id: str = LEDGER) -> int | None:
        return await self.db.read(lambda tx: ledger.left(tx, ledger_account_id))

    async def account(self, ledger_account_id: str = LEDGER) -> LedgerAccount:
        return await self.db.read(lambda tx: ledger.account(tx, ledger_account_id))

    async def differences(self) -> tuple[str, ...]:
        return (await self.db.read(verify)).differences

    async def key(
        self, name: str = "one", *, budget: int | None = None, period: BudgetPeriod | None = None, livemode: bool = True
    ) -> Key:
        """Make a key of the account that `open` opened."""
        new = NewKey(
            id=f"key_{name}",
            account_id=CALLER,
            project_id=f"proj_{CALLER}",
            livemode=livemode,
            name=name,
            text=new_key_text(self.ids, livemode=livemode),
            budget_nanos=None if budget is None else Nanos(budget),
            budget_period=period,
            now=self.clock.now(),
        )
        return await self.db.write("key", lambda tx: accounts.create_key(tx, new))
