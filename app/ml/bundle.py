"""A bundle: everything needed to score with a version, as data-only files in one deterministic archive."""

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.ml.calibration import Calibrator, calibrator_from_json
from app.ml.encoding import Encoder, Value
from app.ml.kinds.models import FILE_NAMES, ModelKind
from app.ml.profile import Profile

MAX_BUNDLE_BYTES = 256 * 2**20
_FORMAT = 2
_ONE_FILE_FORMAT = 1  # written before models could have several files; still read
_MANIFEST = "bundle.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first instant a zip can name


class BundleError(ValueError):
    """These bytes are no bundle that can be scored with; the message says what is wrong."""


@dataclass(frozen=True)
class Probe:
    """A stored example: the features of one development row and the probability they must give."""

    features: Mapping[str, Value]
    probability: float


@dataclass(frozen=True)
class Bundle:
    """What a version is, without time, version or run id: the same training gives the same bytes.

    Attributes
    ----------
    kind : what kind of model
    params : its effective parameters
    seed : of the config
    n_rounds : rounds of the final fit; 1 for models without rounds
    encoder : features with their levels and medians
    calibrator : from margin to probability
    profile : how the scored population looked at training
    development_churn_rate : 0..1
    training_data_hash : SHA-256 of rows, labels and sides
    libraries : versions that can change a number
    probes : examples that must score as they did at training
    files : the model's own format: the bytes of each file by name
    plan : where features are built, what builds them the same way again; None where they are stored
    """

    kind: ModelKind
    params: Mapping[str, Any]
    seed: int
    n_rounds: int
    encoder: Encoder
    calibrator: Calibrator
    profile: Profile
    development_churn_rate: float
    training_data_hash: str
    libraries: Mapping[str, str]
    probes: tuple[Probe, ...]
    files: Mapping[str, bytes]
    plan: Mapping[str, Any] | None = None

    @cached_property
    def sha256(self) -> str:
        """Of its bytes, hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """A zip of `bundle.json` and the model's files, stored uncompressed: compressors differ between machines.

        Raises
        ------
        BundleError
            Where it is larger than 256 MB.
        """
        manifest = json.dumps(self._manifest(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        files = {_MANIFEST: manifest.encode(), **dict(sorted(self.files.items()))}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, content in files.items():
                archive.writestr(_entry(name), content)
        if buffer.tell() > MAX_BUNDLE_BYTES:
            raise BundleError(f"the bundle has {buffer.tell() / 2**20:.0f} MB; at most 256 can be stored")
        return buffer.getvalue()

    def _manifest(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "kind": self.kind.value,
            "params": dict(self.params),
            "seed": self.seed,
            "n_rounds": self.n_rounds,
            "features": self.encoder.to_json(),
            "calibrator": self.calibrator.to_json(),
            "profile": self.profile.to_json(),
            "development_churn_rate": self.development_churn_rate,
            "training_data_hash": self.training_data_hash,
            "libraries": dict(self.libraries),
            "probes": [{"features": dict(each.features), "probability": each.probability} for each in self.probes],
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()},
            **({"plan": dict(self.plan)} if self.plan is not None else {}),
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bundle":
        """Read and check a bundle; the model's own bytes are compared with their hash before anything parses them.

        Raises
        ------
        BundleError
            Where the bytes are too many, damaged, of another format, or don't fit together.
        """
        if len(data) > MAX_BUNDLE_BYTES:
            raise BundleError(f"a bundle has at most 256 MB, these are {len(data) / 2**20:.0f}")
        files = _unpack(data)
        try:
            raw = json.loads(files.pop(_MANIFEST))
            if raw["format"] not in (_FORMAT, _ONE_FILE_FORMAT):
                raise BundleError(f"bundle format {raw['format']} is not known here, only up to {_FORMAT}")
            return cls._read(raw, files)
        except BundleError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise BundleError(f"the bundle's description can't be read: {error!r}") from error

    @classmethod
    def _read(cls, raw: Mapping[str, Any], files: Mapping[str, bytes]) -> "Bundle":
        kind = ModelKind(raw["kind"])
        _require_files(kind, raw, files)
        return cls(
            kind=kind,
            params=dict(raw["params"]),
            seed=int(raw["seed"]),
            n_rounds=int(raw["n_rounds"]),
            encoder=Encoder.from_json(raw["features"]),
            calibrator=calibrator_from_json(raw["calibrator"]),
            profile=Profile.from_json(raw["profile"]),
            development_churn_rate=float(raw["development_churn_rate"]),
            training_data_hash=str(raw["training_data_hash"]),
            libraries=dict(raw["libraries"]),
            probes=tuple(Probe(dict(each["features"]), float(each["probability"])) for each in raw["probes"]),
            files=dict(files),
            plan=raw.get("plan"),
        )


def _require_files(kind: ModelKind, raw: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """The files are those this kind is read from, and byte for byte those the description was written with."""
    if FILE_NAMES[kind] not in files or (len(files) > 1 and kind is not ModelKind.BLEND):
        raise BundleError(f"a {kind.value} bundle holds {FILE_NAMES[kind]}, not {sorted(files)[:5]}")
    hashes = raw["files"] if raw["format"] == _FORMAT else {FILE_NAMES[kind]: raw["model_sha256"]}
    if {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} != hashes:
        raise BundleError("the model's files are not those the bundle was made with")


def _entry(name: str) -> zipfile.ZipInfo:
    """An archive entry that tells nothing of the machine or the time."""
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


def _unpack(data: bytes) -> dict[str, bytes]:
    """The files by name; none is compressed, so together they are no larger than the archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(names) < 2 or _MANIFEST not in names or len(set(names)) != len(names):
                raise BundleError(f"a bundle holds {_MANIFEST} and a model, not {names[:5]}")
            is_packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if is_packed or sum(entry.file_size for entry in entries) > len(data):
                raise BundleError("the files of a bundle are stored uncompressed, each once")
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error, OSError) as error:
        raise BundleError(f"these bytes are no bundle: {error}") from error
    except UnicodeDecodeError as error:
        raise BundleError("these bytes are no bundle: a name in it is no text") from error
