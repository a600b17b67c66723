"""What the carrier and the cloud have in common: they are told how to behave, and are processes of their own."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from services.world import office
from services.world.behaviour import Settings
from services.world.books import Books
from services.world.office import Answer, Request, Route


class Business(Protocol):
    """A business with books, whose behaviour can be changed."""

    settings: Settings

    def change(self, settings: Settings) -> Answer:
        """Behave so from now on, also after a restart."""
        ...

    def everything(self) -> Answer:
        """Every line ever written."""
        ...


def about_itself(business: Business, asked: Request) -> Answer:
    """Settings and books; 404 for what is none of these."""
    match asked.method, asked.path:
        case "GET" | "PUT", ("settings",):
            new = msgspec.json.decode(asked.body, type=Settings) if asked.method == "PUT" else None
            return business.change(new) if new else Answer(200, msgspec.to_builtins(business.settings))
        case "GET", ("books",):
            return business.everything()
        case _:
            return Answer(404, {"reason": f"no {asked.method} /{'/'.join(asked.path)} here"})


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`python -m services.world.NAME`, in its own words."""

    name: str
    description: str
    port: int
    customers: str
    """Whom the seed treats alike."""
    refused: str
    """What `--refuse-rate` is a share of."""
    done: str
    """What happened to a request that went well."""

    def run(self, routes: Callable[[Books, Settings], Route], arguments: list[str] | None) -> None:
        """Serve until SIGTERM or SIGINT."""
        given = self._parser().parse_args(arguments)
        rates = {name: value for name, value in vars(given).items() if name in Settings.__struct_fields__}
        try:
            settings = Settings(**rates)
        except ValueError as error:
            raise SystemExit(f"{self.name}: {error}") from None
        route = routes(Books(given.books), settings)
        office.serve(self.name, route, host=given.host, port=given.port, books=given.books)

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=f"python -m services.world.{self.name}", description=self.description)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=self.port, help=f"0 takes a free one (default: {self.port})")
        parser.add_argument("--books", type=Path, required=True, help="append-only JSON lines; made if missing")
        shares = parser.add_argument_group(
            "behaviour", "Shares from 0 to 1. Settings put over HTTP are kept in the books and win over these."
        )
        shares.add_argument("--refuse-rate", type=float, default=0.0, help=self.refused)
        shares.add_argument("--unavailable-rate", type=float, default=0.0, help="requests answered 503")
        shares.add_argument(
            "--drop-before-rate", type=float, default=0.0, help=f"requests dropped, nothing {self.done}"
        )
        shares.add_argument("--drop-after-rate", type=float, default=0.0, help=f"requests {self.done}, then dropped")
        shares.add_argument("--slow-rate", type=float, default=0.0, help="requests that take --slow-seconds")
        shares.add_argument("--slow-seconds", type=float, default=2.0)
        seed = f"the same seed treats the same {self.customers} the same"
        shares.add_argument("--seed", type=int, default=0, help=seed)
        return parser
