"""Run by root only: become an unprivileged user who can read what the fold server needs, then start it.

The interpreter or the code may lie where other users cannot look (below ``/root``). So, in a mount
namespace of its own, root binds each of those places to one that anybody can reach, and only then gives
up being root. Started as ``python -I -S -c ... SPECIFICATION``; it needs the standard library alone.
"""

import json
import os
import sys
from pathlib import Path

from runapp.runner.isolation import syscalls

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 1 << 14, 1 << 18


def main() -> None:
    """Take ``{"folder", "uid", "sources", "command"}``; ``{N}`` in the command is where source N is then."""
    specification = json.loads(sys.argv[1])
    folder, uid = specification["folder"], specification["uid"]
    syscalls.unshare(_CLONE_NEWNS)
    syscalls.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    opened = [os.open(source, os.O_PATH) for source in specification["sources"]]
    # Every user must be able to walk to the places, so they hang where everybody can go.
    syscalls.mount("datarun", folder, "tmpfs", 0, "size=64k,mode=0755")
    places = {}
    for number, descriptor in enumerate(opened):
        places[f"{{{number}}}"] = place = f"{folder}/{number}"
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            Path(place).mkdir()
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
        syscalls.mount(f"/proc/self/fd/{descriptor}", place, None, _MS_BIND | _MS_REC)
        os.close(descriptor)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    command = [places.get(part, part) for part in specification["command"]]
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
