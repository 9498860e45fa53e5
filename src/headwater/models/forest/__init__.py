"""Tree ensembles of any library as one flat forest: imported, proved, scored and explained.

``tree`` is the common language, one importer per library (``sklearn``, ``lightgbm``, ``xgboost``) speaks
it, ``flat`` packs it for the kernels, ``scorer`` answers. Called by ``models.scorer``.

Why importers of our own and not treelite: what must be exact is exactly what a converter hides (float32
or float64 comparisons, ``<`` or ``<=``, nearly-zero and null, categories, the order in which leaves are
added), each importer is about a hundred lines, and a forest is compared with its library before it is used.
"""
