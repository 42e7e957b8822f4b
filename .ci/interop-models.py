"""Reads what spark-skills wrote with Harbor's own models, and what Harbor thinks of its tasks.

Run by interop.mjs with the Python of Harbor's virtual environment. Standard input: {"tasks": [dir], "trials": [dir]}.
Standard output: {"tasks": {dir: digest}, "trials": {dir: {"rewards": ..., "problems": [text]}}}.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

from harbor.models.trial.config import TrialConfig  # noqa: E402
from harbor.models.trial.result import TrialResult  # noqa: E402
from harbor.publisher.packager import Packager  # noqa: E402
from harbor.utils.trajectory_validator import TrajectoryValidator  # noqa: E402


def read_trial(directory: Path) -> dict:
    problems = []
    rewards = None
    try:
        result = TrialResult.model_validate_json((directory / "result.json").read_text())
        rewards = result.verifier_result.rewards if result.verifier_result else None
        config = TrialConfig.model_validate_json((directory / "config.json").read_text())
        if config.trial_name != result.trial_name or config.trial_name != directory.name:
            problems.append(f"names differ: {config.trial_name}, {result.trial_name}, {directory.name}")
    except Exception as error:  # reported, whatever the models raise
        problems.append(f"{type(error).__name__}: {error}")
    trajectory = directory / "agent" / "trajectory.json"
    if trajectory.exists():
        validator = TrajectoryValidator()
        if not validator.validate(trajectory):
            problems += [f"trajectory.json: {error}" for error in validator.get_errors()]
    return {"rewards": rewards, "problems": problems, "trajectory": trajectory.exists()}


request = json.load(sys.stdin)
json.dump(
    {
        "tasks": {task: Packager.compute_content_hash(Path(task))[0] for task in request["tasks"]},
        "trials": {trial: read_trial(Path(trial)) for trial in request["trials"]},
    },
    sys.stdout,
)
