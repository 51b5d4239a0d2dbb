"""What the sub-commands of ``realtime-ser`` do, one module each; imported only when called."""
