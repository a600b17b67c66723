"""Starting: one saga for each key, for ever, and every caller hears what became of its start."""

import msgspec
import pytest

from saga import wire
from saga.core.definition import When
from saga.core.events import SagaStarted, decode
from saga.core.expression import Present, Ref, ScalarType
from saga.core.sampling import Sampling
from saga.engine.settings import EngineSettings
from saga.ports import StoredDefinition, Unavailable
from tests.builders import plan, step
from tests.unit.engine.rig import CALLER, CLIENT, Rig, heard, start_message


async def test_a_start_is_accepted_and_its_first_command_leaves(rig: Rig) -> None:
    """The caller hears the saga's id, on the address it chose."""
    process = await rig.process()
    delivery = await rig.start()
    hop = await process.hop(delivery)
    assert hop.done == [delivery]
    [answer] = hop.answers
    row = await rig.row()
    assert (answer.saga, answer.reply_to, answer.in_reply_to) == (row.saga, f"{CALLER}.{CLIENT}", "start-o1")
    assert row.start_key == "k:o1"
    assert (await rig.command()).saga == row.saga


async def test_a_start_twice_in_one_batch_is_one_saga(rig: Rig) -> None:
    """The copy waits for the next batch and hears that the saga exists."""
    process = await rig.process()
    first, copy = await rig.start(), await rig.start()
    hop = await process.handle(first, copy)
    assert (heard(hop), hop.done) == (["accepted"], [first])
    again = await process.handle(*hop.again)
    assert (heard(again), again.done) == (["accepted existing"], [copy])
    assert again.answers[0].saga == hop.answers[0].saga
    assert again.dispatches == []


async def test_a_start_twice_at_two_orchestrators_is_one_saga(rig: Rig) -> None:
    """Both callers hear the same saga."""
    one, two = await rig.process(), await rig.process()
    first, copy = await rig.start(), await rig.start(message_id="another", start_key="m:another")
    hop, other = await one.handle(first), await two.handle(copy)
    assert heard(hop) == ["accepted"]
    assert heard(other) == ["accepted existing"]
    assert {each.answers[0].saga for each in (hop, other)} == {(await rig.row()).saga}


async def test_without_a_key_the_message_id_is_the_key() -> None:
    """Where a definition names none: the same message is the same saga, another message another one."""
    rig = Rig(plan(step("reserve")))
    process = await rig.process()
    await process.hop(await rig.start())
    again = await process.handle(await rig.start())
    await process.hop(await rig.start(message_id="second", start_key="m:second"))
    assert heard(again) == ["accepted existing"]
    assert [row.start_key for row in await rig.rows()] == ["m:start-o1", "m:second"]


async def test_the_callers_key_comes_before_the_definitions(rig: Rig) -> None:
    """`saga-key` is what the caller says the saga is."""
    process = await rig.process()
    await process.hop(await rig.start(start_key="k:mine"))
    assert (await rig.row()).start_key == "k:mine"


async def test_the_same_key_with_another_input_is_refused(rig: Rig) -> None:
    """Other bytes under a used key: the caller hears which saga has it and what to do."""
    process = await rig.process()
    await process.hop(await rig.start(start_key="k:mine"))
    hop = await process.handle(await rig.start("o2", start_key="k:mine"))
    assert heard(hop) == ["refused key-reused"]
    assert (await rig.row()).saga in hop.answers[0].reason
    assert "mine#2" in hop.answers[0].reason
    assert len(hop.done) == 1


async def test_a_refusal_nobody_can_hear_is_kept(rig: Rig) -> None:
    """Without a `reply_to` the second start would vanish: it is parked with the reason."""
    process = await rig.process()
    await process.hop(await rig.start(start_key="k:mine"))
    silent = await rig.start("o2", start_key="k:mine", reply_to="")
    hop = await process.handle(silent)
    assert hop.done == []
    last = await process.handle(*hop.again)
    assert last.done == [silent]
    [parked] = await rig.parked()
    assert parked.reason == "key-reused"


async def test_a_start_of_a_saga_that_has_ended_hears_how(rig: Rig) -> None:
    """Asked again by the same or another message: accepted, and ended with its output."""
    process = await rig.process()
    await process.hop(await rig.start())
    await process.hop(await rig.reply(await rig.command()))
    await process.hop(await rig.reply(await rig.command("charge-service")))
    hop = await process.handle(await rig.start(message_id="later", start_key="m:later"))
    assert heard(hop) == ["accepted existing", "ended completed"]
    assert {answer.in_reply_to for answer in hop.answers} == {"later"}
    assert hop.answers[1].output == b'{"order":"o1"}'


async def test_a_lost_start_without_a_winner_is_tried_again(rig: Rig) -> None:
    """The winner's commit may not be visible yet: the start must not be forgotten, unsettled, in this process."""
    one, two = await rig.process(), await rig.process()
    first, copy = await rig.start(), await rig.start()
    await one.hop(first)
    rig.store.blind = True
    hop = await two.handle(copy)
    assert hop.done == []
    assert [each.delivery for each in hop.again] == [copy]


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"name": "ordre"}, "unknown-definition", "published: order, pivotal"),
        ({"name": "ord"}, "unknown-definition", "no definition 'ord'"),
        ({"version": 7}, "unknown-version", "no version 7; published: 1"),
        ({"input": b"{}"}, "reads-mismatch", "input.id"),
        ({"input": b'{"id":7}'}, "reads-mismatch", "input.id"),
        ({"input": b'{"id":"' + b"x" * 201 + b'"}'}, "invalid-payload", "201 characters"),
        ({"input": b'{"id":""}'}, "invalid-payload", "wanted 1 to 200. Fix: correct the field"),
    ],
)
async def test_a_start_that_cannot_run_is_refused_and_kept(
    rig: Rig, fields: dict[str, object], code: str, said: str
) -> None:
    """The caller hears the code and the reason; the message is parked; its neighbour in the batch is accepted."""
    process = await rig.process()
    bad, good = await rig.start("o1", **fields), await rig.start("o2")
    hop = await process.handle(bad, good)
    assert sorted(heard(hop)) == ["accepted", f"refused {code}"]
    assert any(said in answer.reason for answer in hop.answers), hop.answers
    assert len(hop.done) == 2
    [parked] = await rig.parked()
    assert parked.reason == code


async def test_a_caller_without_a_vouched_user_hears_refusals_too(rig: Rig) -> None:
    """A start needs no `user_id`; whoever may hear `accepted` must hear `refused`."""
    message = wire.start_to_wire(start_message(name="nothing"))
    [delivery] = await rig.arrive("saga.start", message, sender=CALLER)
    unvouched = msgspec.structs.replace(delivery, sender=None)
    process = await rig.process()
    assert heard(await process.handle(unvouched)) == ["refused unknown-definition"]


async def test_the_actor_is_believed_from_gateways_only(rig: Rig) -> None:
    """`saga-actor` of anybody else is not what the history says."""
    process = await rig.process()
    message = wire.start_to_wire(start_message("o1", actor="ada", reply_to=""))
    [honest] = await rig.arrive("saga.start", message, sender="gateway")
    message = wire.start_to_wire(start_message("o2", actor="ada"))
    [liar] = await rig.arrive("saga.start", message, sender=CALLER)
    await process.hop(honest, liar)
    histories = [(await rig.store.history(row.saga))[0].data for row in await rig.rows()]
    assert [b'"actor":"ada"' in data for data in histories] == [True, False]


async def test_a_definition_published_just_now_is_found(rig: Rig) -> None:
    """Whoever publishes and then starts is never told that the definition is unknown."""
    process = await rig.process()
    await process.hop(await rig.start())
    await rig.publish(plan(step("reserve"), name="fresh"))
    hop = await process.handle(await rig.start("o9", name="fresh"))
    assert heard(hop) == ["accepted"]


async def test_unknown_names_cost_one_look_a_batch(rig: Rig) -> None:
    """A flood of nonsense does not become a flood of queries."""
    process = await rig.process()
    await process.hop(await rig.start())
    flood = [await rig.start(f"o{number}", name=f"nonsense-{number}") for number in range(20)]
    rig.store.calls.clear()
    await process.handle(*flood)
    assert rig.store.calls["named"] == 1


async def test_a_definition_that_cannot_be_decoded_refuses_its_starts_alone(rig: Rig) -> None:
    """Damaged in the store: its starts are parked as our defect, others are accepted."""
    process = await rig.process()
    damaged = plan(step("reserve"), name="damaged")
    await rig.publish(damaged)
    rig.store._definitions[damaged.hash] = StoredDefinition(damaged.hash, "damaged", 1, b"not a definition")
    hop = await process.handle(await rig.start("o1", name="damaged"), await rig.start("o2"))
    assert sorted(heard(hop)) == ["accepted", "refused engine-defect"]


async def test_an_answer_that_must_wait_for_the_store_is_not_lost(rig: Rig) -> None:
    """The duplicate cannot be looked up now: it comes again, and the rest of the batch is settled."""
    process = await rig.process()
    await process.hop(await rig.start())
    copy, new = await rig.start(), await rig.start("o2")
    rig.store.fail("find", Unavailable("gone"))
    hop = await process.handle(copy, new)
    assert hop.done == [new]
    assert heard(hop) == ["accepted"]
    again = await process.handle(*hop.again)
    assert heard(again) == ["accepted existing"]


async def test_a_saga_that_ends_as_it_starts_says_both() -> None:
    """Nothing to do: accepted and ended follow one another, and nothing is sent."""
    absent = Present(Ref("input", ("gift",), ScalarType.STR))
    rig = Rig(plan(When(path="wrap", condition=absent, then=(step("reserve"),))))
    process = await rig.process()
    hop = await process.handle(await rig.start())
    assert heard(hop) == ["accepted", "ended completed"]
    assert hop.dispatches == []
    assert hop.opened == 0


async def test_whether_a_saga_is_traced_is_recorded_and_sent() -> None:
    """The decision stands in the history, and every command says it to its participant."""
    rig = Rig(settings=EngineSettings(sampling=Sampling({"order": 0.0})))
    process = await rig.process()
    await process.hop(await rig.start())
    [first] = await rig.store.history((await rig.row()).saga)
    [started, *_] = decode(first.data)
    assert isinstance(started, SagaStarted)
    assert started.untraced
    assert ((await rig.command()).traceparent or "").endswith("-00")
