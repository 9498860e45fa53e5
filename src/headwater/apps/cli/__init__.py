"""The command line: ``main`` is the root, each command is a module that ``lazy`` loads when it is called.

``workplace`` is what a command works in (project, log, clock), ``screen`` where it writes, ``failures`` how
it ends. Start with ``main``.
"""
