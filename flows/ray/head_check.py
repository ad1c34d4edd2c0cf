"""Whether the Ray that a build is to join answers, asked before Ray itself tries for a quarter of an hour."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from flows.ray.overrides import stay_on_loopback
from tasks.records.errors import ConfigurationError, EnvironmentFault, first_line

ANSWER_S = 30.0
"""Longest wait for a head to answer."""

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

WHERE = "execution.ray_address, or RAY_ADDRESS where that is 'auto'"


def check_head(address: str, timeout_s: float = ANSWER_S) -> None:
    """Returns when the head at ``address`` speaks Ray's protocol.

    Args:
        address: as `ray.init` takes it, other than ``local``.
        timeout_s: longest wait.

    Raises:
        ConfigurationError: it is no address, or ``auto`` and no Ray runs here.
        EnvironmentFault: nothing answers there.
    """
    from ray._private import services  # noqa: PLC0415

    if "://" in address:
        msg = f"execution.ray_address={address!r}: expected HOST:PORT of a head, 'auto' or 'local'"
        raise ConfigurationError(msg)
    try:
        found = services.canonicalize_bootstrap_address_or_die(address)
    except (ConnectionError, ValueError) as error:
        msg = f"execution.ray_address={address!r}: {first_line(error)}; expected HOST:PORT of a head, or 'local'"
        raise ConfigurationError(msg) from error
    host, _, port = address.rpartition(":")
    # Ray replaces loopback by the machine's own address, on which a head that was started on loopback is not there.
    here = [f"127.0.0.1:{port}"] if host in LOOPBACK and found != f"127.0.0.1:{port}" else []
    speaking = _first_to_speak([found, *here], timeout_s)
    if not speaking:
        msg = (
            f"no Ray answers at {found} within {timeout_s:g} s ({WHERE}); look with `ray status --address {found}`, "
            "or give execution.ray_address=local"
        )
        raise EnvironmentFault(msg)
    if speaking in here:
        stay_on_loopback()


def _first_to_speak(addresses: Sequence[str], timeout_s: float) -> str:
    """The first address whose connection gets as far as HTTP/2, which a socket that only listens never does.

    Where a later one of ``addresses`` is ready before the first, the first has another second. ``""``: none in time.
    """
    import grpc  # noqa: PLC0415

    options = [("grpc.enable_http_proxy", 0)]
    tls = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    channels = [
        grpc.secure_channel(address, _credentials(), options)
        if tls
        else grpc.insecure_channel(address, options)
        for address in addresses
    ]
    try:
        ready = [grpc.channel_ready_future(channel) for channel in channels]
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and not ready[0].done():
            if any(future.done() for future in ready):
                end = min(end, time.monotonic() + 1)
            time.sleep(0.05)
        return next((address for address, f in zip(addresses, ready, strict=True) if f.done()), "")
    finally:
        for channel in channels:
            channel.close()


def _credentials() -> object:
    import grpc  # noqa: PLC0415
    from ray._private.tls_utils import load_certs_from_env  # noqa: PLC0415

    cert, key, authority = load_certs_from_env()
    return grpc.ssl_channel_credentials(root_certificates=authority, private_key=key, certificate_chain=cert)
