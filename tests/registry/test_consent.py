"""Unknown, missing or expired grants nothing."""

from __future__ import annotations

import datetime as dt
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from registry.consent import Consent, Use, check_date

TODAY = dt.date(2026, 11, 23)
USES = get_args(Use)


def consent(**changes: object) -> Consent:
    given = {
        "terms_version": "1.0",
        "uses": ["train-sft", "evaluate"],
        "granted_on": "2026-01-01",
        "expires_on": "2026-12-31",
        "statement": "granted for these tests",
    }
    return Consent.model_validate(given | changes)


class TestGrants:
    @pytest.mark.parametrize("use", ["train-sft", "evaluate"])
    def test_what_is_listed_while_it_holds(self, use):
        assert consent().refusal(use, TODAY) is None

    def test_on_its_first_and_its_last_day(self):
        assert consent(granted_on="2026-11-23").refusal("evaluate", TODAY) is None
        assert consent(expires_on="2026-11-23").refusal("evaluate", TODAY) is None

    def test_for_ever_where_it_never_expires(self):
        assert consent(expires_on="never").refusal("evaluate", dt.date.max) is None


class TestRefuses:
    @pytest.mark.parametrize("use", sorted(set(USES) - {"train-sft", "evaluate"}))
    def test_what_is_not_listed(self, use):
        what, mend = consent().refusal(use, TODAY)
        assert what == f"does not grant {use!r} (it grants train-sft, evaluate)"
        assert "narrow the declaration" in mend

    @pytest.mark.parametrize("use", USES)
    def test_everything_where_nothing_is_listed(self, use):
        what, _ = consent(uses=[]).refusal(use, TODAY)
        assert what == f"does not grant {use!r} (it grants nothing)"

    def test_the_day_after_the_last(self):
        what, mend = consent(expires_on="2026-11-22").refusal("evaluate", TODAY)
        assert what == "expired on 2026-11-22"
        assert "renew the consent" in mend
        assert "suspend the profile" in mend

    def test_the_day_before_the_first(self):
        what, mend = consent(granted_on="2026-11-24").refusal("evaluate", TODAY)
        assert what == "holds only from 2026-11-24"
        assert "wait" in mend

    def test_every_day_where_it_expired_before_it_was_granted(self):
        upside_down = consent(granted_on="2026-12-01", expires_on="2026-11-01")
        days = [dt.date(2026, 10, 1) + dt.timedelta(days=n) for n in range(100)]
        assert all(upside_down.refusal("evaluate", day) for day in days)

    def test_a_misspelt_use_even_past_the_types(self):
        assert consent().refusal("Evaluate", TODAY) is not None


@given(use=st.sampled_from(USES), today=st.dates(), granted=st.dates(), expires=st.dates())
def test_grants_exactly_the_listed_uses_between_its_two_days(use, today, granted, expires):
    given = consent(granted_on=granted.isoformat(), expires_on=expires.isoformat())
    allowed = use in given.uses and granted <= today <= expires
    assert (given.refusal(use, today) is None) == allowed


class TestDates:
    @pytest.mark.parametrize(
        "text",
        ["2026-2-3", "20261123", "2026-11-23T00:00", "23-11-2026", "Never", "", " 2026-11-23",
         "2026-11-23\n", "2026/11/23", "٢٠٢٦-٠٢-٠٢"],
    )  # fmt: skip
    def test_in_another_form_are_refused(self, text):
        with pytest.raises(ValueError, match="write a date as year-month-day in quotes"):
            check_date(text)

    @pytest.mark.parametrize("text", ["2026-02-29", "2026-13-01", "2026-00-10", "0000-01-01"])
    def test_that_no_calendar_has_are_refused(self, text):
        with pytest.raises(ValueError, match="is not a day of the calendar"):
            check_date(text)

    @pytest.mark.parametrize("text", ["2024-02-29", "2026-11-23", "0001-01-01", "9999-12-31"])
    def test_of_the_calendar_are_kept(self, text):
        assert check_date(text) == text

    def test_a_consent_is_never_granted_never(self):
        with pytest.raises(ValidationError, match="granted_on"):
            consent(granted_on="never")


class TestShape:
    @pytest.mark.parametrize(
        "changes",
        [{"uses": ["train"]}, {"uses": "evaluate"}, {"statement": "short"}, {"terms_version": ""},
         {"expires_on": None}, {"purpose": "any"}],
    )  # fmt: skip
    def test_refuses_what_the_schema_does_not_know(self, changes):
        with pytest.raises(ValidationError, match=next(iter(changes))):
            consent(**changes)

    @pytest.mark.parametrize(
        "field", [name for name, info in Consent.model_fields.items() if info.is_required()]
    )
    def test_leaves_nothing_out(self, field):
        given = consent().model_dump()
        del given[field]
        with pytest.raises(ValidationError, match=field):
            Consent.model_validate(given)

    def test_cannot_be_widened_once_read(self):
        with pytest.raises(ValidationError, match="frozen"):
            consent().uses = USES
