"""Makes the tables and the queue of the DBOS side, in a process of its own, before any worker starts."""

import sys

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SQLAlchemyDatasource

from tests.bench.dbos.names import APP, QUEUE


def main() -> None:
    """Migrate, and register the queue."""
    database, concurrency, polling_seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.text(sys.stdin.read()))
    engine.dispose()
    config: DBOSConfig = {
        "name": APP,
        "system_database_url": database,
        "application_version": "bench",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    SQLAlchemyDatasource.create(database)
    DBOS.launch()
    DBOS.register_queue(
        QUEUE, worker_concurrency=concurrency, polling_interval_sec=polling_seconds, on_conflict="always_update"
    )
    DBOS.destroy()


if __name__ == "__main__":
    main()
