"""A worker that answers every question with the names of its environment variables."""

import os
import sys

for line in sys.stdin:
    names = ", ".join(f'"{name}": ""' for name in os.environ)
    print(f'{line.split()[0]} {{"files": {{{names}}}}}', flush=True)
