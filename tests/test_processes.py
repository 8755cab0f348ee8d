"""Kills, signals and odd streams: one line, the right exit code, and nobody left behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOOPRATE = [sys.executable, "-m", "looprate"]
RESULTS = ROOT / "results" / "reproduce-small"
PATIENCE = 2.0  # seconds until the children of a killed parent must be gone
GONE = 30.0  # seconds until those of one that ends by itself must be, on a busy machine
BEGUN = 240.0  # seconds until a command is at work, on a very busy machine
RESUME = "; run the same command again to resume\n"
STARTED = []  # by the test that runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def group_of(leader):
    """Return the processes of a session that are not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.fixture(autouse=True)
def nobody_left():
    """Kill what a failed test left."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def start(folder, *arguments):
    """Start a command as the leader of a session of its own."""
    process = subprocess.Popen(
        [*LOOPRATE, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    STARTED.append(process)
    return process


def wait_for(condition, seconds):
    """Wait until something holds and return how long it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.02)
    return time.monotonic() - begin


def drawing(folder):
    """Start a command that draws; return it once it has drawn something."""
    shutil.copytree(RESULTS / "figures", folder / "figures")
    for path in (folder / "figures").glob("*.png"):
        path.unlink()
    process = start(folder, "figures", folder, "--format", "png")
    wait_for(lambda: list((folder / "figures").glob("*.png")), BEGUN)
    assert len(group_of(process.pid)) >= 2
    return process


def verifying(folder, processes):
    """Start a study; return it once it has its first rows."""
    out = folder / "out"
    process = start(folder, "verify", "--preset", "smoke", "--processes", processes, "--out", out)
    wait_for((out / "rows.jsonl").exists, BEGUN)
    return process


def one(folder):
    return verifying(folder, 1)


def two(folder):
    return verifying(folder, 2)


def sweeping(folder):
    process = start(folder, "eta", "--preset", "smoke", "--processes", 2, "--out", folder / "out")
    wait_for((folder / "out" / "rows.jsonl").exists, BEGUN)
    return process


def reproducing(folder):
    process = start(
        folder, "reproduce", "lcs", "--preset", "smoke", "--processes", 2, "--out", folder / "out"
    )
    wait_for(lambda: len(group_of(process.pid)) >= 4, BEGUN)
    return process


def paging(folder):
    process = start(folder, "explore", "--static", folder / "out")
    wait_for(lambda: len(group_of(process.pid)) >= 2, BEGUN)
    time.sleep(3.0)
    return process


def enclosing(folder):
    process = start(folder, "moduli", "token-sine", "--certify")
    time.sleep(1.0)
    return process


def compiling(folder):
    process = start(folder, "construct", "mean-field", "--grid", 96)
    time.sleep(1.5)
    return process


SLOW = [one, two, sweeping, reproducing, paging, enclosing, compiling]
WORK = [drawing, *(pytest.param(work, marks=pytest.mark.slow) for work in SLOW)]


@pytest.mark.parametrize("work", WORK)
def test_children_end_in_silence_when_their_parent_alone_is_killed(work, tmp_path):  # F1
    process = work(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    took = wait_for(lambda: not group_of(process.pid), GONE)
    err = process.communicate()[1].replace("\r", "\n")
    assert "Traceback" not in err
    assert "Error" not in err
    assert took < PATIENCE


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize(
    ("number", "told"),
    [("SIGINT", "interrupted"), pytest.param("SIGTERM", "terminated", marks=pytest.mark.slow)],
)
def test_a_signal_ends_a_command_in_one_line(work, number, told, tmp_path):  # F2, B2
    process = work(tmp_path)
    number = getattr(signal, number)
    if number == signal.SIGINT:  # a terminal sends it to all
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    process.wait(GONE)
    wait_for(lambda: not group_of(process.pid), PATIENCE)  # Python's own tracker ends last
    out, err = process.communicate()
    lines = [line for line in err.replace("\r", "\n").splitlines() if "%" not in line]
    lines = [line for line in lines if line.strip() and "sets of cells" not in line]
    assert process.returncode == 128 + number
    assert lines == [f"looprate: {told}{RESUME.strip()}"]
    assert out == ""


LOST = """
import os, signal, sys, time
from looprate.theory.processes import become_child, stop_on_signals
if sys.argv[1] == "child":
    become_child(os.getppid())
else:
    stop_on_signals()

class Last:
    def __del__(self):
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
        time.sleep(0.01)

try:
    Last()
    time.sleep(20.0)
except KeyboardInterrupt as stop:
    sys.exit(getattr(stop, "code", 130))
"""


@pytest.mark.parametrize(
    ("role", "number"), [("child", "SIGTERM"), ("parent", "SIGTERM"), ("parent", "SIGINT")]
)
def test_an_end_asked_for_where_none_can_be_raised_is_neither_lost_nor_told(role, number):  # F2
    done = subprocess.run(
        [sys.executable, "-c", LOST, role, number],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=15.0,  # asleep for longer where it is lost
    )
    assert (done.returncode, done.stderr) == (128 + getattr(signal, number), "")


def test_figures_killed_while_they_are_drawn_leave_nothing_to_the_next_run(tmp_path):  # F3
    process = drawing(tmp_path)
    folder = tmp_path / "figures"
    wait_for(lambda: list(folder.glob(".*.draft")), BEGUN)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(folder.glob(".*"))  # the kill came in time
    for path in [*folder.glob("*.csv")][1:]:
        path.unlink()  # quicker; other names than those of the drafts
    again = start(tmp_path, "figures", tmp_path, "--format", "png")
    again.communicate()
    assert again.returncode == 0
    assert not list(folder.glob(".*"))


# -- streams ---------------------------------------------------------------------------------------
def shell(line, **environment):
    """Run a shell line; return the exit code of its first command, stdout and stderr."""
    done = subprocess.run(
        ["bash", "-c", line.replace("LOOPRATE", " ".join(LOOPRATE)) + '; exit "${PIPESTATUS[0]}"'],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode()


@pytest.mark.parametrize(
    "odd", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "| head -1", "| true", "2>/dev/full"]
)
@pytest.mark.parametrize("command", ["targets", "nonsense"])
def test_closed_streams_and_readers_that_leave_cost_no_traceback(command, odd):  # R15
    code, _, err = shell(f"LOOPRATE {command} {odd}")
    assert code == (2 if command == "nonsense" else 0)
    assert err.count("\n") == (command == "nonsense" and "2>" not in odd)


def test_a_closed_stream_is_not_replaced_by_a_file_that_is_written(tmp_path):  # R15
    code, _, _ = shell(f"LOOPRATE construct mean-field --grid 2 --save {tmp_path}/n.json >&- 2>&-")
    assert code == 0
    assert (tmp_path / "n.json").read_bytes().startswith(b'{"format": "looprate-network"')


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
@pytest.mark.parametrize("command", ["targets", "targets --json", "claims --markdown"])
def test_a_full_disk_behind_a_redirection_is_said(command):  # R15
    code, _, err = shell(f"LOOPRATE {command} > /dev/full")
    assert (code, err) == (2, "looprate: cannot print: No space left on device\n")


@pytest.mark.parametrize(
    ("command", "encoding"),
    [
        ("targets", "latin-1"),
        *((line, "ascii") for line in ("targets", "claims --list", "claims --markdown", "--help")),
        ("explain corollary-3-7", "ascii"),
    ],
)
def test_any_encoding_prints(command, encoding):  # R29
    code, out, err = shell(f"LOOPRATE {command}", PYTHONIOENCODING=encoding)
    assert (code, err) == (0, "")
    assert "\\u" not in out  # every character has a form in ASCII


def test_a_locale_without_letters_prints_and_names_files(tmp_path):  # R29
    path = tmp_path / "zürich.py"
    path.write_text("def size(x):\n    return x\n", encoding="utf-8")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, _, err = shell(
        f"LOOPRATE moduli '{path}:size' --effort 0.1 --delta 0.1 --kind token", **plain
    )
    assert (code, err) == (0, "")
    code, _, err = shell(f"LOOPRATE moduli '{path}:sizes' --effort 0.1", **plain)
    assert (code, err.count("\n")) == (2, 1)


COMMANDS = [
    "targets",
    "claims --list",
    "explain corollary-3-7",
    "bound mean-field",
    "construct mean-field --grid 2",
    "rows STUDY --csv OUT/rows.csv",
]
LONG = [
    "moduli mean-field --effort 0.1 --certify --delta 0.1",
    "moduli 'formula: sin(6*x) + mean(x)/2' --effort 0.1 --certify",
    "construct mean-field --grid 2 --softmax 0.1",
    "claims lemma-4-1-error --out OUT/claims",
    "verify --preset smoke --steps 20 --out OUT/verify",
    "eta --preset smoke --out OUT/eta",
    "reproduce lcs --preset smoke --out OUT/reproduce",
    "figures STUDY --to OUT/figures --format svg",
    "explore --static OUT/static",
]


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(pytest.param(line, marks=pytest.mark.slow) for line in LONG)]
)
def test_no_command_needs_a_warning(command, tmp_path):
    line = command.replace("STUDY", str(RESULTS)).replace("OUT", str(tmp_path))
    code, _, err = shell(f"LOOPRATE {line}", PYTHONWARNINGS="error")
    assert code == 0, err
    assert "Traceback" not in err
    assert "Warning" not in err
