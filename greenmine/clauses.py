"""Clauses and sources in both languages: the catalogue of limits cites in English, in a few words that repeat."""

from __future__ import annotations

import re
from typing import Final

from greenmine.wording.messages import Language

_BOTH: Final = re.compile(r"(?P<zh>[^/]*[\u4e00-\u9fff][^/]*) / (?P<en>[^/\u4e00-\u9fff]+)")
"""What a registry says in both languages."""
_CHINESE: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (
            r": at least 20 hourly values; the 45 min are written for gases and customary for particulates",
            "：至少 20 个小时值；45 分钟原为气体规定，颗粒物照此办理",
        ),
        (
            r": at least 324 daily means a year and 27 a month \(February 25\)\. Months and quarters have no rule .*",
            "：全年至少 324 个日均值，每月至少 27 个（2 月 25 个）；月、季未作规定，按每月 27 个（25 个）为本项目的选择",
        ),
        (
            r": at least 60 daily means a year, evenly spread, and 5 a month",
            "：全年至少 60 个分布均匀的日均值，每月至少 5 个",
        ),
        (r": 24 h of sampling", "：采样 24 小时"),
        (r": full-value comparison where a standard says nothing", "：标准未作规定时采用全数值比较法"),
        (r": 75 % of the values due", "：应有数据的 75 %"),
        (
            r": concentrations rounded to integers by GB/T 8170; taken for daily judgement too, HJ 663 was not read",
            "：浓度按 GB/T 8170 修约为整数，日评价照此办理",
        ),
        (
            r": a level corrected for its background is rounded to an integer by GB/T 8170; of others .*",
            "：经背景修正的声级按 GB/T 8170 修约为整数；其余未作规定，以全数值比较",
        ),
        (
            r"^Setting of this project: the 45 min that GB 3095 Table 4 asks of hourly means of gases",
            "本项目的选择：照 GB 3095 表 4 对气体小时均值的 45 分钟要求",
        ),
        (r"^Working default of 75 % of the (\d+) hours; .*", r"本项目的选择：\1 小时的 75 %"),
        (r", amendment\b", "（修改单）"),
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


def in_language(citation: str, language: Language) -> str:
    """A standard with its clause, or who set a number, in a language.

    Examples
    --------
    >>> in_language("企业自定 / set by the enterprise", "zh")
    '企业自定'
    >>> in_language("企业自定 / set by the enterprise", "en")
    'set by the enterprise'
    >>> in_language("GB 12348-2008 cl. 4.1", "en")
    'GB 12348-2008 cl. 4.1'
    """
    if both := _BOTH.fullmatch(citation):
        return both[language]
    return in_chinese(citation) if language == "zh" else citation


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
