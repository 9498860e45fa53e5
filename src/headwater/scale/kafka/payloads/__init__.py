"""What records hold: JSON, Avro or Arrow, told by a header or by a schema registry's magic byte.

``reading`` chooses, by record; ``quick`` reads many JSON values at once, ``avro`` and ``arrow`` read theirs,
and ``registry`` knows the schemas that others registered. Read ``reading`` next.
"""
