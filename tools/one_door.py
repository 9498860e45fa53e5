"""The import-linter contract ``one_door``: a third-party library enters the house by one door only.

Listed in ``pyproject.toml`` under ``[tool.importlinter]``; run by ``make layers``. import-linter's own
``protected`` contract says the same, but refuses a library that nothing imports yet. The reasons for
each door stand in ``docs/design/0002-the-house.md``.
"""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OneDoorContract(Contract):
    """Only modules under one of ``doors`` may import one of ``libraries``."""

    type_name = "one_door"

    libraries = fields.ListField(subfield=fields.StringField())
    doors = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - the base's shape
        """Find every import of a library from a module that is behind none of the doors."""
        libraries: list[str] = self.libraries  # type: ignore[assignment]  # a descriptor, filled on loading
        trespassers = [
            f"{importer} -> {library} (line {detail['line_number']})"
            for library in libraries
            if library in graph.modules
            for importer in sorted(graph.find_modules_that_directly_import(library))
            if not self._behind_a_door(importer)
            for detail in graph.get_import_details(importer=importer, imported=library)
        ]
        return ContractCheck(kept=not trespassers, metadata={"trespassers": trespassers})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import that came in by another way, and the door it should have used."""
        doors: list[str] = self.doors  # type: ignore[assignment]  # a descriptor, filled on loading
        for trespasser in check.metadata["trespassers"]:
            output.print_error(trespasser, bold=False)
        output.print_error(f"do: import it in {' or '.join(doors)} and call that instead", bold=False)

    def _behind_a_door(self, importer: str) -> bool:
        doors: list[str] = self.doors  # type: ignore[assignment]  # a descriptor, filled on loading
        return any(importer == door or importer.startswith(f"{door}.") for door in doors)
