"""Dockerfile, compose.yaml and deploy/: they fit each other, the package and what the server measures."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("prometheus_client", reason="the extra serve is not installed")
pytest.importorskip("pydantic_settings", reason="the extra serve is not installed")
from signlang_hf.serving.metrics import ServerMetrics
from signlang_hf.serving.settings import PREFIX, ServerSettings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [line for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines() if line and not line.startswith("#")]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
DASHBOARD: dict[str, Any] = json.loads(
    (DEPLOY / "grafana" / "dashboards" / "signlang.json").read_text(encoding="utf-8")
)
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))
SHUTDOWN = ServerSettings.model_fields["shutdown_timeout"].default


def after(word: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in INSTRUCTIONS if line.startswith(word + " ")]


def requirements(*extras: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(DEPLOY / "requirements.py"), ",".join(extras)]
    return subprocess.run(command, capture_output=True, text=True)


def extras() -> list[str]:
    return next(line for line in after("ARG") if line.startswith("EXTRAS=")).removeprefix("EXTRAS=").split(",")


def test_the_image_gets_what_setup_cfg_asks_for():
    from setuptools.config.setupcfg import read_configuration

    options = read_configuration(ROOT / "setup.cfg")["options"]
    assert {"serve", "pose"} <= set(extras()) <= set(options["extras_require"])
    found = requirements(*extras()).stdout.splitlines()
    wanted = [*options["install_requires"], *(line for extra in extras() for line in options["extras_require"][extra])]
    bare = [[re.sub(r"[\s'\"]", "", line) for line in lines] for lines in (found, wanted)]
    assert len(bare[0]) == len(set(bare[0])) > 20 and set(bare[0]) == set(bare[1])


def test_an_extra_that_is_none_is_one_sentence():
    done = requirements("serve", "coffee")
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(r"requirements: There is no extra coffee; there are [\w, ]+\.\n", done.stderr)


def ignored(path: str) -> bool:
    """As Docker reads .dockerignore: the last line that fits decides; a folder's line fits all in it."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        names = [*("/".join(parts[: place + 1]) for place in range(len(parts))), *(parts if "**/" in line else [])]
        if any(fnmatch.fnmatchcase(name, pattern) and name.count("/") == pattern.count("/") for name in names):
            out = not line.startswith("!")
    return out


def test_what_is_copied_is_let_in_and_nothing_else():
    copied = [source for line in after("COPY") if "--from" not in line for source in line.split()[:-1]]
    assert {"setup.cfg", "constraints.txt", "signlang_hf", "hub_cards"} <= set(copied)
    assert [path for path in copied if not (ROOT / path).exists() or ignored(path)] == []
    for path in (".env", ".git/config", "outputs/model.safetensors", "tests/test_cli.py", "deploy/prometheus.yml"):
        assert ignored(path), path
    assert ignored("signlang_hf/__pycache__/x.pyc") and not ignored("signlang_hf/serving/page/app.js")


def test_the_image_runs_as_nobody_special_and_keeps_no_caches():
    assert after("USER") == ["10001:10001"]
    assert "PIP_NO_CACHE_DIR=1" in DOCKERFILE and "rm -rf /var/lib/apt/lists/*" in DOCKERFILE
    assert all("-c constraints.txt" in line for line in after("RUN") if "pip install" in line)
    assert after("CMD")[-1] == '["serve"]' and after("ENTRYPOINT") == ['["signlang"]']
    names = set(re.findall(rf"({PREFIX}\w+)=", DOCKERFILE))
    assert names and {name.removeprefix(PREFIX).lower() for name in names} <= set(ServerSettings.model_fields)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_its_health_is_what_ready_says(status, healthy):
    asked = []

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    (check,) = (json.loads(line[line.index("[") :]) for line in after("HEALTHCHECK"))
    assert check[0] == "python"
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = {"SIGNLANG_PORT": str(server.server_port)}
        done = subprocess.run([sys.executable, *check[1:]], env=port, capture_output=True)
        server.shutdown()
    assert (done.returncode == 0) == healthy and asked == ["/ready"]


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_every_service_has_limits(name):
    service = COMPOSE["services"][name]
    assert (
        service["read_only"]
        and service["cap_drop"] == ["ALL"]
        and service["security_opt"] == ["no-new-privileges:true"]
    )
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    for port in service["ports"]:  # on this machine alone
        assert port.replace("${PUBLISH:-", "").startswith("127.0.0.1:")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    assert name == "server" or re.search(r":v?\d+\.\d+\.\d+$", service["image"])  # no moving tag


def test_the_server_gets_its_settings_and_its_time():
    server = COMPOSE["services"]["server"]
    assert {name.removeprefix(PREFIX).lower() for name in server["environment"]} <= set(ServerSettings.model_fields)
    assert float(server["stop_grace_period"].removesuffix("s")) > SHUTDOWN
    assert server["ports"][0].endswith(":" + server["environment"]["SIGNLANG_PORT"])
    assert server["env_file"] == [{"path": ".env", "required": False}]
    assert after("VOLUME") == [server["volumes"][0].partition(":")[2]]
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    comment = text.partition("\nname:")[0]
    assert set(re.findall(r"\$\{(\w+)", text)) <= set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", comment))
    assert not re.search(rf"\$\{{{PREFIX}", text)  # they would look like settings of the server


def test_prometheus_asks_the_server():
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    assert job["metrics_path"] == "/metrics" and job["static_configs"] == [{"targets": ["server:8000"]}]
    mounts = dict(volume.split(":")[1::-1] for volume in COMPOSE["services"]["prometheus"]["volumes"])
    assert config["rule_files"] == ["alerts.yml"] and mounts["/etc/prometheus/alerts.yml"] == "./deploy/alerts.yml"


def series() -> dict[str, set[str]]:
    """Names of the server's series, and the labels that they have."""
    found: dict[str, set[str]] = {}
    for family in ServerMetrics().registry.collect():
        labels = set(family_labels()[family.name])
        endings = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}[family.type]
        found |= {family.name + ending: labels | ({"le"} if ending == "_bucket" else set()) for ending in endings}
    return found


def family_labels() -> dict[str, tuple[str, ...]]:
    return {one._name: one._labelnames for one in vars(ServerMetrics()).values() if hasattr(one, "_labelnames")}


EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS += [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_drawn_and_warned_about_is_measured(expression):
    known = series()
    names = re.findall(r"\bsignlang_\w+", expression)
    assert names or expression == 'up{job="signlang"} == 0'
    assert [name for name in names if name not in known] == []
    for name, labels in re.findall(r"(signlang_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*[=!]", labels)) <= known[name]
    if grouped := re.search(r"by \(([^)]*)\)", expression):
        assert set(grouped[1].replace(" ", "").split(",")) <= known[names[0]]
    assert ("_bucket" in expression) == ("histogram_quantile" in expression)


def test_the_dashboard_shows_every_metric_and_is_found_by_grafana():
    bases = {
        re.sub(r"_(total|bucket|sum|count)$", "", name) for name in re.findall(r"\bsignlang_\w+", " ".join(EXPRESSIONS))
    }
    assert bases == {family.name for family in ServerMetrics().registry.collect()}
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "signlang.yml").read_text())["providers"]
    mounts = [volume.split(":") for volume in COMPOSE["services"]["grafana"]["volumes"]]
    assert ["./deploy/grafana/dashboards", provider["options"]["path"], "ro"] in mounts
    uids = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    assert uids == {source["uid"]} and source["url"] == "http://prometheus:9090"


def test_panels_do_not_lie_on_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
