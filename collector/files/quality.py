"""What the columns beside the values say of each reading: data flags of HJ 212, quality in words, faults, remarks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.collector.files.columns import plain, split_unit, words
from greenmine.collector.files.descriptions import Description
from greenmine.readings import FLAGS

_FLAGS: Final = words("flag flags dataflag 标记 数据标记 数据标识 标识")
"""Plain names of columns with the data flags of HJ 212."""
_QUALITY: Final = words("""
    valid validity isvalid validdata datavalid ok isok dataok good isgood accepted isaccepted approved usable
    有效 数据是否有效 是否合格
    quality qc qa qaqc qcflag qualityflag qualitycode status datastatus state check checked approval
    dataquality 有效性 是否有效 有效标识 有效性标识 数据有效性 状态 数据状态 状态标识 状态码 质量 质控 质控状态 数据质量
    gültig gueltig valide validité válido valido válida valida qualité calidad estado état messstatus zustand qaflag qcstatus
    审核标记 审核状态 审核结果 审核 校验 是否正常 数据有效 verification verificationstatus plausibilität plausibilitaet
    plausibilité bewertung stato statodato marca marque merkmal kennung gyldig giltig geldig validacion validación
""")
"""Plain names of columns that say in words or codes of the maker whether a reading is good."""
_FAULTS: Final = words("""
    error errors err errorcode errorflag fault faults faultcode alarm alarms warning warnings malfunction fehler
    invalid isinvalid notvalid datainvalid rejected excluded deleted isdeleted removed outlier outliers isoutlier suspect
    suspected suspicious questionable estimated isestimated interpolated isinterpolated imputed gapfilled filled flagged
    substituted simulated maintenance calibration calibrating 补数 是否补数 剔除 是否剔除 可疑 是否可疑 插补 是否插补 估算
    是否估算 离群 维护 校准 是否维护 是否校准
    over overload overloads overloaded overrange overunder underrange under ovl ovld ovrld olflag clip clipping clipped saturated
    saturation nulldatacode nullcode qualifier qualifiers warmup störung stoerung fallo falla erreur uebersteuerung 过载 溢出 超量程
    cal zero span zeroing purge purging diag diagnostic diagnostics diagnosticcode diagcode censor censored censorcode
    iscensored nondetect nd belowlod lodflag belowmdl belowdl belowlimit ungültig ungueltig invalide inválido invalido
    wartung kalibrierung étalonnage etalonnage mantenimiento 校零 校标 零校 标校 检定 停电 断电 掉电
    故障 故障码 异常 是否异常 报警 告警 错误 错误码 错误代码 故障代码 报警状态 无效 是否无效
""")
"""Plain names of columns that name what is wrong with a reading, and nothing where it is good."""
_REMARKS: Final = words(
    "remark remarks note notes comment comments annotation event events bemerkung bemerkungen anmerkung kommentar hinweis "
    "commentaire commentaires remarque remarques observation observations observación observaciones observacoes observações "
    "nota notas opmerking opmerkingen uwagi примечание 备注 备注信息 说明 注释 事件 情况说明 运维记录"
)
"""Plain names of columns with free text."""
_GOOD: Final = words("""
    ok good valid normal pass passed true yes approved verified ja oui
    sí si gültig valide válido valido 有效 正常 合格 是 通过 已审核 va plausibel
    run running measuring measurement measure sampling 运行 运行中 测量 测量中 采样
""")
"""Texts of columns of quality that leave no doubt."""
_YES: Final = words("y t 1")
"""Texts besides that say yes where a name asks a question."""
_ANSWERS: Final = _YES | words("n no f false 0 yes true ja nein oui non sí si 是 否 无效 invalid bad")
"""Texts that answer a question."""
_OF_THE_INSTRUMENT: Final = re.compile(
    r"(?:inst(?:rument)?|sensor|pump|flow|laser|filter|heater|sampl\w*?|analy[sz]er|monitor|meas\w*?|data|reading|optics|detector|tape"
    r"|nozzle|inlet|仪器|传感器|监测仪|分析仪|采样泵?|泵|激光|流量|数据|测量)+"
    r"(?:flags?|faults?|errors?|alarms?|status|ok|valid|invalid|gültig|valide|状态|标记|标识|故障|异常|报警|有效|无效)"
)
"""A plain name of a column that says how the instrument, or a part of it, was."""
_NAMES_FLAGS: Final = re.compile(r"flag|stat(?:us|e)|code|标|状态|码")
"""What a plain name says of a column with flags or codes: N is normal there, as in HJ 212."""
_ASKS: Final = re.compile(r"valid|válid|gültig|gueltig|accept|approv|reject|exclu|usable|ok|good|有效|无效|是否")
"""What a plain name says of a column that asks a question: N is no there."""
_CHOICE: Final = re.compile(
    r"\W*\b(?:y ?/ ?n|yes ?/ ?no|t ?/ ?f|true ?/ ?false|0 ?/ ?1|1 ?/ ?0|是 ?/ ?否|有效 ?/ ?无效)\W*\Z", re.IGNORECASE
)
"""Answers that stand behind a question."""
_LETTERS: Final = words("b c d m s")
"""Flags of HJ 212 that answer no question."""
_NO_FAULT: Final = words(
    "0 n no none false ok normal noerror noalarm nofault nil nc non nein run running measuring 运行 测量 "
    "无 否 正常 无故障 无报警 无异常 有效"
)
"""Texts of columns of faults that name none."""
_DOUBTFUL: Final = re.compile(
    r"calib|fault|fail|error|invalid|mainten|service|clean|test|zero|span|power|offline|replac|repair|exclud|reject|bad|malfunction"
    r"|kalib|wartung|reinig|defekt|störung|stoerung|ausfall|ungültig|étalon|etalon|entretien|nettoy|panne|défaut|inválid|non valide"
    r"|mantenim|limpieza|avería|averia|falla|fallo|manuten|limpeza|falha|guasto|taratura|поверк|калибр|неисправ|авари|обслуж"
    r"|校准|校零|标定|故障|异常|无效|维护|检修|维修|断电|停电|离线|清洗|零点|量程|更换|剔除|停机|停运",
    re.IGNORECASE,
)
"""What a remark says of a reading that may be none."""


_BELOW: Final = re.compile(r"[<≤] ?(?:LOD|LOQ|MDL|LLD|DL)\??", re.IGNORECASE)
"""A name that asks whether a reading is below the limit of detection."""
_PART: Final = words(
    "pump laser sampler heater fan instrument analyzer analyser detector blower 泵 采样泵 激光 仪器 风机"
)
"""Plain names of parts of an instrument, without which there is no reading."""
_OFF: Final = words("off stop stopped out aus arrêt parada 关 关闭 停 停止 停机")
"""Texts that say of a part that it does not work."""
_SIGN: Final = re.compile(r"[*#!?@+^~§†‡<>≤≥$&%|x]{1,3}")
"""A mark in a column that does not say what it holds."""
_NAMES_A_FAULT: Final = re.compile(
    r"(?<!no )(?<!without )(?:fault|fail|error|invalid|malfunction|calibrat|\b(?:zero|span)\b|\boffline\b|disconnect|\brejected\b)"
    r"|ungültig|nicht (?:gültig|ok)|non valide|inválid|defekt|störung|kalibrier|étalonn|avería|неисправ|калибр"
    r"|(?<![无未])(?:故障|异常|校准|标定|离线|检定|剔除)|无效|不通过|未通过",
    re.IGNORECASE,
)
"""What says of a reading that it may be none, wherever it stands."""


def flag_columns(name: str, columns: Sequence[str]) -> list[str]:
    """Find the columns that speak of the readings of one: its own flags (``a34002-Flag``), and those of the whole row."""
    base = plain(split_unit(name)[0])
    stem = next((base[: -len(word)] for word in ("rtd", "avg", "value", "值") if base.endswith(word)), base)
    about = _FLAGS | _QUALITY | _FAULTS
    own = {f"{x}{word}" for x in (base, stem) for word in about} | {
        f"{word}{x}" for x in (base, stem) for word in about
    }
    return [other for other in columns if other != name and _is_about(_asked(other), own | about | _REMARKS)]


def _is_about(name: str, words: frozenset[str] | set[str]) -> bool:
    return name in words or _OF_THE_INSTRUMENT.fullmatch(name) is not None


def _asked(column: str) -> str:
    """The plain name of a column without the answers that it offers: ``Valid (Y/N)`` becomes ``valid``, ``<LOD`` ``belowlod``."""
    return "belowlod" if _BELOW.fullmatch(column.strip()) else plain(_CHOICE.sub("", column))


def _word(text: str) -> str:
    """The plain form of a text; a number below 0 keeps its sign, and codes of zeros alone are 0."""
    word = plain(text) if re.fullmatch(r"\s*-\d+(?:\.\d+)?\s*", text) is None else text.strip()
    return "0" if re.fullmatch(r"0(?:x0)?0*", word) else word or (text.strip() if _SIGN.fullmatch(text.strip()) else "")


def _meaning(name: str, texts: set[str]) -> tuple[bool, frozenset[str], frozenset[str]]:
    """What the texts of a column mean, by its plain name and their plain forms.

    Returns
    -------
    flags : bool
        Whether letters are flags of HJ 212: in a column of flags, or beside letters that answer no question.
    good : frozenset of str
        Texts which say that a reading is good.
    answers : frozenset of str
        Texts that count even where they stand in every row alike.
    """
    fault = any(name.startswith(word) or name.endswith(word) for word in _FAULTS)
    good = _NO_FAULT if fault else _GOOD
    asks = _ASKS.search(name) is not None
    flagged = not asks and any(name.startswith(word) or name.endswith(word) for word in _FLAGS)
    answered = (
        asks and "s" in texts and texts <= {"", "s", "n"} and "lid" in name
    )  # sí or sim, in Spanish and Portuguese
    shown = (
        "y" not in texts
        and not answered
        and (bool(texts & _LETTERS) or (not asks and _NAMES_FLAGS.search(name) is not None))
    )
    if flagged or shown:
        return True, good | {"n"}, frozenset()
    if not asks:
        return False, good, _ANSWERS - {"0", "1"}
    if fault:
        return False, good | {"f"}, _ANSWERS
    mixed = "n" in texts and not texts.isdisjoint({"t", "f"})
    return False, good | (_YES - {"t"} if mixed else _YES) | ({"s"} if answered else set()), _ANSWERS


def take_flags(
    cells: NDArray[np.object_],
    column: str,
    said: Description,
    flag: NDArray[np.uint8],
    doubtful: NDArray[np.bool_],
    notes: list[str],
    *,
    beside: bool = False,
) -> None:
    """Take what a column says: flags of HJ 212, doubt where it says anything else but that a reading is good.

    Parameters
    ----------
    cells : object array (n,)
        Texts of the column.
    column : str
        Its name.
    said : Description
        Says what marks mean.
    flag : uint8 array (n,)
        Data flags, changed where the column gives others.
    doubtful : bool array (n,)
        Set where the meaning is not stated. A text that stands in every row alike says nothing.
    notes : list of str
        Takes sentences for the user.
    beside : bool
        Whether the name of the column says nothing, so that only words for a fault count.
    """
    name = _asked(column)
    remark = name in _REMARKS or beside
    texts = set(cells.tolist())
    flags, good, answers = _meaning(name, {_word(text) for text in texts})
    flags |= remark
    found = {text for text in texts if _word(text) and _word(text) not in good}
    if remark:
        words = _NAMES_A_FAULT if beside else _DOUBTFUL
        fits = {text for text in texts if words.search(text) or text in said.marks}
        if beside:
            off = _OFF if name in _PART else frozenset()
            fits |= {text for text in texts if _SIGN.fullmatch(text) or plain(text) in off}
        found &= fits
    taken = {*said.marks, *FLAGS, *(text for text in found if _word(text) in answers)}
    if len(found) == 1 and (cells == next(iter(found))).all() and found.isdisjoint(taken):
        notes.append(f"column {column!r} says {next(iter(found))!r} of every reading: nothing is taken from it")
        return
    for text in sorted(found):
        rows = cells == text
        letter = said.marks.get(text, text.upper() if flags else "")
        if letter in FLAGS:
            flag[rows] = ord(letter)
        else:
            doubtful |= rows
            letter = f"{text!r}, whose meaning is not stated: no window with it is valid; --mark '{text}=N' takes it as normal"
        notes.append(f"{np.count_nonzero(rows):,} readings have the flag {letter} in column {column!r}")
