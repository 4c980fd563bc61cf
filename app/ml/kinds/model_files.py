"""A model of any kind, read back from the files it is kept as."""

from collections.abc import Mapping

from app.ml.kinds.blend import BlendModel
from app.ml.kinds.models import FILE_NAMES, Model, ModelKind, load_model


def read_model(kind: ModelKind, files: Mapping[str, bytes], *, n_threads: int) -> Model:
    """Read what a model's `to_files` wrote; bytes that can't be read raise whatever the library raises."""
    if kind is ModelKind.BLEND:
        return BlendModel.from_files(files, n_threads=n_threads)
    return load_model(kind, files[FILE_NAMES[kind]], n_threads=n_threads)
