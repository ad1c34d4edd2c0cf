"""Whether the Ray that a build is to join answers, asked before Ray itself tries for a quarter of an hour."""

from __future__ import annotations

import os

from tasks.records.errors import ConfigurationError, EnvironmentFault, first_line

ANSWER_S = 30.0
"""Longest wait for a head to answer."""

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
    if not _speaks(found, timeout_s):
        msg = (
            f"no Ray answers at {found} within {timeout_s:g} s ({WHERE}); look with `ray status --address {found}`, "
            "or give execution.ray_address=local"
        )
        raise EnvironmentFault(msg)


def _speaks(address: str, timeout_s: float) -> bool:
    """Whether a connection gets as far as HTTP/2, which a socket that only listens never does."""
    import grpc  # noqa: PLC0415

    options = [("grpc.enable_http_proxy", 0)]
    tls = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    channel = (
        grpc.secure_channel(address, _credentials(), options)
        if tls
        else grpc.insecure_channel(address, options)
    )
    try:
        grpc.channel_ready_future(channel).result(timeout=timeout_s)
    except grpc.FutureTimeoutError:
        return False
    finally:
        channel.close()
    return True


def _credentials() -> object:
    import grpc  # noqa: PLC0415
    from ray._private.tls_utils import load_certs_from_env  # noqa: PLC0415

    cert, key, authority = load_certs_from_env()
    return grpc.ssl_channel_credentials(root_certificates=authority, private_key=key, certificate_chain=cert)
