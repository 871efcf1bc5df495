"""The request by which a stage becomes a container, in the words of the Docker engine's API.

The rule: what is not granted here the container does not have. No capability, no network, no new
privilege, no secret, no IPC of others, and of this host only the paths that the stage names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runners.engines.base import Container, Gpu, StageRequest
from runners.engines.docker_access import groups_needed
from runners.engines.docker_mounts import mounts
from runners.engines.local import identity_environment

LABEL = "lanewatch."
RUN, FOLDER, STAGE, ATTEMPT, ROOT = (
    LABEL + each for each in ("run", "folder", "stage", "attempt", "root")
)

START = 'echo "lanewatch: this stage writes to $1"; exec >>"$1" 2>&1; shift; exec "$@"'
"""The container's first program: the stage's descriptors point at the file itself, so no pipe of
the engine can hold the trainer up. Nothing of a recipe is in this text: it comes as arguments."""

ULIMITS = (
    {"Name": "memlock", "Soft": -1, "Hard": -1},
    {"Name": "stack", "Soft": 64 << 20, "Hard": 64 << 20},
)
"""What NVIDIA asks for; an engine without CAP_SYS_RESOURCE may not raise them."""

OFFLINE = {"WANDB_MODE": "offline"}
"""Without a network W&B would ask in vain for a minute and end the training; so it keeps its files,
in the run's work/home/wandb, for `wandb sync`."""

HOME = "home"
"""In the run's work folder."""


def container_name(request: StageRequest) -> str:
    """Its name, for people; it is found again by its labels."""
    return f"lanewatch-{request.run}-{request.stage}-{request.attempt}"


def labels(request: StageRequest) -> dict[str, str]:
    """How a container is found again; the folder, since a copied run keeps its id."""
    return {
        RUN: request.run,
        FOLDER: str(request.folder),
        STAGE: str(request.stage),
        ATTEMPT: str(request.attempt),
        ROOT: str(request.folder.parent),
    }


def container_body(
    request: StageRequest,
    needs: Container,
    *,
    image: str,
    user: str,
    gpu: Mapping[str, Any] | None,
    ulimits: Iterable[Mapping[str, Any]] = ULIMITS,
) -> dict[str, Any]:
    """What is posted to /containers/create.

    *image* is an id, or for a dry run a name; *user* is "uid:gid"; *gpu* is how the engine is asked
    for one, None where it has none; a stage that needs none gets none.
    """
    return {
        "Image": image,
        "Entrypoint": ["sh", "-c", START, "lanewatch", str(request.log)],
        "Cmd": list(request.argv),
        "Env": [f"{name}={value}" for name, value in sorted(environment(request).items())],
        "User": user,
        "WorkingDir": str(request.cwd),
        "Labels": labels(request),
        "StopSignal": "SIGTERM",
        "StopTimeout": needs.stop_timeout_s,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "Mounts": mounts(needs.writable, needs.read_only),
            "NetworkMode": "default" if needs.network else "none",
            "IpcMode": "private",
            "ShmSize": needs.shm_bytes,
            "Init": True,
            "CapDrop": ["ALL"],
            "GroupAdd": groups_needed(needs),
            "SecurityOpt": ["no-new-privileges"],
            "Privileged": False,
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": False,
            "Ulimits": [dict(each) for each in ulimits],
            "DeviceRequests": _devices(needs, gpu),
        },
    }


USUAL_GPU: Mapping[str, Any] = {"Count": 1, "Capabilities": [["gpu"]]}
"""How an engine with NVIDIA's container toolkit is asked for one GPU."""

CDI_KIND = "nvidia.com/gpu="
"""Before a GPU's name in CDI; its number is one of its names."""


def _devices(needs: Container, gpu: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if needs.gpu is Gpu.NONE or gpu is None:
        return []
    return [dict(gpu) if needs.gpu_id is None else _named(gpu, needs.gpu_id)]


def _named(gpu: Mapping[str, Any], number: str) -> dict[str, Any]:
    """As *gpu* asks for one, for the one with this number."""
    if gpu.get("Driver") == "cdi":
        return {**gpu, "DeviceIDs": [f"{CDI_KIND}{number}"]}
    return {**{key: value for key, value in gpu.items() if key != "Count"}, "DeviceIDs": [number]}


def environment(request: StageRequest) -> dict[str, str]:
    """All that the container is told besides what its image says; nothing of ours is inherited."""
    home = Path(request.cwd) / HOME
    # An engine whose usual runtime is NVIDIA's would hand out every GPU unasked.
    none = request.container is not None and request.container.gpu is Gpu.NONE
    return (
        cache_environment(home)
        | ({"NVIDIA_VISIBLE_DEVICES": "void"} if none else {})
        | dict(request.env)
        | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
        | ({} if request.container is None or request.container.network else OFFLINE)
        | identity_environment(request)
    )


def cache_environment(home: Path) -> dict[str, str]:
    """HOME and every cache of the trainers' libraries below *home*, the one place they may write.

    The user has a name although no /etc/passwd knows this uid: torch asks for one.
    """
    cache = home / ".cache"
    return {
        "HOME": str(home),
        "USER": "lanewatch",
        "LOGNAME": "lanewatch",
        "XDG_CACHE_HOME": str(cache),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "HF_HOME": str(cache / "huggingface"),
        # Of HF_HOME's own, in case the image says another place.
        "HF_HUB_CACHE": str(cache / "huggingface" / "hub"),
        "HF_DATASETS_CACHE": str(cache / "huggingface" / "datasets"),
        "HF_MODULES_CACHE": str(cache / "huggingface" / "modules"),
        "TORCH_HOME": str(cache / "torch"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TORCH_EXTENSIONS_DIR": str(cache / "torch-extensions"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "TRITON_HOME": str(home),
        "CUDA_CACHE_PATH": str(cache / "cuda"),
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "UNSLOTH_COMPILE_LOCATION": str(cache / "unsloth"),
        "WANDB_DIR": str(home),
    }
