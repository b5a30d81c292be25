from nuthatch.training.evaluate.statistics import proportion
from nuthatch.training.perceive.domain_card import write_section


def test_a_section_takes_the_place_of_the_earlier_one(tmp_path):
    (tmp_path / "README.md").write_text("# A model\n\nAbout it.\n", encoding="utf-8")
    write_section(tmp_path, "First.", {"kept": proportion(9, 10)})
    write_section(tmp_path, "Second.", {"kept": proportion(98, 100)})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# A model\n\nAbout it.\n\n**Domain.** Second.")
    assert "| kept | 0.980 (0.930-0.994) | 100 |" in card
    assert "First" not in card
