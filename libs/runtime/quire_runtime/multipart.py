"""Multipart uploads to S3 that were begun and never ended: obstore neither lists nor aborts them."""

from datetime import datetime
from typing import Any

import aioboto3  # type: ignore[import-untyped]

from .settings import ServiceSettings


class MultipartUploads:
    """Those of one bucket below a prefix that ends with a slash or is empty."""

    def __init__(self, bucket: str, prefix: str, settings: ServiceSettings) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._settings = settings

    async def discard(self, before: datetime) -> int:
        """Abort what was begun before a moment; returns how many uploads that were."""
        secret = self._settings.s3_secret_access_key
        session = aioboto3.Session(
            self._settings.s3_access_key_id,
            secret.get_secret_value() if secret else None,
            region_name=self._settings.s3_region,
        )
        gone = 0
        async with session.client("s3", endpoint_url=self._settings.s3_endpoint) as s3:
            async for page in s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            ):
                uploads: list[dict[str, Any]] = page.get("Uploads", [])
                for upload in uploads:
                    if upload["Initiated"] < before:
                        await s3.abort_multipart_upload(
                            Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                        gone += 1
        return gone
