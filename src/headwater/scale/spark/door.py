"""What ``headwater train --on spark`` needs of this folder, by name; imported once Spark is there."""

from __future__ import annotations

from headwater.scale.spark.past import SparkPast, Table
from headwater.scale.spark.session import session
from headwater.scale.spark.tables import Place, export, exportable, tables

__all__ = ["Place", "SparkPast", "Table", "export", "exportable", "session", "tables"]
