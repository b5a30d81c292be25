"""Train one part of a core, save that part alone, and put it onto the same base again."""

import tempfile
from pathlib import Path

import torch

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.trained_part import load_trained, save_trained


def base() -> Core:
    """The core whose other weights everybody has: here a small random one."""
    torch.manual_seed(0)
    return Core(CoreConfig.tiny())


core = base()
trained = core.train_only("bridge")  # all else is frozen
optimizer = torch.optim.AdamW(trained, lr=1e-3)
config, side = core.config, core.config.vision_config.image_size
tokens = torch.full((1, config.num_tokens("image")), config.image_token_id)
batch = {
    "input_ids": torch.cat([tokens, torch.tensor([[5, 6, 7]])], dim=1),
    "pixel_values": torch.randn(1, 3, side, side),
}
labels = batch["input_ids"].clone()
labels[:, : tokens.shape[1]] = -100  # nothing is learned of the placeholders
for step in range(5):
    loss = core(**batch, labels=labels).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    print(f"step {step + 1}: loss {loss.item():.3f}")

with tempfile.TemporaryDirectory() as folder:
    save_trained(core, folder, base="seed 0, CoreConfig.tiny()")
    for file in sorted(Path(folder).iterdir()):
        print(f"{file.name}: {file.stat().st_size:,} bytes")
    other = base()
    load_trained(other, folder)  # refuses a core with other weights
    pairs = zip(core.parameters(), other.parameters(), strict=True)
    print("the same core again:", all(torch.equal(a, b) for a, b in pairs))
    torch.manual_seed(1)
    try:
        load_trained(Core(CoreConfig.tiny()), folder)
    except ValueError as error:
        print("another base:", error)
