"""Definitions: content under a hash, one content for each name and version."""

import pytest

from saga.core.errors import DefinitionConflict
from saga.ports import Batch, SagaFilter, Store, StoredDefinition
from tests.conformance.store.places import new_saga


def definition(name: str, version: int, content: bytes = b"{}") -> StoredDefinition:
    return StoredDefinition(hash=f"{name}-{version}-{content.hex()}", name=name, version=version, canonical=content)


async def test_a_published_definition_is_found_by_its_hash(store: Store) -> None:
    """Bytes and names come back, with the time of publishing."""
    published = definition("order", 1, b'{"\x00":"\xff"}')
    await store.publish(published)
    found = await store.get(published.hash)
    assert found is not None
    assert (found.name, found.version, found.canonical) == ("order", 1, published.canonical)
    assert found.published_at is not None
    assert await store.get("unknown") is None


async def test_publishing_again_changes_nothing(store: Store) -> None:
    """Every process may publish what it has at its start."""
    published = definition("order", 1)
    await store.publish(published)
    before = await store.get(published.hash)
    await store.publish(published)
    assert await store.get(published.hash) == before
    assert len(await store.named("order")) == 1


async def test_another_content_under_the_same_version_is_refused(store: Store, rival: Store) -> None:
    """The error names what is stored; the stored one stays."""
    await store.publish(definition("order", 1, b"old"))
    with pytest.raises(DefinitionConflict, match=r"order v1.*new version number"):
        await rival.publish(definition("order", 1, b"new"))
    assert [each.canonical for each in await store.named("order")] == [b"old"]


async def test_versions_are_listed_newest_first(store: Store) -> None:
    """By name, then from the newest version down; one name or all."""
    for name, version in (("b", 2), ("a", 9), ("b", 10), ("a", 10), ("B", 1)):
        await store.publish(definition(name, version))
    every = [(each.name, each.version) for each in await store.named()]
    assert every == [("B", 1), ("a", 10), ("a", 9), ("b", 10), ("b", 2)]
    assert [each.version for each in await store.named("b")] == [10, 2]
    assert await store.named("c") == []


async def test_a_row_shows_the_version_of_its_definition(store: Store) -> None:
    """Lists name the definition's version, and 0 for one that was never published."""
    published = definition("order", 7)
    await store.publish(published)
    known, unknown = new_saga(definition=published.hash), new_saga(definition="gone")
    await store.commit(Batch(starts=[known, unknown]))
    rows = {row.saga: row.definition_version for row in await store.sagas(SagaFilter())}
    assert rows == {known.saga: 7, unknown.saga: 0}
