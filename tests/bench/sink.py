"""A tracing backend that takes everything and keeps nothing: `python -m tests.bench.sink PORT`."""

import asyncio
import re
import sys

LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Requests of one connection, until it closes."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = LENGTH.search(head)
            await reader.readexactly(int(found[1]) if found is not None else 0)
            writer.write(ANSWER)
    except asyncio.IncompleteReadError:
        writer.close()


async def main() -> None:
    """Until it is killed."""
    server = await asyncio.start_server(take, "127.0.0.1", int(sys.argv[1]))
    print("started", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
