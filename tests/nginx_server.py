"""A private nginx for tests: own folder, own port, a configuration of the test's making."""

import socket

from servers import Server, find_binary

FRAME = """
daemon off;
pid {folder}/pid;
# One process: a killed master would leave its workers behind.
master_process off;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{http}
}}
"""


class Nginx(Server):
    """``http`` is the inside of its ``http`` block, in which ``{port}`` is the port to listen on."""

    def __init__(self, http: str) -> None:
        self.http = http
        super().__init__()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _command(self) -> list[str]:
        http = self.http.replace("{port}", str(self.port))
        config = self.folder / "nginx.conf"
        config.write_text(FRAME.format(folder=self.folder, http=http))
        binary = find_binary("nginx", "nginx-light")
        return [binary, "-p", str(self.folder), "-e", "stderr", "-c", str(config)]
