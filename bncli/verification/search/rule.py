"""Where a kernel is wrong and where it is right, in a line that has its counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from bncli.verification.search import case_numbers
from bncli.verification.search.attempts import Attempts, TimeUp
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.case_needs import TINY, ZEROS, NoCondition, conditions
from bncli.verification.search.fits import EVERYWHERE
from bncli.verification.search.learning import ENOUGH, Learning
from bncli.verification.search.nearby import Nearby
from bncli.verification.search.predicates import Predicate
from bncli.verification.search.resized import Resized, has_sizes
from bncli.verification.search.trial import Tried

ALL, FEWER = 8, 5  # cases at least that are wrong where all are, and where each takes long
ROUNDS = 20  # times at most that a rule is replaced by what fresh cases show
LARGER = (16, 5, 4)
AGAIN = 1.0  # seconds for a rule on shapes, where the search for one on numbers took too long
FEW_UNKNOWN = 5  # one in so many wrong cases may be one of which nothing can be said, where all are wrong
MOST_LUCKY, FEW_LUCKY = 24, 5  # right cases that are drawn anew; one in so many wrong ones may be right by luck


def rule(smallest: Tried, attempts: Attempts) -> str:
    """The rule around the ``smallest`` WRONG case; where no simple one fits all that was tried, that."""
    try:
        looking = _Looking(smallest, attempts)
    except TimeUp:
        return ""
    try:
        return looking.stated()
    except (TimeUp, NoCondition):
        return looking.unclear()


class _Looking:
    """Learns from cases of other shapes; where the numbers matter, from other numbers too."""

    def __init__(self, smallest: Tried, attempts: Attempts) -> None:
        self.smallest, self.attempts, self.base = smallest, attempts, _without_zeros(smallest, attempts)
        self.nearby, self.resized = Nearby(self.base), Resized(self.base)
        self.learning = Learning(case_numbers.SHAPES, case_numbers.of_shape, attempts, smallest)
        self.lucky = 0

    def stated(self) -> str:
        """The rule that fits. Raises TimeUp, and NoCondition where none does."""
        seeds = [self.attempts.fails(line, self.smallest) for line in self.resized.seeds()]
        limited = any(
            all(self.attempts.fails(line, self.smallest) is False for line in lines) for lines in self.resized.limited()
        )
        if limited or has_sizes(self.base) or False in seeds:
            try:
                found = self._of_numbers()
                if found and found is not EVERYWHERE:
                    return self._with_conditions(found, sized=True)
            except TimeUp:
                self.attempts.allow(AGAIN)
            self.learning = Learning(case_numbers.SHAPES, case_numbers.of_shape, self.attempts, self.smallest)
        found = self._of_shapes()
        if not found or (limited and not has_sizes(self.smallest.line)):
            raise NoCondition
        return self._with_conditions(found, sized=False)

    def unclear(self) -> str:
        """What was tried, where no rule can be stated."""
        wrong, right = self.learning.wrong, self.learning.right
        if not wrong:
            return ""  # the error is so near to what rounding allows that other data say nothing
        count = len(wrong) + len(right)
        if not right and count > 1:
            return f"wrong on every problem tried ({count:,})"
        tried = f"no simple rule fits the {count:,} problems tried near it"
        if needed := self.learning.necessary():
            there = int(needed.holds(self.learning.rows(right)).sum())
            others = len(right) - there
            if there:
                counts = f"({len(wrong):,} of {len(wrong) + there:,} tried), right elsewhere ({others:,} of {others:,})"
                tried = f"{tried}: wrong on some {needed.text} {counts}"
            else:
                tried = (
                    f"no rule is certain: of the {count:,} problems tried near it, all {needed.text} are wrong "
                    f"({len(wrong):,}) and all others right ({others:,})"
                )
        return f"{tried}; the largest that is right: {right[-1]}" if right else tried

    def _of_numbers(self) -> Predicate | None:
        columns = (*case_numbers.SHAPES, *case_numbers.VALUES)
        self.learning = learning = Learning(columns, case_numbers.of_all, self.attempts, self.smallest)
        learning.add([self.base, *self.resized.first(), *chain(*self.resized.limited()), *self.nearby.first()])
        # What depends on the shape too has another limit there.
        larger = Resized(self.nearby.with_shape(LARGER))
        learning.add(larger.sized() if larger.base.problem.size > self.base.problem.size else [])
        while border := [*self.resized.border(learning), *larger.border(learning)]:
            learning.add(border)
        pool = self.nearby.pool(drawn=30) + self.resized.pool()
        return self._settled(pool, lambda: self.nearby.border(learning))

    def _of_shapes(self) -> Predicate | None:
        learning = self.learning
        learning.add([self.base, *self.nearby.first()])
        pool = self.nearby.pool()

        def near() -> list[CaseLine]:
            return self.nearby.border(learning)

        while (found := self._settled(pool, near)) is None and self._drop_the_lucky():
            pass
        return found

    def _settled(self, pool: Sequence[CaseLine], near: Callable[[], list[CaseLine]]) -> Predicate | None:
        """The predicate that fits, and still does so on fresh cases on both sides of it."""
        rng, share = np.random.default_rng(self.base.seed), self.nearby.share
        shapes = self.nearby.dense()
        of_shapes = np.array([case_numbers.of_sizes(shape) for shape in shapes], float)
        for _ in range(ROUNDS):
            found = self.learning.predicate(pool, near)
            if found is None:
                return None
            if found.shapes:
                stands = self.learning.stands(
                    found, of_shapes, lambda row: self.nearby.with_shape(shapes[row]), rng, share
                )
            else:
                stands = self.learning.stands(found, self.learning.rows(pool), pool.__getitem__, rng, share)
            if stands:
                return found if self._holds_on_other_data(found) else None
        return None

    def _holds_on_other_data(self, found: Predicate) -> bool:
        """Whether cases next to each other, right and wrong, stay so when they are drawn anew."""
        if found is EVERYWHERE:
            return True
        if found.loose or not self.learning.sure(found):
            return False
        if not found.shapes:
            return True
        steps = (1,) if self.nearby.big else (1, 2)
        drawn = [replace(line, seed=line.seed + step) for line in self.learning.nearest() for step in steps]
        return all(
            self.attempts.fails(line, self.smallest) is bool(fails)
            for line, fails in zip(drawn, found.holds(self.learning.rows(drawn)), strict=True)
        )

    def _drop_the_lucky(self) -> bool:
        """Whether some of what is right, but few, is wrong when the same shape is drawn anew: that is no evidence."""
        before = self.lucky
        for line in self.learning.right[:MOST_LUCKY]:
            again = [replace(line, seed=line.seed + step) for step in (1, 2, 3)]
            if any(self.attempts.fails(each, self.smallest) for each in again):
                self.learning.found[line] = None
                self.lucky += 1
        return before < self.lucky <= len(self.learning.wrong) // FEW_LUCKY

    def _with_conditions(self, found: Predicate, sized: bool) -> str:
        wrong, right = self.learning.wrong, self.learning.right
        evidence = _of_several_shapes(self.base, wrong)
        texts = found.texts
        for condition in conditions(evidence, self.attempts, self.smallest, sized):
            tried = [condition.without(line) for line in evidence]
            fails = [self.attempts.fails(line, self.smallest) for line in tried]
            if any(fails):
                raise NoCondition
            right = [*right, *(line for line, each in zip(tried, fails, strict=True) if each is False)]
            texts.append(condition.text)
        texts = list(filter(None, texts))
        k, all_of = len(wrong), len(wrong) + self.lucky
        if self.learning.unknown - self.lucky > k // (FEW_UNKNOWN if found is EVERYWHERE else 1):
            raise NoCondition
        if not texts and k >= (FEWER if self.nearby.slow else ALL):
            every = "every problem tried" if k == all_of else "nearly every problem tried"
            return f"wrong on {every} ({k:,} of {all_of:,})" if self.lucky else f"wrong on {every} ({k:,})"
        if not texts or min(k, len(right)) < ENOUGH:
            raise NoCondition
        counts = f"({k:,} of {all_of:,} tried), right elsewhere ({len(right):,} of {len(right):,})"
        return f"wrong {_sentence(texts)} {counts}"


def _without_zeros(smallest: Tried, attempts: Attempts) -> CaseLine:
    """Its case, with a tiny gamma in place of 0 where that is wrong too: then it is the size that matters."""
    tiny = smallest.line.holding("gamma", TINY)
    zeros = smallest.line.gamma in ZEROS
    return tiny if zeros and attempts.fails(tiny, smallest) else smallest.line


def _of_several_shapes(base: CaseLine, wrong: Sequence[CaseLine]) -> list[CaseLine]:
    """``base`` and a few others, those first that have no axis of one."""
    others = sorted(wrong, key=lambda line: (min(line.problem.canonical_shape) == 1, line.problem.size))
    return list({line.problem.canonical_shape: line for line in (base, *others)}.values())[:ENOUGH]


def _sentence(texts: Sequence[str]) -> str:
    """One ``where`` is enough, and comes first."""
    where = [text.removeprefix("where ") for text in texts if text.startswith("where ")]
    others = [text for text in texts if not text.startswith("where ")]
    return ", ".join([*(["where " + " and ".join(where)] if where else []), *others])
