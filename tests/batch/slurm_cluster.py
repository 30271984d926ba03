"""A real SLURM on this machine, for a test: munged, slurmctld and two slurmd, all in a folder of the test's own.

Needs Debian's packages slurmctld, slurmd, slurm-client and munge, and root; no service of the system is touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "sbatch", "srun", "scontrol", "squeue", "scancel")

CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=20
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ReturnToService=2
KillWait=30
MinJobAge=300
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=2000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=10
"""


def why_not() -> str | None:
    """Why no cluster can be started here, or None."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return None if os.geteuid() == 0 else "only root can start slurmd"


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start a cluster of two nodes; yields the variables that its commands need. It ends with the block."""
    folder.chmod(0o755)
    for name in ("state", "spool-n1", "spool-n2"):
        (folder / name).mkdir()
    host, ports = socket.gethostname().split(".")[0], _free_ports(3)
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, host=host, ports=ports))
    environment = os.environ | {"SLURM_CONF": str(config), "PATH": _path()}
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    munge = [f"--socket={folder}/munge.socket", f"--key-file={key}", f"--pid-file={folder}/munge.pid"]
    munge += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"]
    commands = [
        ["munged", "--foreground", "--force", *munge],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D", "-N", "n1"],
        ["slurmd", "-D", "-N", "n2"],
    ]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("ab") as log:
                processes.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
                )
            if command[0] == "munged":
                _wait((folder / "munge.socket").exists, processes, folder)
        _wait(lambda: _idle(environment) == 2, processes, folder)
        yield environment
    finally:
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["scancel", "--full", "--user=root"], env=environment, timeout=30, check=False)
            deadline = time.monotonic() + 60
            while _queued(environment) and time.monotonic() < deadline:  # its steps end before the daemons do
                time.sleep(0.5)
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(processes):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _queued(environment: dict[str, str]) -> bool:
    asked = ["squeue", "-h", "--states=all", "--format=%T"]
    said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False, timeout=30)
    return any(state in said.stdout for state in ("RUNNING", "COMPLETING", "PENDING"))


def _idle(environment: dict[str, str]) -> int:
    said = subprocess.run(
        ["sinfo", "-h", "-p", "main", "-N", "-o", "%T"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.split().count("idle")


def _wait(reached, processes, folder: Path) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 120
    while not reached():
        dead = [process for process in processes if process.poll() is not None]
        if dead or time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in sorted(folder.glob("*.out")))
            raise RuntimeError(f"SLURM does not start: {[process.args for process in dead]}\n{logs}")
        time.sleep(0.2)


if __name__ == "__main__":  # to try things by hand: python slurm_cluster.py FOLDER COMMAND...
    Path(sys.argv[1]).mkdir()
    with slurm_cluster(Path(sys.argv[1]).absolute()) as found:
        sys.exit(subprocess.run(sys.argv[2:], env=found, check=False).returncode)
