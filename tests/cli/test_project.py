"""``new``, ``dev``, ``plot`` and ``completion``."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from select import select

import pytest

from tests.cli.command import begun, environment, flowkit


def test_a_new_project_runs(tmp_path):
    """Its flow, its check and its own test."""
    done = flowkit(tmp_path, "new", "my-shop")
    assert (done.returncode, done.stdout) == (0, "my-shop\n")
    assert done.stderr == "Now: cd my-shop && flowkit run my_shop -i pieces=3\n"
    folder = tmp_path / "my-shop"
    assert sorted(each.name for each in folder.iterdir()) == [
        ".gitignore",
        "flows.py",
        "pyproject.toml",
        "test_flows.py",
    ]
    done = flowkit(folder, "run", "my_shop", "-i", "pieces=3", "-q")
    assert done.stdout == "3 pieces for 12\n"
    assert flowkit(folder, "check").returncode == 0
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop", "'shop' is there already. Give another name; nothing was changed."),
        ("12", "'12' gives no name for a flow. Begin it with a letter: shop."),
        ("class", "'class' gives no name for a flow. Begin it with a letter: shop."),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path, name, said):
    """Nothing is overwritten."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "notes.txt").touch()
    done = flowkit(tmp_path, "new", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {said}\n"


def test_plot_writes_where_it_is_told(project):
    """Its path is the data."""
    done = flowkit(project, "plot", "shop", "--output", "shop.mmd")
    assert (done.returncode, done.stdout) == (0, "shop.mmd\n")
    assert "\nflowchart TD\n" in (project / "shop.mmd").read_text()
    done = flowkit(project, "plot", "shop")
    assert done.stdout == "Shop.html\n"
    done = flowkit(project, "plot", "shop", "-o", "shop.gif")
    assert (done.returncode, done.stdout) == (2, "")
    assert "shop.gif" in done.stderr


def test_plot_draws_stored_runs(project):
    """Over its flow, over time, against another one."""
    for number in (1, 2):
        flowkit(project, "run", "shop", "--id", f"r{number}", "-q")
    done = flowkit(project, "plot", "--run", "r1")
    assert (done.returncode, done.stdout) == (0, "r1.html\n")
    words = ["--run", "r1", "--timeline", "-o", "time.mmd"]
    assert flowkit(project, "plot", *words).stdout == "time.mmd\n"
    words = ["--run", "r1", "--against", "r2", "-o", "both.mmd"]
    assert flowkit(project, "plot", *words).stdout == "both.mmd\n"
    for name in ("r1.html", "time.mmd", "both.mmd"):
        assert "confirm" in (project / name).read_text()
    assert flowkit(project, "plot", "--run", "nobody").returncode == 5
    done = flowkit(project, "plot", "shop", "--run", "r1")
    assert (done.returncode, done.stderr) == (
        2,
        "error: Say which flow is drawn, or --run and a run, not both.\n",
    )


def test_dev_runs_again_when_a_file_changes(project):
    """Until Ctrl-C; the runs are not kept."""
    process = begun(project, "dev", "shop", "-i", "pieces=3")
    try:
        assert process.stdout.readline() == "3 to Berlin\n"
        text = (project / "flows.py").read_text()
        for line in process.stderr:  # the watch begins after the first run
            if line.endswith("completed\n"):
                break
        changed = text.replace(" to ", " for ")
        (project / "flows.py").write_text(changed)
        while not select([process.stderr], [], [], 0.5)[0]:  # not watched as yet
            (project / "flows.py").write_text(changed)
        assert process.stdout.readline() == "3 for Berlin\n"
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "-- flows.py" in said
    assert not (project / ".flowkit").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_with_every_verb(tmp_path, shell):
    """It is data; an unknown shell is a usage error."""
    done = flowkit(tmp_path, "completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("run", "history", "completion"):
        assert verb in done.stdout
    assert flowkit(tmp_path, "completion", "tcl").returncode == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_verbs_and_options(tmp_path):
    """The script works in a real shell."""
    script = tmp_path / "flowkit.bash"
    script.write_text(flowkit(tmp_path, "completion", "bash").stdout)

    def completed(*words):
        listed = " ".join(f"'{word}'" for word in words)
        code = (
            f"source {script}; COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; "
            'COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}; _flowkit; '
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", code], capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    assert sorted(completed("flowkit", "re")) == [
        "reject",
        "replay",
        "requeue",
        "resume",
        "rewind",
    ]
    assert sorted(completed("flowkit", "runs", "--st")) == ["--status", "--store"]
