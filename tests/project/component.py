"""Carries out the script of a GitLab component as a runner does: component.py TEMPLATE.YML NAME=VALUE..."""

import subprocess
import sys

import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
header, body = text.split("\n---\n", 1)
inputs = yaml.safe_load(header)["spec"]["inputs"]
values = {name: (spec or {}).get("default") for name, spec in inputs.items()}
values.update(given.split("=", 1) for given in sys.argv[2:])
for name, value in values.items():
    if value is None:
        sys.exit(f"the input {name} is missing")
    body = body.replace(f"$[[ inputs.{name} ]]", value)
if "$[[" in body:
    sys.exit(f"an input that isn't declared: {body}")
(job,) = yaml.safe_load(body).values()
for line in job["script"]:
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", line], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(done.returncode)
