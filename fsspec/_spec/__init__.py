"""The methods of `fsspec.spec.AbstractFileSystem`, cut by what they take."""
