"""How fast the miniature world draws its scenes: scenes per second of one core.

    .venv/bin/python tests/benchmarks/bench_world.py

The first scenes of a process also prepare (tint, shrink) the sprites, so both rates are printed.
"""

from time import process_time

from nuthatch.training.world.scenes import make_scene


def rate(seeds: range, size: int) -> float:
    start = process_time()
    for seed in seeds:
        make_scene(seed, size=size)
    return len(seeds) / (process_time() - start)


def main() -> None:
    print(f"size 128, sprites not prepared: {rate(range(500), 128):4.0f} scenes/s")
    rate(range(500, 3000), 128)  # by then nearly every sprite has been drawn in every tint
    print(f"size 128, sprites prepared:     {rate(range(3000, 4000), 128):4.0f} scenes/s")
    print(f"size 512:                       {rate(range(4000, 4100), 512):4.0f} scenes/s")


if __name__ == "__main__":
    main()
