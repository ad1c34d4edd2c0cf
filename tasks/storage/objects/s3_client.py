"""Where S3 is and who asks it: from the environment and ``~/.aws``, as the AWS command line has it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from tasks.records.errors import ConfigurationError, GroundEditError, StorageFault, first_line

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts to which plain HTTP is allowed; others need ``AWS_ALLOW_HTTP``, since it sends photographs unencrypted."""

_OF_THE_CREDENTIALS = frozenset(
    (
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    )
)
"""Codes of refusals that concern whoever asks, and not the object asked for."""

BAD_KEYS = ("InvalidKey", "KeyTooLongError", "InvalidURI")
"""Codes of refusals because of the key alone; the first is our own, for what the client does not even send."""

_BY_STATUS = {"301": "PermanentRedirect", "400": "BadRequest", "403": "AccessDenied", "404": "NotFound"}
"""HEAD requests are refused without a code."""


class ObjectRefused(StorageFault):
    """S3 answered that this request is not allowed or not possible; ``code`` is its word for it (`AccessDenied` …)."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[ObjectRefused], tuple[str, str]]:
        return type(self), (str(self), self.code)


class NothingThere(Exception):
    """S3 has no such object or bucket."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """One way to reach S3.

    Attributes:
        client: a botocore client that signs, or does not if there are no credentials.
        anonymous: one that never signs; the same object if there are no credentials.
        credentials: of botocore, refreshed when asked for; None if none were found or AWS_SKIP_SIGNATURE is set.
        endpoint: of a server that is not AWS, else ``""``.
        region: as configured, else us-east-1; ``region_given`` tells which.
        tried: where credentials were looked for, for messages.
    """

    client: Any
    anonymous: Any
    credentials: Any
    endpoint: str
    region: str
    region_given: bool
    plain: bool
    tried: str

    @property
    def who(self) -> str:
        """Who asks, for messages."""
        return "with the credentials found" if self.credentials is not None else "without credentials"


def s3_access(timeout_s: float, retries: int) -> S3Access:
    """The access that the environment describes now; clients are kept, since each costs a tenth of a second.

    Raises:
        ConfigurationError: a profile that does not exist, incomplete or unreadable settings, plain HTTP to a host
            that is not this machine.
    """
    # Everything that botocore reads from the environment: another one is another access.
    names = (name for name in os.environ if name.startswith("AWS_") or name.upper().endswith("_PROXY"))
    settings = tuple((name, os.environ[name]) for name in sorted([*names, *{"HOME"} & os.environ.keys()]))
    return _access(settings, timeout_s, retries)


@lru_cache(maxsize=4)
def _access(settings: tuple[tuple[str, str], ...], timeout_s: float, retries: int) -> S3Access:
    # Imported here: it takes a quarter of a second, which local datasets need not pay.
    import botocore.session  # noqa: PLC0415
    from botocore import UNSIGNED  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    given = dict(settings)
    session = botocore.session.Session()
    try:
        unsigned = given.get("AWS_SKIP_SIGNATURE", "").lower() in ("1", "true")
        credentials = None if unsigned else session.get_credentials()
        # botocore knows AWS_DEFAULT_REGION only, other clients AWS_REGION as well.
        region = given.get("AWS_REGION") or session.get_config_variable("region") or ""
        files = [session.get_config_variable(name) for name in ("credentials_file", "config_file")]
        common: dict[str, Any] = {
            "region_name": region or "us-east-1",
            "connect_timeout": min(10.0, timeout_s),
            # With all repetitions less than a computing step may take, which would be blamed on the photograph.
            "read_timeout": min(20.0, timeout_s),
            "retries": {"mode": "standard", "total_max_attempts": retries + 1},
            "max_pool_connections": 32,
            # Servers that are not AWS may not know the newer checksums.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        found = session.create_client("s3", config=Config(signature_version=UNSIGNED, **common))
        endpoint = "" if _of_aws(found.meta.endpoint_url) else str(found.meta.endpoint_url)
        plain = _plain_allowed(endpoint, given)
        if endpoint:
            common["s3"] = {"addressing_style": "path"}
        if urlsplit(endpoint).hostname in LOOPBACK:
            common["proxies"] = {}
        anonymous = session.create_client("s3", config=Config(signature_version=UNSIGNED, **common))
        client = anonymous if credentials is None else session.create_client("s3", config=Config(**common))
    except BotoCoreError as error:
        raise ConfigurationError(f"S3: {first_line(error)}") from error
    except ValueError as error:  # an endpoint that is no URL
        raise ConfigurationError(f"AWS_ENDPOINT_URL: {first_line(error)}") from error
    profile = session.profile or "default"
    tried = f"AWS_ACCESS_KEY_ID, profile {profile!r} in {' and '.join(files)}, and a role of this machine"
    return S3Access(
        client=client,
        anonymous=anonymous,
        credentials=credentials,
        endpoint=endpoint,
        region=region or "us-east-1",
        region_given=bool(region),
        plain=plain,
        tried="AWS_SKIP_SIGNATURE is set, so none were looked for" if unsigned else f"looked for {tried}",
    )


def fault_of(error: Exception, where: str, access: S3Access) -> GroundEditError | NothingThere:
    """What an error of botocore means; ``where`` is the URI asked for."""
    from botocore.exceptions import (  # noqa: PLC0415
        ClientError,
        NoCredentialsError,
        ParamValidationError,
    )

    if isinstance(error, ParamValidationError):
        return ObjectRefused(f"{where}: no name that S3 takes", BAD_KEYS[0])
    if isinstance(error, NoCredentialsError):
        return StorageFault(f"{where}: {no_credentials(access)}")
    if isinstance(error, ClientError):
        return _fault_of_answer(error.response, where, access)
    return StorageFault(f"{where}: {first_line(error)}")


def _fault_of_answer(
    response: Mapping[str, Any], where: str, access: S3Access
) -> GroundEditError | NothingThere:
    said = response.get("Error", {})
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = _BY_STATUS.get(str(said.get("Code", "")), str(said.get("Code", "")) or f"HTTP {status}")
    if status == 404:
        return NothingThere(code)
    if status >= 500 or status == 429 or code in _OF_THE_CREDENTIALS:
        return StorageFault(f"{where}: {code} ({said.get('Message') or f'HTTP {status}'})")
    if access.credentials is None and status in (401, 403):
        return ObjectRefused(f"{where}: access denied without credentials; {no_credentials(access)}", code)
    what = "access denied" if status in (401, 403) else "refused"
    return ObjectRefused(f"{where}: {what} {access.who} ({code}, HTTP {status})", code)


def no_credentials(access: S3Access) -> str:
    """A message that names what was tried, and what would help."""
    return (
        f"no credentials were found ({access.tried}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, "
        "and AWS_ENDPOINT_URL of a server that is not AWS"
    )


def _of_aws(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _plain_allowed(endpoint: str, given: dict[str, str]) -> bool:
    """Whether plain HTTP may be spoken; raises where the endpoint needs it and it may not."""
    parts = urlsplit(endpoint)
    allowed = given.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true") or parts.hostname in LOOPBACK
    if parts.scheme == "http" and not allowed:
        msg = (
            f"AWS_ENDPOINT_URL={endpoint!r}: plain HTTP to another machine sends photographs unencrypted; expected "
            "https://, or AWS_ALLOW_HTTP=true"
        )
        raise ConfigurationError(msg)
    return allowed
