"""What somebody new gets wrong, tried as they would: the answer names the cause and the fix.

Each is typed in a shell, over real servers where the mistake needs them. Words are asserted, not whole sentences.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.newcomer import Answered, Newcomer, Running, until
from tests.servers import PostgresServer, RabbitServer

BODY = '{"trip_id": "t1"}'
PASSWORD = "mistakes"
SERVICES = ("wrong-reply", "no-handler", "changed", "early", "late", "twice")
"""Of the mistakes that need a participant the orchestrator believes; each has a saga of the same name."""
NO_UNDO = (", undo=ReleaseRoom(trip_id=trip.trip_id)", "")
WITH_BEDS = (
    "class ReserveRoom(Command[Room], frozen=True):\n    trip_id: str",
    "class ReserveRoom(Command[Room], frozen=True):\n    trip_id: str\n    beds: int",
)
ASKS_BEDS = ("ReserveRoom(trip_id=trip.trip_id)", "ReserveRoom(trip_id=trip.trip_id, beds=2)")
READS = (
    ("effect=Effect.INBOX)\nclass ReserveRoom", "effect=Effect.READ_ONLY)\nclass ReserveRoom"),
    ("s.step(", "s.read("),
    NO_UNDO,
)
"""A command whose time is judged by the participant's own clock: the others go by their database's."""
SHIFTED = """
import datetime
from saga.adapters.system import SystemClock
from saga.cli import main
true = SystemClock.now
SystemClock.now = lambda clock: true(clock) + datetime.timedelta({by})
main()
"""


class Town:
    """Real servers with tables, an orchestrator at work, and a broker user for each service."""

    def __init__(self, one: Newcomer, amqp: str) -> None:
        self.one = one
        self._amqp = urlsplit(amqp)

    def publish(self, name: str, *changes: tuple[str, str]) -> None:
        """A module of its own saga and service, published, with its queue."""
        self.one.write(*changes, module=name.replace("-", "_"), name=name)
        assert self.one.saga("definitions", "publish", name.replace("-", "_")).code == 0
        assert self.one.saga("topology", "apply", "--service", name).code == 0

    def start(self, name: str, body: str = BODY) -> str:
        """The id of a saga."""
        answer = self.one.saga("start", name, "--data", body)
        assert answer.code == 0, answer.err
        return str(answer.json()["saga"])

    def serve(self, name: str, module: str = "", by: str = "") -> AbstractContextManager[Running]:
        """The participant of a module, at work; its clock may be off."""
        module = module or name.replace("-", "_")
        arguments = ("serve", f"{module}:hotel", "--database", f"sqlite:///{self.one.folder}/{module}.db", "--migrate")
        program = ("-c", SHIFTED.format(by=by)) if by else ("-m", "saga.cli")
        return self.one.running(*arguments, program=program, SAGA_AMQP=self.amqp(name))

    def amqp(self, user: str, password: str = PASSWORD) -> str:
        """The broker's address for a user."""
        host = f"{self._amqp.hostname}:{self._amqp.port}"
        return f"amqp://{user}:{password}@{host}{self._amqp.path}"

    def completes(self, saga: str) -> None:
        """It does, in the end."""
        until(lambda: self.one.saga("show", saga).out, "completed")


@pytest.fixture
def alone(tmp_path: Path) -> Newcomer:
    """Without a server."""
    return Newcomer(tmp_path, SAGA_STORE=f"sqlite:///{tmp_path}/saga.db", SAGA_AMQP="amqp://guest:guest@127.0.0.1:1/")


@pytest.fixture
def bare(database: str, vhost: str, tmp_path: Path) -> Newcomer:
    """Servers with nothing in them."""
    return Newcomer(tmp_path, SAGA_STORE=database, SAGA_AMQP=vhost)


@pytest.fixture(scope="module")
def town(postgres: PostgresServer, rabbit: RabbitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """For all mistakes that need one: each has names of its own."""
    vhost = rabbit.fresh_vhost()
    _users(rabbit, vhost)
    amqp, store = rabbit.url_of(vhost), postgres.create_database("mistakes")
    one = Newcomer(tmp_path_factory.mktemp("town"), SAGA_AMQP=amqp, SAGA_STORE=store)
    assert one.saga("db", "migrate").code == 0
    assert one.saga("topology", "apply", "--service", "nobody").code == 0
    with one.running("run") as run:
        run.said("orchestrator started")
        yield Town(one, amqp)
    postgres.drop_database("mistakes")
    for name in SERVICES:
        rabbit.ctl("delete_user", name)
    rabbit.release_vhost(vhost)


def _users(rabbit: RabbitServer, vhost: str) -> None:
    """All in one call: the broker's command line is slow."""
    each = (
        f'ok = rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{PASSWORD}">>, <<"test">>), '
        f'ok = rabbit_auth_backend_internal:set_permissions(<<"{name}">>, <<"{vhost}">>, '
        '<<"">>, <<".*">>, <<".*">>, <<"test">>)'
        for name in SERVICES
    )
    rabbit.eval(", ".join(each) + ".")


def told(answer: Answered, code: str, exit_code: int, *words: str) -> None:
    """One catalogued error with these words, and what to do; no traceback."""
    assert (answer.code, answer.err.partition(" ")[0]) == (exit_code, code), answer
    assert "\n  fix:  " in answer.err
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.err


# ------------------------------------------------------------------------------------------------------ while writing


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (NO_UNDO, "SAGA-2104", ("room: says nothing about its undo", "no_undo(", "trip.py, line")),
        (
            ("    s.key(trip.trip_id)", '    if trip.trip_id == "x":\n        pass'),
            "SAGA-2002",
            ("if, and, or", "s.when(", "trip.py, line"),
        ),
        (("s.key(trip.trip_id)", 's.key(f"trip-{trip.trip_id}")'), "SAGA-2002", ("f-string", "text('... {} ...', x)")),
        (("trip_id=trip.trip_id)", "trip_id=trip.id)"), "SAGA-2002", ("has no field 'id'", "its fields are trip_id")),
        (
            ('Participant("hotel"', 'Participant("hotels"'),
            "SAGA-2004",
            ("belongs to the service 'hotel', not to 'hotels'", "correct service="),
        ),
        (
            ("ReserveRoom.handled_by(reserve)", "ReserveRoom.handled_by(reserve), ReserveRoom.handled_by(reserve)"),
            "SAGA-2004",
            ("hotel.ReserveRoom.v1 has two handlers", "remove one"),
        ),
        (("async def reserve", "def reserve"), "SAGA-2004", ("is no async function", "async def reserve(cmd, ctx)")),
        (("from msgspec import Struct", "from msgspec import Structs"), "SAGA-1009", ("Structs", "trip.py, line 2")),
    ],
    ids=["no-undo", "if", "f-string", "field", "service", "two-handlers", "not-async", "import"],
)
def test_a_module_that_cannot_be(alone: Newcomer, change: tuple[str, str], code: str, words: tuple[str, ...]) -> None:
    """Found while it is imported, with the author's own line where there is one."""
    alone.write(change)
    told(alone.saga("explain", "trip"), code, 1, *words)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("explain", "tripp"), "SAGA-1008", ("No module named 'tripp'", "run it from the folder that holds tripp")),
        (("explain", "trip.py"), "SAGA-1008", ("trip.py",)),
        (
            ("dev", "trip:trip"),
            "SAGA-1010",
            ("is the definition trip v1, not a participant", "--definitions trip:trip"),
        ),
        (("dev", "trip"), "SAGA-1008", ("trip:hotel",)),
        (("serve", "trip:hotle"), "SAGA-1008", ("has no 'hotle'", "trip:hotel")),
        (("serve", "trip:hotel"), "SAGA-4014", ("hotel has no database", "--database")),
        (("definitions", "publish", "trip:hotel"), "SAGA-1010", ("is a participant", "saga serve trip:hotel")),
        (("start", "trip", "--data", "{trip_id: t1}"), "SAGA-1006", ("no JSON", "single quotes")),
        (("start", "trip", "--data", "@trip.json"), "SAGA-1005", ("trip.json cannot be read",)),
        (("--amqp", "localhost", "start", "trip"), "SAGA-1004", ("'localhost' is not known", "amqp://user:password@")),
        (("lsit",), "SAGA-1001", ("No such command 'lsit'", "saga --help")),
    ],
    ids=[
        "no-module",
        "path",
        "definition",
        "module",
        "typo",
        "no-database",
        "participant",
        "no-json",
        "no-file",
        "no-scheme",
        "no-command",
    ],
)
def test_a_command_that_means_something_else(
    alone: Newcomer, arguments: tuple[str, ...], code: str, words: tuple[str, ...]
) -> None:
    """Nothing was tried; what was meant is guessed where it can be."""
    told(alone.saga(*arguments), code, 2, *words)


def test_an_unknown_key_in_the_settings(alone: Newcomer) -> None:
    """In the file and in the environment; never ignored."""
    (alone.folder / "saga.toml").write_text('amqp_url = "amqp://localhost/"\n')
    told(alone.saga("list"), "SAGA-1002", 2, "amqp_url, from saga.toml, is no setting", "amqp, ")
    (alone.folder / "saga.toml").unlink()
    told(alone.saga("list", SAGA_STOER="x"), "SAGA-1002", 2, "SAGA_STOER is no setting", "SAGA_STORE")


def test_a_published_version_is_changed(alone: Newcomer) -> None:
    """The running sagas of the version would change under way."""
    assert alone.saga("db", "migrate").code == 0
    assert alone.saga("definitions", "publish", "trip").code == 0
    alone.write(WITH_BEDS, ASKS_BEDS)
    told(alone.saga("definitions", "publish", "trip"), "SAGA-2003", 4, "trip v1", "another content", "new version")


def test_two_of_one_name_in_one_process(alone: Newcomer) -> None:
    """They would take each other's commands."""
    told(alone.saga("dev", "trip:hotel", "trip:hotel"), "SAGA-2105", 2, "hotel is given twice")


def test_a_participant_is_left_out(alone: Newcomer) -> None:
    """`saga dev` with the definition alone: it runs, and says whose commands will wait."""
    with alone.running("dev", "--definitions", "trip", "--state", str(alone.folder / "dev")) as dev:
        assert "hotel: what is sent there waits" in dev.said("not here")


# ------------------------------------------------------------------------------------------------------------ servers


def test_the_broker_is_down(alone: Newcomer) -> None:
    """A command says so and ends; a process that is to stay says so and waits."""
    told(alone.saga("start", "trip", "--data", BODY), "SAGA-4001", 6, "127.0.0.1:1", "start the broker", "SAGA_AMQP")
    with alone.running("run") as run:
        said = run.said("missing=broker")
        assert "127.0.0.1:1" in said
        assert "SAGA-4001" in said


def test_nothing_was_prepared(bare: Newcomer) -> None:
    """Tables and queues: every command and every process names what makes them."""
    told(bare.saga("list"), "SAGA-4007", 4, "saga db migrate")
    told(bare.saga("start", "trip", "--data", BODY), "SAGA-4005", 4, "saga.results", "saga topology apply")
    with (
        bare.running("run") as run,
        bare.running("serve", "trip:hotel", "--database", "sqlite:///h.db", "--migrate") as serve,
    ):
        assert "saga db migrate" in run.said("SAGA-4007")
        assert "saga topology apply" in serve.said("no queue 'saga.commands.hotel'")
    store = bare.saga("config", "explain", "-o", "json").json()
    (database,) = [one["value"] for one in store if one["name"] == "store"]
    told(bare.saga("serve", "trip:hotel", "--database", database), "SAGA-4008", 4, "inbox", "--migrate")


def test_wrong_credentials(town: Town) -> None:
    """Of the broker, of its vhost, and of the database."""
    start = ("start", "trip", "--data", BODY)
    told(town.one.saga(*start, SAGA_AMQP=town.amqp("guest", "wrong")), "SAGA-4003", 5, "user, password and vhost")
    nowhere = town.amqp("guest", "guest").rpartition("/")[0] + "/nowhere"
    told(town.one.saga(*start, SAGA_AMQP=nowhere), "SAGA-4003", 5, "nowhere", "that the vhost exists")
    nobody = town.one.environment["SAGA_STORE"].replace("postgres@", "nobody@")
    told(town.one.saga("list", SAGA_STORE=nobody), "SAGA-4004", 5, "nobody", "user and password")
    missing = f"{town.one.environment['SAGA_STORE']}_not"
    told(town.one.saga("list", SAGA_STORE=missing), "SAGA-4002", 6, "does not exist", "create the database")


# ------------------------------------------------------------------------------------------------------ while it runs


def test_a_start_that_cannot_be(town: Town) -> None:
    """Refused, with the reason of the engine: no saga, no field, another input under the key."""
    town.publish("plain")
    told(town.one.saga("start", "plane", "--data", BODY), "SAGA-5012", 3, "'plane'", "plain", "definitions publish")
    told(town.one.saga("start", "plain", "--data", '{"trip": 1}'), "SAGA-5016", 4, "input.trip_id", "missing")
    told(town.one.saga("start", "plain", "--version", "9", "--data", BODY), "SAGA-5013", 3, "no version 9", "1")
    town.start("plain")
    told(town.one.saga("start", "plain", "--data", '{"trip_id": "t1", "more": 1}'), "SAGA-5017", 4, "t1", "a new key")
    told(town.one.saga("show", "plain/t2"), "SAGA-3001", 3, "t2", "saga list --name plain")


def test_no_queue_for_the_service(town: Town) -> None:
    """Topology was not applied after a service got its name, or the name is misspelled."""
    town.one.write(module="no_queue", name="no-queue")
    assert town.one.saga("definitions", "publish", "no_queue").code == 0
    said = town.one.waits(town.start("no-queue"), "no queue for no-queue")
    assert "saga topology apply" in said


def test_a_login_that_is_not_the_services(town: Town) -> None:
    """Everybody logs in as guest: the process warns, and the saga shows whose answer was not believed."""
    town.publish("guests")
    saga = town.start("guests")
    arguments = ("serve", "guests:hotel", "--database", f"sqlite:///{town.one.folder}/guests.db", "--migrate")
    with town.one.running(*arguments) as serve:
        assert "log in as the user guests" in serve.said("SAGA-5010")
        said = town.one.waits(saga, "forged-sender")
    assert "this came from guest" in said
    assert "log in as the broker user with its service's name" in said


def test_a_handler_returns_something_else(town: Town) -> None:
    """Both sides say it: the participant's log, and the saga; once it is mended the saga goes on."""
    town.publish("wrong-reply", ("return Room(number=101)", 'return {"number": 101}'))
    saga = town.start("wrong-reply")
    with town.serve("wrong-reply") as serve:
        serve.said("answered with dict, declared are: Room")
        said = town.one.waits(saga, "handler-error")
        assert "answered with dict, declared are: Room" in said
        assert "mend the handler" in said
    town.one.write(module="wrong_reply", name="wrong-reply")
    with town.serve("wrong-reply"):
        town.completes(saga)


def test_a_command_without_a_handler(town: Town) -> None:
    """It waits for the deploy that brings one, and says so."""
    town.publish("no-handler", ("ReserveRoom.handled_by(reserve), ", ""))
    saga = town.start("no-handler")
    with town.serve("no-handler") as serve:
        serve.said("no handler for no-handler.ReserveRoom.v1")
        said = town.one.waits(saga, "unknown-command")
    assert "no handler for no-handler.ReserveRoom.v1, only for no-handler.ReleaseRoom.v1" in said
    assert "deploy a participant with a handler for it" in said


def test_two_services_of_one_name(town: Town) -> None:
    """Some commands reach the wrong one: the saga names what it does not handle, and what else that may mean."""
    town.publish("twice")
    other = (("class ReserveRoom", "class Other"), ("cmd: ReserveRoom", "cmd: Other"), ("ReserveRoom(t", "Other(t"))
    town.one.write(*other, ("ReserveRoom.handled_by", "Other.handled_by"), module="other", name="twice")
    with town.serve("twice", module="other") as serve:
        saga = town.start("twice")
        serve.said("no handler for twice.ReserveRoom.v1")
        said = town.one.waits(saga, "unknown-command")
        assert "one service name is used by one program only" in said
        with town.serve("twice"):
            town.completes(saga)


def test_a_contract_changes_under_a_running_saga(town: Town) -> None:
    """A new field without a new version: parked before anything is done, with the field that is missing."""
    town.publish("changed")
    saga = town.start("changed")
    town.one.write(WITH_BEDS, ASKS_BEDS, module="changed", name="changed")
    with town.serve("changed"):
        said = town.one.waits(saga, "invalid-payload")
    assert "missing required field `beds`" in said
    assert "a changed contract is a new version=" in said
    assert '"status":"parked"' in town.one.saga("show", saga, "-o", "json").out
    town.one.write(module="changed", name="changed")
    resolve = ("resolve", saga, "room", "retry", "--reason", "the contract is back")
    assert town.one.saga(*resolve).code == 0
    with town.serve("changed"):
        town.completes(saga)


@pytest.mark.parametrize(("name", "by"), [("early", "hours=-1"), ("late", "hours=1")])
def test_a_clock_that_is_off_by_an_hour(town: Town, name: str, by: str) -> None:
    """Harmless: commands travel for days, and what needs a common clock goes by that of a database."""
    town.publish(name, *READS)
    saga = town.start(name)
    with town.serve(name, by=by):
        town.completes(saga)
    if name == "late":
        saga = town.start(name, '{"trip_id": "t2"}')
        with town.serve(name, by="days=8") as serve:
            serve.said("it expired at")
            said = town.one.waits(saga, "expired")
        assert "and here it is" in said
        assert "compare the clocks" in said
