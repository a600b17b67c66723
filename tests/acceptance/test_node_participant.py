"""A participant in Node.js with a bare AMQP client: it keeps every rule, and takes part in a saga like any other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from saga.conform import RULES, Target
from tests.acceptance.service import Service, declared, not_kept, tried
from tests.node import NodeMissing, project

SAMPLE = Path(__file__).parent / "node"
LOYALTY = Target(
    command="loyalty.AwardPoints.v1",
    body=b'{"customer": "$UNIQUE", "points": 5}',
    undo="loyalty.RevokePoints.v1",
    undo_body=b'{"customer": "$UNIQUE", "points": 5}',
    declined_body=b'{"customer": "closed-$UNIQUE", "points": 5}',
)

pytestmark = pytest.mark.timeout(400)  # npm fetches the client once


@pytest.fixture
async def loyalty(vhost: str, tmp_path: Path) -> AsyncIterator[Service]:
    """The sample as it is printed, with its packages as locked."""
    try:
        node = project(SAMPLE, tmp_path)
    except NodeMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    await declared(vhost, "loyalty")
    service = Service([node.node, str(tmp_path / "participant.mjs")], tmp_path, AMQP_URL=vhost)
    yield service.start()
    service.close()


async def test_it_keeps_every_rule(vhost: str, loyalty: Service) -> None:
    """Also over a kill -9: nothing is left untried."""
    findings = await tried(vhost, LOYALTY, loyalty.restart)
    assert not_kept(findings) == {}
    assert len(findings) == len(RULES)
