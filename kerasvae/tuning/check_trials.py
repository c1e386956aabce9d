"""check_trials: what the trials of a Keras Tuner search came to, and an error for those that failed."""

from __future__ import annotations

from kerasvae.checks import shown


class FailedTrialsError(RuntimeError):
    """Some trials of a search did not complete.

    Attributes:
        results: as `check_trials` returns them, with the failed trials among them.
    """

    def __init__(self, trials, results):
        self.results = results
        lines = [f"{len(trials)} of {len(results)} trials did not complete:"]
        for trial in trials:
            reason = (trial.message or "it was interrupted: the same search again goes on with it").strip()
            lines.append(f"  {trial.trial_id} {_active_values(trial)}: {trial.status}: {reason.splitlines()[-1]}")
        super().__init__("\n".join(lines))


def check_trials(tuner) -> list[dict]:
    """The trials of a search by Keras Tuner, or an error if some failed, of which the tuner itself says nothing.

    Args:
        tuner: any Keras Tuner tuner, after `search()`, in the process that holds its oracle.

    Returns:
        A list of dictionaries, one for each trial in the order they began: `trial`, its hyper-parameters, its metrics
        at its best epoch (one that is called like a hyper-parameter, as "loss" is, as "loss_metric"), `epoch` (from 1)
        and `status`; `kerasvae.tuning.print_results` prints them.

    Raises:
        FailedTrialsError: for trials that failed or did not end, with the reason of each.
        RuntimeError: when there are no trials.
        ValueError: for what is no tuner.
    """
    if isinstance(tuner, type) or not hasattr(getattr(tuner, "oracle", None), "trials"):
        raise ValueError(f"tuner must be a Keras Tuner tuner that has searched, got {shown(tuner)}")
    trials = [trial for _, trial in sorted(tuner.oracle.trials.items())]
    if not trials:
        raise RuntimeError("tuner has no trials: nothing has been searched")
    results = []
    for trial in trials:
        values, measured = _active_values(trial), {}
        for name, tracked in trial.metrics.metrics.items():
            if tracked.get_history():
                measured[f"{name}_metric" if name in values else name] = float(tracked.get_best_value())
        epoch = {} if trial.best_step is None else {"epoch": int(trial.best_step) + 1}
        results.append({"trial": trial.trial_id, **values, **measured, **epoch, "status": trial.status})
    failed = [trial for trial in trials if trial.status != "COMPLETED"]
    if failed:
        raise FailedTrialsError(failed, results)
    return results


def _active_values(trial) -> dict:
    return {name: value for name, value in trial.hyperparameters.values.items() if not name.startswith("tuner/")}
