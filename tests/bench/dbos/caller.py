"""The caller of the DBOS side: enqueues orders through a DBOSClient and waits until all have ended."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from dbos import DBOSClient, EnqueueOptions

from tests.bench.dbos.names import APP, QUEUE, WORKFLOW

POLL_SECONDS = 0.05
OPTIONS: EnqueueOptions = {"queue_name": QUEUE, "workflow_name": WORKFLOW, "app_version": "bench"}


def main() -> None:
    """For each line `PREFIX COUNT` of standard input: place as many orders, answer with the seconds it took."""
    database, threads = sys.argv[1], int(sys.argv[2])
    client = DBOSClient(system_database_url=database, system_database_pool_size=threads, application_name=APP)
    watch = sa.create_engine(database, isolation_level="AUTOCOMMIT")
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        prefix, count = line.split()
        print(json.dumps({"seconds": _place(client, watch, threads, prefix, int(count))}), flush=True)


def _place(client: DBOSClient, watch: sa.Engine, threads: int, prefix: str, count: int) -> float:
    def one(number: int) -> None:
        order_id = f"{prefix}-{number}"
        client.enqueue({**OPTIONS, "workflow_id": order_id}, order_id, 2_000)

    begun = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(count)))
    unfinished = sa.text("select exists (select from dbos.workflow_status where status in ('ENQUEUED', 'PENDING'))")
    with watch.connect() as connection:
        while connection.execute(unfinished).scalar():
            time.sleep(POLL_SECONDS)
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
