"""Manifests, held against the schemas of their kinds."""

import subprocess
from pathlib import Path


def faults_of_shape(manifests: str, schemas: Path, *options: str) -> str:
    """What kubeconform finds wrong with the manifests, unknown fields included; empty when it finds nothing."""
    places = [
        f"{schemas}/core/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json",
        f"{schemas}/{{{{ .Group }}}}/{{{{ .ResourceKind }}}}_{{{{ .ResourceAPIVersion }}}}.json",
    ]
    locations = [word for place in places for word in ("-schema-location", place)]
    done = subprocess.run(
        ["kubeconform", "-strict", *options, *locations, "-"],
        input=manifests,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
