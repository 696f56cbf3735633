"""What one job may use."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one worker and its jobs; the kernel enforces them, the parent `wall_s` and `output_bytes`.

    `memory_bytes`: address space of each process on top of what the preloaded modules take.
    `cpu_s`: CPU seconds of one call, and of each program it starts.
    `wall_s`: seconds a call may take unless it says otherwise.
    `file_bytes`: size of any one file written. `open_files`: descriptors of each process.
    `processes`: processes and threads at once, the worker itself included.
    `output_bytes`: size of the JSON result of a call; larger results are left as files.
    """

    memory_bytes: int = 1 << 30
    cpu_s: float = 60
    wall_s: float = 120
    file_bytes: int = 512 << 20
    open_files: int = 256
    processes: int = 64
    output_bytes: int = 1 << 20
