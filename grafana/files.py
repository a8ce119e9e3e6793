"""Files for Grafana's own provisioning of one organisation, such as in containers: the district's.

They are JSON, which is YAML too. Nothing of a token is in them: it is read from a file or the environment by Grafana itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from greenmine.grafana.alerts import GROUP, INTERVAL, TEMPLATE
from greenmine.grafana.dashboards import as_text
from greenmine.grafana.organisation import Organisation

Json = dict[str, Any]

MOUNTED: Final = "/etc/grafana/provisioning"
"""Where Grafana looks for the folder that the files are written to."""
_ORG: Final = 1


def write(organisation: Organisation, out: Path, *, mounted: str = MOUNTED, token: str = "") -> list[Path]:
    """Write the files.

    Parameters
    ----------
    organisation : Organisation
        What they are to provision, in Grafana's first organisation.
    out : Path
        Folder for ``datasources``, ``dashboards`` and ``alerting``; made if it is missing.
    mounted : str
        Path under which Grafana finds this folder.
    token : str
        How Grafana gets the read token, such as ``$__file{/run/secrets/token}`` or ``${TOKEN}``; empty: it needs none.

    Returns
    -------
    list of Path
        What was written.
    """
    files = {"datasources/greenmine.yaml": _source(organisation, token)}
    providers = []
    texts: dict[str, str] = {}
    for folder in dict.fromkeys(folder for folder, _ in organisation.dashboards.values()):
        title = organisation.folders[folder]
        path = f"{mounted}/dashboards/{folder}"
        providers.append(
            {
                "name": folder,
                "orgId": _ORG,
                "folder": title,
                "folderUid": folder,
                "type": "file",
                "disableDeletion": False,
                "allowUiUpdates": False,
                "options": {"path": path},
            }
        )
    for uid, (folder, board) in organisation.dashboards.items():
        texts[f"dashboards/{folder}/{uid}.json"] = as_text(board)
    files["dashboards/greenmine.yaml"] = {"apiVersion": 1, "providers": providers}
    files["alerting/greenmine.yaml"] = _alerting(organisation)
    texts |= {name: json.dumps(content, ensure_ascii=False, indent=1) + "\n" for name, content in files.items()}
    for name, text in texts.items():
        path_of = out / name
        path_of.parent.mkdir(parents=True, exist_ok=True)
        path_of.write_text(text, "utf-8")
    return [out / name for name in texts]


def _source(organisation: Organisation, token: str) -> Json:
    body = organisation.source.body() | {"orgId": _ORG, "editable": False}
    body.pop("secureJsonData", None)
    body["jsonData"] = {k: v for k, v in body["jsonData"].items() if k not in {"greenmineToken", "httpHeaderName1"}}
    if token:
        body["jsonData"]["httpHeaderName1"] = "Authorization"
        body["secureJsonData"] = {"httpHeaderValue1": f"Token {token}"}
    return {"apiVersion": 1, "datasources": [body]}


def _alerting(organisation: Organisation) -> Json:
    rules = []
    for rule in organisation.rules.values():
        annotations = dict(rule["annotations"])
        own = {k: v for k, v in rule.items() if k not in {"folderUID", "ruleGroup", "annotations"}}
        board, panel = annotations["__dashboardUid__"], int(annotations["__panelId__"])
        rules.append({**own, "annotations": annotations, "dashboardUid": board, "panelId": panel})
    folder = next(iter({rule["folderUID"] for rule in organisation.rules.values()}))
    points: dict[str, list[Json]] = {}
    for point in organisation.contacts.values():
        own = {k: v for k, v in point.items() if k != "name"}
        points.setdefault(point["name"], []).append(own)
    made: Json = {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": _ORG,
                "name": GROUP,
                "folder": organisation.folders[folder],
                "interval": f"{INTERVAL}s",
                "rules": rules,
            }
        ],
        "templates": [{"orgId": _ORG, "name": TEMPLATE, "template": organisation.template}],
    }
    if points:
        made["contactPoints"] = [{"orgId": _ORG, "name": name, "receivers": own} for name, own in points.items()]
        first = next(iter(points))
        made["policies"] = [
            {"orgId": _ORG, "receiver": first, "group_by": ["enterprise", "alertname"], "routes": organisation.routes}
        ]
    return made
