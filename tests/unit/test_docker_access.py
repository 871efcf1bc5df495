"""What a container may read: as the caller's uid and gid, without capabilities."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from runners.engines.base import Container
from runners.engines.docker_access import Identity, groups_needed, refuse_unreadable
from runners.errors import EngineError


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model folder whose files are links, as in the Hugging Face cache."""
    folder = tmp_path / "snapshots" / "rev"
    folder.mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "weights").touch(mode=0o644)
    (folder / "model.safetensors").symlink_to("../../blobs/weights")
    (folder / "gone").symlink_to("nowhere")
    folder.chmod(0o755)
    return folder


def needs(base: Path) -> Container:
    return Container(image="x", read_only=(base,), read_whole=(base,))


def as_others(base: Path, *, groups: bool) -> Identity:
    """Somebody who owns nothing of it; *groups*: but is in the group that does."""
    return Identity(
        uid=os.getuid() + 1,
        gid=os.getgid() + 1,
        others=frozenset({base.stat().st_gid} if groups else ()),
    )


def test_what_everyone_may_read_needs_no_group(base: Path) -> None:
    who = as_others(base, groups=True)
    refuse_unreadable(needs(base), who)
    assert groups_needed(needs(base), who) == []


@pytest.mark.parametrize("closed", ["folder", "file"])
def test_a_group_by_which_alone_the_base_can_be_read_is_given(base: Path, closed: str) -> None:
    (base if closed == "folder" else base / "model.safetensors").chmod(0o750)
    who = as_others(base, groups=True)
    refuse_unreadable(needs(base), who)
    assert groups_needed(needs(base), who) == [str(base.stat().st_gid)]
    others = replace(who, others=who.others | {4242})
    assert groups_needed(needs(base), others) == [str(base.stat().st_gid)], "and no other"


@pytest.mark.parametrize("uid", [0, 4711])
def test_a_file_that_is_closed_to_the_container_is_named_though_its_caller_may_read_it(
    base: Path, uid: int
) -> None:
    """Root may read all of it here, and in a container without capabilities nothing of it."""
    (base / "model.safetensors").chmod(0o600)
    who = Identity(uid=uid, gid=4711, others=frozenset())
    if (base / "model.safetensors").stat().st_uid == uid:
        os.chown(base / "model.safetensors", 4242, 4242)
    with pytest.raises(EngineError, match=r"model\.safetensors belongs to user \d+ and may not"):
        refuse_unreadable(needs(base), who)
    assert groups_needed(needs(base), who) == []


def test_a_folder_beside_the_files_may_be_closed(base: Path) -> None:
    """A base at the root of a disk has a lost+found."""
    (base / "lost+found").mkdir(mode=0o700)
    refuse_unreadable(needs(base), as_others(base, groups=False))


def test_what_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    refuse_unreadable(needs(tmp_path / "work" / "base"))
