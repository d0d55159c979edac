"""A network run in two parts: up to one of its steps, and from there on what that step was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

ENTRY = "entry"


class _Reached(Exception):
    """Ends a pass at the cut."""


class LayerCut:
    """Splits passes of a body whose ``steps()`` run one after the other, each on the output of the one before.

    ``taps`` are places of steps whose outputs are used elsewhere too; those below the cut are kept beside what enters
    it. The network's own code runs in both parts: below the cut each step is replaced by what it gave before.
    """

    def __init__(self, steps: Callable[[], Sequence[nn.Module]], cut: int, taps: Sequence[int] = ()) -> None:
        self._steps = steps
        self._cut = cut
        self._taps = [tap for tap in taps if tap < cut]
        self._in_tuples = False  # whether steps answer (hidden, …) instead of hidden

    def lower(self, run: Callable[[], object]) -> dict[str, Tensor]:
        """What enters the cut, and the outputs of tapped steps below, by name; ``run`` starts a pass, which ends there.

        Every tensor has the rows as its first axis.
        """
        steps = self._steps()
        kept: dict[str, Tensor] = {}

        def reached(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            kept[ENTRY] = args[0] if args else kwargs["hidden_states"]
            raise _Reached

        def tapped(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def keep(_: nn.Module, __: Any, output: Any) -> None:
                kept[name] = output[0] if isinstance(output, tuple) else output

            return keep

        def noted(_: nn.Module, __: Any, output: Any) -> None:
            self._in_tuples = isinstance(output, tuple)

        handles = [steps[self._cut].register_forward_pre_hook(reached, with_kwargs=True)]
        handles.append(steps[0].register_forward_hook(noted))
        handles += [steps[tap].register_forward_hook(tapped(f"step{tap}")) for tap in self._taps]
        try:
            run()
        except _Reached:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return kept

    def upper(self, kept: dict[str, Tensor], run: Callable[[], Tensor]) -> Tensor:
        """What ``run``, a whole pass, answers when ``kept`` stands for all that lies below the cut."""

        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
            if args:
                return (kept[ENTRY], *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": kept[ENTRY]}

        steps = self._steps()
        handle = steps[self._cut].register_forward_pre_hook(enter, with_kwargs=True)
        try:
            with self._replaced(steps, kept):
                return run()
        finally:
            handle.remove()

    @contextmanager
    def _replaced(self, steps: Sequence[nn.Module], kept: dict[str, Tensor]) -> Iterator[None]:
        for place, step in enumerate(steps[: self._cut]):
            step.forward = self._replacement(kept.get(f"step{place}"))
        try:
            yield
        finally:
            for step in steps[: self._cut]:
                del step.forward

    def _replacement(self, kept: Tensor | None) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            hidden = kept
            if hidden is None:
                hidden = args[0] if args else kwargs.get("hidden_states", torch.empty(0))
            return (hidden,) if self._in_tuples else hidden

        return forward
