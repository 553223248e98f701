"""Takes out of the files that `make.sh` wrote what tells of a machine or person: names of hosts, users, folders."""

import getpass
import platform
import re
import socket
import sys
from pathlib import Path

here = Path(sys.argv[1])
WORDS = {
    socket.gethostname(): "host",
    getpass.getuser(): "user",
    platform.release(): "6.1.0",
}
FOLDERS = re.compile(r"/(?:tmp|home|root|work|usr|opt)/[^\s\"'\\:,]*")

for path in [p for kind in ("*.json", "*.txt") for p in here.rglob(kind) if "by_hand" not in p.parts]:
    text = path.read_text()
    for word, other in WORDS.items():
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", other, text)
    path.write_text(FOLDERS.sub("/folder", text))
for path in (here / "asv").rglob("*.json"):
    if re.match(r"[0-9a-f]{8}-", path.name):
        path.rename(path.with_name(f"{path.name[:8]}-existing-py.json"))
