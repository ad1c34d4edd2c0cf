"""Objects in S3 by their exact keys, for reading.

obstore, which writes datasets, takes keys for paths: it normalizes some, and refuses to list a bucket in which any key
has an empty, ``.`` or ``..`` segment or a control character. Photographs of others have such keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

from tasks.records.errors import ConfigurationError, DataFault, StorageFault
from tasks.storage.objects.infos import ObjectInfo, StoreOptions
from tasks.storage.objects.s3_client import NothingThere, ObjectRefused, S3Access, fault_of, s3_access
from tasks.storage.objects.uris import EXAMPLES, BadLocation, parse_location

_BODY_TRIES = 3
"""How often an object is asked for whose bytes break off; the client repeats only what fails before them."""


class Bucket:
    """The objects below a prefix. Paths are what follows the prefix in their keys, whatever that is.

    A request that is denied with credentials is asked again without: a bucket may be public, and a user's own
    credentials not good for it. Every operation raises `StorageFault` if S3 cannot be reached or denies access, as an
    `ObjectRefused` where it gave an answer that concerns this request alone.

    Raises:
        ConfigurationError: the URI or the AWS settings are wrong.
    """

    def __init__(self, uri: str, options: StoreOptions | None = None) -> None:
        options = options or StoreOptions()
        try:
            location = parse_location(uri)
        except BadLocation as error:
            raise ConfigurationError(f"{uri!r}: {error}") from error
        if location.kind != "object":
            raise ConfigurationError(f"{uri!r}: expected {EXAMPLES}")
        # One slash at the end is that of a folder; any more belong to the keys.
        key = location.key.removesuffix("/")
        self.uri = uri.removesuffix("/")
        self._bucket, self._prefix = location.bucket, f"{key}/" if location.key else ""
        self._access: S3Access = s3_access(options.timeout_s, options.retries)
        self._client = self._access.client

    def url(self, path: str) -> str:
        """The URI of ``path``, for messages."""
        return f"{self.uri}/{path}"

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects below a folder of the prefix, ``""`` for all of it; in the order of their keys."""
        for page in self._pages(f"{prefix}/" if prefix else "", delimiter=""):
            yield from page[0]

    def top(self, prefix: str = "", *, pages: int = 0) -> tuple[Sequence[ObjectInfo], Sequence[str]]:
        """Objects directly below a folder, and the paths of the folders there, without listing their contents.

        ``pages`` ends the listing after as many thousands; 0: all.
        """
        objects: list[ObjectInfo] = []
        folders: list[str] = []
        every = self._pages(f"{prefix}/" if prefix else "", delimiter="/")
        for found, below in islice(every, pages or None):
            objects += found
            folders += below
        return objects, folders

    def head(self, path: str) -> ObjectInfo | None:
        """Size, time and ETag of an object, or None if it does not exist."""
        try:
            return self._info(path, self._ask("head_object", path))
        except NothingThere:
            return None

    def find(self, path: str) -> bytes | None:
        """The object's bytes, or None if it does not exist."""
        try:
            return self.read(path)
        except NothingThere:
            return None

    def get_range(self, path: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; fewer if the object ends before that.

        Raises:
            DataFault: the object does not exist.
        """
        try:
            return self.read(path, part=(offset, length))
        except NothingThere as error:
            raise DataFault(f"{path}: missing from {self.uri}") from error

    def read(
        self,
        path: str,
        *,
        part: tuple[int, int] | None = None,
        check: Callable[[ObjectInfo], None] = lambda info: None,
    ) -> bytes:
        """Bytes of an object by one request.

        Args:
            path: of the object.
            part: byte offset and length; None for all. Fewer bytes are returned if the object ends before that.
            check: is given the whole object's size, time and ETag before the bytes are fetched, and may raise.

        Raises:
            NothingThere: no such object, or no such bucket (`code`).
        """
        if part is not None and part[1] <= 0:
            return b""
        wanted = {} if part is None else {"Range": f"bytes={part[0]}-{part[0] + part[1] - 1}"}
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        tried = 0
        while True:
            try:
                answer = self._ask("get_object", path, **wanted)
            except ObjectRefused as refused:
                if refused.code == "InvalidRange":  # it begins after the object's end
                    return b""
                raise
            with closing(answer["Body"]) as body:
                check(self._info(path, answer))
                try:
                    return bytes(body.read())
                except (BotoCoreError, OSError) as error:
                    tried += 1
                    if tried == _BODY_TRIES:
                        raise StorageFault(f"{self.url(path)}: its bytes broke off {tried} times") from error

    def _pages(self, below: str, *, delimiter: str) -> Iterator[tuple[Sequence[ObjectInfo], Sequence[str]]]:
        more: dict[str, Any] = {"Delimiter": delimiter} if delimiter else {}
        while True:
            try:
                page = self._ask("list_objects_v2", None, Prefix=self._prefix + below, **more)
            except NothingThere as error:
                raise StorageFault(f"{self.uri}: there is no such bucket ({error.code})") from error
            start = len(self._prefix)
            yield (
                [self._listed(item["Key"][start:], item) for item in page.get("Contents", ())],
                [item["Prefix"][start:].removesuffix("/") for item in page.get("CommonPrefixes", ())],
            )
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            more["ContinuationToken"] = page["NextContinuationToken"]

    def _listed(self, path: str, item: dict[str, Any]) -> ObjectInfo:
        return ObjectInfo(
            path=path, size=item["Size"], modified=item["LastModified"], etag=_plain(item.get("ETag", ""))
        )

    def _info(self, path: str, answer: dict[str, Any]) -> ObjectInfo:
        size = int(answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"])
        return ObjectInfo(
            path=path, size=size, modified=answer["LastModified"], etag=_plain(answer.get("ETag", ""))
        )

    def _ask(self, operation: str, path: str | None, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        if path is not None:
            arguments["Key"] = self._prefix + path
        where = self.uri if path is None else self.url(path)
        fault: Exception | None = None
        others = (self._access.client, self._access.anonymous)
        for client in (self._client, *(other for other in others if other is not self._client)):
            try:
                answer = getattr(client, operation)(Bucket=self._bucket, **arguments)
            except (BotoCoreError, ClientError) as error:
                fault = fault or fault_of(error, where, self._access)
                if not _of_who_asks(error):
                    break
            else:
                self._client = client  # the first to be asked from now on
                return answer
        assert fault is not None, "no client answered"
        raise fault


def _of_who_asks(error: Exception) -> bool:
    """Whether another caller might be answered."""
    status = (getattr(error, "response", None) or {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status in (401, 403)


def _plain(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
