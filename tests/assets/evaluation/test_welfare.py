"""A jury of communities, on figures that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from assets.evaluation.welfare import elect, mixture, skill, veto_share


def test_skill_is_the_part_of_the_way_from_uniform() -> None:
    found = skill(np.array([0.0, 0.1, 0.2, 0.4]), np.full(4, 0.2))
    assert found == pytest.approx([1, 0.5, 0, -1])
    assert np.isnan(skill(np.array([0.1]), np.array([0.0]))).all()


def test_a_veto_is_an_item_on_which_uniform_answers_are_nearer() -> None:
    uniform = np.array([0.1, 0.2, 0.3, 0.4])
    assert float(veto_share(np.array([0.2, 0.1, 0.3, 0.5]), uniform)) == 0.5
    assert float(veto_share(uniform, uniform)) == 0


def test_who_beats_every_other_is_elected_though_fewer_put_them_first() -> None:
    # Three voters; the middle candidate is first for one only, and nobody's last.
    distance = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.4], [0.3, 0.2, 0.1]])
    assert elect(distance, np.ones(3)).tolist() == [0, 1, 0]


def test_condorcet_before_borda() -> None:
    # Three of five put the first before the second, who has the higher Borda count: 1.4 to 1.2.
    distance = np.array([[1, 2, 3]] * 3 + [[3, 1, 2]] * 2, dtype=float)
    assert elect(distance, np.ones(5)).tolist() == [1, 0, 0]


def test_a_circle_goes_to_borda_and_a_tie_is_shared() -> None:
    circle = np.array([[1, 2, 3], [3, 1, 2], [2, 3, 1]], dtype=float)
    assert elect(circle, np.ones(3)) == pytest.approx([1 / 3] * 3)
    assert elect(circle, np.array([2.0, 2.0, 1.0]))[1] == 1
    assert elect(np.zeros((2, 2)), np.ones(2)) == pytest.approx([0.5, 0.5])


def test_weights_are_votes() -> None:
    distance = np.array([[0.1, 0.2], [0.2, 0.1]])
    assert elect(distance, np.array([3.0, 1.0])).tolist() == [1, 0]
    assert elect(distance, np.array([1.0, 3.0])).tolist() == [0, 1]


def test_many_elections_at_once() -> None:
    distance = np.random.default_rng(0).random((4, 3, 50))
    found = elect(distance, np.ones(4))
    assert found.shape == (3, 50)
    for draw in range(50):
        assert found[:, draw] == pytest.approx(elect(distance[:, :, draw], np.ones(4)))


def test_one_candidate_is_elected() -> None:
    assert elect(np.array([[0.4], [0.2]]), np.ones(2)).tolist() == [1]


def test_a_mixture_follows_its_weights() -> None:
    tables = [[np.array([1.0, 0.0])], [np.array([0.0, 1.0])]]
    assert mixture(tables, (3, 1))[0] == pytest.approx([0.75, 0.25])
