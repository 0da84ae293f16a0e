"""A MariaDB whose data are on a small disk of its own, which can be filled."""

import subprocess
from pathlib import Path

from servers import MariaDB

SIZE_MB = 96
# The disk is seen by this process alone and goes with it.
MOUNT = f'mount -t tmpfs -o size={SIZE_MB}m kaimen "$1" && cp -a --sparse=never seed/. "$1" && shift && exec "$@"'


def may_mount() -> bool:
    """Whether this account may have disks of its own, as root may."""
    trial = ["unshare", "-m", "mount", "-t", "tmpfs", "kaimen", "/mnt"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


class SmallDisk(MariaDB):
    """Needs the right to mount, as root has it; what it wrote is gone when it ends."""

    def fill(self) -> Path:
        """Take all that is left; the file to be removed."""
        filler = Path(f"/proc/{self.pid}/root{self.folder}/data/filler")
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return filler

    def _prepare(self) -> None:
        super()._prepare()
        (self.folder / "data").rename(self.folder / "seed")
        (self.folder / "data").mkdir()

    def _command(self) -> list[str]:
        return ["unshare", "-m", "sh", "-c", MOUNT, "sh", str(self.folder / "data"), *super()._command()]
