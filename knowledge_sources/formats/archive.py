"""Zip archives from strangers, read one member at a time and never unpacked to disk."""

from __future__ import annotations

import io
import lzma
import posixpath
import stat
import struct
import xml.etree.ElementTree as ET
import zipfile
import zlib
from typing import Final

from blackboard.errors import DocumentTooComplex, DocumentUnreadable, DocumentUnsafe
from knowledge_sources.formats import xml

MAX_MEMBERS: Final = 1000
MAX_TOTAL: Final = 200_000_000
MAX_RATIO: Final = 100
RATIO_FROM: Final = 1_000_000
"""Bytes from which a member's ratio counts: small repetitive XML compresses well without being a bomb."""
NESTED: Final = (".zip", ".docx", ".xlsx", ".pptx", ".odt", ".jar", ".7z", ".rar", ".gz", ".bin", ".ole")

_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ValueError,
    NotImplementedError,
    EOFError,
    OSError,
)
_SAVE_AGAIN: Final = "open it in its program, save it again and submit that"


class Archive:
    """The members of a zip. Raises DocumentTooComplex, DocumentUnsafe or DocumentUnreadable when it is opened or read."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _DAMAGED as error:
            raise DocumentUnreadable(f"this file is a damaged zip container: {error}", hint=_SAVE_AGAIN) from error
        self._members = {info.filename: info for info in self._zip.infolist()}
        self._read = 0
        self._check()

    def _check(self) -> None:
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS:
            raise DocumentTooComplex(f"this file packs {len(infos):,} members, the limit is {MAX_MEMBERS:,}")
        total = sum(info.file_size for info in infos)
        if total > MAX_TOTAL:
            raise DocumentTooComplex(
                f"this file would unpack to {total / 1e6:,.0f} MB, the limit is {MAX_TOTAL / 1e6:,.0f} MB",
                hint="split it",
            )
        for info in infos:
            if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * max(1, info.compress_size):
                raise DocumentTooComplex(
                    f"a member of this file is packed more than {MAX_RATIO} times, as a decompression bomb is"
                )
            name = info.filename.replace("\\", "/")
            climbs = ".." in name.split("/") or posixpath.isabs(name) or name[1:3] == ":/"
            if climbs or stat.S_ISLNK(info.external_attr >> 16):
                raise DocumentUnsafe("a member of this file is a link or has a path that leads out of it")

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def size(self, name: str) -> int:
        """Bytes a member says that it unpacks to; KeyError if there is none."""
        return self._members[name].file_size

    @property
    def nested(self) -> int:
        """Members that are containers themselves; they are never opened."""
        return sum(1 for name in self._members if name.lower().endswith(NESTED))

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """One member's bytes; KeyError if there is none."""
        info = self._members[name]
        if info.flag_bits & 0x1:
            raise DocumentUnreadable("this file is protected by a password", hint="save a copy without the password")
        try:
            with self._zip.open(info) as member:
                data = member.read(MAX_TOTAL - self._read + 1)
        except (*_DAMAGED, RuntimeError) as error:
            raise DocumentUnreadable(f"this file is a damaged zip container: {error}", hint=_SAVE_AGAIN) from error
        # The directory may lie about sizes: what counts is what came out.
        self._read += len(data)
        if self._read > MAX_TOTAL:
            raise DocumentTooComplex(f"this file unpacks to more than {MAX_TOTAL / 1e6:,.0f} MB")
        return data

    def xml(self, name: str) -> ET.Element:
        """One member's root element. Raises DocumentUnsafe for a document type."""
        return xml.parse(self.read(name))

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Of an Office Open XML part ("" for the package): id -> (last word of the type, target part)."""
        folder, _, name = part.rpartition("/")
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        if rels not in self:
            return {}
        found = {}
        for relation in self.xml(rels):
            if relation.get("TargetMode") == "External":
                continue
            target = relation.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found[relation.get("Id", "")] = (relation.get("Type", "").rpartition("/")[2], path)
        return found

    def main_part(self, usual: str) -> str:
        """The part that the package names as its document; KeyError if it holds none."""
        for kind, target in self.relations("").values():
            if kind == "officeDocument" and target in self:
                return target
        if usual not in self:
            raise DocumentUnreadable("this Office file is damaged: its main part is missing")
        return usual

    def title(self) -> str | None:
        """The title in the core properties."""
        if "docProps/core.xml" not in self:
            return None
        for element in self.xml("docProps/core.xml"):
            if xml.local(element.tag) == "title":
                return element.text
        return None

    def notes(self) -> list[str]:
        """What is inside and was not read."""
        count = self.nested
        return [f"{count} embedded file{'s were' if count > 1 else ' was'} not read."] if count else []
