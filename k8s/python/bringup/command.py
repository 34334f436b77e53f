"""The command line of k8s/platform.py."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from bringup import preflight
from bringup.bringing import Target
from bringup.errors import PlatformError
from bringup.parts import HOME, Overlay, Platform, load
from bringup.running import Commands, DryRun, say, warn


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 with a message when something is wrong; 130 when interrupted."""
    try:
        return _do(_parser().parse_args(arguments), load())
    except PlatformError as error:
        warn(f"error: {error}")
        return 1
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        warn("interrupted; what is up stays, and the same command goes on from there")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="k8s/platform.py", description="What AnModel runs on, brought up part by part."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--overlay", default="kind", help="kind (the default), production or test")
    does = argparse.ArgumentParser(add_help=False, parents=[where])
    does.add_argument(
        "--context", default="", help="context of the kubeconfig; else the overlay's own or the current one"
    )
    does.add_argument("--dry-run", action="store_true", help="print the commands and run none")
    verbs.add_parser("preflight", parents=[where], help="look whether this machine can, and say what to do if not")
    verbs.add_parser("list", parents=[where], help="the parts in order, as JSON")
    apply = verbs.add_parser("apply", parents=[does], help="bring one part up and wait for it")
    apply.add_argument("name", metavar="PART")
    up = verbs.add_parser("up", parents=[does], help="bring all parts up that are not optional")
    up.add_argument("--with", dest="more", action="append", default=[], metavar="PART", help="an optional part, too")
    down = verbs.add_parser("down", parents=[does], help="take down what keeps no data")
    down.add_argument("--delete-data", action="store_true", help="and the rest, with all data, for good")
    verbs.add_parser("versions", help="what is installed, in which version")
    return parser


def _do(given: argparse.Namespace, platform: Platform) -> int:
    if given.verb == "versions":
        _versions(platform)
        return 0
    overlay = platform.overlay(given.overlay)
    if given.verb == "list":
        say(json.dumps(listed(overlay), indent=1))
        return 0
    if given.verb == "preflight":
        return preflight.report(platform, overlay, Commands())
    target = Target(platform, overlay, DryRun() if given.dry_run else Commands(), given.context)
    if given.verb == "apply":
        target.apply(overlay.part(given.name))
    elif given.verb == "up":
        _up(target, given.more)
    else:
        if given.delete_data and not (given.context or overlay.context or given.dry_run):
            raise PlatformError(
                "--delete-data needs --context NAME here: it deletes for good, so say on which cluster."
            )
        _down(target, delete_data=given.delete_data)
    return 0


def listed(overlay: Overlay) -> list[dict[str, object]]:
    """The parts as Tilt and others read them."""
    return [
        {
            "name": part.name,
            "what": part.what,
            "needs": list(part.needs),
            "group": part.group,
            "optional": part.optional,
            "memory_mb": part.memory_mb,
            "images": list(part.images),
            "links": [list(link) for link in part.links],
        }
        for part in overlay.parts
    ]


def _up(target: Target, more: Sequence[str]) -> None:
    parts = target.overlay.chosen(more)
    need = f"about {target.overlay.needed(parts)} MB of memory"
    say(f"{target.overlay.name}: {target.overlay.what}; {len(parts)} parts, {need}")
    for number, part in enumerate(parts, start=1):
        say(f"({number}/{len(parts)})")
        target.apply(part)
    if target.runner.dry:
        return
    left = [part.name for part in target.overlay.parts if part not in parts]
    say("The platform is up." + (f" Not installed, optional: {' '.join(left)} (--with NAME)." if left else ""))
    for part in parts if target.overlay.context else ():  # elsewhere the hosts are the operator's own
        for url, title in part.links:
            say(f"  {title}: {url}")


def _down(target: Target, *, delete_data: bool) -> None:
    """Backwards, so that an operator sees its resources go. What keeps data stays, and what that needs."""
    stays: set[str] = set()
    if not delete_data:
        for part in reversed(target.overlay.parts):
            if part.data or part.name in stays:
                stays |= {part.name, *part.needs}
    for part in reversed(target.overlay.parts):
        if part.name not in stays and part.name != "namespace":
            target.remove(part)
    if not delete_data:
        kept = " ".join(part.name for part in target.overlay.parts if part.name in stays)
        say(f"Kept, since they hold data or serve what does: {kept} (--delete-data removes them, for good)")
        return
    say(f"── the namespace {HOME}, with its Secrets")
    target.runner.run([*target.kubectl, "delete", "namespace", HOME, "--ignore-not-found", "--timeout=300s"])
    say("All gone but the operators' kinds (CRDs) and their namespaces.")


def _versions(platform: Platform) -> None:
    rows = [(name, version, "tool, at least") for name, version in platform.tools.items()]
    rows += [(name, version, "cluster") for name, version in platform.cluster.items()]
    charts = {part.chart for overlay in platform.overlays.values() for part in overlay.parts if part.chart}
    rows += sorted((chart.name.rpartition("/")[2], chart.version, "chart") for chart in charts)
    rows += [(name, version, "image or program") for name, version in platform.images.items()]
    width = max(len(name) for name, _, _ in rows)
    for name, version, kind in rows:
        say(f"{name:{width}}  {version:28.28}  {kind}")
