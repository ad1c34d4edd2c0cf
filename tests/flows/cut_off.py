"""Runs a command where nothing can leave, and lists everything that tried: packets, so that native code counts, too.

The command gets a network of its own (``unshare``): loopback, and one interface with a default route that leads to a
watched wire and to nobody. `attempts` is what tests call; the rest runs inside.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("unshare", "ip")

SETTING_UP = (
    "link set lo up",
    "link add inside type veth peer name wire",
    "link set wire up",
    "link set inside up",
    "addr add 192.0.2.2/24 dev inside",
    "neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev inside nud permanent",
    "route add default via 192.0.2.1 dev inside",
    "-6 addr add 2001:db8::2/64 dev inside nodad",
    "-6 neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev inside nud permanent",
    "-6 route add default via 2001:db8::1 dev inside",
)

KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")
"""Variables that the command inherits: any other might switch something off that a user's machine has on."""

TCP, UDP, DNS_PORT = 6, 17, 53
ALL_FRAMES = 0x0003


@dataclass(frozen=True)
class Ended:
    """How the command ended: exit code, its output, and whom it tried to reach, each once."""

    code: int
    output: str
    attempts: tuple[str, ...]


def unavailable() -> str:
    """Why no such network can be made here, or ``""``."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is not installed"
    script = " && ".join(f"ip {line}" for line in SETTING_UP)
    done = subprocess.run(["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True, check=False)
    return f"the kernel makes no network for this user: {done.stderr.strip()}" if done.returncode else ""


def attempts(
    command: Sequence[str], environment: Mapping[str, str] | None = None, timeout_s: float = 3600.0
) -> Ended:
    """Runs the command and lists whom it, or any process below it, tried to reach beyond loopback."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            ["unshare", "-rn", sys.executable, __file__, str(report), *command],
            env={**{name: os.environ[name] for name in KEPT if name in os.environ}, **(environment or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        seen = json.loads(report.read_text()) if report.exists() else ["no report was written"]
    return Ended(done.returncode, done.stdout + done.stderr, tuple(seen))


def main(report: str, command: Sequence[str]) -> int:
    for line in SETTING_UP:
        subprocess.run(["ip", *line.split()], check=True)
    found: set[str] = set()
    for name in ("wire", "lo"):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_FRAMES))
        wire.bind((name, ALL_FRAMES))
        threading.Thread(target=watch, args=(wire, name, found), daemon=True).start()
    code = subprocess.run(command, check=False).returncode
    Path(report).write_text(json.dumps(sorted(found)))
    return code


def watch(wire: socket.socket, name: str, found: set[str]) -> None:
    while True:
        packet = wire.recv(65_535)
        told = about(packet)
        # On loopback only questions to a resolver count, which would pass them on.
        if told and (name == "wire" or told.startswith("name ")):
            found.add(told)


def about(packet: bytes) -> str:
    """Whom a packet is for: ``name example.org`` or ``tcp 192.0.2.9:443``; empty for what the kernel says by itself."""
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        protocol, at, host = packet[9], 4 * (packet[0] & 15), socket.inet_ntop(socket.AF_INET, packet[16:20])
    elif version == 6:
        protocol, at, host = packet[6], 40, socket.inet_ntop(socket.AF_INET6, packet[24:40])
    else:
        return ""
    if protocol not in (TCP, UDP) or len(packet) < at + 8:
        return ""
    (port,) = struct.unpack("!H", packet[at + 2 : at + 4])
    if protocol == UDP and port == DNS_PORT:
        return f"name {asked(packet[at + 8 :])}"
    return f"{'tcp' if protocol == TCP else 'udp'} {host}:{port}"


def asked(message: bytes) -> str:
    """The name in a question to a resolver."""
    labels, at = [], 12
    while at < len(message) and message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode(errors="replace"))
        at += 1 + message[at]
    return ".".join(labels)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
