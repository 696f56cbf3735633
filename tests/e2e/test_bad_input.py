"""Bad input on the road: a clear problem document, and nothing is lost or left over."""

import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support import stack as stacks
from tests.support.documents import executables
from tests.support.stack import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(120)]

FIELDS = {"type", "title", "status", "detail", "instance", "code", "request_id"}


def _problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) >= FIELDS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


def _send(api: httpx.Client, name: str, content: bytes, **fields: Any) -> httpx.Response:
    return api.post("/api/v1/documents", files={"file": (name, content)}, data=fields)


def _objects(stack: Stack) -> int:
    return len([path for path in (stack.home / "objects").rglob("*") if path.is_file()])


def test_an_empty_file_is_422(api: httpx.Client) -> None:
    _problem(_send(api, "empty.pdf", b""), 422, "empty_file")


def test_a_request_without_a_file_is_422_and_says_where(api: httpx.Client) -> None:
    problem = _problem(api.post("/api/v1/documents", files={"title": (None, "x")}), 422, "invalid")
    assert problem["errors"][0]["pointer"] == "/body/file"


@pytest.mark.parametrize(
    ("name", "content", "detected"),
    [
        ("invoice.pdf", executables.elf(), "executable"),
        ("data.bin", bytes(range(256)) * 64, "octet-stream"),
    ],
)
def test_a_type_that_is_not_taken_is_415_with_what_was_detected(
    stack: Stack, api: httpx.Client, name: str, content: bytes, detected: str
) -> None:
    before = _objects(stack)
    problem = _problem(_send(api, name, content), 415, "unsupported_type")
    assert "which is not taken" in problem["detail"]
    assert detected in problem["detail"]
    assert _objects(stack) == before


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "qk_wrong"}, {"Authorization": "Bearer nonsense"}])
def test_a_missing_or_wrong_key_is_401_everywhere(stack: Stack, headers: dict[str, str]) -> None:
    with stack.client(key="") as client:
        for method, path in [
            ("POST", "/api/v1/documents"), ("GET", "/api/v1/documents"), ("GET", "/api/v1/documents/doc_1"),
            ("PATCH", "/api/v1/documents/doc_1"), ("DELETE", "/api/v1/documents/doc_1"),
            ("GET", "/api/v1/documents/doc_1/text"), ("GET", "/api/v1/documents/doc_1/content"),
            ("GET", "/api/v1/documents/doc_1/previews/1"), ("GET", "/api/v1/documents/doc_1/timeline"),
            ("GET", "/api/v1/search?q=x"), ("GET", "/api/v1/events"),
        ]:  # fmt: skip
            answer = client.request(method, path, headers=headers)
            _problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_works_as_bearer_too(stack: Stack) -> None:
    with stack.client(key="") as client:
        key = stack.credentials["QUIRE_API_KEY"]
        assert client.get("/api/v1/documents", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_another_workspaces_document_is_404_exactly_like_an_unknown_one(
    stack: Stack, api: httpx.Client, own: str
) -> None:
    document = stacks.upload(api, "mine.txt", own.encode())
    stacks.finished(api, [document["id"]])
    with stack.client(key=stack.new_workspace()) as other:
        for part in ("", "/text", "/content", "/timeline", "/previews/1"):
            theirs = other.get(f"/api/v1/documents/{document['id']}{part}")
            unknown = other.get(f"/api/v1/documents/doc_{'0' * 32}{part}")
            assert theirs.status_code == unknown.status_code == 404
            for answer in (theirs, unknown):
                assert answer.json()["code"] == "not_found"
            assert theirs.json()["detail"] == unknown.json()["detail"]
        assert other.delete(f"/api/v1/documents/{document['id']}").status_code == 404
        assert other.patch(f"/api/v1/documents/{document['id']}", json={"title": "x"}).status_code == 404
        assert other.get("/api/v1/documents").json()["data"] == []
        assert other.get("/api/v1/search", params={"q": own.split()[-1]}).json()["data"] == []
        same = stacks.upload(other, "mine.txt", own.encode())
        assert (same["duplicate"], same["id"] == document["id"]) == (False, False)
        stacks.finished(other, [same["id"]])
    assert api.get(f"/api/v1/documents/{document['id']}").status_code == 200


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"metadata": "[1]"}, "/body/metadata"),
        ({"metadata": "{"}, "/body/metadata"),
        ({"metadata": '{"a":"' + "x" * 5000 + '"}'}, "/body/metadata"),
        ({"metadata": '{"a":"\\u0000"}'}, "/body/metadata"),
        ({"tags": ",".join(f"t{n}" for n in range(60))}, "/body/tags"),
        ({"tags": "x" * 200}, "/body/tags"),
        ({"folder": "/" + "x" * 1500}, "/body/folder"),
    ],
)
def test_a_bad_field_is_422_with_its_place_and_leaves_no_object(
    stack: Stack, api: httpx.Client, own: str, fields: dict[str, str], pointer: str
) -> None:
    before = _objects(stack)
    problem = _problem(_send(api, "x.txt", own.encode(), **fields), 422, "invalid")
    assert problem["errors"][0]["pointer"] == pointer
    assert _objects(stack) == before


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd", "a\x00b.txt", "line\r\nX-Injected: 1.txt", "\u202eexe.txt", "n" * 4096 + ".txt", "..", " ",
        "C:\\dir\\file.txt", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") + ".txt",
    ],
)  # fmt: skip
def test_a_hostile_file_name_is_shown_cleaned(api: httpx.Client, own: str, name: str) -> None:
    boundary = "xyzzy"
    encoded = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22").encode()
    body = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"".encode() + encoded
        + f'"\r\n\r\n{own}{len(name)}\r\n--{boundary}--\r\n'.encode()
    )  # fmt: skip
    answer = api.post(
        "/api/v1/documents", content=body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    assert answer.status_code == 202, answer.text
    shown = answer.json()["filename"]
    assert 0 < len(shown) <= 255
    assert not set(shown) & set("/\\\x00\r\n\u202e")
    content = api.get(f"/api/v1/documents/{answer.json()['id']}/content")
    assert content.headers["content-disposition"].isascii()
    stacks.finished(api, [answer.json()["id"]])


FORM = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
FIELD = b'--b\r\nContent-Disposition: form-data; name="q"\r\n\r\n1\r\n'


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        pytest.param("multipart/form-data", b"x", 400, id="no boundary"),
        pytest.param("multipart/form-data; boundary=", b"x", 400, id="empty boundary"),
        pytest.param("application/json", b"{}", 400, id="no form"),
        pytest.param(FORM, b"no boundary here", 400, id="nothing like a form"),
        pytest.param(FORM, FILE + b"cut", 400, id="cut off"),
        pytest.param(FORM, b"--b\r\nX: y\r\n\r\nz\r\n--b--\r\n", 400, id="a part without a name"),
        pytest.param(FORM, b"--b\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n", 400, id="a header of 1 MB"),
        pytest.param(FORM, FIELD * 10_000 + b"--b--\r\n", 413, id="10,000 parts"),
    ],
)
def test_a_malformed_body_is_refused(
    stack: Stack, api: httpx.Client, content_type: str, body: bytes, status: int
) -> None:
    before = _objects(stack)
    answer = api.post("/api/v1/documents", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert _objects(stack) == before


def test_a_client_that_goes_away_leaves_no_row_and_no_object(stack: Stack, api: httpx.Client) -> None:
    objects, documents = _objects(stack), len(api.get("/api/v1/documents", params={"limit": 200}).json()["data"])
    address = urlsplit(str(api.base_url))
    head = (
        "POST /api/v1/documents HTTP/1.1\r\nHost: x\r\nX-API-Key: " + stack.credentials["QUIRE_API_KEY"]
        + "\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n"
        + '--b\r\nContent-Disposition: form-data; name="file"; filename="x.txt"\r\n\r\n'
    )  # fmt: skip
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(head.encode() + b"half of it " * 300_000)
    stacks.finished(api, [stacks.upload(api, "after.txt", head.encode())["id"]])
    after = api.get("/api/v1/documents", params={"limit": 200}).json()["data"]
    assert len(after) == min(200, documents + 1)
    assert all(document["filename"] != "x.txt" or document["size"] < 1_000_000 for document in after)
    assert not [path for path in (stack.home / "objects").rglob("content*") if path.stat().st_size > 1_000_000]
    assert _objects(stack) > objects


@pytest.mark.parametrize(
    "query",
    ["", "x" * 2001, "a" * 60_000],
)
def test_a_query_of_no_or_too_great_length_is_422(api: httpx.Client, query: str) -> None:
    answer = api.get("/api/v1/search", params={"q": query})
    assert answer.status_code in {422, 414, 400}, answer.text[:200]


@pytest.mark.parametrize(
    "query", ["a & b | !c:*", "'quoted''", "\\", "a\x00b", "((((", '"open', "OR", "-", "--", "''::tsquery", "<->", "*"]
)  # fmt: skip
@pytest.mark.parametrize("mode", ["keyword", "semantic", "hybrid"])
def test_query_syntax_of_any_kind_is_a_safe_result(api: httpx.Client, query: str, mode: str) -> None:
    answer = api.get("/api/v1/search", params={"q": query, "mode": mode})
    assert answer.status_code in {200, 422}, answer.text


@pytest.mark.parametrize(
    "parameters",
    [{"limit": "-1"}, {"limit": "1000000000"}, {"limit": "NaN"}, {"mode": "psychic"}, {"created_after": "yesterday"}],
)
def test_a_parameter_out_of_range_is_422(api: httpx.Client, parameters: dict[str, str]) -> None:
    problem = _problem(api.get("/api/v1/search", params={"q": "x", **parameters}), 422, "invalid")
    assert problem["errors"][0]["pointer"].startswith("/query/")


def test_unknown_paths_and_methods_are_problems_too(api: httpx.Client) -> None:
    _problem(api.get("/api/v1/nothing"), 404, "not_found")
    answer = api.put("/api/v1/documents")
    _problem(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]
