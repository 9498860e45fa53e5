"""Paper: documents of words, figures and tables, set as one HTML page, as Markdown, or as a PDF.

``document`` says what a document is; ``chart``, ``lines``, ``bars`` and ``heat`` draw its pictures as SVG;
``html``, ``markdown`` and ``pdf`` set it. Knows nothing of models or logs: ``training.card`` and
``apps.reporting`` write the documents.
"""
