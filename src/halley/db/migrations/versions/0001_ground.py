"""The ground: accounts, keys, ledger, channels, prices, tasks, assets, webhooks, idempotency, usage.

Ids are TEXT (26 base32 characters, with a prefix but for tasks), money and times BIGINT (nano-dollars, microseconds
UTC), booleans BIGINT 0 or 1, JSON is TEXT that no query looks into. Every row that belongs to somebody carries
`account_id` and `livemode`. There is no way back: restore the backup that was made before.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    )""",
    """CREATE TABLE generations (
        topic TEXT PRIMARY KEY,
        value BIGINT NOT NULL
    )""",
    """CREATE TABLE boots (
        id TEXT PRIMARY KEY,
        host TEXT NOT NULL,
        pid BIGINT NOT NULL,
        started_at BIGINT NOT NULL,
        seen_at BIGINT NOT NULL,
        ended_at BIGINT
    )""",
    # --- who ---
    """CREATE TABLE accounts (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        group_name TEXT NOT NULL DEFAULT 'default',
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE projects (
        id TEXT PRIMARY KEY,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        name TEXT NOT NULL,
        webhook_secret {blob},
        created_at BIGINT NOT NULL,
        UNIQUE (account_id, name)
    )""",
    """CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        project_id TEXT NOT NULL REFERENCES projects (id),
        livemode BIGINT NOT NULL,
        name TEXT NOT NULL,
        hash TEXT NOT NULL UNIQUE,
        hint TEXT NOT NULL,
        models TEXT,
        budget_nanos BIGINT,
        budget_period TEXT,
        requests_per_minute BIGINT,
        tokens_per_minute BIGINT,
        operator BIGINT NOT NULL DEFAULT 0,
        period_started_at BIGINT NOT NULL,
        period_spent_nanos BIGINT NOT NULL DEFAULT 0,
        held_nanos BIGINT NOT NULL DEFAULT 0,
        spent_nanos BIGINT NOT NULL DEFAULT 0,
        requests BIGINT NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL,
        revoked_at BIGINT
    )""",
    "CREATE INDEX keys_by_account ON keys (account_id, id)",
    """CREATE TABLE audit (
        id TEXT PRIMARY KEY,
        actor TEXT NOT NULL,
        act TEXT NOT NULL,
        subject TEXT NOT NULL,
        details TEXT NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    # --- money ---
    # A caller's ledger account: one per account and mode. System accounts have no row: their balance is a sum.
    """CREATE TABLE ledger_accounts (
        id TEXT PRIMARY KEY,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        livemode BIGINT NOT NULL,
        kind TEXT NOT NULL,
        limit_nanos BIGINT,
        debits_pending BIGINT NOT NULL DEFAULT 0,
        debits_posted BIGINT NOT NULL DEFAULT 0,
        credits_pending BIGINT NOT NULL DEFAULT 0,
        credits_posted BIGINT NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL,
        UNIQUE (account_id, livemode)
    )""",
    """CREATE TABLE transfers (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        debit_account TEXT NOT NULL,
        credit_account TEXT NOT NULL,
        amount_nanos BIGINT NOT NULL CHECK (amount_nanos >= 0),
        hold_id TEXT,
        account_id TEXT NOT NULL,
        livemode BIGINT NOT NULL,
        order_id TEXT,
        boot_id TEXT,
        note TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL
    )""",
    # Lists what became of a hold, and lets it be posted or voided once: all posts and voids count as one there.
    """CREATE UNIQUE INDEX transfers_by_hold ON transfers (
        hold_id, (CASE WHEN kind IN ('post', 'void') THEN '' ELSE id END)
    ) WHERE hold_id IS NOT NULL""",
    "CREATE INDEX transfers_by_account ON transfers (account_id, livemode, created_at)",
    # Which holds are open, so that no sweep has to read the ledger. Derived: `ledger verify` compares it. Rows come and
    # go with each call and are few: on SQLite they lie in the key's own tree. (Tables that grow are slower so.)
    """CREATE TABLE open_holds (
        hold_id TEXT PRIMARY KEY,
        ledger_account_id TEXT NOT NULL,
        amount_nanos BIGINT NOT NULL,
        order_kind TEXT NOT NULL,
        order_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        created_at BIGINT NOT NULL
    ) {without_rowid}""",
    "CREATE INDEX open_holds_by_boot ON open_holds (order_kind, boot_id)",
    # Known by its order. What is asked for by `id` is only what callers did not pay.
    """CREATE TABLE usage (
        id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        project_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        livemode BIGINT NOT NULL,
        order_kind TEXT NOT NULL,
        order_id TEXT NOT NULL,
        model TEXT NOT NULL,
        channel_id TEXT,
        outcome TEXT NOT NULL,
        meters TEXT NOT NULL,
        price_nanos BIGINT NOT NULL,
        vendor_cost_nanos BIGINT,
        exposure_nanos BIGINT NOT NULL DEFAULT 0,
        attempts BIGINT NOT NULL,
        first_byte_us BIGINT,
        total_us BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (order_id, order_kind)
    )""",
    "CREATE INDEX usage_by_account ON usage (account_id, livemode, created_at)",
    "CREATE INDEX usage_exposed ON usage (id) WHERE outcome IN ('lost', 'unknown') OR exposure_nanos > 0",
    # --- models, prices, channels ---
    """CREATE TABLE prices (
        id TEXT PRIMARY KEY,
        price_set TEXT NOT NULL,
        model TEXT NOT NULL,
        meter TEXT NOT NULL,
        nanos_per_million BIGINT NOT NULL CHECK (nanos_per_million >= 0),
        condition TEXT,
        source TEXT NOT NULL,
        valid_from BIGINT NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    "CREATE INDEX prices_by_model ON prices (model, valid_from)",
    """CREATE TABLE channels (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        vendor TEXT NOT NULL,
        base_url TEXT NOT NULL,
        credential {blob},
        models TEXT NOT NULL,
        model_map TEXT NOT NULL,
        priority BIGINT NOT NULL,
        weight BIGINT NOT NULL,
        at_once_max BIGINT,
        per_minute_max BIGINT,
        headers {blob},
        managed TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )""",
    # --- tasks ---
    """CREATE TABLE tasks (
        id TEXT PRIMARY KEY,
        account_id TEXT NOT NULL,
        project_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        livemode BIGINT NOT NULL,
        request_id TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        dialect TEXT NOT NULL,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        state TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        vendor TEXT NOT NULL,
        vendor_model TEXT NOT NULL,
        attempts BIGINT NOT NULL DEFAULT 1,
        vendor_task_id TEXT,
        poll_url TEXT,
        hold_id TEXT NOT NULL,
        held_nanos BIGINT NOT NULL,
        cost_nanos BIGINT,
        prices TEXT NOT NULL,
        estimate TEXT NOT NULL,
        measured TEXT NOT NULL DEFAULT '{{}}',
        vendor_cost_nanos BIGINT,
        body {blob},
        body_object TEXT,
        webhook {blob},
        report TEXT,
        word TEXT NOT NULL DEFAULT '',
        progress_ppm BIGINT,
        failure TEXT,
        created_at BIGINT NOT NULL,
        started_at BIGINT,
        ended_at BIGINT,
        deadline_at BIGINT NOT NULL,
        due_at BIGINT,
        polls BIGINT NOT NULL DEFAULT 0,
        lease_until BIGINT NOT NULL DEFAULT 0,
        fence BIGINT NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX tasks_by_project ON tasks (project_id, livemode, id)",
    "CREATE INDEX tasks_open ON tasks (state, boot_id) WHERE state IN ('submitting', 'running', 'unknown')",
    "CREATE INDEX tasks_bodies ON tasks (ended_at) WHERE body_object IS NOT NULL AND ended_at IS NOT NULL",
    "CREATE INDEX tasks_by_vendor_id ON tasks (vendor_task_id) WHERE vendor_task_id IS NOT NULL",
    """CREATE TABLE assets (
        task_id TEXT NOT NULL REFERENCES tasks (id),
        n BIGINT NOT NULL,
        account_id TEXT NOT NULL,
        project_id TEXT NOT NULL,
        livemode BIGINT NOT NULL,
        object_key TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        content_type TEXT NOT NULL,
        width BIGINT,
        height BIGINT,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        deleted_at BIGINT,
        PRIMARY KEY (task_id, n)
    )""",
    "CREATE INDEX assets_expiring ON assets (expires_at) WHERE deleted_at IS NULL",
    """CREATE TABLE files (
        id TEXT PRIMARY KEY,
        account_id TEXT NOT NULL,
        project_id TEXT NOT NULL,
        livemode BIGINT NOT NULL,
        name TEXT NOT NULL,
        content_type TEXT NOT NULL,
        object_key TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        metadata TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )""",
    "CREATE INDEX files_by_project ON files (project_id, livemode, id)",
    "CREATE INDEX files_expiring ON files (expires_at)",
    # --- kept responses ---
    # `id` is ours: what a vendor calls its responses need not be unique.
    """CREATE TABLE responses (
        id TEXT PRIMARY KEY,
        response_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        project_id TEXT NOT NULL,
        livemode BIGINT NOT NULL,
        model TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        at_vendor BIGINT NOT NULL,
        previous TEXT,
        response {blob},
        response_object TEXT,
        input {blob},
        input_object TEXT,
        bytes BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )""",
    "CREATE INDEX responses_by_project ON responses (project_id, livemode, response_id)",
    "CREATE INDEX responses_expiring ON responses (expires_at)",
    """CREATE TABLE outbox (
        id TEXT PRIMARY KEY,
        task_id TEXT NOT NULL REFERENCES tasks (id),
        account_id TEXT NOT NULL,
        project_id TEXT NOT NULL,
        livemode BIGINT NOT NULL,
        dialect TEXT NOT NULL,
        event TEXT NOT NULL,
        url TEXT NOT NULL,
        secret {blob},
        body {blob} NOT NULL,
        state TEXT NOT NULL,
        attempts BIGINT NOT NULL DEFAULT 0,
        due_at BIGINT,
        fence BIGINT NOT NULL DEFAULT 0,
        last_status BIGINT,
        last_error TEXT,
        created_at BIGINT NOT NULL,
        delivered_at BIGINT,
        UNIQUE (task_id, event)
    )""",
    "CREATE INDEX outbox_due ON outbox (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX outbox_ended ON outbox (created_at) WHERE due_at IS NULL",
    """CREATE TABLE idempotency (
        key_id TEXT NOT NULL,
        value TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        task_id TEXT,
        status BIGINT,
        headers TEXT,
        body {blob},
        too_large BIGINT NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL,
        ended_at BIGINT,
        PRIMARY KEY (key_id, value)
    )""",
    "CREATE INDEX idempotency_by_age ON idempotency (created_at)",
)


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute("SET LOCAL lock_timeout = '4s'")
    blob, without_rowid = ("BYTEA", "") if postgresql else ("BLOB", "WITHOUT ROWID")
    for table in TABLES:
        op.execute(table.format(blob=blob, without_rowid=without_rowid))
