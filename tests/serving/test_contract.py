"""The OpenAPI document is kept: whatever is generated from it, and against it, is answered as it says, and never with a 5xx."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as bounded
from running_server import Running
from schemathesis.specs.openapi.checks import positive_data_acceptance

from signlang_hf.serving.app import create_app

EXAMPLES = 15  # of an operation


ROUTES = (
    "POST /predict", "POST /predict/landmarks", "POST /translate", "GET /models", "GET /health", "GET /ready", "GET /metrics",
    "GET /live-signs/config.json",
)  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
def test_answers_are_those_of_the_document(route, server: Running):
    api = schemathesis.openapi.from_dict(server.http.get("/openapi.json").json())
    method, path = route.split()

    @bounded(
        max_examples=EXAMPLES if method == "POST" else 3,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api[path][method].as_strategy())
    def check(case) -> None:
        response = case.call(base_url=f"http://127.0.0.1:{server.port}")
        assert response.status_code < 500, response.text
        # What no schema can say is refused: as many points as the layout has, time stamps that increase, bytes that are no video.
        case.validate_response(response, excluded_checks=[positive_data_acceptance])

    check()


def test_every_route_is_documented_with_its_errors(server: Running):
    document = server.http.get("/openapi.json").json()
    assert {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods} == set(
        ROUTES
    )
    for path in ("/predict", "/predict/landmarks", "/translate"):
        operation = document["paths"][path]["post"]
        assert {"200", "403", "413", "422", "429", "500", "503", "504"} <= set(operation["responses"])
        for status, answer in operation["responses"].items():
            name = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert (name == "ErrorAnswer") == (status != "200")
        assert operation["summary"] and "security" not in operation
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert server.http.get("/docs").status_code == 200


def test_a_server_with_keys_says_that_it_asks_for_one(settings):
    document = create_app(settings(key_hashes="a" * 64)).openapi()
    assert document["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-API-Key"
    guarded = {path for path, methods in document["paths"].items() for one in methods.values() if "security" in one}
    assert guarded == {"/predict", "/predict/landmarks", "/translate", "/models"}
    assert all("401" in document["paths"][path]["post"]["responses"] for path in guarded - {"/models"})
