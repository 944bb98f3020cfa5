# SPDX-License-Identifier: MIT
"""Import this before a module that Debian packages: another python3 may be first in PATH, and it looks elsewhere."""
import sys

PATH = "/usr/lib/python3/dist-packages"
if PATH not in sys.path:
    sys.path.append(PATH)
