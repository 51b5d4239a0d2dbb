"""``python -m realtime_ser`` is ``realtime-ser``."""

from realtime_ser.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
