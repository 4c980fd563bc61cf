import dataclasses
import hashlib
import io
import json
import zipfile

import pytest

from app.ml.bundle import MAX_BUNDLE_BYTES, Bundle, BundleError
from app.ml.scorer import Scorer
from app.ml.trainer import TrainingResult


def rewritten(data: bytes, **changes: object) -> bytes:
    """The same archive with another description."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["bundle.json"] = json.dumps(json.loads(files["bundle.json"]) | changes).encode()
    return zipped(files)


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_bundle_survives_its_bytes(trained: TrainingResult) -> None:
    for bundle in (trained.primary.bundle, trained.baseline.bundle):
        again = Bundle.from_bytes(bundle.to_bytes())
        assert again == bundle
        assert again.sha256 == bundle.sha256
        Scorer(again).probe()


def test_it_holds_data_and_no_machine(trained: TrainingResult) -> None:
    data = trained.primary.bundle.to_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert "bundle.json" in archive.namelist()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    for word in (b"nthread", b"num_threads", b"/home", b"a12"):
        assert word not in data


def test_a_changed_model_is_refused_before_it_is_parsed(trained: TrainingResult) -> None:
    bundle = trained.primary.bundle
    with zipfile.ZipFile(io.BytesIO(bundle.to_bytes())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name in bundle.files:
        changed = files[name][:-1] + bytes([files[name][-1] ^ 1])
        with pytest.raises(BundleError, match="not those the bundle was made with"):
            Bundle.from_bytes(zipped(files | {name: changed}))


def test_a_flipped_bit_is_refused(trained: TrainingResult) -> None:
    data = bytearray(trained.primary.bundle.to_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(BundleError):
        Bundle.from_bytes(bytes(data))


def test_a_changed_calibrator_does_not_pass_the_probe(trained: TrainingResult) -> None:
    calibrator = {"kind": "platt", "slope": 0.9, "intercept": 0.4}
    tampered = Bundle.from_bytes(rewritten(trained.primary.bundle.to_bytes(), calibrator=calibrator))
    with pytest.raises(BundleError, match="stored examples"):
        Scorer(tampered).probe()


def test_a_model_with_other_columns_is_refused(trained: TrainingResult) -> None:
    bundle = trained.primary.bundle
    narrow = dataclasses.replace(
        bundle, encoder=dataclasses.replace(bundle.encoder, features=bundle.encoder.features[:1])
    )
    with pytest.raises(BundleError):
        Scorer(narrow)


def test_bundles_of_earlier_releases_are_read(boosted: TrainingResult) -> None:
    """They had one file, and its hash beside the description."""
    bundle = boosted.primary.bundle
    [content] = bundle.files.values()
    changes = {"format": 1, "files": None, "model_sha256": hashlib.sha256(content).hexdigest()}
    again = Bundle.from_bytes(rewritten(bundle.to_bytes(), **changes))
    assert again == bundle
    Scorer(again).probe()
    with pytest.raises(BundleError, match="not those"):
        Bundle.from_bytes(rewritten(bundle.to_bytes(), **changes | {"model_sha256": "0" * 64}))


def test_a_file_that_was_not_described_is_refused(trained: TrainingResult) -> None:
    with zipfile.ZipFile(io.BytesIO(trained.primary.bundle.to_bytes())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with pytest.raises(BundleError):
        Bundle.from_bytes(zipped(files | {"setup.py": b"print()"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 3},
        {"kind": "pickle"},
        {"kind": "base_rate"},
        {"features": [{"name": "x"}]},
        {"features": None},
        {"calibrator": {"kind": "platt", "slope": -1.0, "intercept": 0.0}},
        {"profile": {}},
        {"probes": [1]},
        {"n_rounds": "many"},
    ],
)
def test_descriptions_that_make_no_sense_are_refused(trained: TrainingResult, changes: dict[str, object]) -> None:
    with pytest.raises(BundleError):
        Bundle.from_bytes(rewritten(trained.primary.bundle.to_bytes(), **changes))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"not a zip" * 100,
        zipped({}),
        zipped({"bundle.json": b"{}"}),
        zipped({"bundle.json": b"{}", "../../etc/passwd": b""}),
        zipped({"bundle.json": b"[" * 100_000, "model.ubj": b""}),
        zipped({"bundle.json": b"\xff\xfe", "model.ubj": b""}),
        zipped({"bundle.json": b"0" * 10_000_000, "model.ubj": b""}, zipfile.ZIP_DEFLATED),
    ],
    ids=["empty", "short", "text", "no files", "one file", "a path", "deep", "no text", "a bomb"],
)
def test_bytes_that_are_no_bundle_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        Bundle.from_bytes(data)


def test_too_many_bytes_are_refused(trained: TrainingResult) -> None:
    with pytest.raises(BundleError, match="256"):
        dataclasses.replace(trained.primary.bundle, files={"model.ubj": bytes(MAX_BUNDLE_BYTES)}).to_bytes()
