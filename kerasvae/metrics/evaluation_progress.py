"""Progress of an evaluation on the terminal."""

import contextlib


@contextlib.contextmanager
def shown(progress, scores):
    """Functions to call with the images encoded so far and needed, and with the name of each score before it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    hidden = not (console.is_terminal if progress is None else progress)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        encoding, scoring = bar.add_task("images encoded", total=None), bar.add_task("scores", total=scores)
        started = iter(range(scores))

        def scored(name):
            bar.update(scoring, description=name, completed=next(started))

        yield lambda done, needed: bar.update(encoding, completed=done, total=needed), scored
