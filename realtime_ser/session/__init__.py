"""A recorded session: everything that the engine said, on one clock, in one folder (docs/sessions.md)."""
