"""RabbitMQ for tests: any broker with a fresh vhost for each test, and a private one to kill, freeze and wipe."""

import itertools
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit, urlunsplit

from tests.servers.binaries import free_port, rabbit_binaries
from tests.servers.process import ServerProcess

START_SECONDS = 60
# A call through rabbitmqctl costs half a second, a vhost inside it 15 ms: so they are made in batches and handed out.
VHOST_BATCH_COUNT = 16

AMQP_HEADER = b"AMQP\x00\x00\x09\x01"


class RabbitServer:
    """A broker that the tests may fill, wherever it runs. `ctl` runs rabbitmqctl against it and returns its output."""

    def __init__(self, url: str, ctl: Callable[..., str]) -> None:
        self.url = url
        self.ctl = ctl
        self._run = secrets.token_hex(3)
        self._number = itertools.count(1)
        self._unused: list[str] = []
        self._handed_out: list[str] = []
        self._used: list[str] = []

    @cached_property
    def version(self) -> str:
        return self.eval("{ok, Version} = application:get_key(rabbit, vsn), Version.").strip().strip('"')

    def eval(self, expression: str) -> str:
        """Run an Erlang expression inside the broker. Returns its value as Erlang prints it; raises RuntimeError."""
        return self.ctl("eval", expression)

    def url_of(self, vhost: str) -> str:
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc, "/" + quote(vhost, safe=""), parts.query, ""))

    def fresh_vhost(self) -> str:
        """The name of an empty vhost that nobody had before."""
        if not self._unused:
            self._unused = [f"test-{self._run}-{next(self._number)}" for _ in range(VHOST_BATCH_COUNT)]
            self._replace_vhosts(gone=self._used, new=self._unused)
            self._used = []
        self._handed_out.append(self._unused.pop(0))
        return self._handed_out[-1]

    def release_vhost(self, vhost: str) -> None:
        """Its queues and messages go away with the next batch, or when the broker is released."""
        self._handed_out.remove(vhost)
        self._used.append(vhost)

    def release(self) -> None:
        """Remove every vhost that was made. A private broker is thrown away instead."""
        self._replace_vhosts(gone=self._used + self._handed_out + self._unused, new=[])
        self._forget_vhosts()

    def _forget_vhosts(self) -> None:
        self._used, self._handed_out, self._unused = [], [], []

    def _replace_vhosts(self, *, gone: list[str], new: list[str]) -> None:
        user = _erlang(urlsplit(self.url).username or "guest")
        everything = ", ".join([_erlang(".*")] * 3)
        self.eval(
            f'By = <<"saga tests">>, [rabbit_vhost:delete(V, By) || V <- [{", ".join(map(_erlang, gone))}]],'
            f"[begin ok = rabbit_vhost:add(V, By),"
            f" ok = rabbit_auth_backend_internal:set_permissions({user}, V, {everything}, By) end"
            f" || V <- [{', '.join(map(_erlang, new))}]], ok."
        )


def _erlang(text: str) -> str:
    return f'<<"{text}">>'


class PrivateRabbit(RabbitServer):
    """A broker of our own on free loopback ports, with its own data folder and its own epmd.

    Starting takes about five seconds and every method blocks: call them through `asyncio.to_thread` where a loop
    has other things to do. `definitions` is loaded at each start; it then has to contain the user of the url.
    """

    def __init__(self, *, definitions: Path | None = None, config: str = "", user: str = "guest:guest") -> None:
        self.binaries = rabbit_binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="saga-rabbit-"))
        self._cookie = self.folder / ".erlang.cookie"
        self.host, self.port = "127.0.0.1", free_port()
        super().__init__(f"amqp://{user}@{self.host}:{self.port}/", self._ctl)
        self._epmd_port = free_port()
        self._settings = [
            f"listeners.tcp.default = {self.host}:{self.port}",
            "disk_free_limit.absolute = 50MB",
            *([f"load_definitions = {definitions.resolve()}"] if definitions else []),
            config,
        ]
        self._env = self._environment()
        self._erl_call = shutil.which("erl_call")
        self._node: ServerProcess | None = None
        self._epmd: ServerProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start, with the data that is there, and wait until the listener speaks AMQP."""
        self._prepare_folder()
        if self._epmd is None:
            # Ours, in the foreground: the one Erlang would start by itself survives it as a daemon.
            command = ["epmd", "-port", str(self._epmd_port), "-address", self.host]
            self._epmd = ServerProcess(command, folder=self.folder, env=self._env)
        command = [str(self.binaries / "rabbitmq-server")]
        self._node = ServerProcess(command, folder=self.folder, env=self._env)
        self._node.wait_until(lambda: speaks_amqp(self.host, self.port), seconds=START_SECONDS)

    def stop(self) -> None:
        """Shut down in order; the data stays."""
        if self._node is not None:
            self._node.terminate()

    def keep_declarations(self) -> None:
        """Make queues declared a moment ago survive `kill9`.

        The registry of quorum queues is written lazily. A queue missing in it comes back empty and without a leader
        (the latter is rabbitmq-server#10070), so call this between declaring and killing.
        """
        self.eval("[dets:sync(Table) || Table <- dets:all()], ok.")

    def kill9(self) -> None:
        """As a power cut would, but for what the kernel still holds; the data stays."""
        self._running().kill9()

    def sigstop(self) -> None:
        """Freeze: connections stay open, nothing answers."""
        self._running().freeze()

    def sigcont(self) -> None:
        self._running().thaw()

    def wipe(self) -> None:
        """Lose everything and come back empty, but for the definitions."""
        if self._node is not None:
            self._node.kill9()
        shutil.rmtree(self.folder / "mnesia", ignore_errors=True)
        self._forget_vhosts()
        self.start()

    def close(self) -> None:
        """End the broker and its epmd and remove their folder."""
        for process in (self._node, self._epmd):
            if process is not None:
                process.kill9()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _running(self) -> ServerProcess:
        assert self._node is not None, "start it first"
        return self._node

    def eval(self, expression: str) -> str:
        """As of any broker; through Erlang's own `erl_call` where it is there, which costs next to nothing."""
        if self._erl_call is None:
            return super().eval(expression)
        node = ["-n", self._env["RABBITMQ_NODENAME"], "-c", self._cookie.read_text()]
        said = run_ctl([self._erl_call, *node, "-e"], self._env, given=f"{expression}\n")
        if not said.startswith("{ok, "):
            raise RuntimeError(f"{expression} failed:\n{said}")
        return said.removeprefix("{ok, ").removesuffix("}")

    def _ctl(self, *arguments: str) -> str:
        return run_ctl([str(self.binaries / "rabbitmqctl"), "-q", *arguments], self._env)

    def _prepare_folder(self) -> None:
        (self.folder / "rabbitmq.conf").write_text("\n".join(self._settings) + "\n")
        (self.folder / "enabled_plugins").write_text("[].\n")
        if not self._cookie.exists():
            self._cookie.write_text(secrets.token_hex(16))
            self._cookie.chmod(0o400)

    def _environment(self) -> dict[str, str]:
        foreign = ("RABBITMQ_", "ERL_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return env | {
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": self.host,
            "RABBITMQ_NODENAME": f"saga{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            # Small and quiet: two schedulers that sleep instead of spinning, distribution on loopback only.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            # Makes the script become the server, so that the process we signal is the broker itself.
            "RUNNING_UNDER_SYSTEMD": "1",
        }


def speaks_amqp(host: str, port: int) -> bool:
    """Whether a broker answers there, which a listener of a broker that still starts does not."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(AMQP_HEADER)
            return bool(connection.recv(8))
    except OSError:
        return False


def run_ctl(command: list[str], env: Mapping[str, str] | None = None, *, given: str = "") -> str:
    """Run rabbitmqctl, or what does its work. Raises RuntimeError with what it said when it fails."""
    done = subprocess.run(command, env=env, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
