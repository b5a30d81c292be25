"""Simulated queries say what media show, as real queries would."""

import torch

from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS
from nuthatch.training.data.layouts import Layout, Thing, draw_layout
from nuthatch.training.data.sample import Draw, Picture, Sound
from nuthatch.training.stages.bridge_loss import places, presence
from nuthatch.training.stages.phrase_vectors import centred, sound_vectors
from nuthatch.training.stages.simulated import QuerySimulator

QUERIES, WIDTH = 32, 96


def simulator() -> QuerySimulator:
    vectors = torch.randn(len(CATEGORIES), WIDTH, generator=torch.Generator().manual_seed(0))
    categories = centred(CATEGORIES, vectors)
    return QuerySimulator(categories, sound_vectors(categories), QUERIES)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_medium_has_its_queries_whatever_its_sense_and_the_same_for_the_same_seed():
    media = [Picture(draw_layout(Draw.of(1))), Sound(tuple(SOUNDS)[:2]), Sound(())]
    simulate = simulator()
    said = simulate(media, seeded())
    assert said.shape == (3, QUERIES, WIDTH + 4)
    assert torch.equal(said, simulate(media, seeded()))
    assert not torch.equal(said, simulate(media, seeded(1)))
    assert simulate([], seeded()).shape == (0, QUERIES, WIDTH + 4)


def test_what_is_there_can_be_told_from_the_queries_and_what_is_not_seldom_can():
    simulate = simulator()
    layouts = [draw_layout(Draw.of("presence", index)) for index in range(60)]
    said = simulate([Picture(layout) for layout in layouts], seeded())
    sure = presence(said[..., :-4], simulate.categories.vectors) > 0
    there = torch.tensor([[name in layout.counts() for name in CATEGORIES] for layout in layouts])
    assert sure[there].float().mean() > 0.9
    assert sure[~there].float().mean() < 0.02


def test_a_thing_is_reported_by_the_query_that_is_at_home_there_with_its_box():
    box = (64.0, 0.0, 192.0, 96.0)
    layout = Layout((Thing("dog", None, box),), "dog", "pets", 256, 192)
    simulate = simulator()
    (said,) = simulate([Picture(layout)], seeded())
    dog = simulate.categories.vectors[CATEGORIES.index("dog")]
    speaker = int((said[:, :-4] @ dog).argmax())
    assert torch.allclose(said[speaker, -4:], torch.tensor([0.5, 0.25, 0.5, 0.5]), atol=0.1)
    assert torch.dist(places(QUERIES)[speaker], torch.tensor([0.5, 0.25])) < 0.25


def test_a_sound_speaks_in_the_vectors_of_sounds():
    simulate = simulator()
    events = tuple(SOUNDS)[3:5]
    said = simulate([Sound(events)] * 20, seeded())
    heard = presence(said[..., :-4], simulate.sounds.vectors)
    assert (heard.argsort(-1, descending=True)[:, :2].sort(-1).values == torch.tensor([3, 4])).all()
