"""Tilt's functions as far as the Tiltfile may use them: each checks its arguments as Tilt does, and records the call.

`API` is Tilt 0.37's own list of arguments (those with `?` may be left out); a function or argument that is not there
fails, as it does in Tilt. Commands that the Tiltfile runs while it is read are run here too; `helm` renders for real.
"""

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

API: dict[str, str] = {
    "allow_k8s_contexts": "contexts",
    "blob": "input",
    "ci_settings": "k8s_grace_period? timeout? readiness_timeout?",
    "config.define_bool": "name args? usage?",
    "config.define_string": "name args? usage?",
    "config.define_string_list": "name args? usage?",
    "config.parse": "",
    "config.set_enabled_resources": "resources",
    "decode_json": "json",
    "decode_yaml": "yaml",
    "decode_yaml_stream": "yaml",
    "docker_build": "ref context build_args? dockerfile? dockerfile_contents? live_update? match_in_env_vars? ignore? "
    "only? entrypoint? container_args? target? ssh? secret? network? extra_tag? cache_from? pull? platform? "
    "extra_hosts?",
    "fail": "msg",
    "fall_back_on": "paths",
    "helm": "paths name? namespace? values? set? kube_version? skip_crds?",
    "k8s_resource": "workload? new_name? port_forwards? extra_pod_selectors? trigger_mode? resource_deps? objects? "
    "auto_init? pod_readiness? links? labels? discovery_strategy?",
    "k8s_yaml": "yaml allow_duplicates?",
    "link": "url name?",
    "local": "command quiet? command_bat? echo_off? env? dir? stdin?",
    "local_resource": "name cmd? deps? trigger_mode? resource_deps? ignore? auto_init? serve_cmd? cmd_bat? "
    "serve_cmd_bat? allow_parallel? links? labels? env? serve_env? readiness_probe? dir? serve_dir?",
    "os.getenv": "key default?",
    "os.path.exists": "path",
    "port_forward": "local_port container_port? name? link_path? host?",
    "probe": "initial_delay_secs? timeout_secs? period_secs? success_threshold? failure_threshold? exec? http_get? "
    "tcp_socket?",
    "read_file": "file_path default?",
    "run": "cmd trigger? echo_off?",
    "sync": "local_path remote_path",
    "tcp_socket_action": "port host?",
    "update_settings": "max_parallel_updates? k8s_upsert_timeout_secs? suppress_unused_image_warnings? "
    "k8s_server_side_apply?",
    "v1alpha1.extension_repo": "name labels? annotations? url? ref? load_host? git_subpath?",
    "version_settings": "check_updates? constraint?",
    "warn": "msg",
    "watch_file": "file_path",
}

EXTENSIONS: dict[str, dict[str, str]] = {
    "ext://restart_process": {
        # what it does not know itself it hands to docker_build
        "docker_build_with_restart": "ref context entrypoint live_update base_suffix? restart_file? trigger? "
        "exit_policy? build_args? dockerfile? ignore? only? pull? platform? ssh? secret? network? extra_tag? "
        "cache_from? match_in_env_vars?",
    },
    "ext://uibutton": {
        "cmd_button": "name resource? argv? text? location? icon_name? icon_svg? inputs? disabled? "
        "requires_confirmation? env? dir?",
        "text_input": "name label? default? placeholder?",
    },
}

STARLARK = """abs all any bool bytes chr dict dir enumerate fail float getattr hasattr hash int len list max min ord
print range repr reversed set sorted str tuple type zip"""
"""The functions of Tilt's own Starlark, which is another one than runs here."""

STARLARK_METHODS = """append clear extend get index insert items keys pop remove setdefault update values count endswith
find format join lower lstrip partition removeprefix removesuffix replace rfind rpartition rsplit rstrip split
splitlines startswith strip upper"""

_MODULES = """
config = struct(
    define_bool=config__define_bool, define_string=config__define_string,
    define_string_list=config__define_string_list, parse=config__parse,
    set_enabled_resources=config__set_enabled_resources, tilt_subcommand=SUBCOMMAND, main_dir=MAIN_DIR,
)
os = struct(getenv=os__getenv, path=struct(exists=os__path__exists))
v1alpha1 = struct(extension_repo=v1alpha1__extension_repo)
"""


@dataclass
class Call:
    """One call of one of Tilt's functions, its arguments by name."""

    name: str
    arguments: dict[str, Any]

    def __getitem__(self, argument: str) -> Any:
        return self.arguments.get(argument)


@dataclass
class Tilt:
    """Reads a Tiltfile. `chosen` is what config.parse answers, `subcommand` is `up` or `ci`.

    `edit` changes the Tiltfile's text before it is read, to see that what is wrong is found.
    """

    root: Path
    chosen: dict[str, list[str]] = field(default_factory=dict)
    subcommand: str = "up"
    edit: Callable[[str], str] = str
    calls: list[Call] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    def read(self) -> "Tilt":
        """Execute the Tiltfile; StarlarkError names the line that Tilt would not take."""
        module = starlark.Module()
        for name, arguments in API.items():
            module.add_callable(name.replace(".", "__"), self._function(name, arguments))
        module.add_callable("print", lambda *values: self.printed.append(" ".join(map(str, values))))
        for name, value in {"SUBCOMMAND": self.subcommand, "MAIN_DIR": str(self.root)}.items():
            module[name] = value
        module["TRIGGER_MODE_AUTO"], module["TRIGGER_MODE_MANUAL"] = "auto", "manual"
        known = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
        starlark.eval(module, starlark.parse("tilt", _MODULES, _dialect()), known)
        text = self.edit((self.root / "Tiltfile").read_text())
        starlark.eval(module, starlark.parse("Tiltfile", text, _dialect()), known, starlark.FileLoader(self._extension))
        return self

    def of(self, *names: str) -> list[Call]:
        """The calls of these functions, in order."""
        return [call for call in self.calls if call.name in names]

    def decoded(self, text: str) -> list[dict[str, Any]]:
        """The Kubernetes objects in a YAML stream."""
        return _objects(text)

    def _extension(self, name: str) -> starlark.FrozenModule:
        if name not in EXTENSIONS:
            raise FileNotFoundError(f"load({name!r}): such an extension is not known here")
        module = starlark.Module()
        for function, arguments in EXTENSIONS[name].items():
            module.add_callable(function, self._function(function, arguments))
        if name == "ext://uibutton":
            known = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
            starlark.eval(module, starlark.parse(name, 'location = struct(NAV="nav", RESOURCE="resource")'), known)
        return module.freeze()

    def _function(self, name: str, known: str) -> Callable[..., Any]:
        names = [word.rstrip("?") for word in known.split()]
        required = {word for word in known.split() if not word.endswith("?")}

        def called(*values: Any, **arguments: Any) -> Any:
            if len(values) > len(names):
                raise TypeError(f"{name}: takes at most {len(names)} arguments, not {len(values)}")
            given = dict(zip(names, values, strict=False)) | arguments
            if unknown := set(arguments) - set(names):
                raise TypeError(f"{name}: unexpected argument {sorted(unknown)}; allowed: {names}")
            if missing := required - set(given):
                raise TypeError(f"{name}: missing argument {sorted(missing)}")
            self.calls.append(Call(name, given))
            answer = getattr(self, "_" + name.replace(".", "_"), None)
            return answer(**given) if answer else given

        return called

    # What the Tiltfile goes on with: the answers of those functions that give one.

    def _config_parse(self) -> dict[str, list[str]]:
        defined = {call["name"] for call in self.of("config.define_string_list")}
        if unknown := set(self.chosen) - defined:
            raise TypeError(f"config.parse: unknown setting {sorted(unknown)}; defined: {sorted(defined)}")
        return self.chosen

    def _decode_json(self, json: str) -> Any:
        return _json(json)

    def _decode_yaml_stream(self, yaml: str) -> list[Any]:
        # Tilt's numbers out of YAML are floats
        return list(json.loads(json.dumps(_objects(yaml)), parse_int=float))

    def _fail(self, msg: str) -> None:
        raise RuntimeError(msg)

    def _helm(self, paths: str, name: str, namespace: str, values: Any = (), set: Any = ()) -> str:
        command = ["helm", "template", name, paths, "--namespace", namespace, "--include-crds"]
        command += [word for file in _list(values) for word in ("--values", file)]
        command += [word for value in _list(set) for word in ("--set", value)]
        text = _run(self.root, *command)
        # Tilt leaves out the chart's tests by the folder they come from, and puts every object into the namespace
        kept = [part for part in text.split("---\n") if not re.search("^# Source: .*/tests/", part, re.MULTILINE)]
        objects = [made for part in kept for made in _objects(part)]
        for made in objects:
            made["metadata"].setdefault("namespace", namespace)
        return "---\n".join(json.dumps(made) + "\n" for made in objects)  # JSON is YAML, and quick to read

    def _local(self, command: Any, quiet: bool = False, echo_off: bool = False) -> str:
        return _run(self.root, *(sys.executable if word == "python3" else word for word in _list(command)))

    def _os_path_exists(self, path: str) -> bool:
        return (self.root / path).exists()


@functools.cache  # the same command answers the same to every test
def _run(root: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def _dialect() -> starlark.Dialect:
    """Starlark as Tilt allows it: statements at the top, no f-strings."""
    dialect = starlark.Dialect.standard()
    dialect.enable_top_level_stmt = True
    dialect.enable_f_strings = False
    return dialect


def _json(text: str) -> Any:
    return json.loads(text)


def _objects(text: str) -> list[dict[str, Any]]:
    return [made for made in yaml.safe_load_all(text) if made]


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
