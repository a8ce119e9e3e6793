"""Lines between the readings of a file that may say that what follows is of another station, unit or zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from greenmine.collector.files.columns import known_unit, names_parameter, plain, words
from greenmine.collector.files.numerals import stands_for_nothing
from greenmine.collector.files.stated_zones import zone_in

_KEY: Final = re.compile(r"\W*(?P<key>[^:：=;,\t]{1,30}?)\s*[:：=;,\t]")
_KEYS: Final = words("""
    station site location place point position device sensor instrument monitor logger serial sn probe node channel section area
    mine plot unit units uom zone timezone tz utc gmt parameter pollutant analyte quantity tag id ort standort gerät einheit
    messstelle estación estacion unidad stationsname 测点 站点 站名 站点名称 监测点 监测点位 点位 点位名称 测点名称 设备 设备编号
    设备名称 编号 序列号 单位 时区 仪器 名称 区域 断面 因子 监测因子 参数 矿山 企业 监测项目 项目 地点 位置
""")
"""Words before a colon that name what the following readings are of."""
_PLACE: Final = re.compile(
    r"\b(?:station|site|location|point|position|monitor|device|sensor|logger|instrument|channel|unit|zone|probe)\W{0,3}(?:[A-Z]\b|\d+\b|No)"
    r"|(?:测点|站点|点位|监测点|设备)\s*[:：]?\s*[\w#]",
    re.IGNORECASE,
)
_EVENT: Final = re.compile(
    r"power|restart|reset|reboot|boot|stop|start|begin|error|fail|batter|download|connect|calib|\bend|eof|memory|pause|resume|"
    r"\bo(?:ff|n)\b|lost|gap|data|page|copyright|total|summary|maintenance|service|alarm|warning|logg(?:ed|ing)|record|clock|"
    r"断|重启|复位|启|停|校|故障|恢复|掉线|缺|续|页|备注|说明|计|维护|报警|异常|时间|数据|制表|审核|[均平最]",
    re.IGNORECASE,
)
"""What loggers and people write between readings of the same instrument."""
_LONGEST: Final = 80


def begins_section(cells: Sequence[str], heading: Sequence[str], *, comment: bool = False) -> bool:
    """Whether a line without a time may begin a section of something else.

    Parameters
    ----------
    cells : sequence of str
        Its cells that hold something.
    heading : sequence of str
        The lines before the header; a line that stands among them says nothing new.
    comment : bool
        Whether the line is marked as a comment: then free text says nothing.

    Returns
    -------
    bool
        For ``Station: B``, ``North gate``, ``mg/m3``, ``UTC+1``; not for ``Logger restarted``, a title that came before, or a
        damaged row of figures.
    """
    line = ",".join(cells)
    if not cells or plain(line) in map(plain, heading) or "\ufffd" in line or len(line) > 3 * _LONGEST:
        return False
    if (match := _KEY.match(line)) is not None and len(cells) <= 2:
        key = match["key"]
        if any(plain(word) in _KEYS for word in [key, *re.split(r"[\s_/-]+", key)]):
            return True
    if len(cells) > 1:
        units = [cell for cell in cells if known_unit(cell.strip("()[]"), alone=True) and not stands_for_nothing(cell)]
        return bool(units) and not any(character.isdigit() for cell in cells if cell not in units for character in cell)
    text = cells[0]
    letters = sum(character.isalpha() for character in text)
    if (
        names_parameter(text)
        or known_unit(text.strip("()[]"), alone=True)
        or _PLACE.search(text)
        or zone_in(text, column=True)
    ):
        return True
    if re.match(r"\[|([=*#~_-])\1", text):
        return letters > 0 and not _EVENT.search(text)
    if comment or match is not None or len(text) > _LONGEST or stands_for_nothing(text) or _EVENT.search(text):
        return False
    return letters >= 2 and 2 * letters > len(text.replace(" ", "")) and not text.isdigit()
