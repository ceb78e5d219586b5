"""Control groups of test hosts."""

import os
from pathlib import Path

# Without a control group of its own each host's systemd would meddle with the others' services.
_CGROUP_TREES = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
CGROUP_PREFIX = "datarun-hosts-"
#: A shell script that runs a command in the control group of the name that comes first.
IN_OWN_CGROUP = f"""
name=$1; shift
for tree in {" ".join(_CGROUP_TREES)}; do
    if [ -e "$tree/cgroup.procs" ]; then mkdir -p "$tree/$name" && echo 0 >"$tree/$name/cgroup.procs"; fi
done
exec "$@"
"""


def remove_cgroups(pattern: str = f"{CGROUP_PREFIX}*") -> None:
    """Remove the empty control groups of hosts; those of hosts that run stay."""
    for tree in _CGROUP_TREES:
        for top in Path(tree).glob(pattern):
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    continue  # a process is in it, or below
