"""Carries out the shell steps of a composite GitHub action as a runner does: action.py ACTION.YML NAME=VALUE..."""

import os
import subprocess
import sys

import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    action = yaml.safe_load(file)
inputs = {name: spec.get("default", "") for name, spec in action["inputs"].items()}
for given in sys.argv[2:]:
    name, value = given.split("=", 1)
    if name not in inputs:
        sys.exit(f"no such input: {name}")
    inputs[name] = value


def expanded(text):
    for name, value in inputs.items():
        text = text.replace("${{ inputs.%s }}" % name, value)
    if "${{" in text:
        sys.exit(f"an expression that this runner doesn't know: {text}")
    return text


worst = 0
for step in action["runs"]["steps"]:
    if "run" not in step:
        continue
    # After a failure only those steps go on that say so.
    if worst and "!cancelled()" not in str(step.get("if", "")):
        continue
    variables = {name: expanded(text) for name, text in step.get("env", {}).items()}
    environment = {**os.environ, **variables, "GITHUB_ACTION_PATH": os.path.dirname(sys.argv[1])}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", expanded(step["run"])],
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    print(f"STEP {step['name']}: {done.returncode}", flush=True)
    worst = worst or done.returncode
sys.exit(worst)
