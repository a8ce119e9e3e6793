"""Dashboards are sound by the classic schema and complete in both languages."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from greenmine.cli import app
from greenmine.grafana.alerts import rules
from greenmine.grafana.dashboards import as_text, dashboards
from greenmine.grafana.edition import Edition, tag_of
from greenmine.grafana.influx.influx_schema import BY_NAME, FINDINGS
from greenmine.loading import load_registry
from greenmine.wording.messages import LANGUAGES, Language, texts

TYPES = {"timeseries", "stat", "table", "state-timeline", "geomap", "barchart", "bargauge", "text"}
TRANSFORMATIONS = {"merge", "organize", "filterFieldsByName", "joinByField", "groupBy", "renameByRegex"}
DAY = date(2026, 11, 1)
"""The limits of the catalogue that hold on it are drawn."""
EDITION = Edition("en", load_registry(), DAY)
BUILT = {language: dashboards(Edition(language, load_registry(), DAY)) for language in LANGUAGES}
ALL = [(language, name) for language in LANGUAGES for name in BUILT[language]]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Panels that show something; rows only head them."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_there_are_eight_in_each_language() -> None:
    names = {"overview", "wall", "mine", "dust", "noise", "water", "exceedances", "operation"}
    assert {language: set(boards) for language, boards in BUILT.items()} == {"zh": names, "en": names}


def test_the_command_writes_them_as_json(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["grafana", "build", "--out", str(tmp_path)])
    assert not ended.value.code
    written = {(p.parent.name, p.stem): json.loads(p.read_text("utf-8")) for p in tmp_path.glob("*/*.json")}
    assert set(written) == set(ALL)
    assert all(board["title"] == BUILT[language][name]["title"] for (language, name), board in written.items())


@pytest.mark.parametrize(("language", "name"), ALL)
def test_all_columns_of_a_table_are_in_sight_at_1440_beside_the_menu(language: Language, name: str) -> None:
    board = dashboards(Edition(language, load_registry(), DAY, "https://pages.example.org"))[name]
    for panel in panels(board):
        if panel["type"] == "table":
            widths = [
                {p["id"]: p["value"] for p in override["properties"]} for override in panel["fieldConfig"]["overrides"]
            ]
            # Measured in Grafana 12.3 with its menu docked, as it is at first: 1090 px of 24 columns, 532 of 12, 625 of 14.
            left = 46.5 * panel["gridPos"]["w"] - 26 - sum(column.get("custom.width", 0) for column in widths)
            least = [column.get("custom.minWidth", 60) for column in widths if "custom.width" not in column]
            assert left >= max(least, default=0) * len(least), panel["title"]  # Grafana shares what is left out equally


@pytest.mark.parametrize(("language", "name"), ALL)
def test_panels_have_ids_places_and_texts(language: str, name: str) -> None:
    board = BUILT[language][name]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels(board):
        assert panel["type"] in TYPES
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["noValue"]
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        assert place["h"] > 0
    for one, other in itertools.combinations((panel["gridPos"] for panel in board["panels"]), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


@pytest.mark.parametrize(("language", "name"), ALL)
def test_no_two_columns_of_a_table_have_one_title(language: str, name: str) -> None:
    for panel in panels(BUILT[language][name]):
        for options in (t["options"] for t in panel.get("transformations", ()) if t["id"] == "organize"):
            titles = list(options["renameByName"].values())
            assert len(titles) == len(set(titles)), panel["title"]


@pytest.mark.parametrize(("language", "name"), ALL)
def test_targets_are_complete(language: str, name: str) -> None:
    board = BUILT[language][name]
    known = {variable["name"] for variable in board["templating"]["list"]}
    for panel in panels(board):
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))
        assert refs
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "influxdb", "uid": "${datasource}"}
            assert target["rawQuery"] is True
            assert target["resultFormat"] in {"time_series", "table"}
            assert ";" not in target["query"]
            assert set(re.findall(r"\$\{(\w+):regex\}", target["query"])) <= known
            measured = set(re.findall(r'FROM "(\w+)"', target["query"]))
            assert measured
            assert measured <= set(BY_NAME)
        for transformation in panel["transformations"]:
            assert transformation["id"] in TRANSFORMATIONS


@pytest.mark.parametrize(("language", "name"), ALL)
def test_links_lead_to_dashboards_that_exist(language: str, name: str) -> None:
    uids = {board["uid"] for boards in BUILT.values() for board in boards.values()}
    linked = set(re.findall(r"/d/([\w-]+)", as_text(BUILT[language][name])))
    assert linked
    assert linked <= uids


@pytest.mark.parametrize(("language", "name"), ALL)
def test_units_spell_micro_as_grafana_does(language: str, name: str) -> None:
    text = as_text(BUILT[language][name])
    assert "\u00b5" not in text
    assert json.loads(text) == BUILT[language][name]


def test_uids_are_short_enough_and_ours() -> None:
    for boards in BUILT.values():
        for board in boards.values():
            assert board["uid"].startswith("greenmine-")
            assert len(board["uid"]) <= 40


def test_both_languages_have_the_same_texts() -> None:
    assert set(texts("greenmine.grafana", "zh")) == set(texts("greenmine.grafana", "en"))


@pytest.mark.parametrize("key", sorted(texts("greenmine.grafana", "en")))
def test_both_languages_have_the_same_placeholders(key: str) -> None:
    found = [sorted(re.findall(r"\{(\w+)\}", texts("greenmine.grafana", language)[key])) for language in LANGUAGES]
    assert found[0] == found[1]


def test_descriptions_cite_the_clause_of_the_limit() -> None:
    described = {panel["title"]: panel["description"] for panel in panels(BUILT["en"]["dust"])}
    assert "GB 3095-2026, Table 1" in described["PM₁₀, daily means"]
    assert "DB50/418-2016" in described["TSP, hourly means"]


def test_the_law_of_another_day_gives_other_descriptions_and_the_same_queries() -> None:
    later = dashboards(Edition("en", load_registry(), date(2031, 1, 1)))["dust"]
    now = dashboards(Edition("en", load_registry(), date(2026, 11, 25)))["dust"]
    assert "≤ 100 μg/m³" in str(later)
    assert "≤ 120 μg/m³" in str(now)
    for one, other in zip(panels(later), panels(now), strict=True):
        assert one["targets"] == other["targets"]


def test_an_enterprise_without_water_has_no_dashboard_of_it_and_no_names_of_others() -> None:
    whole = Edition("zh", load_registry(), DAY)
    boards = dashboards(whole.of("hengjie"), district=False)
    assert "water" not in boards
    others = [site for site in load_registry().sites if site.enterprise != "hengjie"]
    text = "".join(as_text(board) for board in boards.values())
    assert not [site.name_zh for site in others if site.name_zh in text]
    assert not [site.id for site in others if f'"{site.id}"' in text]


@pytest.mark.parametrize(("language", "name"), ALL)
def test_curves_over_a_year_have_no_more_points_than_a_screen_has_pixels(language: str, name: str) -> None:
    for panel in panels(BUILT[language][name]):
        if panel["type"] == "timeseries":
            spans = {span for t in panel["targets"] for span in re.findall(r"time\(([^),]+)", t["query"])}
            assert spans <= {"$__interval", "1d"}, panel["title"]


@pytest.mark.parametrize(("language", "name"), ALL)
def test_variables_show_names(language: str, name: str) -> None:
    ids = {thing.id for thing in (*load_registry().enterprises, *load_registry().sites)}
    for variable in BUILT[language][name]["templating"]["list"]:
        options = [option for option in variable["options"] if option["value"] != "$__all"]
        assert options or variable["type"] == "datasource"
        assert not [option for option in options if option["text"] in ids | {option["value"]}]
        listed = [part.strip().rsplit(" : ", 1) for part in re.findall(r"(?:\\,|[^,])+", variable["query"]) if options]
        assert listed == [[option["text"].replace(",", r"\,"), option["value"]] for option in options]


@pytest.mark.parametrize(("language", "name"), ALL)
def test_what_is_not_measured_is_a_grey_dash_in_tables(language: str, name: str) -> None:
    board = dashboards(Edition(language, load_registry(), DAY, "https://pages.example.org"))[name]
    for panel in panels(board):
        if panel["type"] == "table":
            config = panel["fieldConfig"]
            assert config["defaults"]["noValue"] == "—"
            found = [p["value"] for o in config["overrides"] for p in o["properties"] if p["id"] == "mappings"]
            for mappings in (config["defaults"]["mappings"], *found):
                (nothing,) = (m["options"] for m in mappings if m["type"] == "special")
                assert (nothing["match"], nothing["result"]["color"]) == ("null+nan", "#808080")


@pytest.mark.parametrize(("language", "name"), ALL)
def test_curves_have_a_legend_of_rows_and_axes_from_zero_but_for_sound_and_temperature(
    language: str, name: str
) -> None:
    for panel in panels(BUILT[language][name]):
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["displayMode"] == "table"
            defaults = panel["fieldConfig"]["defaults"]
            from_anywhere = defaults["unit"] in {"suffix:dB(A)", "celsius"}
            assert defaults["custom"].get("axisSoftMin") == (None if from_anywhere else 0)
            bars = defaults["custom"]["drawStyle"] == "bars"
            assert defaults["custom"]["stacking"]["mode"] == ("normal" if bars else "none")


@pytest.mark.parametrize("language", LANGUAGES)
def test_legal_limits_are_red_and_those_that_a_mine_sets_itself_are_not(language: str) -> None:
    words = {"orange": {"zh": "企业目标", "en": "target"}, "yellow": {"zh": "预警值", "en": "warning"}}
    colours = {
        override["matcher"]["options"]: properties["color"]["fixedColor"]
        for board in BUILT[language].values()
        for panel in panels(board)
        for override in panel["fieldConfig"]["overrides"]
        for properties in [{p["id"]: p["value"] for p in override["properties"]}]
        if "fixedColor" in properties.get("color", {})
    }
    assert colours.pop("/^[≤≥] /") == "red"
    assert set(colours.values()) == set(words)
    assert all(words[colour][language] in pattern for pattern, colour in colours.items())


@pytest.mark.parametrize(("language", "name"), ALL)
def test_red_is_for_what_exceeds_at_law_and_green_for_what_meets_at_law(language: str, name: str) -> None:
    edition = Edition(language, load_registry(), DAY)
    lawful = {"red": {edition.t("verdict.exceeds"), edition.conclusion("exceeds", "statutory")}}
    lawful["green"] = {edition.t("verdict.meets"), edition.conclusion("meets", "statutory")}
    doubtful = {edition.t("verdict.exceeds-indicative"), edition.conclusion("exceeds", "indicative")}
    told = 0
    for text, color in mapped(BUILT[language][name]):
        for wanted, words in lawful.items():
            if text in words:
                assert color == wanted
                told += 1
        assert text not in doubtful or color == "orange"
    assert told or name == "operation"


def test_fields_are_not_filled_with_the_colour_of_texts() -> None:
    for board in BUILT["zh"].values():
        for panel in panels(board):
            if panel["type"] == "state-timeline":
                assert "text" not in {color for _, color in mapped(panel)}


def test_what_has_no_unit_is_named_in_the_language_of_the_board() -> None:
    registry = load_registry()
    assert Edition("zh", registry, DAY).label(registry.parameters["equipment-state"]) == "设备运行状态"


def mapped(thing: Any) -> Iterator[tuple[str, str | None]]:
    """Texts of all mappings within a board, with their colours."""
    if isinstance(thing, dict):
        if "text" in thing and "index" in thing:
            yield thing["text"], thing.get("color")
        for value in thing.values():
            yield from mapped(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from mapped(value)


def test_conclusions_are_told_in_the_sentences_of_pages_and_reports() -> None:
    for language in LANGUAGES:
        words = Edition(language, load_registry(), DAY)
        sentences = {words.conclusion(j, s) for j, s in FINDINGS}
        for name in ("overview", "wall", "mine"):
            assert sentences <= {text for text, _ in mapped(BUILT[language][name])}


@pytest.mark.parametrize(("language", "name"), ALL)
def test_points_of_maps_and_fields_that_are_filled_have_no_colour_of_texts(language: str, name: str) -> None:
    for panel in panels(BUILT[language][name]):
        if panel["type"] in {"geomap", "state-timeline"}:
            assert '"color": "text"' not in json.dumps(panel["fieldConfig"])


@pytest.mark.parametrize("name", ["dust", "noise", "water"])
def test_boards_of_themes_have_a_row_for_each_station(name: str) -> None:
    rows = [panel for panel in BUILT["zh"][name]["panels"] if panel["type"] == "row"]
    assert [row["repeat"] for row in rows if "repeat" in row] == ["station"]
    assert "${station:text}" in rows[0]["title"]


@pytest.mark.parametrize("name", ["dust", "noise", "water"])
def test_episodes_are_shaded_red_where_they_count_at_law_and_amber_where_they_do_not(name: str) -> None:
    shaded = [a for a in BUILT["en"][name]["annotations"]["list"] if 'FROM "exceedance"' in a.get("query", "")]
    assert {(a["iconColor"], '"finding" = 4' in a["query"]) for a in shaded} == {("red", True), ("orange", False)}
    assert all(a["timeEndColumn"] == "exceedance.until" and 'AS "until"' in a["query"] for a in shaded)


def shades(board: dict[str, Any]) -> dict[int, set[tuple[str, str]]]:
    """Limits (as the query names them) whose exceedances shade each panel, with the condition on the station."""
    found: dict[int, set[tuple[str, str]]] = {}
    for annotation in board["annotations"]["list"]:
        if 'FROM "exceedance"' in annotation.get("query", ""):
            (limits,) = re.findall(r'"limit" =~ /\^\((.*?)\)\$/', annotation["query"])
            (station,) = re.findall(r'"station" (=~?) ', annotation["query"])
            assert annotation["filter"]["exclude"] is False
            for number in annotation["filter"]["ids"]:
                found.setdefault(number, set()).update(
                    (limit.replace("\\", ""), station) for limit in limits.split("|")
                )
    return found


@pytest.mark.parametrize(("name", "shaded"), [("dust", 5), ("noise", 5), ("water", 5)])
def test_an_episode_shades_the_panels_of_its_own_parameter_only(name: str, shaded: int) -> None:
    board = BUILT["en"][name]
    panels = {panel["id"]: json.dumps(panel.get("targets")) for panel in board["panels"]}
    limits = {tag_of(rule): rule.limit for rule in EDITION.limits(lambda limit: limit.kind == "legal")}
    found = shades(board)
    assert len(found) == shaded
    for number, some in found.items():
        for limit, _ in some:
            difference = limits[limit].statistic == "difference" and "difference" in panels[number]
            assert f"'{limits[limit].parameter}'" in panels[number] or difference


def test_an_episode_of_the_day_shades_no_level_of_the_night_and_none_of_an_hour_a_day() -> None:
    for name in ("dust", "noise"):
        board = BUILT["en"][name]
        for number, some in shades(board).items():
            (query,) = {t["query"] for p in board["panels"] if p["id"] == number for t in p["targets"][:1]}
            window = re.search(r"\"window\" = '(\w+)'", query)
            windows = {EDITION.registry.limits[limit].window for limit, _ in some}
            assert window is None or '"l10"' in query or windows == {window[1]}


@pytest.mark.parametrize("name", ["dust", "noise", "water"])
def test_a_panel_for_each_station_is_shaded_by_the_one_station_that_is_chosen(name: str) -> None:
    board = BUILT["en"][name]
    repeated: set[int] = set()
    within = False
    for panel in board["panels"]:
        within = panel.get("repeat") == "station" if panel["type"] == "row" else within
        if within:
            repeated.add(panel["id"])
    for number, some in shades(board).items():
        assert {station for _, station in some} == ({"="} if number in repeated else {"=~"})


def test_mines_go_by_their_short_names_on_dashboards_and_by_their_names_in_alarms() -> None:
    edition = Edition("zh", load_registry(), DAY)
    assert edition.site_names["kunyin"] == "坤银矿业"
    assert edition.site_names["hengjie"] == "恒杰建材"
    assert Edition("en", load_registry(), DAY).site_names["hengjie"] == "Hengjie"
    (text,) = {
        r["annotations"]["summary"]
        for u, r in rules(edition, "f", {"exceedances": 1, "operation": 2}, "").items()
        if u.endswith("-silent")
    }
    assert "重庆市万州区坤银矿业有限公司" in text


@pytest.mark.parametrize(("language", "name"), ALL)
def test_instants_and_spans_are_told_without_words_of_another_language(language: str, name: str) -> None:
    own = {"dateTimeAsIso", "dateTimeFromNow", "ms", "m", "s", "h", "d", "dtdurations"}
    for panel in panels(BUILT[language][name]):
        config = panel["fieldConfig"]
        given = [p["value"] for o in config["overrides"] for p in o["properties"] if p["id"] == "unit"]
        assert not own & {config["defaults"].get("unit"), *given}, panel["title"]


def test_an_episode_links_to_its_page_where_there_are_pages() -> None:
    edition = Edition("zh", load_registry(), DAY, "https://mines.example.org")
    assert "https://mines.example.org/exceedances/${__value.raw}" in as_text(dashboards(edition)["exceedances"])
    assert "/exceedances/$" not in as_text(BUILT["zh"]["exceedances"])


@pytest.mark.parametrize("name", ["dust", "noise", "water"])
def test_a_point_of_a_station_links_to_its_day_and_a_limit_to_nothing(name: str) -> None:
    pages = "https://mines.example.org"
    board = dashboards(Edition("en", load_registry(), DAY, pages))[name]
    drawn = [
        p for p in panels(board) if any(t.get("alias", "").startswith("$tag_site $tag_station") for t in p["targets"])
    ]
    assert len(drawn) >= 5
    place = "${__field.labels.site}/stations/${__field.labels.station}?at=${__value.time}"
    for panel in drawn:
        config = panel["fieldConfig"]
        assert [link["url"] for link in config["defaults"]["links"]] == [f"{pages}/sites/{place}"]
        lines = next(o for o in config["overrides"] if o["matcher"]["options"] == "/^[≤≥] /")
        assert {"id": "links", "value": []} in lines["properties"]
    assert not any(p["fieldConfig"]["defaults"].get("links") for p in panels(BUILT["en"][name]))


def test_maps_ask_no_host_for_tiles() -> None:
    maps = [p for boards in BUILT.values() for b in boards.values() for p in panels(b) if p["type"] == "geomap"]
    assert len(maps) == 8
    assert all(p["options"]["basemap"]["config"]["url"].startswith("data:image/gif;base64,") for p in maps)
