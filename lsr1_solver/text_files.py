"""Text of files that other programs and shells wrote."""

from __future__ import annotations

import codecs


def decoded(data: bytes) -> str:
    """The text of a file without its byte order mark: UTF-8, or the UTF-16 that PowerShell's ``>`` writes.

    UnicodeDecodeError where it is neither.
    """
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig")
