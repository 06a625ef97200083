"""Changes to an ONNX file, as a converter's bug would make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tests.seeded_bugs.bug import Right, Seed

Array = NDArray[Any]


class OnnxFile:
    """The graph of a file with one input and one output."""

    def __init__(self, path: Path) -> None:
        self.model = onnx.load(path)
        self.graph = self.model.graph
        self._count = 0

    @property
    def input(self) -> str:
        """Name of the images."""
        return self.graph.input[0].name

    @property
    def output(self) -> str:
        """Name of the logits."""
        return self.graph.output[0].name

    def nodes(self, op: str) -> list[onnx.NodeProto]:
        """Return all nodes of one operator, in order; there is one at least."""
        found = [node for node in self.graph.node if node.op_type == op]
        assert found, f"no {op}; there are {sorted({node.op_type for node in self.graph.node})}"
        return found

    def convs(self, wanted: Callable[[Array, dict[str, Any]], bool]) -> list[onnx.NodeProto]:
        """Return the convolutions that ``wanted`` (weights, attributes) chooses; there is one at least."""
        found = [node for node in self.nodes("Conv") if wanted(self.array(node.input[1]), attributes(node))]
        assert found, "no such convolution"
        return found

    def array(self, name: str) -> Array:
        """Return a copy of an initializer."""
        (tensor,) = (each for each in self.graph.initializer if each.name == name)
        return np.array(numpy_helper.to_array(tensor))

    def put(self, name: str, values: Array) -> None:
        """Replace an initializer."""
        (tensor,) = (each for each in self.graph.initializer if each.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))

    def change(self, name: str, how: Callable[[Array], Array]) -> None:
        """Replace an initializer by what ``how`` makes of it, which must be something else."""
        before = self.array(name)
        after = how(before.copy())
        assert after.shape != before.shape or not np.array_equal(after, before), f"{name} stayed as it is"
        self.put(name, after.astype(before.dtype))

    def constant(self, values: Any, dtype: type = np.float32) -> str:
        """Add an initializer and return its name."""
        name = self.fresh("constant")
        self.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def fresh(self, what: str) -> str:
        """Return a name that is not taken."""
        self._count += 1
        return f"seeded_{what}_{self._count}"

    def make(self, op: str, inputs: list[str], **attrs: Any) -> onnx.NodeProto:
        """Return a node with one new output, which is not in the graph yet."""
        return helper.make_node(op, inputs, [self.fresh(op)], **attrs)

    def consumers(self, name: str) -> list[onnx.NodeProto]:
        """Return the nodes that take ``name``."""
        return [node for node in self.graph.node if name in node.input]

    def producer(self, name: str) -> onnx.NodeProto:
        """Return the node that gives ``name``."""
        (node,) = (each for each in self.graph.node if name in each.output)
        return node

    def rewire(self, old: str, new: str) -> None:
        """Let everything that takes ``old`` take ``new``."""
        for node in self.graph.node:
            node.input[:] = [new if each == old else each for each in node.input]

    def replace(self, node: onnx.NodeProto, *instead: onnx.NodeProto) -> None:
        """Put nodes in the place of one; the last of them gives its output."""
        index = list(self.graph.node).index(node)
        instead[-1].output[0] = node.output[0]
        self.graph.node.remove(node)
        for offset, each in enumerate(instead):
            self.graph.node.insert(index + offset, each)

    def bypass(self, node: onnx.NodeProto, source: str) -> None:
        """Take a node away; what took its output takes ``source``."""
        self.replace(node, helper.make_node("Identity", [source], [node.output[0]]))

    def before(self, *chain: onnx.NodeProto) -> None:
        """Send the images through ``chain`` first; its first node takes the input already."""
        self.rewire(self.input, chain[-1].output[0])
        for offset, each in enumerate(chain):
            self.graph.node.insert(offset, each)

    def after(self, chain: Callable[[str], list[onnx.NodeProto]]) -> None:
        """Send the logits through what ``chain`` makes of their name."""
        logits = self.output
        inner = self.fresh("logits")
        last = self.producer(logits)
        last.output[:] = [inner if each == logits else each for each in last.output]
        self.rewire(logits, inner)
        nodes = chain(inner)
        nodes[-1].output[0] = logits
        self.graph.node.extend(nodes)

    def save(self, path: Path) -> None:
        """Write the file; inferred shapes are dropped, as they may have changed."""
        del self.graph.value_info[:]
        onnx.save(self.model, path)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def put_attributes(node: onnx.NodeProto, **changed: Any) -> None:
    """Set attributes of a node, which must become others."""
    before = attributes(node)
    assert any(before.get(name) != value for name, value in changed.items()), f"{node.op_type} stayed as it is"
    kept = [each for each in node.attribute if each.name not in changed]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in changed.items())])


def edited(change: Callable[[OnnxFile], None]) -> Seed:
    """Return a seed that changes the right ONNX file."""

    def seed(right: Right, path: Path) -> None:
        file = OnnxFile(right.path)
        change(file)
        file.save(path)

    return seed
