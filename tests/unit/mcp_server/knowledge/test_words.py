"""Names and questions as words: every spelling of a name is the same words."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcp_server.knowledge.expansion import Expansion, abbreviates
from mcp_server.knowledge.words import Splitter, parts, stem, vocabulary


@pytest.mark.parametrize(
    "name",
    ["customer_order_total", "customerOrderTotal", "CustomerOrderTotal", "CUSTOMER_ORDER_TOTAL", "customerordertotal"],
)
def test_every_spelling_of_a_name_is_the_same_words(name: str) -> None:
    assert Splitter({}).stems(name) == ["custom", "order", "total"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HTTPStatus2xx", ["http", "status", "2", "xx"]),
        ("tbl-user.name", ["tbl", "user", "name"]),
        ("Größe_año", ["grosse", "ano"]),
        ("顧客テーブル", ["顧客", "客テ", "テー", "ーブ", "ブル"]),
        ("", []),
    ],
)
def test_names_are_split_where_their_letters_say_so(name: str, words: list[str]) -> None:
    assert parts(name) == words


def test_glued_words_are_taken_apart_with_the_words_of_the_schema_itself() -> None:
    assert Splitter({}).words("birthdate") == ("birth", "date")
    assert Splitter({}).words("zorgqxvdate") == ("zorgqxvdate",)
    assert Splitter({"zorgqxv": 4}).words("zorgqxvdate") == ("zorgqxv", "date")


@pytest.mark.parametrize("word", ["superpower", "id", "xyzzyq", "a" * 5_000, "1234567890"])
def test_what_is_one_word_stays_one(word: str) -> None:
    assert Splitter({}).words(word) == (word,)


def test_a_vocabulary_counts_the_names_that_a_word_stands_alone_in() -> None:
    assert vocabulary(["order_order", "order_id", "ID"]) == {"order": 2, "id": 2}


@pytest.mark.parametrize(
    ("short", "word"),
    [("cust", "customer"), ("qty", "quantity"), ("dept", "department"), ("acct", "account"), ("stu", "student")],
)
def test_an_abbreviation_is_known_for_its_word(short: str, word: str) -> None:
    assert abbreviates(short, word)
    assert stem(short) in Expansion([short]).of(word)
    assert stem(word) in Expansion([word]).of(short)


@pytest.mark.parametrize(("short", "word"), [("cat", "catalogue"), ("customer", "customers"), ("rt", "customer")])
def test_a_common_word_or_other_letters_abbreviate_nothing(short: str, word: str) -> None:
    assert not abbreviates(short, word)


def test_an_asked_word_means_itself_first_then_its_kin_and_what_people_say_for_it() -> None:
    meant = Expansion(["orchestra", "orchestral", "client", "salary", "cat"]).of
    assert meant("orchestra")[stem("orchestra")] == 1.0
    assert 0 < meant("orchestra")[stem("orchestral")] < 1.0
    assert set(meant("customer")) == {stem("client")}
    assert set(meant("earns")) == {stem("salary")}


def test_a_misspelt_word_finds_the_near_one() -> None:
    assert set(Expansion(["customer"]).of("custmer")) == {stem("customer")}
    assert not Expansion(["customer"]).of("curtain")


def test_words_that_are_stemmed_at_once_are_stemmed_as_one_after_the_other() -> None:
    words = [f"{beginning}{ending}" for beginning in ("nation", "relat", "hope") for ending in ("al", "ational", "s")]
    words = [f"{letter}{word}" for letter in "abcdefghijkl" for word in words]
    one_by_one = list(map(stem.__wrapped__, words))
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            at_once = list(threads.map(lambda _: list(map(stem.__wrapped__, words)), range(8)))
    finally:
        sys.setswitchinterval(usual)
    assert at_once == [one_by_one] * 8
