"""Whether a module is still what it was, in a few microseconds."""

from __future__ import annotations

from collections.abc import Iterator
from operator import is_
from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

Entry = tuple[dict[str, Any], str, Any]  # a dict, a key, and what is there

# Called for every module there is.
_GLOBAL_HOOKS = (torch_module._global_forward_pre_hooks, torch_module._global_forward_hooks)


class Unchanged:
    """What a module is made of. The module may hold this: there is no way back from here."""

    def __init__(self, module: nn.Module) -> None:
        inside = list(module.modules())[1:]
        parts = [(module._modules, name, part) for name, part in module._modules.items()]
        entries = parts + [entry for part in inside for entry in _entries(part)]
        self._dicts, self._keys, self._values = zip(*entries, strict=True)
        hooks = [(part._forward_pre_hooks, part._forward_hooks) for part in inside]
        self._hooks = [each for pair in (*hooks, _GLOBAL_HOOKS) for each in pair]

    def hooked(self) -> bool:
        """Whether any part has a forward hook."""
        return any(self._hooks)

    def same(self) -> bool:
        """Whether all parts, tensors and attributes inside are the very objects they were."""
        # Without a line of Python for each: there are sixty of them in a block.
        return all(map(is_, map(dict.get, self._dicts, self._keys), self._values))


def _entries(part: nn.Module) -> Iterator[Entry]:
    """All that decides what `part` computes."""
    for own in (part._modules, part._parameters, part._buffers, vars(part)):
        # With underscores are torch's own, as the three above.
        yield from ((own, name, value) for name, value in own.items() if name[0] != "_")
    yield vars(part), "forward", vars(part).get("forward")  # some libraries put one in its way
