"""What models that are kept as one file have in common."""

from abc import ABC, abstractmethod
from typing import ClassVar


class OneFile(ABC):
    """A model that is one file of data, without code: the same model gives the same bytes."""

    file_name: ClassVar[str]

    @abstractmethod
    def to_bytes(self) -> bytes:
        """The content of the file."""

    def to_files(self) -> dict[str, bytes]:
        """The file by its name."""
        return {self.file_name: self.to_bytes()}
