"""The registry: which models there are, how each came about, and which one decides. On MLflow.

By default all of it lies in the project folder, the tables in ``mlflow.db`` (SQLite) and the files under
``mlruns``; a tracking URI puts it on an MLflow server instead. One run for each training, one registered
model ``project.model``; of its versions ``champion`` decides and ``challenger`` waits for its chance.
MLflow's own tools read all of it: ``mlflow ui --backend-store-uri sqlite:///<folder>/mlflow.db``.

Importing MLflow takes about two seconds, so this module is imported late, by ``training.train`` and
``serving``. MLflow would report its use to its makers over the network; here it does not, unless
``MLFLOW_DISABLE_TELEMETRY`` says so.
"""

from __future__ import annotations

import logging
import math
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, Param
from mlflow.entities.model_registry import ModelVersion
from mlflow.environment_variables import (
    MLFLOW_DISABLE_TELEMETRY,
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from mlflow.exceptions import MlflowException
from mlflow.telemetry import set_telemetry_client
from sqlalchemy.exc import SQLAlchemyError

from headwater.core.errors import ModelError
from headwater.models.artifact import Artifact, load
from headwater.models.metrics import Evaluation
from headwater.models.mlflow_forms import dataset, lineage, metrics, params, save_model
from headwater.models.version import ARTIFACT, CHALLENGER, CHAMPION, Version

__all__ = ["CHALLENGER", "CHAMPION", "Registry", "Training", "Version", "bare"]

_BATCH = 100
_LONGEST = 500
_KEYS = re.compile(r"://[^/\s]*@")
_NOISY = ("mlflow", "alembic")
_PATIENCE = ((MLFLOW_HTTP_REQUEST_MAX_RETRIES, 2), (MLFLOW_HTTP_REQUEST_TIMEOUT, 30))


def _hush() -> None:
    if not MLFLOW_DISABLE_TELEMETRY.is_set():  # type: ignore[no-untyped-call]
        MLFLOW_DISABLE_TELEMETRY.set(True)  # type: ignore[no-untyped-call]
        set_telemetry_client()  # type: ignore[no-untyped-call]
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # type: ignore[no-untyped-call]
    for setting, usual in _PATIENCE:  # MLflow's own would wait for minutes for a server that is away
        if not setting.is_set():  # type: ignore[no-untyped-call]
            setting.set(usual)  # type: ignore[no-untyped-call]


_hush()


@dataclass(frozen=True)
class Training:
    """What is told of one training beside the artifact itself.

    Attributes:
        evaluation: on the test rows.
        figures: file name without ending to a picture.
        params: name to value: how the rows were split, the estimator's own come from the artifact.
        notes: what the libraries warned of.
        tags: of the run and of the version, beside the usual ones.
        title: of the run; the model's name by default.
        alias: that the version gets; by default ``champion`` if there is none yet, else ``challenger``.
        beside: name to a folder that is kept with the run.
    """

    evaluation: Evaluation
    figures: Mapping[str, Figure]
    params: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    title: str | None = None
    alias: str | None = None
    beside: Mapping[str, Path] = field(default_factory=dict)


class Registry:
    """The models of one project.

    Args:
        folder: the project folder, made if it is missing; holds the registry if no ``tracking_uri`` is given.
        project: the project's name, the MLflow experiment.
        tracking_uri: of an MLflow server or another store, as in ``MLFLOW_TRACKING_URI``.

    Raises:
        ModelError: the store cannot be opened.
    """

    def __init__(self, folder: str | Path, project: str, tracking_uri: str | None = None) -> None:
        home = Path(folder).resolve()
        home.mkdir(parents=True, exist_ok=True)
        self.uri = tracking_uri or f"sqlite:///{home / 'mlflow.db'}"
        self._project = project
        self._files = None if tracking_uri else (home / "mlruns").as_uri()
        with _quietly("the registry cannot be opened", self.uri):
            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            self._experiment = self._experiment_id()

    def track(self, artifact: Artifact, training: Training, *, now: int) -> Version:
        """Record a training as a run, and register its model.

        The first version of a model becomes champion, each later one challenger, until promoted, unless the
        training names an alias.

        Args:
            artifact: what was trained.
            training: what is told of it.
            now: microseconds UTC.

        Raises:
            ModelError: the store cannot be written; no version is registered then.
        """
        with _quietly("the training cannot be recorded", self.uri), tempfile.TemporaryDirectory() as space:
            home = Path(space) / "model"
            save_model(artifact, home)
            digest = artifact.save(home / ARTIFACT)
            run = self._client.create_run(
                self._experiment,
                start_time=now // 1000,
                run_name=training.title or artifact.model,
                tags={**self._tags(artifact), **training.tags},
            ).info.run_id
            try:
                tags = {**self._tags(artifact), **training.tags, "headwater.digest": digest}
                logged = self._client.create_logged_model(
                    self._experiment,
                    name=artifact.model,
                    source_run_id=run,
                    tags=tags,
                    params={
                        name: str(value)[:_LONGEST] for name, value in params(artifact.estimator).items()
                    },
                )
                self._tell(artifact, training, run, logged.model_id, now)
                number = self._register(artifact, home, run, logged, training)
            except BaseException:
                self._client.set_terminated(run, "FAILED", end_time=now // 1000)
                raise
            self._client.set_terminated(run, "FINISHED", end_time=now // 1000)
            return self._version(self._client.get_model_version(self._name(artifact.model), str(number)))

    def version(self, model: str, which: str | int = CHAMPION) -> Version:
        """A version by its number or its alias.

        Raises:
            ModelError: there is no such version.
        """
        with _quietly("the registry cannot be read", self.uri):
            found = self._find(model, which)
        if found is None:
            raise self._unknown(model, which)
        return self._version(found)

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, the newest first; none if it was never trained."""
        with _quietly("the registry cannot be read", self.uri):
            found = self._client.search_model_versions(f"name = '{self._name(model)}'")
            numbers = sorted((int(version.version) for version in found), reverse=True)
            name = self._name(model)
            return [self._version(self._client.get_model_version(name, str(n))) for n in numbers]

    def promote(self, model: str, which: str | int = CHALLENGER) -> Version:
        """Make a version the champion.

        Raises:
            ModelError: there is no such version.
        """
        version = self.version(model, which)
        name = self._name(model)
        with _quietly("the registry cannot be written", self.uri):
            self._client.set_registered_model_alias(name, CHAMPION, str(version.number))
            if CHALLENGER in version.aliases:
                self._client.delete_registered_model_alias(name, CHALLENGER)
        return self.version(model, version.number)

    def load(
        self, model: str, which: str | int = CHAMPION, *, definition_hash: str | None = None
    ) -> Artifact:
        """The artifact of a version, checked against the digest under which it was registered.

        Args:
            model: the model's name.
            which: an alias or a number.
            definition_hash: refuse a version trained from another definition.

        Raises:
            ModelError: no such version, a damaged artifact, or one of another definition.
        """
        version = self.version(model, which)
        with _quietly("the model's files cannot be fetched", version.location):
            folder = self._fetched(version)
        return load(folder / ARTIFACT, definition_hash=definition_hash, digest=version.digest)

    def fetch(self, version: Version, into: Path) -> Path:
        """The folder of a version's artifact, which ``models.artifact.load`` reads.

        Args:
            version: whose.
            into: an empty folder, for what must be fetched.

        Raises:
            ModelError: it cannot be fetched.
        """
        with _quietly("the model's files cannot be fetched", version.location):
            if version.folder is not None:
                return version.folder / ARTIFACT
            uri = f"{version.location}/{ARTIFACT}"
            return Path(download_artifacts(artifact_uri=uri, tracking_uri=self.uri, dst_path=str(into)))

    def sign(self) -> str | None:
        """None: it is asked each time."""
        return None

    @property
    def away(self) -> bool:
        """Never: what it is asked, it answers or refuses."""
        return False

    # --- What the loop of retraining notes and finds again ---

    def find(self, model: str, tag: str, value: str) -> Version | None:
        """The newest version that has a tag of this value; None if there is none."""
        return next((one for one in self.versions(model) if one.tags.get(tag) == value), None)

    def point(self, model: str, alias: str, number: int | None) -> None:
        """Let an alias name a version, in one step; None takes the alias away.

        Raises:
            ModelError: there is no such version, or the registry cannot be written.
        """
        with _quietly("the registry cannot be written", self.uri):
            if number is not None:
                self._client.set_registered_model_alias(self._name(model), alias, str(number))
            elif self._find(model, alias) is not None:
                self._client.delete_registered_model_alias(self._name(model), alias)

    def note(self, version: Version, tags: Mapping[str, str]) -> None:
        """Note tags of a version and of its run."""
        name = self._name(version.model)
        with _quietly("the registry cannot be written", self.uri):
            for tag, value in tags.items():
                self._client.set_model_version_tag(name, str(version.number), tag, value)
                self._client.set_tag(version.run, tag, value)

    def mark(self, version: Version, tag: str, value: str | None) -> None:
        """Note a tag of a version alone, in one step; None takes it away."""
        name, number = self._name(version.model), str(version.number)
        with _quietly("the registry cannot be written", self.uri):
            if value is None:
                self._client.delete_model_version_tag(name, number, tag)
            else:
                self._client.set_model_version_tag(name, number, tag, value)

    def describe(self, version: Version, text: str) -> None:
        """Say in words what a version is, where MLflow shows it first: with the version and with its run."""
        with _quietly("the registry cannot be written", self.uri):
            name = self._name(version.model)
            self._client.update_model_version(name, str(version.number), description=text)
            self._client.set_tag(version.run, "mlflow.note.content", text)

    def keep(
        self, version: Version, texts: Mapping[str, str], figures: Mapping[str, float], *, now: int
    ) -> None:
        """Keep texts, path to contents, and figures with the run that made a version."""
        metrics = [Metric(name, value, now // 1000, 0) for name, value in figures.items()]
        with _quietly("the registry cannot be written", self.uri):
            for path, text in texts.items():
                self._client.log_text(version.run, text, path)
            self._client.log_batch(version.run, metrics=[one for one in metrics if math.isfinite(one.value)])

    def kept(self, version: Version, path: str) -> Path:
        """A file or folder that is kept with the run of a version.

        Raises:
            ModelError: there is none, or the store cannot be read.
        """
        with _quietly("what is kept with a model cannot be fetched", self.uri):
            uri = f"{self._client.get_run(version.run).info.artifact_uri}/{path}"
            if uri.startswith("file:"):
                return Path(url2pathname(urlsplit(uri).path))
            return Path(download_artifacts(artifact_uri=uri, tracking_uri=self.uri))

    def refuse(self, model: str, tags: Mapping[str, str], words: str, *, now: int) -> str:
        """Record a training that came to nothing, with the reason, as a failed run; its id."""
        known = {"headwater.project": self._project, "headwater.model": model, **tags}
        with _quietly("the refusal cannot be recorded", self.uri):
            run = self._client.create_run(
                self._experiment, start_time=now // 1000, run_name=f"{model}: refused", tags=known
            ).info.run_id
            self._client.log_text(run, words + "\n", "refusal.txt")
            self._client.set_terminated(run, "FAILED", end_time=now // 1000)
        return str(run)

    def abandon(self, tag: str, value: str, *, now: int) -> int:
        """End the runs with this tag that were killed at work; how many there were."""
        with _quietly("the registry cannot be written", self.uri):
            asked = f"tags.`{tag}` = '{value}' and attributes.status = 'RUNNING'"
            found = self._client.search_runs([self._experiment], asked)
            for run in found:
                self._client.set_terminated(run.info.run_id, "KILLED", end_time=now // 1000)
        return len(found)

    def finish(self, version: Version, *, now: int) -> None:
        """End the run that made a version, if whoever made it was killed before."""
        with _quietly("the registry cannot be written", self.uri):
            if self._client.get_run(version.run).info.status == "RUNNING":
                self._client.set_terminated(version.run, "FINISHED", end_time=now // 1000)

    def said(self, model: str) -> dict[str, str]:
        """The tags of a model as a whole; empty if it was never trained."""
        with _quietly("the registry cannot be read", self.uri):
            found = self._client.search_registered_models(f"name = '{self._name(model)}'")
        return dict(found[0].tags) if found else {}

    def say(self, model: str, tag: str, value: str) -> None:
        """Note a tag of a model as a whole."""
        with _quietly("the registry cannot be written", self.uri):
            self._client.set_registered_model_tag(self._name(model), tag, value)

    # --- How it lies in MLflow ---

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._project)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(self._project, artifact_location=self._files))

    def _name(self, model: str) -> str:
        return f"{self._project}.{model}"

    def _tags(self, artifact: Artifact) -> dict[str, str]:
        return {
            "headwater.project": self._project,
            "headwater.model": artifact.model,
            "headwater.definition": artifact.definition_hash,
            **lineage(artifact),
        }

    def _register(
        self, artifact: Artifact, home: Path, run: str, logged: LoggedModel, training: Training
    ) -> int:
        client, name = self._client, self._name(artifact.model)
        client.log_model_artifacts(logged.model_id, str(home))
        client.finalize_logged_model(logged.model_id, "READY")
        client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, tags={"headwater.project": self._project})
        version = client.create_model_version(
            name, logged.artifact_location, run, tags=dict(logged.tags), model_id=logged.model_id
        )
        alias = training.alias or (CHALLENGER if self._find(artifact.model, CHAMPION) else CHAMPION)
        client.set_registered_model_alias(name, alias, version.version)
        return int(version.version)

    def _tell(self, artifact: Artifact, training: Training, run: str, model: str, now: int) -> None:
        client = self._client
        told = {**params(artifact.estimator), **training.params}
        listed = [Param(name, str(value)[:_LONGEST]) for name, value in told.items()]
        for start in range(0, len(listed), _BATCH):
            client.log_batch(run, params=listed[start : start + _BATCH])
        data = dataset(artifact)
        client.log_inputs(run, [data])
        client.log_batch(run, metrics=list(metrics(training.evaluation, now // 1000, model, data.dataset)))
        client.log_dict(run, dict(artifact.manifest), "manifest.json")
        client.log_dict(run, training.evaluation.to_json(), "evaluation.json")
        for name, figure in training.figures.items():
            client.log_figure(run, figure, f"plots/{name}.png")
        if training.notes:
            client.log_text(run, "\n".join(training.notes) + "\n", "notes.txt")
        for name, folder in training.beside.items():
            client.log_artifacts(run, str(folder), name)

    def _find(self, model: str, which: str | int) -> ModelVersion | None:
        name = self._name(model)
        try:
            if isinstance(which, int):
                return self._client.get_model_version(name, str(which))
            return self._client.get_model_version_by_alias(name, which)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def _version(self, found: ModelVersion) -> Version:
        return Version(
            model=found.name.removeprefix(f"{self._project}."),
            number=int(found.version),
            aliases=tuple(sorted(found.aliases)),
            digest=found.tags.get("headwater.digest", ""),
            definition_hash=found.tags.get("headwater.definition", ""),
            run=found.run_id or "",
            location=found.source or "",
            tags=dict(found.tags),
        )

    def _fetched(self, version: Version) -> Path:
        folder = version.folder
        if folder is not None:
            return folder
        return Path(download_artifacts(artifact_uri=version.location, tracking_uri=self.uri))

    def _unknown(self, model: str, which: str | int) -> ModelError:
        known = [f"{v.number}{''.join(f' ({a})' for a in v.aliases)}" for v in self.versions(model)]
        return ModelError.of(
            f"the model {model!r} has no such version",
            expected="one of the versions " + ", ".join(known) if known else "a trained model",
            got=str(which),
            where=bare(self.uri),
            do="name one of them" if known else "train it first",
        )


def bare(text: str) -> str:
    """Without the name and the password that an address may hold."""
    return _KEYS.sub("://", text)


@contextmanager
def _quietly(what: str, where: str) -> Iterator[None]:
    """MLflow without its log lines and warnings, its errors as ours."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise ModelError.of(
            what,
            got=bare(str(error).strip().partition("\n")[0]),
            where=bare(where),
            do="look at the folder or the tracking server, then try again",
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
