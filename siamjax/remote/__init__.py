"""Files at addresses: any that fsspec opens, `s3://`, `gs://`, `hf://`, `https://` and others."""
