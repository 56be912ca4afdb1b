"""BEBR's recurrent binarization as a torch network (Gan et al., "Binary Embedding-based Retrieval at Tencent", KDD'23).

    b_0 = sgn(W(f)),   r_t = R_t(b_t) / ‖R_t(b_t)‖,   b_{t+1} = b_t + 2^−(t+1)·sgn(T_t(f − r_t)),   code = b_u

W and T_t map dim_in to dim dimensions, R_t maps back. Each map is a linear part plus a perceptron of `blocks` times
Linear → BatchNorm → ReLU, and one Linear more. The published maps have no linear part: with it, and a perceptron that
gives 0 at first, training begins at the residual quantization of a rotation, and not at noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from annbench.indexes.transforms.binarizer import Binarizer, Perceptron


@dataclass(frozen=True)
class Shape:
    """`steps` is u: codes have u + 1 bits in each of `dim` dimensions. `hidden` 0 leaves out the perceptrons."""

    dim_in: int
    dim: int
    steps: int
    hidden: int
    blocks: int


class _Sign(torch.autograd.Function):
    """±1, and +1 for 0; the gradient passes straight through where the input lies within −1 … 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


def sign(x: Tensor) -> Tensor:
    """Signs of x with the straight-through gradient."""
    signs: Tensor = _Sign.apply(x)
    return signs


class Map(nn.Module):
    """x → linear(x) + perceptron(x)."""

    def __init__(self, dim_in: int, dim_out: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim_in, dim_out)
        layers: list[nn.Module] = []
        width = dim_in
        for _ in range(blocks if hidden else 0):
            layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
            nn.init.xavier_normal_(layers[-3].weight)
            nn.init.zeros_(layers[-3].bias)
            width = hidden
        if layers:
            layers.append(nn.Linear(width, dim_out))
            nn.init.zeros_(layers[-1].weight)
            nn.init.zeros_(layers[-1].bias)
        self.perceptron = nn.Sequential(*layers) if layers else None

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.linear(x)
        return mapped if self.perceptron is None else mapped + self.perceptron(x)

    def folded(self) -> Perceptron:
        """The same in evaluation mode, its batch norms gone into the layers before them."""
        layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for part in self.perceptron or ():
            if isinstance(part, nn.Linear):
                layers.append((_numpy(part.weight), _numpy(part.bias)))
            elif isinstance(part, nn.BatchNorm1d):
                matrix, bias = (values.astype(np.float64) for values in layers[-1])
                mean, variance, weight, shift = map(
                    _numpy, (part.running_mean, part.running_var, part.weight, part.bias)
                )
                scale = weight / np.sqrt(variance.astype(np.float64) + part.eps)
                layers[-1] = _narrow(matrix * scale[:, None]), _narrow((bias - mean) * scale + shift)
        return Perceptron(_numpy(self.linear.weight), _numpy(self.linear.bias), tuple(layers))


class Network(nn.Module):
    """The whole, of float vectors (n, dim_in) of about unit length."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        maps = (shape.hidden, shape.blocks)
        self.first = Map(shape.dim_in, shape.dim, *maps)
        self.residual = nn.ModuleList(Map(shape.dim_in, shape.dim, *maps) for _ in range(shape.steps))
        self.reconstruct = nn.ModuleList(Map(shape.dim, shape.dim_in, *maps) for _ in range(shape.steps))
        # Codes are less alike than what they stand for: by what their cosines are to be multiplied, as a logarithm, for
        # the codes of every step. Learned with the rest, and of no use afterwards.
        self.sharpness = nn.Parameter(torch.zeros(shape.steps + 1))

    def forward(self, f: Tensor) -> list[Tensor]:
        """b_0 … b_u, each (n, dim)."""
        codes = [sign(self.first(f))]
        for step, (residual, reconstruct) in enumerate(zip(self.residual, self.reconstruct, strict=True)):
            rest = f - normalize(reconstruct(codes[-1]), dim=1)
            codes.append(codes[-1] + 2.0 ** -(step + 1) * sign(residual(rest)))
        return codes

    def learning(self) -> Network:
        """Itself, ready to be trained, with batch norms as `set_moments` left them: a batch of neighbours says little
        of what vectors look like.
        """
        self.train()
        for part in self.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.train(False)
        return self

    def set_moments(self, vectors: Tensor) -> None:
        """Give batch norms the moments that they see of `vectors` (n, dim_in), n >= 2."""
        norms = [part for part in self.modules() if isinstance(part, nn.BatchNorm1d)]
        if not norms:
            return
        for part in norms:
            part.momentum = 1.0  # of these vectors, and nothing of what was before
        self.train()
        with torch.no_grad():
            self(vectors)
        self.train(False)

    def begin_at(self, linear: Binarizer) -> None:
        """Computes what a binarizer without perceptrons does, whose shape is this one's."""
        pairs = [(self.first, linear.first), *zip(self.residual, linear.residual, strict=True),
                 *zip(self.reconstruct, linear.reconstruct, strict=True)]  # fmt: skip
        with torch.no_grad():
            for part, given in pairs:
                part.linear.weight.copy_(torch.from_numpy(given.linear))
                part.linear.bias.copy_(torch.from_numpy(given.bias))

    def folded(self) -> Binarizer:
        """What is applied without torch."""
        return Binarizer(
            self.first.folded(),
            tuple(part.folded() for part in self.residual),
            tuple(part.folded() for part in self.reconstruct),
        )


def _numpy(values: Tensor | None) -> NDArray[np.float32]:
    assert values is not None
    array: NDArray[np.float32] = values.detach().cpu().numpy().astype(np.float32)
    return array


def _narrow(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)
