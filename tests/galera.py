"""Three MariaDB nodes that are one Galera cluster, for tests that break some of them.

All begin with the same data at the same position, so that none needs a transfer of another's whole state: one that
comes back gets what it has missed from another's cache.
"""

import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pymysql import MySQLError

from servers import MariaDB, ServerError, free_port

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
NODES = 3
# With one that is silent; left alone, Galera waits for 5 s and longer.
PATIENCE = "evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT6S"
# What a node runs to give another its whole state, and what that one runs to get it. Here it is never needed: the one
# says so and hands over the position (in a file named by the other), and the rest comes from the one's cache.
TRANSFER = """\
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        --role) role=$2 ;;
        --address) address=$2 ;;
        --gtid) position=$2 ;;
        --bypass) bypass=yes ;;
    esac
    shift
done
folder=$(dirname "$0")
if [ "$role" = donor ]; then
    [ "$bypass" ] || exit 1
    echo continue
    echo "$position" >"$folder/new.$address" && mv "$folder/new.$address" "$folder/$address"
    echo "done $position"
else
    echo "ready position.$$"
    while [ -d "$folder" ] && ! [ -e "$folder/position.$$" ]; do sleep 0.05; done
    cat "$folder/position.$$"
fi
"""


@dataclass(frozen=True)
class Group:
    """What the nodes of a cluster know of each other."""

    folder: Path
    ports: list[int]
    password: str


class GaleraNode(MariaDB):
    """One node over a copy of ``data``, the folder of a server that has stopped; ``founds`` makes it the first."""

    def __init__(self, group: Group, number: int, data: Path, *, founds: bool = False) -> None:
        self._group = group
        self._listens = group.ports[number]
        self._receives = free_port()
        self._data = data
        self._founds = founds
        self._was_killed = False
        super().__init__()

    def start(self) -> None:
        """Found the cluster or join it; returns when the node serves."""
        self._begins = self._begin_options()
        super().start()
        self._founds = self._was_killed = False

    def kill(self) -> None:
        """See ``Server``."""
        super().kill()
        self._was_killed = True

    def status(self, name: str) -> str:
        """A value of SHOW STATUS, such as that of wsrep_cluster_status."""
        return str(self.execute(f"SHOW STATUS LIKE '{name}'")[0][1])

    def _answers(self) -> bool:
        try:
            return self.status("wsrep_ready") == "ON"
        except MySQLError:
            return False

    def _prepare(self) -> None:
        self.password = self._group.password
        shutil.copytree(self._data, self.folder / "data")

    def _command(self) -> list[str]:
        return [*self._cluster_command(), *self._begins]

    def _cluster_command(self) -> list[str]:
        alone = [option for option in super()._command() if not option.startswith("--init-file")]
        others = ",".join(f"127.0.0.1:{port}" for port in self._group.ports if port != self._listens)
        ports = f"gmcast.listen_addr=tcp://127.0.0.1:{self._listens};ist.recv_addr=127.0.0.1:{self._receives}"
        return [
            "env", f"PATH={self._group.folder}:{os.environ['PATH']}", *alone,
            "--wsrep-on=ON", f"--wsrep-provider={PROVIDER}", "--wsrep-cluster-name=kaimen",
            f"--wsrep-cluster-address=gcomm://{others}", "--wsrep-node-address=127.0.0.1",
            f"--wsrep-provider-options={ports};{PATIENCE};gcache.size=32M", "--wsrep-sst-method=kaimen",
            "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
        ]  # fmt: skip

    def _begin_options(self) -> list[str]:
        if self._founds:
            return ["--wsrep-new-cluster"]
        return [f"--wsrep-start-position={self._recover_position()}"] if self._was_killed else []

    def _recover_position(self) -> str:
        """Where its data are; a server that ends in order writes that down."""
        command = [*self._cluster_command(), "--wsrep-recover"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        found = re.search(r"Recovered position: (\S+)", done.stderr)
        if found is None:
            raise ServerError(f"mariadbd --wsrep-recover tells no position:\n{done.stderr[-2000:]}")
        return found[1]


class Galera:
    """A cluster over the data of ``seed``, which has stopped; ``close()`` (or leaving ``with``) removes it."""

    def __init__(self, seed: MariaDB) -> None:
        if not PROVIDER.exists():
            raise ServerError(f"{PROVIDER} is not there (Debian and Ubuntu: apt-get install galera-4)")
        self.nodes: list[GaleraNode] = []
        self._folder = Path(tempfile.mkdtemp(prefix="kaimen-galera-"))
        try:
            self._write_transfer()
            self._found(seed)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill all nodes and remove their folders."""
        for node in self.nodes:
            node.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, *nodes: GaleraNode) -> None:
        """Start those at the same time: alone, none of them may be able to serve."""
        with ThreadPoolExecutor(len(nodes)) as starting:
            list(starting.map(GaleraNode.start, nodes))

    def _write_transfer(self) -> None:
        script = self._folder / "wsrep_sst_kaimen"
        script.write_text(TRANSFER)
        script.chmod(0o755)

    def _found(self, seed: MariaDB) -> None:
        """The first has a position of the cluster's in its data before the others copy them."""
        group = Group(self._folder, [free_port() for _ in range(NODES)], seed.password)
        data = self._folder / "data"
        with GaleraNode(group, 0, seed.folder / "data", founds=True) as founder:
            founder.stop()
            founder.folder.joinpath("data").rename(data)
        for number in range(NODES):
            self.nodes.append(GaleraNode(group, number, data, founds=number == 0))
