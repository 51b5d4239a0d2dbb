#!/bin/sh
# Find a Python that can run the program and hand over to bootstrap.py. In sh, because where there is no Python somebody
# has to say so.
here=$(dirname "$0")

suits() {
    "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $2))" >/dev/null 2>&1
}

if [ -n "$PYTHON" ]; then
    exec "$PYTHON" "$here/bootstrap.py" "$@" --python-chosen
fi
# Python 3.14 last: not every package has a build for it yet (docs/dependencies.md).
for newest in 13 14; do
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if suits "$candidate" "$newest"; then
            exec "$candidate" "$here/bootstrap.py" "$@"
        fi
    done
done

found=$(python3 --version 2>/dev/null || python --version 2>/dev/null || echo "no Python at all")
cat >&2 <<MESSAGE
Realtime SER needs Python 3.11, 3.12, 3.13 or 3.14; this machine has $found.
  Debian 12 or later, Ubuntu 24.04 or later:   sudo apt-get install python3 python3-venv
  Fedora:                                      sudo dnf install python3
  macOS with Homebrew:                         brew install python@3.13
  anything else:                               install it from https://www.python.org/downloads/
If it is installed in an unusual place:        make run PYTHON=/path/to/python3.13
MESSAGE
exit 2
