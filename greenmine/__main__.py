"""``python -m greenmine`` is the ``greenmine`` command."""

from __future__ import annotations

from greenmine.cli import main

if __name__ == "__main__":
    main()
