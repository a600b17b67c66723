"""A worker process of the DBOS workflow: takes orders from the queue and runs their four steps.

Runs in the environment of tests/bench/requirements-dbos.txt, without a line of ours.
"""

import os
import signal
import sys
import threading
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SQLAlchemyDatasource

from tests.bench.dbos.names import APP, STEPS, WORKFLOW

INSERT = sa.text("insert into effects (order_id, step, amount_cents) values (:order_id, :step, :amount_cents)")


def main() -> None:
    """Serve until SIGTERM."""
    number, database, how, pool = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    config: DBOSConfig = {
        "name": APP,
        "system_database_url": database,
        "sys_db_pool_size": pool,
        "db_engine_kwargs": {"pool_pre_ping": False},  # the database is not away here: a tenth more for DBOS
        "executor_id": f"worker-{number}",
        "application_version": "bench",
        "log_level": "WARNING",
        "run_migrations": False,
    }
    DBOS(config=config)
    _register(database, how, pool)
    DBOS.launch()
    print("started", flush=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    os._exit(0)


def _register(database: str, how: str, pool: int) -> None:
    engine_kwargs = {"pool_size": pool, "max_overflow": 0, "pool_pre_ping": False}
    if how == "transaction":
        source = SQLAlchemyDatasource.create(database, engine_kwargs=engine_kwargs)

        @source.transaction(isolation_level="READ COMMITTED")
        def step(order_id: str, name: str, amount_cents: int) -> str:
            source.sql_session().execute(INSERT, {"order_id": order_id, "step": name, "amount_cents": amount_cents})
            return f"{name}-{order_id}"
    else:
        engine = sa.create_engine(database, **engine_kwargs)

        @DBOS.step()
        def step(order_id: str, name: str, amount_cents: int) -> str:
            with engine.begin() as connection:
                connection.execute(INSERT, {"order_id": order_id, "step": name, "amount_cents": amount_cents})
            return f"{name}-{order_id}"

    @DBOS.workflow(name=WORKFLOW)
    def place_order(order_id: str, amount_cents: int) -> Any:
        return [step(order_id, name, amount_cents) for name in STEPS][-1]


if __name__ == "__main__":
    main()
