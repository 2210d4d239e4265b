from collections.abc import Callable
from typing import Any

ARCHIVE_FATAL: int
SEEK_CALLBACK: Any
page_size: int
read_set_seek_callback: Callable[..., int]
"""It is set as the module is loaded."""
