"""The ground floor: errors, instants, schemas, batches, clocks.

Everything above imports from here; nothing here imports from above. Read ``errors`` first, then
``instant``.
"""
