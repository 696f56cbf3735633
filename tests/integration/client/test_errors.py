"""Errors: problem documents and everything else that is no answer of Quire."""

import pytest
from starlette.responses import HTMLResponse, RedirectResponse

from quire_client import Quire, QuireError
from tests.integration.client.server import Api, document, problem

ID = document()["id"]
GET = f"GET /documents/{ID}"


async def error(quire: Quire) -> QuireError:
    with pytest.raises(QuireError) as caught:
        await quire.document(ID)
    return caught.value


async def test_a_problem_document_is_an_error_with_its_fields(api: Api, quire: Quire) -> None:
    fields = [{"pointer": "/query/limit", "detail": "too large"}]
    api.on(GET, problem(422, "invalid", "The request is not valid; see `errors`.", errors=fields, extra=1))
    found = await error(quire)
    assert (found.status, found.code, found.request_id) == (422, "invalid", "req-7")
    assert [(one.pointer, one.detail) for one in found.errors] == [("/query/limit", "too large")]
    assert str(found) == (
        "The request is not valid; see `errors`.; /query/limit: too large (422 invalid, request req-7)"
    )


async def test_a_detail_that_says_it_already_is_not_repeated(api: Api, quire: Quire) -> None:
    fields = [{"pointer": "/body/metadata", "detail": "not JSON"}]
    api.on(GET, problem(422, "invalid", "The field `metadata` is not valid: not JSON.", errors=fields))
    assert str(await error(quire)) == "The field `metadata` is not valid: not JSON. (422 invalid, request req-7)"


async def test_a_proxy_without_problem_documents_is_told_as_it_is(api: Api, quire: Quire) -> None:
    api.on(GET, HTMLResponse("<h1>Bad Gateway</h1>", 502))
    assert str(await error(quire)) == "The server answers 502 Bad Gateway (502 unexpected_answer)"


async def test_a_redirect_is_told_and_the_key_stays_here(api: Api, quire: Quire) -> None:
    api.on(GET, RedirectResponse("https://elsewhere.example/"))
    found = await error(quire)
    assert found.code == "redirected"
    assert "https://elsewhere.example/" in str(found)


async def test_a_page_of_another_server_is_no_document(api: Api, quire: Quire) -> None:
    api.on(GET, HTMLResponse("<h1>It works</h1>"))
    found = await error(quire)
    assert found.code == "unexpected_answer"
    assert "does not answer like Quire" in str(found)


async def test_a_wrong_key_is_refused(api: Api) -> None:
    async with Quire(api.url, "qk_wrong") as quire:
        assert (await error(quire)).status == 401
