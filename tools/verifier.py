"""The verifier without an agent: any answer of any model, checked against a picture or a sound."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nuthatch.tools.base.tool import ToolCall, ToolResult
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.faults import fault_of
from nuthatch.tools.media.ingest import AudioSource, ImageSource, read_audio, read_image
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.verification.correction import Item, correct_items
from nuthatch.tools.verification.evidence.calibration import Calibration
from nuthatch.tools.verification.evidence.perception import ModelSenses
from nuthatch.tools.verification.rules import POLICIES, PolicyName
from nuthatch.tools.verification.types import Correction, Report
from nuthatch.tools.weights.store import Weights


class Verifier:
    """Checks answers, and corrects them.

        verifier = Verifier()
        done = verifier.correct("There are two cups and a giraffe.", image="kitchen.png")
        print(done.final, done.verdicts)

    Each look is a recorded call: `calls` has those of the last check, `store` the media.

    Args:
        policy: how sure a verdict must be.
        weights: models to judge with; the shipped ones by default.
        store: where pictures and sounds are kept; a folder of the system's temporary ones by
            default, gone with the verifier.
    """

    def __init__(
        self,
        policy: PolicyName = "conservative",
        *,
        weights: Weights | None = None,
        store: MediaStore | None = None,
    ) -> None:
        from nuthatch.tools.catalogue import default_tools

        self.policy: PolicyName = policy
        self.weights = weights or Weights()
        if store is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nuthatch-")
            store = MediaStore(Path(self._folder.name))
        self.store = store
        self.executor = ToolExecutor(default_tools(), store, self.weights, cache=ResultCache())
        self.calls: list[ToolResult] = []

    def verify(
        self,
        answer: str,
        question: str | None = None,
        *,
        image: ImageSource | None = None,
        audio: AudioSource | None = None,
    ) -> Report:
        """A verdict on each claim of an answer.

        Args:
            answer: what somebody said about the picture or the sound.
            question: what was asked; it gives a bare "yes" or "three" its meaning.
            image: a path, encoded bytes, a PIL image, or (H, W, 3) uint8 RGB.
            audio: a path, encoded bytes, 16 kHz samples, or (samples, sample_rate).

        Raises:
            MediaError: the picture or the sound cannot be used.
            RetryCall: the answer has more than 20 000 characters.
        """
        result = self._call("verify_answer", answer, question, image, audio)
        assert isinstance(result, Report)
        return result

    def correct(
        self,
        answer: str,
        question: str | None = None,
        *,
        image: ImageSource | None = None,
        audio: AudioSource | None = None,
    ) -> Correction:
        """An answer with its refuted claims put right; arguments and errors as for `verify`."""
        result = self._call("correct_answer", answer, question, image, audio)
        assert isinstance(result, Correction)
        return result

    def correct_many(self, items: Sequence[Item]) -> list[Correction]:
        """Many answers at once, in batches through the models; no calls are recorded.

        Pictures and sounds of the items are given as for `correct`. Answers about one and the same
        picture object share its detector pass.

        Raises:
            MediaError: a picture or a sound cannot be used; nothing was checked then.
            RetryCall: an answer has more than 20 000 characters.
        """
        pictures = {id(each.picture): each.picture for each in items if each.picture is not None}
        pixels = {key: read_image(source)[0] for key, source in pictures.items()}
        taken_in = [
            Item(
                each.answer,
                each.question,
                None if each.picture is None else pixels[id(each.picture)],
                None if each.sound is None else read_audio(each.sound)[0],
                each.authors,
                each.sources,
            )
            for each in items
        ]
        senses, calibration = ModelSenses(self.weights), Calibration(self.weights)
        return correct_items(taken_in, senses, calibration, POLICIES[self.policy])

    def _call(
        self,
        tool: str,
        answer: str,
        question: str | None,
        image: ImageSource | None,
        audio: AudioSource | None,
    ) -> Any:
        arguments: dict[str, Any] = {"answer": answer, "question": question, "policy": self.policy}
        if image is not None:
            arguments["image"] = self.store.add_image(image).handle
        if audio is not None:
            arguments["audio"] = self.store.add_audio(audio).handle
        result = self.executor.execute(ToolCall("call_1", tool, arguments))
        self.calls = [result]
        if result.fault is None:
            return result.value
        if result.fault.is_bug:
            raise RuntimeError(f"{result.fault.message}\n{result.fault.detail}")
        raise fault_of(result.fault.code, result.fault.message)
