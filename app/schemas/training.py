"""What training takes."""

from pydantic import ConfigDict, Field, StrictBool

from app.schemas.common import BodyIn, Name
from app.schemas.config import ModelConfig, TrainingConfig
from app.schemas.models import Description


class TrainIn(BodyIn):
    """Train a model and its baseline; what is left out comes from the dataset, the settings, the code."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {"model": {"model_type": "xgboost", "xgboost_params": {"max_depth": 4}}, "register": True},
                {"model": {"model_type": "auto"}, "register": True},
                {"model": {"model_type": "lightgbm"}, "training": {"search": {"n_trials": 20}}, "register": True},
            ]
        },
    )

    dataset: Name | None = Field(default=None, description="May be left out while there is only one.")
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    # `register` itself is taken: pydantic's metaclass has a method of that name.
    wants_version: StrictBool = Field(default=False, alias="register", description="Make the model a version at once.")
    description: Description | None = Field(default=None, description="Of that version.")
