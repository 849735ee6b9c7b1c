"""The reference page of the settings, made from the table; `docs/reference/settings.md` is this text."""

from halley.settings.table import SETTINGS, Setting

_HEAD = """# Settings

<!-- Made by `python -m halley.settings > docs/reference/settings.md`; a test compares. -->

A setting is taken from its flag, else from the environment, else from `halley.toml`, else its default holds. An empty
value in the environment counts as not given. A name or value that Halley does not know stops the start and says why.
`halley doctor` checks what the settings lead to.

| environment | flag | in the file | default | what it is |
|---|---|---|---|---|
"""

_TAIL = """
Paths are relative to the folder in which Halley is started. Lists are parted by commas; in the file they may also be
lists. Settings without a flag are secrets, which the list of processes would show.

## The file

`halley.toml` may hold the settings above as plain keys, and two kinds of tables. `halley reload` (or SIGHUP) reads the
tables again, all or nothing; plain keys take a new start.

```toml
port = 8000
public_url = "https://ai.example.com"
trusted_proxies = ["10.0.0.0/8"]

[[channels]]
name = "main"                        # unique
vendor = "example"                   # those built in are in the README
base_url = "https://api.example.com" # default: the vendor's own
api_key = "${EXAMPLE_API_KEY}"       # or "os.environ/EXAMPLE_API_KEY"; set where `halley serve` runs
models = ["flux-*"]                  # default: all that the vendor has
model_map = { "flux-dev" = "my-dev" } # the vendor's own names on this channel; served whatever `models` says
priority = 0                         # higher is asked first
weight = 1                           # share among channels of one priority; 0 takes it out of use
at_once_max = 64                     # calls running at the same time; default: no bound
per_minute_max = 3000                # calls per minute, as a bucket that refills evenly; default: no bound
headers = { x-team = "${TEAM}-eu" }  # sent with each call; `${NAME}` is put in wherever it stands

[[prices]]                           # overrides the seed prices of the vendor's catalogue
model = "flux-pro-1.1"
call = "0.04"                        # US dollars per call; other meters by their names, tokens per million
```

What channels take from the environment is needed where `halley serve` or `doctor` runs; other commands do without it.
Bounds hold in each serving process by itself. A call that a channel has no room for goes to the next one. Headers are
kept encrypted, as keys are.

## Names of the environment that are not Halley's own

`DATABASE_URL` is asked after `HALLEY_DATABASE_URL`. A vendor's usual name for its key opens a channel to that vendor,
unless a configured channel names the vendor; the list is in the table of vendors in the README.
"""


def reference() -> str:
    """Write the page."""
    return _HEAD + "".join(map(_row, SETTINGS)) + _TAIL


def _row(setting: Setting) -> str:
    names = " or ".join(f"`{name}`" for name in (setting.env, *setting.aliases))
    flag = f"`{_switch(setting)}`" if setting.flag else "-"
    key = f"`{setting.key}`" if setting.in_file else "-"
    default = setting.default if "`" in setting.default or " " in setting.default else f"`{setting.default}`"
    kind = setting.kind.title[0].upper() + setting.kind.title[1:]
    return f"| {names} | {flag} | {key} | {default} | {setting.help} {kind}. |\n"


def _switch(setting: Setting) -> str:
    return f"{setting.flag}/--no-{setting.key.replace('_', '-')}" if setting.kind.switch else str(setting.flag)
