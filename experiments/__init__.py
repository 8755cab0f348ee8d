"""Studies that put trained networks beside the theory, and the command line.

``config``        what a study is, and its presets
``records``       rows on disk: append, resume, lock
``provenance``    the version and commit a row comes from
``engine``        tasks over processes, or over a cluster
``evaluate``      the theory of a target as plain rows
``tasks_study``   what a worker does
``study``         the main job: plan, run, resume
``summary``       chosen recipes, gains, slopes, findings
``figure_rows``   the rows each figure is drawn from
``report``        report.md and report.json
``cli``           the command line
"""

if __name__ != "looprate.experiments":  # a second copy of every class
    raise ImportError(f"import looprate.experiments instead of {__name__}")
