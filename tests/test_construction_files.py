"""Networks on disk: they come back equal, and anything else is refused in one line."""

import hashlib
import json
import os
import random
from fractions import Fraction

import numpy as np
import pytest

from looprate.theory.construction import files
from looprate.theory.construction.build.network import Affine, Block, Head, Network, Unit
from looprate.theory.construction.files import LoadedNetwork, load_network, save_network

LARGE = random.Random(0).getrandbits(50_000) | 1 << 49_999
CONSTRUCTION = {"target": "mean-field:α=0.5", "tokens": 2, "bits": [3, 4.5, None], "sharp": True}


def network(**changes):
    """A network with large and negative weights, fractions and a schedule."""
    block = Block(
        rows=("x", "größe", "y"),
        heads=(Head({"x": 1}, {"x": -2}, {"größe": 3, "y": 0}, {"y": -1}), Head({}, {}, {}, {})),
        units=(Unit("left", {"x": LARGE, "y": -7}, -LARGE, {"y": 1}), Unit("idle", {}, 0, {})),
        drift={"y": -3},
    )
    parts = {
        "block": block,
        "encoder": {"x": Affine({0: 2**60, 1: -5}, -1), "y": Affine()},
        "decoder": (({"y": Fraction(-1, 3)}, Fraction(LARGE, 2**70)), ({}, Fraction(0))),
        "eta": {"y": (1, -LARGE, 0), "größe": ()},
        "loops": 5,
    }
    return Network(**{**parts, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "networks" / "one.json"


@pytest.fixture
def saved(path):
    save_network(path, network(), construction=CONSTRUCTION)
    return path


def same(left, right):
    """Equality whose failure is not shown: Python refuses to print integers this large."""
    return left == right


def rewrite(path, change, *, signed=True):
    """Change the content of a file as ``change`` says, with a fresh digest if ``signed``."""
    payload = json.loads(path.read_text())
    change(payload)
    if signed:
        content = {key: value for key, value in payload.items() if key != "digest"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        payload["digest"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(payload))


def refusal(path):
    """Return the message of a refused file, which must be one line that names it."""
    with pytest.raises(ValueError, match="`path` must be a file written by save_network") as found:
        load_network(path)
    message = str(found.value)
    assert "\n" not in message
    assert len(message) < 1000
    assert repr(str(path)) in message
    assert message.endswith("save the network again")
    return message


# -- round trips -----------------------------------------------------------------------------------
def test_a_network_comes_back_equal(saved):
    found = load_network(str(saved))
    assert isinstance(found, LoadedNetwork)
    assert same(found.network, network())
    assert found.construction == CONSTRUCTION


def test_a_difference_of_one_in_any_part_is_seen(path):
    block = network().block
    others = [
        network(loops=6),
        network(eta={"y": (1, -LARGE, 1), "größe": ()}),
        network(decoder=(({"y": Fraction(-1, 4)}, Fraction(0)), ({}, Fraction(0)))),
        network(encoder={"x": Affine({0: 2**60, 1: -5}, 0), "y": Affine()}),
        network(block=Block(block.rows, block.heads, block.units, {"y": -2})),
        network(block=Block(block.rows, block.heads[::-1], block.units, block.drift)),
        network(block=Block(block.rows, block.heads, block.units[:1], block.drift)),
    ]
    for other in others:
        save_network(path, other)
        found = load_network(path).network
        assert same(found, other)
        assert not same(found, network())


def test_without_a_construction_none_comes_back(path):
    save_network(path, network())
    assert load_network(path).construction is None
    save_network(path, network(), construction={})
    assert load_network(path).construction == {}


def test_long_schedules_stay_compact(path):
    schedule = tuple(random.Random(1).choices((-1, 0, 1), k=100_000))
    save_network(path, network(eta={"y": schedule}))
    assert load_network(path).network.eta["y"] == schedule
    assert path.stat().st_size < 10 * len(schedule) + 100_000


def test_integers_of_numpy_come_back_as_integers_of_python(path):
    save_network(path, network(loops=np.int64(3), eta={"y": tuple(np.arange(3))}))
    found = load_network(path).network
    assert found.eta["y"] == (0, 1, 2)
    assert {type(value) for value in (*found.eta["y"], found.loops)} == {int}


def test_the_file_is_plain_json_and_the_same_every_time(saved, tmp_path):
    payload = json.loads(saved.read_bytes().decode("utf-8"))
    head = ["format", "version", "digest", "loops", "rows", "heads", "units", "drift"]
    assert list(payload) == [*head, "encoder", "decoder", "eta", "construction"]
    assert payload["heads"][0]["key"] == {"x": "-0x2"}
    assert payload["decoder"][0][0] == {"y": "-0x1/0x3"}
    again = tmp_path / "again.json"
    save_network(again, network(), construction=CONSTRUCTION)
    assert again.read_bytes() == saved.read_bytes()


# -- damage ----------------------------------------------------------------------------------------
def small(path):
    """Save a small network, so that a random byte is seldom a digit of a large integer."""
    block = Block(("x", "y"), (Head({"x": 1}, {"x": 2}, {"x": 3}, {"y": 4}),), (), {"y": -5})
    one = Network(block, {"x": Affine({0: 6})}, (({"y": Fraction(1, 7)}, Fraction(8)),), {}, 9)
    save_network(path, one, construction={"target": "ä"})
    return one


def test_a_file_cut_anywhere_is_refused(path):
    small(path)
    content = path.read_bytes()
    for end in range(len(content) - 2):  # the last two bytes are the closing brace and a newline
        path.write_bytes(content[:end])
        assert "empty" in refusal(path) if end == 0 else "cut short" in refusal(path)


def test_a_network_never_changes_silently_when_a_byte_does(path):
    one = small(path)
    content = path.read_bytes()
    rng = random.Random(2)
    places = [*range(0, len(content), 7), *rng.choices(range(len(content)), k=300)]
    refused = 0
    for place in places:
        changed = bytearray(content)
        changed[place] ^= rng.randrange(1, 256)
        path.write_bytes(changed)
        try:
            found = load_network(path)
        except (ValueError, OSError) as error:
            refused += 1 if len(str(error).splitlines()) == 1 else -len(places)
        else:  # white space, which carries nothing
            assert same((found.network, found.construction), (one, {"target": "ä"}))
    assert refused > 0.95 * len(places)


def test_a_flipped_digit_is_found_by_the_digest(saved):
    rewrite(saved, lambda file: file["drift"].update(y="-0x4"), signed=False)
    assert "digest" in refusal(saved)
    rewrite(saved, lambda file: file.update(digest=None), signed=False)
    assert "digest" in refusal(saved)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"network", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"\x80\x04K\x01.", "not JSON"),
        (b"[]", "does not say"),
        (b"null", "does not say"),
        (b'{"format": "other"}', "does not say"),
        (b'{"format": "looprate-network"}', "version must be 1, got None"),
        (b'{"format": "looprate-network", "version": NaN}', "NaN is not JSON"),
        (b'{"format": "looprate-network", "version": 1e999, "a": 1e999}', "version must be 1"),
        (b'{"format": "looprate-network", "version": 1, "a": 1e999}', "JSON compliant"),
        (b'{"format": "looprate-network", "version": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "nest too deep"),
        (b'{"a":' * 100_000, "nest too deep"),
    ],
)
def test_what_is_no_network_file_is_refused(path, content, reason):
    path.parent.mkdir()
    path.write_bytes(content)
    assert reason in refusal(path)


def test_brackets_that_nest_deep_behind_a_good_start_are_refused(saved):
    text = saved.read_text().rstrip()[:-1] + ', "a": ' + "[" * 900 + "]" * 900 + "}"
    saved.write_text(text)
    assert refusal(saved)


def test_a_newer_version_is_refused_as_such(saved):
    rewrite(saved, lambda file: file.update(version=2, more=1))
    assert "version 2 is newer than 1" in refusal(saved)


@pytest.mark.parametrize("version", [0, True, 1.0, "1", [1]])
def test_other_versions_are_refused(saved, version):
    rewrite(saved, lambda file: file.update(version=version))
    assert "version must be 1" in refusal(saved)


def keys_of(value):
    """Yield the place of every key that the format prescribes."""
    yield from ((key,) for key in value)
    for index in range(len(value["heads"])):
        yield from (("heads", index, key) for key in value["heads"][index])
    for index in range(len(value["units"])):
        yield from (("units", index, key) for key in value["units"][index])
    yield from (("encoder", row, key) for row in value["encoder"] for key in ("weights", "bias"))


def put(payload, place, value, *, delete=False):
    """Set or delete one place of a file."""
    for key in place[:-1]:
        payload = payload[key]
    if delete:
        del payload[place[-1]]
    else:
        payload[place[-1]] = value


def test_a_missing_key_is_refused_wherever_it_is(saved):
    content = saved.read_bytes()
    for place in keys_of(json.loads(content)):
        saved.write_bytes(content)
        signed = place != ("digest",)
        rewrite(saved, lambda file, at=place: put(file, at, None, delete=True), signed=signed)
        special = {"format": "does not say", "version": "got None", "digest": "does not match"}
        assert special.get(place[0], f"missing {place[-1]}") in refusal(saved)


def test_an_unknown_key_is_refused_wherever_it_is(saved):
    content = saved.read_bytes()
    places = [("extra",), ("heads", 0, "extra"), ("units", 0, "extra"), ("encoder", "x", "extra")]
    for place in places:
        saved.write_bytes(content)
        rewrite(saved, lambda file, at=place: put(file, at, 0))
        assert "unknown 'extra'" in refusal(saved)


WRONG = {
    "an integer like": [
        *[(("drift", "y"), v) for v in (1, 1.0, True, None, [], {}, "1", "0xg", "0x", "-0x0")],
        *[(("drift", "y"), v) for v in ("0x01", "0X1", "0xA", " 0x1", "0x1\n", "+0x1", "0x1_0")],
        (("heads", 0, "query", "x"), 1.0),
        (("units", 0, "bias"), True),
        (("units", 0, "reads", "x"), 3),
        (("units", 0, "writes", "y"), "one"),
        (("encoder", "x", "bias"), None),
        (("encoder", "x", "weights", "0"), 1.5),
        (("eta", "y", 1), 1),
        (("decoder", 0, 1), "0x1"),
        (("decoder", 0, 1), "0x1/3"),
    ],
    "must be int in JSON": [(("loops",), v) for v in ("5", 5.0, True, None, "0x5", [5])],
    "must be an integer >= 1": [(("loops",), v) for v in (0, -1)],
    "must be str in JSON": [
        (("rows", 0), 1),
        (("rows", 0), None),
        (("units", 0, "name"), 3),
        (("decoder", 0, 1), 1.0),
        (("decoder", 0, 0, "y"), ["0x1", "0x3"]),
    ],
    "must be list in JSON": [
        (("rows",), "xy"),
        (("heads",), {}),
        (("units",), None),
        (("decoder",), {}),
        (("decoder", 0), "0x1/0x1"),
        (("eta", "y"), "0x1"),
    ],
    "must be dict in JSON": [
        (("drift",), []),
        (("heads", 0), []),
        (("heads", 0, "key"), None),
        (("units", 1), "idle"),
        (("encoder",), [["x", {}]]),
        (("encoder", "x", "weights"), ["0x1"]),
        (("decoder", 0, 0), []),
        (("eta",), []),
        (("construction",), "free"),
        (("construction",), []),
    ],
    "lowest terms": [
        (("decoder", 0, 1), v) for v in ("0x2/0x2", "0x1/0x0", "0x1/-0x3", "0x0/0x5", "-0x2/0x4")
    ],
    "must be [weights, bias]": [(("decoder", 0), []), (("decoder", 0), [{}, "0x0/0x1", 1])],
    "digits on each side": [(("decoder", 0, 1), f"0x1/0x1{'0' * files.MAX_FRACTION_DIGITS}")],
    "coordinates 0, 1, ...": [
        (("encoder", "x", "weights"), {name: "0x1"}) for name in ("-1", "01", "x", "", "1e1", "٣")
    ],
    "coordinates below d = 2, got 2": [(("encoder", "x", "weights"), {"2": "0x1"})],
    "must name rows of the block": [
        (("drift", "z"), "0x1"),
        (("heads", 1, "value", "z"), "0x1"),
        (("units", 1, "reads", "z"), "0x1"),
        (("encoder", "z"), {"weights": {}, "bias": "0x0"}),
        (("decoder", 1, 0, "z"), "0x1/0x1"),
        (("eta", "z\n"), []),
    ],
    "must not repeat a name": [(("rows", 1), "x"), (("units", 1, "name"), "left")],
    "at least one coordinate": [(("decoder",), [])],
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_part_that_is_wrong_is_refused_though_the_digest_is_right(saved, reason):
    content = saved.read_bytes()
    for place, value in WRONG[reason]:
        saved.write_bytes(content)
        rewrite(saved, lambda file, at=place, new=value: put(file, at, new))
        assert reason in refusal(saved), (place, value)


def test_rewriting_a_file_as_it_is_changes_nothing(saved):
    """What the tests of refusal refuse is their change, not the way they write."""
    rewrite(saved, lambda file: None)
    assert same(load_network(saved).network, network())


# -- what is not a file ----------------------------------------------------------------------------
def test_a_file_above_the_limit_is_refused_unread(saved, monkeypatch):
    size = saved.stat().st_size
    monkeypatch.setattr(files, "MAX_BYTES", size)
    assert same(load_network(saved).network, network())
    monkeypatch.setattr(files, "MAX_BYTES", size - 1)
    monkeypatch.setattr(files.json, "loads", None)
    assert f"it has {size} bytes, more than the {size - 1} allowed" in refusal(saved)


def test_a_folder_a_pipe_and_a_missing_file_are_refused(tmp_path):
    assert "not a regular file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError, match="missing"):
        load_network(tmp_path / "missing.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        save_network(tmp_path / "folder", network())
