"""The explorer: theory, construction and training of one target, in a page of the browser.

``setting``  what is shown, as text in the page's address; ``smoothness`` one number of it
``views``    the numbers of every panel, from the same functions that the command line calls
``place``    the input; ``around`` f and the network around it; ``hand`` what moves it
``states``   the constructed network's run, loop by loop
``panels``, ``pictures`` what is drawn; ``words`` the text; ``look`` layout, colours, keyboard
``controls`` what a reader can move; ``page`` what happens then
``beside``   what takes longer than a hand waits: ``finder`` bounds of another function,
             ``certifier`` certificates, ``live`` a fit that can be stopped
``export``   figure, rows and Python code of what is shown
``server``   the local server; ``static`` the page that needs none, ``precomputed`` its numbers
"""
