"""Names of the previous release: each works for one more release, with a DeprecationWarning.

Two tables hold them all. A module that renames what it defines ends with

    __getattr__ = renamed(__name__)

and has its old names in `NAMES`. Modules that moved are found by their old path through a finder
that `import nuthatch` adds behind all others.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MODULES = {
    "agent.loop": "agent.agent",
    "mllm.bounded_schema": "mllm.generation.bounded_schema",
    "mllm.bridges.choosing": "mllm.bridging",
    "mllm.closed_sets": "mllm.generation.closed_sets",
    "mllm.container": "tools.media.container",
    "mllm.continuing": "mllm.generation.continuing",
    "mllm.convert.names": "mllm.presets.names",
    "mllm.convert.parts": "mllm.presets.parts",
    "mllm.decoding": "mllm.generation.decoding",
    "mllm.grammar": "mllm.generation.grammar",
    "mllm.looking_ahead": "mllm.generation.looking_ahead",
    "mllm.messages": "messages",
    "mllm.schema_words": "mllm.generation.schema_words",
    "mllm.soundtrack": "tools.media.soundtrack",
    "mllm.speaking": "mllm.generation.generator",
    "mllm.video": "tools.media.video_decoding",
    "mllm.video_types": "tools.media.video_types",
    "tools.abstain": "tools.domain.abstain",
    "tools.arrays": "tools.media.arrays",
    "tools.arguments": "tools.base.arguments",
    "tools.function_tool": "tools.base.function_tool",
    "tools.notices": "tools.base.notices",
    "tools.regions": "tools.base.regions",
    "tools.toolset": "tools.base.toolset",
    "tools.ask_region": "tools.captioning.ask_region",
    "tools.audio_arrays": "tools.media.audio_arrays",
    "tools.audio_files": "tools.media.audio_files",
    "tools.audioset": "tools.audio.audioset",
    "tools.audioset_tagger": "tools.audio.audioset_tagger",
    "tools.batch": "tools.execution.batch",
    "tools.blip": "tools.captioning.blip",
    "tools.blobs": "tools.media.blobs",
    "tools.calculate": "tools.basic.calculate",
    "tools.caption": "tools.captioning.caption",
    "tools.caption_many": "tools.captioning.caption_many",
    "tools.captioner": "tools.captioning.captioner",
    "tools.clip": "tools.tagging.clip",
    "tools.crop": "tools.basic.crop",
    "tools.decoder_process": "tools.media.decoder_process",
    "tools.decoding": "tools.media.decoding",
    "tools.describe": "tools.composite.describe",
    "tools.describe_attributes": "tools.tagging.describe_attributes",
    "tools.detect": "tools.detection.detect",
    "tools.detectors": "tools.detection.detectors",
    "tools.devices": "tools.weights.devices",
    "tools.edit_image": "tools.image_generation.edit_image",
    "tools.everything": "tools.segmentation.automatic_masks",
    "tools.export": "tools.output.export",
    "tools.extras": "extras",
    "tools.fetching": "tools.weights.fetching",
    "tools.files": "tools.media.files",
    "tools.framing": "tools.media.framing",
    "tools.generate_image": "tools.image_generation.generate_image",
    "tools.geometry": "tools.media.geometry",
    "tools.ground": "tools.composite.ground",
    "tools.grounding_dino": "tools.detection.grounding_dino",
    "tools.grounding_dino_original": "tools.detection.grounding_dino_original",
    "tools.heatmap_detector": "tools.detection.heatmap_detector",
    "tools.image_arrays": "tools.media.image_arrays",
    "tools.image_files": "tools.media.image_files",
    "tools.ingest": "tools.media.ingest",
    "tools.lens": "tools.tagging.lens",
    "tools.locate_sound_source": "tools.composite.locate_sound_source",
    "tools.matching": "tools.composite.matching",
    "tools.measure": "tools.basic.measure",
    "tools.media_types": "tools.media.types",
    "tools.overlay": "tools.output.overlay",
    "tools.painter": "tools.image_generation.sdxl",
    "tools.pauses": "tools.audio.silence",
    "tools.picture_domain": "tools.domain.pictures",
    "tools.pretrained": "tools.weights.pretrained",
    "tools.provenance": "tools.output.provenance",
    "tools.rapidocr_reader": "tools.ocr.rapidocr",
    "tools.read_text": "tools.ocr.read_text",
    "tools.released_weights": "tools.weights.released",
    "tools.render": "tools.output.render",
    "tools.result_cache": "tools.execution.result_cache",
    "tools.segment": "tools.segmentation.segment",
    "tools.segment_everything": "tools.segmentation.segment_everything",
    "tools.segmenters": "tools.segmentation.segmenters",
    "tools.sound_domain": "tools.domain.sounds",
    "tools.sound_tagger": "tools.audio.sound_tagger",
    "tools.sources": "tools.media.sources",
    "tools.tag": "tools.tagging.tag",
    "tools.tag_sound": "tools.audio.tag_sound",
    "tools.taggers": "tools.tagging.taggers",
    "tools.tesseract_reader": "tools.ocr.tesseract",
    "tools.text_lines": "tools.ocr.text_lines",
    "tools.text_reader": "tools.ocr.readers",
    "tools.transcribe": "tools.audio.transcribe",
    "tools.transcriber": "tools.audio.transcriber",
    "tools.verification.absences": "tools.verification.editing.existence_edits",
    "tools.verification.absent_judges": "tools.verification.evidence.no_verifier",
    "tools.verification.anchors": "tools.verification.extraction.anchors",
    "tools.verification.audioset_events": "tools.verification.evidence.audioset_events",
    "tools.verification.calibration": "tools.verification.evidence.calibration",
    "tools.verification.chunks": "tools.verification.extraction.chunks",
    "tools.verification.claims": "tools.verification.extraction.claims",
    "tools.verification.clauses": "tools.verification.extraction.clauses",
    "tools.verification.colours": "tools.verification.evidence.colours",
    "tools.verification.edits": "tools.verification.editing.edits",
    "tools.verification.findings": "tools.verification.evidence.findings",
    "tools.verification.grammar": "tools.verification.editing.inflection",
    "tools.verification.labels": "tools.verification.extraction.labels",
    "tools.verification.lettering": "tools.verification.evidence.ocr_match",
    "tools.verification.lexicon": "tools.verification.extraction.lexicon",
    "tools.verification.noun_phrases": "tools.verification.extraction.noun_phrases",
    "tools.verification.places": "tools.verification.extraction.places",
    "tools.verification.quantities": "tools.verification.extraction.quantities",
    "tools.verification.reading": "tools.verification.extraction.parsing",
    "tools.verification.scopes": "tools.verification.extraction.scopes",
    "tools.verification.senses": "tools.verification.evidence.perception",
    "tools.verification.single_source": "tools.verification.evidence.single_source",
    "tools.verification.sounds": "tools.verification.extraction.sounds",
    "tools.verification.statements": "tools.verification.extraction.statements",
    "tools.verification.text": "tools.verification.extraction.text",
    "tools.verification.unread": "tools.verification.extraction.unread",
    "tools.verification.verifier": "tools.verifier",
    "tools.verification.words": "tools.verification.extraction.words",
    "tools.verification.writing": "tools.verification.extraction.text_claims",
    "tools.video": "tools.media.video",
    "tools.video_files": "tools.media.video_files",
    "tools.views": "tools.media.views",
    "tools.wav": "tools.media.wav",
    "tools.weights_folder": "tools.weights.folder",
    "tools.weights_report": "weights_report",
    "tools.whisper_miniature": "tools.audio.whisper_miniature",
    "tools.whisper_weights": "tools.audio.whisper_weights",
    "tools.word_lists": "tools.tagging.word_lists",
    "tools.workbench": "tools.execution.executor",
}
"""Old module -> new module, both without `nuthatch.` in front."""

NAMES: dict[str, dict[str, str]] = {
    "tools.detection.detectors": {
        "Image": "tools.media.types:Pixels",
        "load": "tools.detection.load:load",
    },
    "tools.domain": {
        "Domain": "tools.domain.check:Domain",
        "OUTSIDE": "tools.domain.check:OUTSIDE",
    },
    "tools.execution.executor": {"Workbench": "tools.execution.executor:ToolExecutor"},
    "tools.media": {
        "Detection": "tools.media.store:Detection",
        "Media": "tools.media.store:Media",
        "MediaStore": "tools.media.store:MediaStore",
    },
    "tools.weights": {
        "FULL_SIZE_LOADERS": "tools.weights.store:FULL_SIZE_LOADERS",
        "LOADERS": "tools.weights.store:LOADERS",
        "Weights": "tools.weights.store:Weights",
    },
}
"""Module -> {old name: where it is now, as `module:name`}."""


def renamed(module: str) -> Callable[[str], object]:
    """The `__getattr__` of a module that has old names in `NAMES`."""

    def get(name: str) -> object:
        new = NAMES[module.removeprefix("nuthatch.")].get(name)
        if new is None:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        path, _, attribute = new.partition(":")
        _warn(f"{module}.{name}", f"nuthatch.{path}.{attribute}")
        return getattr(import_module(f"nuthatch.{path}"), attribute)

    return get


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated: use {new}", DeprecationWarning, stacklevel=3)


class _Moved(MetaPathFinder, Loader):
    """Finds modules by the path they had in the previous release."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        old = fullname.removeprefix("nuthatch.")
        return ModuleSpec(fullname, self) if fullname != old and old in MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        """The import statement returns what stands in `sys.modules` after this."""
        old = module.__name__
        new = f"nuthatch.{MODULES[old.removeprefix('nuthatch.')]}"
        _warn(old, new)
        sys.modules[old] = import_module(new)


def find_moved_modules() -> None:
    """Let old paths be imported from now on."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
