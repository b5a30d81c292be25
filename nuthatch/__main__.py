"""The command line. Heavy modules are imported by the command that needs them.

Exit status: 0 answered, 1 the run could not finish (the reason is printed), 2 bad usage or input.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from nuthatch import __version__, evaluating
from nuthatch.extras import advice
from nuthatch.messages import shown
from nuthatch.tools.faults import ToolUnavailable

Command = Callable[[argparse.Namespace], int]


CONVERSIONS = {
    "chatbridge": "eva blip2 beats vicuna checkpoint",
    "bubogpt": "eva blip2 imagebind vicuna checkpoint",
    "minigpt4": "eva blip2 vicuna checkpoint",
    "llava": "clip checkpoint",
    "llava-plus": "clip checkpoint",
    "beats": "checkpoint",
    "eva": "checkpoint blip2",
    "vicuna-delta": "base delta",
}
"""Kinds of conversions, and the names of their files; here so that `--help` need not load torch."""


_EXTRAS = {"ask": "vision,audio", "train": "train", "evaluate": "train"}
"""Extras that bring all that a command needs, where that is more than one package."""


class _BadUsage(Exception):
    """What the parser has to complain of; told in the form that was asked for."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _BadUsage(f"{shown(message, 500)}; see: {self.prog} --help")


class _TrainHelp(argparse.Action):
    """`train --help`: the options, and the settings of the stage named before, or of all."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> NoReturn:
        from nuthatch.training.keys import describe

        print(f"{parser.format_help()}\nsettings (KEY=VALUE; key.inner=VALUE for one inside):\n")
        print(describe(namespace.stage, namespace.only, namespace.out))
        parser.exit()


def _at_least(least: int) -> Callable[[str], int]:
    """Reads a whole number of an option."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < least:
            message = f"given {shown(text)!r}, expected a whole number of at least {least}"
            raise argparse.ArgumentTypeError(message)
        return number

    return read


_positive, _not_negative = _at_least(1), _at_least(0)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `nuthatch`."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = _parse(words)
        command: Command = arguments.command
        return command(arguments)
    except BrokenPipeError:  # whoever read the output has enough, e.g. `nuthatch tools | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (_BadUsage, ToolUnavailable, OSError) as error:
        from nuthatch.console import refuse

        code = error.code if isinstance(error, ToolUnavailable) else "bad_usage"
        refuse(code, str(error), "--json" in words)
        return 1 if code not in ("bad_usage", "dependency_missing") else 2
    except ImportError as error:
        from nuthatch.console import refuse

        message = advice(f"nuthatch {words[0]}", error, _EXTRAS.get(words[0]))
        if message is None:
            raise  # no package is missing: an error of ours
        return refuse("dependency_missing", message, "--json" in words)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 1


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments; settings `key=value` of a training may stand behind its options too."""
    arguments, rest = _parser().parse_known_args(words)
    if arguments.command is _train and not any(word.startswith("-") for word in rest):
        arguments.settings += rest
        for setting in arguments.settings:
            if setting.find("=") < 1:
                message = (
                    f"given {shown(setting)!r}, expected KEY=VALUE in one word, such as seed=1"
                )
                arguments.parser.error(message)
    elif rest:
        arguments.parser.error(_not_understood(arguments, rest))
    return arguments


def _not_understood(arguments: argparse.Namespace, rest: list[str]) -> str:
    """What to say of words that no argument of the command takes."""
    if arguments.command is _ask and not any(word.startswith("-") for word in rest):
        files = [word for word in rest if os.path.exists(word)]
        if files:
            file = shown(files[0])
            return f"{file} is no part of the question; give it by --image, --audio or --video"
        question = " ".join([arguments.question, *rest])
        return f'the question has several words; put it in quotes: "{shown(question)}"'
    return f"unrecognized arguments: {shown(' '.join(rest))}"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nuthatch",
        description="Ask about pictures, sounds and videos; tools look, a verifier checks claims.",
    )
    parser.add_argument("--version", action="version", version=f"nuthatch {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def add(
        name: str, command: Command, words: str, *, add_help: bool = True
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words, add_help=add_help)
        sub.set_defaults(command=command, parser=sub)
        return sub

    ask = add("ask", _ask, "ask a question about pictures, sounds and videos")
    ask.add_argument("question")
    ask.add_argument("--image", action="append", default=[], metavar="FILE", help="repeatable")
    ask.add_argument("--audio", action="append", default=[], metavar="FILE", help="repeatable")
    ask.add_argument(
        "--video",
        action="append",
        default=[],
        metavar="FILE",
        help="four of its frames are seen, its sound is heard; repeatable",
    )
    ask.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    ask.add_argument("--home", type=Path, help="where runs live (default: NUTHATCH_HOME)")

    verify = add("verify", _verify, "check an answer, whoever gave it, against a picture or sound")
    verify.add_argument("--answer", required=True)
    verify.add_argument("--question", help="what was asked; gives a bare 'yes' its meaning")
    verify.add_argument("--image", action="append", default=[], metavar="FILE")
    verify.add_argument("--audio", action="append", default=[], metavar="FILE")
    verify.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    verify.add_argument("--home", type=Path, help="where runs live (default: NUTHATCH_HOME)")

    tools = add("tools", _tools, "list the tools: schemas, effects, weights")
    tools.add_argument("--json", action="store_true")

    weights = add("weights", _weights, "list, fetch or verify what each tool can use at full size")
    weights.add_argument("--fetch", metavar="NAME", help="download released weights; resumable")
    weights.add_argument("--verify", action="store_true", help="hash the files that are here")
    weights.add_argument("--json", action="store_true")

    doctor = add("doctor", _doctor, "say what is installed, what is missing, and what to do")
    doctor.add_argument("--json", action="store_true")

    world = add("world", _world, "draw a sheet of scenes of the miniature world")
    world.add_argument("--n", type=_positive, default=24)
    world.add_argument("--out", type=Path, required=True)
    world.add_argument("--seed", type=_not_negative, default=1)

    convert = add("convert", _convert, "make a core of the released files of a published system")
    convert.formatter_class = argparse.RawDescriptionHelpFormatter
    convert.epilog = "files of each kind:\n" + "\n".join(
        f"  {kind:<14}{names}" for kind, names in CONVERSIONS.items()
    )
    convert.add_argument("kind", choices=CONVERSIONS)
    convert.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a released file or folder, such as checkpoint=chatbridge.pth; repeatable, also with "
        "one name for files that belong together",
    )
    convert.add_argument("--out", type=Path, required=True, help="the folder to write")
    convert.add_argument("--sizes", type=Path, metavar="JSON", help="sizes other than the preset's")
    convert.add_argument(
        "--senses", nargs="+", choices=["image", "audio"], help="less than the system had: image"
    )
    convert.add_argument("--dtype", choices=["float32", "float16", "bfloat16"])
    convert.add_argument(
        "--any-language-model",
        action="store_true",
        help="take a language model of another vocabulary than the system was trained with",
    )

    train = add("train", _train, "train the models that ship with the package", add_help=False)
    words = "show this and the settings of the stage named before it, or of all, and exit"
    train.add_argument("-h", "--help", action=_TrainHelp, nargs=0, help=words)
    train.add_argument("preset", choices=["embedded"])
    stages = ["perceive", "see", "listen", "read_and_call", "bridge", "join"]
    train.add_argument("--stage", choices=stages, help="one stage (default: all, in order)")
    train.add_argument("--only", metavar="MODEL", help="one model of the stage perceive")
    train.add_argument("--out", type=Path, default=Path("runs"), help="run folder")
    train.add_argument(
        "settings", nargs="*", default=[], metavar="KEY=VALUE", help="override the recipe"
    )

    evaluate = add("evaluate", evaluating.miniature, "measure on held-out cases, with intervals")
    what = evaluate.add_subparsers(required=True, metavar="WHAT", parser_class=_Parser)

    def measuring(name: str, command: Command, words: str, n: int, of: str) -> _Parser:
        parser: _Parser = what.add_parser(name, help=words, description=words)
        parser.set_defaults(command=command)
        parser.add_argument("--n", type=_positive, default=n, help=of)
        parser.add_argument("--seed", type=_not_negative, default=0)
        parser.add_argument("--out", type=Path, default=Path("runs/evaluate", name))
        parser.add_argument("--json", action="store_true")
        return parser

    words = "the whole house on held-out scenes"
    miniature = measuring("miniature", evaluating.miniature, words, 1000, "scenes")
    miniature.add_argument("--openmoji", action="store_true", help="also the held-out third style")
    words = "first turns of the planners, side by side"
    planning = measuring("planning", evaluating.planning, words, 300, "cases of each held-out set")
    planning.add_argument("--requests", type=Path, metavar="FILE", help="requests written by hand")
    planning.add_argument(
        "--weights", default="", metavar="DIR", help="a core's folder, or: random, none"
    )
    words = "marks of answers: who carries one, and who should"
    marks = measuring("marks", evaluating.marks, words, 300, "scenes")
    marks.add_argument("--split", choices=["test", "calibrate"], default="test")

    runs = add("runs", _runs, "list, show or remove recorded runs")
    runs.add_argument("action", choices=["list", "show", "delete", "prune"])
    runs.add_argument("run_id", nargs="?")
    runs.add_argument("--keep", type=_not_negative, default=20, help="prune: newest runs to keep")
    runs.add_argument("--json", action="store_true")
    runs.add_argument("--home", type=Path, help="where runs live (default: NUTHATCH_HOME)")
    return parser


def _ask(arguments: argparse.Namespace) -> int:
    from nuthatch.agent.agent import Agent
    from nuthatch.console import converse

    return converse(
        lambda: Agent.load("embedded", home=arguments.home),
        arguments.question,
        images=arguments.image,
        sounds=arguments.audio,
        videos=arguments.video,
        as_json=arguments.json,
    )


def _verify(arguments: argparse.Namespace) -> int:
    from nuthatch.agent.agent import Agent
    from nuthatch.agent.planner import ScriptedPlanner
    from nuthatch.console import converse, refuse

    if not arguments.answer.strip():
        return refuse("bad_usage", "the answer is empty; give --answer some text", arguments.json)
    if not arguments.image and not arguments.audio:
        message = "there is nothing to check against; give --image or --audio"
        return refuse("bad_usage", message, arguments.json)
    # A planner that says what it was given: the answer takes the same way to the gate as any.
    return converse(
        lambda: Agent.load(
            "embedded", planner=ScriptedPlanner([arguments.answer]), home=arguments.home
        ),
        arguments.question or "Describe what is here.",
        images=arguments.image,
        sounds=arguments.audio,
        as_json=arguments.json,
        only_checked=True,
    )


def _tools(arguments: argparse.Namespace) -> int:
    from nuthatch.console import print_tools

    return print_tools(as_json=arguments.json)


def _weights(arguments: argparse.Namespace) -> int:
    from nuthatch.weights_report import print_weights

    return print_weights(arguments.fetch, verify_all=arguments.verify, as_json=arguments.json)


def _doctor(arguments: argparse.Namespace) -> int:
    from nuthatch.doctor import examine, print_findings

    return print_findings(examine(), as_json=arguments.json)


def _world(arguments: argparse.Namespace) -> int:
    from nuthatch.training.world.sheet import sheet

    print(sheet(arguments.n, arguments.seed, arguments.out))
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    sources = _sources(arguments)  # first: the imports take seconds
    from huggingface_hub.errors import StrictDataclassError

    from nuthatch.mllm.convert.command import run

    try:
        run(
            arguments.kind,
            sources,
            arguments.out,
            sizes=arguments.sizes,
            senses=arguments.senses,
            any_language_model=arguments.any_language_model,
            dtype=arguments.dtype,
        )
    except (ValueError, TypeError, ArithmeticError, StrictDataclassError) as error:
        # All but the first: sizes in the file of --sizes that no model can have.
        print(f"nuthatch: {error}", file=sys.stderr)
        return 1
    return 0


def _sources(arguments: argparse.Namespace) -> dict[str, list[Path]]:
    """The files to convert, by their names.

    Raises:
        _BadUsage: none, or one that this kind does not take.
    """
    sources: dict[str, list[Path]] = {}
    known = CONVERSIONS[arguments.kind].split()
    for given in arguments.source:
        name, _, path = given.partition("=")
        if name not in known or not path:
            arguments.parser.error(
                f"given --source {shown(given)}, expected NAME=PATH with a name of "
                f"{', '.join(known)}"
            )
        sources.setdefault(name, []).append(Path(path))
    if not sources:
        arguments.parser.error(f"nothing to convert; give --source, of {', '.join(known)}")
    return sources


def _train(arguments: argparse.Namespace) -> int:
    from nuthatch.training.config import ConfigError
    from nuthatch.training.train import train_all, train_core, train_perception

    try:
        if arguments.stage is None and arguments.only is None:
            train_all(arguments.out, arguments.settings)
        elif arguments.stage in (None, "perceive"):
            train_perception(arguments.only, arguments.out, arguments.settings)
        else:
            train_core(arguments.stage, arguments.out, arguments.settings)
    except ConfigError as error:
        print(f"nuthatch: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:  # the run stopped at its last good checkpoint
        print(f"nuthatch: {error}", file=sys.stderr)
        return 1
    return 0


def _runs(arguments: argparse.Namespace) -> int:
    from nuthatch.console import print_runs, refuse

    if arguments.run_id is not None and arguments.action not in ("show", "delete"):
        message = f"runs {arguments.action} takes no run id, given {arguments.run_id}"
        return refuse("bad_usage", message, arguments.json)
    return print_runs(
        arguments.action,
        arguments.run_id,
        keep=arguments.keep,
        home=arguments.home,
        as_json=arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())
