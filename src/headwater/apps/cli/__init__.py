"""The command line. ``main`` is the root, ``lazy`` loads a command when it is called, each command is a module.

``workplace`` is what a command works in (project, log, clock), ``screen`` where it writes, ``failures`` how
it ends. Start with ``main``.
"""
