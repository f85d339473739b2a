"""How fast, how much: `make bench`. Each figure has its floor beside it, measured in the same run and place."""
