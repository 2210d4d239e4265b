"""fsspec's event loop, its thread, the bridge from blocking callers; batches, and drivers of plans."""
