"""The methods of `fsspec.spec.AbstractFileSystem`, by what they take; and the counters of traffic."""
