"""Recipes of rivals in the same folds: equal ones are fitted once, and a refusal says whose it is."""

from dataclasses import replace

import numpy as np
import pytest

from app.ml.contenders import Contender, RefitError, cross_fit, make_recipe, wants_cross_fit
from app.ml.cross_fitting import deal_repeats, refit
from app.schemas.config import ModelConfig
from tests.services.scoring_world import FEATURES, draw_frame

FRAME = draw_frame(200, seed=1)
LOGISTIC = ModelConfig.model_validate({"model_type": "logistic", "logistic_params": {"C": 1.0}})
RECIPE = make_recipe(LOGISTIC, {}, 3, FEATURES)


def test_equal_recipes_are_fitted_once_and_the_baseline_is_the_other_of_the_two() -> None:
    told: list[float] = []
    model = Contender("The model", RECIPE, FRAME)
    anchor = Contender("Version 3", RECIPE, FRAME, is_baseline=True, searched=True)
    fit = cross_fit({"model": model, "anchor": anchor}, seed=1, n_threads=1, progress=told.append)
    by_hand = refit(FRAME, deal_repeats(FRAME, seed=1), RECIPE, n_threads=1, progress=lambda share: None)
    np.testing.assert_array_equal(fit.p_model, by_hand.primary)
    np.testing.assert_array_equal(fit.p_baseline, by_hand.baseline)
    np.testing.assert_array_equal(fit.p_anchor, by_hand.baseline)
    assert (fit.p_production, fit.searched, fit.dated) == (None, ("anchor",), False)
    assert told == sorted(told)
    assert told[-2:] == [0.5, 1.0]  # the second was there already


def test_found_parameters_are_laid_over_those_asked_for() -> None:
    assert make_recipe(LOGISTIC, {"C": 0.5}, 3, FEATURES).model.logistic_params == {"C": 0.5}
    assert RECIPE.model == LOGISTIC


def test_a_refusal_says_whose_recipe_it_is() -> None:
    lonely = replace(FRAME, churned=(np.arange(200) >= 4).astype(np.float64))
    wrong = Contender("Version 3", make_recipe(LOGISTIC, {"C": -1.0}, 3, FEATURES), FRAME)
    refused = {
        "The model can't be .*: 5 folds need 5 .* that stayed, not 4": {
            "model": Contender("The model", RECIPE, lonely)
        },
        "Version 3 can't be .*: .*C": {"model": Contender("The model", RECIPE, FRAME), "production": wrong},
    }
    for words, contenders in refused.items():
        with pytest.raises(RefitError, match=words):
            cross_fit(contenders, seed=1, n_threads=1, progress=lambda share: None)


def test_folds_are_wanted_under_200_churners_where_20_accounts_churned() -> None:
    few = replace(FRAME, churned=(np.arange(200) < 19).astype(np.float64))
    enough = replace(FRAME, churned=(np.arange(200) < 20).astype(np.float64))
    assert [wants_cross_fit(FRAME, n) for n in (199, 200)] == [True, False]
    assert [wants_cross_fit(each, 4) for each in (few, enough)] == [False, True]
