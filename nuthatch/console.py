"""What the command line shows: steps as they happen, the checked answer, one JSON object."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from nuthatch.agent.agent import Agent, PlannerFailed
from nuthatch.agent.answer import Answer, ClaimChecked, Event, ToolFinished, ToolStarted
from nuthatch.agent.conversation import QuestionError, checked_question
from nuthatch.agent.journal import JournalError
from nuthatch.messages import as_unicode
from nuthatch.tools.base.notices import Notice, texts
from nuthatch.tools.base.tool import ToolResult
from nuthatch.tools.domain.check import OUTSIDE
from nuthatch.tools.exact_json import plain
from nuthatch.tools.media.ingest import MediaError, read_audio, read_image
from nuthatch.tools.media.video import FRAMES, read_video
from nuthatch.tools.output.render import summary
from nuthatch.tools.verification.evidence.no_verifier import NO_JUDGE

_STYLE = {"supported": "green", "refuted": "red", "not_enough_evidence": "yellow"}
_WORDS = {"supported": "supported", "refuted": "refuted", "not_enough_evidence": "undecided"}
_WHY = {
    OUTSIDE: "the judges do not know pictures or sounds of this kind",
    "judges.author": "said by a model of the judges; no other judge is sure enough",
    "judges.source": "found by tools of the planner's own, which are not known to be sure enough",
    "judges.differ": "one judge speaks for it, another against",
    "judges.none": "nobody here can judge this",
    "judges.unsure": "no judge is sure enough",
}
"""Rule that leaves a claim undecided -> why, for people."""


def converse(
    load: Callable[[], Agent],
    question: str,
    *,
    images: Sequence[str],
    sounds: Sequence[str],
    videos: Sequence[str] = (),
    as_json: bool,
    only_checked: bool = False,
) -> int:
    """Ask, show the steps and the answer; returns the exit status.

    What was given is looked at before `load` is called: a model takes seconds to load. With
    `only_checked` an answer that no judge could check is none.
    """
    console = Console(stderr=as_json, quiet=as_json, highlight=False)
    try:
        _check(question, images, sounds, videos)
        agent = load()
        answer = agent.ask(
            question,
            image=list(images),
            audio=list(sounds),
            video=list(videos),
            on_event=lambda event: _print_event(console, event),
        )
    except (MediaError, QuestionError, JournalError, PlannerFailed) as error:
        refuse(error.code, str(error), as_json)
        return 1 if error.code in ("planner_failed", "write_failed") else 2
    failed = [each for each in answer.notices if only_checked and each.code == NO_JUDGE]
    if as_json:
        print(json.dumps(answer_json(answer)))
    else:
        _print_answer(console, answer, [each for each in answer.notices if each not in failed])
        for text in texts(failed):
            print(f"nuthatch: {text}", file=sys.stderr)
    return 0 if answer.finished and not failed else 1


def _check(
    question: str, images: Sequence[str], sounds: Sequence[str], videos: Sequence[str]
) -> None:
    """
    Raises:
        QuestionError, MediaError: the question or a medium cannot be used.
    """
    checked_question(question)
    for path in images:
        read_image(path)
    for path in sounds:
        read_audio(path)
    for path in videos:
        read_video(path, FRAMES)


def refuse(code: str, message: str, as_json: bool) -> int:
    """Say why the input cannot be used; exit status 2."""
    if as_json:
        print(json.dumps({"error": {"code": code, "message": message}}))
    else:
        print(f"nuthatch: {message}", file=sys.stderr)
    return 2


def answer_json(answer: Answer) -> dict[str, Any]:
    """The one object that `ask --json` and `verify --json` print.

    Boxes are x1 y1 x2 y2 in pixels of the upright original image; times are seconds but for `ms`.
    Of a frame `video` and `time` say which it is.
    """
    record: dict[str, Any] = {
        "answer": answer.text,
        "draft": answer.draft,
        "finished": answer.finished,
        "verified": answer.verified,
        "claims": [
            {
                "text": verdict.claim.text,
                "span": list(verdict.claim.span),
                "kind": verdict.claim.kind,
                "verdict": verdict.verdict,
                "probability": verdict.probability,
                "rule": verdict.rule,
                "measured": verdict.measured and verdict.measured.model_dump(),
                "evidence": [
                    {
                        "tool": item.tool,
                        "call_id": item.call_id,
                        "judge": item.judge,
                        "stance": item.stance,
                        "score": item.score,
                        "boxes": [list(box.xyxy) for box in item.boxes],
                    }
                    for item in verdict.evidence
                ],
            }
            for verdict in answer.verdicts
        ],
        "edits": [edit.model_dump(mode="json") for edit in answer.edits],
        "unread": [list(span) for span in answer.unread],
        "notices": [notice.model_dump(mode="json") for notice in answer.notices],
        "calls": [_call_json(result) for result in _flat(answer.calls)],
        "media": [
            {
                "handle": item.handle,
                "type": item.type,
                "size": item.size,
                "video": item.video,
                "time": item.time,
                "sha256": item.sha256,
                "path": str(item.path),
            }
            for item in answer.media
        ],
        "timing": answer.timing.model_dump(),
        "run_id": answer.run_id,
    }
    if not answer.finished:
        record["error"] = {"code": "not_finished", "message": answer.reason or ""}
    return record


def print_tools(*, as_json: bool) -> int:
    """Each tool: what it does, its schemas, its effects, its weights."""
    from nuthatch.tools.catalogue import all_tools
    from nuthatch.tools.weights.store import FULL_SIZE_LOADERS, Weights

    weights = Weights()
    records = []
    for tool in all_tools():
        used = [weights.status(name) for name in tool.weights]
        records.append(
            {
                "name": tool.name,
                "version": tool.version,
                "description": tool.description,
                "effects": tool.effects,
                "timeout": tool.timeout,
                "arguments": tool.Args.model_json_schema(),
                "result": tool.Result.model_json_schema(),
                "weights": [
                    {"name": s.name, "path": str(s.path), "here": s.present, "sha256": s.sha256}
                    for s in used
                ],
                # Beside others, what has no miniature is the better choice, not a need.
                "available": all(
                    s.present for s in used if len(used) == 1 or s.name not in FULL_SIZE_LOADERS
                ),
            }
        )
    if as_json:
        print(json.dumps({"tools": records}))
        return 0
    table = Table("tool", "arguments", "effects", "weights", "what it does", box=None)
    for record in records:
        schema: dict[str, Any] = record["arguments"]
        required = schema.get("required", [])
        names = [n if n in required else f"{n}?" for n in schema.get("properties", {})]
        here = [f"{w['name']} ({'here' if w['here'] else 'missing'})" for w in record["weights"]]
        description = str(record["description"]).split(". ")[0]
        table.add_row(
            f"[bold]{record['name']}[/]",
            ", ".join(names),
            str(record["effects"]),
            ", ".join(here) or "none needed",
            escape(description),
        )
    Console().print(table)
    return 0


def print_runs(
    action: str, run_id: str | None, *, keep: int, home: Path | None, as_json: bool
) -> int:
    """List recorded runs, show or delete one, or remove all but the newest."""
    try:
        return _runs(action, run_id, keep=keep, home=home, as_json=as_json)
    except JournalError as error:
        return refuse(error.code, str(error), as_json)


def _runs(action: str, run_id: str | None, *, keep: int, home: Path | None, as_json: bool) -> int:
    from nuthatch.agent.runs import delete_run, list_runs, load_run, prune_runs

    if action == "prune":
        removed = prune_runs(home, keep=keep)
        print(json.dumps({"removed": removed}) if as_json else f"removed {len(removed)} runs")
        return 0
    if action in ("show", "delete") and run_id is None:
        return refuse("bad_usage", f"which run? nuthatch runs {action} RUN_ID", as_json)
    if action == "delete" and run_id is not None:
        blobs = delete_run(run_id, home)
        said = {"removed": [run_id], "blobs": blobs}
        print(json.dumps(said) if as_json else f"removed run {run_id} and {blobs} media files")
        return 0
    if run_id is not None:
        answer = load_run(run_id, home)
        if as_json:
            print(json.dumps(answer_json(answer)))
        else:
            _print_answer(Console(highlight=False), answer, answer.notices)
        return 0
    runs = list_runs(home)
    if as_json:
        print(json.dumps({"runs": runs}))
        return 0
    table = Table(Column("run", no_wrap=True), "finished", "question", "answer", box=None)
    for run in runs:
        finished = "yes" if run["finished"] else "no"
        cells = (run["run_id"], finished, run["question"], run["answer"])
        table.add_row(*(escape(as_unicode(cell)) for cell in cells))
    Console().print(table)
    return 0


def _print_event(console: Console, event: Event) -> None:
    match event:
        case ToolStarted(call=call):
            inside = ", ".join(f"{k}={v!r}" for k, v in call.arguments.items())
            console.print(f"[dim]{call.id}[/] [bold]{call.tool}[/]({escape(inside)})")
        case ToolFinished(result=result):
            mark = "[green]->[/]" if result.ok else "[red]-> failed:[/]"
            said = escape(summary(result))
            console.print(f"   {mark} [dim]{result.call.id}[/] {said} [dim]({result.ms:.0f} ms)[/]")
        case ClaimChecked(verdict=verdict):
            style = _STYLE[verdict.verdict]
            judges = ", ".join(sorted({item.judge for item in verdict.evidence})) or "no judge"
            console.print(
                f"   [{style}]{_WORDS[verdict.verdict]:>9}[/] "
                f"{escape(repr(verdict.claim.text))} [dim]({verdict.rule}; {judges})[/]"
            )


def _print_answer(console: Console, answer: Answer, notices: Sequence[Notice]) -> None:
    console.print()
    if answer.edits and not answer.withheld:
        console.print(f"[dim]draft: [/] {escape(answer.draft)}")
    if answer.finished:
        console.print(f"[bold]answer:[/] {escape(str(answer))}")
        for line in _undecided(answer):
            console.print(f"[dim]unverified: {escape(line)}[/]")
        if answer.unread:
            console.print("[dim]not checked: nothing there was read as a claim[/]")
    else:
        console.print(f"[red]the run could not finish:[/] {escape(answer.reason or '')}")
    for text in texts(notices):
        console.print(f"[yellow]note:[/] {escape(text)}")
    for item in answer.media:
        if item.origin is not None:
            console.print(f"[dim]{item.handle}: {item.origin}[/]")
    try:
        picture = answer.save_picture()
    except (JournalError, MediaError) as error:
        console.print(f"[dim]no picture: {escape(str(error))}[/]", soft_wrap=True)
    else:
        if picture:
            console.print(f"[dim]picture:[/] {picture}", soft_wrap=True)
    timing = answer.timing
    console.print(
        f"[dim]run {answer.run_id}: {timing.total:.1f} s "
        f"(load {timing.load:.1f}, plan {timing.plan:.1f}, "
        f"tools {timing.tools:.1f}, verify {timing.verify:.1f})[/]"
    )


def _undecided(answer: Answer) -> list[str]:
    """Which claims nobody could decide, and why: a line a reason."""
    claims: dict[str, list[str]] = {}
    for verdict in () if answer.withheld else answer.undecided:
        claims.setdefault(_WHY.get(verdict.rule, verdict.rule), []).append(repr(verdict.claim.text))
    return [f"{', '.join(texts)}: {why}" for why, texts in claims.items()]


def _call_json(result: ToolResult) -> dict[str, Any]:
    fault = result.fault
    return {
        "id": result.call.id,
        "tool": result.call.tool,
        "arguments": plain(result.call.arguments),
        "ok": result.ok,
        "summary": summary(result),
        "error": {"code": fault.code, "message": fault.message} if fault else None,
        "ms": round(result.ms, 3),
    }


def _flat(results: Sequence[ToolResult]) -> list[ToolResult]:
    """Calls with the calls made inside them, each before its inner ones."""
    return [item for result in results for item in (result, *_flat(result.children))]
