"""Clauses in Chinese: the catalogue of limits cites them in English, in a few words that repeat."""

from __future__ import annotations

import re
from typing import Final

_CHINESE: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"; a newer edition is possible", "；可能有更新版本"),
        (r"\bfugitive limit, other particulates", "无组织排放限值，其他颗粒物"),
        (r"\bfugitive limit, particulates", "无组织排放限值，颗粒物"),
        (r"\bTable (\d+)", r"表 \1"),
        (r"\bAppendix ([A-Z])", r"附录 \1"),
        (r"\bcl\. ([\d.]+\d) and ([\d.]+\d)", r"第 \1、\2 条"),
        (r"\bcl\. ([\d.]+\d)", r"第 \1 条"),
        (r"\blimit \+ ", "限值 + "),
        (r" \(transition\)", "（过渡期）"),
        (r"\bother units", "其他单位"),
        (r"\bmining", "采矿"),
        (r"\bwaste water", "废水"),
        (r"^EIA\b", "环评文件"),
        (
            r"^Environmental impact assessments of quarries in Wanzhou \(public notices of 2018 and 2024\)",
            "万州区采石场环境影响评价公示（2018 年、2024 年）",
        ),
        (r": ", "："),
        (r", ", "，"),
    )
)


def in_chinese(citation: str) -> str:
    """A standard with its clause, in Chinese.

    Examples
    --------
    >>> in_chinese("GB 12348-2008 cl. 4.1.3: limit + 15 dB(A)")
    'GB 12348-2008 第 4.1.3 条：限值 + 15 dB(A)'
    """
    for pattern, words in _CHINESE:
        citation = pattern.sub(words, citation)
    return citation
