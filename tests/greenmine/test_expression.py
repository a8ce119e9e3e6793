from __future__ import annotations

from typing import Any

import pytest

from greenmine.expression import Expression, ExpressionError


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "empty"),
        ("a[", "Incomplete"),
        ("a..b", "column 2"),
        ("a ===", "Unknown token"),
        ("nonsense(a)", "no function 'nonsense'"),
        ("b.contains(a)", "takes 2 arguments, not 1"),
        ("[?items(a, b)]", "takes 1 arguments, not 2"),
    ],
)
def test_what_is_no_expression_is_told_at_once(text: str, wrong: str) -> None:
    with pytest.raises(ExpressionError, match=wrong):
        Expression(text)


@pytest.mark.parametrize("text", ["not_null(a, b, c)", "merge(a)", "items(@)[0][0]", "max_by(a, &b)", "a[::2].b | [0]"])
def test_what_is_an_expression_is_taken(text: str) -> None:
    assert Expression(text).text == text


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("items(a)", {"a": [1]}),
        ("contains(a, 'x')", {"a": 5}),
        ("ceil(a)", {"a": float("inf")}),
        ("to_string(a)", {"a": 10**5000}),
        ("sort(a)", {"a": [1, "x"]}),
    ],
)
def test_a_document_that_a_function_does_not_take_is_an_error_of_its_own(text: str, document: Any) -> None:
    with pytest.raises(ExpressionError, match="cannot be evaluated"):
        Expression(text).search(document)


def test_depth_is_told_from_other_errors() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        Expression("to_string(@)").search(deep)
