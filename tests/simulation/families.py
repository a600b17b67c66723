"""What sub-sagas do: less than their parents. A definition follows from its name and the patience of its world."""

from functools import lru_cache
from random import Random

from saga.core.definition import Definition, canonical, content_hash, decode
from saga.core.expression import Object
from saga.core.plan import Plan, plan_of
from tests.simulation.structures import GRANDCHILD, ITEMS_MOST, LAST, StructureAuthor
from tests.simulation.workload import ORDER, POOL, VERY_LONG, Patience


class ChildAuthor(StructureAuthor):
    """Writes sub-sagas that can always be undone; some have sub-sagas themselves."""

    steps_most = 4
    below = GRANDCHILD
    limits = (ITEMS_MOST,)
    """What never fits would be begun again for ever behind a point of no return."""

    def named(self, name: str) -> Definition:
        """One that can always be undone; the last one of its family passes a point of no return."""
        blocks = self._sequence(self._random.choice((1, 2)), depth=1)
        if self._random.random() < 0.4:  # so that its parent may think otherwise meanwhile
            blocks.append(self._sleep())
            blocks += self._sequence(1, depth=1)
        if name.startswith(LAST):
            blocks.append(self._pivot())
        return Definition(
            name=name,
            version=1,
            deadline=VERY_LONG,
            input_type="Input",
            output_type="Output",
            reads=self._reads,
            blocks=tuple(blocks),
            output=Object({"order": ORDER}),
        )


class GrandchildAuthor(ChildAuthor):
    """Writes the last of a family."""

    steps_most = 2
    below = ""


@lru_cache(maxsize=4 * POOL)
def child_plan(name: str, patience: Patience) -> Plan:
    """The definition of this name."""
    level, _, number = name.partition("-")
    author = ChildAuthor if level not in (GRANDCHILD, LAST) else GrandchildAuthor
    data = canonical(author(Random(int(number)), patience).named(name))
    return plan_of(decode(data), content_hash(data))
