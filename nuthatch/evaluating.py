"""`nuthatch evaluate`: each measurement, from arguments to exit status."""

import argparse
import json


def miniature(arguments: argparse.Namespace) -> int:
    """The whole house."""
    from nuthatch.training.evaluate.miniature import evaluate

    given = arguments
    figures = evaluate(
        n=given.n, seed=given.seed, out=given.out, openmoji=given.openmoji, quiet=given.json
    )
    return _told(figures, given.json)


def marks(arguments: argparse.Namespace) -> int:
    """Marks of answers."""
    from nuthatch.training.evaluate.marks import evaluate

    given = arguments
    figures = evaluate(
        n=given.n, seed=given.seed, split=given.split, out=given.out, quiet=given.json
    )
    return _told(figures, given.json)


def planning(arguments: argparse.Namespace) -> int:
    """First turns of planners."""
    from nuthatch.console import refuse
    from nuthatch.training.evaluate.planning import evaluate
    from nuthatch.training.evaluate.requests import RequestError

    try:
        figures = evaluate(
            requests=arguments.requests,
            n=arguments.n,
            seed=arguments.seed,
            weights=arguments.weights,
            out=arguments.out,
            quiet=arguments.json,
        )
    except RequestError as error:
        return refuse("bad_usage", str(error), arguments.json)
    return _told(figures, arguments.json)


def _told(figures: object, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"figures": figures}))
    return 0
