"""Studies that put trained networks beside the theory: run, stored, resumed, reported.

``study``      the main job, ``looprate verify``
``eta``        when does eta(t) help?
``learned``    moduli of trained networks beside their targets'
``reproduce``  the paper's experiments, on the ``tasks``
``claims``     the ledger
``engine``     ``Sweep`` and ``run_in_folder`` for all of them; processes of this machine or many
``rows``       what is stored: written, read, merged, exported, and which question it answers
"""

if __name__ != "looprate.experiments":  # a second copy of every class
    raise ImportError(f"import looprate.experiments instead of {__name__}")
