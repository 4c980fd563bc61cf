import importlib
import json
from pathlib import Path

import pytest

from app.code_version import PACKAGE, code_version
from app.settings import Settings


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notes of an installed package, before all others on the path."""
    notes = tmp_path / f"{PACKAGE}-9.8.7.dist-info"
    notes.mkdir()
    (notes / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 9.8.7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return notes


def test_the_commit_is_that_of_the_repository_it_was_installed_from(install: Path) -> None:
    origin = {"url": "https://example.org/h.git", "vcs_info": {"vcs": "git", "commit_id": "ab" * 20}}
    (install / "direct_url.json").write_text(json.dumps(origin))
    assert code_version(None) == {"version": "9.8.7", "commit": "ab" * 20}
    assert code_version("cd" * 20)["commit"] == "cd" * 20


def test_a_package_from_a_folder_tells_no_path(install: Path) -> None:
    (install / "direct_url.json").write_text(json.dumps({"url": "file:///secret/place", "dir_info": {}}))
    assert code_version("") == {"version": "9.8.7", "commit": None}


def test_a_commit_is_hexadecimal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_COMMIT", "/home/me")
    with pytest.raises(ValueError, match="commit"):
        Settings()
    monkeypatch.setenv("HOLDFAST_COMMIT", "")
    assert not Settings().commit
