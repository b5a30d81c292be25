"""BEATs' forward beside the order of operations of its reference implementation: `make bench`.

The reference computes attention in steps (scores, their maximum, gated bias, softmax, sum), each of
which writes a (B H, T, T) tensor, on a time-major layout, and repeats the position bias for every
sound. Both run with the same weights, without compilation, in turns; the least of all repetitions
counts, since everything else that runs on a machine only adds. Reports, never asserts.

    python tests/benchmarks/bench_beats.py [--sounds 4] [--bins 64 128] [--json]
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nuthatch.mllm.encoders.beats import Beats, BeatsConfig

GUARD = 32.0
"""By what the reference divides queries and multiplies scores, to keep float16 from overflowing."""


class Reference(nn.Module):
    """The reference's order of operations on the parameters of a `Beats`."""

    def __init__(self, beats: Beats) -> None:
        super().__init__()
        self.beats = beats

    def forward(self, fbank: Tensor) -> Tensor:
        """(B, frames, bins) to (B, T, D)."""
        beats = self.beats
        x = beats.patch_embedding(fbank.unsqueeze(1))
        x = x.reshape(x.shape[0], x.shape[1], -1).transpose(1, 2)
        x = beats.post_extract_proj(beats.layer_norm(x))
        encoder = beats.encoder
        x = encoder.layer_norm(x + encoder.pos_conv(x))
        x = x.transpose(0, 1)  # (T, B, D)
        bias: Tensor | None = None
        for layer in encoder.layers:
            attended, bias = self._attend(layer.self_attn, x, bias)
            x = layer.self_attn_layer_norm(x * layer.alpha + attended)
            hidden = nn.functional.gelu(layer.fc1(x).float()).type_as(x)
            x = layer.final_layer_norm(x * layer.alpha + layer.fc2(hidden))
        return x.transpose(0, 1)

    def _attend(self, layer: nn.Module, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        tokens, batch, width = x.shape
        heads = layer.heads
        size = width // heads
        if bias is None:
            bias = self.beats.encoder.position_bias(tokens)
            bias = bias.unsqueeze(0).repeat(batch, 1, 1, 1).view(batch * heads, tokens, tokens)
        query = layer.q_proj(x) * size**-0.5 * (1 / GUARD)

        def by_head(given: Tensor) -> Tensor:
            return given.contiguous().view(tokens, batch * heads, size).transpose(0, 1)

        query, key, value = by_head(query), by_head(layer.k_proj(x)), by_head(layer.v_proj(x))
        scores = torch.bmm(query, key.transpose(1, 2))
        scores = (scores - scores.max(dim=-1, keepdim=True)[0]) * GUARD
        seen = query.view(batch, heads, tokens, size) * GUARD / size**-0.5
        gates = layer.grep_linear(seen).view(batch, heads, tokens, 2, 4).sum(-1).sigmoid()
        first, second = gates.chunk(2, dim=-1)
        gate = first * (second * layer.grep_a - 1.0) + 2.0
        scores = scores + gate.view(batch * heads, tokens, 1) * bias
        weights = nn.functional.softmax(scores, dim=-1)
        summed = torch.bmm(weights, value)
        summed = summed.transpose(0, 1).contiguous().view(tokens, batch, width)
        return layer.out_proj(summed), bias


def main() -> None:
    """Time both and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.24)
    parser.add_argument(
        "--bins", type=int, nargs="+", default=[64, 128], help="64 as in ChatBridge, 128 as trained"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    beats = Beats(BeatsConfig()).eval()
    figures: dict[str, float] = {}
    for bins in args.bins:
        fbank = torch.randn(args.sounds, int(100 * args.seconds), bins)
        ours, theirs, difference = compare(beats, fbank, args.repeats)
        figures[f"beats_{bins}_bins_seconds"] = ours
        figures[f"beats_{bins}_bins_reference_seconds"] = theirs
        figures[f"beats_{bins}_bins_ratio"] = theirs / ours
        figures[f"beats_{bins}_bins_largest_difference"] = difference
        if not args.json:
            print(
                f"{args.sounds} sounds of {args.seconds} s, {bins} bins, {args.threads} threads: "
                f"reference order {theirs:.3f} s, ours {ours:.3f} s, ratio {theirs / ours:.2f} "
                f"(largest difference {difference:.1e})"
            )
    if args.json:
        print(json.dumps({"figures": figures}))


@torch.inference_mode()
def compare(beats: Beats, fbank: Tensor, repeats: int) -> tuple[float, float, float]:
    """Least seconds of ours and of the reference's order, and the largest difference."""
    reference = Reference(beats)
    difference = (beats(fbank) - reference(fbank)).abs().max().item()
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        theirs.append(_seconds(lambda: reference(fbank)))
        ours.append(_seconds(lambda: beats(fbank)))
    return min(ours), min(theirs), difference


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
