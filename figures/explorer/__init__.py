"""The explorer: theory, construction and training of one target, in a page of the browser.

``setting``  what is shown, as text in the page's address
``views``    the numbers of every panel, from the same functions that the command line calls
``page``     the panels and their controls
``live``     a fit that runs beside the page and can be stopped
``export``   figure, rows and Python code of what is shown
``server``   the local server; ``static`` the page that needs none
"""
