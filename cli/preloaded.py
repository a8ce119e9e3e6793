"""What each process of an installation needs, imported once: processes are forked from one that has it, and share its memory."""

from __future__ import annotations

import gc

import greenmine.record.record
import greenmine.registry
import greenmine.settings  # noqa: F401 - imported for those to come

gc.freeze()  # a collection in a child would write to, and so copy, every page
