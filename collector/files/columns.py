"""Names of columns: what a logger calls its time and its parameters, and the units that it states with them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

from greenmine.parameters import Parameter, load_parameters
from greenmine.units import UnitError, conversion

COLUMNS_AT_MOST: Final = 2000
"""Columns of a table."""
_LISTED: Final = 40
"""Names that an error lists."""


class LoggerFileError(ValueError):
    """A logger's file that cannot be read as it is, or not without being told how."""


def words(text: str) -> frozenset[str]:
    """Split a text at its blanks."""
    return frozenset(text.split())


DATES: Final = words("date day datum fecha data jour mydate 日期 监测日期 采样日期 测量日期 年月日")
"""Plain names of columns that may hold the date alone."""

TIMES: Final = words(
    "time hour timeofday uhrzeit hora heure clock hhmm hhmmss mytime 时间 时刻 钟点 时分 时分秒 监测时刻"
)
"""Plain names of columns that may hold the time of day alone."""

STAMPS: Final = words("""
    stamp timestamp datetime dateandtime datetimeutc datetimelocal localdatetime utcdatetime timestamputc timestamplocal
    datumuhrzeit datumzeit datumundzeit datumunduhrzeit fechahora fechayhora dateheure dateetheure datahora dataora dataeora
    datumtijd timeutc utctime utc timelocal localtime sampletime samplingtime samplingdate sampledatetime measurementtime
    measuredat recordtime recordedat createdat datatime ts tmstamp isotime unixtime unix epoch zeitstempel zeit
    hourending hourended timeending dateending endtime starttime begintime periodstart periodend
    监测时间 采样时间 数据时间 日期时间 测量时间 上报时间 记录时间 采集时间 时间戳 监测日期 数据时标 开始时间 结束时间
    messdatum messzeit messzeitpunkt
""")
"""Plain names of columns that hold date and time."""

PARTS: Final = {
    "year": words("year yr yyyy 年 年份"),
    "month": words("month mon mo mm 月 月份"),
    "day": words("day dd dom dayofmonth 日"),
    "ordinal": words("doy jday jd julian julianday dayofyear yday yearday ordinalday 年积日 day"),
    "hour": words("hour hr hh he hourending hourended hourend hours 时 小时 点 hourofday"),
    "minute": words("minute min mi mn minutes 分 分钟"),
    "second": words("second sec ss seconds 秒"),
    "clock": words("hhmm time hourminute hrmn hourmin"),
}
"""Plain names of columns that hold one part of the time each."""

ELAPSED: Final = words(
    "elapsedtime elapsed elapsedseconds elapsedsec elapsedsecs elapsedminutes runtime testtime 经过时间 运行时间 历时"
)
"""Plain names of columns that count from a start in the heading."""

STATIONS: Final = words("""
    id 编号 station stationid stationname site siteid sitename siteno location locationname device deviceid devicename sensor
    sensorid monitor monitorid sensorindex serial serialnumber instrument point pointname 站点 站点名称 点位 点位名称 监测点
    监测点位 监测点名称 站点编号 点位编号 点位代码 测点编号 监测因子点位代码 排口 排口名称 排口编号 排放口 测点 测点名称 设备
    设备编号 设备名称 设备号 设备代码 站名 站号 table mn sn imei imsi iccid mac node nodeid 节点 节点编号 logger loggerid
    channel 通道 通道号 数采仪 数采仪编号 企业 企业名称 单位名称 矿山 矿山名称 tag terminal 终端 终端编号 gateway 网关
    网关编号 devid deveui deviceno unitid serialno 序列号 编码 代码 机号 从站 mine plant county 区县 名称 name probe probeid
    stationcode stationno place area region inlet sampler line pit 区域 监测区域 位置 监测位置 安装位置 采样位置 采样点
    采样点位 地点 监测地点 生产线 产线 车间 工段 工序 系统 所属系统 矿区 采区 厂区 堆场 分区 仪器 仪器名称 仪器编号 探头
""")
"""Plain names of columns that say where or by what was measured."""

_USUAL: Final[dict[str, tuple[str, ...]]] = {
    "laeq": (
        "leq", "leqa", "laeqt", "leqdba", "laeqdb", "dba", "噪声", "噪音", "等效声级", "等效a声级", "等效连续a声级",
        "连续等效a声级", "noise", "噪声leq", "噪声laeq", "噪音leq", "噪声等效声级",
    ),
    "lafmax": ("lafmx", "lmax", "lamax", "最大声级", "最大a声级"),
    "pm1": ("pm1atm",),
    "pm10": ("pm10atm", "feinstaubpm10", "可吸入颗粒物pm10", "颗粒物pm10"),
    "pm2.5": ("pm2p5", "pm25atm", "feinstaubpm25", "细颗粒物pm25", "颗粒物pm25"),
    "tsp": ("扬尘", "总悬浮颗粒物", "总悬浮颗粒物tsp", "总尘"),
    "ss": ("tss", "suspendedsolids", "悬浮物"),
    "turbidity": ("turb", "tur", "浊度", "turbid"),
    "cod": ("codcr", "化学需氧量"),
    "nh3-n": ("nh3n", "nh4n", "ammonia", "ammonianitrogen", "氨氮"),
    "conductivity": ("cond", "ec", "spcond", "specificconductance", "电导率", "spc", "specificconductivity", "actualconductivity"),
    "do": ("dissolvedoxygen", "odo", "ldo", "hdo", "rdo", "rdoconcentration", "溶解氧", "oxygen"),
    "water-temperature": ("temp", "temperature", "watertemp", "wtemp", "水温"),
    "air-temperature": ("temp", "temperature", "airtemp", "气温", "温度", "ambienttemp", "airt"),
    "flow": ("discharge", "flowrate", "流量", "瞬时流量", "污水流量"),
    "wind-speed": ("windspeed", "ws", "风速", "wspd", "wspeed", "windspd"),
    "wind-direction": ("winddirection", "winddir", "wd", "风向", "wdir", "wdirection"),
    "humidity": ("rh", "relativehumidity", "湿度", "relhumidity", "relhum"),
    "pressure": ("airpressure", "barometricpressure", "气压", "大气压", "大气压力", "baro", "bp", "barometer", "barom", "pres"),
    "equipment-state": ("设备状态", "运行状态", "开关状态", "running", "runningstate", "onoff", "machinestate", "devicestate"),
    "rain": (
        "rainfall", "precipitation", "precip", "雨量", "降雨量", "降水量", "降雨", "降水", "累计雨量", "累计降雨量", "累计降水量",
        "raintotal", "totalrain", "rainaccum", "rainaccumulated", "accumulatedrain", "cumulativerain", "raincumulative",
        "cumrain", "accrain", "rainacc", "rainfalltotal", "totalrainfall", "cumulativerainfall", "accumulatedrainfall",
        "总雨量", "累积雨量", "累积降雨量", "累积降水量", "雨量累计", "雨量累积", "降雨量累计",
    ),
}  # fmt: skip
"""Plain names of parameters besides id, symbol, names and HJ 212 code."""

STATISTICS: Final = words("""
    max maximum min minimum std stdev stddev sd sigma median mode range peak percentile count samples cv error variance
    最大 最大值 最小 最小值 标准差 峰值 中位数 极差 样本数 极大值 极小值
""")
"""Plain words for what a column may hold of a quantity in the place of its mean or value."""

TOTALS: Final = re.compile(r"cumulat|accum|total|cum_|_cum|running|counter|累计|累积|总量|总雨", re.IGNORECASE)
"""What a name says of a column that counts on and on."""

_AROUND_NAMES: Final = words("""
    concentration conc average avg mean ave value val reading readings data rtd hr hourly live now realtime current dt tot smp
    濃度 監測值 浓度值 浓度 实时值 实时浓度 实时 均值 平均值 平均浓度 平均 日均值 日平均值 日均
    小时均值 小时平均值 小时平均 小时值 小时浓度
    分钟均值 分钟值 监测值 测量值 数值 数据 值 质量浓度 瞬时值 读数 结果 konzentration mittel mittelwert messwert wert
""")
"""Words before or behind the name of a parameter that say nothing else."""
_AROUND: Final = tuple(sorted(_AROUND_NAMES, key=len, reverse=True))
NEUTRAL: Final = _AROUND_NAMES | words("rn ts float double int integer number string numeric wvc sample sampled")
"""Words in a line below the header that say nothing else either."""
_LABEL: Final = re.compile(
    r"(?:LGR|SEN|S/N|SN|LBL|label|serial|id|no|nr|sensor|sonde|probe|channel|ch|station|site|point|unit id|inlet|head)\b\W*"
    r"[\w.#-]*\W*"
    r"|.*\b(?:S/N|LBL)\b.*|[\W\d]*|\d{1,3}[snd]|\d+ ?[#号].*|.*(?:点|站|号)\d*",
    re.IGNORECASE,
)
"""What stands behind a name to say of which instrument or place the values are."""
_SPAN_WORDS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒"), 1_000),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "分钟", "分"), 60_000),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "小时", "时"), 3_600_000),
    **dict.fromkeys(("d", "day", "days", "日", "天"), 86_400_000),
}
_AVERAGED: Final = re.compile(
    rf"(?:(?<![A-Za-z\d.])|(?<=eq))(\d{{1,4}})[ _-]?({'|'.join(sorted(_SPAN_WORDS, key=len, reverse=True))})(?![A-Za-z\d])",
    re.IGNORECASE,
)
_AVERAGED_BY_WORD: Final = (
    (
        re.compile(
            r"(?<![a-z])(?:daily|day)[ _-]?(?:mean|average|avg|ave)|日均|日平均|24小时|(?<![a-z])daily(?![a-z])",
            re.IGNORECASE,
        ),
        86_400_000,
    ),
    (re.compile(r"小时均|小时平均|小时值|小时浓度|(?<![a-z])hourly(?![a-z])", re.IGNORECASE), 3_600_000),
    (re.compile(r"月均|月平均|(?<![a-z])monthly(?![a-z])", re.IGNORECASE), 28 * 86_400_000),
    (re.compile(r"年均|年平均|(?<![a-z])(?:annual|yearly)(?![a-z])", re.IGNORECASE), 365 * 86_400_000),
)
"""Words for a span over which values are means [ms]."""

_SPELLINGS: Final = """
ug/m3 = microgramm3 ugm3 ugm ugpm3 ugcbm microgramsm3 microgramspercubicmeter microgramspercubicmetre 微克立方米 微克每立方米 微克m3
ug/m3 = мкгм3
mg/m3 = milligramm3 mgm3 mgm mgpm3 mgcbm milligramspercubicmeter milligramspercubicmetre 毫克立方米 毫克每立方米 毫克m3
mg/m3 = мгм3
ng/m3 = ngm3
g/m3 = gm3
mg/L = mgl mglnh3n mgln mgo2l mglasn 毫克升 毫克每升
ug/L = ugl 微克升 微克每升
g/L = gl
dB(A) = dba db dbspl 分贝 分贝a
dB(C) = dbc
dB(Z) = dbz dblin
NTU = ntu fnu ftu
mNTU = mntu mfnu
1 = 1 phunits phunit su 无量纲 unitless
degC = degc degreec degreesc degreecelsius degreescelsius celsius 摄氏度 cel
degF = degf degreef degreesf fahrenheit degreesfahrenheit 华氏度
K = kelvin
m/s = ms mps ms1 米秒 米每秒 meterspersecond
Bft = bft beaufort 级 风力级
km/h = kmh kph kmph 公里小时 千米小时 千米每小时
mile/hour = mph milesperhour
kn = knots knot kts kt kn
uS/cm = uscm microsiemenscm 微西门子厘米 微西门子每厘米 uscm1
mS/cm = mscm 毫西门子厘米 毫西门子每厘米
mS/m = msm
S/m = sm
hPa = hpa hektopascal 百帕
kPa = kpa 千帕
Pa = pa 帕
mbar = mbar mb
bar = bar
mmHg = mmhg torr
inHg = inhg
L/s = ls lps 升秒 升每秒
L/min = lmin lpm
m3/h = m3h cmh m3hr m3hour 立方米小时 立方米每小时 立方米时
m3/s = m3s cms cumecs 立方米秒 立方米每秒
m3/d = m3d 立方米天
foot**3/second = ft3s cfs cubicfeetpersecond
m3 = m3 立方米
mm = mm millimeter millimetre 毫米
cm = cm
inch = inch inches
rad = rad rads radian radians
deg = deg degs degree degrees °
% = percent pct % %rh rh% 百分比 %sat sat% %saturation %airsat
ppm = ppm ppmv
ppb = ppb ppbv
V = volt volts
mV = mv millivolt
mA = ma
ohm = ohm ohms
gallon/minute = gpm
W/m2 = wm2
PSU = psu
RFU = rfu
ppt = ppt
tips = tip tips
1/second = cps
1/L = pcsl countsl particlesl 1l 个升
1/cm3 = pcscm3 cm3 countscm3 particlescm3 1cm3 #cm3
1/ft3 = countsft3 particlesft3 pcft3 pcf 1ft3 #ft3
count = count counts cnt cnts particles pulses
"""
_UNITS: Final = {
    word: line.split(" = ")[0] for line in _SPELLINGS.strip().splitlines() for word in line.split(" = ")[1].split()
}
"""Units by their plain spelling. FNU is read as NTU: both are set by formazin (ISO 7027-1)."""
_SHORT: Final = {
    "c": "degC",
    "f": "degF",
    "in": "inch",
    "v": "V",
    "m": "m",
    "ft": "ft",
    "psi": "psi",
    "atm": "atm",
    "k": "K",
    "度": "deg",
}
"""Spellings that count only where a unit must stand: in brackets, behind a comma or stroke."""
_LIKE_A_UNIT: Final = re.compile(r"(?!S/N\b|N/A\b)[#%°\w·\u00b5μ.^³²]{1,8}\s?/\s?[\w·^³²]{1,8}")
_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|（[^（）]*）|【[^【】]*】|〔[^〔〕]*〕")
_CONDITION: Final = re.compile(
    r"[@ ]*(?:\b(?:at|in) )?(?:\b(?:STP|NTP|ambient|actual|atm|dry)\b|标况|实况|工况|标准状态|参比状态)", re.IGNORECASE
)
"""Under which conditions a volume is counted."""
_REFERENCE: Final = re.compile(
    r"\bd[Bb] ?(?:\( ?A ?\)|A)?[\s(\[,]*"
    r"(?:re(?:f(?:erence|erred)?)?\b\.?|rel(?:ative)?\b\.?|bezogen auf|参考)(?: ?(?:to|level|value|pressure))?\W{0,3}"
    r"(?P<said>[^\s;)\]]+(?: ?[^\s;,)\]]+)?)"
    r"|(?i:reference|ref\.?) ?(?:sound )?(?:pressure|level|value)[^\w]{1,3}(?P<value>[\d.,]+ ?\S+)"
    r"|\bd[Bb](?P<other>FS|fs|V|u|m|mV|\u00b5V|uV|W|VU|SWL)\b"
)
_SOUND_PRESSURE: Final = re.compile(
    r"(?:20(?:[.,]0+)? ?(?:[u\u00b5μ]|micro) ?Pa(?:scals?)?|2(?:[.,]0+)?(?:[eE]-0?5|[x×*·]10\^?-5) ?Pa|"
    r"0[.,]0{4}2 ?Pa|20 ?\u00b5?N/m.*)[.,;]?",
    re.IGNORECASE,
)
"""20 micropascal, the reference of levels of sound in air (ISO 1683)."""
_AIR: Final = re.compile(r"[\s,;]*\bre(?:f\.?)?:? ?20 ?(?:[uμ]|micro)Pa\b", re.IGNORECASE)
"""The usual reference of levels, which says nothing new."""
_PREPOSITION: Final = re.compile(r"(?<=\S) (?:in|en|w)\Z", re.IGNORECASE)
"""What stands between a name and its unit."""
_IN: Final = re.compile(r"\A\s*(?:in|en)\s+(?=\S)", re.IGNORECASE)
"""What stands before a unit in brackets."""
_TEMPERATURE: Final = re.compile(r"temp|温", re.IGNORECASE)
_WHOLE_FRACTION: Final = re.compile(r"(pm ?_?\d+)[._]0(?!\d)")
"""PM1.0 is PM1, and not PM10."""
_REPEATED: Final = re.compile(r"(?<=\S)#\d+\Z")
_SPAN: Final = re.compile(r"(?<=[a-z])\d{1,2}(?:s|sec|m|min|h|hr)\Z")
"""A span behind a name: ``LAeq_15min``."""


_POWER: Final = r"(?:10 ?\^? ?[-−⁻]?[\d⁰¹²³⁴-⁹]{0,2}|1[eE][-+]?\d+|0[.,]0*1|1/10+)"
_SCALED: Final = re.compile(
    r"(?:10'?s|tens|tenths?|hundreds|hundredths?|thousands|thousandths?)\b ?(?:of )?(?:an? )?(?P<worded>.+)"
    rf"|[x×*]?\s*{_POWER}\s*[x×*]?\s*(?P<behind>[^\d\s].*)|(?P<before>.*?[^x×*\s])\s*[x×*]\s*{_POWER}",
    re.IGNORECASE,
)


def plain(name: str) -> str:
    """A name reduced to letters and digits, without case, width and superscripts: ``PM₂.₅`` becomes ``pm25``."""
    folded = unicodedata.normalize("NFKC", name).casefold().replace("μ", "u")
    folded = _WHOLE_FRACTION.sub(r"\1", folded)
    return "".join(character for character in folded if character.isalnum())


def bare(name: str) -> str:
    """A plain name without its unit, and without what stands in brackets or behind a comma: zones, serial numbers."""
    return plain(split_unit(name)[0])


def written(name: str) -> str:
    """A name as it stands in the file: without the ``#2`` that tells it from another of the same name."""
    return _REPEATED.sub("", name)


def unique_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Names for the cells of a header: ``#3`` for the third if empty, ``name#2`` for a second ``name``."""
    names: list[str] = []
    before = Counter[str]()
    for position, cell in enumerate(map(str.strip, cells), start=1):
        name = cell or f"#{position}"
        names.append(f"{name}#{repeats + 1}" if (repeats := before[name]) else name)
        before[cell] += 1
    return tuple(names)


def refuse_wider(columns: int) -> None:
    """Refuse a table of more than ``COLUMNS_AT_MOST`` columns.

    Raises
    ------
    LoggerFileError
        If it has more.
    """
    if columns > COLUMNS_AT_MOST:
        raise LoggerFileError(f"has more than {COLUMNS_AT_MOST:,} columns: split it")


def find_column(names: Sequence[str], wanted: str) -> int | None:
    """Position of the column that somebody names.

    Parameters
    ----------
    names : sequence of str
        Names in the header.
    wanted : str
        The name as in the header, or without regard to case, blanks and signs, or without the unit in brackets.

    Returns
    -------
    int or None
        None if there is no such column.

    Raises
    ------
    LoggerFileError
        If several columns fit equally well.
    """
    asked = plain(wanted)
    for fits in (
        [i for i, name in enumerate(names) if name == wanted.strip()],
        [i for i, name in enumerate(names) if asked and plain(written(name)) == asked],
        [i for i, name in enumerate(names) if asked and bare(written(name)) == asked],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise LoggerFileError(f"{wanted!r} may be any of {listed(names[i] for i in fits)}: give the whole name")
    return None


def parameter_columns(names: Sequence[str], parameter: Parameter) -> list[int]:
    """Positions of the columns whose name is the parameter's: id, symbol, name, HJ 212 code or a usual one."""
    known = _known(parameter)
    return [i for i, name in enumerate(names) if _names(written(name), known)]


def split_unit(name: str) -> tuple[str, str | None]:
    """A name without its unit, and the unit that it states; None if it states none.

    The unit stands in brackets, behind a comma or a stroke, or among the words. What looks like a unit and is none of the known
    ones is returned as it stands.
    """
    text = unicodedata.normalize("NFKC", name).strip()
    if "/" in text and (unit := known_unit(text)) is not None:
        return "", unit
    if foreign_reference(text) is not None:
        at = re.search(r"d[Bb]", text)
        return (text[: at.start()].strip(" ([,"), text[at.start() :].strip(" )]")) if at else (text, None)
    text = _AIR.sub("", text)
    inside: list[str] = []
    outside, previous = text, ""
    while outside != previous:
        inside += [part[1:-1] for part in _BRACKETS.findall(outside)]
        outside, previous = _BRACKETS.sub(" ", outside), outside
    outside = re.sub(r"@.*", "", outside).strip(" ,，")
    outside = re.sub(r"(?<=\w)(?=%\Z)|(?<=\A%)(?=\w)", " ", outside)
    inside = [part for bracket in inside if (part := _not_labels(bracket))]
    head, *behind = re.split(r"[,，]", outside)
    left, stroke, right = head.partition("/")
    tokens = re.split(r"[\s_:：]+", head.strip())
    parts = [
        (" ".join(tokens[:i] + tokens[i + k :]), " ".join(tokens[i : i + k]))
        for k in (3, 2, 1)
        for i in range(len(tokens) - k, -1, -1)
        if len(tokens) > k
    ]
    within = [
        part
        for bracket in inside
        for part in (bracket, *re.split(r"[,;]", bracket), *re.split(r"[\s@]+", _IN.sub("", bracket)))
        if part == bracket or not part.strip().isdigit()
    ]
    if (scaled := next((part.strip() for part in (*inside, *behind) if _is_scaled(part)), None)) is not None:
        return head, scaled
    for candidate in (*within, *behind):
        if (unit := known_unit(candidate, alone=True)) is not None:
            return _without_unit(head).rstrip("/ "), unit
    for base, candidate in parts:
        if (unit := known_unit(candidate, alone=bool(_TEMPERATURE.search(base)))) is not None:
            return _PREPOSITION.sub("", base).rstrip("/ "), unit
    if stroke and (unit := known_unit(right, alone=True)) is not None:
        return left, unit
    unknown = next((part for part in (*inside, *behind) if _LIKE_A_UNIT.match(part.strip())), None)
    return head, unknown


def foreign_reference(text: str) -> str | None:
    """Find the reference of decibels that a text states, where it is another than 20 \u00b5Pa."""
    match = _REFERENCE.search(unicodedata.normalize("NFKC", text))
    if match is None:
        return None
    said = match["said"] or match["value"] or match["other"]
    return None if _SOUND_PRESSURE.fullmatch(said.strip()) else said


def unclear(name: str) -> str | None:
    """What stands in brackets or behind a comma in the name of a column, and may be a unit that is not known."""
    return next((part for part in _beside(name) if not says_nothing(part)), None)


def qualified(name: str) -> str | None:
    """What brackets or a comma add to the name of a column, beside its unit and what says nothing: ``PM10 (max) [ug/m3]``."""
    for part in _beside(re.sub(r"(?<=dB) ?\(\w\)", "", name)):
        said = _IN.sub("", _CONDITION.sub("", part)).strip()
        rest, unit = split_unit(said)
        alone = (said, said.replace(" ", ""), unit if unit is not None and says_nothing(rest) else "")
        is_unit = any(text and known_unit(text, alone=True) is not None for text in alone)
        plainly = is_unit or says_nothing(said) or said == split_unit(name)[1]
        if not plainly or is_statistic(said) or "露点" in said:
            return part
    return None


def _beside(name: str) -> Iterator[str]:
    """Parts of a name that stand in brackets or behind a comma."""
    text = unicodedata.normalize("NFKC", written(name))
    inside = [part[1:-1] for part in _BRACKETS.findall(text)]
    behind = re.split(r"[,，]", _BRACKETS.sub(" ", text))[1:]
    for said in (*inside, *behind):
        yield from (piece.strip() for piece in re.split(r"[,;，；]", said))


def says_nothing(text: str) -> bool:
    """Whether a text beside the name of a quantity only names it again, an instrument, a place, a zone or a way of averaging."""
    if _LABEL.fullmatch(text) or re.fullmatch(r"(?:UTC|GMT)\W*[\d:]*", text, re.IGNORECASE):
        return True
    known = NEUTRAL | _all_known()
    words = [word for word in re.split(r"[\s_-]+", _AVERAGED.sub(" ", text)) if word]
    return plain(text) in known or all(plain(word) in known or word.isdigit() for word in words)


def names_parameter(text: str) -> bool:
    """Whether a text is the name of a parameter and nothing else."""
    return any(character.isalpha() for character in text) and plain(text) in _all_known()


def is_statistic(text: str) -> bool:
    """Whether a text says that values are no means: maxima, deviations, percentiles."""
    words = {plain(word) for word in re.split(r"[\s_.()-]+", text)}
    return (
        plain(text) in STATISTICS
        or bool(words & STATISTICS)
        or re.fullmatch(r"[PL]\d{1,2}|\d{1,2}\W?%|\d+(?:st|nd|th)", text.strip(), re.IGNORECASE) is not None
    )


@lru_cache(maxsize=1)
def _all_known() -> frozenset[str]:
    return frozenset().union(*(_known(parameter) for parameter in load_parameters().values()))


def averaging_time(name: str) -> int | None:
    """Span over which the values of a column are means, as its name says [ms]; None: it says none."""
    text = unicodedata.normalize("NFKC", written(name))
    spans = [int(number) * _SPAN_WORDS[word.casefold()] for number, word in _AVERAGED.findall(text)]
    spans += [span for pattern, span in _AVERAGED_BY_WORD if pattern.search(text)]
    return max(spans, default=None)


def _not_labels(bracket: str) -> str:
    """What stands in brackets, without serial numbers and labels of instruments."""
    parts = [re.sub(r"^\s*units?\s*[:=]\s*", "", part, flags=re.IGNORECASE) for part in re.split(r"([,;])", bracket)]
    return "".join(
        part for part in parts if part in ",;" or not re.search(r"\b(?:S/N|LBL|SN|LGR|serial)\b", part, re.IGNORECASE)
    ).strip(",; ")


def _is_scaled(text: str) -> bool:
    """Whether a text is a power of ten and a known unit, such as ``x10 ug/m3`` and ``0.1 %``: no unit that can be converted."""
    match = _SCALED.fullmatch(text.strip())
    return (
        match is not None and known_unit(match["behind"] or match["before"] or match["worded"], alone=True) is not None
    )


def known_unit(text: str, *, alone: bool = False) -> str | None:
    """The usual spelling of a unit; None if it is none that is known.

    ``alone`` is for places where nothing but a unit stands; there a letter is enough.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("μ", "u").strip()
    signs = "".join(c for c in folded if c.isalnum() or c in "%°#")
    for spelling in (signs, signs.replace("°", ""), plain(text)):
        if spelling in _UNITS and (spelling == signs or not signs.startswith("%")):
            return _UNITS[spelling]
        if spelling in _SHORT and (alone or "°" in signs):
            return _SHORT[spelling]
    return None


def unit_of(name: str, parameter: Parameter) -> str | None:
    """The unit that the name of a parameter's column states; None if none."""
    unit = split_unit(name)[1]
    if unit is None and re.search(
        r"%|percent|pct" + ("|sat|饱和" if parameter.id == "do" else ""), name, re.IGNORECASE
    ):
        return "%"
    whole = plain(written(name))
    heads = (whole[: -len(spelling)] for spelling in _UNITS if unit is None and whole.endswith(spelling))
    known = _known(parameter)
    found = [_UNITS[whole[len(head) :]] for head in heads if head in known]
    return found[0] if found else unit


def convertible(unit: str, parameter: Parameter) -> bool:
    """Whether a unit measures what the parameter is."""
    try:
        conversion(unit, parameter.unit)
    except UnitError:
        return False
    return True


def listed(names: Iterable[str]) -> str:
    """The first names for an error, quoted."""
    named = iter(names)
    first = list(map(repr, islice(named, _LISTED)))
    return ", ".join([*first, "…"] if next(named, None) is not None else first)


def _known(parameter: Parameter) -> set[str]:
    own = (parameter.id, parameter.symbol, parameter.name_en, parameter.name_zh, parameter.hj212)
    return {plain(name) for name in own if plain(name)} | set(_USUAL.get(parameter.id, ()))


def _without_unit(base: str) -> str:
    """A name from which a unit was taken, and which may state it once more at its end."""
    tokens = re.split(r"[\s_]+", base.strip())
    return " ".join(tokens[:-1]) if len(tokens) > 1 and known_unit(tokens[-1]) is not None else base


def _names(name: str, known: set[str]) -> bool:
    spoken = _AVERAGED.sub(" ", name)
    return any(_core(text, known) for text in {plain(name), bare(name), plain(spoken), bare(spoken)} if text)


def _core(text: str, known: set[str]) -> bool:
    """Whether a plain name is a known one, or one with a unit or with words that say nothing around it."""
    while text:
        if text in known or any(_is_followed_by_unit(text, name) for name in known):
            return True
        shorter = next((text[: -len(word)] for word in _AROUND if text.endswith(word) and text != word), None)
        if shorter is None:
            shorter = next((text[len(word) :] for word in _AROUND if text.startswith(word) and text != word), None)
        if shorter is None:
            shorter = _SPAN.sub("", text) if _SPAN.search(text) else None
        if shorter is None:
            return False
        text = shorter
    return False


def _is_followed_by_unit(text: str, name: str) -> bool:
    """Whether a plain text is a name with a unit behind it; digits that continue those of a name make another: PM101."""
    unit = text[len(name) :]
    return text.startswith(name) and unit in _UNITS and not (name[-1].isdigit() and unit[0].isdigit())
