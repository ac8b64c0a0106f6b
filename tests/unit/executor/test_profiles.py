"""Profiles travel as JSON."""

from executor import ColumnProfile, ForeignKey, InferredKey, SourceProfile, TableProfile


def test_a_profile_comes_back_from_its_json_as_it_was() -> None:
    city = ColumnProfile("city", null_share=0.25, distinct=2, approximate=True, values=("Bern", "Köln"))
    amount = ColumnProfile("amount", null_share=0.0, distinct=90, least="-1.5", greatest="9", examples=("1", "2"))
    key = ForeignKey(("customer_id",), "main", "customers", ("id",))
    profile = SourceProfile(
        "shop",
        "abc",
        tables=(TableProfile("main", "orders", 100, 50, (city, amount), 12.5), TableProfile("main", "empty")),
        inferred=(InferredKey("main", "orders", key, "all 50 values found"),),
        complete=False,
    )
    assert SourceProfile.from_json(profile.to_json()) == profile
