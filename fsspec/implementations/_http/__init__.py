"""HTTP, awaitable and blocking."""
