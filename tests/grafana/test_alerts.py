"""Alert rules: queries on a real InfluxDB, expressions evaluated, where they must fire and where they must not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from greenmine.grafana.access import Access
from greenmine.grafana.alerts import CAPTURE, RULES, rules, template
from greenmine.grafana.edition import Edition
from greenmine.grafana.files import write
from greenmine.grafana.organisation import organisations
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.registry import DEFAULT
from tests.grafana.conftest import Projected
from tests.grafana.simulated import END, HOUR, START

NAMES = [rule.name for rule in RULES]
PAGES = "https://mines.example.org"
PANELS = {"exceedances": 5, "operation": 7}
Labels = tuple[tuple[str, str], ...]


def evaluate(
    projected: Projected, rule: Mapping[str, Any], now: int, database: str = "greenmine_district"
) -> dict[Labels, dict[str, float]]:
    """Instances of a rule with the values of its expressions: each query's series, ``reduce`` to the last, the condition in ``C``.

    As Grafana does: a query's answer may have one column, as two would have the same labels; math joins by equal labels.
    """
    values: dict[str, dict[Labels, float]] = {}
    for part in rule["data"]:
        model, ref = part["model"], part["refId"]
        if part["datasourceUid"] != "__expr__":
            span = part["relativeTimeRange"]
            start, end = now - span["from"] * 1000, now - span["to"] * 1000
            query = model["query"].replace("$timeFilter", f"time >= {start}ms and time <= {end}ms")
            assert "$" not in query.replace("$/", "")
            values[ref] = {}
            for series in projected.ask(query, database).get("series", ()):
                assert len(series["columns"]) == 2
                values[ref][tuple(sorted(series.get("tags", {}).items()))] = series["values"][-1][1]
        elif model["type"] == "reduce":
            assert model["reducer"] == "last"
            values[ref] = dict(values[model["expression"]])
        else:
            left, operator, right = re.fullmatch(r"\$(\w+) (>|<|==) ([\d.]+)", model["expression"]).groups()  # type: ignore[union-attr]
            compare = {">": float.__gt__, "<": float.__lt__, "==": float.__eq__}[operator]
            values[ref] = {k: float(compare(float(v), float(right))) for k, v in values[left].items()}
    assert rule["condition"] == "C"
    return {labels: {ref: values[ref][labels] for ref in values if labels in values[ref]} for labels in values["C"]}


def firing(
    projected: Projected, rule: Mapping[str, Any], now: int, database: str = "greenmine_district"
) -> dict[Labels, dict[str, float]]:
    return {k: v for k, v in evaluate(projected, rule, now, database).items() if v["C"]}


@pytest.fixture(scope="module")
def made(edition: Edition) -> dict[str, dict[str, Any]]:
    return {uid.removeprefix("greenmine-"): rule for uid, rule in rules(edition, "greenmine-zh", PANELS, PAGES).items()}


@pytest.mark.parametrize(("name", "kinds"), [("exceedance", {"legal"}), ("warning", {"warning", "target"})])
def test_open_episodes_fire_and_closed_ones_do_not(
    projected: Projected, made: dict[str, dict[str, Any]], name: str, kinds: set[str]
) -> None:
    kind_of = {rule.key: rule.limit.kind for rule in projected.registry.rules}
    episodes = [r for r in projected.record.rows(sa.select(schema.exceedance)) if kind_of[r["rule"]] in kinds]
    expected = {str(r["id"]): (r["peak"], r["threshold"], r["minutes"]) for r in episodes if r["state"] == "open"}
    assert expected
    assert len(episodes) > len(expected)
    found = firing(projected, made[name], END)
    assert {dict(k)["episode"]: (v["RP"], v["RL"], v["RM"]) for k, v in found.items()} == expected


def test_an_enterprise_without_open_episodes_is_quiet(projected: Projected, made: dict[str, dict[str, Any]]) -> None:
    assert firing(projected, made["exceedance"], END, "greenmine_jiuchi") == {}
    assert firing(projected, made["warning"], END, "greenmine_kunyin") == {}
    assert firing(projected, made["warning"], END, "greenmine_jiuchi")


def test_silent_channels_fire_while_they_are_silent(projected: Projected, made: dict[str, dict[str, Any]]) -> None:
    keys = {int(n): c.key for n, c in zip(projected.record.channel_ids, projected.registry.channels, strict=True)}
    changes = projected.record.rows(sa.select(schema.health).order_by(schema.health.c.since))
    silent = next(row for row in changes if row["state"] == "silent")
    back = next(r["since"] for r in changes if r["channel"] == silent["channel"] and r["since"] > silent["since"])

    def told(now: int) -> set[str]:
        return {
            "/".join((dict(k)["site"], dict(k)["station"], dict(k)["parameter"]))
            for k in firing(projected, made["silent"], now)
        }

    key = keys[silent["channel"]]
    assert key not in told(silent["since"] - 1)
    assert key in told(silent["since"])
    assert key in told(back - 1)
    assert key not in told(back)


@pytest.mark.parametrize(("now", "fires"), [(START + 8 * HOUR, True), (START + 84 * HOUR, False)])
def test_captures_under_the_bound_fire(
    projected: Projected, made: dict[str, dict[str, Any]], now: int, *, fires: bool
) -> None:
    """The first day began in the afternoon, so that it lacks most of its readings."""
    keys = {int(n): c.key for n, c in zip(projected.record.channel_ids, projected.registry.channels, strict=True)}
    table = schema.statistic.c
    days = sa.select(schema.statistic).where(table.latest, table.window == "day").order_by(table.start)
    latest = {
        keys[r["channel"]]: r["capture"] for r in projected.record.rows(days) if now - 72 * HOUR <= r["start"] <= now
    }
    assert latest
    low = {key for key, capture in latest.items() if capture < CAPTURE}
    assert bool(low) == fires
    found = firing(projected, made["capture"], now)
    assert {"/".join((dict(k)["site"], dict(k)["station"], dict(k)["parameter"])) for k in found} == low


def test_a_projection_that_lags_or_stands_still_fires(projected: Projected, made: dict[str, dict[str, Any]]) -> None:
    assert firing(projected, made["lag"], END - 30 * 60_000) == {}
    assert list(firing(projected, made["lag"], END)) == [(("bucket", "greenmine_district"),)]
    assert evaluate(projected, made["lag"], END + HOUR) == {}


def test_only_one_rule_fires_where_nothing_can_be_asked_or_nothing_is_said(made: dict[str, dict[str, Any]]) -> None:
    """Others keep their state; that no episode is open is told by an answer without one."""
    assert {rule["execErrState"] for name, rule in made.items() if name != "unseen"} == {"KeepLast"}
    states = {name: rule["noDataState"] for name, rule in made.items()}
    none_open = {"exceedance": "OK", "warning": "OK"}
    assert states == dict.fromkeys(("silent", "capture", "lag"), "KeepLast") | none_open | {"unseen": "Alerting"}
    assert made["unseen"]["execErrState"] == "Alerting"
    assert "{{" not in made["unseen"]["annotations"]["summary"]


def test_that_readings_cannot_be_seen_fires_by_silence_alone(
    projected: Projected, made: dict[str, dict[str, Any]]
) -> None:
    assert firing(projected, made["unseen"], END) == {}
    assert list(evaluate(projected, made["unseen"], END)) == [()]  # one series for all buckets: one alarm
    assert evaluate(projected, made["unseen"], END + HOUR) == {}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "unseen"])
def test_an_alert_without_labels_has_the_fixed_sentence(made: dict[str, dict[str, Any]], name: str) -> None:
    summary = made[name]["annotations"]["summary"]
    assert summary.startswith("{{ if or .Labels.site .Labels.bucket }}")
    assert summary.endswith(f"{{{{ else }}}}{made['unseen']['annotations']['summary']}{{{{ end }}}}")


def test_an_exceedance_tells_its_start_by_the_local_clock(
    projected: Projected, made: dict[str, dict[str, Any]]
) -> None:
    starts = {str(r["id"]): r["start"] for r in projected.record.rows(sa.select(schema.exceedance))}
    found = firing(projected, made["exceedance"], END)
    assert found
    for labels, values in found.items():
        assert values["RS"] == starts[dict(labels)["episode"]] / 1000 + 8 * 3600
    assert "始于 {{ with .Values.RS }}" in made["exceedance"]["annotations"]["summary"]


def test_an_exceedance_links_to_its_page_where_there_is_one(edition: Edition, made: dict[str, dict[str, Any]]) -> None:
    page = "https://mines.example.org/exceedances/{{ .Labels.episode }}"
    assert made["exceedance"]["annotations"]["page"] == made["warning"]["annotations"]["page"] == page
    assert not [name for name in ("silent", "capture", "lag", "unseen") if "page" in made[name]["annotations"]]
    assert "page" not in rules(edition, "greenmine-zh", PANELS, "")["greenmine-exceedance"]["annotations"]


def test_messages_tell_value_limit_clause_time_and_link(edition: Edition, made: dict[str, dict[str, Any]]) -> None:
    summary = made["exceedance"]["annotations"]["summary"]
    assert '{{ printf "%.4g" .Values.RP.Value }}' in summary
    assert '{{ printf "%.4g" .Values.RL.Value }}' in summary
    assert '{{ else if eq .Labels.limit "gb8978-ss-level1" }}GB 8978-1996，表 4' in summary
    assert "，{{" not in summary
    assert "企业自定（示例）" in made["warning"]["annotations"]["summary"]
    text = template(edition)
    assert '(.StartsAt.UTC.Add 28800000000000).Format "2006-01-02 15:04"' in text
    assert "{{ .PanelURL }}" in text
    assert "报警时间" in text
    assert '(eq .CommonLabels.alertname "DatasourceError")' in text


@pytest.mark.parametrize("name", NAMES)
def test_templates_are_balanced_and_hold_no_dollar(
    edition: Edition, made: dict[str, dict[str, Any]], name: str
) -> None:
    for text in (*made[name]["annotations"].values(), template(edition)):
        assert "$" not in text
        actions = re.findall(r"\{\{\s*(if|with|range|define|end|else)\b", text)
        opened = sum(word in {"if", "with", "range", "define"} for word in actions)
        assert opened == actions.count("end")
        assert text.count("{{") == text.count("}}")


@pytest.mark.parametrize("alerts", ["Firing", "Resolved"])
def test_a_brief_message_tells_two_alerts_and_that_there_are_more(edition: Edition, alerts: str) -> None:
    brief = template(edition).partition('{{ define "greenmine.brief" }}')[2]
    assert f"{{{{ if gt (len .Alerts.{alerts}) 2 }}}}{{{{ range slice .Alerts.{alerts} 0 2 }}}}- " in brief
    assert f"其余各条请在看板查看。\n{{{{ else }}}}{{{{ range .Alerts.{alerts} }}}}- " in brief


def test_a_station_that_mines_name_differently_has_its_names_and_not_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    shutil.copytree(DEFAULT, folder)
    site = folder / "sites" / "kunyin.toml"
    site.write_text(site.read_text("utf-8").replace('"厂界监测点"', '"东门"'), "utf-8")
    edition = Edition("zh", load_registry(folder), date(2026, 11, 25))
    assert edition.station_names["boundary"] == "厂界监测点／东门"
    summary = rules(edition, "greenmine-zh", PANELS, PAGES)["greenmine-silent"]["annotations"]["summary"]
    assert '(eq .Labels.station "boundary") (eq .Labels.site "kunyin") }}东门{{' in summary
    assert '(eq .Labels.station "boundary") (eq .Labels.site "jiuchi") }}厂界监测点{{' in summary


def test_braces_in_a_name_do_not_become_an_action_of_every_message(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    shutil.copytree(DEFAULT, folder)
    for path in (folder / "enterprises.toml", folder / "sites" / "kunyin.toml"):
        path.write_text(path.read_text("utf-8").replace("坤银", "坤{{ .X }}银"), "utf-8")
    edition = Edition("zh", load_registry(folder), date(2026, 11, 25))
    told = [rule["annotations"]["summary"] for rule in rules(edition, "greenmine-zh", PANELS, PAGES).values()]
    texts = [text for text in (*told, template(edition)) if "坤" in text]
    assert texts
    assert all(text.count('坤{{ "{{" }} .X }}银') == text.count("坤") for text in texts)


def test_files_hold_the_same_as_the_api_gets_and_no_token(tmp_path: Path) -> None:
    registry = load_registry()
    tokens = {"greenmine_district": "a token"}
    district = organisations(registry, date(2026, 11, 25), "http://i", tokens, Access())[0]
    write(district, tmp_path, token="$__file{/run/secrets/token}")
    texts = {
        path.relative_to(tmp_path).as_posix(): path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()
    }
    assert not [name for name, text in texts.items() if "a token" in text]
    (source,) = json.loads(texts["datasources/greenmine.yaml"])["datasources"]
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token $__file{/run/secrets/token}"}
    (group,) = json.loads(texts["alerting/greenmine.yaml"])["groups"]
    assert group["folder"] == district.folders["greenmine-zh"]
    assert {r["uid"]: r["data"] for r in group["rules"]} == {u: r["data"] for u, r in district.rules.items()}
    boards = [json.loads(text) for name, text in texts.items() if name.endswith(".json")]
    assert {b["uid"]: b for b in boards} == {uid: board for uid, (_, board) in district.dashboards.items()}
    paths = [p["options"]["path"] for p in json.loads(texts["dashboards/greenmine.yaml"])["providers"]]
    assert paths == [f"/etc/grafana/provisioning/dashboards/greenmine-{language}" for language in ("zh", "en")]
