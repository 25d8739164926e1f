"""What a terminal is sent: colours only where it may have them."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys


def shown(*words, **env):
    """Return what a command writes to a terminal of 80 columns; it must be less than that buffers."""
    ours, theirs = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "TERM"}}
    process = subprocess.run(
        [sys.executable, "-m", "archbench", *words],
        stdin=theirs, stdout=theirs, stderr=theirs, timeout=60, check=False,
        env={**plain, "TERM": "xterm-256color", "COLUMNS": "80", **env},
    )  # fmt: skip
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:  # the other end is closed, and all is read
        pass
    finally:
        os.close(ours)
    return process.returncode, b"".join(parts).decode()


def colors(text):
    """Return the colours that are asked for; bold and dim are none."""
    codes = [code for codes in re.findall(r"\x1b\[([0-9;]*)m", text) for code in codes.split(";")]
    return [code for code in codes if re.fullmatch(r"[349][0-7]|10[0-7]|[34]8", code)]


def test_no_color_holds_and_help_fits_eighty_columns():
    assert colors(shown("--help")[1])  # else this would tell nothing
    code, text = shown("--help", NO_COLOR="1")
    assert (code, colors(text)) == (0, [])
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()) <= 80


def test_errors_have_no_colors_where_none_are_wanted():
    code, text = shown("best", "nowhere", NO_COLOR="1")
    assert (code, bool(text), colors(text)) == (2, True, [])
