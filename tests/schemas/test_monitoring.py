"""What a check of drift can find fits into the answer."""

import numpy as np
import pyarrow as pa

from app.ml.drift import check_drift
from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.profile import build_profile, count_frame
from app.schemas.config import MonitoringConfig
from app.schemas.monitoring import FeatureDriftOut


def test_a_feature_with_one_bin_left_has_no_detectable_drift() -> None:
    rare = pa.array(np.arange(1000) < 5)
    frame = Frame(pa.array([f"a{i}" for i in range(1000)]), pa.table({"rare": rare}))
    scores = np.linspace(0, 1, 1000)
    profile = build_profile(frame, [Feature("rare", FeatureKind.BOOLEAN)], scores)
    found = check_drift(profile, count_frame(profile, frame, scores), MonitoringConfig()).features[0]
    assert found.n_bins == 1
    assert FeatureDriftOut.model_validate(found).smallest_detectable_psi is None
