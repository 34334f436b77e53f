"""`python -m anmodel` is `anmodel`."""

from anmodel.cli import main

main()
