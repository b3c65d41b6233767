"""Keys, rates, origins, host names, request ids, the log and the metrics."""

from __future__ import annotations

import io
import json
import logging
import re
import time

import httpx
import pytest
from running_server import START, Running, closed, running, talk

from signlang_hf.serving.access import Gatekeeper, hash_of, new_key
from signlang_hf.serving.logs import request_id, set_up_logging

KEY, HASH = new_key()
OTHER, OTHER_HASH = new_key()


@pytest.fixture(scope="module")
def guarded(settings):
    """A server that asks for a key and answers no client more than five times an hour."""
    guards = {
        "key_hashes": f"{HASH}, {OTHER_HASH}", "rate_limit": "5/hour;100/day", "websocket_rate_limit": "6/hour",
        "metrics_need_key": True, "allowed_origins": "https://signs.example", "max_websockets_per_client": 2,
    }  # fmt: skip
    with running(settings(**guards)) as server:
        yield server


def test_a_key_has_the_hash_that_is_printed_with_it():
    assert hash_of(KEY) == HASH != OTHER_HASH and len(KEY) > 40 and re.fullmatch("[0-9a-f]{64}", HASH)


@pytest.mark.parametrize("route", ["/models", "/metrics"])
@pytest.mark.parametrize(
    "key",
    [None, "", "wrong", HASH, "k" * 10_000, KEY[:-1]],
    ids=["none", "empty", "wrong", "its hash", "endless", "cut"],  # the key is drawn anew in every process of the tests
)
def test_without_a_known_key_nobody_comes_in(guarded: Running, route, key):
    answer = guarded.http.get(route, headers={} if key is None else {"X-API-Key": key})
    assert answer.status_code == 401 and answer.json()["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"] == "ApiKey"


def test_uploads_need_the_key_before_their_body_is_read(guarded: Running):
    for route in ("/predict", "/predict/landmarks", "/translate"):
        assert guarded.http.post(route, content=b"x").status_code == 401
    assert guarded.http.get("/health").status_code == 200 == guarded.http.get("/ready").status_code
    assert guarded.http.get("/live-signs/config.json").json()["key_required"] is True


def test_each_key_has_a_rate_of_its_own(guarded: Running):
    codes = [guarded.http.get("/models", headers={"X-API-Key": KEY}).status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]
    late = guarded.http.get("/models", headers={"X-API-Key": KEY})
    assert late.json()["code"] == "too_many" and 3000 < int(late.headers["Retry-After"]) <= 3602
    assert guarded.http.get("/models", headers={"X-API-Key": OTHER}).status_code == 200


def test_a_websocket_takes_the_key_in_its_start_or_in_its_header_and_has_a_rate(guarded: Running):
    with guarded.socket() as ws:  # 1: the address
        ws.send(json.dumps(START))
        code, said = closed(ws)
        assert code == 1008 and said[-1]["code"] == "unauthorized"
    with guarded.socket() as ws:  # 2
        ws.send(json.dumps({**START, "api_key": "wrong"}))
        assert closed(ws)[1][-1]["code"] == "unauthorized"
    with guarded.socket() as one, guarded.socket(additional_headers={"X-API-Key": KEY}) as two:  # 3 and 4
        assert talk(one, {**START, "api_key": KEY})["type"] == "ready"
        assert talk(two, START)["type"] == "ready"
        with guarded.socket() as three:  # 5
            said = talk(three, {**START, "api_key": KEY})
            assert said["code"] == "too_many" and "as many WebSockets" in said["detail"]
        for _ in range(4):  # streams of a key are counted, too: two before, and four now
            assert talk(one, {"type": "stop"})["type"] == "stopped"
            assert talk(one, {**START, "api_key": KEY})["type"] == "ready"
        assert talk(one, {"type": "stop"})["type"] == "stopped"
        said = talk(one, {**START, "api_key": KEY})
        assert said["code"] == "too_many" and "6 per 1 hour" in said["detail"]
    with guarded.socket() as ws:  # 6
        pass
    with guarded.socket() as ws:
        code, said = closed(ws)
        assert code == 1013 and said[-1]["code"] == "too_many"


def test_addresses_have_rates_where_there_are_no_keys(settings):
    with running(settings(rate_limit="2/hour"), wait=False) as server:
        codes = [server.http.get("/models").status_code for _ in range(4)]
        assert codes[2:] == [429, 429] and server.http.get("/health").status_code == 200


def test_a_storage_that_is_not_there_is_told_and_one_that_fails_lets_pass(settings, caplog):
    with pytest.raises(ValueError, match=r"SIGNLANG_RATE_LIMIT_STORAGE \(--rate-limit-storage\) cannot be used"):
        Gatekeeper(settings(rate_limit_storage="nowhere://x", rate_limit="1/minute"))
    with running(settings(rate_limit="1/hour")) as server:

        async def fail(*_: object) -> bool:
            raise ConnectionError("no storage")

        server.service.gate._limiter.hit = fail
        assert [server.http.get("/models").status_code for _ in range(3)] == [200] * 3


def test_pages_of_other_origins_may_use_the_server_only_if_they_are_named(guarded: Running):
    headers = {"X-API-Key": OTHER, "Origin": "https://elsewhere.example"}
    assert guarded.http.post("/predict", content=b"x", headers=headers).status_code == 403
    null = guarded.http.post("/predict", content=b"x", headers=headers | {"Origin": "null"})
    assert null.status_code == 403 and null.json()["code"] == "forbidden"
    allowed = guarded.http.post("/predict", content=b"x", headers=headers | {"Origin": "https://signs.example"})
    assert allowed.status_code == 415 and allowed.headers["Access-Control-Allow-Origin"] == "https://signs.example"
    own = f"http://127.0.0.1:{guarded.port}"
    assert guarded.http.post("/predict", content=b"x", headers=headers | {"Origin": own}).status_code == 415
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    asked = guarded.http.options("/predict", headers={"Origin": "https://signs.example", **ask})
    assert asked.status_code == 200 and "x-api-key" in asked.headers["Access-Control-Allow-Headers"].lower()
    foreign = guarded.http.options("/predict", headers={"Origin": "https://elsewhere.example", **ask})
    assert foreign.status_code == 400 and "Access-Control-Allow-Origin" not in foreign.headers


def test_a_page_cannot_reach_this_machine_under_a_name_of_its_own(server: Running, settings):
    """DNS rebinding: the page's own name leads to 127.0.0.1, so that its requests are of its own origin."""
    for name in ("attacker.example", "attacker.example:8000", ""):
        answer = server.http.get("/health", headers={"Host": name})
        assert answer.status_code == 403 and "SIGNLANG_ALLOWED_HOSTS" in answer.json()["detail"]
    for name in ("localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]:80"):
        assert server.http.get("/health", headers={"Host": name}).status_code == 200
    assert settings(host="0.0.0.0").hosts is None and settings(allowed_hosts="*").hosts is None
    assert settings(allowed_hosts="a.example, b.example").hosts == ["a.example", "b.example"]


@pytest.mark.parametrize("given", ["abc-1", "A.b_c", "x" * 64])
def test_a_plain_request_id_comes_back(server: Running, given):
    assert server.http.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\tb", '{"a":1}', "-rf", "ü"])
def test_any_other_request_id_is_replaced(given):
    assert re.fullmatch("[0-9a-f]{32}", request_id(given))
    assert request_id(given) != request_id(given)


def test_the_log_is_json_with_the_request_id_and_without_secrets(guarded: Running):
    stream = io.StringIO()
    before = {name: (one.handlers, one.propagate, one.level) for name in ("signlang_hf.serving", "uvicorn", "uvicorn.error")
              if (one := logging.getLogger(name))}  # fmt: skip
    try:
        set_up_logging("info", stream)
        guarded.http.get(
            "/models?model=a%0Ab", headers={"X-API-Key": OTHER, "X-Request-ID": "trace-7", "User-Agent": "a\tb"}
        )
        guarded.http.get("/a%0d%0ab", headers={"X-API-Key": KEY})
        end = time.monotonic() + 5
        while stream.getvalue().count("\n") < 2 and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        for name, (handlers, propagate, level) in before.items():
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    first = rows[0]
    assert first["request_id"] == "trace-7" and first["route"] == "/models" and first["status"] == 200
    assert first["client"] == f"key {OTHER_HASH[:8]}" and first["level"] == "INFO" and first["ms"] >= 0
    assert rows[1]["route"] == "other" and rows[1]["status"] == 404 and len(rows) == 2
    assert KEY not in stream.getvalue() and OTHER not in stream.getvalue()


def test_metrics_count_by_route_and_grow_with_no_client(server: Running):
    def lines() -> set[str]:
        return {line.rpartition(" ")[0] for line in server.http.get("/metrics").text.splitlines() if line[0] != "#"}

    def ask(number: int) -> None:
        server.http.get(f"/nothing/{number}", headers={"X-Request-ID": f"id{number}"})
        server.http.request(("LINK", "PROPFIND", "BREW")[number % 3], "/health")
        server.http.post(f"/predict?model=m{number}", content=b"x")

    for number in range(3):
        ask(number)
    lines()
    before = lines()
    for number in range(3, 20):
        ask(number)
    assert lines() - before == set()
    assert server.metric('signlang_requests_total{method="GET",route="other",status="404"}') >= 20
    assert server.metric('signlang_requests_total{method="GET",route="/metrics",status="200"}') >= 2
    text = server.http.get("/metrics").text
    for name in (
        "signlang_requests_total", "signlang_stage_seconds_bucket", "signlang_queue_depth", "signlang_batch_size_bucket",
        "signlang_streams", "signlang_frames_total", "signlang_errors_total", "signlang_worker_restarts_total",
        "signlang_workers", "signlang_websockets",
    ):  # fmt: skip
        assert re.search(rf"^{name}[ {{]", text, re.MULTILINE), name
    stages = set(re.findall(r'signlang_stage_seconds_count\{stage="(\w+)"\}', text))
    assert stages == {"upload", "queue", "decode", "pose", "features", "model"}


def test_two_servers_of_one_process_count_for_themselves(server: Running, guarded: Running):
    line = 'signlang_requests_total{method="GET",route="/health",status="200"}'
    before = server.metric(line)
    httpx.get(f"http://127.0.0.1:{guarded.port}/health")
    assert server.metric(line) == before
    server.http.get("/health")
    assert server.metric(line) == before + 1


def test_a_fault_of_the_server_says_nothing_about_it(server: Running, monkeypatch):
    def broken(*_: object) -> None:
        raise KeyError("/secret/path")

    monkeypatch.setattr(server.service, "models", broken)
    answer = server.http.get("/models")
    assert answer.status_code == 500 and answer.json()["code"] == "internal"
    assert "secret" not in answer.text and answer.headers["X-Request-ID"]
