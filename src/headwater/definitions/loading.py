"""Finding the project in the user's file.

The file is run once as a fresh module of its own name, so that classes it defines can be pickled. Whatever
is wrong with it comes back as a :class:`DefinitionError` with the line, never as a traceback. Called by
``apps``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import CodeType, ModuleType

from headwater.core.errors import DefinitionError, HeadwaterError
from headwater.definitions.project import Project

FILE = "project.py"


def load_project(path: str | Path) -> Project:
    """Run a project file and return the one ``hw.Project`` that it makes.

    The file sees its own folder first on the import path, as a script does. It becomes the module
    ``headwater_project_<stem>``: the same name in every process and on every machine, since that name is
    part of the hash of estimators defined there.

    Args:
        path: the file, or a folder with a ``project.py``.

    Raises:
        DefinitionError: the file is missing, is no Python, fails, or makes no project or several; and any
            error of the definitions themselves.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    code = _compiled(file)
    module = ModuleType("headwater_project_" + re.sub(r"\W", "_", file.stem))
    module.__file__ = str(file)
    with _registered(module, file.resolve().parent):
        _run(code, module, file)
        return _found(module, file)


def _compiled(file: Path) -> CodeType:
    try:
        return compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except OSError as error:
        raise DefinitionError.of(
            "the project file cannot be read",
            expected="a Python file that makes an hw.Project",
            got=error.strerror,
            where=str(file),
            do="check the path, or write a new project with `headwater init`",
        ) from None
    except SyntaxError as error:
        raise DefinitionError.of(
            "the project file is not valid Python",
            expected="Python source in UTF-8",
            got=f"{error.msg}: {error.text.strip()}" if error.text else error.msg,
            where=f"{file}:{error.lineno or 1}",
            do="mend this line",
        ) from None
    except ValueError as error:  # null bytes
        raise DefinitionError.of(
            "the project file is not valid Python",
            expected="Python source in UTF-8",
            got=str(error),
            where=str(file),
            do="save the file as plain text",
        ) from None


@contextmanager
def _registered(module: ModuleType, folder: Path) -> Iterator[None]:
    """The module in ``sys.modules``, where pickle looks, and its folder on the path; undone on failure."""
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(folder))
    try:
        yield
    except HeadwaterError:
        del sys.modules[module.__name__]
        if before is not None:
            sys.modules[module.__name__] = before
        raise
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _run(code: CodeType, module: ModuleType, file: Path) -> None:
    try:
        exec(code, module.__dict__)  # noqa: S102 - running the user's own file is what this module is for
    except HeadwaterError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        lines = [
            line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)
        ]
        raise DefinitionError.of(
            "the project file fails when it is run",
            expected="a file that runs and makes an hw.Project",
            got=f"{type(error).__name__}: {error}",
            where=f"{file}:{lines[-1] if lines else 1}",
            do="mend this line; running the file with Python shows the whole traceback",
        ) from None


def _found(module: ModuleType, file: Path) -> Project:
    names: dict[int, str] = {}
    projects: dict[int, Project] = {}
    for name, value in vars(module).items():
        if isinstance(value, Project):
            names.setdefault(id(value), name)
            projects[id(value)] = value
    if len(projects) == 1:
        return next(iter(projects.values()))
    raise DefinitionError.of(
        "the project file makes several projects" if projects else "the project file makes no project",
        expected="one hw.Project at the top level of the file",
        got=", ".join(names.values()) or "none",
        where=str(file),
        do="keep one of them" if projects else "add project = hw.Project(...)",
    )
