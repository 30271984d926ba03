import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hsi_cd.nn.tiles import in_tiles, tile_size


class Spread:
    """A network of radius 2 that knows what it was asked for, and has memory for so many pixels."""

    def __init__(self, room: int = 10**9) -> None:
        self.room = room
        self.asked: list[tuple[int, int]] = []

    def __call__(self, t1: Tensor, t2: Tensor, valid: Tensor) -> Tensor:
        rows, cols = t1.shape[2] - 4, t1.shape[3] - 4
        self.asked.append((rows, cols))
        if rows * cols > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        squares = ((t1 - t2).abs() * valid).unfold(2, 5, 1).unfold(3, 5, 1)
        return squares.sum(dim=(1, 4, 5)).unsqueeze(1)


def window(rows: int, cols: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    shape = (1, 3, rows + 4, cols + 4)
    t1, t2 = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return t1, t2, torch.rand(shape, generator=generator)[:, :1] > 0.2


@given(rows=st.integers(1, 40), cols=st.integers(1, 40), height=st.integers(1, 50), width=st.integers(1, 50))
def test_tiles_of_any_size_give_the_whole(rows: int, cols: int, height: int, width: int) -> None:
    network, tensors = Spread(), window(rows, cols)
    found = in_tiles(network, *tensors, radius=2, tile=(height, width))
    there = tensors[2][..., 2:-2, 2:-2]
    torch.testing.assert_close(found[there], Spread()(*tensors)[there])
    assert max(r for r, _ in network.asked) <= height and max(c for _, c in network.asked) <= width
    assert sum(r * c for r, c in network.asked) == rows * cols or not there.all()
    assert int(there.sum()) <= sum(r * c for r, c in network.asked) <= rows * cols


def test_tiles_without_a_valid_pixel_are_not_computed() -> None:
    network, (t1, t2, valid) = Spread(), window(40, 60)
    valid[:] = False
    valid[..., 2 + 25, 2 + 41] = valid[..., 0, 0] = True  # the second lies beyond the window itself
    found = in_tiles(network, t1, t2, valid, radius=2, tile=(20, 20))
    expected = torch.zeros(1, 1, 40, 60, dtype=torch.float64)
    expected[..., 20:, 40:] = Spread()(t1, t2, valid)[..., 20:, 40:]
    assert network.asked == [(20, 20)]
    torch.testing.assert_close(found, expected)
    assert in_tiles(network, t1, t2, torch.zeros_like(valid), radius=2, tile=(20, 20)).shape == (1, 1, 40, 60)
    assert len(network.asked) == 2


def test_tiles_are_of_about_equal_size() -> None:
    network = Spread()
    in_tiles(network, *window(70, 140), radius=2, tile=(32, 64))
    assert {r for r, _ in network.asked} == {24, 22} and {c for _, c in network.asked} == {48, 44}


def test_a_full_memory_is_answered_with_smaller_tiles() -> None:
    network, tensors = Spread(room=500), window(60, 50)
    found = in_tiles(network, *tensors, radius=2, tile=(64, 64))
    torch.testing.assert_close(found, Spread()(*tensors))
    failed = [r * c for r, c in network.asked if r * c > 500]
    assert failed == [60 * 50, 32 * 28]  # 64 x 64, then 32 x 32 cut evenly, then 16 x 16


def test_a_memory_too_small_for_anything_is_an_error() -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError):
        in_tiles(Spread(room=10), *window(60, 50), radius=2)


def test_a_processor_gets_small_tiles() -> None:
    height, width = tile_size(torch.device("cpu"))
    assert 256 <= height * width <= 8192
