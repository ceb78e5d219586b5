"""Folds in a locked-down child of a warm process.

Outside the sandbox, in a runner's pool child: ``launcher`` asks for a fold, ``prepared`` keeps the data
of each data set once per host, ``host`` starts the fold server inside the bubblewrap ``view`` and
``refusals`` builds its seccomp filter. Inside: the ``server`` forks a ``supervisor`` for each fold, which
makes the fold's namespaces by ``lockdown``, forks the fold (``inside``) and keeps its limits by ``usage``.
"""
