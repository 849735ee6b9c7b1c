"""Starting, stopping, starting again, and reading the file anew."""

import asyncio
from pathlib import Path

import pytest

from halley.app import Gateway
from halley.console.lock import DataFolderInUse
from halley.pipeline.reload import reload
from halley.settings import PriceConfig, SettingsError
from halley.tasks import TaskState
from halley.testing.gateway import Rig, opened_gateway, settings_for
