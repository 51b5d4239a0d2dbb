"""The window's panels, one widget a file; each draws what the view-models hold and keeps no state of the stream itself."""
